"""Signing in and out, and what a browser is given for it.

A session is a random token in a cookie that scripts cannot read; the database keeps its hash. The CSRF token is made
from the session's, so that a page can be given it again; whoever has it cannot get back to the session's.
"""

import hashlib
import hmac
import math
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, cast
from uuid import UUID

import asyncpg
import msgspec
import structlog
from litestar import Request

from supover.access import limits, passwords, queries, second_step
from supover.access.audit import write_audit
from supover.access.commands import ADD_STAFF, digest
from supover.access.limits import MAX_COUNTERS, Periods
from supover.access.model import (
    CHALLENGE,
    Caller,
    Choice,
    InvitationRefused,
    NoWorkspace,
    PasswordChange,
    RecoveryCodes,
    SecondStepNeeded,
    SecondStepOff,
    SecondStepRefused,
    Session,
    SessionNotFound,
    SignIn,
    SignInRefused,
    TooManyAttempts,
)
from supover.access.permissions import Role, of_role
from supover.kit import clock, ids, text
from supover.kit.db import Database, Tx
from supover.kit.problems import Invalid
from supover.settings import Settings

Scope = dict[str, Any]
"""An ASGI scope, with what the edge and the authenticator leave in it."""

log = structlog.get_logger("supover.access")

ATTEMPTS: Final = 10
ATTEMPTS_FROM_ONE_NETWORK: Final = 100
ATTEMPTS_FROM_ANYWHERE: Final = 100
PERIOD_S: Final = 15 * 60


# --- the browser's side ----------------------------------------------------------------------------------------------


def cookie_name(settings: Settings) -> str:
    """The session's cookie. On https its name makes browsers refuse one that another host or path has set."""
    return "__Host-supover_session" if _is_https(settings) else "supover_session"


def cookie(settings: Settings, token: str, expires_at: datetime) -> str:
    """The Set-Cookie header that hands the session over; an empty token takes it back."""
    left_s = max(0, int((expires_at - clock.now()).total_seconds())) if token else 0
    secure = "; Secure" if _is_https(settings) else ""
    return f"{cookie_name(settings)}={token}; Path=/; Max-Age={left_s}; HttpOnly; SameSite=Lax{secure}"


