"""/api/session, /api/sessions, /api/workspace, /api/staff, /api/keys and /api/audit."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request
from litestar.params import JSONBody, QueryParameter
from litestar.response.base import ASGIResponse

from supover.access import commands, queries, second_step, sessions
from supover.access.authenticate import Authenticator
from supover.access.model import (
    ApiKey,
    AuditEntry,
    Caller,
    CreatedKey,
    Invitation,
    KeyChange,
    Member,
    NewKey,
    NewStaff,
    OpenSession,
    PasswordChange,
    RecoveryCodes,
    SecondStep,
    SecondStepBegun,
    SecondStepCode,
    SecondStepEnd,
    Session,
    SignIn,
    StaffChange,
    StaffOnly,
    SwitchWorkspace,
    Workspace,
    WorkspaceChange,
)
from supover.kit.api import Answer, Count, Cursor, Handler, IfMatch, Limit, Listing, PageNumber, Routes, version_of
from supover.kit.db import Reader, Tx
from supover.kit.sql import bound, page

AnyRequest = Request[Any, Any, Any]

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])

routes = Routes("access")


def _door(request: AnyRequest) -> Authenticator:
    return cast("Authenticator", request.app.state.door.authenticate)


def _caller(request: AnyRequest) -> Caller:
    return cast("Caller", request.scope["user"])


def _staff(request: AnyRequest) -> Caller:
    caller = _caller(request)
    if caller.session_id is None:
        raise StaffOnly
    return caller


# --- the session -----------------------------------------------------------------------------------------------------

# Who signs in is in no workspace yet, and a password is verified without holding a connection: these two answer by
# themselves, what they return is the body that the reference shows.


def _handed_over(request: AnyRequest, opened: sessions.Opened) -> Session:
    settings = _door(request).settings
    expires_at = opened.session.expires_at
    assert expires_at is not None
    answer = ASGIResponse(
        body=msgspec.json.encode(opened.session),
        headers={"Set-Cookie": sessions.cookie(settings, opened.token, expires_at)},
        media_type="application/json",
    )
    return cast("Session", answer)


def _alone(method: Literal["POST", "PUT"], path: str) -> Callable[[F], F]:
    def register(fn: F) -> F:
        operation = f"access.{fn.__name__}"
        summary, description = inspect.cleandoc(fn.__doc__ or "").split("\n\n", 1)
        routes.handlers.append(
            Handler(
                path,
                http_method=method,
                operation_id=operation,
                status_code=200,
                summary=summary.rstrip("."),
                description=description,
                tags=[routes.tag],
                opt={"operation": operation},
            )(fn)
        )
        return fn

    return register


@_alone("POST", "/api/session")
async def sign_in(request: AnyRequest, data: JSONBody[SignIn]) -> Session:
    """Sign in with email and password.

    The answer sets the session's cookie; its `csrfToken` goes into the header X-CSRF-Token of every write from then on.
    Ten failed attempts at one account from one network within fifteen minutes, or a hundred from anywhere, are answered
    with 429. With an `invitationCode` it accepts an invitation: who has an account signs in with its password, who has
    none chooses one. Who signs in by two steps sends `code`, too: without it the answer is 401, `second-step-needed`.
    """
    door = _door(request)
    opened = await sessions.sign_in(door.database, door.settings, door.attempts, data, request)
    return _handed_over(request, opened)


@_alone("PUT", "/api/session/password")
async def change_password(request: AnyRequest, data: JSONBody[PasswordChange]) -> Session:
    """Change the signed-in person's password.

    Ends all their sessions and opens another in this one's place.
    """
    door, caller = _door(request), _staff(request)
    assert caller.id is not None
    door.doubt(caller.id)
    opened = await sessions.change_password(door.database, door.settings, door.attempts, caller, data, request)
    return _handed_over(request, opened)


@routes.get("/api/session")
async def find_session(db: Reader, request: AnyRequest) -> Session:
    """Who is asking, in which workspace, and with which permissions."""
    caller = _caller(request)
    token = _door(request).csrf_token(request) if caller.session_id is not None else None
    return await queries.session_of(db, caller, token)


@routes.put("/api/session")
async def switch_workspace(tx: Tx, request: AnyRequest, data: SwitchWorkspace) -> Answer[Session]:
    """Go on in another workspace.

    The session's cookie and CSRF token are new; the old ones end.
    """
    caller, door = _staff(request), _door(request)
    assert caller.session_id is not None
    opened = await sessions.switch(tx, caller, data.workspace_id)
    door.doubt(caller.session_id)
    expires_at = opened.session.expires_at
    assert expires_at is not None
    return Answer(opened.session, headers={"Set-Cookie": sessions.cookie(door.settings, opened.token, expires_at)})


@routes.delete("/api/session")
async def sign_out(tx: Tx, request: AnyRequest) -> Answer[None]:
    """Sign out: the session ends here and now."""
    caller, door = _staff(request), _door(request)
    assert caller.session_id is not None
    assert caller.expires_at is not None
    door.doubt(caller.session_id)
    await sessions.sign_out(tx, caller)
    return Answer(None, 204, {"Set-Cookie": sessions.cookie(door.settings, "", caller.expires_at)})


# --- the second step -------------------------------------------------------------------------------------------------


@routes.get("/api/session/second-step")
async def find_second_step(db: Reader, request: AnyRequest) -> SecondStep:
    """Read whether the signed-in person's signing in asks for a code, too."""
    return await second_step.find(db, _staff(request))


