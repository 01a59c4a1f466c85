"""The one question of whoever writes to customers."""

from collections.abc import Sequence

import asyncpg
import httpx
import msgspec
import pytest

from supover.consent import queries
from supover.kit import ids
from supover.kit.db import Database
from tests.consent.test_preferences import choose, path_of, stated
from tests.makers import (
    Json,
    Workspace,
    client,
    make_address,
    make_customer,
    make_key,
    make_workspace,
    pointers,
    told,
)

MANY = "/api/communication-preferences/may-send"


@pytest.fixture
async def ann(api: httpx.AsyncClient) -> Json:
    return await make_customer(api, name="Ann Lee", email="ann@lee.example", phone="+1 503 555 0142", country="US")


async def ask(
    api: httpx.AsyncClient, customer: Json, channel: str = "email", topic: str = "marketing", at: str = ""
) -> Json:
    asked = {"channel": channel, "topic": topic} | ({"at": at} if at else {})
    return told(await api.get(path_of(customer, "/may-send"), params=asked))


def codes(answer: Json) -> Sequence[str]:
    assert answer["allowed"] is not bool(answer["reasons"])
    return [reason["code"] for reason in answer["reasons"]]


async def test_every_topic_but_transactional_needs_its_own_yes(api: httpx.AsyncClient, ann: Json) -> None:
    assert await ask(api, ann) == {
        "customerId": ann["id"],
        "channel": "email",
        "topic": "marketing",
        "allowed": False,
        "reasons": [{"code": "not_subscribed", "message": "The customer was not asked."}],
        "notBefore": None,
    }
    await choose(api, ann, "PENDING", "2026-01-01T00:00:00Z")
    assert codes(await ask(api, ann)) == ["pending"]
    await choose(api, ann, "SUBSCRIBED", "2026-01-02T00:00:00Z")
    assert await ask(api, ann) == {
        "customerId": ann["id"],
        "channel": "email",
        "topic": "marketing",
        "allowed": True,
        "reasons": [],
        "notBefore": None,
    }
    assert codes(await ask(api, ann, topic="surveys")) == ["not_subscribed"]
    assert codes(await ask(api, ann, topic="review_requests")) == ["not_subscribed"]
    assert codes(await ask(api, ann, "sms")) == ["not_subscribed"]


async def test_transactional_messages_go_out_until_they_are_refused(api: httpx.AsyncClient, ann: Json) -> None:
    assert codes(await ask(api, ann, topic="transactional")) == []
    await choose(api, ann, "UNSUBSCRIBED", "2026-01-01T00:00:00Z")
    assert codes(await ask(api, ann, topic="transactional")) == []
    await choose(api, ann, "UNSUBSCRIBED", "2026-01-01T00:00:00Z", topic="transactional")
    assert codes(await ask(api, ann, topic="transactional")) == ["unsubscribed"]
    # Who refuses those of one customer has not refused those of another who has the same mailbox.
    twin = await make_customer(api, email="ann+2@lee.example")
    assert codes(await ask(api, twin, topic="transactional")) == []


async def test_who_unsubscribed_is_left_alone_under_any_name(api: httpx.AsyncClient, ann: Json) -> None:
    twin = await make_customer(api, name="A. Lee", email="ann+shop@lee.example")
    await choose(api, twin, "SUBSCRIBED", "2026-01-01T00:00:00Z")
    await choose(api, ann, "UNSUBSCRIBED", "2026-02-01T00:00:00Z")
    answer = await ask(api, twin)
    assert answer["reasons"] == [
        {"code": "suppressed", "message": "The contact is on the suppression list: unsubscribed."}
    ]
    assert codes(await ask(api, ann)) == ["suppressed", "unsubscribed"]
    # Deleted and made anew, it is still the same mailbox.
    told(await api.delete(f"/api/customers/{ann['id']}"), 204)
    again = await make_customer(api, email="Ann@Lee.example")
    await choose(api, again, "SUBSCRIBED", "2026-01-15T00:00:00Z")
    assert codes(await ask(api, again)) == ["suppressed"]
    # A newer yes by the same mailbox lifts it for all who said yes.
    await choose(api, again, "SUBSCRIBED", "2026-02-02T00:00:00Z")
    assert (codes(await ask(api, again)), codes(await ask(api, twin))) == ([], [])


