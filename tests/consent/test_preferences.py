"""What customers chose, over HTTP."""

from datetime import datetime, timedelta

import httpx
import pytest

from supover.kit import clock
from supover.kit.db import Database
from tests.makers import Json, Workspace, client, make_customer, make_key, make_workspace, pointers, told

CHANNELS = ("email", "sms", "whatsapp", "phone", "post")
TOPICS = ("marketing", "transactional", "review_requests", "surveys")


def path_of(customer: Json, below: str = "") -> str:
    return f"/api/customers/{customer['id']}/communication-preferences{below}"


def stated(document: Json, channel: str = "email", topic: str = "marketing") -> Json:
    [found] = [p for p in document["preferences"] if (p["channel"], p["topic"]) == (channel, topic)]
    return found


def unasked(channel: str, topic: str) -> Json:
    return {
        "channel": channel,
        "topic": topic,
        "state": "NOT_SUBSCRIBED",
        "optInLevel": None,
        "source": None,
        "at": None,
        "policyVersion": None,
        "contact": None,
    }


async def choose(api: httpx.AsyncClient, customer: Json, state: str, at: str | None = None, **more: object) -> Json:
    body: Json = {"channel": "email", "topic": "marketing", "state": state} | ({"at": at} if at else {}) | more
    return told(await api.put(path_of(customer), json=body))


@pytest.fixture
async def ann(api: httpx.AsyncClient) -> Json:
    return await make_customer(api, name="Ann Lee", email="ann@lee.example", phone="+1 503 555 0142", country="US")


async def test_who_was_never_asked_is_not_subscribed_to_anything(api: httpx.AsyncClient, ann: Json) -> None:
    answer = await api.get(path_of(ann))
    assert told(answer) == {
        "customerId": ann["id"],
        "preferences": [unasked(channel, topic) for channel in CHANNELS for topic in TOPICS],
        "language": None,
        "preferredChannel": None,
        "quietHours": None,
        "version": 0,
    }
    assert answer.headers["etag"] == '"0"'


async def test_a_choice_is_recorded_with_all_that_was_said(api: httpx.AsyncClient, ann: Json) -> None:
    answer = await api.put(
        path_of(ann),
        json={
            "channel": "EMAIL",
            "topic": "Marketing",
            "state": "subscribed",
            "optInLevel": "confirmed_opt_in",
            "source": " checkout ",
            "at": "2026-03-01T11:00:00+01:00",
            "proof": {"ip": "203.0.113.7"},
            "policyVersion": "2026-01",
        },
    )
    expected = {
        "channel": "email",
        "topic": "marketing",
        "state": "SUBSCRIBED",
        "optInLevel": "CONFIRMED_OPT_IN",
        "source": "checkout",
        "at": "2026-03-01T10:00:00Z",
        "policyVersion": "2026-01",
        "contact": "ann@lee.example",
    }
    assert stated(told(answer)) == expected
    assert [p for p in told(answer)["preferences"] if p["state"] != "NOT_SUBSCRIBED"] == [expected]
    assert answer.headers["etag"] == '"1"'
    read = await api.get(path_of(ann))
    assert (told(read), read.headers["etag"]) == (told(answer), '"1"')
    [entry] = told(await api.get(path_of(ann, "/history")))["data"]
    assert entry == {
        "id": entry["id"],
        "customerId": ann["id"],
        **expected,
        "receivedAt": entry["receivedAt"],
        "proof": {"ip": "203.0.113.7"},
        "actor": entry["actor"],
        "origin": "live",
    }
    assert entry["actor"].startswith("key:")


async def test_the_latest_word_counts_whatever_comes_first(api: httpx.AsyncClient, ann: Json) -> None:
    await choose(api, ann, "UNSUBSCRIBED", "2026-05-01T00:00:00Z")
    late = await choose(api, ann, "SUBSCRIBED", "2026-04-01T00:00:00Z")
    assert stated(late)["state"] == "UNSUBSCRIBED"
    assert stated(await choose(api, ann, "SUBSCRIBED", "2026-05-01T00:00:01Z"))["state"] == "SUBSCRIBED"
    history = told(await api.get(path_of(ann, "/history"), params={"count": "true"}))
    assert [(e["state"], e["at"]) for e in history["data"]] == [
        ("SUBSCRIBED", "2026-05-01T00:00:01Z"),
        ("UNSUBSCRIBED", "2026-05-01T00:00:00Z"),
        ("SUBSCRIBED", "2026-04-01T00:00:00Z"),
    ]
    assert history["total"] == 3


