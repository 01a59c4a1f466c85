"""What the screens say, as it stands in templates and modules, and the catalogue of each other language."""

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Final, cast

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

WEB: Final = Path(__file__).parents[2] / "src/supover/web"
LANGUAGES: Final = WEB / "languages"
METHODS: Final = [("templates/**.html", "jinja2"), ("**.py", "python")]
# `see` tells what was done in its third argument.
KEYWORDS: Final[Mapping[str, Any]] = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "see": (3,),
    "say": (1,),
    "say_many": (1, 2),
}


def said() -> Iterator[tuple[str | tuple[str, str], str, int]]:
    """Every sentence, with its file and line."""
    found = extract_from_dir(
        str(WEB), METHODS, keywords=cast("Any", KEYWORDS),
        options_map={"templates/**.html": {"extensions": "jinja2.ext.do", "trimmed": "true"}},
    )  # fmt: skip
    for file, line, message, _, _ in found:
        if "".join(message).strip():
            yield cast("Any", message), file, line


def catalogue(language: str) -> Catalog:
    """The catalogue with every sentence that is said and none that is not; what has no translation is empty."""
    file = LANGUAGES / f"{language}.po"
    old = read_po(BytesIO(file.read_bytes()), locale=language) if file.exists() else Catalog(locale=language)
    known: dict[str, Any] = {}
    for message in old:
        if message.id:
            known[message.id if isinstance(message.id, str) else message.id[0]] = message.string
    new = Catalog(locale=language, project="Supover", version="", fuzzy=False)
    for message, _, _ in sorted(said(), key=lambda one: one[0] if isinstance(one[0], str) else one[0][0]):
        key = message if isinstance(message, str) else message[0]
        new.add(message, known.get(key, ""))
    return new


def written(found: Catalog) -> str:
    """A catalogue as it is kept: no dates, no places, sorted."""
    out = BytesIO()
    write_po(out, found, width=140, no_location=True, omit_header=True, sort_output=True)
    return 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n' + out.getvalue().decode()
