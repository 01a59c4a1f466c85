"""What Shopify's payloads mean, without a database."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from supover.channels.model import (
    ChannelCustomer,
    ChannelLine,
    ChannelOrder,
    ChannelOrderRefund,
    ChannelRefund,
    Ignored,
    PostalAddress,
    Said,
    Unreadable,
)
from supover.channels.shopify import parse
from tests.inbox.arrange import payload

SHOP = "demo.myshopify.com"
HARBOUR = PostalAddress(
    recipient_name="Ada Quill", line1="14 Harbour Row", line2="Flat 3", city="Portland", state="OR", postal_code="97205",
    country="US", phone="+1 503-555-0142",
)  # fmt: skip


def read(topic: str, body: Any) -> Said:
    return parse.read(topic, json.dumps(body).encode(), SHOP)


def order(**over: Any) -> ChannelOrder:
    found = read("orders/updated", payload("order_created") | over)
    assert isinstance(found, ChannelOrder)
    return found


def why(topic: str, raw: bytes) -> str:
    with pytest.raises(Unreadable) as found:
        parse.read(topic, raw, SHOP)
    return str(found.value)


def test_an_order_says_everything_that_it_holds() -> None:
    found = order()
    assert (found.source, found.shop, found.external_id, found.number) == ("SHOPIFY", SHOP, "5500000001001", "#1001")
    assert (found.status, found.financial_status, found.currency) == ("confirmed", "paid", "USD")
    assert (found.total, found.subtotal, found.shipping, found.tax, found.discount) == (
        Decimal("82.40"), Decimal("75.00"), Decimal("7.40"), Decimal("0.00"), Decimal("5.00"),
    )  # fmt: skip
    assert found.placed_at == datetime(2026, 3, 1, 17, 59, 58, tzinfo=UTC)
    assert found.updated_at == datetime(2026, 3, 1, 18, 0, 2, tzinfo=UTC)
    assert (found.contact.external_id, found.contact.email, found.contact.name, found.contact.phone) == (
        "7300000000101", "ada.quill@inkmail.dev", "Ada Quill", "+1 503-555-0142",
    )  # fmt: skip
    assert found.shipping_address == found.billing_address == found.contact.address == HARBOUR
    assert found.lines == [
        ChannelLine(
            sku="PEN-BLU",
            title="Fountain pen",
            quantity=1,
            unit_price=Decimal("50.00"),
            properties={"engraving": "A. Q."},
        ),
        ChannelLine(sku="INK-50", title="Ink bottle", quantity=2, unit_price=Decimal("15.00")),
    ]
    assert (found.tags, found.note) == (("gift", "wholesale"), "Please leave it with the harbour master.")
    assert found.refunds == []


@pytest.mark.parametrize(
    ("over", "status"),
    [
        ({"financial_status": "pending"}, "pending"),
        ({"financial_status": "authorized"}, "pending"),
        ({"financial_status": None}, "pending"),
        ({"financial_status": "partially_paid"}, "confirmed"),
        ({"financial_status": "partially_refunded"}, "confirmed"),
        ({"financial_status": "refunded"}, "confirmed"),
        ({"financial_status": "voided"}, "cancelled"),
        ({"cancelled_at": "2026-03-02T00:00:00Z"}, "cancelled"),
        ({"cancelled_at": "2026-03-02T00:00:00Z", "fulfillment_status": "fulfilled"}, "cancelled"),
        ({"fulfillment_status": "partial"}, "processing"),
        ({"fulfillment_status": "fulfilled"}, "shipped"),
        ({"fulfillment_status": "fulfilled", "financial_status": "pending"}, "shipped"),
        ({"fulfillment_status": "restocked"}, "confirmed"),
    ],
)
def test_a_status_comes_from_cancelling_then_fulfilling_then_paying(over: dict[str, Any], status: str) -> None:
    assert order(**over).status == status


def test_an_order_is_delivered_when_its_last_parcel_is() -> None:
    found = read("orders/updated", payload("order_delivered"))
    assert isinstance(found, ChannelOrder)
    assert (found.status, found.delivered_at) == ("delivered", datetime(2026, 3, 5, 23, 12, tzinfo=UTC))
    [arrived] = payload("order_delivered")["fulfillments"]
    on_its_way = arrived | {"shipment_status": "in_transit"}
    called_off = on_its_way | {"status": "cancelled"}
    assert order(fulfillment_status="fulfilled", fulfillments=[arrived, on_its_way]).status == "shipped"
    assert order(fulfillment_status="fulfilled", fulfillments=[arrived, called_off]).status == "delivered"
    assert order(fulfillment_status="partial", fulfillments=[arrived]).status == "processing"


def test_who_has_no_account_and_left_nothing_is_nobody() -> None:
    found = read("orders/create", payload("order_guest"))
    assert isinstance(found, ChannelOrder)
    assert (found.contact.external_id, found.contact.email, found.contact.phone, found.contact.name) == (None,) * 4
    assert (found.shipping_address, found.tags, found.note) == (None, (), None)


def test_amounts_are_the_shops_own_not_the_buyers() -> None:
    found = read("orders/updated", payload("order_in_two_currencies"))
    assert isinstance(found, ChannelOrder)
    assert (found.currency, found.total, found.shipping) == ("USD", Decimal("82.40"), Decimal("7.40"))
    assert [(r.external_id, r.amount) for r in found.refunds or ()] == [("910000000002", Decimal("15.00"))]


def test_a_refund_is_what_its_successful_transactions_gave_back() -> None:
    given = payload("refund_created")
    found = read("refunds/create", given)
    at = datetime(2026, 3, 9, 17, 30, tzinfo=UTC)
    refund = ChannelRefund(
        external_id="910000000001", amount=Decimal("15.00"), refunded_at=at, reason="One bottle leaked."
    )
    assert found == ChannelOrderRefund(
        source="SHOPIFY", shop=SHOP, order_external_id="5500000001001", currency="USD", refund=refund
    )
    assert order(refunds=[given]).refunds == [refund]
    paid = given["transactions"][0]
    half, pending, failed = (
        {**paid, **over} for over in ({"amount": "7.50"}, {"status": "pending"}, {"status": "failure"})
    )
    assert _amount({**given, "transactions": [half, pending, failed]}) == Decimal("7.50")
    assert read("refunds/create", {**given, "transactions": [pending]}) == Ignored("a refund that paid nothing back")


def _amount(given: Any) -> Decimal:
    found = read("refunds/create", given)
    assert isinstance(found, ChannelOrderRefund)
    return found.refund.amount


def test_without_transactions_a_refund_is_what_was_returned_less_what_was_adjusted() -> None:
    given = payload("refund_created", transactions=[])
    assert _amount(given) == Decimal("15.00")
    shipping = {"id": 1, "kind": "shipping_refund", "amount": "-5.00", "tax_amount": "-0.40"}
    assert _amount({**given, "order_adjustments": [shipping]}) == Decimal("20.40")
    less = {"id": 2, "kind": "refund_discrepancy", "amount": "6.00", "tax_amount": "0.00"}
    assert _amount({**given, "order_adjustments": [less]}) == Decimal("9.00")


def test_a_refund_in_the_buyers_currency_alone_is_not_guessed() -> None:
    given = payload("order_in_two_currencies")
    given["refunds"][0]["refund_line_items"] = []
    assert why("orders/updated", json.dumps(given).encode()).startswith(
        "/refunds/0/transactions: is in another currency"
    )


def test_a_customer_says_everything_that_it_holds() -> None:
    found = read("customers/update", payload("customer_updated"))
    assert isinstance(found, ChannelCustomer)
    who = found.contact
    assert (who.external_id, who.email, who.phone, who.name, who.country) == (
        "7300000000101", "ada.quill@inkmail.dev", "+15035550199", "Ada Quill-Moss", "US",
    )  # fmt: skip
    assert (who.address, found.tags) == (HARBOUR, ("letterpress", "vip"))
    assert found.updated_at == datetime(2026, 4, 1, 16, tzinfo=UTC)


def test_what_changes_nothing_says_why() -> None:
    assert order(test=None)
    assert read("orders/create", payload("order_created", test=True)) == Ignored("a test order")
    assert read("products/update", {"id": 1}) == Ignored("nothing here reads the topic 'products/update'")
    for topic in ("orders/delete", "customers/delete"):
        assert isinstance(read(topic, {}), Ignored)


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"id": None}, "/id: expected `int | str`, got `null`"),
        ({"total_price": "1e400"}, "/total_price: is not an amount that can be kept"),
        ({"total_price": "NaN"}, "/total_price: is not an amount that can be kept"),
        ({"total_price": "ten"}, "/total_price: invalid decimal string"),
        ({"currency": "XXX"}, "/currency: 'XXX' is not a currency of ISO 4217"),
        ({"created_at": "2026-03-01T10:00:00"}, "/created_at: expected `datetime` with a timezone component"),
        ({"created_at": "0001-01-01T00:00:00+14:00"}, "/created_at: is not a time that can be"),
        ({"line_items": [{"title": "Pen"}]}, "/line_items/0/quantity: is required"),
        ({"line_items": [{"quantity": "two"}]}, "/line_items/0/quantity: expected `int`, got `str`"),
        ({"line_items": {"0": 1}}, "/line_items: expected `array | null`, got `object`"),
        ({"refunds": [{"id": 1, "transactions": [{"kind": "refund", "status": "success", "amount": "Infinity"}]}]},
         "/refunds/0/transactions/0/amount: is not an amount that can be kept"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_named(over: dict[str, Any], said: str) -> None:
    assert why("orders/create", json.dumps(payload("order_created") | over).encode()) == said


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b"\xff\xfe{}", b'{"id": 1, "name": "\\ud800"}', b"[" * 100_000, b'{"note":' * 5000],
)
def test_what_is_no_json_object_is_unreadable(raw: bytes) -> None:
    for topic in ("orders/create", "refunds/create", "customers/create"):
        assert why(topic, raw)


def test_texts_that_are_too_long_are_cut_and_never_lose_an_order() -> None:
    address = payload("order_created")["shipping_address"] | {"zip": "9" * 300, "name": "A" * 5000}
    found = order(
        name="#" * 500,
        note="n" * 100_000,
        tags=[f"tag {n}" for n in range(1000)],
        email="a" * 400 + "@inkmail.dev",
        contact_email=None,
        shipping_address=address,
        line_items=[{"quantity": 1, "title": "T" * 5000, "sku": "s" * 999, "properties": {"k" * 999: "v\x00" * 9}}]
        * 1200,
    )
    assert len(found.number or "") == 64
    assert len(found.note or "") == 10_000
    assert len(found.tags) == 250
    assert found.contact.email == "ada.quill@inkmail.dev"
    assert found.shipping_address is not None
    assert len(found.shipping_address.postal_code or "") == 255
    assert len(found.lines or ()) == 1000
    assert {tuple(line.properties.values()) for line in found.lines or ()} == {("v" * 9,)}