@pytest.mark.parametrize("first", ["UNSUBSCRIBED", "SUBSCRIBED", "PENDING"])
async def test_of_one_time_the_strictest_counts(api: httpx.AsyncClient, ann: Json, first: str) -> None:
    at = "2026-05-01T00:00:00Z"
    await choose(api, ann, first, at)
    assert stated(await choose(api, ann, "PENDING", at))["state"] == ("UNSUBSCRIBED" if first[0] == "U" else "PENDING")
    assert stated(await choose(api, ann, "SUBSCRIBED", at))["state"] == (
        "UNSUBSCRIBED" if first[0] == "U" else "PENDING"
    )


async def test_the_same_said_twice_is_said_once(api: httpx.AsyncClient, ann: Json) -> None:
    body = {"channel": "email", "topic": "surveys", "state": "SUBSCRIBED", "at": "2026-05-01T00:00:00Z", "source": "x"}
    first = await api.put(path_of(ann), json=body)
    again = await api.put(path_of(ann), json=body)
    assert (told(again), again.headers["etag"]) == (told(first), first.headers["etag"])
    assert len(told(await api.get(path_of(ann, "/history")))["data"]) == 1
    timeline = told(await api.get(f"/api/customers/{ann['id']}/timeline", params={"type": "ConsentChanged"}))["data"]
    assert [e["data"] for e in timeline] == [
        {
            "channel": "email",
            "topic": "surveys",
            "state": "SUBSCRIBED",
            "was": "NOT_SUBSCRIBED",
            "saidAt": "2026-05-01T00:00:00Z",
            "source": "x",
        }
    ]


async def test_without_a_time_it_was_said_now(api: httpx.AsyncClient, ann: Json) -> None:
    before = clock.now()
    at = datetime.fromisoformat(stated(await choose(api, ann, "SUBSCRIBED"))["at"])
    assert before <= at <= clock.now()
    assert stated(await api_get(api, ann))["source"] == "api"


async def api_get(api: httpx.AsyncClient, customer: Json) -> Json:
    return told(await api.get(path_of(customer)))


async def test_a_time_without_a_zone_is_the_workspaces(db: Database) -> None:
    shop = await make_workspace(db, timezone="Europe/Berlin")
    async with client(db, shop.key) as api:
        ann = await make_customer(api, email="ann@lee.example")
        assert stated(await choose(api, ann, "SUBSCRIBED", "2026-07-01T12:00:00"))["at"] == "2026-07-01T10:00:00Z"
        # And so is a day, from its beginning, in a body as in an address.
        assert stated(await choose(api, ann, "SUBSCRIBED", "2026-07-02"))["at"] == "2026-07-01T22:00:00Z"
        hours = {"from": "00:00", "to": "00:01"}
        told(await api.patch(path_of(ann), json={"quietHours": hours}))
        many = {"customerIds": [ann["id"]], "channel": "email", "topic": "marketing"}
        for at, ends in (("2026-07-02", "2026-07-01T22:01:00Z"), ("2026-07-01T22:01:00Z", None)):
            one = told(await api.get(path_of(ann, "/may-send"), params={"at": at}))
            [of_many] = told(await api.post("/api/communication-preferences/may-send", json=many | {"at": at}))["data"]
            assert one == of_many
            assert one["notBefore"] == ends


