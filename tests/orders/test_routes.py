"""Orders over HTTP: what a back-end developer of the platform meets."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from supover.kit import clock, ids
from supover.kit.db import Database
from supover.orders import rates as rate_book
from supover.orders.rules import MOVES, STATUSES
from tests.makers import Json, Workspace, client, make_customer, make_order, make_workspace, pointers, settle, told

BODY: Json = {"externalId": "1001", "source": "SHOPIFY", "number": "#1001", "email": "ann@one.com", "name": "Ann Lee",
              "status": "confirmed", "total": "49.90", "currency": "USD", "placedAt": "2026-03-01T10:00:00Z",
              "lines": [{"sku": "MUG", "title": "Mug", "quantity": 2, "unitPrice": "24.95", "properties": {"colour": "red"}}]}  # fmt: skip


async def figures(api: httpx.AsyncClient, db: Database, shop: Workspace, customer: str) -> tuple[Any, ...]:
    await settle(db, shop)
    c = told(await api.get(f"/api/customers/{customer}"))
    return (
        c["orderCount"],
        c["totalSpent"],
        c["totalOrders"],
        c["lifetimeValue"],
        c["ordersCount"],
        c["isRepeatCustomer"],
    )


async def test_an_order_is_taken_in_read_and_counted(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    answer = await api.post("/api/orders", json=BODY)
    order = told(answer, 201)
    assert answer.headers["location"] == f"/api/orders/{order['id']}"
    assert answer.headers["etag"] == '"1"'
    assert told(await api.get(f"/api/orders/{order['id']}")) == order
    assert (order["total"], order["refunded"], order["exchangeRate"], order["placedAt"]) == (
        "49.90",
        "0.00",
        "1",
        "2026-03-01T10:00:00Z",
    )
    [line] = order["lines"]
    assert {k: line[k] for k in ("sku", "quantity", "unitPrice", "properties")} == {
        "sku": "MUG", "quantity": 2, "unitPrice": "24.95", "properties": {"colour": "red"},
    }  # fmt: skip
    assert await figures(api, db, shop, order["customerId"]) == (1, "49.90", 0, "0.00", 1, False)


async def test_the_same_order_again_answers_200_and_changes_nothing(api: httpx.AsyncClient) -> None:
    first = told(await api.post("/api/orders", json=BODY), 201)
    assert told(await api.post("/api/orders", json=BODY), 200) == first


async def test_every_field_that_is_wrong_is_named(api: httpx.AsyncClient) -> None:
    wrong = {"total": "ten", "currency": 5, "status": "lost", "colour": "red", "lines": [{"quantity": "two"}]}
    assert pointers(await api.post("/api/orders", json=wrong)) == [
        "/colour",
        "/status",
        "/currency",
        "/total",
        "/lines/0/quantity",
    ]
    assert pointers(await api.post("/api/orders", json={"total": "-5", "currency": "XXX"})) == ["/currency"]
    assert pointers(await api.post("/api/orders", json={"total": "-5.00"})) == ["/total"]
    assert pointers(await api.post("/api/orders", json={"total": "1" + "0" * 400})) == ["/total"]
    assert pointers(await api.post("/api/orders", json={"total": "5", "refunded": "6"})) == ["/refunded"]
    assert pointers(await api.post("/api/orders", json={"total": "5", "placedAt": "2999-01-01T00:00:00Z"})) == [
        "/placedAt"
    ]
    assert pointers(await api.post("/api/orders", json={"total": "5", "customerId": str(ids.new())})) == ["/customerId"]
    assert told(await api.get("/api/orders?count=true"))["total"] == 0


async def test_a_time_without_a_zone_is_the_workspaces(db: Database) -> None:
    london = await make_workspace(db, "GBP", "Europe/London")
    async with client(db, london.key) as api:
        order = told(await api.post("/api/orders", json={"total": "5", "placedAt": "2026-07-01T10:00:00"}), 201)
    assert (order["placedAt"], order["currency"]) == ("2026-07-01T09:00:00Z", "GBP")


@pytest.mark.parametrize("start", STATUSES)
async def test_statuses_move_by_one_table(api: httpx.AsyncClient, start: str) -> None:
    for to in STATUSES:
        order = await make_order(api, status=start)
        answer = await api.patch(f"/api/orders/{order['id']}", json={"status": to})
        if to == start or to in MOVES[start]:  # pyright: ignore[reportArgumentType]
            assert told(answer)["status"] == to
        else:
            assert told(answer, 409)["orderStatus"] == start
            assert told(await api.get(f"/api/orders/{order['id']}")) == order


async def test_delivering_cancelling_and_refunding_change_the_value(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(api)
    first, second, third = [await make_order(api, ann) for _ in range(3)]
    delivered = told(await api.post(f"/api/orders/{first['id']}/deliver", json={"deliveredAt": "2026-10-01T00:00:00Z"}))
    assert (delivered["status"], delivered["deliveredAt"]) == ("delivered", "2026-10-01T00:00:00Z")
    await api.post(f"/api/orders/{second['id']}/deliver", json={})
    assert (
        told(await api.post(f"/api/orders/{third['id']}/cancel", json={"reason": "changed her mind"}))["status"]
        == "cancelled"
    )
    assert await figures(api, db, shop, ann["id"]) == (2, "20.00", 2, "20.00", 3, True)
    assert told(await api.post(f"/api/orders/{first['id']}/refund", json={"amount": "2.50"}))["refunded"] == "2.50"
    assert await figures(api, db, shop, ann["id"]) == (2, "17.50", 2, "17.50", 3, True)
    assert told(await api.post(f"/api/orders/{first['id']}/refund", json={}))["refunded"] == "10.00"
    assert await figures(api, db, shop, ann["id"]) == (2, "10.00", 2, "10.00", 3, True)


async def test_delivering_and_cancelling_twice_change_nothing(api: httpx.AsyncClient) -> None:
    order = await make_order(api)
    first = told(await api.post(f"/api/orders/{order['id']}/deliver", json={}))
    assert told(await api.post(f"/api/orders/{order['id']}/deliver", json={})) == first
    told(await api.post(f"/api/orders/{order['id']}/cancel", json={}), 409)
    other = await make_order(api)
    gone = told(await api.post(f"/api/orders/{other['id']}/cancel", json={}))
    assert told(await api.post(f"/api/orders/{other['id']}/cancel", json={})) == gone


async def test_a_refund_is_noted_once_and_never_more_than_was_paid(api: httpx.AsyncClient) -> None:
    order = await make_order(api)
    path = f"/api/orders/{order['id']}/refund"
    assert told(await api.post(path, json={"amount": "4.00", "externalId": "r1"}))["refunded"] == "4.00"
    assert told(await api.post(path, json={"amount": "4.00", "externalId": "r1"}))["refunded"] == "4.00"
    assert told(await api.post(path, json={"amount": "6.01"}), 409)["refundable"] == "6.00"
    for amount in ("0", "-1", "0.001"):
        assert pointers(await api.post(path, json={"amount": amount})) == ["/amount"]
    assert told(await api.post(path, json={}))["refunded"] == "10.00"
    assert pointers(await api.post(path, json={})) == ["/amount"]


async def test_an_order_is_held_and_released(api: httpx.AsyncClient) -> None:
    order = await make_order(api)
    held = told(await api.patch(f"/api/orders/{order['id']}", json={"onHold": True, "holdReason": "check the address"}))
    assert (held["onHold"], held["holdReason"]) == (True, "check the address")
    assert [o["id"] for o in told(await api.get("/api/orders?onHold=true"))["data"]] == [order["id"]]
    released = told(await api.patch(f"/api/orders/{order['id']}", json={"onHold": False}))
    assert (released["onHold"], released["holdReason"]) == (False, None)


async def test_an_order_given_to_another_customer_moves_its_value_and_says_who_did_it(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann, bob = await make_customer(api, name="Ann"), await make_customer(api, name="Bob")
    order = await make_order(api, ann)
    await api.patch(f"/api/orders/{order['id']}", json={"customerId": bob["id"]})
    assert (await figures(api, db, shop, ann["id"]))[:2] == (0, "0.00")
    assert (await figures(api, db, shop, bob["id"]))[:2] == (1, "10.00")
    why = told(await api.get(f"/api/orders/{order['id']}/identity"))
    assert (why["customerId"], why["method"], why["evidence"]["former"], len(why["history"])) == (
        bob["id"],
        "customer_id",
        ann["id"],
        1,
    )
    assert pointers(await api.patch(f"/api/orders/{order['id']}", json={"customerId": str(ids.new())})) == [
        "/customerId"
    ]


async def test_a_stale_version_is_refused_and_changes_nothing(api: httpx.AsyncClient) -> None:
    order = await make_order(api)
    changed = told(await api.patch(f"/api/orders/{order['id']}", json={"note": "first"}, headers={"If-Match": '"1"'}))
    assert changed["version"] == 2
    told(await api.patch(f"/api/orders/{order['id']}", json={"note": "second"}, headers={"If-Match": '"1"'}), 412)
    told(await api.post(f"/api/orders/{order['id']}/cancel", json={}, headers={"If-Match": '"1"'}), 412)
    assert told(await api.get(f"/api/orders/{order['id']}")) == changed


async def test_an_order_of_nobody_waits_for_review_until_it_is_given_to_somebody(api: httpx.AsyncClient) -> None:
    order = await make_order(api)
    assert order["customerId"] is None
    assert [o["id"] for o in told(await api.get("/api/orders?needsReview=true"))["data"]] == [order["id"]]
    ann = await make_customer(api)
    await api.patch(f"/api/orders/{order['id']}", json={"customerId": ann["id"]})
    assert told(await api.get("/api/orders?needsReview=true"))["data"] == []


async def test_an_unknown_rate_keeps_an_order_out_of_the_figures_until_it_is_known(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(api)
    order = await make_order(
        api, ann, currency="EUR", total="100.00", status="delivered", placed_at="2026-03-10T12:00:00Z"
    )
    await make_order(api, ann, status="delivered")
    assert order["exchangeRate"] is None
    assert [o["id"] for o in told(await api.get("/api/orders?rateMissing=true"))["data"]] == [order["id"]]
    assert await figures(api, db, shop, ann["id"]) == (1, "10.00", 1, "10.00", 2, False)
    by_currency = told(await api.get(f"/api/customers/{ann['id']}"))["byCurrency"]
    assert {c: v["spent"] for c, v in by_currency.items()} == {"EUR": "100.00", "USD": "10.00"}
    kept = told(
        await api.put("/api/rates", json={"rates": [{"currency": "EUR", "date": "2026-03-02", "rate": "1.0832"}]})
    )
    assert kept == {"kept": 1, "ordersWithoutRate": 1}
    async with db.tx(shop.id) as tx:
        assert await rate_book.apply(tx) == 1
    assert await figures(api, db, shop, ann["id"]) == (2, "118.32", 2, "118.32", 2, True)
    assert told(await api.get("/api/orders?rateMissing=true"))["data"] == []


async def test_a_later_rate_does_not_change_what_was_counted(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(api)
    day = {"currency": "EUR", "date": "2026-03-02"}
    await api.put("/api/rates", json={"rates": [day | {"rate": "1.10"}]})
    await make_order(api, ann, currency="EUR", total="100.00", placed_at="2026-03-10T12:00:00Z")
    await api.put("/api/rates", json={"rates": [day | {"rate": "2.00"}]})
    async with db.tx(shop.id) as tx:
        assert await rate_book.apply(tx) == 0
    assert (await figures(api, db, shop, ann["id"]))[1] == "110.00"


async def test_a_rate_older_than_a_month_is_no_rate(api: httpx.AsyncClient) -> None:
    await api.put("/api/rates", json={"rates": [{"currency": "EUR", "date": "2026-01-01", "rate": "1.10"}]})
    assert (await make_order(api, currency="EUR", placed_at="2026-02-01T12:00:00Z"))["exchangeRate"] == "1.1"
    assert (await make_order(api, currency="EUR", placed_at="2026-02-02T12:00:00Z"))["exchangeRate"] is None


async def test_wrong_rates_are_named(api: httpx.AsyncClient) -> None:
    rates = [
        {"currency": "USD", "date": "2026-01-01", "rate": "1"},
        {"currency": "QQQ", "date": "2026-01-01", "rate": "0"},
    ]
    assert pointers(await api.put("/api/rates", json={"rates": rates})) == [
        "/rates/0/currency",
        "/rates/1/currency",
        "/rates/1/rate",
    ]
    assert pointers(await api.put("/api/rates", json={"rates": []})) == ["/rates"]


async def test_a_batch_takes_the_good_ones_and_names_the_bad_ones(api: httpx.AsyncClient) -> None:
    rows = [
        BODY,
        {"total": "x"},
        BODY | {"externalId": "1002", "status": "delivered"},
        BODY,
        {"total": "5", "currency": "QQQ"},
    ]
    answer = told(await api.post("/api/orders/batch", json={"orders": rows}))
    assert [r["status"] for r in answer["rows"]] == ["created", "failed", "created", "unchanged", "failed"]
    assert {k: answer[k] for k in ("created", "updated", "unchanged", "failed")} == {
        "created": 2,
        "updated": 0,
        "unchanged": 1,
        "failed": 2,
    }
    assert [e["pointer"] for e in answer["rows"][1]["errors"]] == ["/orders/1/total"]
    assert [e["pointer"] for e in answer["rows"][4]["errors"]] == ["/orders/4/currency"]
    assert answer["rows"][0]["customerId"] == answer["rows"][2]["customerId"]
    assert pointers(await api.post("/api/orders/batch", json={"orders": []})) == ["/orders"]
    too_many: list[Json] = [{}] * 1001
    assert pointers(await api.post("/api/orders/batch", json={"orders": too_many})) == ["/orders"]


async def test_the_list_filters_sorts_and_pages(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api)
    made = [
        await make_order(api, ann, external_id=str(n), number=f"#10{n:02}", total=f"{n}.00", source="ETSY" if n % 2 else "SHOPIFY",
                         placed_at=f"2026-03-{n:02}T12:00:00Z")
        for n in range(1, 8)
    ]  # fmt: skip

    async def found(query: str) -> list[str]:
        return [o["externalId"] for o in told(await api.get(f"/api/orders?{query}"))["data"]]

    assert await found("") == ["7", "6", "5", "4", "3", "2", "1"]
    assert await found("sort=total&limit=3") == ["1", "2", "3"]
    assert await found("source=ETSY&sort=placedAt") == ["1", "3", "5", "7"]
    assert await found("placedFrom=2026-03-02T12:00:00Z&placedTo=2026-03-04T12:00:00") == ["3", "2"]
    assert await found("number=%231003") == ["3"]
    assert await found("number=%2310") == ["7", "6", "5", "4", "3", "2", "1"]
    assert await found("minTotal=2&maxTotal=3") == ["3", "2"]
    assert await found("status=confirmed&status=delivered&limit=1") == ["7"]
    assert await found(f"customerId={ids.new()}") == []
    assert await found("page=2&limit=3") == ["4", "3", "2"]
    seen: list[str] = []
    link = f"/api/customers/{ann['id']}/orders?limit=3&count=true"
    while link:
        answer = await api.get(link)
        page = told(answer)
        assert page["total"] == 7
        seen += [o["externalId"] for o in page["data"]]
        link = answer.links["next"]["url"] if "next" in answer.links else ""
    assert seen == ["7", "6", "5", "4", "3", "2", "1"]
    assert pointers(await api.get("/api/orders?sort=colour")) == ["sort"]
    assert pointers(await api.get("/api/orders?limit=201")) == ["limit"]
    told(await api.get("/api/orders?cursor=abc"), 400)
    assert len(made) == 7


async def test_an_idempotency_key_is_answered_once(api: httpx.AsyncClient) -> None:
    body = {"total": "5.00", "email": "ann@one.com"}
    first = await api.post("/api/orders", json=body, headers={"Idempotency-Key": "k1"})
    again = await api.post("/api/orders", json=body, headers={"Idempotency-Key": "k1"})
    assert told(again, 201) == told(first, 201)
    assert again.headers["idempotent-replayed"] == "true"
    told(await api.post("/api/orders", json={"total": "6.00"}, headers={"Idempotency-Key": "k1"}), 422)
    assert told(await api.get("/api/orders?count=true"))["total"] == 1


async def test_reading_an_unknown_order_is_404(api: httpx.AsyncClient) -> None:
    for path in (
        f"/api/orders/{ids.new()}",
        f"/api/orders/{ids.new()}/identity",
        "/api/orders/17",
        f"/api/customers/{ids.new()}/orders",
    ):
        told(await api.get(path), 404)


async def test_changed_counting_statuses_recount_everybody(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(api)
    await make_order(api, ann, status="pending")
    assert (await figures(api, db, shop, ann["id"]))[:2] == (0, "0.00")
    told(await api.patch("/api/workspace", json={"countingStatuses": ["pending", "confirmed"]}))
    assert (await figures(api, db, shop, ann["id"]))[:2] == (1, "10.00")


async def test_yen_have_no_digits(db: Database) -> None:
    tokyo = await make_workspace(db, "JPY", "Asia/Tokyo")
    async with client(db, tokyo.key) as api:
        ann = await make_customer(api)
        order = await make_order(api, ann, total="1250")
        assert (order["total"], order["currency"]) == ("1250", "JPY")
        await settle(db, tokyo)
        assert Decimal(told(await api.get(f"/api/customers/{ann['id']}"))["totalSpent"]) == 1250
        assert told(await api.get(f"/api/customers/{ann['id']}"))["totalSpent"] == "1250"


async def test_a_refund_cannot_take_the_name_of_what_is_left_unexplained(api: httpx.AsyncClient) -> None:
    order = await make_order(api, total="10.00")
    refused = await api.post(f"/api/orders/{order['id']}/refund", json={"amount": "1.00", "externalId": "total"})
    assert pointers(refused) == ["/externalId"]
    assert told(await api.get(f"/api/orders/{order['id']}"))["refunded"] == "0.00"


async def test_a_version_from_the_future_is_refused(api: httpx.AsyncClient) -> None:
    body = {"externalId": "1", "total": "5.00", "placedAt": "2026-03-01T10:00:00Z"}
    soon = clock.now() + timedelta(hours=23)
    told(await api.post("/api/orders", json=body | {"updatedAt": soon.isoformat()}), 201)
    later = clock.now() + timedelta(hours=25)
    refused = await api.post("/api/orders", json=body | {"externalId": "2", "updatedAt": later.isoformat()})
    assert pointers(refused) == ["/updatedAt"]
