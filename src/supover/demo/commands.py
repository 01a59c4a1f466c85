"""The story is told to a workspace or to files, and what the first run of an installation needs is made."""

import csv
import gzip
import os
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import IO, Final
from uuid import UUID

import asyncpg
import msgspec

from supover import wiring
from supover.access import audit
from supover.access import commands as access
from supover.access.model import NewKey, NewStaff, NewWorkspace, operator
from supover.analytics import commands as analytics
from supover.analytics import predictions, scoring
from supover.channels.model import ChannelOrder
from supover.customers import commands as customers
from supover.customers.model import CustomerChange, NewCustomer
from supover.demo import rules, wishes
from supover.demo.model import Filled, FirstRun
from supover.demo.rules import Shape, Told
from supover.kit import clock, ids
from supover.kit.db import Database, Tx
from supover.notes import commands as notes
from supover.notes.model import NewNote
from supover.orders import commands as orders
from supover.orders import rates
from supover.orders.model import OrderChange, Taken
from supover.segments import membership
from supover.settings import Settings

Begin = Callable[[], AbstractAsyncContextManager[Tx]]
"""Opens the transaction of the next step."""

# --- to a workspace ------------------------------------------------------------------------------------------------------

AT_ONCE: Final = 2_000
# Of tables that were empty a moment ago the planner knows nothing: for a minute lists would be read by plans for a handful.
LEARN: Final = "select learn_sizes(), learn_duplicates() from (select $1::uuid) as w"


async def fill(begin: Begin, shape: Shape, progress: Callable[[int], None] = lambda _: None) -> Filled:
    """Tells the story to a workspace, some thousand orders a transaction of `begin`, and recounts figures and segments.

    The same story again changes nothing. `progress` hears how many orders are in; memory is that of a block.
    """
    outcomes = Counter[str]()
    made = 0
    async with begin() as tx:
        table = rules.rates(shape)
        for n in range(0, len(table), rates.BATCH):
            await rates.keep(tx, table[n : n + rates.BATCH])
    for number, block in enumerate(rules.orders(shape)):
        found: list[tuple[Told, Taken]] = []
        for part in _parts(shape, block):
            for n in range(0, len(part), AT_ONCE):
                some = part[n : n + AT_ONCE]
                async with begin() as tx:
                    taken = await orders.take_in(tx, [told.order for told in some])
                outcomes.update(one.outcome for one in taken)
                made += sum(one.customer_created for one in taken)
                found += zip(some, taken, strict=True)
                progress(outcomes.total())
            if len(part) < len(block) and len(found) == len(part) and outcomes["created"]:
                await _recount(begin)
                async with begin() as tx:
                    # So that somebody has moved since.
                    await scoring.everybody(tx, _month(shape) - timedelta(days=1))
        if number == 0 and outcomes["created"]:
            async with begin() as tx:
                await _look_after(tx, shape, found)
                await wishes.tell(tx, shape.seed, found)
    await _recount(begin)
    async with begin() as tx:
        await scoring.everybody(tx)
    while True:
        async with begin() as tx:
            if not await membership.refresh(tx) and not await membership.evaluate_next(tx):
                break
    async with begin() as tx:
        await tx.value(LEARN)
        if outcomes["created"]:
            await predictions.fit_later(tx, from_history=True)
    return Filled(outcomes.total(), outcomes["created"], outcomes["updated"], outcomes["unchanged"], made)


async def _recount(begin: Begin) -> None:
    while True:
        async with begin() as tx:
            if not await analytics.refresh(tx):
                return


def _month(shape: Shape) -> datetime:
    return shape.until.replace(day=1)


def _parts(shape: Shape, block: Sequence[Told]) -> Sequence[Sequence[Told]]:
    """The orders before the running month, and those in it; a long story is told at once, as its blocks go through all months."""
    if shape.customers > rules.BLOCK:
        return (block,)
    before = sum(told.order.placed_at < _month(shape) for told in block)
    return block[:before], block[before:]


NOTES: Final = (
    "Prefers deliveries on Saturdays.",
    "Asked for plain packaging: the orders are often gifts.",
    "Called about a chipped mug; sent a new one, no charge.",
    "Writes for a home magazine. Be quick with samples.",
    "Runs a café and may become a wholesale customer.",
    "Wants to be told when the midnight blue lamp is back.",
)
HELD: Final = "The address looks incomplete."


