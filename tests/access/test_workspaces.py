from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from supover.access import commands, queries
from supover.access.events import CountingStatusesChanged
from supover.access.model import CurrencyFixed, NewWorkspace, WorkspaceChange, WorkspaceNotFound, WorkspaceStale
from supover.kit import clock, events, ids
from supover.kit.db import Database
from supover.kit.problems import Invalid
from tests.access.places import Client, Place, make_place


async def test_a_workspace_starts_with_its_currencys_digits_and_the_counting_statuses(db: Database) -> None:
    for currency, digits in (("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)):
        made = (await make_place(db, currency, "Asia/Kolkata")).workspace
        async with db.reader(made.id) as reader:
            found = await queries.find_workspace(reader)
        assert found == made
        assert (found.currency, found.digits, found.timezone, found.version) == (currency, digits, "Asia/Kolkata", 1)
        assert found.counting_statuses == ["confirmed", "processing", "shipped", "delivered", "returned"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", " \u200b "),
        ("name", "x" * 201),
        ("currency", "EURO"),
        ("currency", "eur"),
        ("currency", "XXX"),
        ("currency", ""),
        ("timezone", "Europe/Atlantis"),
        ("timezone", "../etc/passwd"),
        ("timezone", "localtime"),
        ("timezone", "CEST-2"),
        ("timezone", ""),
        ("timezone", "europe/berlin"),
        ("timezone", "Europe/Berlin'; drop table x"),
    ],
)
async def test_a_workspace_of_nonsense_is_refused_by_field(db: Database, field: str, value: str) -> None:
    given: dict[str, Any] = {"name": "Shop", "currency": "EUR", "timezone": "Europe/Berlin", field: value}
    id = ids.new()
    with pytest.raises(Invalid) as refused:
        async with db.tx(id, actor="cli") as tx:
            await commands.create_workspace(tx, NewWorkspace(**given))
    assert [error.pointer for error in refused.value.errors] == [f"/{field}"]
    async with db.reader(id) as reader:
        with pytest.raises(WorkspaceNotFound):
            await queries.find_workspace(reader)


async def test_a_change_changes_what_is_given_and_is_audited_with_old_and_new(client: Client, place: Place) -> None:
    member = await place.staff("owner")
    await client.sign_in(member.email)
    answer = await client.patch(
        "/api/workspace",
        json={"name": "  New   name ", "timezone": "UTC"},
        headers={"X-Request-Id": "req-1234567890"},
    )
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    body = answer.json()
    assert (body["name"], body["timezone"], body["currency"], body["version"]) == ("New name", "UTC", "EUR", 2)
    entry = (await client.get("/api/audit", params={"subjectId": body["id"]})).json()["data"][0]
    assert (entry["action"], entry["actor"]) == ("access.change_workspace", f"staff:{member.id}")
    assert (entry["requestId"], entry["ip"]) == ("req-1234567890", "127.0.0.1")
    assert entry["changes"] == [
        {"subject": "workspace", "id": body["id"], "field": "name", "old": "Shop", "new": "New name"},
        {"subject": "workspace", "id": body["id"], "field": "timezone", "old": "Europe/Berlin", "new": "UTC"},
    ]


async def test_a_change_to_what_it_is_already_is_none(client: Client, place: Place) -> None:
    body = {"name": "Shop", "currency": "EUR", "countingStatuses": list(reversed(place.workspace.counting_statuses))}
    answer = await client.as_key(place.key, "PATCH", "/api/workspace", json=body)
    assert (answer.status_code, answer.json()["version"]) == (200, 1)


async def test_if_match_is_honoured(client: Client, place: Place) -> None:
    async def change(etag: str) -> int:
        headers = {"If-Match": etag}
        return (
            await client.as_key(place.key, "PATCH", "/api/workspace", json={"name": etag}, headers=headers)
        ).status_code

    assert [await change('"2"'), await change("nonsense"), await change('"1"'), await change('"1"')] == [
        412,
        412,
        200,
        412,
    ]
    assert await change("*") == 200
    with pytest.raises(WorkspaceStale):
        async with place.db.tx(place.workspace.id) as tx:
            await commands.change_workspace(tx, WorkspaceChange(name="x"), 1)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": None}, "/name"),
        ({"currency": "ABC"}, "/currency"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"countingStatuses": []}, "/countingStatuses"),
        ({"countingStatuses": ["confirmed"] * 1000}, "/countingStatuses"),
        ({"countingStatuses": ["confirmed", "paid"]}, "/countingStatuses/1"),
        ({"digits": 3}, "/digits"),
        ({"id": "x"}, "/id"),
        ({"version": 7}, "/version"),
        ({"createdAt": "2020-01-01T00:00:00Z"}, "/createdAt"),
    ],
)
async def test_a_bad_change_is_refused_and_nothing_changes(
    client: Client, place: Place, body: dict[str, Any], pointer: str
) -> None:
    before = (await client.as_key(place.key, "GET", "/api/workspace")).json()
    answer = await client.as_key(place.key, "PATCH", "/api/workspace", json=body)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert (await client.as_key(place.key, "GET", "/api/workspace")).json() == before


