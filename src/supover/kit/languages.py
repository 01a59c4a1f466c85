"""Languages: from their English names to the codes of ISO 639."""

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, Final, cast

from supover.kit.text import fold

CODE: Final = 3
"""So many letters a code has at most."""


@lru_cache(maxsize=4096)
def meant(text: str) -> str | None:
    """The code of a language whose English name this is; None for a code, and for what is no language we know."""
    return _codes().get(fold(text.strip()))


@cache
def _codes() -> Mapping[str, str]:
    # Only who reads such a filter waits for the names.
    from babel import Locale

    names = cast("Mapping[str, str]", cast("Any", Locale("en")).languages)
    # A name of three letters, such as Lao, may be the language's other code.
    return {fold(name): code for code, name in names.items() if len(code) == 2 and len(name) > CODE}
