"""What a message does once it is worked off, and what becomes of one that cannot be."""

import asyncio
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supover.analytics import commands as analytics
from supover.channels.model import ChannelOrder
from supover.inbox import commands, jobs
from supover.kit import clock
from supover.kit.db import Database, Tx
from supover.kit.jobs import Backoff
from supover.kit.worker import is_outage
from supover.orders import commands as orders
from tests.inbox.arrange import Connected, arrived, connected, payload
from tests.makers import Json, make_customer, make_order, told

# --- orders ----------------------------------------------------------------------------------------------------------


async def test_an_orders_life_becomes_its_buyers_value(shopify: Connected) -> None:
    message = await shopify.take("orders/create", payload("order_created"))
    order = await shopify.order()
    assert (message["status"], message["orderId"], message["customerId"], message["reason"]) == (
        "applied", order["id"], order["customerId"], None,
    )  # fmt: skip
    assert (order["status"], order["total"], order["shop"], order["number"]) == (
        "confirmed",
        "82.40",
        shopify.shop,
        "#1001",
    )
    await shopify.take("orders/fulfilled", payload("order_fulfilled"))
    assert (await shopify.order())["status"] == "shipped"
    await shopify.take("orders/updated", payload("order_delivered"))
    await shopify.take("orders/updated", payload("order_refunded"))
    order = await shopify.order()
    assert (order["status"], order["deliveredAt"], order["refunded"]) == ("delivered", "2026-03-05T23:12:00Z", "15.00")
    [buyer] = await shopify.customers()
    assert (buyer["name"], buyer["email"], buyer["orderCount"], buyer["totalSpent"], buyer["lifetimeValue"]) == (
        "Ada Quill", "ada.quill@inkmail.dev", 1, "67.40", "67.40",
    )  # fmt: skip
    assert await shopify.counts() == {"applied": 4}
    channel = told(await shopify.api.get(f"/api/channels/{shopify.id}"))
    assert channel["lastReceivedAt"] is not None


async def test_a_cancelled_order_counts_nothing(shopify: Connected) -> None:
    await shopify.take("orders/create", payload("order_created"))
    await shopify.take("orders/cancelled", payload("order_cancelled"))
    [buyer] = await shopify.customers()
    assert ((await shopify.order())["status"], buyer["orderCount"], buyer["ordersCount"]) == ("cancelled", 0, 1)


async def test_an_older_version_after_a_newer_one_changes_nothing(shopify: Connected) -> None:
    await shopify.take("orders/cancelled", payload("order_cancelled"))
    late = await shopify.take("orders/create", payload("order_created"))
    assert (late["status"], (await shopify.order())["status"]) == ("applied", "cancelled")


async def test_an_order_of_nobody_waits_for_review(shopify: Connected) -> None:
    await shopify.take("orders/create", payload("order_guest"))
    order = await shopify.order(5500000001002)
    assert (order["customerId"], order["needsReview"], order["status"]) == (None, True, "pending")


async def test_what_changes_nothing_is_kept_and_says_why(shopify: Connected) -> None:
    raw = json.dumps(payload("customer_redact")).encode()
    await shopify.send("customers/delete", raw)
    await shopify.send("orders/create", payload("order_created", test=True))
    await shopify.send("products/update", b"not even JSON")
    await shopify.work()
    reasons = {m["topic"]: (m["status"], m["reason"]) for m in await shopify.messages()}
    assert reasons == {
        "customers/delete": ("ignored", "a customer whom the shop deleted stays here with their orders"),
        "orders/create": ("ignored", "a test order"),
        "products/update": ("ignored", "nothing here reads the topic 'products/update'"),
    }
    [gone] = await shopify.messages(topic="customers/delete")
    assert (await shopify.api.get(f"/api/inbox/{gone['id']}/body")).content == raw
    assert await shopify.customers() == []


SET_ASIDE = "select count(*) from event_log where workspace_id = $1 and kind = 'MessageSetAside'"


