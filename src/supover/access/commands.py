"""What can be done with workspaces, staff, keys and sessions.

`by` is who asks: what it does not hold it cannot give. Signing in is in sessions.py.
"""

import hashlib
import re
import secrets
import zoneinfo
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final
from uuid import UUID

import asyncpg
import msgspec
from msgspec import UNSET

from supover.access import passwords, queries
from supover.access.events import CountingStatusesChanged, TimezoneChanged, WorkspaceCreated
from supover.access.model import (
    COUNTABLE,
    COUNTING,
    AddedMember,
    ApiKey,
    Caller,
    CannotGrant,
    CreatedKey,
    CurrencyFixed,
    Invitation,
    KeyChange,
    KeyEnded,
    KeyNotFound,
    LastOwner,
    Member,
    NewKey,
    NewStaff,
    NewWorkspace,
    StaffKnown,
    StaffNotFound,
    StaffNotInvited,
    TooManyKeys,
    Workspace,
    WorkspaceChange,
    WorkspaceNotFound,
    WorkspaceStale,
)
from supover.access.permissions import OWNER, ROLES, SCOPES, Role
from supover.kit import clock, ids, money, text
from supover.kit.db import Database, Tx
from supover.kit.events import publish
from supover.kit.problems import FieldError, Invalid

NAME_LENGTH: Final = 200
KEY_START: Final = "sk_"
PREFIX_LENGTH: Final = 10
MOST_A_MINUTE: Final = 1_000_000
MOST_KEYS: Final = 100
INVITED_FOR: Final = timedelta(days=7)

# --- workspaces ------------------------------------------------------------------------------------------------------

ADD_WORKSPACE: Final = "select workspace_add($1, $2, $3, $4, $5, $6)"


async def create_workspace(tx: Tx, new: NewWorkspace) -> Workspace:
    """Makes the workspace whose id this transaction was opened with. Raises Invalid."""
    name, currency = _name(new.name, "/name"), _currency(new.currency)
    await _check_timezone(tx, new.timezone)
    await tx.run(ADD_WORKSPACE, name, currency, money.digits(currency), new.timezone, list(COUNTING))
    workspace = await queries.find_workspace(tx)
    tx.changed("workspace", workspace.id, None, workspace, ["name", "currency", "timezone", "counting_statuses"])
    await publish(tx, [WorkspaceCreated()])
    return workspace


# The intake of orders holds this lock shared while it reads the currency and adds (customers/contacts.lock).
HOLD_INTAKE: Final = "select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 11))"
LOCK_WORKSPACE: Final = f"{queries.WORKSPACE} for update"
IN_USE: Final = """
    select exists (select 1 from "order" where workspace_id = $1)
        or exists (select 1 from exchange_rate where workspace_id = $1)"""
CHANGE_WORKSPACE: Final = """
    update workspace
       set name = $2, currency = $3, digits = $4, timezone = $5, counting_statuses = $6, version = version + 1
     where workspace_id = $1
    returning workspace_id, name, currency, digits, timezone, counting_statuses, created_at, version"""


async def change_workspace(tx: Tx, change: WorkspaceChange, version: int | None = None) -> Workspace:
    """Changes what is given. Raises Invalid, WorkspaceStale, CurrencyFixed.

    Other counting statuses are published as CountingStatusesChanged, another zone as TimezoneChanged.
    """
    old = await tx.one(Workspace, LOCK_WORKSPACE, missing=WorkspaceNotFound)
    if version is not None and version != old.version:
        raise WorkspaceStale
    name = old.name if change.name is UNSET else _name(change.name, "/name")
    currency = old.currency if change.currency is UNSET else _currency(change.currency)
    timezone = old.timezone if change.timezone is UNSET else change.timezone
    statuses = list(old.counting_statuses) if change.counting_statuses is UNSET else _statuses(change.counting_statuses)
    if timezone != old.timezone:
        await _check_timezone(tx, timezone)
    if currency != old.currency:
        await tx.value(HOLD_INTAKE)
        if await tx.value(IN_USE):
            raise CurrencyFixed
    if (name, currency, timezone, statuses) == (old.name, old.currency, old.timezone, list(old.counting_statuses)):
        return old
    digits = money.digits(currency)
    new = await tx.one(
        Workspace, CHANGE_WORKSPACE, name, currency, digits, timezone, statuses, missing=WorkspaceNotFound
    )
    tx.changed("workspace", new.id, old, new, ["name", "currency", "timezone", "counting_statuses"])
    if statuses != list(old.counting_statuses):
        await publish(tx, [CountingStatusesChanged(statuses=tuple(statuses))])
    if timezone != old.timezone:
        await publish(tx, [TimezoneChanged(timezone=timezone)])
    return new


