"""Why an order is whose it is, in words."""

import httpx
import pytest

from supover.kit import ids
from supover.orders import rules
from tests.makers import Json, make_customer, make_order, told


async def explained(api: httpx.AsyncClient, order_id: str) -> tuple[str, list[str]]:
    why = told(await api.get(f"/api/orders/{order_id}/identity"))
    return why["method"], why["explanation"]


async def test_every_rule_says_what_decided_and_what_did_not(api: httpx.AsyncClient) -> None:
    first = await make_order(
        api, source="ETSY", customer_external_id="7", email="ann@x.org", phone="+14155552671", name="Ann Lee"
    )
    made_new = ["Nothing it came with led to a customer, so a new one was made."]
    assert await explained(api, first["id"]) == ("new", made_new)
    by_channel = await make_order(api, source="ETSY", customer_external_id="7")
    assert await explained(api, by_channel["id"]) == (
        "channel_identity",
        ["The channel's buyer id 7 is this customer's."],
    )
    by_email = await make_order(api, email="Ann+shop@X.org")
    assert await explained(api, by_email["id"]) == ("email", ["The email ann@x.org is this customer's."])
    by_phone = await make_order(api, email="a7@marketplace.amazon.com", phone="+1 (415) 555-2671", name="Ann")
    assert await explained(api, by_phone["id"]) == (
        "phone",
        [
            "The phone +14155552671 is this customer's, and the first names go together.",
            "The email did not count: relay contacts never match.",
        ],
    )
    other = await make_order(api, phone="+14155552671", name="Bo Chang")
    assert await explained(api, other["id"]) == (
        "new",
        [
            *made_new,
            f"The phone with customer {first['customerId']} did not count: the first names do not go together.",
        ],
    )
    nobody = await make_order(api, name="Ann")
    assert await explained(api, nobody["id"]) == (
        "none",
        ["Nothing it came with says whose it is, so it waits for review.", "Nothing to know the buyer by."],
    )
    ann = await make_customer(api, name="Ann")
    named = await make_order(api, ann, email="somebody@x.org")
    assert await explained(api, named["id"]) == ("customer_id", ["The order said whose it is."])
    told(await api.patch(f"/api/orders/{nobody['id']}", json={"customerId": ann["id"]}))
    why = told(await api.get(f"/api/orders/{nobody['id']}/identity"))
    assert (why["method"], why["explanation"]) == ("customer_id", ["Somebody gave it to this customer."])
    assert [(d["method"], len(d["explanation"])) for d in why["history"]] == [("none", 2)]
    assert (await api.get(f"/api/orders/{ids.new()}/identity")).status_code == 404


ODD: list[Json] = [{}, {"matched": None}, {"against": None}, {"against": [{}]}, {"matched": {}}]


@pytest.mark.parametrize("evidence", ODD)
def test_evidence_of_any_shape_is_put_in_words(evidence: Json) -> None:
    for method in ("customer_id", "channel_identity", "email", "phone", "new", "none", "identity_moved", "another"):
        assert all(said.endswith(".") for said in rules.in_words(method, evidence) if said)
