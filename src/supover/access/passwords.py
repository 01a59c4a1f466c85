"""Passwords: Argon2id in a few threads of its own, so that signing in never holds up other requests."""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from supover.access.model import SignInBusy
from supover.kit.problems import Invalid

HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""The least that OWASP's password storage cheat sheet recommends: 19 MiB, two passes."""

NOBODY: Final = "$argon2id$v=19$m=19456,t=2,p=1$d7z3CRJIRFhVsoCwHYereQ$yfGvJypwGcprawq/1eBcyxOYdMNur+mY08FpJMJhzEw"
"""The hash of a thrown-away random password: verified for unknown emails, so that they take as long as known ones."""

LEAST: Final = 12
MOST: Final = 200
THREADS: Final = 2
MOST_WAITING: Final = 32

_threads: Final = ThreadPoolExecutor(THREADS, "argon2")
_waiting = 0

T = TypeVar("T")


def check(password: str, email: str, pointer: str) -> None:
    """Refuses a new password that is easily guessed. Raises Invalid."""
    text = _normal(password)
    if not LEAST <= len(text) <= MOST:
        raise Invalid.at(pointer, "length", f"must have {LEAST} to {MOST} characters")
    if len(set(text)) < 5 or text.casefold() in {email.casefold(), email.partition("@")[0].casefold()}:
        raise Invalid.at(pointer, "weak", "is too easily guessed")


def make() -> str:
    """A random password for people to type once: 100 bits in five groups of four."""
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(5))


async def hashed(password: str) -> str:
    """The hash to keep. Raises SignInBusy when too many are at it."""
    return await _in_thread(lambda: HASHER.hash(_normal(password)))


async def matches(password: str, kept: str | None) -> bool:
    """Whether this is the password. Without a hash it takes as long, and is no. Raises SignInBusy."""

    def verify() -> bool:
        try:
            return HASHER.verify(kept or NOBODY, _normal(password)) and kept is not None
        except (VerificationError, InvalidHashError):
            return False

    return await _in_thread(verify)


async def _in_thread(work: Callable[[], T]) -> T:
    global _waiting
    if _waiting >= MOST_WAITING:
        raise SignInBusy(headers={"Retry-After": "2"})
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, work)
    finally:
        _waiting -= 1


def _normal(password: str) -> str:
    # The same password typed on another keyboard may come composed otherwise.
    return unicodedata.normalize("NFKC", password)
