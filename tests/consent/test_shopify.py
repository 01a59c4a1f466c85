"""What a Shopify shop's customers chose there, as its webhooks tell it."""

from collections.abc import AsyncGenerator, Sequence
from itertools import permutations
from typing import Any

import pytest

from supover.channels.model import UNTOLD, ChannelConsents, ChannelCustomer, Ignored
from supover.channels.shopify import parse
from supover.consent import queries
from supover.kit.db import Database
from tests.consent.test_preferences import api_get, choose, path_of, stated
from tests.inbox.arrange import Connected, connected, payload
from tests.makers import Json, told

EMAIL = "customers_email_marketing_consent/update"
SMS = "customers_marketing_consent/update"


@pytest.fixture
async def shopify(db: Database) -> AsyncGenerator[Connected]:
    async with connected(db) as found:
        yield found


def consent(state: str, at: str | None, level: str = "single_opt_in", **more: Any) -> Json:
    return {"state": state, "opt_in_level": level, "consent_updated_at": at} | more


async def ada(shopify: Connected) -> Json:
    [found] = await shopify.customers()
    return found


async def history(shopify: Connected, customer: Json) -> list[Json]:
    return told(await shopify.api.get(path_of(customer, "/history")))["data"]


async def test_a_customer_comes_with_what_they_chose(shopify: Connected) -> None:
    body = payload(
        "customer_created",
        email_marketing_consent=consent("subscribed", "2026-01-05T09:00:00-08:00", "confirmed_opt_in"),
        sms_marketing_consent=consent("unsubscribed", "2026-01-06T09:00:00-08:00", consent_collected_from="SHOPIFY"),
        phone="+15035550199",
    )
    message = await shopify.take("customers/create", body)
    customer = await ada(shopify)
    assert (message["status"], message["customerId"]) == ("applied", customer["id"])
    document = await api_get(shopify.api, customer)
    assert stated(document) == {
        "channel": "email",
        "topic": "marketing",
        "state": "SUBSCRIBED",
        "optInLevel": "CONFIRMED_OPT_IN",
        "source": "SHOPIFY",
        "at": "2026-01-05T17:00:00Z",
        "policyVersion": None,
        "contact": body["email"],
    }
    assert (stated(document, "sms")["state"], stated(document, "sms")["at"]) == ("UNSUBSCRIBED", "2026-01-06T17:00:00Z")
    assert [(e["actor"], e["contact"]) for e in await history(shopify, customer)] == [
        ("system", "+15035550199"),
        ("system", body["email"]),
    ]
    # The same again, by another delivery, is nothing new.
    await shopify.take("customers/update", body)
    assert len(await history(shopify, customer)) == 2
    assert await api_get(shopify.api, customer) == document


async def test_what_is_told_by_itself_finds_its_customer_or_comes_before_them(db: Database, shopify: Connected) -> None:
    await shopify.take("customers/create", payload("customer_created"))
    message = await shopify.take(EMAIL, payload("customer_email_consent"))
    customer = await ada(shopify)
    assert (message["status"], message["customerId"]) == ("applied", customer["id"])
    await shopify.take(SMS, payload("customer_sms_consent"))
    document = await api_get(shopify.api, customer)
    assert (stated(document)["state"], stated(document)["optInLevel"]) == ("SUBSCRIBED", "CONFIRMED_OPT_IN")
    sms = stated(document, "sms")
    assert (sms["state"], sms["source"], sms["at"]) == ("SUBSCRIBED", "SHOPIFY:OTHER", "2026-04-02T16:30:00Z")
    async with connected(db) as other:
        await other.take(SMS, payload("customer_sms_consent"))
        await other.take(EMAIL, payload("customer_email_consent"))
        await other.take("customers/create", payload("customer_created"))
        assert (await api_get(other.api, await ada(other)))["preferences"] == document["preferences"]


LIFE: Sequence[tuple[str, Json]] = (
    (
        "customers/create",
        payload("customer_created", email_marketing_consent=consent("pending", "2026-01-05T09:00:00-08:00")),
    ),
    (EMAIL, payload("customer_email_consent", email_marketing_consent=consent("subscribed", "2026-02-01T00:00:00Z"))),
    (EMAIL, payload("customer_email_consent", email_marketing_consent=consent("unsubscribed", "2026-03-01T00:00:00Z"))),
    (
        "customers/update",
        payload("customer_updated", email_marketing_consent=consent("unsubscribed", "2026-03-01T00:00:00Z")),
    ),
)