def csrf_token(token: str) -> str:
    """The CSRF token that belongs to a session's token."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


def _is_https(settings: Settings) -> bool:
    return settings.public_url.startswith("https://")


def client_ip(scope: Scope, settings: Settings) -> str | None:
    """Where a request comes from; stays in the scope as `client_ip`.

    X-Forwarded-For is read from its end, and only past addresses of `trusted_proxies`: what stands before the first
    other one was written by a stranger.
    """
    client = scope.get("client")
    found: str | None = client[0] if client else None
    if settings.trusted_proxies and found is not None:
        given = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for").decode("latin-1")
        before = text.listed(given)
        while before and _is_trusted(found, settings):
            try:
                found = str(ip_address(before.pop()))
            except ValueError:
                break
    scope["client_ip"] = found
    return found


def _is_trusted(ip: str, settings: Settings) -> bool:
    try:
        address = _address(ip)
    except ValueError:
        return False
    return any(address in network for network in settings.trusted_proxies)


def _address(ip: str) -> IPv4Address | IPv6Address:
    # A socket that takes both kinds shows an IPv4 client as ::ffff:192.0.2.1.
    address = ip_address(ip)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


# --- attempts --------------------------------------------------------------------------------------------------------


class Attempts:
    """Failed attempts of late: for one account from one network, from one network, for one account.

    What one network is refused is not counted against the account: it takes ten networks to make all others wait.
    `count` and `succeeded` know of this process only, and keep whoever goes on from reaching the database; the others
    count for all processes.
    """

    def __init__(self) -> None:
        self._accounts = Periods(PERIOD_S)
        self._anywhere = Periods(PERIOD_S)
        self._networks = Periods(PERIOD_S)

    def count(self, email: str, ip: str | None) -> None:
        """Counts an attempt before it is made, so that many at once are many. Raises TooManyAttempts."""
        account, network = _account(email, ip), _network(ip)
        now_s = clock.monotonic_s()
        of_account = self._accounts.take(account, ATTEMPTS, now_s)
        of_network = self._networks.take(network, ATTEMPTS_FROM_ONE_NETWORK, now_s)
        over = [taken.reset_s for taken in (of_account, of_network) if taken.left < 0]
        if not over:
            anywhere = self._anywhere.take(account[0], ATTEMPTS_FROM_ANYWHERE, now_s)
            over = [anywhere.reset_s] if anywhere.left < 0 else []
        if over:
            raise TooManyAttempts(headers={"Retry-After": str(max(over))})

    def succeeded(self, email: str, ip: str | None) -> None:
        """Takes back what `count` counted."""
        account = _account(email, ip)
        self._accounts.forget(account)
        self._anywhere.give_back(account[0])
        self._networks.give_back(_network(ip))

    async def count_everywhere(self, database: Database, email: str, ip: str | None) -> None:
        """As `count`, for all processes."""
        self.count(email, ip)
        account, network, anywhere = _subjects(email, ip)
        counted = await limits.count(database, {account: 1, network: 1, anywhere: 1}, PERIOD_S)
        most = {account: ATTEMPTS, network: ATTEMPTS_FROM_ONE_NETWORK, anywhere: ATTEMPTS_FROM_ANYWHERE}
        over = {subject: found.left_s for subject, found in counted.items() if found.taken > most[subject]}
        if over:
            if over.keys() != {anywhere}:
                await limits.count(database, {anywhere: -1}, PERIOD_S)
            raise TooManyAttempts(headers={"Retry-After": str(math.ceil(max(over.values())))})

    async def undecided_everywhere(self, database: Database, email: str, ip: str | None) -> None:
        """Takes back one attempt that neither failed nor succeeded; those that failed before it stay counted."""
        account, network = _account(email, ip), _network(ip)
        self._accounts.give_back(account)
        self._anywhere.give_back(account[0])
        self._networks.give_back(network)
        await limits.count(database, dict.fromkeys(_subjects(email, ip), -1), PERIOD_S)

    async def succeeded_everywhere(self, database: Database, email: str, ip: str | None) -> None:
        """As `succeeded`, for all processes."""
        self.succeeded(email, ip)
        account, network, anywhere = _subjects(email, ip)
        await limits.count(database, {account: -MAX_COUNTERS, network: -1, anywhere: -1}, PERIOD_S)


def _subjects(email: str, ip: str | None) -> tuple[str, str, str]:
    # What somebody types for an email is nothing to keep, not even for a quarter of an hour.
    account, network = _account(email, ip)
    hidden = hashlib.sha256(account.encode()).hexdigest()[:32]
    return f"account:{hidden}:{network}", f"network:{network}", f"anywhere:{hidden}"


def _network(ip: str | None) -> str:
    # Whoever has one IPv6 address has the other 2^64 of its network too.
    try:
        address = _address(ip or "")
    except ValueError:
        return str(ip)
    return f"{int(address) >> 64:x}::/64" if isinstance(address, IPv6Address) else str(address)


def _account(email: str, ip: str | None) -> tuple[str, str]:
    return email.strip().casefold(), _network(ip)


# --- in, on and out --------------------------------------------------------------------------------------------------


class Opened(msgspec.Struct, frozen=True):
    """A session and the token that opens it."""

    session: Session
    token: str


class _Account(msgspec.Struct, frozen=True):
    id: UUID
    email: str
    name: str
    password_hash: str
    disabled_at: datetime | None


SET_HASH: Final = "select staff_password($1, $2, $3)"
ACCOUNT: Final = "select p.id, p.email, p.name, p.password_hash, p.disabled_at from staff_by_email($1) p"


async def sign_in(
    database: Database, settings: Settings, attempts: Attempts, given: SignIn, request: Request[Any, Any, Any]
) -> Opened:
    """Opens a session.

    Raises SignInRefused, SecondStepNeeded, SecondStepRefused, TooManyAttempts, SignInBusy, NoWorkspace, InvitationRefused, Invalid.

    An unknown email, a disabled account and a wrong password are told alike and take the same time. With an invitation's
    code it opens in the workspace that invites, where the person becomes a member; who has no account gets one, with
    the given password.
    """
    ip = client_ip(cast("Scope", request.scope), settings)
    await attempts.count_everywhere(database, given.email, ip)
    account = await _find_account(database, given.email)
    right = await passwords.matches(given.password, account.password_hash if account else None)
    invited = None
    if given.invitation_code is not None:
        invited = await _find_invited(database, given.invitation_code, given.email)
    if account is None and invited is not None:
        await attempts.succeeded_everywhere(database, given.email, ip)
        passwords.check(given.password, invited.email, "/password")
        new_hash = await passwords.hashed(given.password)
        return await _accept(database, settings, invited, None, new_hash, request)
    if account is None or not right or account.disabled_at is not None:
        log.warning("sign_in_refused", staff_id=str(account.id) if account else None, ip=ip)
        raise SignInRefused(headers=CHALLENGE)
    if await second_step.is_on(database, account.id):
        if not given.code:
            await attempts.undecided_everywhere(database, given.email, ip)
            raise SecondStepNeeded(headers=CHALLENGE)
        if not await second_step.passes(database, settings, account.id, given.code):
            log.warning("second_step_refused", staff_id=str(account.id), ip=ip)
            raise SecondStepRefused(headers=CHALLENGE)
    await attempts.succeeded_everywhere(database, given.email, ip)
    if given.invitation_code is not None:
        if invited is None:
            raise InvitationRefused
        return await _accept(database, settings, invited, account, account.password_hash, request)
    choices = await queries.workspaces_of(database, account.id)
    here = next((c for c in choices if given.workspace_id in (None, c.id)), None)
    if here is None:
        raise NoWorkspace
    caller = _caller(account, here, ids.new(), clock.now() + timedelta(hours=settings.session_hours))
    async with database.tx(here.id, actor=caller.actor, actor_name=caller.name) as tx:
        return await _open(tx, caller, choices, "access.sign_in", request)


class _Invited(msgspec.Struct, frozen=True):
    workspace_id: UUID
    id: UUID
    email: str
    name: str


INVITED: Final = "select i.workspace_id, i.id, i.email, i.name from invitation_by_code($1, $2) i"


async def _find_invited(database: Database, code: str, email: str) -> _Invited | None:
    async with database.across() as con:
        row = await con.fetchrow(INVITED, digest(code.strip().lower()), email.strip())
    return None if row is None else _Invited(*row)


USE_INVITATION: Final = """
    delete from invitation where workspace_id = $1 and id = $2 and expires_at > $3 returning role"""
JOIN: Final = """
    insert into membership (workspace_id, staff_id, role) values ($1, $2, $3)
    on conflict (workspace_id, staff_id) do nothing"""


async def _accept(
    database: Database,
    settings: Settings,
    invited: _Invited,
    account: _Account | None,
    password_hash: str,
    request: Request[Any, Any, Any],
) -> Opened:
    """Makes the person a member and opens a session there; without an account they get one."""
    # A new account has its invitation's id, so that a new member keeps the id under which they were invited.
    person = account or _Account(invited.id, invited.email, invited.name, password_hash, None)
    actor = f"staff:{person.id}"
    async with database.tx(invited.workspace_id, actor=actor, actor_name=person.name) as tx:
        role: Role | None = await tx.value(USE_INVITATION, invited.id, clock.now())
        if role is None:
            raise InvitationRefused
        if account is None:
            try:
                await tx.run(ADD_STAFF, person.id, person.email, person.name, password_hash, role)
            except asyncpg.UniqueViolationError:
                # Somebody made an account with this email just now, with a password that was not asked for.
                raise SignInRefused(headers=CHALLENGE) from None
        else:
            await tx.run(JOIN, person.id, role)
        choices = await tx.all(Choice, queries.CHOICES_FROM_HERE, person.id)
        here = next(choice for choice in choices if choice.id == invited.workspace_id)
        caller = _caller(person, here, ids.new(), clock.now() + timedelta(hours=settings.session_hours))
        return await _open(tx, caller, choices, "access.accept_invitation", request)


async def change_password(
    database: Database,
    settings: Settings,
    attempts: Attempts,
    caller: Caller,
    change: PasswordChange,
    request: Request[Any, Any, Any],
) -> Opened:
    """Gives the caller a new password, ends all their sessions and opens another.

    Raises Invalid (also when the current password is wrong), TooManyAttempts, SignInBusy.
    """
    email, ip = caller.email or "", client_ip(cast("Scope", request.scope), settings)
    await attempts.count_everywhere(database, email, ip)
    account = await _find_account(database, email)
    if account is None or not await passwords.matches(change.current, account.password_hash):
        raise Invalid.at("/current", "wrong", "is not your password")
    await attempts.succeeded_everywhere(database, email, ip)
    passwords.check(change.new, account.email, "/new")
    if change.new == change.current:
        raise Invalid.at("/new", "same", "must be another one")
    new_hash = await passwords.hashed(change.new)
    choices = await queries.workspaces_of(database, account.id)
    fresh = msgspec.structs.replace(
        caller, session_id=ids.new(), expires_at=clock.now() + timedelta(hours=settings.session_hours)
    )
    async with database.tx(caller.workspace_id, actor=caller.actor, actor_name=caller.name) as tx:
        await tx.run(SET_HASH, account.id, new_hash)
        return await _open(tx, fresh, choices, "access.change_password", request)


async def end_second_step(
    database: Database,
    settings: Settings,
    attempts: Attempts,
    caller: Caller,
    password: str,
    request: Request[Any, Any, Any],
) -> None:
    """Turns the caller's second step off, given their password. Raises Invalid, TooManyAttempts, SignInBusy."""
    email, ip = caller.email or "", client_ip(cast("Scope", request.scope), settings)
    await attempts.count_everywhere(database, email, ip)
    account = await _find_account(database, email)
    if account is None or not await passwords.matches(password, account.password_hash):
        raise Invalid.at("/password", "wrong", "is not your password")
    await attempts.succeeded_everywhere(database, email, ip)
    async with database.tx(caller.workspace_id, actor=caller.actor, actor_name=caller.name) as tx:
        await second_step.end(tx, account.id)
        await write_audit(tx, "access.end_second_step", account.id, request)


