"""Contacts that are not written to, over HTTP."""

import hashlib

import asyncpg
import httpx
import pytest

from supover.kit.db import Database
from tests.consent.test_may_send import ask, codes
from tests.consent.test_preferences import choose
from tests.makers import Json, Workspace, client, logged, make_customer, make_key, make_workspace, pointers, told

PATH = "/api/suppressions"


@pytest.fixture
async def ann(api: httpx.AsyncClient) -> Json:
    return await make_customer(api, name="Ann Lee", email="ann@lee.example", phone="+1 503 555 0142", country="US")


async def listed(api: httpx.AsyncClient, **asked: object) -> list[Json]:
    return told(await api.get(PATH, params=asked))["data"]  # pyright: ignore[reportArgumentType]


async def test_a_bounced_contact_gets_nothing_until_it_is_lifted(
    api: httpx.AsyncClient, ann: Json, db: Database, shop: Workspace
) -> None:
    await choose(api, ann, "SUBSCRIBED")
    answer = await api.post(PATH, json={"contact": " Ann@Lee.example", "reason": "bounced"})
    made = told(answer, 201)
    assert made == {
        "id": made["id"],
        "contact": "Ann@Lee.example",
        "channel": "email",
        "topic": None,
        "reason": "bounced",
        "at": made["at"],
        "actor": made["actor"],
        "createdAt": made["createdAt"],
    }
    assert answer.headers["location"] == f"{PATH}/{made['id']}"
    assert told(await api.get(f"{PATH}/{made['id']}")) == made
    again = await api.post(PATH, json={"contact": "ann+x@lee.example", "channel": "EMAIL", "reason": "BOUNCED"})
    assert told(again, 200) == made
    assert codes(await ask(api, ann)) == ["suppressed"]
    assert codes(await ask(api, ann, topic="transactional")) == ["suppressed"]
    assert codes(await ask(api, ann, "sms", "transactional")) == []
    # A yes does not mend a mailbox.
    await choose(api, ann, "SUBSCRIBED")
    assert codes(await ask(api, ann)) == ["suppressed"]
    told(await api.delete(f"{PATH}/{made['id']}"), 204)
    assert codes(await ask(api, ann)) == []
    assert (await api.get(f"{PATH}/{made['id']}")).status_code == 404
    assert (await api.delete(f"{PATH}/{made['id']}")).status_code == 404
    assert await listed(api) == []
    assert told(await api.post(PATH, json={"contact": "ann@lee.example", "reason": "bounced"}), 201)["id"] == made["id"]
    assert codes(await ask(api, ann)) == ["suppressed"]
    assert await logged(db, shop, "SuppressionAdded") == [
        {"suppressionId": made["id"], "channel": "email", "reason": "bounced"} for _ in range(2)
    ]
    assert len(await logged(db, shop, "SuppressionLifted")) == 1


async def test_an_unsubscribe_is_listed_and_a_yes_takes_it_off(api: httpx.AsyncClient, ann: Json) -> None:
    await choose(api, ann, "UNSUBSCRIBED", "2026-01-02T00:00:00Z")
    [one] = await listed(api, contact="ANN@lee.example")
    assert (one["contact"], one["channel"], one["topic"], one["reason"], one["at"]) == (
        "ann@lee.example",
        "email",
        "marketing",
        "unsubscribed",
        "2026-01-02T00:00:00Z",
    )
    await choose(api, ann, "SUBSCRIBED", "2026-01-01T00:00:00Z")
    assert await listed(api) == [one]
    await choose(api, ann, "SUBSCRIBED", "2026-01-03T00:00:00Z")
    assert await listed(api) == []
    # What is older comes late and brings nothing back.
    await choose(api, ann, "UNSUBSCRIBED", "2026-01-02T12:00:00Z")
    assert await listed(api) == []
    assert codes(await ask(api, ann)) == []


async def test_what_staff_lifted_no_older_word_brings_back(api: httpx.AsyncClient, ann: Json) -> None:
    await choose(api, ann, "UNSUBSCRIBED", "2026-01-02T00:00:00Z")
    [one] = await listed(api)
    told(await api.delete(f"{PATH}/{one['id']}"), 204)
    await choose(api, ann, "UNSUBSCRIBED", "2026-01-03T00:00:00Z")
    assert await listed(api) == []
    assert codes(await ask(api, ann)) == ["unsubscribed"]
    await choose(api, ann, "UNSUBSCRIBED")
    assert [s["id"] for s in await listed(api)] == [one["id"]]


async def test_what_is_suppressed_again_holds_though_the_clock_was_set_back(
    api: httpx.AsyncClient, ann: Json, owner: "asyncpg.Connection[asyncpg.Record]", shop: Workspace
) -> None:
    body = {"contact": "ann@lee.example", "reason": "bounced"}
    made = told(await api.post(PATH, json=body), 201)
    told(await api.delete(f"{PATH}/{made['id']}"), 204)
    # Another server lifted it, and its clock is ahead of ours.
    ahead = "update data.suppression set lifted_at = '2099-01-01T00:00:00Z' where workspace_id = $1"
    await owner.execute(ahead, shop.id)
    again = told(await api.post(PATH, json=body), 201)
    assert (again["id"], again["at"]) == (made["id"], "2099-01-01T00:00:00.000001Z")
    assert await listed(api) == [again]
    assert codes(await ask(api, ann, topic="transactional")) == ["suppressed"]
    told(await api.delete(f"{PATH}/{made['id']}"), 204)
    assert await listed(api) == []