@routes.post("/api/session/second-step")
async def begin_second_step(tx: Tx, request: AnyRequest) -> Answer[SecondStepBegun]:
    """Make a key for the signed-in person's authenticator app.

    Nothing is asked for until a code of it is confirmed; one that waited for that ends. 409 where there is a second step already.
    """
    begun = await second_step.begin(tx, _door(request).settings, _staff(request))
    return Answer(begun, kept=SecondStepBegun(None, None))


@routes.put("/api/session/second-step")
async def confirm_second_step(tx: Tx, request: AnyRequest, data: SecondStepCode) -> RecoveryCodes:
    """Turn signing in by two steps on, with a code that the app shows.

    From then on `POST /api/session` asks for a `code`. The answer's recovery codes are shown here only; each stands in for a code
    once.
    """
    return await second_step.confirm(tx, _door(request).settings, _staff(request), data.code)


@_alone("POST", "/api/session/second-step/recovery-codes")
async def renew_recovery_codes(request: AnyRequest, data: JSONBody[SecondStepCode]) -> RecoveryCodes:
    """Make new recovery codes, with a code that the app shows or one of those that are left.

    Those that were left are forgotten. The new ones are shown here only.
    """
    door, caller = _door(request), _staff(request)
    made = await sessions.renew_recovery_codes(door.database, door.settings, door.attempts, caller, data.code, request)
    answer = ASGIResponse(body=msgspec.json.encode(made), media_type="application/json")
    return cast("RecoveryCodes", answer)


@_alone("POST", "/api/session/second-step/end")
async def end_second_step(request: AnyRequest, data: JSONBody[SecondStepEnd]) -> SecondStep:
    """Turn signing in by two steps off, with the password.

    Its codes, recovery codes too, are forgotten. Whoever has lost both is helped by the operator: `supover staff reset-second-step`.
    """
    door, caller = _door(request), _staff(request)
    await sessions.end_second_step(door.database, door.settings, door.attempts, caller, data.password, request)
    answer = ASGIResponse(body=msgspec.json.encode(SecondStep(False, None, 0)), media_type="application/json")
    return cast("SecondStep", answer)


@routes.get("/api/sessions")
async def search_sessions(db: Reader, request: AnyRequest) -> Listing[OpenSession]:
    """Every open session of the signed-in person, the newest first; an API key has none."""
    found = await queries.sessions_of(db, _caller(request))
    return Listing(found, None, len(found))


