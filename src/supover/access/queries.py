"""What can be asked about workspaces, staff, keys, sessions and the audit log."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from supover.access.model import (
    ApiKey,
    AuditEntry,
    Caller,
    Choice,
    FieldChange,
    KeyNotFound,
    Member,
    NoWorkspace,
    OpenSession,
    Session,
    SessionPlace,
    StaffNotFound,
    Workspace,
    WorkspaceLine,
    WorkspaceNotFound,
)
from supover.access.permissions import SCOPES
from supover.kit import ids
from supover.kit.db import Database, Reader
from supover.kit.sql import Listing, Page, Sort, Where

# --- workspaces ------------------------------------------------------------------------------------------------------

WORKSPACE: Final = """
    select workspace_id, name, currency, digits, timezone, counting_statuses, created_at, version
      from workspace
     where workspace_id = $1"""


async def find_workspace(db: Reader) -> Workspace:
    """The workspace that this handle is in. Raises WorkspaceNotFound."""
    return await db.one(Workspace, WORKSPACE, missing=WorkspaceNotFound)


WORKSPACES: Final = "select workspace_id, name, currency, timezone, created_at from workspace_list()"


async def search_workspaces(database: Database) -> list[WorkspaceLine]:
    """Every workspace of this installation, the oldest first. For the operator only."""
    async with database.across() as con:
        return [WorkspaceLine(*row) for row in await con.fetch(WORKSPACES)]


# --- staff -----------------------------------------------------------------------------------------------------------

# Who is invited is told from the invitation alone: nothing of an account shows before its person has accepted.
MEMBERS: Final = """
    select p.id, p.email, p.name, p.role, p.created_at, p.disabled_at, p.accepted_at
      from (select m.staff_id, m.email, m.name, m.role, m.created_at, m.disabled_at, m.created_at
              from members($1) m
             union all
            select id, email, name, role, created_at, null, null
              from invitation
             where workspace_id = $1) as p (id, email, name, role, created_at, disabled_at, accepted_at)"""
MEMBERS_BY_NAME: Final = f"{MEMBERS} order by p.name, p.id"


async def search_staff(db: Reader) -> list[Member]:
    """Every member of this workspace and everybody invited, by name."""
    return await db.all(Member, MEMBERS_BY_NAME)


STAFF_PAGE: Final = (
    MEMBERS
    + """
     where {where}
     order by {order}
     limit {limit}"""
)
STAFF_SORTS: Final = (Sort("name", "p.name", "p.id", str), Sort("createdAt", "p.created_at", "p.id", datetime))
COUNT_STAFF: Final = f"select count(*) from ({MEMBERS}) as everybody"


async def list_staff(db: Reader, page: Page, *, count: bool = False) -> Listing[Member]:
    """A page of members and invited."""
    total: int | None = await db.value(COUNT_STAFF) if count else None
    where = Where("p.id is not null")
    page.seek(where)
    limit = where.arg(page.limit + 1 + page.skip)
    sql = STAFF_PAGE.format(where=where.text(), order=page.order(), limit=limit)
    found = (await db.all(Member, sql, *where.values))[page.skip :]
    data = found[: page.limit]
    if len(found) <= page.limit:
        return Listing(data, None, total)
    return Listing(
        data, page.cursor({"name": data[-1].name, "createdAt": data[-1].created_at}[page.sort.name], data[-1].id), total
    )


MEMBER: Final = f"{MEMBERS} where p.id = $2"


async def find_staff(db: Reader, id: UUID) -> Member:
    """One member of this workspace, or who is invited. Raises StaffNotFound."""
    return await db.one(Member, MEMBER, id, missing=StaffNotFound)


MEMBER_BY_EMAIL: Final = f"{MEMBERS} where lower(p.email) = lower($2)"


async def find_staff_by_email(db: Reader, email: str) -> Member:
    """The member, or who is invited, with this email, whatever its case. Raises StaffNotFound."""
    return await db.one(Member, MEMBER_BY_EMAIL, email, missing=StaffNotFound)


CHOICES: Final = "select w.workspace_id, w.name, w.currency, w.timezone, w.role from staff_workspaces($1) w"


async def workspaces_of(database: Database, staff_id: UUID) -> list[Choice]:
    """The workspaces that a person is a member of, the one they used last first."""
    async with database.across() as con:
        return [Choice(*row) for row in await con.fetch(CHOICES, staff_id)]


# --- keys ------------------------------------------------------------------------------------------------------------

KEYS: Final = """
    select id, name, prefix, scopes, rate_limit, created_by, created_at, expires_at, revoked_at, last_used_at
      from api_key
     where {where}
     order by {order}
     limit {limit}"""

# Ids are in the order in which the keys were made.
KEY_SORTS: Final = (Sort("createdAt", "id", "id", UUID, descending_first=True),)


COUNT_KEYS: Final = "select count(*) from api_key where {where}"


async def search_keys(db: Reader, page: Page, *, revoked: bool = False, count: bool = False) -> Listing[ApiKey]:
    """A page of this workspace's keys, the newest first; revoked ones only when asked for."""
    where = Where("workspace_id = $1")
    if not revoked:
        where.add("revoked_at is null")
    total: int | None = await db.value(COUNT_KEYS.format(where=where.text()), *where.values) if count else None
    page.seek(where)
    limit = where.arg(page.limit + 1 + page.skip)
    found = await db.all(ApiKey, KEYS.format(where=where.text(), order=page.order(), limit=limit), *where.values)
    return _listing(found, page, total)