async def renew_recovery_codes(
    database: Database,
    settings: Settings,
    attempts: Attempts,
    caller: Caller,
    code: str,
    request: Request[Any, Any, Any],
) -> RecoveryCodes:
    """New recovery codes for the caller, given a code as for signing in. Raises SecondStepOff, Invalid, TooManyAttempts."""
    staff_id, email, ip = cast("UUID", caller.id), caller.email or "", client_ip(cast("Scope", request.scope), settings)
    if not await second_step.is_on(database, staff_id):
        raise SecondStepOff
    await attempts.count_everywhere(database, email, ip)
    if not await second_step.passes(database, settings, staff_id, code):
        raise Invalid.at("/code", "wrong", "is not a code that the app shows now, or was used already")
    await attempts.succeeded_everywhere(database, email, ip)
    async with database.tx(caller.workspace_id, actor=caller.actor, actor_name=caller.name) as tx:
        renewed = await second_step.renew(tx, staff_id)
        await write_audit(tx, "access.renew_recovery_codes", staff_id, request)
        return renewed


async def _find_account(database: Database, email: str) -> _Account | None:
    async with database.across() as con:
        row = await con.fetchrow(ACCOUNT, email.strip())
    return None if row is None else _Account(*row)


OPEN: Final = "select session_open($2, $3, $4, $5, $1, $6, $7, $8)"


