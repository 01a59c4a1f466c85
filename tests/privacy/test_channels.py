"""What Shopify asks for on behalf of people is answered."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from supover.kit.db import Database
from tests.inbox.arrange import Connected, connected, payload
from tests.makers import Json, make_address, make_customer, make_order, settle, told
from tests.privacy.arrange import dump, mentions, stored, work

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

ADA = ("ada.quill", "inkmail", "quill", "5035550142", "cannery")
DEMO = "demo.myshopify.com"
REQUESTED = {
    "shop_id": 954889,
    "shop_domain": "demo.myshopify.com",
    "orders_requested": [5500000001001],
    "customer": {"id": 7300000000101, "email": "ada.quill@inkmail.dev", "phone": "+15035550142"},
    "data_request": {"id": 9999},
}


async def _requests(shopify: Connected, **params: str) -> list[Json]:
    return told(await shopify.api.get("/api/privacy/requests", params=params))["data"]


@pytest.mark.parametrize("topic", ["customers/data_request", "customers/redact", "shop/redact"])
async def test_who_does_not_sign_is_refused_and_nothing_is_kept(db: Database, topic: str) -> None:
    async with connected(db, shop=DEMO) as shopify:
        body = {"customers/data_request": REQUESTED}.get(topic) or payload(topic.replace("s/", "_").replace("/", "_"))
        answer = await shopify.send(topic, body, **{"X-Shopify-Hmac-Sha256": "AAAA"})
        assert answer.status_code == 401
        assert await shopify.messages() == []
        assert await _requests(shopify) == []


async def test_a_data_request_becomes_an_export_that_staff_find_with_its_day(db: Database, owner: "Connection") -> None:
    async with connected(db, shop=DEMO) as shopify:
        await shopify.take("customers/create", payload("customer_created"))
        [ada] = await shopify.customers()
        message = await shopify.take("customers/data_request", REQUESTED)
        assert (message["status"], message["customerId"]) == ("applied", ada["id"])
        [request] = await _requests(shopify, sort="dueAt")
        assert (request["kind"], request["origin"], request["customerId"]) == ("export", "channel", ada["id"])
        assert request["dueAt"] > request["createdAt"]
        await work(db, owner, shopify.workspace, "privacy.%")
        [request] = await _requests(shopify)
        assert (request["status"], [f["format"] for f in request["files"]]) == ("completed", ["json", "html"])
        await shopify.api.post(f"/api/inbox/{message['id']}/replay")
        await shopify.work()
        assert len(await _requests(shopify)) == 1


async def test_a_redaction_erases_by_id_and_a_replay_does_nothing(db: Database, owner: "Connection") -> None:
    async with connected(db, shop=DEMO) as shopify:
        await shopify.take("orders/create", payload("order_created"))
        order = await shopify.order()
        await shopify.take("customers/redact", payload("customer_redact"))
        await work(db, owner, shopify.workspace, "privacy.%")
        await shopify.take("customers/redact", payload("customer_redact"))
        await work(db, owner, shopify.workspace, "privacy.%")
        first, *others = reversed(await _requests(shopify))
        assert (first["status"], first["customerId"]) == ("completed", order["customerId"])
        assert {one["status"] for one in others} == {"completed"}
        assert mentions(await dump(owner, shopify.workspace.id), ADA) == []
        assert (await shopify.order())["total"] == order["total"]
        await settle(db, shopify.workspace)


async def test_a_redaction_of_who_is_known_by_email_alone_finds_them(db: Database, owner: "Connection") -> None:
    async with connected(db, shop=DEMO) as shopify:
        known = await make_customer(shopify.api, name="Ada", email="Ada.Quill@inkmail.dev")
        await shopify.take(
            "customers/redact",
            payload("customer_redact", customer={"email": "ada.quill@inkmail.dev"}, orders_to_redact=[]),
        )
        await work(db, owner, shopify.workspace, "privacy.%")
        [request] = await _requests(shopify)
        assert (request["customerId"], request["status"]) == (known["id"], "completed")


async def test_anothers_account_of_the_same_shop_is_not_meant_by_its_email(db: Database, owner: "Connection") -> None:
    async with connected(db, shop=DEMO) as shopify:
        await shopify.take("customers/create", payload("customer_created"))
        [ada] = await shopify.customers()
        gone = payload("customer_redact", customer={"id": 1, "email": "ada.quill@inkmail.dev"}, orders_to_redact=[])
        await shopify.take("customers/redact", gone)
        await work(db, owner, shopify.workspace, "privacy.%")
        assert (await shopify.customers())[0]["id"] == ada["id"]
        [request] = await _requests(shopify)
        assert (request["customerId"], request["status"]) == (None, "completed")


async def test_who_is_unknown_and_to_be_forgotten_stays_out(db: Database, owner: "Connection") -> None:
    async with connected(db, shop=DEMO) as shopify:
        await shopify.take("customers/redact", payload("customer_redact"))
        await work(db, owner, shopify.workspace, "privacy.%")
        late = await shopify.take("customers/create", payload("customer_created"))
        assert (late["status"], late["hasBody"]) == ("ignored", False)
        await shopify.take("orders/create", payload("order_created"))
        order = await shopify.order()
        assert (order["customerId"], order["email"], order["needsReview"]) == (None, None, False)
        assert await shopify.customers() == []
        assert mentions(await dump(owner, shopify.workspace.id), ADA) == []


async def test_a_topic_that_is_not_the_bodys_is_refused(db: Database) -> None:
    async with connected(db, shop=DEMO) as shopify:
        for topic, body in (
            ("customers/redact", REQUESTED),
            ("shop/redact", payload("customer_redact")),
            ("customers/data_request", payload("customer_redact")),
            (
                "customers/redact",
                payload("customer_redact", shop_domain="other.myshopify.com", customer={"email": "a@b.example"}),
            ),
            ("shop/redact", payload("shop_redact", shop_domain="other.myshopify.com")),
        ):
            message = await shopify.take(topic, body)
            assert message["status"] == "dead", topic
        assert await _requests(shopify) == []


async def test_a_shops_redaction_takes_what_came_from_it_and_nobody_else(db: Database, owner: "Connection") -> None:
    async with connected(db, shop=DEMO) as shopify:
        await shopify.take("orders/create", payload("order_created"))
        await shopify.take("orders/create", payload("order_guest"))
        hers = await shopify.order()
        other = await make_customer(shopify.api, name="Grace Hopper", email="grace@navy.example")
        await make_address(shopify.api, other)
        await make_order(shopify.api, other, external_id="keep-1", note="keep this")
        before = {
            t: sorted(r for r in rows if "grace" in r or "keep" in r)
            for t, rows in (await dump(owner, shopify.workspace.id)).items()
        }
        await shopify.take("shop/redact", payload("shop_redact"))
        await work(db, owner, shopify.workspace, "privacy.%")
        after = await dump(owner, shopify.workspace.id)
        [request] = await _requests(shopify)
        assert (request["kind"], request["status"]) == ("erase_shop", "completed")
        assert mentions(after, ADA) == []
        assert {t: sorted(r for r in rows if "grace" in r or "keep" in r) for t, rows in after.items()} == before
        assert [c["id"] for c in await shopify.customers()] == [other["id"]]
        assert (await shopify.order())["total"] == hers["total"]
        assert all(not m["hasBody"] for m in await shopify.messages() if m["topic"] != "shop/redact")
        certificate = told(await shopify.api.get(f"/api/privacy/erasures/{request['id']}"))
        assert certificate["customerIds"] == [hers["customerId"]]


async def test_a_shops_redaction_takes_the_files_in_which_its_customers_stand(
    db: Database, owner: "Connection", folder: Path
) -> None:
    async with connected(db, shop=DEMO) as shopify:
        await shopify.take("orders/create", payload("order_created"))
        asked = {"format": "csv"}
        later = {"Prefer": "respond-async"}
        run = told(await shopify.api.post("/api/customers/export", json=asked, headers=later), 202)
        await work(db, owner, shopify.workspace)
        assert [b"inkmail" in file for file in stored(folder)] == [True]
        await shopify.take("shop/redact", payload("shop_redact"))
        await work(db, owner, shopify.workspace, "privacy.%")
        assert stored(folder) == []
        assert told(await shopify.api.get(f"/api/exports/{run['id']}"))["status"] == "completed"
        [request] = await _requests(shopify)
        assert told(await shopify.api.get(f"/api/privacy/erasures/{request['id']}"))["files"] == 1