KEY: Final = """
    select id, name, prefix, scopes, rate_limit, created_by, created_at, expires_at, revoked_at, last_used_at
      from api_key
     where workspace_id = $1 and id = $2"""


async def find_key(db: Reader, id: UUID) -> ApiKey:
    """One key of this workspace, also a revoked one. Raises KeyNotFound."""
    return await db.one(ApiKey, KEY, id, missing=KeyNotFound)


# --- sessions --------------------------------------------------------------------------------------------------------

CHOICES_FROM_HERE: Final = """
    select w.workspace_id, w.name, w.currency, w.timezone, w.role
      from staff_workspaces($2) w
     where $1::uuid is not null"""


async def session_of(db: Reader, caller: Caller, csrf_token: str | None) -> Session:
    """Who this caller is and where they can work."""
    if caller.kind == "staff":
        choices = await db.all(Choice, CHOICES_FROM_HERE, caller.id)
    else:
        workspace = await find_workspace(db)
        choices = [Choice(workspace.id, workspace.name, workspace.currency, workspace.timezone, None)]
    return describe(caller, choices, csrf_token)


def describe(caller: Caller, choices: Sequence[Choice], csrf_token: str | None) -> Session:
    """A caller in one of their workspaces, as they are told. Raises NoWorkspace."""
    here = next((choice for choice in choices if choice.id == caller.workspace_id), None)
    if here is None:
        raise NoWorkspace
    return Session(
        kind="staff" if caller.kind == "staff" else "key",
        id=caller.id or here.id,
        name=caller.name,
        email=caller.email,
        role=caller.role,
        permissions=[scope for scope in SCOPES if caller.may(scope)],
        workspace=here,
        workspaces=sorted(choices, key=lambda choice: (choice.name, choice.id)),
        csrf_token=csrf_token,
        expires_at=caller.expires_at,
    )


SESSIONS: Final = """
    select s.id, s.workspace_id, s.workspace_name, s.created_at, s.expires_at, s.ip, s.user_agent, s.id = $3
      from sessions_of($1, $2) s"""


async def sessions_of(db: Reader, caller: Caller) -> list[OpenSession]:
    """The signed-in person's sessions, the newest first; an API key has none."""
    if caller.session_id is None:
        return []
    rows = await db.rows(SESSIONS, caller.id, caller.session_id)
    return [OpenSession(id, SessionPlace(workspace_id, name), *more) for id, workspace_id, name, *more in rows]


# --- the audit log ---------------------------------------------------------------------------------------------------

AUDIT: Final = """
    select id, at, actor, '', action, subject_id, request_id, ip, changes
      from audit_log
     where {where}
     order by {order}
     limit {limit}"""
AUDIT_SORTS: Final = (Sort("at", "id", "id", UUID, descending_first=True),)

AROUND: Final = timedelta(hours=1), timedelta(days=1)
"""An entry's id is made when its write ends, its time is when that began: so far apart they may lie, and clocks with them."""

KEY_NAMES: Final = "select 'key:' || id, name from api_key where workspace_id = $1 and id = any($2::uuid[])"
STAFF_NAMES: Final = "select 'staff:' || m.staff_id, m.name from members($1) m where m.staff_id = any($2::uuid[])"
COUNT_AUDIT: Final = "select count(*) from audit_log where {where}"


class AuditFilters(msgspec.Struct, frozen=True, kw_only=True):
    """What the audit log is narrowed by; None does not narrow."""

    subject_id: UUID | None = None
    actor: str | None = None
    action: str | None = None
    at_from: datetime | None = None
    at_to: datetime | None = None


async def search_audit(db: Reader, filters: AuditFilters, page: Page, *, count: bool = False) -> Listing[AuditEntry]:
    """A page of what was written in this workspace, the newest first."""
    where = Where("workspace_id = $1")
    for column, value in (("subject_id", filters.subject_id), ("actor", filters.actor), ("action", filters.action)):
        if value is not None:
            where.add(f"{column} = {{}}", value)
    # The index is by id, and ids are in the order of time.
    if filters.at_from is not None:
        where.add("at >= {} and id >= {}", filters.at_from, ids.first_at(filters.at_from - AROUND[0]))
    if filters.at_to is not None:
        where.add("at < {} and id < {}", filters.at_to, ids.first_at(filters.at_to + AROUND[1]))
    total: int | None = await db.value(COUNT_AUDIT.format(where=where.text()), *where.values) if count else None
    page.seek(where)
    limit = where.arg(page.limit + 1 + page.skip)
    found = await db.all(AuditEntry, AUDIT.format(where=where.text(), order=page.order(), limit=limit), *where.values)
    names: dict[str, Any] = {}
    for kind, sql in (("key:", KEY_NAMES), ("staff:", STAFF_NAMES)):
        whose = {entry.actor.removeprefix(kind) for entry in found if entry.actor.startswith(kind)}
        if whose:
            names.update((who, name) for who, name in await db.rows(sql, list(whose)))
    shown = [
        msgspec.structs.replace(
            entry,
            actor_name=names.get(entry.actor, entry.actor),
            changes=[
                msgspec.structs.replace(change, field=_camel(change.field))
                for change in msgspec.convert(entry.changes, list[FieldChange])
            ],
        )
        for entry in found
    ]
    return _listing(shown, page, total)


def _camel(name: str) -> str:
    """A field as the API calls it."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _listing(found: list[Any], page: Page, total: int | None) -> Listing[Any]:
    """The page, with the cursor after its last row where there are more."""
    found = found[page.skip :]
    more = len(found) > page.limit
    data = found[: page.limit]
    return Listing(data, page.cursor(data[-1].id, data[-1].id) if more else None, total)