async def _open(
    tx: Tx, caller: Caller, choices: Sequence[Choice], action: str, request: Request[Any, Any, Any]
) -> Opened:
    token = secrets.token_urlsafe(32)
    csrf = csrf_token(token)
    agent = text.clean(request.headers.get("user-agent", ""))[:300]
    ip = cast("Scope", request.scope).get("client_ip")
    hashes = digest(token), digest(csrf)
    await tx.run(OPEN, caller.session_id, *hashes, caller.id, caller.expires_at, ip, agent)
    await write_audit(tx, action, caller.id, request)
    return Opened(queries.describe(caller, choices, csrf), token)


def _caller(account: _Account, here: Choice, session_id: UUID, expires_at: datetime) -> Caller:
    role = here.role or "viewer"
    return Caller(
        workspace_id=here.id,
        kind="staff",
        id=account.id,
        name=account.name,
        permissions=of_role(role),
        expires_at=expires_at,
        session_id=session_id,
        email=account.email,
        role=role,
    )


SWITCH: Final = "select session_switch($1, $2, $3, $4, $5)"


async def switch(tx: Tx, caller: Caller, workspace_id: UUID) -> Opened:
    """Goes on in another workspace, under a new token. Raises NoWorkspace."""
    token = secrets.token_urlsafe(32)
    csrf = csrf_token(token)
    choices = await tx.all(Choice, queries.CHOICES_FROM_HERE, caller.id)
    here = next((c for c in choices if c.id == workspace_id), None)
    if here is None or not await tx.value(SWITCH, caller.session_id, workspace_id, digest(token), digest(csrf)):
        raise NoWorkspace
    role = here.role or "viewer"
    there = msgspec.structs.replace(caller, workspace_id=here.id, role=role, permissions=of_role(role))
    return Opened(queries.describe(there, choices, csrf), token)


CLOSE: Final = "select session_close($1, $2)"


async def sign_out(tx: Tx, caller: Caller) -> None:
    """Ends this session."""
    await tx.run(CLOSE, caller.session_id)


END: Final = "select session_end($1, $2, $3)"


async def end(tx: Tx, caller: Caller, id: UUID) -> None:
    """Ends one of the caller's own sessions, in whichever workspace it is. Raises SessionNotFound."""
    if caller.session_id is None or not await tx.value(END, caller.id, id):
        raise SessionNotFound
