"""The story of a shop that never was: who buys, when, what, and what becomes of it. Pure, and the same for a seed.

Buyers come back by the BG/NBD model (Fader, Hardie, Lee 2005, "Counting Your Customers" the Easy Way): each buys at a
rate of their own, gamma distributed, and leaves for good after any repeated purchase by a chance of their own, beta
distributed. Purchases are thinned by the season; baskets are log-normal.
"""

import math
import tomllib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from supover.channels.model import ChannelLine, ChannelOrder, ChannelRefund, Contact, PostalAddress
from supover.kit import text
from supover.orders.rates import Rate

BLOCK: Final = 2_000
"""So many customers are told at a time: their orders are in the order of time and numbered on."""

DAYS: Final = 730
RATE_SHAPE: Final = 0.55
RATE_WEEKS: Final = 6.0
LEAVING_A: Final = 0.8
LEAVING_B: Final = 3.2
SEASON: Final = (0.80, 0.78, 0.85, 0.88, 0.95, 0.86, 0.80, 0.84, 0.95, 1.10, 1.60, 1.75)
"""Purchases a month, January first, against the mean."""

CHANNELS: Final = (("SHOPIFY", 40), ("TIKTOK_SHOP", 22), ("ETSY", 18), ("API", 14), ("AMAZON", 6))
SECOND_CHANNEL: Final = 0.08
TAGS: Final = ("newsletter", "wholesale", "gift buyer", "local", "press")


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a story, until when, for a workspace of which currency."""

    until: datetime
    customers: int = 2_000
    seed: int = 1
    currency: str = "USD"


class Told(msgspec.Struct, frozen=True):
    """An order of the story, and which of its people bought."""

    person: int
    order: ChannelOrder


class Buyer(msgspec.Struct, frozen=True):
    """Somebody of the story as a shop's own file has them: everything they told, and what the staff wrote beside it."""

    external_id: str
    contact: Contact
    tags: Sequence[str]


class _Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    code: str
    price: int