async def _look_after(tx: Tx, shape: Shape, found: Sequence[tuple[Told, Taken]]) -> None:
    """What the shop's staff would have done: tags, notes, VIPs, blocked buyers and their held orders, orders held by hand."""
    dice = Random(f"{shape.seed}/staff")  # noqa: S311  tells a story, guards nothing
    bought = Counter(taken.customer_id for _, taken in found if taken.customer_id is not None)
    best = [id for id, _ in sorted(bought.items(), key=lambda one: (-one[1], one[0]))]
    for id in best[:25]:
        await customers.change(tx, id, CustomerChange(status="VIP", tags=["vip"]))
    rest = best[25:]
    for id in dice.sample(rest, min(60, len(rest))):
        await customers.change(tx, id, CustomerChange(tags=dice.sample(rules.TAGS, dice.randint(1, 2))))
    for text, id in zip(NOTES * 2, best[::3], strict=False):
        await notes.create(tx, id, NewNote(note=text, pinned=dice.random() < 0.2))
    await _block_some(tx, found, rest[-3:])
    await _write_twice(tx, found)
    now_open = [taken.order_id for told, taken in found if told.order.status in ("confirmed", "processing")]
    for order_id in now_open[-4:]:
        if order_id is not None:
            await orders.change(tx, order_id, OrderChange(on_hold=True, hold_reason=HELD))


async def _block_some(tx: Tx, found: Sequence[tuple[Told, Taken]], whom: Sequence[UUID]) -> None:
    """Blocks customers; what they order after that is held."""
    last: Mapping[UUID | None, Told] = {taken.customer_id: told for told, taken in found}
    newest = max((told.order for told, _ in found), key=lambda order: order.placed_at)
    for number, id in enumerate(whom, int((newest.number or "").strip("#") or 0) + 1):
        await customers.block(tx, id)
        await orders.take_in(tx, [rules.one_more(last[id], number, newest.placed_at)])


async def _write_twice(tx: Tx, found: Sequence[tuple[Told, Taken]]) -> None:
    """People whom somebody at the counter wrote down a second time, with another mailbox."""
    seen = {
        told.person: told.order.contact
        for told, _ in found
        if told.order.contact.phone and told.order.source == "SHOPIFY"
    }
    for person, contact in list(seen.items())[:8]:
        name = contact.name or ""
        await customers.create(
            tx,
            NewCustomer(
                name=name.upper() if person % 2 else name.replace(" ", "  "),
                email=f"home{person}@post.example",
                phone=contact.phone,
                country=contact.country,
                source="MANUAL",
            ),
        )


# --- to files ------------------------------------------------------------------------------------------------------------

COLUMNS: Final = (
    "externalId", "number", "shop", "placedAt", "status", "currency", "subtotal", "shipping", "tax", "discount", "total", "refunded",
    "deliveredAt", "cancelledAt", "customerExternalId", "email", "name", "phone", "country", "state", "city", "postalCode", "line1",
    "line2", "sku", "title", "quantity", "unitPrice", "tags", "note",
)  # fmt: skip


def write(file: Path, shape: Shape, progress: Callable[[int], None] = lambda _: None) -> tuple[int, Path]:
    """Writes the orders to a CSV, a row a line, and beside it the exchange rates; how many orders, and where the rates are.

    Both go in by `supover orders import` and `supover rates import` as they are. Gzipped where the name ends in .gz.
    """
    beside = file.with_name(f"{Path(file.name.removesuffix('.gz')).stem}.rates.csv")
    with beside.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(["date", "currency", "rate"])
        table.writerows([rate.date, rate.currency, rate.rate] for rate in rules.rates(shape))
    number = 0
    with _text(file) as out:
        table = csv.writer(out)
        table.writerow(COLUMNS)
        for block in rules.orders(shape):
            for told in block:
                table.writerows(_rows(told.order))
            number += len(block)
            progress(number)
    return number, beside


BUYERS: Final = (
    "externalId", "email", "name", "phone", "line1", "line2", "city", "state", "postalCode", "country", "tags",
)  # fmt: skip


def write_buyers(file: Path, shape: Shape, progress: Callable[[int], None] = lambda _: None) -> int:
    """Writes everybody of the story to a CSV, a customer a line with address and tags; how many.

    It goes in by `supover customers import` as it is. Gzipped where the name ends in .gz.
    """
    number = 0
    with _text(file) as out:
        table = csv.writer(out)
        table.writerow(BUYERS)
        for block in rules.buyers(shape):
            table.writerows(map(_buyer, block))
            number += len(block)
            progress(number)
    return number


def _buyer(buyer: rules.Buyer) -> tuple[object, ...]:
    contact, place = buyer.contact, buyer.contact.address
    assert place is not None, "everybody lives somewhere"
    return (
        buyer.external_id, contact.email, contact.name, contact.phone, place.line1, place.line2, place.city, place.state,
        place.postal_code, place.country, ", ".join(buyer.tags),
    )  # fmt: skip


def _text(file: Path) -> IO[str]:
    if file.name.endswith(".gz"):
        return gzip.open(file, "wt", encoding="utf-8", newline="", compresslevel=4)
    return file.open("w", encoding="utf-8", newline="")


def _rows(order: ChannelOrder) -> list[tuple[object, ...]]:
    contact, place = order.contact, order.shipping_address
    refunded = sum(refund.amount for refund in order.refunds or ())
    head = (
        f"{order.source}-{order.external_id}", order.number, order.source.lower(), order.placed_at.isoformat(), order.status,
        order.currency, order.subtotal, order.shipping, order.tax, order.discount, order.total, refunded,
        order.delivered_at and order.delivered_at.isoformat(), order.cancelled_at and order.cancelled_at.isoformat(),
        contact.external_id, contact.email, contact.name, contact.phone, contact.country, place and place.state, place and place.city,
        place and place.postal_code, place and place.line1, place and place.line2,
    )  # fmt: skip
    tail = (", ".join(order.tags), order.note)
    return [(*head, line.sku, line.title, line.quantity, line.unit_price, *tail) for line in order.lines or ()]


