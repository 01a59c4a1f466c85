"""Regular expressions that people write: matched in time that grows with the text alone, whatever they are."""

from functools import lru_cache
from typing import Any, Final, cast

import re2  # pyright: ignore[reportMissingTypeStubs]

LENGTH: Final = 500
_Unreadable: Final = cast("type[Exception]", re2.error)  # pyright: ignore[reportUnknownMemberType]
_MEMORY: Final = 1 << 20
"""Bytes for one compiled; a longer one is refused."""


def why_not(pattern: str) -> str | None:
    """Why a pattern cannot be taken, as the end of a sentence; None for one that can."""
    if len(pattern) > LENGTH:
        return f"can have at most {LENGTH} characters"
    try:
        _compiled(pattern)
    except _Unreadable as error:
        said: object = error.args[0]
        return f"cannot be read: {said.decode('utf-8', 'replace') if isinstance(said, bytes) else said}"
    return None


def fits(pattern: str, text: str) -> bool:
    """Whether the whole text is what the pattern describes."""
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    return cast("Any", re2.compile(pattern, options=options))  # pyright: ignore[reportUnknownMemberType]