async def test_what_cannot_be_read_is_set_aside_at_once_by_its_field(shopify: Connected) -> None:
    bad = {
        "/total_price: is not an amount that can be kept": {"total_price": "1e400"},
        "/total_price: may be negative only on a cancelled order (a credit note)": {"total_price": "-5.00"},
        "/created_at: must be between 1970 and a year from now": {
            "created_at": "2999-01-01T00:00:00Z",
            "processed_at": None,
        },
    }
    for n, over in enumerate(bad.values()):
        await shopify.send("orders/create", payload("order_created", id=n + 1, **over))
    await shopify.send("orders/create", payload("order_created"))
    await shopify.work()
    dead = await shopify.messages(status="dead")
    assert {m["reason"] for m in dead} == set(bad)
    assert {m["attempts"] for m in dead} == {1}
    assert await shopify.counts() == {"dead": 3, "applied": 1}
    # The log itself: the feed holds back what is newer than the oldest transaction of the cluster.
    async with shopify.db.reader(shopify.workspace.id) as reader:
        assert await reader.value(SET_ASIDE) == 3


VERA = {"email": "vera@victim.dev", "name": "Vera Victim"}
SHE: Json = {"id": 7300000000666, "email": "vera@victim.dev", "first_name": "Vera", "last_name": "Victim"}


async def test_who_registers_with_anothers_email_cannot_then_change_it(shopify: Connected) -> None:
    vera = told(await shopify.api.post("/api/customers", json=VERA), 201)
    await shopify.take("customers/create", payload("customer_created", **SHE))
    after = SHE | {"email": "mallory@evil.dev", "updated_at": "2026-03-02T10:00:00-08:00"}
    await shopify.take("customers/update", payload("customer_created", **after))
    [found] = await shopify.customers()
    assert (found["id"], found["email"], found["name"]) == (vera["id"], "vera@victim.dev", "Vera Victim")


async def test_who_comes_with_anothers_email_and_another_name_fills_nothing_in(shopify: Connected) -> None:
    told(await shopify.api.post("/api/customers", json=VERA), 201)
    stranger = SHE | {"first_name": "Mallory", "last_name": "Evil", "phone": "+14155550166"}
    await shopify.take("customers/create", payload("customer_created", **stranger))
    await shopify.take(
        "orders/create", payload("order_created", email="vera@victim.dev", phone="+14155550166", customer=stranger)
    )
    found = next(c for c in await shopify.customers() if c["email"] == "vera@victim.dev")
    assert (found["name"], found["phone"]) == ("Vera Victim", None)


async def test_an_order_is_no_customer_whatever_its_topic_says(shopify: Connected) -> None:
    message = await shopify.take("customers/update", payload("order_created"))
    assert (message["status"], message["reason"]) == ("dead", "/line_items: is not of a customer")
    assert await shopify.customers() == []


async def test_a_version_from_the_future_is_set_aside(shopify: Connected) -> None:
    message = await shopify.take("orders/create", payload("order_created", updated_at="2027-06-01T00:00:00Z"))
    assert message["status"] == "dead"
    assert message["reason"].startswith("/updated_at: ")


# --- refunds ---------------------------------------------------------------------------------------------------------

REFUND: list[tuple[str, str]] = [
    ("orders/create", "order_created"),
    ("orders/updated", "order_delivered"),
    ("refunds/create", "refund_created"),
    ("orders/updated", "order_refunded"),
]


async def test_a_refund_that_comes_before_its_order_waits_for_it(shopify: Connected) -> None:
    message = await shopify.take("refunds/create", payload("refund_created"))
    assert (message["status"], message["waitsFor"], message["reason"], message["attempts"]) == (
        "pending", "5500000001001", "waits for order 5500000001001", 0,
    )  # fmt: skip
    assert await jobs.work_off(shopify.db, shopify.workspace.id) == 0
    await shopify.take("orders/create", payload("order_created"))
    assert (await shopify.order())["refunded"] == "15.00"
    assert await shopify.counts() == {"applied": 2}
    [buyer] = await shopify.customers()
    assert buyer["totalSpent"] == "67.40"


async def test_a_refund_waits_for_an_order_that_comes_another_way(shopify: Connected) -> None:
    await shopify.take("refunds/create", payload("refund_created"))
    body = {
        "source": "SHOPIFY",
        "shop": shopify.shop,
        "externalId": "5500000001001",
        "total": "82.40",
        "status": "confirmed",
    }
    told(await shopify.api.post("/api/orders", json=body), 201)
    async with shopify.db.tx(shopify.workspace.id) as tx:
        await tx.run("update inbox_message set due_at = now() where workspace_id = $1")
    await shopify.work()
    assert (await shopify.order())["refunded"] == "15.00"


