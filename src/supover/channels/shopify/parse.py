"""Shopify's messages in our words: orders, refunds and customers, as its REST Admin API writes them in webhooks.

Amounts are the shop's own currency (`shop_money`), never the buyer's. An order's total is `total_price`, what was sold with
its edits and before returns; `current_total_price` has returns taken off already, which here are refunds of their own.
What has the wrong type, or an amount or time that cannot be, makes the message unreadable, by name; a text that is too
long is cut, as losing an order for its note would be worse.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeVar, cast

import msgspec
from msgspec import Meta

from supover.channels.model import (
    ChannelConsent,
    ChannelConsents,
    ChannelCustomer,
    ChannelLine,
    ChannelOrder,
    ChannelOrderRefund,
    ChannelPrivacy,
    ChannelRefund,
    Contact,
    Ignored,
    PostalAddress,
    Said,
    Unreadable,
)
from supover.channels.shopify import consent
from supover.kit import money, text
from supover.kit.problems import from_library

SOURCE: Final = "SHOPIFY"
T = TypeVar("T")

# --- what the payloads look like -----------------------------------------------------------------------------------------

Id = Annotated[int, Meta(ge=1, le=2**63 - 1)] | Annotated[str, Meta(pattern=r"^[0-9]{1,20}\Z")]
Moment = Annotated[datetime, Meta(tz=True)]


class _Money(msgspec.Struct, frozen=True):
    amount: Decimal | None = None
    currency_code: str | None = None


class _MoneySet(msgspec.Struct, frozen=True):
    shop_money: _Money | None = None


class _Address(msgspec.Struct, frozen=True):
    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    address1: str | None = None
    address2: str | None = None
    city: str | None = None
    province: str | None = None
    province_code: str | None = None
    zip: str | None = None
    country: str | None = None
    country_code: str | None = None
    phone: str | None = None


class _Customer(msgspec.Struct, frozen=True):
    id: Id
    line_items: Any = None
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    tags: str | Sequence[str] | None = None
    created_at: Any = None
    updated_at: Moment | None = None
    default_address: _Address | None = None
    email_marketing_consent: Any = None
    sms_marketing_consent: Any = None


class _EmailConsent(msgspec.Struct, frozen=True):
    customer_id: Id
    email_address: str | None = None
    email_marketing_consent: Any = None


class _SmsConsent(msgspec.Struct, frozen=True):
    id: Id
    phone: str | None = None
    sms_marketing_consent: Any = None


class _Line(msgspec.Struct, frozen=True):
    quantity: Annotated[int, Meta(ge=-(10**6), le=10**6)]
    sku: str | None = None
    title: str | None = None
    price: Decimal | None = None
    properties: Any = None


class _ShippingLine(msgspec.Struct, frozen=True):
    price: Decimal | None = None


class _Fulfillment(msgspec.Struct, frozen=True):
    status: str | None = None
    shipment_status: str | None = None
    updated_at: Moment | None = None


class _Transaction(msgspec.Struct, frozen=True):
    kind: str | None = None
    status: str | None = None
    amount: Decimal | None = None
    currency: str | None = None


class _RefundLine(msgspec.Struct, frozen=True):
    subtotal: Decimal | None = None
    total_tax: Decimal | None = None
    subtotal_set: _MoneySet | None = None
    total_tax_set: _MoneySet | None = None


class _Adjustment(msgspec.Struct, frozen=True):
    amount: Decimal | None = None
    tax_amount: Decimal | None = None
    amount_set: _MoneySet | None = None
    tax_amount_set: _MoneySet | None = None


class _Refund(msgspec.Struct, frozen=True):
    id: Id
    order_id: Id | None = None
    created_at: Moment | None = None
    processed_at: Moment | None = None
    note: str | None = None
    refund_line_items: Sequence[_RefundLine] | None = None
    transactions: Sequence[_Transaction] | None = None
    order_adjustments: Sequence[_Adjustment] | None = None


class _Order(msgspec.Struct, frozen=True):
    id: Id
    currency: str
    total_price: Decimal
    created_at: Moment
    name: str | None = None
    processed_at: Moment | None = None
    updated_at: Moment | None = None
    cancelled_at: Moment | None = None
    test: bool | None = None
    subtotal_price: Decimal | None = None
    total_tax: Decimal | None = None
    total_discounts: Decimal | None = None
    total_shipping_price_set: _MoneySet | None = None
    shipping_lines: Sequence[_ShippingLine] | None = None
    financial_status: str | None = None
    fulfillment_status: str | None = None
    fulfillments: Sequence[_Fulfillment] | None = None
    email: str | None = None
    contact_email: str | None = None
    phone: str | None = None
    customer: _Customer | None = None
    shipping_address: _Address | None = None
    billing_address: _Address | None = None
    line_items: Sequence[_Line] | None = None
    refunds: Sequence[_Refund] | None = None
    tags: str | Sequence[str] | None = None
    note: str | None = None


POINTERS: Final[Mapping[str, str]] = {
    "externalId": "id",
    "number": "name",
    "financialStatus": "financial_status",
    "customerExternalId": "customer/id",
    "total": "total_price",
    "subtotal": "subtotal_price",
    "tax": "total_tax",
    "discount": "total_discounts",
    "shipping": "shipping_lines",
    "placedAt": "created_at",
    "updatedAt": "updated_at",
    "cancelledAt": "cancelled_at",
    "deliveredAt": "fulfillments",
    "lines": "line_items",
}
"""Shopify's names of our fields, where they differ."""