async def test_old_repeated_and_shuffled_deliveries_end_where_the_time_says(db: Database) -> None:
    for order in permutations(LIFE):
        async with connected(db) as shopify:
            for topic, body in (*order, order[0]):
                await shopify.send(topic, body)
                await shopify.work()
            customer = await ada(shopify)
            document = await api_get(shopify.api, customer)
            assert (stated(document)["state"], stated(document)["at"]) == ("UNSUBSCRIBED", "2026-03-01T00:00:00Z")
            assert [e["state"] for e in await history(shopify, customer)] == ["UNSUBSCRIBED", "SUBSCRIBED", "PENDING"]
            async with db.reader(shopify.workspace.id) as reader:
                assert await queries.reconcile(reader) == (3, [])


async def test_a_choice_made_here_is_not_undone_by_what_a_shop_repeats(shopify: Connected) -> None:
    """Shops repeat an old opt-in with every change of a customer, some without its time."""
    undated = consent("subscribed", None)
    await shopify.take("customers/create", payload("customer_created", email_marketing_consent=undated))
    customer = await ada(shopify)
    assert stated(await api_get(shopify.api, customer))["state"] == "SUBSCRIBED"
    await choose(shopify.api, customer, "UNSUBSCRIBED")
    await shopify.take("customers/update", payload("customer_updated", email_marketing_consent=undated))
    await shopify.take(EMAIL, payload("customer_email_consent"))
    assert stated(await api_get(shopify.api, customer))["state"] == "UNSUBSCRIBED"
    assert told(await shopify.api.get(path_of(customer, "/may-send")))["allowed"] is False


async def test_a_yes_without_a_time_never_counts_over_a_no(shopify: Connected) -> None:
    """Somebody is made anew in the shop after they unsubscribed, or imported there: nobody knows when they said yes."""
    undated = consent("subscribed", None)
    await shopify.take(
        "customers/create",
        payload("customer_created", email_marketing_consent=consent("subscribed", "2026-10-01T00:00:00Z")),
    )
    customer = await ada(shopify)
    await choose(shopify.api, customer, "UNSUBSCRIBED", at="2026-11-01T00:00:00Z")
    anew = {"id": 777, "created_at": "2026-11-15T00:00:00Z", "updated_at": "2026-11-15T00:00:00Z"}
    await shopify.take("customers/create", payload("customer_created", email_marketing_consent=undated, **anew))
    assert stated(await api_get(shopify.api, customer))["state"] == "UNSUBSCRIBED"
    assert told(await shopify.api.get(path_of(customer, "/may-send")))["allowed"] is False
    [suppressed] = told(await shopify.api.get("/api/suppressions"))["data"]
    assert suppressed["reason"] == "unsubscribed"


async def test_a_yes_without_a_time_says_none(shopify: Connected) -> None:
    await shopify.take(
        "customers/create", payload("customer_created", email_marketing_consent=consent("subscribed", None))
    )
    one = stated(await api_get(shopify.api, await ada(shopify)))
    assert (one["state"], one["at"]) == ("SUBSCRIBED", None)


async def test_a_no_that_is_told_again_with_its_contact_suppresses_it(db: Database, shopify: Connected) -> None:
    gone = consent("unsubscribed", "2026-11-05T00:00:00Z")
    silent = payload("customer_created", email=None, email_marketing_consent=gone)
    await shopify.take("customers/create", silent)
    assert told(await shopify.api.get("/api/suppressions"))["data"] == []
    await shopify.take(
        "customers/update", payload("customer_updated", email="x@inkmail.dev", email_marketing_consent=gone)
    )
    [suppressed] = told(await shopify.api.get("/api/suppressions"))["data"]
    assert suppressed["contact"] == "x@inkmail.dev"


async def test_a_yes_by_phone_is_not_of_the_number_for_deliveries(shopify: Connected) -> None:
    said = consent("subscribed", "2026-11-05T00:00:00Z")
    await shopify.take("customers/create", payload("customer_created", phone=None, sms_marketing_consent=said))
    customer = await ada(shopify)
    path = path_of(customer, "/may-send?channel=sms&topic=marketing")
    assert told(await shopify.api.get(path))["allowed"] is False