async def test_a_refund_whose_order_never_comes_is_set_aside_at_last(shopify: Connected) -> None:
    await shopify.take("refunds/create", payload("refund_created"))
    async with shopify.db.tx(shopify.workspace.id) as tx:
        await tx.run(
            "update inbox_message set due_at = now(), received_at = now() - interval '31 days' where workspace_id = $1"
        )
    await shopify.work()
    [message] = await shopify.messages()
    assert (message["status"], message["reason"]) == ("dead", "/order_id: order 5500000001001 did not come in 30 days")


async def test_a_refund_told_twice_is_one_whatever_came_first(db: Database) -> None:
    for n in range(12):
        life = [*REFUND, random.Random(n).choice(REFUND)]
        random.Random(n).shuffle(life)
        async with connected(db) as shopify:
            for topic, name in life:
                await shopify.take(topic, payload(name))
            order = await shopify.order()
            assert (order["refunded"], order["status"]) == ("15.00", "delivered"), life
            assert await shopify.counts() == {"applied": 5}


async def test_a_late_version_without_a_refund_takes_none_back(shopify: Connected) -> None:
    await shopify.take("orders/create", payload("order_created"))
    await shopify.take("refunds/create", payload("refund_created"))
    await shopify.take("orders/updated", payload("order_delivered"))
    assert (await shopify.order())["refunded"] == "15.00"


async def test_a_refund_that_history_knew_as_a_sum_is_not_told_twice(shopify: Connected) -> None:
    body = {
        "source": "SHOPIFY",
        "shop": shopify.shop,
        "externalId": "5500000001001",
        "total": "82.40",
        "status": "confirmed",
    }
    told(await shopify.api.post("/api/orders", json=body | {"refunded": "20.00"}), 201)
    await shopify.take("orders/updated", payload("order_refunded"))
    assert (await shopify.order())["refunded"] == "20.00"


async def test_a_refund_in_another_currency_than_its_order_is_set_aside(shopify: Connected) -> None:
    await shopify.take("orders/create", payload("order_created"))
    refund = payload("refund_created", refund_line_items=[])
    refund["transactions"][0]["currency"] = "EUR"
    message = await shopify.take("refunds/create", refund)
    assert message["reason"] == "/transactions: is in EUR, and its order in another currency"
    assert (await shopify.order())["refunded"] == "0.00"


# --- customers -------------------------------------------------------------------------------------------------------


async def test_a_customer_comes_with_everything_and_changes_with_the_channel(shopify: Connected) -> None:
    message = await shopify.take("customers/create", payload("customer_created"))
    [ada] = await shopify.customers()
    assert message["customerId"] == ada["id"]
    assert (ada["name"], ada["email"], ada["tags"], ada["country"], ada["source"]) == (
        "Ada Quill", "ada.quill@inkmail.dev", ["letterpress", "newsletter"], "US", "SHOPIFY",
    )  # fmt: skip
    [place] = told(await shopify.api.get(f"/api/customers/{ada['id']}/addresses"))["data"]
    assert place["line1"] == "14 Harbour Row"
    await shopify.take("customers/update", payload("customer_updated"))
    [ada] = await shopify.customers()
    assert (ada["name"], ada["phone"], ada["tags"]) == ("Ada Quill-Moss", "+15035550199", ["letterpress", "vip"])
    await shopify.take("customers/create", payload("customer_created"))
    [ada] = await shopify.customers()
    assert ada["name"] == "Ada Quill-Moss"


async def test_a_customer_told_without_tags_keeps_them(shopify: Connected) -> None:
    """Shopify's payloads of late have no tags; that they are gone is said by an empty text."""
    await shopify.take("customers/create", payload("customer_created"))
    silent = payload("customer_updated")
    del silent["tags"]
    await shopify.take("customers/update", silent)
    [ada] = await shopify.customers()
    assert (ada["name"], ada["tags"]) == ("Ada Quill-Moss", ["letterpress", "newsletter"])
    later = {"updated_at": "2026-11-20T10:00:00Z"}
    await shopify.take("customers/update", payload("customer_updated", **later, tags=""))
    [ada] = await shopify.customers()
    assert ada["tags"] == []