_AT: Final = re.compile(r"\[(\d+|\.\.\.)\]")


def _decoded(shape: type[T]) -> Callable[[bytes], T]:
    decoder = msgspec.json.Decoder(shape)

    def decode(body: bytes) -> T:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            what, _, path = str(error).partition(" - at `$")
            pointer = _AT.sub(r"/\1", path.removesuffix("`")).replace(".", "/")
            if "missing required field" in what:
                name = what.rpartition("`")[0].rpartition("`")[2]
                raise Unreadable(f"{pointer}/{name}", "is required") from None
            raise Unreadable(pointer, from_library(what)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unreadable("", f"is not JSON that can be read ({error})") from None

    return decode


# --- reading -------------------------------------------------------------------------------------------------------------


def read(topic: str, body: bytes, shop: str) -> Said:
    """What a message of this topic amounts to. Raises Unreadable."""
    reader = _READERS.get(topic)
    if reader is not None:
        return reader(body, shop)
    return Ignored(_KEPT.get(topic) or f"nothing here reads the topic {topic[:100]!r}")


class _Somebody(msgspec.Struct, frozen=True):
    id: Id | None = None
    email: str | None = None
    phone: str | None = None


class _Privacy(msgspec.Struct, frozen=True):
    shop_domain: str
    customer: _Somebody | None = None
    orders_requested: Sequence[Id] | None = None
    orders_to_redact: Sequence[Id] | None = None


_privacy_in: Final = _decoded(_Privacy)
_order_in: Final = _decoded(_Order)
_refund_in: Final = _decoded(_Refund)
_customer_in: Final = _decoded(_Customer)
_email_consent_in: Final = _decoded(_EmailConsent)
_sms_consent_in: Final = _decoded(_SmsConsent)


def _read_order(body: bytes, shop: str) -> Said:
    given = _order_in(body)
    if given.test:
        return Ignored("a test order")
    currency = given.currency.upper()
    if currency not in money.CURRENCIES:
        raise Unreadable("/currency", f"{given.currency[:10]!r} is not a currency of ISO 4217")
    created_at = _moment(given.created_at, "/created_at") or given.created_at
    cancelled_at = _moment(given.cancelled_at, "/cancelled_at")
    delivered_at = _delivered_at(given.fulfillments or ())
    shipping_address, billing_address = _place(given.shipping_address), _place(given.billing_address)
    return ChannelOrder(
        contact=_buyer(given, shop),
        source=SOURCE,
        shop=shop,
        external_id=str(given.id),
        number=_line(given.name, 64),
        status=_status(given, delivered_at is not None),
        financial_status=_line(given.financial_status, 40),
        currency=currency,
        subtotal=_amount(given.subtotal_price, "/subtotal_price"),
        shipping=_shipping(given),
        tax=_amount(given.total_tax, "/total_tax"),
        discount=_amount(given.total_discounts, "/total_discounts"),
        total=_amount(given.total_price, "/total_price") or Decimal(0),
        refunds=[
            refund
            for n, one in enumerate(given.refunds or ())
            if (refund := _refund(one, currency, created_at, f"/refunds/{n}")[0]) is not None
        ],
        placed_at=_moment(given.processed_at, "/processed_at") or created_at,
        updated_at=_moment(given.updated_at, "/updated_at"),
        cancelled_at=cancelled_at,
        delivered_at=delivered_at,
        shipping_address=shipping_address,
        billing_address=billing_address,
        lines=[_item(line, n) for n, line in enumerate((given.line_items or ())[:MAX_LINES])],
        tags=_tags(given.tags),
        note=(text.clean_lines((given.note or "")[:NOTE_LENGTH]) or None),
    )


def _read_refund(body: bytes, shop: str) -> Said:
    given = _refund_in(body)
    if given.order_id is None:
        raise Unreadable("/order_id", "is required")
    if given.created_at is None:
        raise Unreadable("/created_at", "is required")
    refund, currency = _refund(given, None, given.created_at, "")
    if refund is None:
        return Ignored("a refund that paid nothing back")
    return ChannelOrderRefund(
        source=SOURCE, shop=shop, order_external_id=str(given.order_id), currency=currency, refund=refund
    )


def _read_customer(body: bytes, shop: str) -> Said:
    given = _customer_in(body)
    if given.line_items is not None:
        # The topic is not signed: an order must not become a customer because somebody says so.
        raise Unreadable("/line_items", "is not of a customer")
    place = _place(given.default_address)
    email, phone = _contact(given.email, 320), _contact(given.phone, 64)
    told = (
        consent.read("email", given.email_marketing_consent, email, is_repeated=True),
        consent.read("sms", given.sms_marketing_consent, phone, is_repeated=True),
    )
    return ChannelCustomer(
        contact=Contact(
            source=SOURCE,
            shop=shop,
            external_id=str(given.id),
            email=email,
            phone=phone or (place.phone if place else None),
            name=_name(given) or (place.recipient_name if place else None),
            country=place.country if place else None,
            address=place,
        ),
        tags=None if given.tags is None else _tags(given.tags),
        updated_at=_moment(given.updated_at, "/updated_at"),
        consents=[one for one in told if one is not None],
    )


def _read_email_consent(body: bytes, shop: str) -> Said:
    given = _email_consent_in(body)
    email = _contact(given.email_address, 320)
    contact = Contact(source=SOURCE, shop=shop, external_id=str(given.customer_id), email=email)
    return _chosen(contact, consent.read("email", given.email_marketing_consent, email))


def _read_sms_consent(body: bytes, shop: str) -> Said:
    given = _sms_consent_in(body)
    phone = _contact(given.phone, 64)
    contact = Contact(source=SOURCE, shop=shop, external_id=str(given.id), phone=phone)
    return _chosen(contact, consent.read("sms", given.sms_marketing_consent, phone))


def _chosen(contact: Contact, choice: ChannelConsent | None) -> Said:
    if choice is None:
        return Ignored("says nothing of what the customer chose")
    return ChannelConsents(contact=contact, consents=[choice])


def _read_data_request(body: bytes, shop: str) -> Said:
    return _asked("export", body, shop)


def _read_redact(body: bytes, shop: str) -> Said:
    return _asked("erase", body, shop)


def _read_shop_redact(body: bytes, shop: str) -> Said:
    given = _privacy_in(body)
    if not _is_here(given, shop):
        raise Unreadable("/shop_domain", "is another shop's")
    if given.customer is not None:
        # The topic is not signed: nobody's request may become everybody's.
        raise Unreadable("/customer", "is not of a shop")
    return ChannelPrivacy(kind="erase_shop", contact=Contact(source=SOURCE, shop=shop))


def _asked(kind: Literal["export", "erase"], body: bytes, shop: str) -> Said:
    given = _privacy_in(body)
    somebody = given.customer or _Somebody()
    orders, others = given.orders_to_redact, given.orders_requested
    if kind == "export":
        orders, others = others, orders
    if others is not None:
        # Nor may who wants to know what is kept lose it.
        raise Unreadable("/orders_to_redact" if kind == "export" else "/orders_requested", "is not of this topic")
    # An id is one customer's in all shops; an email of another shop's customer may be anybody's here.
    is_here = _is_here(given, shop)
    contact = Contact(
        source=SOURCE,
        shop=shop,
        external_id=None if somebody.id is None else str(somebody.id),
        email=_contact(somebody.email, 320) if is_here else None,
        phone=_contact(somebody.phone, 64) if is_here else None,
    )
    if contact.external_id is None and contact.email is None and contact.phone is None and not (orders and is_here):
        raise Unreadable("/customer" if is_here else "/shop_domain", "is required" if is_here else "is another shop's")
    return ChannelPrivacy(kind=kind, contact=contact, orders=[str(id) for id in orders or ()])


def _is_here(given: _Privacy, shop: str) -> bool:
    return given.shop_domain.strip().lower() == shop


_READERS: Final[Mapping[str, Callable[[bytes, str], Said]]] = {
    "orders/create": _read_order,
    "orders/updated": _read_order,
    "orders/paid": _read_order,
    "orders/cancelled": _read_order,
    "orders/fulfilled": _read_order,
    "orders/partially_fulfilled": _read_order,
    "refunds/create": _read_refund,
    "customers/create": _read_customer,
    "customers/update": _read_customer,
    "customers/enable": _read_customer,
    "customers/disable": _read_customer,
    "customers_email_marketing_consent/update": _read_email_consent,
    "customers_marketing_consent/update": _read_sms_consent,
    "customers/data_request": _read_data_request,
    "customers/redact": _read_redact,
    "shop/redact": _read_shop_redact,
}
_KEPT: Final[Mapping[str, str]] = {
    "orders/edited": "says what an edit did; orders/updated says what the order is then",
    "orders/delete": "an order that the shop deleted stays here as it last was",
    "customers/delete": "a customer whom the shop deleted stays here with their orders",
    "app/uninstalled": "the shop has removed the app that sends these; disconnect it when that was meant",
}
"""Topics that change nothing, and why."""

# --- the parts -----------------------------------------------------------------------------------------------------------

MAX_LINES: Final = 1_000
MAX_TAGS: Final = 250
NOTE_LENGTH: Final = 10_000
TEXT_LENGTH: Final = 255
_PAID: Final = frozenset({"paid", "partially_paid", "partially_refunded", "refunded"})


def _status(order: _Order, is_delivered: bool) -> str:
    if order.cancelled_at is not None or order.financial_status == "voided":
        return "cancelled"
    if order.fulfillment_status == "fulfilled":
        return "delivered" if is_delivered else "shipped"
    if order.fulfillment_status == "partial":
        return "processing"
    return "confirmed" if order.financial_status in _PAID else "pending"


def _delivered_at(fulfillments: Sequence[_Fulfillment]) -> datetime | None:
    """When the last parcel arrived, once all have. Only those that were not called off count."""
    sent = [f for f in fulfillments if f.status not in ("cancelled", "error", "failure")]
    if not sent or any(f.shipment_status != "delivered" or f.updated_at is None for f in sent):
        return None
    at = [_moment(f.updated_at, f"/fulfillments/{n}/updated_at") for n, f in enumerate(sent)]
    return max(moment for moment in at if moment is not None)


def _buyer(order: _Order, shop: str) -> Contact:
    customer = order.customer
    shipping, billing = _place(order.shipping_address), _place(order.billing_address)
    place = shipping or billing
    emails = (order.email, order.contact_email, customer.email if customer else None)
    phones = (order.phone, customer.phone if customer else None, *(p.phone for p in (shipping, billing) if p))
    names = (_name(customer) if customer else None, *(p.recipient_name for p in (shipping, billing) if p))
    return Contact(
        source=SOURCE,
        shop=shop,
        external_id=None if customer is None else str(customer.id),
        email=next((found for email in emails if (found := _contact(email, 320))), None),
        phone=next((found for phone in phones if (found := _contact(phone, 64))), None),
        name=next((name for name in names if name), None),
        country=place.country if place else None,
        address=place,
    )


def _shipping(order: _Order) -> Decimal | None:
    told = order.total_shipping_price_set
    if told is not None and told.shop_money is not None:
        return _amount(told.shop_money.amount, "/total_shipping_price_set/shop_money/amount")
    if order.shipping_lines is None:
        return None
    return _sum((line.price, f"/shipping_lines/{n}/price") for n, line in enumerate(order.shipping_lines))


def _refund(
    given: _Refund, currency: str | None, otherwise_at: datetime, at: str
) -> tuple[ChannelRefund | None, str | None]:
    """A refund and its amount's currency; None where nothing was paid back.

    The money that went back, by its successful transactions; where there are none, or they were in the buyer's currency,
    what the returned lines were worth, less what was adjusted.
    """
    paid = [(n, t) for n, t in enumerate(given.transactions or ()) if t.kind == "refund"]
    done = [(n, t) for n, t in paid if t.status == "success"]
    own = currency or _shop_currency(given)
    currencies = {t.currency.upper() for _, t in done if t.currency}
    if paid and (own is None or currencies <= {own}) and len(currencies) <= 1:
        amount = _sum((t.amount, f"{at}/transactions/{n}/amount") for n, t in done)
        own = own or next(iter(currencies), None)
    elif paid and not _has_shop_money(given):
        raise Unreadable(
            f"{at}/transactions", "is in another currency than the shop's, and nothing says how much that was"
        )
    else:
        amount = _worth(given, at)
    if amount <= 0:
        return None, own
    moment = _moment(given.created_at, f"{at}/created_at") or otherwise_at
    return ChannelRefund(
        external_id=str(given.id), amount=amount, refunded_at=moment, reason=_line(given.note, 1_000)
    ), own


def _worth(given: _Refund, at: str) -> Decimal:
    lines = _sum(
        (_shop_money(money_set, plain), f"{at}/refund_line_items/{n}")
        for n, line in enumerate(given.refund_line_items or ())
        for money_set, plain in ((line.subtotal_set, line.subtotal), (line.total_tax_set, line.total_tax))
    )
    # An adjustment is of the order: what it lowers the order by is negative.
    adjusted = _sum(
        (_shop_money(money_set, plain), f"{at}/order_adjustments/{n}")
        for n, one in enumerate(given.order_adjustments or ())
        for money_set, plain in ((one.amount_set, one.amount), (one.tax_amount_set, one.tax_amount))
    )
    return lines - adjusted


def _sets(given: _Refund) -> Iterable[_Money]:
    for line in given.refund_line_items or ():
        if line.subtotal_set is not None and line.subtotal_set.shop_money is not None:
            yield line.subtotal_set.shop_money
    for one in given.order_adjustments or ():
        if one.amount_set is not None and one.amount_set.shop_money is not None:
            yield one.amount_set.shop_money


def _has_shop_money(given: _Refund) -> bool:
    return any(found.amount is not None for found in _sets(given))


def _shop_currency(given: _Refund) -> str | None:
    return next((found.currency_code.upper() for found in _sets(given) if found.currency_code), None)


def _shop_money(found: _MoneySet | None, plain: Decimal | None) -> Decimal | None:
    return found.shop_money.amount if found is not None and found.shop_money is not None else plain


def _item(line: _Line, n: int) -> ChannelLine:
    return ChannelLine(
        sku=_line(line.sku, 255),
        title=_line(line.title, 1_000) or "",
        quantity=line.quantity,
        unit_price=_amount(line.price, f"/line_items/{n}/price"),
        properties=_properties(line.properties),
    )


def _properties(given: Any) -> Mapping[str, Any]:
    """What the buyer chose: `[{"name", "value"}]`, or an object in older carts."""
    pairs: list[tuple[object, object]] = []
    if isinstance(given, dict):
        pairs = list(cast("dict[object, object]", given).items())
    elif isinstance(given, list):
        told = [cast("dict[object, object]", one) for one in cast("list[object]", given) if isinstance(one, dict)]
        pairs = [(one.get("name"), one.get("value")) for one in told]
    found: dict[str, Any] = {}
    for name, value in pairs[:100]:
        key = _line(name, TEXT_LENGTH) if isinstance(name, str) else None
        if key is None:
            continue
        if value is None or isinstance(value, bool):
            found[key] = value
        else:
            shown = value if isinstance(value, str) else msgspec.json.encode(value).decode("utf-8", "replace")
            found[key] = text.clean_lines(shown[:NOTE_LENGTH])
    return found


def _place(given: _Address | None) -> PostalAddress | None:
    if given is None:
        return None
    found = PostalAddress(
        recipient_name=_line(given.name, 200) or _joined(given.first_name, given.last_name),
        line1=_line(given.address1),
        line2=_line(given.address2),
        city=_line(given.city),
        state=_line(given.province_code) or _line(given.province),
        postal_code=_line(given.zip),
        country=_line(given.country_code) or _line(given.country),
        phone=_contact(given.phone, 64),
    )
    return found if found != PostalAddress() else None


def _name(customer: _Customer) -> str | None:
    return _joined(customer.first_name, customer.last_name)


def _joined(first: str | None, last: str | None) -> str | None:
    return _line(f"{first or ''} {last or ''}", 200)


def _tags(given: str | Sequence[str] | None) -> Sequence[str]:
    told = given.split(",") if isinstance(given, str) else given or ()
    return tuple(dict.fromkeys(tag for one in told[: 4 * MAX_TAGS] if (tag := _line(one, 100))))[:MAX_TAGS]


def _line(given: str | None, most: int = TEXT_LENGTH) -> str | None:
    return text.clean(text.clean((given or "")[: 4 * most])[:most]) or None


def _contact(given: str | None, most: int) -> str | None:
    """An email or phone; one that is too long to be any is none."""
    return _line(given, most) if given is not None and len(given) <= most else None


def _amount(given: Decimal | None, pointer: str) -> Decimal | None:
    if given is not None and not money.fits(given):
        raise Unreadable(pointer, "is not an amount that can be kept")
    return given


def _sum(amounts: Iterable[tuple[Decimal | None, str]]) -> Decimal:
    total = sum((_amount(amount, pointer) or Decimal(0) for amount, pointer in amounts), Decimal(0))
    return _amount(total, "") or Decimal(0)


def _moment(given: datetime | None, pointer: str) -> datetime | None:
    if given is not None and not 1970 <= given.year < 9999:
        raise Unreadable(pointer, "is not a time that can be")
    return given
