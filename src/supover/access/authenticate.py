"""Who is asking: a key's or session's token becomes a caller, asked of the database once every few seconds."""

import asyncio
import contextlib
import hmac
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, cast
from uuid import UUID

import msgspec
import structlog
from litestar.connection import ASGIConnection

from supover.access import limits
from supover.access.commands import digest
from supover.access.limits import Periods, Taken
from supover.access.model import (
    CHALLENGE,
    Caller,
    CsrfRefused,
    KeyRefused,
    RateLimited,
    SessionEnded,
    SignInNeeded,
)
from supover.access.permissions import Role, held, of_role
from supover.access.sessions import Attempts, Scope, client_ip, cookie_name, csrf_token
from supover.kit import clock
from supover.kit.db import Database
from supover.settings import Settings

log = structlog.get_logger("supover.access")

REMEMBER_S: Final = 5.0
"""How long another process may go on accepting what was revoked here; in this one it ends at once."""

DOUBT_S: Final = 90.0
"""Longer than any transaction that revokes something may take."""

REMEMBER_MOST: Final = 10_000
USED_S: Final = 60.0
PERIOD_S: Final = 60.0
TELL_S: Final = 0.5
"""How often the other processes are told how much of its limit a key has used up here."""


SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSED: Final = {"WWW-Authenticate": f'{CHALLENGE["WWW-Authenticate"]}, error="invalid_token"'}
_KEY: Final = re.compile(rb"sk_[0-9a-f]{48}")
_SESSION: Final = re.compile(rb"[A-Za-z0-9_-]{43}")


class _Known(msgspec.Struct, frozen=True):
    """A caller who was looked up, until when that holds (monotonic), and the hash of their CSRF token."""

    caller: Caller
    until_s: float
    csrf_hash: bytes = b""


FIND_KEY: Final = "select k.workspace_id, k.id, k.name, k.scopes, k.rate_limit, k.expires_at from key_by_token($1) k"
FIND_SESSION: Final = """
    select s.id, s.workspace_id, s.staff_id, s.email, s.name, s.role, s.csrf_hash, s.expires_at
      from session_by_token($1) s"""
USED: Final = "select key_used($1, $2)"