async def test_a_clock_may_be_a_little_ahead_and_what_comes_next_counts_all_the_same(
    api: httpx.AsyncClient, ann: Json
) -> None:
    ahead = (clock.now() + timedelta(minutes=4)).isoformat()
    assert stated(await choose(api, ann, "SUBSCRIBED", ahead))["state"] == "SUBSCRIBED"
    assert stated(await choose(api, ann, "UNSUBSCRIBED"))["state"] == "UNSUBSCRIBED"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"state": "NOT_SUBSCRIBED"}, ["/state"]),
        ({"state": "INVALID"}, ["/state"]),
        ({"state": "REDACTED"}, ["/state"]),
        ({"channel": "fax"}, ["/channel"]),
        ({"topic": "spam", "optInLevel": "TRIPLE"}, ["/topic", "/optInLevel"]),
        ({"at": "2999-01-01T00:00:00Z"}, ["/at"]),
        ({"at": "1960-01-01T00:00:00Z"}, ["/at"]),
        ({"at": "0001-01-01T00:00:00+05:00"}, ["/at"]),
        ({"at": "tomorrow"}, ["/at"]),
        ({"at": ""}, ["/at"]),
        ({"at": 1767225600}, ["/at"]),
        ({"at": "2026-13-01", "topic": "spam"}, ["/topic", "/at"]),
        ({"source": "x" * 201}, ["/source"]),
        ({"policyVersion": "x" * 101}, ["/policyVersion"]),
        ({"proof": {"text": "x" * 9000}}, ["/proof"]),
        ({"contact": "other@mail.example"}, ["/contact"]),
    ],
)
async def test_what_cannot_be_is_refused_by_its_field_and_changes_nothing(
    api: httpx.AsyncClient, ann: Json, fields: Json, named: list[str]
) -> None:
    body = {"channel": "email", "topic": "marketing", "state": "SUBSCRIBED"} | fields
    answer = await api.put(path_of(ann), json=body)
    assert pointers(answer) == named
    if fields.get("state"):
        assert "SUBSCRIBED, UNSUBSCRIBED, PENDING" in answer.text
    assert (await api_get(api, ann))["version"] == 0
    assert told(await api.get(path_of(ann, "/history")))["data"] == []


async def test_a_time_five_minutes_ahead_is_in_the_future(api: httpx.AsyncClient, ann: Json) -> None:
    ahead = (clock.now() + timedelta(minutes=6)).isoformat()
    body = {"channel": "email", "topic": "marketing", "state": "UNSUBSCRIBED", "at": ahead}
    assert pointers(await api.put(path_of(ann), json=body)) == ["/at"]


@pytest.mark.parametrize("channel", ["email", "sms", "whatsapp", "phone"])
async def test_nobody_is_subscribed_without_the_contact(api: httpx.AsyncClient, channel: str) -> None:
    bob = await make_customer(api, name="Bob")
    body = {"channel": channel, "topic": "marketing", "state": "SUBSCRIBED"}
    assert pointers(await api.put(path_of(bob), json=body)) == ["/channel"]
    assert pointers(await api.put(path_of(bob), json=body | {"state": "PENDING"})) == ["/channel"]
    assert (await api_get(api, bob))["version"] == 0
    # To refuse needs none.
    assert stated(told(await api.put(path_of(bob), json=body | {"state": "UNSUBSCRIBED"})), channel)["state"] == (
        "UNSUBSCRIBED"
    )


async def test_a_document_that_somebody_else_changed_is_not_written_over(api: httpx.AsyncClient, ann: Json) -> None:
    seen = (await api.get(path_of(ann))).headers["etag"]
    await choose(api, ann, "SUBSCRIBED")
    body = {"channel": "email", "topic": "marketing", "state": "UNSUBSCRIBED"}
    assert (await api.put(path_of(ann), json=body, headers={"If-Match": seen})).status_code == 412
    assert (await api.patch(path_of(ann), json={"language": "de"}, headers={"If-Match": seen})).status_code == 412
    document = await api_get(api, ann)
    assert (stated(document)["state"], document["language"]) == ("SUBSCRIBED", None)
    told(await api.put(path_of(ann), json=body, headers={"If-Match": f'"{document["version"]}"'}))


async def test_language_channel_and_quiet_hours_are_changed_one_by_one(api: httpx.AsyncClient, ann: Json) -> None:
    path = path_of(ann)
    one = told(await api.patch(path, json={"language": "zh_hant-tw", "preferredChannel": "SMS"}))
    assert (one["language"], one["preferredChannel"], one["quietHours"], one["version"]) == (
        "zh-Hant-TW",
        "sms",
        None,
        1,
    )
    two = told(await api.patch(path, json={"quietHours": {"from": "22:00", "to": "07:30"}}))
    assert two["quietHours"] == {"from": "22:00", "to": "07:30", "timezone": "UTC"}
    assert (two["language"], two["version"]) == ("zh-Hant-TW", 2)
    assert told(await api.patch(path, json={"language": "zh-Hant-TW"}))["version"] == 2
    three = told(await api.patch(path, json={"language": None}))
    assert (three["language"], three["quietHours"], three["version"]) == (None, two["quietHours"], 3)
    zoned = {"from": "22:00", "to": "07:30", "timezone": "Europe/Berlin"}
    assert told(await api.patch(path, json={"quietHours": zoned}))["quietHours"] == zoned
    assert told(await api.patch(path, json={"quietHours": None}))["quietHours"] is None
    assert told(await api.patch(path, json={}))["version"] == 5
    timeline = told(await api.get(f"/api/customers/{ann['id']}/timeline", params={"type": "PreferencesChanged"}))
    assert [e["data"]["fields"] for e in timeline["data"]] == [
        ["quiet_hours"],
        ["quiet_hours"],
        ["language"],
        ["quiet_hours"],
        ["language", "preferred_channel"],
    ]


