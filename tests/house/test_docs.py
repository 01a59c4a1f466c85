"""The documentation is the code's: what is generated is fresh, links lead somewhere, and no machine stands in it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from supover.kit import migrate
from tests.house import regenerate
from tests.house.walk import ROOT

HINT: Final = "stale: run `make docs`"


# --- what is generated -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return dict(regenerate.pages())


@pytest.mark.parametrize(
    "name",
    [
        regenerate.SNAPSHOT,
        *(f"{regenerate.REFERENCE}/{page}.md" for page in ("configuration", "cli", "events", "permissions", "errors")),
    ],
)
def test_the_generated_pages_are_fresh(pages: dict[str, str], name: str) -> None:
    path = ROOT / name
    assert path.exists(), f"{name} is {HINT}"
    assert path.read_text("utf-8") == pages[name], f"{name} is {HINT}"


def test_no_generated_page_is_left_over(pages: dict[str, str]) -> None:
    there = {p.relative_to(ROOT).as_posix() for p in (ROOT / regenerate.REFERENCE).rglob("*.md")}
    generated = {name for name in there if (ROOT / name).read_text("utf-8").startswith(regenerate.NOTE)}
    assert generated == {name for name in pages if name.endswith(".md")}


async def test_the_schema_is_fresh(database: str) -> None:
    assert await migrate.dump_schema(database) == SCHEMA, f"schema.sql is {HINT}"


SCHEMA: Final = (ROOT / regenerate.SCHEMA).read_text("utf-8") if (ROOT / regenerate.SCHEMA).exists() else ""


def test_the_reference_of_the_api_begins_with_customers_and_orders(pages: dict[str, str]) -> None:
    document = msgspec.json.decode(pages[regenerate.SNAPSHOT])
    tags = [tag["name"] for tag in document["tags"]]
    assert tags[:2] == ["Customers", "Orders"]
    used = {tag for methods in document["paths"].values() for one in methods.values() for tag in one["tags"]}
    assert used == {*tags, "Health"}


def test_every_figure_of_a_customer_says_what_it_is(pages: dict[str, str]) -> None:
    fields = msgspec.json.decode(pages[regenerate.SNAPSHOT])["components"]["schemas"]["Customer"]["properties"]
    for name in (*FIGURES, "byCurrency", "currency", "rfmGroup", "churnRisk"):
        assert fields[name]["description"], name
    guide = (ROOT / "docs/guide/first-orders.md").read_text("utf-8")
    assert [name for name in FIGURES if f"`{name}`" not in guide] == []


FIGURES: Final = (
    *(
        "totalSpent",
        "orderCount",
        "averageOrderValue",
        "lifetimeValue",
        "totalOrders",
        "isRepeatCustomer",
        "ordersCount",
    ),
)


# --- links -----------------------------------------------------------------------------------------------------------

LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def written() -> list[Path]:
    """Every page that people read."""
    return [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]


def prose(path: Path) -> str:
    """A page without its code."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text("utf-8"), flags=re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The places in a page that a link can lead to, as GitHub names them."""
    heads = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_link_leads_somewhere() -> None:
    broken: list[str] = []
    for page in written():
        for target in LINK.findall(prose(page)):
            if re.match(r"[a-z]+:", target):
                continue
            where, _, anchor = target.partition("#")
            found = page if not where else ROOT / where.lstrip("/") if where.startswith("/") else page.parent / where
            if not found.exists() or (anchor and found.suffix == ".md" and anchor not in anchors(found)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


NAMED: Final = re.compile(r"`((?:src|tests|docs|migrations|bench)/[\w./-]+|[a-z_]+/[a-z_]+\.py)`")


def test_every_file_that_a_page_names_is_there() -> None:
    missing = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in written()
        for name in NAMED.findall(page.read_text("utf-8"))
        if not (ROOT / name).exists() and not (ROOT / "src" / "supover" / name).exists()
    ]
    assert missing == []


def test_every_decision_is_one_page_with_a_number_of_its_own() -> None:
    numbers = [path.name[:4] for path in sorted((ROOT / "docs" / "decisions").glob("*.md"))]
    assert numbers == [f"{n:04}" for n in range(1, len(numbers) + 1)]


# --- nothing of a machine --------------------------------------------------------------------------------------------

OURS: Final = ("src", "tests", "docs", "migrations", "bench", "requirements", ".ci")
TEXTS: Final = frozenset(
    {".py", ".md", ".sql", ".toml", ".json", ".txt", ".html", ".css", ".js", ".cfg", ".in", ".sh", ""}
)
MACHINE: Final = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+|tmp/team)/|\.\./shared")


def files() -> Iterator[Path]:
    """Every text file of the project that people wrote."""
    for top in OURS:
        for path in sorted((ROOT / top).rglob("*")):
            if path.is_file() and path.suffix in TEXTS and not {"static", "__pycache__", "data"} & set(path.parts):
                yield path
    yield from (
        path for path in sorted(ROOT.glob("*")) if path.is_file() and path.suffix in TEXTS and path.name[:1] != "."
    )


def test_no_path_of_a_machine_stands_anywhere() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{n}: {line.strip()[:100]}"
        for path in files()
        if path != Path(__file__)
        for n, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert found == []


def test_no_registry_stands_in_what_is_locked() -> None:
    locked = [*sorted((ROOT / "requirements").glob("*")), ROOT / "package-lock.json", ROOT / ".npmrc"]
    assert len(locked) > 4
    for path in locked:
        text = path.read_text("utf-8")
        assert not re.search(
            r"--(extra-)?index-url|--find-links|--trusted-host|\"resolved\"|registry=|@ (git\+)?https?:", text
        ), path.name
        hosts = set(re.findall(r"https?://([^/\s\"]+)", text))
        assert hosts == set(), f"{path.name}: {hosts}"


def test_every_picture_of_a_page_is_there() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    shown = {
        page.parent / source
        for page in pages
        for source in re.findall(r'(?:src|srcset)="([^":]+)"', page.read_text("utf-8"))
    }
    assert len(shown) > 30
    assert [str(path.relative_to(ROOT)) for path in sorted(shown) if not path.exists()] == []
