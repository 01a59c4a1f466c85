"""What can go wrong, said once: exceptions that become problem details (RFC 9457) at the edge.

A room's own error is a subclass: its docstring is the title, its class name the type, its base gives the status.
"""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

TYPE_BASE = "https://supover.dev/problems/"


def worded(text: str) -> str:
    """A sentence that people will read, made where nothing else says so.

    Catalogues have it with numbers in place of its values, by which the screens find it again to tell it in another language.
    """
    return text


def from_library(said: str) -> str:
    """What a decoder says of a value, as a message of ours begins."""
    return said[:1].lower() + said[1:]


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """One field that cannot be taken: where (a JSON pointer), a code for programs, a sentence for people."""

    pointer: str
    code: str
    message: str
    position: int | None = None


class Problem(Exception):
    """Something went wrong.

    `facts` are events that are true although the request is refused; the edge publishes them once all else is undone.
    """

    status: ClassVar[int] = 500

    def __init__(
        self,
        detail: str = "",
        *,
        extra: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        facts: Sequence[object] = (),
    ) -> None:
        super().__init__(detail or self.title())
        self.detail = detail
        self.extra: Mapping[str, object] = extra or {}
        self.headers: Mapping[str, str] = headers or {}
        self.facts = facts

    @classmethod
    def title(cls) -> str:
        """The first line of the class's docstring, without its full stop."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip(".")

    @classmethod
    def type_uri(cls) -> str:
        """The address that names this kind of problem."""
        return TYPE_BASE + re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()


class Malformed(Problem):
    """The request cannot be read."""

    status = 400


class Unauthorized(Problem):
    """Nobody is signed in."""

    status = 401


class Forbidden(Problem):
    """This caller may not do that."""

    status = 403


class NotFound(Problem):
    """There is nothing here."""

    status = 404


class MethodNotAllowed(Problem):
    """This address does not take this method."""

    status = 405


class TooSlow(Problem):
    """The request did not come in time."""

    status = 408


class Conflict(Problem):
    """This clashes with what is there."""

    status = 409


class Stale(Problem):
    """Somebody else has changed this since it was read."""

    status = 412


class TooLarge(Problem):
    """The request is too large."""

    status = 413


class UnsupportedMediaType(Problem):
    """This content type is not taken here."""

    status = 415


class Invalid(Problem):
    """Some fields cannot be taken as they are."""

    status = 422

    def __init__(self, errors: Sequence[FieldError] = (), detail: str = "") -> None:
        super().__init__(detail or "; ".join(f"{e.pointer or 'body'}: {e.message}" for e in errors[:3]))
        self.errors = tuple(errors)

    @classmethod
    def at(cls, pointer: str, code: str, message: str) -> "Invalid":
        """One field's error."""
        return cls([FieldError(pointer, code, message)])


class TooManyRequests(Problem):
    """Too many requests."""

    status = 429


class Unavailable(Problem):
    """The service cannot answer just now."""

    status = 503