async def test_a_yes_for_one_mailbox_is_none_for_another(api: httpx.AsyncClient, ann: Json) -> None:
    path = f"/api/customers/{ann['id']}"
    await choose(api, ann, "SUBSCRIBED", "2026-01-01")
    await choose(api, ann, "SUBSCRIBED", "2026-01-01", channel="sms")
    told(await api.patch(path, json={"email": "mover@lee.example", "phone": "+1 503 555 0199"}))
    changed = await ask(api, ann)
    assert changed["reasons"] == [
        {
            "code": "contact_changed",
            "message": "The customer said yes for another contact than the one of now.",
        }
    ]
    assert codes(await ask(api, ann, "sms")) == ["contact_changed"]
    assert codes(await ask(api, ann, topic="transactional")) == []
    document = told(await api.get(path_of(ann)))
    assert (stated(document)["state"], stated(document)["contact"]) == ("SUBSCRIBED", "ann@lee.example")
    assert stated(document, "sms")["contact"] == "+1 503 555 0142"
    found = await api.get("/api/customers", params={"filter": "email_subscription_status = 'SUBSCRIBED'"})
    assert [one["id"] for one in told(found)["data"]] == [ann["id"]]
    # The same choice with the same time is what was said already.
    await choose(api, ann, "SUBSCRIBED", "2026-01-01")
    assert codes(await ask(api, ann)) == ["contact_changed"]
    await choose(api, ann, "SUBSCRIBED", "2026-01-02")
    assert codes(await ask(api, ann)) == []
    # To no mailbox at all nothing was changed, and the first one counts no more.
    told(await api.patch(path, json={"email": None}))
    assert codes(await ask(api, ann)) == ["no_contact"]
    told(await api.patch(path, json={"email": "ann@lee.example"}))
    assert codes(await ask(api, ann)) == ["contact_changed"]


async def test_another_spelling_of_a_contact_is_the_same_contact(api: httpx.AsyncClient) -> None:
    bob = await make_customer(api, name="Bob", email="bob.lee@gmail.com", phone="020 7946 0018", country="GB")
    for channel in ("email", "sms"):
        await choose(api, bob, "SUBSCRIBED", channel=channel)
    respelt = {"email": "BobLee+shop@Gmail.com", "phone": "+44 20 7946 0018"}
    told(await api.patch(f"/api/customers/{bob['id']}", json=respelt))
    assert codes(await ask(api, bob)) == []
    assert codes(await ask(api, bob, "sms")) == []


async def test_a_no_is_the_customers_whatever_the_contact(api: httpx.AsyncClient, ann: Json) -> None:
    await choose(api, ann, "UNSUBSCRIBED", "2026-01-01")
    await choose(api, ann, "UNSUBSCRIBED", "2026-01-01", topic="transactional")
    await choose(api, ann, "PENDING", "2026-01-01", topic="surveys")
    told(await api.patch(f"/api/customers/{ann['id']}", json={"email": "mover@lee.example"}))
    assert codes(await ask(api, ann)) == ["unsubscribed"]
    assert codes(await ask(api, ann, topic="transactional")) == ["unsubscribed"]
    assert codes(await ask(api, ann, topic="surveys")) == ["pending"]


async def test_a_yes_for_a_number_that_nobody_could_place_is_for_no_other(api: httpx.AsyncClient) -> None:
    bob = await make_customer(api, name="Bob", phone="020 7946 0018")
    await choose(api, bob, "SUBSCRIBED", channel="sms")
    assert codes(await ask(api, bob, "sms")) == ["contact_not_real"]
    told(await api.patch(f"/api/customers/{bob['id']}", json={"phone": "+44 20 7946 0018"}))
    assert codes(await ask(api, bob, "sms")) == ["contact_changed"]


async def test_a_block_leaves_what_is_needed(api: httpx.AsyncClient, ann: Json) -> None:
    await choose(api, ann, "SUBSCRIBED")
    told(await api.post(f"/api/customers/{ann['id']}/block"))
    assert codes(await ask(api, ann)) == ["blocked"]
    assert codes(await ask(api, ann, topic="transactional")) == []


@pytest.mark.parametrize(
    ("email", "marketing", "transactional"),
    [
        ("p7f3k2@marketplace.amazon.com", ["contact_not_real"], []),
        ("noreply@gmail.com", ["contact_not_real"], ["contact_not_real"]),
    ],
)
async def test_a_relay_takes_what_is_needed_and_a_placeholder_nothing(
    api: httpx.AsyncClient, email: str, marketing: list[str], transactional: list[str]
) -> None:
    bob = await make_customer(api, name="Bob", email=email)
    await choose(api, bob, "SUBSCRIBED")
    assert codes(await ask(api, bob)) == marketing
    assert codes(await ask(api, bob, topic="transactional")) == transactional


async def test_a_contact_must_be_there_still(api: httpx.AsyncClient, ann: Json) -> None:
    await choose(api, ann, "SUBSCRIBED")
    await choose(api, ann, "SUBSCRIBED", channel="whatsapp")
    told(await api.patch(f"/api/customers/{ann['id']}", json={"email": None, "phone": None}))
    assert codes(await ask(api, ann)) == ["no_contact"]
    assert codes(await ask(api, ann, "whatsapp")) == ["no_contact"]
    assert codes(await ask(api, ann, topic="transactional")) == ["no_contact"]