async def test_a_change_that_changes_nothing_is_none(api: httpx.AsyncClient, ann: Json) -> None:
    path = path_of(ann)
    await choose(api, ann, "SUBSCRIBED")
    nothing: tuple[Json, ...] = ({}, {"language": None}, {"preferredChannel": None, "quietHours": None})
    for body in nothing:
        answer = await api.patch(path, json=body)
        assert (told(answer)["version"], answer.headers["etag"]) == (1, '"1"')
    hours = {"from": "22:00", "to": "07:30"}
    two = told(await api.patch(path, json={"language": "de", "quietHours": hours}))
    assert two["version"] == 2
    # What was read may be sent back, and hours that follow the workspace's time zone go on doing so.
    for body in ({"quietHours": two["quietHours"]}, {"quietHours": hours}, {"language": "DE"}, {}):
        assert told(await api.patch(path, json=body)) == two
    told(await api.patch("/api/workspace", json={"timezone": "Asia/Tokyo"}))
    assert (await api_get(api, ann))["quietHours"] == hours | {"timezone": "Asia/Tokyo"}
    three = told(await api.patch(path, json={"language": "fr"}))
    assert (three["version"], three["quietHours"]["timezone"]) == (3, "Asia/Tokyo")
    told(await api.patch("/api/workspace", json={"timezone": "UTC"}))
    assert (await api_get(api, ann))["quietHours"] == two["quietHours"]
    timeline = told(await api.get(f"/api/customers/{ann['id']}/timeline", params={"type": "PreferencesChanged"}))
    assert [e["data"]["fields"] for e in timeline["data"]] == [["language"], ["language", "quiet_hours"]]


async def test_a_repeated_yes_takes_back_nothing_of_how_somebody_opted_in(api: httpx.AsyncClient, ann: Json) -> None:
    await choose(api, ann, "SUBSCRIBED", "2026-01-01", optInLevel="SINGLE_OPT_IN")
    await choose(api, ann, "SUBSCRIBED", "2026-01-02", optInLevel="CONFIRMED_OPT_IN")
    again = stated(await choose(api, ann, "SUBSCRIBED", "2026-01-03", source="checkout"))
    assert (again["optInLevel"], again["source"], again["at"]) == (
        "CONFIRMED_OPT_IN",
        "checkout",
        "2026-01-03T00:00:00Z",
    )
    # A break ends what was before it, and one that comes to be known late does too.
    await choose(api, ann, "UNSUBSCRIBED", "2026-01-04")
    assert stated(await choose(api, ann, "SUBSCRIBED", "2026-01-06"))["optInLevel"] == "UNKNOWN"
    late = await choose(api, ann, "SUBSCRIBED", "2026-01-05", optInLevel="SINGLE_OPT_IN")
    assert stated(late)["optInLevel"] == "SINGLE_OPT_IN"
    broken = await choose(api, ann, "PENDING", "2026-01-05T12:00:00Z")
    assert (stated(broken)["state"], stated(broken)["optInLevel"]) == ("SUBSCRIBED", "UNKNOWN")


async def test_who_confirmed_one_contact_has_not_confirmed_another(api: httpx.AsyncClient, ann: Json) -> None:
    await choose(api, ann, "SUBSCRIBED", "2026-01-01", optInLevel="CONFIRMED_OPT_IN")
    told(await api.patch(f"/api/customers/{ann['id']}", json={"email": "new@lee.example"}))
    assert stated(await choose(api, ann, "SUBSCRIBED", "2026-01-02"))["optInLevel"] == "UNKNOWN"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"language": "german language"}, ["/language"]),
        ({"language": "german"}, ["/language"]),
        ({"language": ""}, ["/language"]),
        ({"preferredChannel": "fax"}, ["/preferredChannel"]),
        ({"quietHours": {"from": "22:00", "to": "22:00"}}, ["/quietHours/to"]),
        ({"quietHours": {"from": "25:00", "to": "8"}}, ["/quietHours/from", "/quietHours/to"]),
        ({"quietHours": {"from": "22:00", "to": "08:00", "timezone": "Mars"}}, ["/quietHours/timezone"]),
        ({"quietHours": {"from": "22:00", "to": "08:00", "timezone": "../etc"}}, ["/quietHours/timezone"]),
        ({"quietHours": {"from": "22:00"}}, ["/quietHours/to"]),
    ],
)
async def test_hours_and_languages_that_cannot_be_are_refused(
    api: httpx.AsyncClient, ann: Json, body: Json, named: list[str]
) -> None:
    assert pointers(await api.patch(path_of(ann), json=body)) == named
    assert (await api_get(api, ann))["version"] == 0