async def test_the_currency_is_free_until_the_first_order(
    place: Place, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async def change(currency: str) -> tuple[str, int]:
        async with place.db.tx(place.workspace.id) as tx:
            changed = await commands.change_workspace(tx, WorkspaceChange(currency=currency))
        return changed.currency, changed.digits

    assert await change("JPY") == ("JPY", 0)
    await owner.execute(
        """insert into data."order" (workspace_id, id, source, status, currency, total, placed_at)
           values ($1, $2, 'API', 'pending', 'JPY', $3, $4)""",
        place.workspace.id,
        ids.new(),
        Decimal(1),
        clock.now(),
    )
    with pytest.raises(CurrencyFixed):
        await change("EUR")
    assert await change("JPY") == ("JPY", 0)


async def test_the_currency_is_free_until_the_first_rate(
    place: Place, client: Client, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await owner.execute(
        "insert into data.exchange_rate (workspace_id, currency, on_date, rate) values ($1, 'USD', $2, 1.1)",
        place.workspace.id,
        clock.now().date(),
    )
    answer = await client.as_key(place.key, "PATCH", "/api/workspace", json={"currency": "GBP", "name": "x"})
    assert (answer.status_code, answer.json()["type"]) == (409, "https://supover.dev/problems/currency-fixed")
    assert (await client.as_key(place.key, "GET", "/api/workspace")).json()["name"] == "Shop"


async def test_other_counting_statuses_are_published(
    place: Place, monkeypatch: pytest.MonkeyPatch, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    heard: list[CountingStatusesChanged] = []

    async def listen(_: object, batch: list[CountingStatusesChanged]) -> None:
        heard.extend(batch)

    monkeypatch.setitem(events._reactions, CountingStatusesChanged, [listen])  # pyright: ignore[reportPrivateUsage]
    async with place.db.tx(place.workspace.id) as tx:
        await commands.change_workspace(tx, WorkspaceChange(name="No event"))
        changed = await commands.change_workspace(
            tx, WorkspaceChange(counting_statuses=["delivered", "shipped", "delivered"])
        )
    assert changed.counting_statuses == ["shipped", "delivered"]
    assert [event.statuses for event in heard] == [("shipped", "delivered")]
    logged = await owner.fetch("select kind, data::text from data.event_log where workspace_id = $1", changed.id)
    assert [tuple(row) for row in logged] == [
        ("CountingStatusesChanged", '{"statuses": ["shipped", "delivered"]}'),
    ]


async def test_the_operator_sees_all_workspaces(db: Database, place: Place) -> None:
    other = await make_place(db)
    listed = [workspace.id for workspace in await queries.search_workspaces(db)]
    assert listed.index(place.workspace.id) < listed.index(other.workspace.id)
