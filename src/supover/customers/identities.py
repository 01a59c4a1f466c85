"""The contacts of a customer as people see, add, move and remove them. How orders are mapped by them stands in contacts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from supover.channels.model import Contact
from supover.customers import commands, contacts, rules
from supover.customers.contacts import Identity
from supover.customers.events import IdentityAdded, IdentityMoved, IdentityRemoved
from supover.customers.model import (
    CustomerIdentity,
    IdentityKind,
    IdentityMove,
    IdentityNeeded,
    IdentityNotFound,
    IdentityTaken,
    NewIdentity,
    Profile,
)
from supover.kit import clock, ids, text
from supover.kit.db import Reader, Tx
from supover.kit.events import publish
from supover.kit.problems import Invalid, Stale
from supover.kit.sql import Page, Sort, Where

AUDITED: Final = ("customer_id", "kind", "source", "shop", "value")

# --- shown ---------------------------------------------------------------------------------------------------------------

_COLUMNS: Final = """i.id, i.customer_id, i.kind, nullif(i.source, ''), case when i.kind = 'channel' then i.shop end, i.value,
           case when i.kind = 'channel' then i.value end, case when i.kind = 'email' then i.value end,
           case when i.kind = 'phone' then i.value end, i.quality, i.matched_by, i.is_hub,
           coalesce(case i.kind when 'channel' then i.source = c.source and i.value = c.external_id
                                when 'email' then lower(i.value) = lower(c.email)
                                else i.value = c.phone or i.key = c.phone_e164 end, false),
           i.created_at,
           (select max(r.placed_at) from recent r
             where r.customer_id = i.customer_id
               and (i.kind <> 'channel' or (r.source = i.source and r.shop = i.shop))
               and ((r.matched ->> 'kind' = i.kind and r.matched ->> 'key' = i.key)
                    or case i.kind when 'channel' then r.method = 'new' and r.decided_at = i.created_at
                                   when 'email' then lower(r.email) = lower(i.value)
                                   else r.phone = i.value end)),
           i.version"""
# What an order came with stands in it; which of a channel's ids it was, in the decision.
_RECENT: Final = """
      select p.id as customer_id, o.placed_at, o.source, o.shop, o.email, o.phone, d.method, d.evidence -> 'matched' as matched,
             d.decided_at
        from unnest($2::uuid[]) as p (id)
       cross join lateral (
             select o.id, o.placed_at, o.source, o.shop, o.email, o.phone from "order" o
              where o.workspace_id = $1 and o.customer_id = p.id
              order by o.placed_at desc, o.id desc limit 100) as o
       cross join lateral (
             select d.method, d.evidence, d.decided_at from order_decision d
              where d.workspace_id = $1 and d.order_id = o.id
              order by d.id desc limit 1) as d"""
_FIELDS: Final = """i.id, i.customer_id, i.kind, i.source, i.shop, i.value, i.key, i.quality, i.matched_by, i.is_hub, i.created_at,
                   i.version"""

FIND: Final = f"""
    with recent as ({_RECENT})
    select {_COLUMNS}
      from customer_identity i
      join customer c on c.workspace_id = $1 and c.id = i.customer_id
     where i.workspace_id = $1 and i.customer_id = any($2::uuid[]) and i.id = $3 and i.released_at is null"""
SORTS: Final = (Sort("createdAt", "i.created_at", "i.id", datetime, descending_first=True),)
LIST: Final = f"""
    with recent as ({_RECENT})
    select {_COLUMNS}
      from (select {_FIELDS}
              from customer_identity i
             where {{where}}
             order by {{order}}
             limit {{limit}}) as i
      join customer c on c.workspace_id = $1 and c.id = i.customer_id
     order by {{order}}"""
COUNT: Final = """
    select count(*) from customer_identity i
     where i.workspace_id = $1 and i.customer_id = $2 and i.released_at is null"""
NEWEST: Final = f"""
    with recent as ({_RECENT})
    select {_COLUMNS}
      from unnest($2::uuid[]) as p (id)
     cross join lateral (
           select {_FIELDS}
             from customer_identity i
            where i.workspace_id = $1 and i.customer_id = p.id and i.released_at is null
            order by i.created_at desc, i.id desc
            limit $3) as i
      join customer c on c.workspace_id = $1 and c.id = i.customer_id
     order by i.created_at desc, i.id desc"""


async def find(db: Reader, customer_id: UUID, id: UUID) -> CustomerIdentity:
    """One contact of this customer. Raises IdentityNotFound."""
    return await db.one(CustomerIdentity, FIND, [customer_id], id, missing=IdentityNotFound)


async def search(
    db: Reader, customer_id: UUID, page: Page, *, count: bool = False
) -> tuple[Sequence[CustomerIdentity], str | None, int | None]:
    """A page of a customer's contacts, the newest first, the cursor of the next, and how many there are where asked."""
    where = Where("i.workspace_id = $1", "i.released_at is null")
    where.add("i.customer_id = any({}::uuid[])", [customer_id])
    page.seek(where)
    limit = where.arg(page.limit + 1)
    sql = LIST.format(where=where.text(), order=page.order(), limit=limit)
    found = await db.all(CustomerIdentity, sql, *where.values)
    total = await db.value(COUNT, customer_id) if count else None
    if len(found) <= page.limit:
        return found, None, total
    last = found[page.limit - 1]
    return found[: page.limit], page.cursor(last.created_at, last.id), total