def _name(name: str, pointer: str) -> str:
    kept = text.clean(name)
    if not kept:
        raise Invalid.at(pointer, "required", "cannot be empty")
    if len(kept) > NAME_LENGTH:
        raise Invalid.at(pointer, "length", f"can have at most {NAME_LENGTH} characters")
    return kept


def _currency(currency: str) -> str:
    if currency not in money.CURRENCIES:
        raise Invalid.at("/currency", "unknown", "must be an ISO 4217 code such as EUR")
    return currency


@cache
def _timezones() -> frozenset[str]:
    # What is only about this machine is nobody's time zone.
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})


KNOWS_TIMEZONE: Final = "select now() at time zone $2::text where $1::uuid is not null"


async def _check_timezone(tx: Tx, timezone: str) -> None:
    wrong = Invalid.at("/timezone", "unknown", "must be a name of the IANA time zone database such as Europe/London")
    if timezone not in _timezones():
        raise wrong
    try:
        # The database counts days by its own copy of the time zones.
        await tx.value(KNOWS_TIMEZONE, timezone)
    except asyncpg.InvalidParameterValueError:
        raise wrong from None


def _statuses(wanted: Sequence[str]) -> list[str]:
    errors = [
        FieldError(f"/countingStatuses/{at}", "unknown", f"must be one of {', '.join(COUNTABLE)}")
        for at, status in enumerate(wanted)
        if status not in COUNTABLE
    ]
    if errors:
        raise Invalid(errors)
    if not wanted:
        raise Invalid.at("/countingStatuses", "required", "some orders have to count")
    return [status for status in COUNTABLE if status in wanted]


# --- staff -----------------------------------------------------------------------------------------------------------

# One at a time, over all workspaces: two who go at once must not leave nobody.
OWNERS_LOCK: Final = "select pg_advisory_xact_lock(hashtextextended('access.owners', 71)) where $1::uuid is not null"
SOMEBODY: Final = """
    select p.id, m.role
      from staff_by_email($2) p
      left join membership m on m.workspace_id = $1 and m.staff_id = p.id"""
ADD_STAFF: Final = "select staff_add($1, $2, $3, $4, $5, $6)"
ADD_MEMBER: Final = "insert into membership (workspace_id, staff_id, role) values ($1, $2, $3)"
FORGET_INVITED: Final = "delete from invitation where workspace_id = $1 and lower(email) = lower($2)"


class _Somebody(msgspec.Struct, frozen=True):
    id: UUID
    role: Role | None


async def add_staff(tx: Tx, by: Caller, new: NewStaff, password: str | None = None) -> AddedMember:
    """Makes somebody a member, with an account where they have none. Raises Invalid, StaffKnown, CannotGrant.

    A new account gets `password`, else a random one, which is in the answer. An account that exists is left as it is.
    For the operator only, who answers for the person: everybody else invites.
    """
    email = _email(new.email)
    _check_grant(by, new.role)
    somebody = await tx.maybe(_Somebody, SOMEBODY, email)
    temporary = None
    if somebody is None:
        name = _name(new.name, "/name")
        if password is None:
            password = temporary = passwords.make()
        else:
            passwords.check(password, email, "/password")
        staff_id = ids.new()
        await tx.run(ADD_STAFF, staff_id, email, name, await passwords.hashed(password), new.role)
    elif somebody.role is not None:
        raise StaffKnown
    else:
        staff_id = somebody.id
        await tx.run(ADD_MEMBER, staff_id, new.role)
    await tx.run(FORGET_INVITED, email)
    member = await queries.find_staff(tx, staff_id)
    tx.changed("staff", staff_id, None, member, ["email", "role"])
    return AddedMember(
        member.id, member.email, member.name, member.role, member.created_at, member.disabled_at, temporary
    )