@routes.delete("/api/sessions/{id:uuid}")
async def end_session(tx: Tx, request: AnyRequest, id: UUID) -> None:
    """End one of one's own sessions, as of a browser that was left behind."""
    await sessions.end(tx, _caller(request), id)
    _door(request).doubt(id)


# --- the workspace ---------------------------------------------------------------------------------------------------


@routes.get("/api/workspace")
async def find_workspace(db: Reader) -> Workspace:
    """The workspace that the key or session is in."""
    return await queries.find_workspace(db)


@routes.patch("/api/workspace")
async def change_workspace(tx: Tx, data: WorkspaceChange, if_match: IfMatch = None) -> Workspace:
    """Change the workspace's name, time zone, currency or counting statuses.

    The currency is fixed after the first order or exchange rate (409). Other counting statuses recount all figures.
    """
    return await commands.change_workspace(tx, data, version_of(if_match))


# --- staff -----------------------------------------------------------------------------------------------------------


StaffSort = Annotated[
    str | None, QueryParameter(name="sort", required=False, description="`name` or `createdAt`; `-` descends.")
]


@routes.get("/api/staff")
async def search_staff(
    db: Reader,
    request: AnyRequest,
    limit: Limit = None,
    cursor: Cursor = None,
    number: PageNumber = None,
    sort: StaffSort = None,
    count: Count = None,
) -> Listing[Member]:
    """The members of this workspace and everybody invited, by name."""
    wanted = page(queries.STAFF_SORTS, limit=limit, sort=sort, cursor=cursor, number=number)
    return await queries.list_staff(db, wanted, count=bool(count))


@routes.get("/api/staff/{id:uuid}")
async def find_staff(db: Reader, id: UUID) -> Member:
    """One member of this workspace, or who is invited."""
    return await queries.find_staff(db, id)


@routes.post("/api/staff", status=201)
async def add_staff(tx: Tx, request: AnyRequest, data: NewStaff) -> Answer[Invitation]:
    """Invite somebody into this workspace.

    `invitationCode` is shown here only. Hand it to the person: within seven days they sign in with their email, the
    code, and the password of their account; who has none chooses one. Until then nobody is let in.
    """
    return _invited(await commands.invite_staff(tx, _caller(request), data), 201)


@routes.post("/api/staff/{id:uuid}/invitation")
async def invite_anew(tx: Tx, request: AnyRequest, id: UUID) -> Answer[Invitation]:
    """Give who is invited another code, for another seven days.

    The code that they had ends. 409 when they have accepted.
    """
    return _invited(await commands.invite_anew(tx, _caller(request), id), 200)


def _invited(invitation: Invitation, status: int) -> Answer[Invitation]:
    hidden = msgspec.structs.replace(invitation, invitation_code=None)
    return Answer(invitation, status, {"Location": f"/api/staff/{invitation.id}"}, kept=hidden)


@routes.patch("/api/staff/{id:uuid}")
async def change_staff(tx: Tx, request: AnyRequest, id: UUID, data: StaffChange) -> Member:
    """Give a member, or who is invited, another role."""
    member = await commands.change_role(tx, _caller(request), id, data.role)
    _door(request).doubt(id)
    return member


@routes.delete("/api/staff/{id:uuid}")
async def remove_staff(tx: Tx, request: AnyRequest, id: UUID) -> None:
    """End a membership of this workspace, or an invitation; an account stays."""
    await commands.remove_staff(tx, _caller(request), id)
    _door(request).doubt(id)


# --- keys ------------------------------------------------------------------------------------------------------------

ListSort = Annotated[
    str | None, QueryParameter(name="sort", required=False, description="`createdAt` or `-createdAt`.")
]
WithRevoked = Annotated[
    Literal["revoked"] | None, QueryParameter(name="include", required=False, description="`revoked`: those too.")
]