async def newest(db: Reader, customer_ids: Sequence[UUID], most: int) -> Mapping[UUID, list[CustomerIdentity]]:
    """The newest contacts of each of these customers, in one statement."""
    found: dict[UUID, list[CustomerIdentity]] = {id: [] for id in customer_ids}
    for one in await db.all(CustomerIdentity, NEWEST, list(customer_ids), most):
        found[one.customer_id].append(one)
    return found


# --- added ---------------------------------------------------------------------------------------------------------------

COUNTRY: Final = "select country from customer where workspace_id = $1 and id = $2"
HOLDER: Final = """
    select c.id, c.name
      from customer_identity i
      join customer c on c.workspace_id = $1 and c.id = i.customer_id and c.deleted_at is null
     where i.workspace_id = $1 and i.kind <> 'channel' and i.kind = $2 and i.key = $3 and i.released_at is null
       and i.customer_id <> $4
     order by i.created_at, i.id
     limit 1"""
CHANNEL_HOLDER: Final = """
    select c.id, c.name
      from customer_identity i
      join customer c on c.workspace_id = $1 and c.id = i.customer_id
     where i.workspace_id = $1 and i.kind = 'channel' and i.source = $2 and i.shop = $3 and i.value = $4 and i.released_at is null
       and i.customer_id <> $5"""
HELD: Final = """
    select i.id from customer_identity i
     where i.workspace_id = $1 and i.customer_id = $2 and i.kind = $3 and i.source = $4 and i.shop = $5
       and (i.value = $6 or (i.kind <> 'channel' and i.key = $7)) and i.released_at is null
     order by i.value = $6 desc, i.id
     limit 1"""
ADD: Final = """
    insert into customer_identity (workspace_id, id, customer_id, kind, source, shop, value, key, quality, matched_by)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'given')"""


async def add(tx: Tx, customer_id: UUID, new: NewIdentity) -> tuple[CustomerIdentity, bool]:
    """Makes a contact lead to this customer; True when it did not yet. One that the profile lacks becomes its own.

    Raises CustomerNotFound, CustomerMerged, Invalid, or IdentityTaken naming who has it; that pair is then suspected.
    """
    identity = _judged(new, await tx.value(COUNTRY, customer_id))
    # Orders that are being mapped by it come first; then nobody else edits the customer.
    await contacts.lock(tx, [identity])
    customer = await commands.lock(tx, customer_id, None, below="/identities")
    held = await tx.value(
        HELD, customer_id, identity.kind, identity.source, identity.shop, identity.value, identity.key
    )
    if held is not None:
        return await find(tx, customer_id, held), False
    if not new.is_shared:
        await _must_be_free(tx, customer_id, customer.profile.name, identity)
    id = ids.new()
    await tx.run(
        ADD, id, customer_id, identity.kind, identity.source, identity.shop, identity.value, identity.key,
        identity.quality,
    )  # fmt: skip
    await _fill(tx, customer_id, customer, identity)
    found = await find(tx, customer_id, id)
    tx.changed("identity", id, None, found, AUDITED)
    told = IdentityAdded(
        customer_id=customer_id,
        at=clock.now(),
        identity_id=id,
        identity_kind=found.kind,
        value=found.value,
        source=found.source,
        shop=found.shop,
    )
    await publish(tx, [told])
    return found, True


