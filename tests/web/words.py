"""What the screens say, as it stands in templates and modules, and the catalogue of each other language."""

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Final, cast

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from supover import wiring
from supover.analytics import rules
from supover.kit import filters
from supover.web import operations, rendering, wordings
from tests.house import walk
from tests.web import sentences

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
    yield from ((text, "rooms", 0) for text in of_rooms())


def of_rooms() -> Iterator[str]:
    """What rooms say in English and pages tell by the filter `told`."""
    walk.modules()
    wiring.load_fields()
    of_pages = (kind for kind in walk.problems() if kind.__module__.startswith("supover."))
    yield from (kind.title() for kind in of_pages if not kind.__module__.endswith(sentences.OF_A_TERMINAL))
    yield from rules.GROUPS.values()
    yield from wordings.DECODED
    yield from (one.text for one in sentences.found() if not one.is_lost)
    yield from wordings.BUILT_IN
    yield from operations.JOBS.values()
    yield from operations.changes(wiring.handlers()).values()
    yield from (name for code, name in rendering.SOURCES.items() if code not in rendering.CHANNELS)
    for asked in filters.registered().values():
        yield from _of(asked)


def _of(asked: filters.Asked) -> Iterator[str]:
    """What can be asked by its name, with the codes that it may have, and what it does of a customer."""
    yield asked.words
    if isinstance(asked, filters.Field):
        yield from map(rendering.spelled, asked.choices)
        return
    yield asked.many
    for field in (*asked.fields, *asked.sums):
        yield from _of(field)


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
