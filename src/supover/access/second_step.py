"""The second step of signing in: codes of an app (TOTP, RFC 6238), and recovery codes for who has lost it.

A code holds for thirty seconds and for those before and after, as clocks differ; it is taken once, over all processes. The secret
is sealed; recovery codes are kept as hashes, as they are random.
"""

import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

import msgspec
from pyotp import random_base32
from pyotp.totp import TOTP

from supover.access.commands import digest
from supover.access.model import (
    Caller,
    RecoveryCodes,
    SecondStep,
    SecondStepBegun,
    SecondStepNotBegun,
    SecondStepOff,
    SecondStepOn,
    StaffOnly,
)
from supover.kit import clock
from supover.kit.crypto import Sealer
from supover.kit.db import Database, Reader, Tx
from supover.kit.problems import Invalid
from supover.settings import Settings, master_keys

ISSUER: Final = "Supover"
PURPOSE: Final = "second-step"
PERIOD_S: Final = 30
AROUND: Final = (0, -1, 1)
RECOVERY_CODES: Final = 10
_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz23456789"


@lru_cache(maxsize=4)
def sealer(settings: Settings) -> Sealer:
    """One a process: reading the key's file and deriving keys takes a while."""
    return Sealer(master_keys(settings))


class _Kept(msgspec.Struct, frozen=True):
    secret: bytes | None
    since: datetime | None
    codes_left: int


KEPT: Final = "select s.secret, s.since, s.codes_left from second_step($1) s"
KEPT_FROM_HERE: Final = "select s.secret, s.since, s.codes_left from second_step($2) s where $1::uuid is not null"


async def find(db: Reader, caller: Caller) -> SecondStep:
    """Whether the signed-in person is asked for a code, and how many recovery codes are left. Raises StaffOnly."""
    kept = await db.one(_Kept, KEPT_FROM_HERE, _staff(caller), missing=StaffOnly)
    return SecondStep(kept.since is not None, kept.since, kept.codes_left)


BEGIN: Final = "select second_step_begin($1, $2, $3)"


async def begin(tx: Tx, settings: Settings, caller: Caller) -> SecondStepBegun:
    """Makes a secret for the person's app; nothing is asked for before a code of it is confirmed.

    Raises StaffOnly, SecondStepOn.
    """
    staff_id = _staff(caller)
    secret = random_base32()
    if not await tx.value(BEGIN, staff_id, _sealed(settings, staff_id, secret)):
        raise SecondStepOn
    return _told(secret, caller)


async def begun(db: Reader, settings: Settings, caller: Caller) -> SecondStepBegun | None:
    """What `begin` made, as long as it waits for its first code."""
    staff_id = _staff(caller)
    kept = await db.one(_Kept, KEPT_FROM_HERE, staff_id, missing=StaffOnly)
    if kept.secret is None or kept.since is not None:
        return None
    secret = _opened(settings, staff_id, kept.secret)
    return _told(secret, caller)


def _told(secret: str, caller: Caller) -> SecondStepBegun:
    uri: str = TOTP(secret).provisioning_uri(name=caller.email or caller.name, issuer_name=ISSUER)
    return SecondStepBegun(secret, uri)


CONFIRM: Final = "select second_step_confirm($1, $2, $3, $4, $5)"


async def confirm(tx: Tx, settings: Settings, caller: Caller, code: str) -> RecoveryCodes:
    """Turns the second step on, given a code of the app; the recovery codes are in the answer and nowhere else.

    Raises StaffOnly, SecondStepNotBegun, SecondStepOn, Invalid.
    """
    staff_id = _staff(caller)
    kept = await tx.one(_Kept, KEPT_FROM_HERE, staff_id, missing=StaffOnly)
    if kept.since is not None:
        raise SecondStepOn
    if kept.secret is None:
        raise SecondStepNotBegun
    step = _step_of(_opened(settings, staff_id, kept.secret), code)
    if step is None:
        raise Invalid.at("/code", "wrong", "is not the code that the app shows now")
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    if not await tx.value(CONFIRM, staff_id, kept.secret, step, _hashes(codes)):
        raise SecondStepNotBegun
    tx.changed("staff", staff_id, None, _Noted(True), ["second_step"])
    return RecoveryCodes(codes)


RENEW: Final = "select recovery_codes_renew($1, $2, $3)"


async def renew(tx: Tx, staff_id: UUID) -> RecoveryCodes:
    """New recovery codes; those that were left are forgotten. Whoever calls it has asked for a code. Raises SecondStepOff."""
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    if not await tx.value(RENEW, staff_id, _hashes(codes)):
        raise SecondStepOff
    return RecoveryCodes(codes)


def _hashes(codes: Sequence[str]) -> list[bytes]:
    return [digest(_plain(one)) for one in codes]


class _Noted(msgspec.Struct, frozen=True):
    second_step: bool


END: Final = "select second_step_end($1, $2)"


async def end(tx: Tx, staff_id: UUID) -> bool:
    """Turns the second step off and forgets its codes; False where there was none. Whoever calls it has asked for the password."""
    ended: bool = await tx.value(END, staff_id)
    if ended:
        tx.changed("staff", staff_id, _Noted(True), None, ["second_step"])
    return ended


async def drop(tx: Tx, staff_id: UUID) -> None:
    """Forgets a key that waits for its first code: nothing was on, so nothing is noted."""
    await tx.value(END, staff_id)


# --- signing in ------------------------------------------------------------------------------------------------------

USE: Final = "select second_step_use($1, $2)"
USE_RECOVERY: Final = "select recovery_code_use($1, $2)"


async def is_on(database: Database, staff_id: UUID) -> bool:
    """Whether this person is asked for a code."""
    async with database.across() as con:
        row = await con.fetchrow(KEPT, staff_id)
    return row is not None and row[1] is not None


async def passes(database: Database, settings: Settings, staff_id: UUID, code: str) -> bool:
    """Whether this is a code that the person's app shows, or one of their recovery codes, which is then used up."""
    async with database.across() as con:
        row = await con.fetchrow(KEPT, staff_id)
        if row is None or row[0] is None:
            return False
        step = _step_of(_opened(settings, staff_id, bytes(row[0])), code)
        if step is not None:
            return bool(await con.fetchval(USE, staff_id, step))
        return bool(await con.fetchval(USE_RECOVERY, staff_id, digest(_plain(code))))


def _step_of(secret: str, code: str) -> int | None:
    """Of which thirty seconds this is the code. All are compared, so that it takes as long whichever it is."""
    given, now = _plain(code).encode(), int(clock.now().timestamp()) // PERIOD_S
    app = TOTP(secret)
    right = [now + by for by in AROUND if hmac.compare_digest(app.generate_otp(now + by).encode(), given)]
    return right[0] if right else None


def _recovery_code() -> str:
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))


def _plain(code: str) -> str:
    """A code as it is meant, however its groups are set apart."""
    return "".join(part for part in code.lower().replace("-", " ").split())


def _sealed(settings: Settings, staff_id: UUID, secret: str) -> bytes:
    return sealer(settings).seal(staff_id.bytes + secret.encode(), purpose=PURPOSE)


def _opened(settings: Settings, staff_id: UUID, sealed: bytes) -> str:
    """The secret; one that was put at somebody else's account is refused, as one that was changed."""
    plain = sealer(settings).open(sealed, purpose=PURPOSE)
    if not hmac.compare_digest(plain[:16], staff_id.bytes):
        raise StaffOnly
    return plain[16:].decode()


def _staff(caller: Caller) -> UUID:
    if caller.session_id is None or caller.id is None:
        raise StaffOnly
    return caller.id