async def test_history_is_read_page_by_page(api: httpx.AsyncClient, ann: Json) -> None:
    for n in range(5):
        await choose(api, ann, "SUBSCRIBED" if n % 2 else "UNSUBSCRIBED", f"2026-05-0{1 + n // 2}T00:00:00Z")
    seen: list[Json] = []
    cursor: str | None = None
    while True:
        asked = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = told(await api.get(path_of(ann, "/history"), params=asked))
        seen += page["data"]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    keys = [(e["at"], e["id"]) for e in seen]
    assert len(keys) == 5
    assert keys == sorted(keys, reverse=True)
    assert (await api.get(path_of(ann, "/history"), params={"limit": 0})).status_code == 422


async def test_another_workspaces_customer_is_not_there(db: Database, api: httpx.AsyncClient, ann: Json) -> None:
    await choose(api, ann, "SUBSCRIBED")
    other = await make_workspace(db)
    body = {"channel": "email", "topic": "marketing", "state": "UNSUBSCRIBED"}
    async with client(db, other.key) as stranger:
        assert (await stranger.get(path_of(ann))).status_code == 404
        assert (await stranger.put(path_of(ann), json=body)).status_code == 404
        assert (await stranger.patch(path_of(ann), json={"language": "de"})).status_code == 404
        assert (await stranger.get(path_of(ann, "/history"))).status_code == 404
        assert (await stranger.get(path_of(ann, "/may-send"))).status_code == 404
        # The same email there is another person's business.
        twin = await make_customer(stranger, email="ann@lee.example")
        told(await stranger.put(path_of(twin), json=body))
    assert told(await api.get(path_of(ann, "/may-send")))["allowed"] is True


async def test_who_may_only_read_changes_nothing(
    db: Database, shop: Workspace, api: httpx.AsyncClient, ann: Json
) -> None:
    body = {"channel": "email", "topic": "marketing", "state": "SUBSCRIBED"}
    async with client(db, await make_key(db, shop.id, "customers:read")) as reader:
        assert (await reader.put(path_of(ann), json=body)).status_code == 403
        assert (await reader.patch(path_of(ann), json={"language": "de"})).status_code == 403
        assert (await reader.get(path_of(ann))).status_code == 200
    assert (await api_get(api, ann))["version"] == 0


async def test_a_deleted_customers_word_is_kept(api: httpx.AsyncClient, ann: Json) -> None:
    await choose(api, ann, "UNSUBSCRIBED", "2026-05-01T00:00:00Z")
    told(await api.delete(f"/api/customers/{ann['id']}"), 204)
    assert (await api.get(path_of(ann))).status_code == 404
    told(await api.post(f"/api/customers/{ann['id']}/restore"))
    assert stated(await api_get(api, ann))["at"] == "2026-05-01T00:00:00Z"


async def test_the_audit_log_says_what_changed_and_not_by_what_it_was_proved(api: httpx.AsyncClient, ann: Json) -> None:
    await choose(api, ann, "SUBSCRIBED", proof={"ip": "203.0.113.7"})
    await choose(api, ann, "SUBSCRIBED", "2026-01-01T00:00:00Z")
    told(await api.patch(path_of(ann), json={"language": "de"}))
    rows = told(await api.get("/api/audit", params={"subjectId": ann["id"]}))["data"]
    found = [(row["action"], [(c["field"], c["old"], c["new"]) for c in row["changes"]]) for row in rows]
    assert found[:3] == [
        ("consent.change", [("language", None, "de")]),
        ("consent.choose", []),
        ("consent.choose", [("email/marketing", "NOT_SUBSCRIBED", "SUBSCRIBED")]),
    ]
    assert "203.0.113.7" not in str(rows)