# --- the first run -------------------------------------------------------------------------------------------------------

OWNER_EMAIL: Final = "owner@supover.example"
FILLING: Final = "Filling the demo shop with two years of orders. This happens once, and takes about half a minute …"
KEEP_OUT: Final = "select pg_advisory_lock(hashtextextended('demo.first_run', 0))"
IDENTITY: Final = """
    select c.system_identifier::text || '/' || d.oid::text
      from pg_control_system() as c, pg_database as d
     where d.datname = current_database()"""
KEY: Final = "select k.workspace_id from key_by_token($1) k"
WORKSPACES: Final = "select w.workspace_id from workspace_list() w"


class _Kept(msgspec.Struct, frozen=True, rename="camel"):
    """What first_run.json holds: of keys and passwords the database has only hashes."""

    database: str
    workspace_id: UUID
    api_key: str
    email: str
    password: str


async def first_run(owner_dsn: str, settings: Settings, tell: Callable[[str], None] = lambda _: None) -> FirstRun:
    """How to get into this installation; on an empty database a workspace with an owner and an API key is made first.

    With `settings.demo` that workspace has a story to look at, else it is empty. Kept in DATA_DIR/first_run.json; where
    that is lost or of another database, the oldest workspace gets one more key, called "local", and nothing else changes.
    `tell` hears what takes long.
    """
    wiring.load()
    file = settings.data_dir / "first_run.json"
    # Of several that start on one database one is first, and the others find what it made.
    owner = await asyncpg.connect(owner_dsn)
    try:
        await owner.execute(KEEP_OUT)
        identity: str = await owner.fetchval(IDENTITY)
        dsn = settings.app_database_url or owner_dsn
        database = await Database.open(dsn, size=2, as_app=settings.app_database_url is None)
        try:
            kept = _read(file, identity)
            async with database.across() as con:
                known = [UUID(str(row[0])) for row in await con.fetch(WORKSPACES)]
                holder = await con.fetchval(KEY, access.digest(kept.api_key)) if kept is not None else None
            if not known:
                if settings.demo:
                    tell(FILLING)
                return await _found(database, settings, file, identity)
            if kept is None or kept.workspace_id not in known or holder != kept.workspace_id:
                kept = await _new_key(database, kept, known, identity)
                _write(file, kept)
            return FirstRun(kept.workspace_id, kept.api_key, kept.email, kept.password)
        finally:
            await database.close()
    finally:
        await owner.close()


async def _found(database: Database, settings: Settings, file: Path, identity: str) -> FirstRun:
    """The first workspace, all of it in one transaction: it is there whole or not at all."""
    id, now = ids.new(), clock.now()
    async with database.tx(id, actor="system", actor_name="Demo", origin="import") as tx:
        new = NewWorkspace(name="Demo shop" if settings.demo else "My shop", currency="USD", timezone="UTC")
        await access.create_workspace(tx, new)
        owner = await access.add_staff(tx, operator(id), NewStaff(email=OWNER_EMAIL, role="owner", name="Owner"))
        key = await access.create_key(tx, operator(id), NewKey(name="local", scopes=["admin"]), most_a_minute=None)
        await audit.record(tx, "access.create_workspace", id)
        if settings.demo:

            @asynccontextmanager
            async def same() -> AsyncGenerator[Tx]:
                yield tx

            await fill(same, Shape(until=rules.midnight(now)))
        kept = _Kept(identity, id, key.api_key or "", owner.email, owner.temporary_password or "")
        # Before the commit: credentials of a workspace that never came to be do no harm, lost ones do.
        _write(file, kept)
    return FirstRun(kept.workspace_id, kept.api_key, kept.email, kept.password)


async def _new_key(database: Database, kept: _Kept | None, known: Sequence[UUID], identity: str) -> _Kept:
    """One more key, in the workspace that is kept where it is still there, else in the oldest."""
    if kept is None or kept.workspace_id not in known:
        kept = _Kept(identity, known[0], "", "", "")
    async with database.tx(kept.workspace_id, actor="system") as tx:
        wanted = NewKey(name="local", scopes=["admin"])
        key = await access.create_key(tx, operator(kept.workspace_id), wanted, most_a_minute=None)
        await audit.record(tx, "access.create_key", key.id)
    return msgspec.structs.replace(kept, api_key=key.api_key or "")


def _read(file: Path, identity: str) -> _Kept | None:
    """What is kept of this database, if anything is and can be read."""
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=_Kept)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return kept if kept.database == identity else None


def _write(file: Path, kept: _Kept) -> None:
    """Whole or not at all, and for the owner's eyes only."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(msgspec.json.encode(kept))
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)