async def test_what_staff_wrote_stays(shopify: Connected) -> None:
    await shopify.take("customers/create", payload("customer_created"))
    [ada] = await shopify.customers()
    change = {"name": "Ada Q.", "tags": ["letterpress", "called"]}
    told(await shopify.api.patch(f"/api/customers/{ada['id']}", json=change))
    await shopify.take("customers/update", payload("customer_updated"))
    [ada] = await shopify.customers()
    assert (ada["name"], ada["phone"], ada["tags"]) == ("Ada Q.", "+15035550199", ["letterpress", "called", "vip"])


async def test_a_customer_told_without_a_time_does_not_let_an_older_version_win(shopify: Connected) -> None:
    await shopify.take("customers/update", payload("customer_updated"))
    await shopify.take("customers/update", payload("customer_updated", updated_at=None, first_name="Adah"))
    await shopify.take("customers/create", payload("customer_created"))
    [ada] = await shopify.customers()
    assert ada["name"].startswith("Adah ")


async def test_a_customer_and_their_order_are_one_whichever_comes_first(db: Database) -> None:
    for topics in (("customers/create", "orders/create"), ("orders/create", "customers/create")):
        async with connected(db) as shopify:
            for topic in topics:
                name = "order_created" if topic.startswith("orders") else "customer_created"
                await shopify.take(topic, payload(name))
            [ada] = await shopify.customers()
            assert (ada["orderCount"], ada["tags"]) == (1, ["letterpress", "newsletter"])


async def test_an_email_that_somebody_holds_is_never_taken_from_them(shopify: Connected) -> None:
    holder = await make_customer(shopify.api, name="Bea Holm", email="bea@inkmail.dev")
    await shopify.take("customers/create", payload("customer_created"))
    await shopify.take("customers/update", payload("customer_updated", email="bea@inkmail.dev"))
    found = {c["name"]: c["email"] for c in await shopify.customers()}
    assert found == {"Bea Holm": "bea@inkmail.dev", "Ada Quill-Moss": "ada.quill@inkmail.dev"}
    [pair] = told(await shopify.api.get(f"/api/duplicates?customerId={holder['id']}"))["data"]
    assert {pair["a"]["name"], pair["b"]["name"]} == {"Bea Holm", "Ada Quill-Moss"}


# --- failing ---------------------------------------------------------------------------------------------------------


async def _fail_on(monkeypatch: pytest.MonkeyPatch, bad: str, error: Exception) -> list[int]:
    """Makes taking in raise where an order of this id is among others; returns the sizes of the batches tried."""
    sizes: list[int] = []
    take_in = orders.take_in

    async def failing(tx: Tx, told: Sequence[ChannelOrder]) -> Any:
        sizes.append(len(told))
        taken = await take_in(tx, told)
        if any(order.external_id == bad for order in told):
            raise error
        return taken

    monkeypatch.setattr(commands.orders, "take_in", failing)
    return sizes


async def _keep_orders(shopify: Connected, count: int) -> None:
    """Orders 1 to `count`, each of a buyer of its own, as if they had come over HTTP."""
    async with shopify.db.tx(shopify.workspace.id) as tx:
        for n in range(1, count + 1):
            order = payload(
                "order_created", id=n, name=f"#{n}", email=f"b{n}@inkmail.dev", customer=None, phone=f"+1503555{n:04}"
            )
            await commands.keep(tx, [arrived(shopify, str(n), "orders/create", json.dumps(order).encode())])


async def _all_due(shopify: Connected) -> None:
    async with shopify.db.tx(shopify.workspace.id) as tx:
        await tx.run("update inbox_message set due_at = now() where workspace_id = $1 and status = 'pending'")