async def test_somebody_may_be_unsubscribed_who_is_no_customer_yet(api: httpx.AsyncClient) -> None:
    body = {"contact": "+44 20 7946 0018", "channel": "sms", "reason": "unsubscribed", "topic": "surveys"}
    made = told(await api.post(PATH, json=body), 201)
    assert (made["contact"], made["topic"]) == ("+44 20 7946 0018", "surveys")
    bob = await make_customer(api, name="Bob", phone="020 7946 0018", country="GB")
    await choose(api, bob, "SUBSCRIBED", "2026-01-01T00:00:00Z", channel="sms", topic="surveys")
    await choose(api, bob, "SUBSCRIBED", "2026-01-01T00:00:00Z", channel="sms")
    assert codes(await ask(api, bob, "sms", "surveys")) == ["suppressed"]
    assert codes(await ask(api, bob, "sms")) == []
    assert codes(await ask(api, bob, "phone", "transactional")) == []
    await choose(api, bob, "SUBSCRIBED", channel="sms", topic="surveys")
    assert codes(await ask(api, bob, "sms", "surveys")) == []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"contact": "nobody"}, ["/contact"]),
        ({"contact": "a@b"}, ["/contact"]),
        ({"contact": "0151 123"}, ["/contact"]),
        ({"contact": ""}, ["/contact"]),
        ({"contact": "ann@lee.example", "channel": "sms"}, ["/channel"]),
        ({"contact": "+44 20 7946 0018"}, ["/channel"]),
        ({"contact": "+44 20 7946 0018", "channel": "email"}, ["/channel"]),
        ({"contact": "ann@lee.example", "reason": "bored"}, ["/reason"]),
        ({"contact": "ann@lee.example", "reason": "bounced", "topic": "marketing"}, ["/topic"]),
        ({"contact": "ann@lee.example", "reason": "unsubscribed", "topic": "spam"}, ["/topic"]),
        ({"reason": "bounced"}, ["/contact"]),
    ],
)
async def test_what_cannot_be_suppressed_is_refused_by_its_field(
    api: httpx.AsyncClient, body: Json, named: list[str]
) -> None:
    assert pointers(await api.post(PATH, json=body)) == named
    assert await listed(api) == []


async def test_the_list_is_narrowed_counted_and_paged(api: httpx.AsyncClient) -> None:
    for n in range(3):
        told(await api.post(PATH, json={"contact": f"b{n}@mail.example", "reason": "bounced"}), 201)
    told(await api.post(PATH, json={"contact": "c@mail.example", "reason": "complained"}), 201)
    told(await api.post(PATH, json={"contact": "+44 20 7946 0018", "channel": "sms"}), 201)
    assert [s["contact"] for s in await listed(api)] == [
        "+44 20 7946 0018",
        "c@mail.example",
        "b2@mail.example",
        "b1@mail.example",
        "b0@mail.example",
    ]
    assert [s["contact"] for s in await listed(api, channel="sms")] == ["+44 20 7946 0018"]
    page = told(await api.get(PATH, params={"reason": "bounced", "limit": 2, "count": "true"}))
    assert ([s["contact"] for s in page["data"]], page["total"]) == (["b2@mail.example", "b1@mail.example"], 3)
    rest = await listed(api, reason="bounced", limit=2, cursor=page["nextCursor"])
    assert [s["contact"] for s in rest] == ["b0@mail.example"]
    assert await listed(api, contact="d@mail.example") == []
    for topic in ("marketing", "surveys"):
        left = {"contact": "e@mail.example", "reason": "unsubscribed", "topic": topic}
        told(await api.post(PATH, json=left), 201)
    assert [(s["contact"], s["topic"]) for s in await listed(api, topic="surveys")] == [("e@mail.example", "surveys")]
    assert await listed(api, topic="review_requests") == []
    for asked in ({"contact": "x"}, {"channel": "fax"}, {"topic": "spam"}, {"reason": "x"}):
        assert pointers(await api.get(PATH, params=asked)) == list(asked)


async def test_another_workspace_has_its_own(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    made = told(await api.post(PATH, json={"contact": "ann@lee.example", "reason": "bounced"}), 201)
    other = await make_workspace(db)
    async with client(db, other.key) as stranger:
        assert await listed(stranger) == []
        assert await listed(stranger, contact="ann@lee.example") == []
        assert (await stranger.get(f"{PATH}/{made['id']}")).status_code == 404
        assert (await stranger.delete(f"{PATH}/{made['id']}")).status_code == 404
    async with client(db, await make_key(db, shop.id, "customers:read")) as reader:
        assert (await reader.delete(f"{PATH}/{made['id']}")).status_code == 403
        assert (await reader.post(PATH, json={"contact": "bob@lee.example"})).status_code == 403
    assert await listed(api) == [made]


async def test_a_forgotten_person_is_known_again_by_a_hash_that_tells_nothing(
    owner: "asyncpg.Connection[asyncpg.Record]", shop: Workspace, api: httpx.AsyncClient, ann: Json
) -> None:
    await choose(api, ann, "UNSUBSCRIBED")
    await owner.execute("update data.suppression set contact = null where workspace_id = $1", shop.id)
    await owner.execute("update data.consent_entry set contact = null where workspace_id = $1", shop.id)
    [hash] = [
        row[0]
        for row in await owner.fetch("select contact_hash from data.suppression where workspace_id = $1", shop.id)
    ]
    assert len(hash) == 32
    assert hash != hashlib.sha256(b"email:ann@lee.example").digest()
    sealed = await owner.fetchval("select sealed from data.suppression_key where workspace_id = $1", shop.id)
    assert len(sealed) > 32
    [one] = await listed(api, contact="ann@lee.example")
    assert one["contact"] is None
    told(await api.delete(f"/api/customers/{ann['id']}"), 204)
    again = await make_customer(api, email="ann@lee.example")
    await choose(api, again, "SUBSCRIBED", "2026-01-01T00:00:00Z")
    assert codes(await ask(api, again)) == ["suppressed"]