def _judged(new: NewIdentity, country: str | None) -> Identity:
    given = [name for name in ("external_id", "email", "phone") if getattr(new, name) is not None]
    if len(given) != 1:
        raise Invalid.at("", "required", "exactly one of externalId, email and phone is needed")
    kind = given[0]
    if kind == "external_id" and new.source is None:
        raise Invalid.at("/source", "required", "says whose id this is")
    if kind != "external_id" and (new.source is not None or new.shop):
        raise Invalid.at("/source" if new.source is not None else "/shop", "unknown", "is for an externalId")
    if kind == "external_id" and new.is_shared:
        raise Invalid.at("/isShared", "unknown", "a channel's id is one buyer's")
    asked: dict[str, Any] = {kind: getattr(new, kind)}
    if kind == "external_id":
        asked["source"] = new.source
    kept = rules.checked(asked, clock.now().date())
    shop = text.clean(new.shop)
    if len(shop) > rules.SHOP_LENGTH:
        raise Invalid.at("/shop", "length", f"can have at most {rules.SHOP_LENGTH} characters")
    found = contacts.identities_of(
        Contact(
            source=kept.get("source") or "",
            shop=shop,
            external_id=kept.get("external_id"),
            email=kept.get("email"),
            phone=kept.get("phone"),
            country=country,
        )
    )
    if not found:
        name = "externalId" if kind == "external_id" else kind
        raise Invalid.at(f"/{name}", "nobody", "leads to nobody")
    return found[0]


async def _must_be_free(tx: Tx, customer_id: UUID, name: str | None, identity: Identity) -> None:
    rows: list[tuple[Any, ...]] = []
    if identity.kind == "channel":
        rows = await tx.rows(CHANNEL_HOLDER, identity.source, identity.shop, identity.value, customer_id)
    elif identity.key is not None:
        rows = await tx.rows(HOLDER, identity.kind, identity.key, customer_id)
    if not rows and identity.kind == "email":
        rows = await tx.rows(commands.EMAIL_HOLDER, identity.value, customer_id)
    for holder, holders_name in rows:
        facts = await commands.suspicion(tx, (customer_id, name), (holder, holders_name), identity.kind)
        raise IdentityTaken(
            f"Customer {holder} has it. Are they one person? The pair is in /api/duplicates; or move it from there."
            if identity.kind == "channel"
            else f"Customer {holder} has it. Are they one person? The pair is in /api/duplicates; or move it from there, "
            "or say isShared.",
            extra={"customerId": str(holder)},
            facts=facts,
        )


async def _fill(tx: Tx, customer_id: UUID, customer: commands.Locked, identity: Identity) -> None:
    """A profile without an email or phone, or without the id of its own channel, gets this one."""
    profile = customer.profile
    given: dict[str, Any] = {}
    if identity.kind == "email" and profile.email is None and identity.quality in ("real", "relay"):
        if text.email_shown(identity.value) and not await tx.rows(commands.EMAIL_HOLDER, identity.value, customer_id):
            given["email"] = identity.value
    elif identity.kind == "phone" and profile.phone is None and identity.quality == "real":
        given["phone"] = identity.value
    elif identity.handle() == ("channel", profile.source, "", identity.key) and profile.external_id is None:
        given["external_id"] = identity.value
    if given:
        await commands.store(tx, customer_id, customer, given)


# --- removed and moved ---------------------------------------------------------------------------------------------------

STORED: Final = """
    select i.kind, i.source, i.shop, i.value, i.key, i.quality, i.version
      from customer_identity i
     where i.workspace_id = $1 and i.customer_id = $2 and i.id = $3 and i.released_at is null"""
# Every spelling of a mailbox or number: one that stayed would go on matching.
SPELLINGS: Final = """
    select i.id from customer_identity i
     where i.workspace_id = $1 and i.customer_id = $2
       and (i.id = $3 or (i.kind <> 'channel' and i.kind = $4 and i.key = $5)) and i.released_at is null"""
REMOVE: Final = """
    delete from customer_identity i where i.workspace_id = $1 and i.id = any($2::uuid[])"""


async def remove(tx: Tx, customer_id: UUID, id: UUID, version: int | None = None) -> None:
    """A contact no longer leads to this customer, in any spelling; where it stands in the profile it is cleared there.

    Raises IdentityNotFound, Stale, or IdentityNeeded where the profile would be nobody's.
    """
    identity = await _held(tx, customer_id, id)
    customer = await commands.lock(tx, customer_id, None, below=f"/identities/{id}")
    old = await _still(tx, customer_id, id, version)
    await tx.run(REMOVE, await tx.column(SPELLINGS, customer_id, id, identity.kind, identity.key))
    await _clear(tx, customer_id, customer, identity)
    tx.changed("identity", id, old, None, AUDITED)
    told = IdentityRemoved(
        customer_id=customer_id,
        at=clock.now(),
        identity_id=id,
        identity_kind=old.kind,
        value=old.value,
        source=old.source,
        shop=old.shop,
    )
    await publish(tx, [told])


TWINS: Final = """
    delete from customer_identity i
     where i.workspace_id = $1 and i.id = any($2::uuid[])
       and exists (select 1 from customer_identity t
                    where t.workspace_id = $1 and t.customer_id = $3 and t.kind = i.kind and t.source = i.source and t.shop = i.shop
                      and t.value = i.value)"""