async def test_one_that_fails_stops_no_neighbour_and_is_set_aside_after_five_attempts(
    shopify: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _keep_orders(shopify, 450)
    monkeypatch.setattr(commands, "RETRY", Backoff(first_s=600))
    sizes = await _fail_on(monkeypatch, "42", RuntimeError("it does not like me, bea@inkmail.dev"))
    await shopify.work()
    assert await shopify.counts() == {"applied": 449, "pending": 1}
    assert len(sizes) < 25
    [message] = await shopify.messages(status="pending")
    assert (message["attempts"], message["reason"]) == (1, "RuntimeError: it does not like me, (email)")
    for attempt in range(2, 6):
        assert await jobs.work_off(shopify.db, shopify.workspace.id) == 0, "it waits before it is tried again"
        await _all_due(shopify)
        await shopify.work()
        [message] = await shopify.messages(status="pending" if attempt < 5 else "dead")
        assert message["attempts"] == attempt
    monkeypatch.undo()
    replayed = told(await shopify.api.post(f"/api/inbox/{message['id']}/replay"))
    assert (replayed["status"], replayed["attempts"], replayed["reason"]) == ("pending", 0, None)
    await shopify.work()
    assert await shopify.counts() == {"applied": 450}


async def test_what_ends_its_worker_each_time_is_set_aside_and_takes_no_neighbour_with_it(
    shopify: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _keep_orders(shopify, 450)
    # A process that ends rolls back its transaction and runs nothing more; nothing here catches a KeyboardInterrupt.
    sizes = await _fail_on(monkeypatch, "42", KeyboardInterrupt())  # pyright: ignore[reportArgumentType]
    ended = 0
    while (await shopify.counts())["pending"]:
        try:
            await jobs.work_off(shopify.db, shopify.workspace.id)
        except KeyboardInterrupt:
            ended += 1
    assert ended == 5
    assert sizes[0] == 450
    assert await shopify.counts() == {"applied": 449, "dead": 1}
    [dead] = await shopify.messages(status="dead")
    assert dead["reason"] == "the worker ended in each of 5 attempts"


async def test_when_all_fails_it_is_tried_again_and_nobody_is_set_aside_for_the_neighbours(
    shopify: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _keep_orders(shopify, 150)

    async def failing(tx: Tx, told: Sequence[ChannelOrder]) -> Any:
        raise RuntimeError("out of order")

    monkeypatch.setattr(commands.orders, "take_in", failing)
    await shopify.work()
    assert await shopify.counts() == {"pending": 150}
    monkeypatch.undo()
    await _all_due(shopify)
    await shopify.work()
    assert await shopify.counts() == {"applied": 150}


async def test_a_connection_that_breaks_at_any_moment_loses_and_doubles_nothing(
    db: Database, owner: "asyncpg.Connection[asyncpg.Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    run, column = Tx.run, Tx.column
    moment = broken = 0
    while moment == broken:
        async with connected(db) as shopify:
            await _keep_orders(shopify, 3)
            await shopify.send("refunds/create", payload("refund_created", order_id=2))
            seen, moment = 0, moment + 1

            def counted(statement: Any, moment: int = moment) -> Any:
                async def breaking(tx: Tx, sql: str, *args: object) -> Any:
                    nonlocal seen, broken
                    seen += 1
                    if seen == moment:
                        broken += 1
                        pid = await tx.value("select pg_backend_pid() where $1::uuid is not null")
                        await owner.execute("select pg_terminate_backend($1, 5000)", pid)
                    return await statement(tx, sql, *args)

                return breaking

            monkeypatch.setattr(Tx, "run", counted(run))
            monkeypatch.setattr(Tx, "column", counted(column))
            try:
                await jobs.work_off(db, shopify.workspace.id)
            except Exception as error:
                assert is_outage(error)
            monkeypatch.undo()
            await shopify.work()
            assert await shopify.counts() == {"applied": 4}
            found = told(await shopify.api.get("/api/orders"))["data"]
            assert sorted((o["total"], o["refunded"], o["version"]) for o in found) == [
                ("82.40", "0.00", 1), ("82.40", "0.00", 1), ("82.40", "15.00", 2),
            ]  # fmt: skip
            assert [c["ordersCount"] for c in await shopify.customers()] == [1, 1, 1]
    assert broken > 10


async def test_one_drain_is_at_a_workspace_and_a_second_does_nothing(shopify: Connected) -> None:
    await shopify.send("orders/create", payload("order_created"))
    async with shopify.db.tx(shopify.workspace.id) as tx:
        assert await commands.hold(tx)
        assert await jobs.work_off(shopify.db, shopify.workspace.id) == 0
    assert await shopify.counts() == {"pending": 1}
    done = await asyncio.gather(*(jobs.work_off(shopify.db, shopify.workspace.id) for _ in range(4)))
    assert sum(done) == 1
    assert await shopify.counts() == {"applied": 1}


# --- duplicates and disorder -----------------------------------------------------------------------------------------


async def test_the_same_message_ten_times_by_eight_clients_has_one_effect(shopify: Connected) -> None:
    raw = json.dumps(payload("order_created")).encode()
    headers = shopify.headers("orders/create", raw)

    async def client() -> set[int]:
        path = f"/hooks/channels/{shopify.id}"
        return {(await shopify.api.post(path, content=raw, headers=headers)).status_code for _ in range(10)}

    drains = [jobs.work_off(shopify.db, shopify.workspace.id) for _ in range(3)]
    codes = await asyncio.gather(*(client() for _ in range(8)))
    await asyncio.gather(*drains)
    await shopify.work()
    assert codes == [{202}] * 8
    assert await shopify.counts() == {"applied": 1}
    [buyer] = await shopify.customers()
    assert (buyer["ordersCount"], buyer["totalSpent"]) == (1, "82.40")


LIFE: list[tuple[str, str, Json]] = [
    ("orders/create", "order_created", {"financial_status": "pending", "updated_at": "2026-03-01T18:00:00Z"}),
    ("orders/paid", "order_created", {"updated_at": "2026-03-01T18:00:02Z"}),
    (
        "orders/updated",
        "order_created",
        {"updated_at": "2026-03-01T19:00:02Z", "total_price": "90.00", "note": "More ink."},
    ),
    ("orders/fulfilled", "order_fulfilled", {"total_price": "90.00"}),
    ("orders/updated", "order_delivered", {"total_price": "90.00"}),
    ("refunds/create", "refund_created", {}),
    ("orders/updated", "order_refunded", {"total_price": "90.00"}),
    ("customers/create", "customer_created", {}),
    ("customers/update", "customer_updated", {}),
]


async def _after(shopify: Connected, life: Sequence[int], cuts: set[int]) -> tuple[Any, ...]:
    """Orders, customers and figures once these messages came in this order, drained at these cuts."""
    for place, n in enumerate(life):
        topic, name, over = LIFE[n]
        await shopify.send(topic, payload(name, **over), X_Shopify_Webhook_Id=str(n), X_Shopify_Event_Id=str(n))
        if place in cuts:
            await shopify.work()
    await shopify.work()
    async with shopify.db.tx(shopify.workspace.id) as tx:
        assert (await analytics.reconcile(tx))[1] == []
    [order], [who] = told(await shopify.api.get("/api/orders"))["data"], await shopify.customers()
    return (
        {name: order[name] for name in ("status", "financialStatus", "total", "refunded", "deliveredAt", "placedAt")},
        {
            name: who[name]
            for name in ("email", "totalSpent", "lifetimeValue", "orderCount", "totalOrders", "ordersCount")
        },
        await shopify.counts(),
    )


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], derandomize=True
)
@given(
    life=st.permutations(range(len(LIFE))),
    again=st.lists(st.integers(0, len(LIFE) - 1), max_size=4),
    cuts=st.sets(st.integers(0, len(LIFE) + 3)),
)
def test_a_life_in_any_order_ends_as_the_sorted_one(
    db: Database, life: list[int], again: list[int], cuts: set[int], request: pytest.FixtureRequest
) -> None:
    async def both() -> None:
        async with connected(db) as one, connected(db) as other:
            found = await _after(one, [*life, *again], cuts)
            assert found == await _after(other, range(len(LIFE)), set())
            order, who, counts = found
            assert (order["status"], order["refunded"], order["total"]) == ("delivered", "15.00", "90.00")
            assert (who["lifetimeValue"], counts) == ("75.00", {"applied": len(LIFE)})

    _run(request, both())


def _run(request: pytest.FixtureRequest, what: Any) -> None:
    runner = request.getfixturevalue("_session_scoped_runner")
    runner.run(what)


# --- replay and forgetting -------------------------------------------------------------------------------------------


async def test_many_are_replayed_by_filter_and_nothing_is_done_twice(shopify: Connected) -> None:
    for n in range(1, 6):
        await shopify.send("orders/create", payload("order_created", id=n))
    await shopify.send("products/update", {"id": 1})
    await shopify.work()
    before = await shopify.customers()
    body = {"status": "applied", "topic": "orders/create", "connectionId": str(shopify.id)}
    assert told(await shopify.api.post("/api/inbox/replay", json=body)) == {"replayed": 5, "more": False}
    assert await shopify.counts() == {"pending": 5, "ignored": 1}
    [row, *_] = told(await shopify.api.get("/api/audit?action=inbox.replay_many"))["data"]
    assert row["changes"][0]["new"] == "pending, with 4 others"
    await shopify.work()
    assert await shopify.counts() == {"applied": 5, "ignored": 1}
    assert await shopify.customers() == before
    nothing = {"status": "applied", "receivedFrom": "2999-01-01T00:00:00"}
    assert told(await shopify.api.post("/api/inbox/replay", json=nothing)) == {"replayed": 0, "more": False}
    assert told(await shopify.api.post("/api/inbox/replay", json={})) == {"replayed": 0, "more": False}


async def test_another_workspaces_messages_are_not_there(db: Database, shopify: Connected) -> None:
    message = await shopify.take("orders/create", payload("order_created"))
    async with connected(db) as other:
        for path in ("", "/body"):
            told(await other.api.get(f"/api/inbox/{message['id']}{path}"), 404)
        told(await other.api.post(f"/api/inbox/{message['id']}/replay"), 404)
        body = {"status": "applied", "ids": [message["id"]]}
        assert told(await other.api.post("/api/inbox/replay", json=body))["replayed"] == 0
        assert await other.messages(connectionId=str(shopify.id)) == []


async def test_bodies_are_forgotten_after_thirty_days_unless_somebody_needs_them(
    shopify: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shopify.send("orders/create", payload("order_created"))
    await shopify.send("orders/create", payload("order_created", id=2, total_price="ten"))
    await shopify.send("refunds/create", payload("refund_created", order_id=3))
    await shopify.work()
    later = clock.now() + timedelta(days=31)
    async with shopify.db.tx(shopify.workspace.id) as tx:
        assert await commands.forget_bodies(tx) == 0
        monkeypatch.setattr(commands.clock, "now", lambda: later)
        assert await commands.forget_bodies(tx) == 1
    has_body = {m["topic"] + m["status"]: m["hasBody"] for m in await shopify.messages()}
    assert has_body == {
        "orders/createapplied": False, "orders/createdead": True, "refunds/createpending": True,
    }  # fmt: skip
    [gone] = await shopify.messages(status="applied")
    told(await shopify.api.get(f"/api/inbox/{gone['id']}/body"), 409)
    told(await shopify.api.post(f"/api/inbox/{gone['id']}/replay"), 409)


async def test_the_list_is_narrowed_and_paged(shopify: Connected) -> None:
    for n in range(3):
        await shopify.send("orders/create", payload("order_created", id=n + 1))
    await shopify.send("products/update", {"id": 1})
    await shopify.work()
    assert [m["topic"] for m in await shopify.messages(status="ignored")] == ["products/update"]
    first = told(await shopify.api.get("/api/inbox?limit=3&count=true"))
    assert (len(first["data"]), first["total"]) == (3, 4)
    second = told(await shopify.api.get(f"/api/inbox?limit=3&cursor={first['nextCursor']}"))
    assert [m["topic"] for m in second["data"]] == ["orders/create"]
    assert second["nextCursor"] is None
    now = datetime.now(UTC)
    since = (now - timedelta(minutes=5)).isoformat().replace("+00:00", "Z")
    assert len(await shopify.messages(receivedFrom=since)) == 4
    assert await shopify.messages(receivedTo=since) == []
    told(await shopify.api.get("/api/inbox?colour=red"), 422)
    refused = told(await shopify.api.get("/api/inbox?status=lost"), 422)
    assert refused["errors"][0]["pointer"] == "status"


async def test_a_customers_orders_by_hand_and_by_channel_meet(shopify: Connected) -> None:
    known = await make_customer(shopify.api, name="Ada Quill", email="Ada.Quill@inkmail.dev")
    await make_order(shopify.api, known, total="10.00")
    await shopify.take("orders/create", payload("order_created"))
    [ada] = await shopify.customers()
    assert (ada["id"], ada["orderCount"], ada["totalSpent"]) == (known["id"], 2, "92.40")