async def test_a_letter_needs_an_address(api: httpx.AsyncClient, ann: Json) -> None:
    await choose(api, ann, "SUBSCRIBED", channel="post")
    assert codes(await ask(api, ann, "post")) == ["no_contact"]
    await make_address(api, ann)
    assert codes(await ask(api, ann, "post")) == []
    assert codes(await ask(api, ann, "post", "transactional")) == []


async def test_quiet_hours_hold_back_all_that_can_wait(api: httpx.AsyncClient, ann: Json) -> None:
    await choose(api, ann, "SUBSCRIBED")
    hours = {"from": "22:00", "to": "08:00", "timezone": "America/New_York"}
    told(await api.patch(path_of(ann), json={"quietHours": hours}))
    night = await ask(api, ann, at="2026-07-02T03:00:00Z")
    assert (codes(night), night["notBefore"]) == (["quiet_hours"], "2026-07-02T12:00:00Z")
    assert codes(await ask(api, ann, at="2026-07-02T12:00:00Z")) == []
    assert codes(await ask(api, ann, at="2026-07-02T01:59:59Z")) == []
    assert codes(await ask(api, ann, at="2026-07-02T02:00:00Z")) == ["quiet_hours"]
    assert codes(await ask(api, ann, topic="transactional", at="2026-07-02T03:00:00Z")) == []
    refused = await ask(api, ann, topic="surveys", at="2026-07-02T03:00:00Z")
    assert (codes(refused), refused["notBefore"]) == (["not_subscribed", "quiet_hours"], None)


async def test_what_cannot_be_asked_is_named(api: httpx.AsyncClient, ann: Json) -> None:
    path = path_of(ann, "/may-send")
    for asked, named in (({"channel": "fax"}, "channel"), ({"topic": "spam"}, "topic"), ({"at": "soon"}, "at")):
        assert pointers(await api.get(path, params=asked)) == [named]
    told(await api.delete(f"/api/customers/{ann['id']}"), 204)
    assert (await api.get(path)).status_code == 404


async def test_many_are_asked_at_once_the_gone_and_unknown_too(
    db: Database, owner: "asyncpg.Connection[asyncpg.Record]", shop: Workspace, api: httpx.AsyncClient, ann: Json
) -> None:
    bob = await make_customer(api, name="Bob", email="bob@lee.example")
    gone = await make_customer(api, name="Gone", email="gone@lee.example")
    twin = await make_customer(api, name="Twin", email="twin@lee.example")
    for customer in (ann, gone, twin):
        await choose(api, customer, "SUBSCRIBED")
    for customer in (gone, twin):
        told(await api.delete(f"/api/customers/{customer['id']}"), 204)
    await owner.execute("update data.customer set merged_into_id = $2 where id = $1", twin["id"], ann["id"])
    asked = [ids.UUID(one["id"]) for one in (bob, ann, gone, twin, ann)] + [ids.new()]
    async with db.reader(shop.id) as reader:
        found = await queries.may_send_many(reader, asked, "email", "marketing")
    assert [one.customer_id for one in found] == asked
    assert [[r.code for r in one.reasons] for one in found] == [
        ["not_subscribed"],
        [],
        ["deleted"],
        ["merged"],
        [],
        ["unknown"],
    ]
    body = {"customerIds": [str(id) for id in asked], "channel": "EMAIL", "topic": "Marketing"}
    answer = told(await api.post(MANY, json=body))
    assert answer == {"data": msgspec.to_builtins(found), "nextCursor": None, "total": None}
    assert answer["data"][1] == await ask(api, ann)
    async with client(db, (await make_workspace(db)).key) as stranger:
        [other] = told(await stranger.post(MANY, json=body | {"customerIds": [ann["id"]]}))["data"]
    assert codes(other) == ["unknown"]
    async with client(db, await make_key(db, shop.id, "orders:read")) as clerk:
        assert (await clerk.post(MANY, json=body)).status_code == 403


async def test_what_cannot_be_asked_of_many_is_named(api: httpx.AsyncClient, ann: Json) -> None:
    body = {"customerIds": [ann["id"]], "channel": "email", "topic": "marketing"}
    wrong: tuple[tuple[Json, list[str]], ...] = (
        ({"customerIds": []}, ["/customerIds"]),
        ({"customerIds": [ann["id"]] * 1001}, ["/customerIds"]),
        ({"customerIds": ["ann"]}, ["/customerIds/0"]),
        ({"channel": "fax", "topic": "spam", "at": "soon"}, ["/channel", "/topic", "/at"]),
        ({"before": "2026-01-01"}, ["/before"]),
    )
    for fields, named in wrong:
        assert pointers(await api.post(MANY, json=body | fields)) == named
    refused = await api.post(MANY, json=body | {"channel": "fax"})
    assert "must be one of email, sms, whatsapp, phone, post" in refused.text
    assert len(told(await api.post(MANY, json=body | {"customerIds": [ann["id"]] * 1000}))["data"]) == 1000