INVITED_LOCK: Final = "select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 73))"
FORGET_EXPIRED: Final = "delete from invitation where workspace_id = $1 and expires_at <= $2"
INVITE: Final = """
    insert into invitation (workspace_id, id, email, name, role, code_hash, created_at, expires_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8)"""


async def invite_staff(tx: Tx, by: Caller, new: NewStaff) -> Invitation:
    """Invites somebody, who becomes a member by signing in with the code. Raises Invalid, StaffKnown, CannotGrant.

    Accounts are neither read nor made, so nothing tells whether there is one. The code is in the answer and nowhere
    else; it holds for seven days and for this email only.
    """
    email, name = _email(new.email), _name(new.name, "/name")
    _check_grant(by, new.role)
    await tx.value(INVITED_LOCK)
    now = clock.now()
    await tx.run(FORGET_EXPIRED, now)
    if any(member.email.lower() == email.lower() for member in await queries.search_staff(tx)):
        raise StaffKnown
    code = passwords.make()
    made = Invitation(ids.new(), email, name, new.role, now, now + INVITED_FOR, code)
    await tx.run(INVITE, made.id, email, name, made.role, digest(code), made.created_at, made.expires_at)
    tx.changed("staff", made.id, None, made, ["email", "role"])
    return made


LOCK_INVITED: Final = "select id from invitation where workspace_id = $1 and id = $2 for update"
INVITE_ANEW: Final = """
    update invitation set code_hash = $3, expires_at = $4 where workspace_id = $1 and id = $2"""


async def invite_anew(tx: Tx, by: Caller, id: UUID) -> Invitation:
    """Gives who is invited another code and another seven days; the old code ends.

    Raises StaffNotFound, CannotGrant, StaffNotInvited.
    """
    await tx.value(LOCK_INVITED, id)
    old = await queries.find_staff(tx, id)
    _check_grant(by, old.role)
    if old.accepted_at is not None:
        raise StaffNotInvited
    code, ends = passwords.make(), clock.now() + INVITED_FOR
    await tx.run(INVITE_ANEW, id, digest(code), ends)
    return Invitation(id, old.email, old.name, old.role, old.created_at, ends, code)


CHANGE_INVITED: Final = "update invitation set role = $3 where workspace_id = $1 and id = $2"
CHANGE_ROLE: Final = "update membership set role = $3 where workspace_id = $1 and staff_id = $2"


async def change_role(tx: Tx, by: Caller, id: UUID, role: Role) -> Member:
    """Gives a member, or who is invited, another role. Raises StaffNotFound, CannotGrant, LastOwner."""
    await tx.value(OWNERS_LOCK)
    old = await queries.find_staff(tx, id)
    _check_grant(by, role)
    _check_grant(by, old.role)
    if role == old.role:
        return old
    if old.accepted_at is None:
        # Who accepts at this moment is a member under an id that was not asked for.
        if not await tx.run(CHANGE_INVITED, id, role):
            raise StaffNotFound
    else:
        if old.role == "owner":
            await _check_other_owner(tx, id)
        await tx.run(CHANGE_ROLE, id, role)
    new = msgspec.structs.replace(old, role=role)
    tx.changed("staff", id, old, new, ["role"])
    return new


REMOVE_INVITED: Final = "delete from invitation where workspace_id = $1 and id = $2"
REMOVE_MEMBER: Final = "delete from membership where workspace_id = $1 and staff_id = $2"
CLOSE_SESSIONS: Final = "select sessions_close($1, $2)"


async def remove_staff(tx: Tx, by: Caller, id: UUID) -> None:
    """Ends a membership and its sessions, or an invitation; an account stays.

    Raises StaffNotFound, CannotGrant, LastOwner.
    """
    await tx.value(OWNERS_LOCK)
    old = await queries.find_staff(tx, id)
    _check_grant(by, old.role)
    if old.accepted_at is None:
        if not await tx.run(REMOVE_INVITED, id):
            raise StaffNotFound
    else:
        if old.role == "owner":
            await _check_other_owner(tx, id)
        await tx.run(CLOSE_SESSIONS, id)
        await tx.run(REMOVE_MEMBER, id)
    tx.changed("staff", id, old, None, ["email", "role"])


async def _check_other_owner(tx: Tx, id: UUID) -> None:
    members = await queries.search_staff(tx)
    if not any(
        m.role == "owner" and m.accepted_at is not None and m.disabled_at is None and m.id != id for m in members
    ):
        raise LastOwner