@routes.get("/api/keys")
async def search_keys(
    db: Reader,
    request: AnyRequest,
    limit: Limit = None,
    cursor: Cursor = None,
    number: PageNumber = None,
    sort: ListSort = None,
    count: Count = None,
    include: WithRevoked = None,
) -> Listing[ApiKey]:
    """This workspace's API keys, the newest first, without their secrets."""
    wanted = page(queries.KEY_SORTS, limit=limit, sort=sort, cursor=cursor, number=number)
    return await queries.search_keys(db, wanted, revoked=include == "revoked", count=bool(count))


@routes.post("/api/keys", status=201)
async def create_key(tx: Tx, request: AnyRequest, data: NewKey) -> Answer[CreatedKey]:
    """Make an API key. `apiKey` is shown here only.

    It holds no more than who makes it: neither scopes nor requests a minute nor time.
    """
    most = _door(request).settings.rate_limit_per_minute
    key = await commands.create_key(tx, _caller(request), data, most_a_minute=most)
    location = {"Location": f"/api/keys/{key.id}"}
    return Answer(key, 201, location, kept=msgspec.structs.replace(key, api_key=None))


@routes.get("/api/keys/{id:uuid}")
async def find_key(db: Reader, id: UUID) -> ApiKey:
    """One of this workspace's API keys, also a revoked one, without its secret."""
    return await queries.find_key(db, id)


@routes.patch("/api/keys/{id:uuid}")
async def change_key(tx: Tx, request: AnyRequest, id: UUID, data: KeyChange) -> ApiKey:
    """Give an API key another name or an earlier end.

    To replace one: make another key, and let this one end when everybody has gone over. Scopes and limit stay.
    """
    key = await commands.change_key(tx, _caller(request), id, data)
    _door(request).doubt(id)
    return key


@routes.delete("/api/keys/{id:uuid}")
async def revoke_key(tx: Tx, request: AnyRequest, id: UUID) -> None:
    """Revoke an API key, for good."""
    await commands.revoke_key(tx, id)
    _door(request).doubt(id)


# --- the audit log ---------------------------------------------------------------------------------------------------

AuditSort = Annotated[str | None, QueryParameter(name="sort", required=False, description="`at` or `-at`.")]
SubjectId = Annotated[UUID | None, QueryParameter(name="subjectId", required=False, description="Writes to this.")]
Actor = Annotated[
    str | None,
    QueryParameter(name="actor", required=False, description="Writes by `key:ID`, `staff:ID`, `cli` or `system`."),
]
Action = Annotated[
    str | None,
    QueryParameter(name="action", required=False, description="Writes by this operation, as in `orders.change`."),
]
AtFrom = Annotated[
    str | None, QueryParameter(name="atFrom", required=False, description="A date or time; written then or after.")
]
AtTo = Annotated[
    str | None,
    QueryParameter(name="atTo", required=False, description="A date, that day included, or a time; written before it."),
]


@routes.get("/api/audit", search=True)
async def search_audit(
    db: Reader,
    request: AnyRequest,
    limit: Limit = None,
    cursor: Cursor = None,
    number: PageNumber = None,
    sort: AuditSort = None,
    count: Count = None,
    subject_id: SubjectId = None,
    actor: Actor = None,
    action: Action = None,
    at_from: AtFrom = None,
    at_to: AtTo = None,
) -> Listing[AuditEntry]:
    """What was written in this workspace, by whom, with old and new values; the newest first."""
    zone = ZoneInfo((await queries.find_workspace(db)).timezone) if at_from or at_to else None
    filters = queries.AuditFilters(
        subject_id=subject_id,
        actor=actor,
        action=action,
        at_from=bound(at_from, zone, "atFrom") if at_from and zone else None,
        at_to=bound(at_to, zone, "atTo", end=True) if at_to and zone else None,
    )
    wanted = page(queries.AUDIT_SORTS, limit=limit, sort=sort, cursor=cursor, number=number)
    return await queries.search_audit(db, filters, wanted, count=bool(count))