class Authenticator:
    """Knows callers by their token. One a process; what it remembers is bounded."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings
        self.attempts = Attempts()
        self._cookie = cookie_name(settings).encode()
        self._known: dict[bytes, _Known] = {}
        self._doubted: dict[UUID, float] = {}
        self._requests = Periods(PERIOD_S)
        self._used: dict[UUID, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._telling = False
        self._closing = asyncio.Event()

    async def __call__(self, connection: "ASGIConnection[Any, Any, Any, Any]") -> Caller:
        """Who sends this request. Raises Unauthorized, CsrfRefused, RateLimited.

        A key goes before a cookie. RateLimit-* headers are left in the scope as `answer_headers`.
        """
        scope = cast("Scope", connection.scope)
        authorization: bytes | None = None
        cookies: list[bytes] = []
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"cookie":
                cookies.append(value)
        writes = scope["method"] not in SAFE
        if writes:
            client_ip(scope, self.settings)
        if authorization is not None:
            return await self._by_key(scope, authorization)
        token = _from_cookies(cookies, self._cookie) if cookies else None
        if token is None:
            raise SignInNeeded("Send the header Authorization: Bearer sk_…, or sign in.", headers=CHALLENGE)
        return await self._by_session(scope, token, writes)

    def csrf_token(self, connection: "ASGIConnection[Any, Any, Any, Any]") -> str | None:
        """The CSRF token of the session whose cookie this request carries, for the page that answers it."""
        headers = cast("list[tuple[bytes, bytes]]", connection.scope["headers"])
        token = _from_cookies([value for name, value in headers if name == b"cookie"], self._cookie)
        return None if token is None else csrf_token(token.decode())

    def doubt(self, id: UUID) -> None:
        """Asks the database each time about this key, session or member of staff, until any change of it is done.

        Call it in the transaction that revokes or changes: what another request reads before the commit is then not
        remembered after it.
        """
        now_s = clock.monotonic_s()
        self._doubted = {doubted: until_s for doubted, until_s in self._doubted.items() if until_s > now_s}
        self._doubted[id] = now_s + DOUBT_S
        for token_hash, known in list(self._known.items()):
            if id in (known.caller.id, known.caller.session_id):
                del self._known[token_hash]

    async def close(self) -> None:
        """Waits for what is still being written down."""
        self._closing.set()
        await asyncio.gather(*self._tasks)
        self._closing.clear()

    async def _by_key(self, scope: Scope, authorization: bytes) -> Caller:
        token = authorization[7:].strip()
        if authorization[:7].lower() != b"bearer " or not _KEY.fullmatch(token):
            raise KeyRefused("Send an API key as Authorization: Bearer sk_….", headers=REFUSED)
        now_s = clock.monotonic_s()
        token_hash = digest(token)
        known = self._known.get(token_hash)
        if known is None or known.until_s <= now_s:
            known = await self._look_up(token_hash, self._find_key)
            if known is None:
                raise KeyRefused(headers=REFUSED)
        caller = known.caller
        if caller.rate_limit is not None:
            taken = self._requests.take(caller.id, caller.rate_limit, now_s)
            if not self._telling:
                self._telling = True
                self._begin(self._tell_others())
            _say(scope, caller.rate_limit, taken)
        return caller

    async def _tell_others(self) -> None:
        # Ends when no key with a limit was used for a moment, and begins with the next request of one.
        try:
            while untold := self._requests.untold(clock.monotonic_s()):
                try:
                    await limits.tell(self.database, untold, PERIOD_S)
                except Exception as error:
                    log.warning("requests_not_told", cause=repr(error))
                    if self._closing.is_set():
                        break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), TELL_S)
        finally:
            self._telling = False

    async def _by_session(self, scope: Scope, token: bytes, writes: bool) -> Caller:
        token_hash = digest(token)
        known = self._known.get(token_hash)
        if known is None or known.until_s <= clock.monotonic_s():
            known = await self._look_up(token_hash, self._find_session)
            if known is None:
                raise SessionEnded(headers=CHALLENGE)
        if writes:
            sent = next((value for name, value in scope["headers"] if name == b"x-csrf-token"), b"")
            if not sent or not hmac.compare_digest(digest(sent), known.csrf_hash):
                raise CsrfRefused
        return known.caller

    async def _look_up(self, token_hash: bytes, find: "Callable[[bytes], Awaitable[_Known | None]]") -> _Known | None:
        self._known.pop(token_hash, None)
        known = await find(token_hash)
        now_s = clock.monotonic_s()
        if known is None or known.until_s <= now_s:
            return None
        caller = known.caller
        if any(self._doubted.get(id, 0) > now_s for id in (caller.id, caller.session_id) if id is not None):
            return known
        if len(self._known) >= REMEMBER_MOST:
            self._known.clear()
        self._known[token_hash] = known
        return known

    async def _find_key(self, token_hash: bytes) -> _Known | None:
        async with self.database.across() as con:
            row = await con.fetchrow(FIND_KEY, token_hash)
        if row is None:
            return None
        workspace_id, id, name, scopes, rate_limit, expires_at = row
        caller = Caller(
            workspace_id=workspace_id,
            kind="key",
            id=id,
            name=name,
            permissions=held(scopes),
            rate_limit=rate_limit,
            expires_at=expires_at,
        )
        known = _Known(caller, _until(caller))
        if known.until_s > clock.monotonic_s():
            self._note_use(caller)
        return known

    async def _find_session(self, token_hash: bytes) -> _Known | None:
        async with self.database.across() as con:
            row = await con.fetchrow(FIND_SESSION, token_hash)
        if row is None:
            return None
        id, workspace_id, staff_id, email, name, role, csrf_hash, expires_at = row
        caller = Caller(
            workspace_id=workspace_id,
            kind="staff",
            id=staff_id,
            name=name,
            permissions=of_role(cast("Role", role)),
            expires_at=expires_at,
            session_id=id,
            email=email,
            role=cast("Role", role),
        )
        return _Known(caller, _until(caller), csrf_hash)

    def _note_use(self, caller: Caller) -> None:
        # A request never waits for this; the statement itself keeps it to once a minute over all processes.
        assert caller.id is not None
        now_s = clock.monotonic_s()
        if now_s < self._used.get(caller.id, 0):
            return
        if len(self._used) >= REMEMBER_MOST:
            self._used.clear()
        self._used[caller.id] = now_s + USED_S
        self._begin(self._write_use(caller.workspace_id, caller.id))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_use(self, workspace_id: UUID, id: UUID) -> None:
        # Whatever hinders this note must not end in a task whose error nobody reads.
        try:
            async with self.database.across() as con:
                await con.execute(USED, workspace_id, id)
        except Exception as error:
            log.warning("key_use_not_noted", key_id=str(id), cause=repr(error))


def _until(caller: Caller) -> float:
    """When the database has to be asked again: soon, and not after the caller's own end."""
    now_s = clock.monotonic_s()
    if caller.expires_at is None:
        return now_s + REMEMBER_S
    return now_s + min(REMEMBER_S, (caller.expires_at - clock.now()).total_seconds())


def _say(scope: Scope, limit: int, taken: Taken) -> None:
    left = taken.left if taken.left > 0 else 0
    headers = [
        (b"ratelimit-limit", b"%d" % limit),
        (b"ratelimit-remaining", b"%d" % left),
        (b"ratelimit-reset", b"%d" % taken.reset_s),
    ]
    given = scope.get("answer_headers")
    if given is None:
        scope["answer_headers"] = headers
    else:
        given.extend(headers)
    if taken.left < 0:
        raise RateLimited(
            f"It may send {limit} requests a minute; the next is taken in {taken.reset_s} s.",
            headers={"Retry-After": str(taken.reset_s)},
        )


def _from_cookies(cookies: list[bytes], name: bytes) -> bytes | None:
    for part in b";".join(cookies).split(b";"):
        key, _, value = part.strip().partition(b"=")
        if key == name and _SESSION.fullmatch(value):
            return value
    return None