SET_HASH: Final = "select staff_password($1, $2, $3)"


async def reset_password(tx: Tx, member: Member, password: str | None = None) -> str | None:
    """Gives a member another password, everywhere, and ends their sessions. Raises Invalid, StaffNotFound.

    For the operator only: an account may belong to other workspaces too. Without `password` a random one is returned.
    """
    if member.accepted_at is None:
        raise StaffNotFound("Who is only invited has no password here.")
    temporary = None
    if password is None:
        password = temporary = passwords.make()
    else:
        passwords.check(password, member.email, "/password")
    await tx.run(SET_HASH, member.id, await passwords.hashed(password))
    return temporary


STAFF_BY_EMAIL: Final = "select id from staff_by_email($1)"
TAKE_LOCK: Final = "select pg_advisory_xact_lock(hashtextextended('access.owners', 71))"
DISABLE: Final = "select staff_disable($1)"
ENABLE: Final = "select staff_enable($1)"


async def disable_staff(database: Database, email: str) -> UUID:
    """Ends somebody's signing in, in every workspace. Raises StaffNotFound, or LastOwner naming the workspaces.

    For the operator only.
    """
    async with database.across() as con, con.transaction():
        id: UUID | None = await con.fetchval(STAFF_BY_EMAIL, email)
        if id is None:
            raise StaffNotFound
        await con.execute(TAKE_LOCK)
        left_alone = [row[0] for row in await con.fetch(DISABLE, id)]
        if left_alone:
            raise LastOwner(f"Nobody else owns {', '.join(map(str, left_alone))}.", extra={"workspaceIds": left_alone})
    return id


async def enable_staff(database: Database, email: str) -> UUID:
    """Undoes `disable_staff`. Raises StaffNotFound. For the operator only."""
    async with database.across() as con:
        id: UUID | None = await con.fetchval(STAFF_BY_EMAIL, email)
        if id is None:
            raise StaffNotFound
        await con.execute(ENABLE, id)
    return id


def _check_grant(by: Caller, role: Role) -> None:
    """Who is not an owner neither makes owners nor touches them."""
    if not all(by.may(permission) for permission in ROLES[role]):
        raise CannotGrant("Only an owner makes, changes and removes owners." if role == OWNER else "")


_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]{1,253}")


def _email(email: str) -> str:
    kept = email.strip()
    if not _EMAIL.fullmatch(kept) or not kept.isprintable() or len(kept) > text.EMAIL_LENGTH:
        raise Invalid.at("/email", "invalid", "must be an email address")
    return kept


# --- keys ------------------------------------------------------------------------------------------------------------

KEYS_LOCK: Final = "select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 72))"
LIVING_KEYS: Final = """
    select count(*) from api_key
     where workspace_id = $1 and revoked_at is null and (expires_at is null or expires_at > $2)"""
ADD_KEY: Final = """
    insert into api_key
           (workspace_id, id, name, prefix, token_hash, scopes, rate_limit, created_by, created_at, expires_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"""


async def create_key(tx: Tx, by: Caller, new: NewKey, *, most_a_minute: int | None) -> CreatedKey:
    """Makes an API key. Its token is in the answer and nowhere else. Raises Invalid, CannotGrant, TooManyKeys.

    It gets no more than `by` holds: neither scopes nor requests a minute nor time. `most_a_minute` is its limit unless
    a lower one is wanted; None is no limit, for the operator. A workspace has at most 100 living keys, so that a
    limited key gets round its limit by no more than that; the operator can add to them.
    """
    name = _name(new.name, "/name")
    scopes = _scopes(by, new.scopes)
    limit = _limit(by, new.rate_limit, most_a_minute)
    now = clock.now()
    expires_at = await _expiry(tx, by, new.expires_at, now)
    await tx.value(KEYS_LOCK)
    if by.kind != "cli" and await tx.value(LIVING_KEYS, now) >= MOST_KEYS:
        raise TooManyKeys(f"It can have {MOST_KEYS} that live; revoke one first.")
    token = KEY_START + secrets.token_hex(24)
    key = CreatedKey(ids.new(), token, name, token[:PREFIX_LENGTH], scopes, limit, now, expires_at)
    await tx.run(
        ADD_KEY, key.id, key.name, key.prefix, digest(token), scopes, limit, tx.actor, key.created_at, key.expires_at
    )
    tx.changed("api_key", key.id, None, key, ["name", "prefix", "scopes", "rate_limit", "expires_at"])
    return key