MOVE: Final = """
    update customer_identity i set customer_id = $3, matched_by = 'moved', version = i.version + 1
     where i.workspace_id = $1 and i.id = any($2::uuid[])"""


async def move(tx: Tx, customer_id: UUID, id: UUID, to: IdentityMove, version: int | None = None) -> CustomerIdentity:
    """Makes a contact lead to another customer, in every spelling. Past orders stay unless `orders` takes them along.

    It leaves the profile of the former one, and stands in the new one's where that had none. Raises IdentityNotFound,
    Stale, Invalid for a customer that is not living, or IdentityNeeded where the former one would be nobody.
    """
    identity = await _held(tx, customer_id, id)
    if to.customer_id == customer_id:
        return await _still(tx, customer_id, id, version)
    locked = {one: await _locked(tx, one, customer_id, id) for one in sorted((customer_id, to.customer_id))}
    old = await _still(tx, customer_id, id, version)
    spellings = await tx.column(SPELLINGS, customer_id, id, identity.kind, identity.key)
    # First out of the one profile, so that what is moved is nobody's own when it comes into the other.
    await _clear(tx, customer_id, locked[customer_id], identity, but=spellings)
    await tx.run(TWINS, spellings, to.customer_id)
    await tx.run(MOVE, spellings, to.customer_id)
    await _fill(tx, to.customer_id, locked[to.customer_id], identity)
    held = await tx.value(
        HELD, to.customer_id, identity.kind, identity.source, identity.shop, identity.value, identity.key
    )
    new = await find(tx, to.customer_id, held)
    tx.changed("identity", id, old, new, AUDITED)
    now = clock.now()
    told = [
        IdentityMoved(
            customer_id=one,
            at=now,
            identity_id=new.id,
            identity_kind=new.kind,
            value=new.value,
            source=new.source,
            shop=new.shop,
            from_id=customer_id,
            to_id=to.customer_id,
            with_orders=to.orders,
        )
        for one in (customer_id, to.customer_id)
    ]
    await publish(tx, told)
    return new


class _Stored(msgspec.Struct, frozen=True):
    kind: IdentityKind
    source: str
    shop: str
    value: str
    key: str | None
    quality: str
    version: int


async def _held(tx: Tx, customer_id: UUID, id: UUID) -> Identity:
    """A contact of this customer, by which no order is mapped until this transaction ends. Raises IdentityNotFound."""
    found = await tx.one(_Stored, STORED, customer_id, id, missing=IdentityNotFound)
    identity = Identity(found.kind, found.source, found.shop, found.value, found.key, found.quality)
    await contacts.lock(tx, [identity])
    return identity


async def _still(tx: Tx, customer_id: UUID, id: UUID, version: int | None) -> CustomerIdentity:
    found = await find(tx, customer_id, id)
    if version is not None and version != found.version:
        raise Stale(f"It is at version {found.version} now.")
    return found


async def _locked(tx: Tx, one: UUID, former: UUID, id: UUID) -> commands.Locked:
    if one == former:
        return await commands.lock(tx, one, None, below=f"/identities/{id}/move")
    try:
        return await commands.lock(tx, one, None)
    except (commands.CustomerNotFound, commands.CustomerMerged):
        raise Invalid.at("/customerId", "unknown", "There is no customer with this customerId.") from None


async def _clear(
    tx: Tx, customer_id: UUID, customer: commands.Locked, identity: Identity, *, but: Sequence[UUID] = ()
) -> None:
    """Takes a contact out of the profile where it stands there. Raises IdentityNeeded."""
    profile = customer.profile
    gone = {name: None for name in _own(profile, identity)}
    if not gone:
        return
    left = msgspec.structs.replace(profile, **gone)
    if not left.is_somebody:
        raise IdentityNeeded("Give it a name first, or merge it with the other one.")
    if but:
        # The profile drops what it no longer says; what is moved must outlive that.
        await tx.run(MARK_MOVED, list(but))
    await commands.store(tx, customer_id, customer, gone)


MARK_MOVED: Final = """
    update customer_identity set matched_by = 'moved' where workspace_id = $1 and id = any($2::uuid[])"""


def _own(profile: Profile, identity: Identity) -> list[str]:
    """The fields of the profile that say this contact."""
    match identity.kind:
        case "channel":
            is_own = profile.external_id == identity.value and profile.source == identity.source
            return ["external_id"] if is_own else []
        case "email":
            said = profile.email
            is_own = said is not None and (
                said.lower() == identity.value.lower()
                or (identity.key is not None and text.email_key(said) == identity.key)
            )
            return ["email"] if is_own else []
        case "phone":
            said = profile.phone
            is_own = said is not None and (
                said == identity.value or (identity.key is not None and profile.phone_e164 == identity.key)
            )
            return ["phone"] if is_own else []