class _Style(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    code: str


class _Goods(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kinds: tuple[_Kind, ...]
    styles: tuple[_Style, ...]


class _City(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    city: str
    state: str
    postal_code: str


class _Country(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str
    currency: str
    share: int
    tax: int
    price: float
    phone: str
    phones: int
    first: str
    last: str
    streets: tuple[str, ...]
    line1: str
    flat: str
    cities: tuple[_City, ...]


class _Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mail_domains: tuple[str, ...]
    goods: _Goods
    dollars: dict[str, float]
    country: tuple[_Country, ...]


class _Product(msgspec.Struct, frozen=True):
    sku: str
    title: str
    price: int


class _World(msgspec.Struct, frozen=True):
    # What the words come to: names split once, running sums of weights for Random.choices.
    words: _Words
    countries: list[float]
    firsts: dict[str, list[str]]
    lasts: dict[str, list[str]]
    products: list[_Product]
    popularity: list[float]


@cache
def _world() -> _World:
    words = msgspec.convert(tomllib.loads((Path(__file__).parent / "words.toml").read_text("utf-8")), _Words)
    products = [
        _Product(f"{kind.code}-{style.code}", f"{kind.name}, {style.name}", kind.price)
        for style in words.goods.styles
        for kind in words.goods.kinds
    ]
    return _World(
        words,
        _sums([c.share for c in words.country]),
        {c.code: c.first.split() for c in words.country},
        {c.code: c.last.split() for c in words.country},
        products,
        _sums([1 / (n + 3) ** 0.7 for n in range(len(products))]),
    )


def _sums(weights: Sequence[float]) -> list[float]:
    total, found = 0.0, list[float]()
    for weight in weights:
        total += weight
        found.append(total)
    return found


# --- people --------------------------------------------------------------------------------------------------------------


class _Person:
    """Somebody who buys, and the dice that decide all about them."""

    def __init__(self, shape: Shape, index: int) -> None:
        world = _world()
        self.index = index
        self.dice = dice = Random(f"{shape.seed}/{index}")  # noqa: S311  tells a story, guards nothing
        self.country = country = dice.choices(world.words.country, cum_weights=world.countries)[0]
        self.first = dice.choice(world.firsts[country.code])
        self.last = dice.choice(world.lasts[country.code])
        self.spending = math.exp(dice.gauss(0, 0.45))
        self.home = self._address()
        mail = text.fold(f"{self.first}.{self.last}").replace("'", "")
        self.email = f"{mail}{index}@{dice.choice(world.words.mail_domains)}"
        self.phone = self._phone()
        sources = [dice.choices([c for c, _ in CHANNELS], weights=[w for _, w in CHANNELS])[0]]
        if dice.random() < SECOND_CHANNEL:
            sources.append(dice.choice([c for c, _ in CHANNELS if c != sources[0]]))
        self.contacts = [self._contact(source, f"demo-{shape.seed}", n > 0) for n, source in enumerate(sources)]
        self.bought = 0

    def _address(self) -> PostalAddress:
        dice, country = self.dice, self.country
        city = dice.choice(country.cities)
        line1 = country.line1.format(house=dice.randint(1, 240), street=dice.choice(country.streets))
        flat = country.flat.format(flat=dice.randint(1, 40)) if country.flat and dice.random() < 0.3 else None
        return PostalAddress(
            recipient_name=f"{self.first} {self.last}",
            line1=line1,
            line2=flat,
            city=city.city,
            state=city.state or None,
            postal_code=city.postal_code,
            country=country.code,
        )

    def _phone(self) -> str | None:
        n = self.index
        if self.dice.random() > 0.45 or n >= self.country.phones:
            return None
        return self.country.phone.format(
            area=201 + n // 100, three=f"{n:03}", two=f"{n % 100:02}", hundred=f"{n // 100:02}"
        )

    def _contact(self, source: str, shop: str, second: bool) -> Contact:
        """How a channel shows this person: as a shop of one's own does, or with what marketplaces hide."""
        dice, name, email, phone, home = self.dice, f"{self.first} {self.last}", self.email, self.phone, self.home
        if second and dice.random() < 0.6:
            # The same person, written otherwise: an initial, another mailbox, no phone.
            name = f"{self.first[0]}. {self.last}" if dice.random() < 0.4 else name
            email = f"{text.fold(self.first)}{self.index}@{_world().words.mail_domains[0]}"
            phone = None
        external_id: str | None = str(7_000_000_000_000 + self.index)
        if source == "TIKTOK_SHOP":
            name = f"{self.first} {self.last[0]}{'*' * max(2, len(self.last) - 1)}"
            email, phone = (
                f"{self.dice.getrandbits(60):013x}@scs.tiktokw.us",
                f"(+1){dice.randint(200, 989)}*****{self.index % 100:02}",
            )
            home = msgspec.structs.replace(
                home, recipient_name=name, line1=f"{(home.line1 or '*')[:3]}*****", line2=None
            )
        elif source == "AMAZON":
            email, phone = f"{self.dice.getrandbits(60):013x}@marketplace.amazon.com", None
        elif source == "ETSY":
            phone = None
        elif source == "API":
            external_id = None
        if home.recipient_name != name:
            home = msgspec.structs.replace(home, recipient_name=name)
        return Contact(
            source=source, shop=shop, external_id=external_id, email=email, phone=phone, name=name,
            country=self.country.code, address=home,
        )  # fmt: skip


def _purchases(person: _Person, until: datetime) -> Iterator[datetime]:
    """When somebody buys: from a first time that grows likelier as the shop grows, by their own rate, until they leave."""
    dice, start = person.dice, until - timedelta(days=DAYS)
    while True:
        at = start + timedelta(days=DAYS * (math.sqrt(1 + 3 * dice.random()) - 1))
        if dice.random() < _season(at):
            break
    weekly = dice.gammavariate(RATE_SHAPE, 1 / RATE_WEEKS) * max(SEASON)
    leaves = dice.betavariate(LEAVING_A, LEAVING_B)
    repeated = False
    while at < until:
        yield at.replace(hour=_hour(dice), minute=dice.randrange(60), second=dice.randrange(60), microsecond=0)
        if repeated and dice.random() < leaves:
            return
        repeated = True
        while True:
            at += timedelta(weeks=min(dice.expovariate(weekly), 1_000))
            if at >= until or dice.random() < _season(at):
                break


def _season(at: datetime) -> float:
    """The chance that a purchase thought of happens, by month and day of the week."""
    return SEASON[at.month - 1] / max(SEASON) * (1.0 if at.weekday() in (4, 5, 6) else 0.85)


def _hour(dice: Random) -> int:
    return int(dice.triangular(6, 30, 20)) % 24


def buyers(shape: Shape) -> Iterator[list[Buyer]]:
    """Everybody of the story once, BLOCK at a time."""
    for start in range(0, shape.customers, BLOCK):
        yield [_buyer(shape, index) for index in range(start, min(start + BLOCK, shape.customers))]


def _buyer(shape: Shape, index: int) -> Buyer:
    # Dice of its own: what else is told of them stays as it is.
    person, dice = _Person(shape, index), Random(f"{shape.seed}/{index}/tags")  # noqa: S311  tells a story, guards nothing
    contact = Contact(
        source="IMPORT", shop="", email=person.email, phone=person.phone, name=f"{person.first} {person.last}",
        country=person.country.code, address=person.home,
    )  # fmt: skip
    return Buyer(f"demo-{shape.seed}-{index}", contact, dice.sample(TAGS, dice.choice((0, 0, 1, 2))))


# --- what they buy -------------------------------------------------------------------------------------------------------


def orders(shape: Shape) -> Iterator[list[Told]]:
    """The whole story, BLOCK customers at a time; within a block in the order of time. Memory is that of one block."""
    number = 1_000
    for start in range(0, shape.customers, BLOCK):
        people = [_Person(shape, i) for i in range(start, min(start + BLOCK, shape.customers))]
        events = [
            (at, person.index, n)
            for person in people
            for n, at in enumerate(_purchases(person, shape.until))
            if at < shape.until
        ]
        events.sort()
        told: list[Told] = []
        for at, index, n in events:
            number += 1
            told.append(Told(index, _order(shape, people[index - start], n, at, number)))
        yield told


def _order(shape: Shape, person: _Person, n: int, at: datetime, number: int) -> ChannelOrder:
    dice, country = person.dice, person.country
    contact = person.contacts[0]
    if len(person.contacts) > 1 and dice.random() < 0.4:
        contact = person.contacts[1]
    currency, factor = _currency(shape, country, contact.source)
    lines = _basket(person, factor)
    subtotal = sum(int((line.unit_price or 0) * 100) * line.quantity for line in lines)
    discount = subtotal // 10 if dice.random() < 0.12 else 0
    shipping = 0 if subtotal >= 6_000 * factor else round(495 * factor)
    tax = round((subtotal - discount) * country.tax / 100)
    total = _money(subtotal - discount + shipping + tax)
    status, financial, delivered_at, cancelled_at, refunds = _fate(dice, at, shape.until, total, lines)
    return ChannelOrder(
        contact=contact, source=contact.source, shop=contact.shop, external_id=_external_id(contact.source, person.index, n),
        number=_number(contact.source, number), status=status, financial_status=financial,
        currency=currency, subtotal=_money(subtotal), shipping=_money(shipping), tax=_money(tax), discount=_money(discount),
        total=total, refunds=refunds, placed_at=at, cancelled_at=cancelled_at, delivered_at=delivered_at,
        shipping_address=contact.address, lines=lines, tags=("gift",) if dice.random() < 0.05 else (),
        note="Please leave it with the neighbours." if dice.random() < 0.02 else None, settled=True,
    )  # fmt: skip


def one_more(told: Told, number: int, at: datetime) -> ChannelOrder:
    """Somebody orders as the last time; nothing has been done about it yet."""
    return msgspec.structs.replace(
        told.order, external_id=_external_id(told.order.source, told.person, _MORE), number=_number(told.order.source, number),
        status="pending", financial_status="pending", placed_at=at, refunds=None, delivered_at=None, cancelled_at=None,
    )  # fmt: skip


_MORE: Final = 900
"""More than anybody in the story orders."""


def _number(source: str, number: int) -> str:
    return f"#{number}" if source in ("SHOPIFY", "API") else str(number)


def _external_id(source: str, index: int, n: int) -> str:
    match source:
        case "SHOPIFY":
            return str(5_400_000_000_000 + index * 1_000 + n)
        case "ETSY":
            return str(3_100_000_000 + index * 1_000 + n)
        case "TIKTOK_SHOP":
            return f"5764{index * 1_000 + n:014}"
        case "AMAZON":
            return f"113-{index:07}-{n:07}"
        case _:
            return f"WEB-{index}-{n}"


def _currency(shape: Shape, country: _Country, source: str) -> tuple[str, float]:
    """What an order is paid in, and how prices in dollars turn into it."""
    dollars = _world().words.dollars
    if shape.currency not in dollars:
        return shape.currency, 1.0
    if source == "ETSY" and country.currency != shape.currency:
        return "USD", 1.0
    return country.currency, country.price


def _basket(person: _Person, factor: float) -> list[ChannelLine]:
    dice, world = person.dice, _world()
    wanted = math.exp(dice.gauss(3.7, 0.6)) * person.spending
    lines: dict[str, ChannelLine] = {}
    spent = 0.0
    while spent < wanted and len(lines) < 6:
        product = dice.choices(world.products, cum_weights=world.popularity)[0]
        quantity = 1 if dice.random() < 0.8 else dice.randint(2, 4)
        price = _money(round(product.price * factor * 100) - 1)
        if product.sku not in lines:
            lines[product.sku] = ChannelLine(sku=product.sku, title=product.title, quantity=quantity, unit_price=price)
        spent += product.price * quantity
    return list(lines.values())


def _money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


Fate = tuple[str, str, datetime | None, datetime | None, list[ChannelRefund] | None]


def _fate(dice: Random, at: datetime, until: datetime, total: Decimal, lines: Sequence[ChannelLine]) -> Fate:
    """What became of an order by now: status, payment, when delivered, when cancelled, refunds."""
    age = (until - at) / timedelta(days=1)
    chance = dice.random()
    days = 2 + dice.expovariate(0.45)
    if chance < 0.035 and age > 1:
        return "cancelled", "voided", None, at + timedelta(hours=dice.randint(1, 20)), None
    if age < days:
        steps = ("confirmed", "processing", "shipped") if age > 1 else ("pending", "confirmed", "processing")
        status = steps[min(2, int(3 * age / days))] if age > 1 else dice.choice(steps)
        return status, "pending" if status == "pending" else "paid", None, None, None
    delivered_at = at + timedelta(days=days)
    back_at = delivered_at + timedelta(days=dice.randint(3, 14))
    if chance < 0.065 and back_at < until:
        refund = ChannelRefund(external_id="return", amount=total, refunded_at=back_at, reason="Sent back")
        return "returned", "refunded", delivered_at, None, [refund]
    if chance < 0.1 and back_at < until:
        amount = min(total, lines[0].unit_price or total)
        refund = ChannelRefund(external_id="damage", amount=amount, refunded_at=back_at, reason="Arrived damaged")
        return "delivered", "partially_refunded", delivered_at, None, [refund]
    return "delivered", "paid", delivered_at, None, None


# --- rates ---------------------------------------------------------------------------------------------------------------


def rates(shape: Shape) -> list[Rate]:
    """A rate a month for each of the story's currencies, from before its first day; none for a currency it does not know."""
    dollars = _world().words.dollars
    if shape.currency not in dollars:
        return []
    dice = Random(f"{shape.seed}/rates")  # noqa: S311  tells a story, guards nothing
    walked = dict(dollars)
    found: list[Rate] = []
    for day in reversed(list(_months(shape.until))):
        found += [
            Rate(currency, day, round(Decimal(walked[currency] / walked[shape.currency]), 6))
            for currency in dollars
            if currency != shape.currency
        ]
        walked = {c: value if c == "USD" else value * (1 + dice.gauss(0, 0.008)) for c, value in walked.items()}
    return found[::-1]


def _months(until: datetime) -> Iterator[date]:
    first = (until - timedelta(days=DAYS + 31)).date().replace(day=1)
    while first <= until.date():
        yield first
        first = (first + timedelta(days=32)).replace(day=1)


def midnight(now: datetime) -> datetime:
    """The day's beginning: the end of a story told today."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