LOCK_KEY: Final = f"{queries.KEY} for update"
CHANGE_KEY: Final = "update api_key set name = $3, expires_at = $4 where workspace_id = $1 and id = $2"


async def change_key(tx: Tx, by: Caller, id: UUID, change: KeyChange) -> ApiKey:
    """Gives a key another name or an earlier end. Raises KeyNotFound, KeyEnded, Invalid, CannotGrant."""
    old = await tx.one(ApiKey, LOCK_KEY, id, missing=KeyNotFound)
    now = clock.now()
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
        raise KeyEnded
    name = old.name if change.name is UNSET else _name(change.name, "/name")
    ends = old.expires_at if change.expires_at is UNSET else await _expiry(tx, by, change.expires_at, now)
    if ends is not None and old.expires_at is not None and ends > old.expires_at:
        raise Invalid.at("/expiresAt", "range", "can only be brought forward; make another key")
    new = msgspec.structs.replace(old, name=name, expires_at=ends)
    if new != old:
        await tx.run(CHANGE_KEY, id, name, ends)
        tx.changed("api_key", id, old, new, ["name", "expires_at"])
    return new


REVOKE: Final = """
    update api_key set revoked_at = $3 where workspace_id = $1 and id = $2 and revoked_at is null"""


async def revoke_key(tx: Tx, id: UUID) -> ApiKey:
    """Ends a key for good; one that has ended stays as it is. Raises KeyNotFound."""
    old = await queries.find_key(tx, id)
    now = clock.now()
    if not await tx.run(REVOKE, id, now):
        return old
    new = msgspec.structs.replace(old, revoked_at=now)
    tx.changed("api_key", id, old, new, ["revoked_at"])
    return new


def digest(token: str | bytes) -> bytes:
    """What is kept of a token. Tokens are random, so a plain hash tells nothing."""
    return hashlib.sha256(token.encode() if isinstance(token, str) else token).digest()


def _scopes(by: Caller, wanted: Sequence[str]) -> list[str]:
    errors = [
        FieldError(f"/scopes/{at}", "unknown", f"must be one of {', '.join(SCOPES)}")
        for at, scope in enumerate(wanted)
        if scope not in SCOPES
    ]
    if errors:
        raise Invalid(errors)
    if not wanted:
        raise Invalid.at("/scopes", "required", "a key needs at least one")
    missing = [scope for scope in wanted if not by.may(scope)]
    if missing:
        raise CannotGrant(f"You do not hold {', '.join(missing)}.")
    return [scope for scope in SCOPES if scope in wanted]


def _limit(by: Caller, wanted: int | None, most_a_minute: int | None) -> int | None:
    if wanted is not None and not 1 <= wanted <= MOST_A_MINUTE:
        raise Invalid.at("/rateLimit", "range", f"must be from 1 to {MOST_A_MINUTE} requests a minute")
    bounds = [bound for bound in (by.rate_limit, most_a_minute) if bound is not None]
    if not bounds:
        return wanted
    most = min(bounds)
    if wanted is not None and wanted > most:
        raise Invalid.at("/rateLimit", "range", f"can be at most {most} requests a minute")
    return most if wanted is None else wanted


async def _expiry(tx: Tx, by: Caller, wanted: datetime | None, now: datetime) -> datetime | None:
    if wanted is not None:
        if wanted.tzinfo is None:
            wanted = wanted.replace(tzinfo=zoneinfo.ZoneInfo((await queries.find_workspace(tx)).timezone))
        try:
            wanted = wanted.astimezone(UTC)
        except OverflowError:
            raise Invalid.at("/expiresAt", "range", "is outside what a calendar holds") from None
    if wanted is not None and wanted <= now:
        raise Invalid.at("/expiresAt", "past", "must be in the future")
    if by.kind == "key" and by.expires_at is not None:
        if wanted is not None and wanted > by.expires_at:
            raise CannotGrant(f"The key that asks ends at {by.expires_at.isoformat()}.")
        return wanted or by.expires_at
    return wanted
