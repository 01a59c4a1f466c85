"""Predictions as they are stored, read, listed, asked for by segments, and made anew."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import numpy as np
import pytest

from supover.analytics import fitting, predictions
from supover.analytics import prediction_rules as rules
from supover.analytics.predicting import bgnbd
from supover.analytics.prediction_model import InsufficientData, Prediction
from supover.kit import clock
from supover.kit.db import Database
from tests.analytics import days
from tests.makers import Workspace, logged, make_customer, make_order, settle, told
from tests.privacy.arrange import work

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

KNOWN = bgnbd.Parameters(0.7, 6.0, 0.6, 2.5)


def made(customers: int, today: date, seed: int = 11, weeks: float = 80) -> list[days.Day]:
    """Customers of a shop as the model imagines them, with every day on which they ordered."""
    rng = np.random.default_rng(seed)
    found: list[days.Day] = []
    for n in range(customers):
        rate, stop = rng.gamma(KNOWN.r, 1 / KNOWN.alpha), rng.beta(KNOWN.a, KNOWN.b)
        at, age = 0.0, rng.uniform(0.2, weeks)
        own = float(rng.uniform(10, 90))
        while at <= age:
            found.append(
                (str(n), today - timedelta(days=int((age - at) * 7)), round(own * float(rng.uniform(0.5, 1.5)), 2))
            )
            if rng.random() < stop:
                break
            at += rng.exponential(1 / max(rate, 1e-9))
    return found


def today() -> date:
    return clock.now().date()


async def refreshed(db: Database, shop: Workspace, as_of: date | None = None) -> fitting.Refreshed:
    return await fitting.refresh(db, shop.id, lambda: db.tx(shop.id), as_of=as_of)


ROWS = """
    select p.customer_id, p.version, p.churn_probability, p.churn_risk, p.expected_orders, p.predicted_value, p.next_order_on,
           p.value_at_stake
      from customer_prediction p where p.workspace_id = $1"""


async def rows(db: Database, shop: Workspace) -> dict[UUID, Sequence[Any]]:
    async with db.reader(shop.id) as reader:
        return {row[0]: row[1:] for row in await reader.rows(ROWS)}


async def of(db: Database, shop: Workspace, id: UUID) -> Prediction | InsufficientData:
    async with db.reader(shop.id) as reader:
        return await predictions.of(reader, id)


# --- what the database groups --------------------------------------------------------------------------------------------


async def test_orders_become_statistics_a_day_an_order(
    db: Database, shop: Workspace, api: httpx.AsyncClient, owner: "Connection"
) -> None:
    ann, ben = await make_customer(api, name="Ann"), await make_customer(api, name="Ben")
    for day, total, status in [
        ("2026-01-01T10:00:00Z", "10.00", "confirmed"),
        ("2026-01-01T20:00:00Z", "5.00", "delivered"),
        ("2026-01-11T10:00:00Z", "30.00", "confirmed"),
        ("2026-01-21T10:00:00Z", "0.00", "confirmed"),
        ("2026-01-25T10:00:00Z", "99.00", "cancelled"),
        ("2026-02-10T10:00:00Z", "50.00", "confirmed"),
    ]:
        await make_order(api, ann, placed_at=day, total=total, status=status)
    await make_order(api, ben, placed_at="2026-01-15T10:00:00Z", total="7.00")
    await settle(db, shop)
    async with db.reader(shop.id) as reader:
        known = await fitting.statistics(reader, date(2026, 1, 31))
        found = await fitting.facts(reader, date(2026, 1, 31), 30)
        gate = await fitting.seen(reader, date(2026, 1, 31))
    assert sorted(zip(known.x.tolist(), known.tx.tolist(), known.t.tolist(), known.n.tolist(), strict=True)) == [
        (0, 0, 16, 1),
        (2, 20, 30, 1),
    ]
    # Ann came before Ben. A day of nothing is an order, but tells nothing of what is spent.
    assert [found.x.tolist(), found.tx.tolist(), found.t.tolist()] == [[2, 0], [20, 0], [30, 16]]
    assert [found.paid.tolist(), found.mean.tolist(), found.spent.tolist()] == [[1, 0], [30.0, 0.0], [45.0, 7.0]]
    assert found.later.tolist() == [1, 0]
    assert gate == rules.Seen(2, date(2026, 1, 1), date(2026, 1, 15), 1)


async def test_grouped_by_the_database_or_here_is_the_same(db: Database, shop: Workspace, owner: "Connection") -> None:
    await days.write(owner, shop.id, made(300, today()))
    async with db.reader(shop.id) as reader:
        by_database = await fitting.statistics(reader, today())
        each = await fitting.facts(reader, today(), 0)
    here = bgnbd.group(each.x, each.tx, each.t)

    def as_rows(some: bgnbd.Statistics) -> list[tuple[int, ...]]:
        return sorted(zip(some.x.tolist(), some.tx.tolist(), some.t.tolist(), some.n.tolist(), strict=True))

    assert as_rows(by_database) == as_rows(here)


# --- above the gate ------------------------------------------------------------------------------------------------------


async def test_everybody_with_an_order_is_scored_and_the_model_is_kept(
    db: Database, shop: Workspace, owner: "Connection", api: httpx.AsyncClient
) -> None:
    known = await days.write(owner, shop.id, made(900, today()))
    done = await refreshed(db, shop)
    assert (done.version, done.customers, done.scored, done.changed, done.missing) == (1, 900, 900, 0, [])
    found = await rows(db, shop)
    assert found.keys() == set(known.values())
    for version, churn, risk, *_ in found.values():
        assert version == 1
        assert risk == rules.risk(churn)
    assert {row[2] for row in found.values()} == {"low", "medium", "high"}
    assert await logged(db, shop, "ChurnRiskChanged") == []
    [model] = told(await api.get("/api/analytics/models"))["data"]
    assert (model["version"], model["customers"], model["missing"]) == (1, 900, [])
    assert model["serving"] in ("bgnbd", "logistic")
    assert model["parameters"]["r"] == pytest.approx(KNOWN.r, rel=0.4)
    backtest = model["backtest"]
    assert backtest["origins"][0]["origin"] == (today() - timedelta(days=90)).isoformat()
    assert backtest["bgnbd"]["auc"] > 0.7
    assert backtest["bgnbd"]["brier"] < backtest["baselines"]["baseBrier"]
    assert sum(one["customers"] for one in backtest["bgnbd"]["bins"]) == sum(
        one["customers"] for one in backtest["origins"]
    )


async def test_a_customers_prediction_has_every_field(db: Database, shop: Workspace, owner: "Connection") -> None:
    known = await days.write(owner, shop.id, made(700, today()))
    await refreshed(db, shop)
    stored = await rows(db, shop)
    id = max(known.values(), key=lambda one: stored[one][3])
    _, churn, risk, orders, value, next_on, _ = stored[id]
    found = await of(db, shop, id)
    assert isinstance(found, Prediction)
    assert (found.churn_probability, found.churn_risk, found.horizon_days) == (churn, risk, 90)
    assert (found.expected_orders, found.expected_next_order_date) == (orders, next_on)
    assert found.predicted_value == round(value, 2)
    assert found.total_value == found.historic_value + found.predicted_value
    assert (found.currency, found.model_version, found.as_of) == ("USD", 1, today())
    assert next_on > today()
    assert found.reasons[0].startswith("Last ordered")
    assert found.reasons[-1].startswith("Ordered on ")
    once = next(one for one in known.values() if stored[one][3] == min(row[3] for row in stored.values()))
    told_of_once = await of(db, shop, once)
    assert isinstance(told_of_once, Prediction)
    assert told_of_once.churn_probability > 0.5


async def test_who_did_not_order_is_at_more_risk_later_and_that_is_told(
    db: Database, shop: Workspace, owner: "Connection"
) -> None:
    known = await days.write(owner, shop.id, made(800, today() - timedelta(days=25)))
    await refreshed(db, shop, today() - timedelta(days=25))
    before = await rows(db, shop)
    done = await refreshed(db, shop)
    after = await rows(db, shop)
    changed = {id for id in after if after[id][2] != before[id][2]}
    assert done.version == 2
    assert done.changed == len(changed) > 0
    async with db.reader(shop.id) as reader:
        events = await reader.rows(
            "select e.customer_id, e.data from event_log e where e.workspace_id = $1 and e.kind = 'ChurnRiskChanged'"
        )
    assert {id for id, _ in events} == changed
    for id, data in events:
        assert data == {"former": before[id][2], "risk": after[id][2], "horizonDays": 90}
    assert changed < set(known.values())
    # Of the same day nothing changes.
    assert (await refreshed(db, shop)).changed == 0


async def test_who_is_gone_or_was_merged_has_no_prediction(
    db: Database, shop: Workspace, owner: "Connection", api: httpx.AsyncClient
) -> None:
    known = await days.write(owner, shop.id, made(600, today()))
    await refreshed(db, shop)
    first, second, third, *_ = known.values()
    assert (await api.delete(f"/api/customers/{first}")).status_code == 204
    told(await api.post("/api/customers/merge", json={"primaryId": str(second), "duplicateIds": [str(third)]}), 200)
    left = await rows(db, shop)
    assert left.keys() == set(known.values()) - {first, third}
    # A restored one is scored again in the night; who has no day any more loses what there was.
    await owner.execute("delete from data.customer_day where customer_id = $1", second)
    assert told(await api.post(f"/api/customers/{first}/restore"))["churnRisk"] is None
    await refreshed(db, shop)
    assert (await rows(db, shop)).keys() == set(known.values()) - {second, third}


async def test_a_fit_gives_way_to_one_that_stored_later(db: Database, shop: Workspace, owner: "Connection") -> None:
    await days.write(owner, shop.id, made(600, today()))
    again = False

    def meanwhile(what: str, customers: int) -> bool:
        nonlocal again
        again = again or what == "scoring"
        return False

    async def overtake() -> None:
        async with db.tx(shop.id) as tx:
            await tx.run(
                "insert into prediction_model (workspace_id, version, serving, method, as_of, horizon_days, customers, parameters,"
                " fitted_at) values ($1, 2, 'bgnbd', 'map', '2026-01-01', 90, 0, '{}', now())"
            )

    class Begin:
        def __call__(self) -> Any:
            return self

        async def __aenter__(self) -> Any:
            if again:
                await overtake()
            self.tx = db.tx(shop.id)
            return await self.tx.__aenter__()

        async def __aexit__(self, *error: Any) -> Any:
            return await self.tx.__aexit__(*error)

    with pytest.raises(fitting.Overtaken):
        await fitting.refresh(db, shop.id, Begin(), told=meanwhile)
    assert await rows(db, shop) == {}


async def test_a_fit_stops_between_steps_and_leaves_whole_rows(
    db: Database, shop: Workspace, owner: "Connection"
) -> None:
    known = await days.write(owner, shop.id, made(600, today()))
    for stop_at in ("fitting", "storing", "scoring"):
        with pytest.raises(fitting.Cancelled):
            await fitting.refresh(
                db, shop.id, lambda: db.tx(shop.id), told=lambda what, _, stop_at=stop_at: what == stop_at
            )
    assert await rows(db, shop) == {}
    done = await refreshed(db, shop)
    assert (done.version, done.scored) == (2, len(known))


async def test_a_fit_broken_off_leaves_predictions_that_name_the_model_they_are_of(
    db: Database, shop: Workspace, owner: "Connection", monkeypatch: pytest.MonkeyPatch
) -> None:
    known = await days.write(owner, shop.id, made(600, today()))
    await refreshed(db, shop)
    monkeypatch.setattr(fitting, "WRITTEN_AT_ONCE", 500)
    looked = 0

    def after_the_first_half(what: str, _: int) -> bool:
        nonlocal looked
        looked += what == "scoring"
        return looked == 2

    with pytest.raises(fitting.Cancelled):
        await fitting.refresh(db, shop.id, lambda: db.tx(shop.id), horizon_days=30, told=after_the_first_half)
    first, last = min(known.values()), max(known.values())
    async with db.reader(shop.id) as reader:
        found = [await predictions.of(reader, id) for id in (first, last)]
    assert [(one.model_version, one.horizon_days) for one in found if isinstance(one, Prediction)] == [(2, 30), (1, 90)]


# --- lists ---------------------------------------------------------------------------------------------------------------


async def test_who_is_at_risk_is_listed_by_what_is_at_stake(
    db: Database, shop: Workspace, owner: "Connection", api: httpx.AsyncClient
) -> None:
    await days.write(owner, shop.id, made(700, today()))
    await refreshed(db, shop)
    stored = await rows(db, shop)
    best = sorted(((row[6], id) for id, row in stored.items()), reverse=True)
    answer = told(await api.get("/api/analytics/churn?limit=200&count=true"))
    assert (answer["status"], answer["missing"], answer["currency"], answer["total"]) == ("predicted", [], "USD", 700)
    assert answer["model"]["backtest"]["baselines"].keys() == {"recencyAuc", "naiveMae", "baseBrier"}
    seen = [one["id"] for one in answer["data"]]
    while answer["nextCursor"]:
        answer = told(await api.get("/api/analytics/churn", params={"limit": 200, "cursor": answer["nextCursor"]}))
        seen += [one["id"] for one in answer["data"]]
    assert seen == [str(id) for _, id in best]
    high = told(await api.get("/api/analytics/churn?risk=high&limit=200"))["data"]
    assert {one["churnRisk"] for one in high} == {"high"}
    both = told(await api.get("/api/analytics/churn?risk=high&risk=low&count=true"))["total"]
    assert both == sum(row[2] != "medium" for row in stored.values())
    rich = told(await api.get("/api/analytics/churn?minStake=50&count=true"))["total"]
    assert rich == sum(row[6] >= 50 for row in stored.values())
    assert (await api.get("/api/analytics/churn?minStak=50")).status_code == 422
    assert (await api.get(f"/api/analytics/churn?segment={UUID(int=1)}")).status_code == 422
    one = told(await api.get(f"/api/customers/{seen[0]}"))
    assert one["churnRisk"] == stored[UUID(seen[0])][2]


async def test_the_list_is_sent_as_csv_harmless_to_spreadsheets(
    db: Database, shop: Workspace, owner: "Connection", api: httpx.AsyncClient
) -> None:
    known = await days.write(owner, shop.id, made(600, today()))
    await refreshed(db, shop)
    await owner.execute("update data.customer set name = '=cmd()' where id = $1", known["5"])
    by_format = await api.get("/api/analytics/churn?format=csv")
    by_header = await api.get("/api/analytics/churn", headers={"Accept": "text/csv"})
    assert by_format.headers["content-type"] == "text/csv; charset=utf-8"
    assert by_header.text == by_format.text
    table = list(csv.DictReader(io.StringIO(by_format.text)))
    assert len(table) == 600
    listed = told(await api.get("/api/analytics/churn?limit=1"))["data"][0]
    assert table[0].keys() == listed.keys()
    assert table[0]["valueAtStake"] == listed["valueAtStake"]
    assert {row["name"] for row in table if row["id"] == str(known["5"])} == {"'=cmd()"}
    assert len(list(csv.reader(io.StringIO((await api.get("/api/analytics/churn?format=csv&limit=3")).text)))) == 4


async def test_segments_ask_for_predictions_and_are_looked_at_when_those_are_new(
    db: Database, shop: Workspace, owner: "Connection", api: httpx.AsyncClient
) -> None:
    await days.write(owner, shop.id, made(600, today()))
    segment = told(await api.post("/api/segments", json={"name": "Going", "filter": "churn_risk = 'high'"}), 201)
    await work(db, owner, shop, "segments.evaluate")
    assert told(await api.get(f"/api/segments/{segment['id']}"))["members"] == 0
    await refreshed(db, shop)
    stored = await rows(db, shop)
    await work(db, owner, shop, "segments.evaluate")
    high = sum(row[2] == "high" for row in stored.values())
    assert told(await api.get(f"/api/segments/{segment['id']}"))["members"] == high > 0
    assert told(await api.get(f"/api/analytics/churn?segment={segment['id']}&count=true"))["total"] == high
    preview = told(await api.post("/api/segments/preview", json={"filter": "churn_probability > 0.5"}))
    assert preview["count"] == sum(row[1] > 0.5 for row in stored.values())
    asked = "predicted_value >= 20 AND NOT (expected_orders < 1)"
    preview = told(await api.post("/api/segments/preview", json={"filter": asked}))
    assert preview["count"] == sum(row[4] >= 20 and row[3] >= 1 for row in stored.values())


# --- below the gate ------------------------------------------------------------------------------------------------------


def test_the_gate_says_everything_that_is_missing() -> None:
    day = date(2026, 6, 30)
    assert rules.missing(rules.Seen(500, day - timedelta(days=180), day - timedelta(days=30), 1), day) == []
    assert rules.missing(rules.Seen(0, None, None, 0), day) == [
        "At least 500 customers with an order: there are 0.",
        "At least 180 days of orders: there are 0.",
        "An order within the last 30 days: there is none.",
        "Some customers with 3 or more orders: there are none.",
    ]
    assert rules.missing(rules.Seen(499, day - timedelta(days=179), day - timedelta(days=31), 0), day) == [
        "At least 500 customers with an order: there are 499.",
        "At least 180 days of orders: there are 179.",
        "An order within the last 30 days: the last one came on 2026-05-30.",
        "Some customers with 3 or more orders: there are none.",
    ]


async def test_a_small_shop_is_told_what_is_missing_and_its_repeat_rate_by_that_name(
    db: Database, shop: Workspace, owner: "Connection", api: httpx.AsyncClient
) -> None:
    day = today()
    known = await days.write(
        owner, shop.id, [("ann", day, 5.0), ("ben", day - timedelta(days=9), 5.0), ("ben", day, 6.0), ("cem", day, 1.0)]
    )
    before = await of(db, shop, known["ann"])
    assert before == InsufficientData(missing=[predictions.NO_MODEL])
    done = await refreshed(db, shop)
    assert (done.serving, done.scored) == ("repeat_rate", 0)
    assert len(done.missing) == 3
    found = await of(db, shop, known["ben"])
    assert isinstance(found, InsufficientData)
    assert found.missing == done.missing
    assert found.repeat_rate is not None
    assert (found.repeat_rate.basis, found.repeat_rate.orders) == ("repeat_rate", 2)
    assert (found.repeat_rate.customers, found.repeat_rate.ordered_again, found.repeat_rate.share) == (1, 0, 0.0)
    of_ann = await of(db, shop, known["ann"])
    assert isinstance(of_ann, InsufficientData)
    assert of_ann.repeat_rate is not None
    assert (of_ann.repeat_rate.customers, of_ann.repeat_rate.ordered_again) == (3, 1)
    nobody = await make_customer(api, name="Nobody")
    none = await of(db, shop, UUID(nobody["id"]))
    assert isinstance(none, InsufficientData)
    assert none.missing[-1] == "An order of this customer that counts."
    answer = told(await api.get("/api/analytics/churn"))
    assert (answer["status"], answer["missing"], answer["data"]) == ("insufficient_data", done.missing, [])
    assert answer["model"]["serving"] == "repeat_rate"


async def test_what_was_predicted_goes_when_the_gate_closes(db: Database, shop: Workspace, owner: "Connection") -> None:
    await days.write(owner, shop.id, made(600, today() - timedelta(days=40)))
    first = await refreshed(db, shop, today() - timedelta(days=40))
    assert first.scored == 600
    second = await refreshed(db, shop)
    assert (second.serving, second.scored) == ("repeat_rate", 0)
    assert await rows(db, shop) == {}


TODAY = clock.now().date()


@pytest.mark.parametrize(
    "shop_days",
    [
        pytest.param([], id="nobody"),
        pytest.param([("one", TODAY, 10.0)], id="one"),
        pytest.param([(str(n), TODAY - timedelta(days=n), 10.0) for n in range(10)], id="ten"),
        pytest.param([(str(n), TODAY - timedelta(days=n % 400), 20.0) for n in range(600)], id="everybody once"),
        pytest.param([(str(n), TODAY - timedelta(days=d), 5.0) for n in range(505) for d in range(181)], id="daily"),
        pytest.param(
            [(str(n), TODAY - timedelta(days=d), 1e10) for n in range(500) for d in (0, 7 + n % 90, 200)], id="rich"
        ),
    ],
)
async def test_any_shop_is_told_numbers(
    db: Database, shop: Workspace, owner: "Connection", api: httpx.AsyncClient, shop_days: list[days.Day]
) -> None:
    known = await days.write(owner, shop.id, shop_days)
    done = await refreshed(db, shop)
    assert done.customers == len(known)
    assert (done.serving == "nothing") == (not known)
    for row in (await rows(db, shop)).values():
        assert all(0 <= float(one) < 1e16 for one in (row[1], row[3], row[4], row[6]))
    raw = (await api.get("/api/analytics/churn")).text
    assert "NaN" not in raw
    assert "Infinity" not in raw
    for id in list(known.values())[:3]:
        found = await of(db, shop, id)
        assert isinstance(found, InsufficientData) == bool(done.missing)
    async with db.snapshot(shop.id) as reader:
        told_of_fit = await fitting.report(reader, TODAY - timedelta(days=30), 30, "ml")
    assert np.isfinite([told_of_fit.model.r, told_of_fit.model.alpha, told_of_fit.model.a, told_of_fit.model.b]).all()


# --- words ---------------------------------------------------------------------------------------------------------------


def test_reasons_are_what_drives_it() -> None:
    day = date(2026, 6, 30)
    repeats = [(400, 152), (152, 80)]
    assert rules.reasons(1, day, day, day, repeats) == [
        "Ordered once, today.",
        "Of all who ordered once, 38% came again.",
    ]
    assert rules.reasons(5, date(2026, 1, 1), date(2026, 3, 2), day, repeats) == [
        "Last ordered 120 days ago; until then every 15 days on average.",
        "Silent for 8 times as long as usual.",
        "Ordered on 5 days since 2026-01-01.",
    ]
    assert rules.reasons(3, date(2026, 4, 1), date(2026, 6, 29), day, repeats)[:2] == [
        "Last ordered 1 day ago; until then every 44 days on average.",
        "Within the usual time between orders.",
    ]
    assert rules.reasons(2, day, day + timedelta(days=1), day, []) != []


def test_bands_of_risk() -> None:
    assert [rules.risk(one) for one in (0.0, 0.3299, 0.33, 0.5, 0.66, 0.6601, 1.0)] == [
        "low", "low", "medium", "medium", "medium", "high", "high",
    ]  # fmt: skip


# --- jobs ----------------------------------------------------------------------------------------------------------------


async def test_the_job_waits_for_figures_and_fits_once_they_are_counted(
    db: Database, shop: Workspace, owner: "Connection", api: httpx.AsyncClient
) -> None:
    await days.write(owner, shop.id, made(600, today()))
    ann = await make_customer(api, name="Ann")
    await make_order(api, ann)
    async with db.tx(shop.id) as tx:
        await predictions.fit_later(tx)
        await predictions.fit_later(tx)
    await work(db, owner, shop, "analytics.fit")
    assert await rows(db, shop) == {}
    await settle(db, shop)
    async with db.tx(shop.id) as tx:
        waiting = await tx.column(
            "update job set run_at = now(), waiting = false where workspace_id = $1 and kind = 'analytics.fit' and state = 'queued'"
            " returning run_at"
        )
    assert len(waiting) == 1
    assert waiting[0] <= datetime.now(UTC)
    await work(db, owner, shop, "analytics.fit")
    assert len(await rows(db, shop)) >= 600
    assert Decimal(0) < max(row[6] for row in (await rows(db, shop)).values())