async def test_a_time_in_the_future_is_when_it_came(shopify: Connected) -> None:
    ahead = payload("customer_email_consent", email_marketing_consent=consent("subscribed", "2999-01-01T00:00:00Z"))
    message = await shopify.take(EMAIL, ahead)
    customer = await ada(shopify)
    assert stated(await api_get(shopify.api, customer))["at"] == message["receivedAt"]
    await choose(shopify.api, customer, "UNSUBSCRIBED")
    told(await shopify.api.post(f"/api/inbox/{message['id']}/replay"))
    await shopify.work()
    assert stated(await api_get(shopify.api, customer))["state"] == "UNSUBSCRIBED"


@pytest.mark.parametrize("internal", ["invalid", "redacted"])
async def test_what_only_the_channel_knows_is_taken_from_it(shopify: Connected, internal: str) -> None:
    body = payload("customer_email_consent", email_marketing_consent=consent(internal, "2026-05-01T00:00:00Z"))
    await shopify.take(EMAIL, body)
    customer = await ada(shopify)
    assert stated(await api_get(shopify.api, customer))["state"] == internal.upper()
    answer = told(await shopify.api.get(path_of(customer, "/may-send"), params={"topic": "marketing"}))
    assert [r["code"] for r in answer["reasons"]] == [internal]


@pytest.mark.parametrize(
    "odd",
    [
        None,
        "subscribed",
        [],
        {},
        {"state": None},
        {"state": 7},
        {"state": "not_subscribed", "consent_updated_at": None},
        {"state": "enthusiastic", "consent_updated_at": "2026-01-01T00:00:00Z"},
        {"state": ["subscribed"]},
    ],
)
async def test_an_unknown_word_is_no_choice_and_loses_no_customer(shopify: Connected, odd: Any) -> None:
    body = payload("customer_created", email_marketing_consent=odd, sms_marketing_consent=odd)
    assert (await shopify.take("customers/create", body))["status"] == "applied"
    assert (await api_get(shopify.api, await ada(shopify)))["version"] == 0
    alone = await shopify.take(EMAIL, payload("customer_email_consent", email_marketing_consent=odd))
    assert (alone["status"], alone["reason"]) == ("ignored", "says nothing of what the customer chose")


def test_the_parts_of_a_choice_that_cannot_be_read_are_left_out() -> None:
    odd = {"state": "UNSUBSCRIBED", "opt_in_level": 9, "consent_updated_at": "yesterday", "consent_collected_from": 1}
    said = parse.read(EMAIL, b'{"customer_id": 1, "email_marketing_consent": %s}' % _json(odd), "s.myshopify.com")
    assert isinstance(said, ChannelConsents)
    [one] = said.consents
    assert (one.state, one.opt_in_level, one.at, one.source, one.address) == (
        "UNSUBSCRIBED",
        "UNKNOWN",
        None,
        "SHOPIFY",
        None,
    )
    undated = b'{"customer_id": 1, "email_marketing_consent": {"state": "subscribed"}}'
    assert isinstance(parse.read(EMAIL, undated, "s.myshopify.com"), Ignored)
    customer = parse.read("customers/create", b'{"id": 1, "email_marketing_consent": {"state": "subscribed"}}', "s")
    assert isinstance(customer, ChannelCustomer)
    [told_of] = customer.consents
    assert (told_of.state, told_of.at) == ("SUBSCRIBED", UNTOLD)


def _json(value: Json) -> bytes:
    import json

    return json.dumps(value).encode()


async def test_who_is_told_of_without_the_contact_is_not_subscribed(shopify: Connected) -> None:
    body = payload("customer_sms_consent", phone=None)
    assert (await shopify.take(SMS, body))["status"] == "applied"
    assert (await api_get(shopify.api, await ada(shopify)))["version"] == 0


async def test_what_was_said_of_another_contact_than_the_profiles_is_no_consent_for_that(shopify: Connected) -> None:
    await shopify.take("customers/create", payload("customer_created"))
    customer = await ada(shopify)
    told(await shopify.api.patch(f"/api/customers/{customer['id']}", json={"email": "ada-now@mail.example"}))
    message = payload("customer_email_consent")
    await shopify.take(EMAIL, message)
    stands = stated(await api_get(shopify.api, customer))
    assert (stands["state"], stands["contact"]) == ("SUBSCRIBED", message["email_address"])
    answer = told(await shopify.api.get(path_of(customer, "/may-send")))
    assert [r["code"] for r in answer["reasons"]] == ["contact_changed"]
