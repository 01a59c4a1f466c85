"""What an export says, an import takes back: exported, imported into an empty workspace and exported again it is the same file."""

import io
import zipfile
from collections.abc import Awaitable, Callable
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest

from supover.exports import jobs
from supover.imports import customer_commands
from supover.kit.db import Database
from tests.exports.conftest import claim, folder
from tests.imports.customer_files import dump, imported
from tests.makers import (
    Json,
    Workspace,
    client,
    let_go,
    make_address,
    make_customer,
    make_order,
    make_workspace,
    shop,
    told,
)

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

__all__ = ["folder", "shop"]

FORMATS = ("csv", "xlsx", "jsonl", "parquet")
FIELDS: tuple[Json, ...] = (
    {"key": "motto", "label": "Motto", "type": "text"},
    {"key": "points", "label": "Points", "type": "number"},
    {"key": "joined", "label": "Joined", "type": "date"},
    {"key": "wholesale", "label": "Wholesale", "type": "boolean"},
    {"key": "size", "label": "Size", "type": "choice", "choices": ["S", "M, wide", 'L "tall"']},
    {"key": "likes", "label": "Likes", "type": "list"},
)
NAMES = (
    'Ann "the boss" Lee',
    "Line\nBreak",
    "Two  spaces\tand a tab",
    "שלום, עולם",
    "مرحبا; بك",
    "👩‍👩‍👧 Family 🏳️‍🌈",
    "=cmd|' /C calc'!A0",
    "+1",
    "-2-3",
    "@here",
    "'quoted'",
    "''twice",
    "'5 o'clock",
    "'",
    '"',
    '""',
    "＝１",
    "＠you",
    "_x0041_",
    "Ünï\u0301cödé ｆｕｌｌ",
    "a,b;c|d",
    "null",
    "NaN",
    "007",
    "1e5",
    "2026-01-31",
    "TRUE",
    "\\N",
    "\\.",
)
PHONES = (
    "+49 151 1234567",
    "0151 7654321",
    "(415) 555-0123",
    "+14155550124",
    "415.555.0125",
    "-5 55 1234567",
    "0800 REPAIR",
    "+1 415 555 0126 ext. 7",
)
TAGS: tuple[list[str], ...] = (
    ["a,b", "c;d", 'e"f', "plain"],
    ['"'],
    ['""', '";"'],
    ["=SUM(A1)", "-x"],
    ["'x'", "'5"],
    ["VIP", "vip 2", "ＷＩＤＥ"],
    ["x y", "äöü", "👍"],
    [", ;"],
)
CUSTOM: tuple[Json, ...] = (
    {"motto": "=1+1", "points": -5, "joined": "2020-02-29", "wholesale": True, "size": "M, wide", "likes": ["a,b", "c"]},
    {"motto": '"quoted", and\na second line', "points": 12.5, "wholesale": False, "size": 'L "tall"', "likes": ['"x"', "-y"]},
    {"motto": "-5", "points": "12.50", "likes": ["one"]},
    {"motto": "  around  ", "points": "-7.5", "likes": ["=z", "q;r"]},
    {"points": 0, "likes": []},
    {"points": 123456789012345678, "motto": "'apostrophe"},
    {"points": "99999999999999999999.10", "motto": "👋 שלום"},
    {"free": 5, "deep": {"a": [1, {"b": None}], "ü": 'q"'}, "flag": True, "minus": -3.25},
    {"free": "5", "deep": [1, 2], "flag": False, "minus": "-3.25"},
    {"free": "text", "deep": ["a", "b,c"], "flag": "true", "minus": 0},
    {"free": "  spaced", "deep": [], "flag": None, "nothing": None, "void": "", "none": []},
    {"free": "[1, 2]", "deep": '{"a":1}', "minus": 1e21},
    {"with space": 1, "Ünï, cödé": "x", 'quo"te': "y", "=formula": "z"},
    {"free": "+", "deep": "'=x", "flag": "\\N"},
    {"free": "line\r\nbreak", "deep": "tab\tin\tit"},
)  # fmt: skip


Export = Callable[..., Awaitable[bytes]]


@pytest.fixture
def export(db: Database, owner: "Connection") -> Export:
    """The file of all customers of a shop."""

    async def make(api: httpx.AsyncClient, shop: Workspace, format: str, **asked: Any) -> bytes:
        if format == "csv":
            answer = await api.post("/api/customers/export", json=asked)
            assert answer.status_code == 200, answer.text
            return answer.content
        run = told(await api.post("/api/customers/export", json={"format": format, **asked}), 202)
        await jobs.make(await claim(db, owner, shop, run), UUID(run["id"]))
        await let_go(db, shop)
        found = told(await api.get(f"/api/exports/{run['id']}"))
        assert (found["status"], found["error"]) == ("completed", None)
        return (await api.get(found["url"], headers={"Authorization": ""})).content

    return make


async def declare(api: httpx.AsyncClient) -> None:
    for field in FIELDS:
        told(await api.post("/api/custom-fields", json=field), 201)


async def fill(api: httpx.AsyncClient, owner: "Connection", shop: Workspace) -> None:
    """Customers whom no file likes."""
    for n, name in enumerate(NAMES):
        await make_customer(api, name=name, email=f"N{n}.Mixed@Mail.example" if n % 2 else None)
    for phone in PHONES:
        await make_customer(api, phone=phone, country="DE")
    for n, tags in enumerate(TAGS):
        await make_customer(api, email=f"t{n}@mail.example", tags=tags)
    for n, custom in enumerate(CUSTOM):
        await make_customer(api, name=f"Custom {n}", custom_fields=custom)
    await make_customer(api, name="Blocked", status="BLOCKED", date_of_birth="1850-01-01", gender="-")
    await make_customer(api, name="Vip", status="VIP", date_of_birth="2000-02-29", gender="weiblich; divers")
    await make_customer(api, name="Away", status="INACTIVE", country="Atlantis")
    for source, id in (
        ("SHOPIFY", "7001234567890"),
        ("ETSY", "00042"),
        ("TIKTOK_SHOP", "=7"),
        ("WOOCOMMERCE", "7"),
        ("ETSY", "7"),
    ):
        await make_customer(api, source=source, external_id=id, email=f"{source}{len(id)}@mail.example", name=None)
    await make_customer(api, source="TIKTOK_SHOP", external_id="only an id")
    await make_customer(api, email="relayed@marketplace.amazon.com", name="Relayed")
    await _with_places(api, owner, shop)
    # Emails that are kept as contacts alone: of an order that is another's, and masked.
    masked = await make_order(
        api, source="TIKTOK_SHOP", external_id="1", email="a***@gmail.com", name="Masked", customer_external_id="u1"
    )
    assert masked["customerId"]


async def _with_places(api: httpx.AsyncClient, owner: "Connection", shop: Workspace) -> None:
    many = await make_customer(
        api, name="Many", email="many@mail.example", source="SHOPIFY", external_id="9", country="DE", phone="030 123456"
    )
    await make_address(api, many, type="SHIPPING", is_default=False, recipient_name="=Many", phone="+49 30 123456")
    await make_address(
        api,
        many,
        type="BILLING",
        is_default=True,
        line1='Rue 1, "bis"',
        city="Paris",
        postal_code="75001",
        country="FR",
    )
    await make_address(
        api,
        many,
        type="BOTH",
        is_default=False,
        line1="-1",
        line2="'2",
        city="=Y",
        state="@Z",
        postal_code="00501",
        country="Atlantis",
        validation_skipped=True,
    )
    await make_address(
        api, many, type="SHIPPING", is_default=True, line1="Multi\nline", city="Köln", postal_code="50667"
    )
    # The same place once more: of another type, for somebody else, in another spelling.
    await make_address(api, many, type="BILLING", is_default=False)
    await make_address(api, many, type="SHIPPING", is_default=False, recipient_name="Somebody else")
    await make_address(api, many, type="SHIPPING", is_default=False, line1="TORSTR 1", recipient_name="Third")
    nobody = await make_customer(api, name="Nobody", phone="+14155550199")
    await make_address(api, nobody)
    await make_address(api, nobody, line1="Torstr. 2", phone="-1")
    nameless = await make_customer(api, phone="+14155550188")
    await make_address(api, nameless)
    await make_address(api, nameless, line1="Torstr. 3")
    # Named since: the address has no recipient.
    told(await api.patch(f"/api/customers/{nameless['id']}", json={"name": "Named since"}))
    later = await make_customer(api, email="later@mail.example")
    await make_address(api, later, is_default=False)
    told(await api.patch(f"/api/customers/{later['id']}", json={"name": "Later"}))
    bare = await make_customer(api, name="Bare")
    for type in ("SHIPPING", "BILLING", "BOTH"):
        await make_address(
            api,
            bare,
            type=type,
            is_default=False,
            line1="",
            city="",
            postal_code="",
            country="",
            validation_skipped=True,
        )
    twins = [await make_customer(api, name="Twin", phone="+14155550177", source="ETSY") for _ in range(3)]
    for twin in twins:
        for line in ("1 A St", "2 A St"):
            await make_address(api, twin, line1=line)


def parts(file: bytes, format: str) -> Any:
    """All of a file, but when a workbook was made."""
    if format != "xlsx":
        return file
    with zipfile.ZipFile(io.BytesIO(file)) as book:
        return {name: book.read(name) for name in book.namelist() if name != "docProps/core.xml"}


def differing(first: bytes, second: bytes) -> list[tuple[str, ...]]:
    """The lines that are not the same."""
    lines = zip_longest(first.decode().split("\n"), second.decode().split("\n"), fillvalue="")
    return [(a, b) for a, b in lines if a != b]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("declared", [True, False])
async def test_what_is_exported_and_imported_is_exported_as_the_same_file(
    api: httpx.AsyncClient,
    db: Database,
    owner: "Connection",
    shop: Workspace,
    folder: Path,
    export: Export,
    format: str,
    declared: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(customer_commands, "CHUNK", 7)
    if declared:
        await declare(api)
    await fill(api, owner, shop)
    first = await export(api, shop, format)
    assert len(first) > 5_000
    there = await make_workspace(db)
    async with client(db, there.key) as other:
        if declared:
            await declare(other)
        run = await imported(other, db, there, folder, first)
        assert (run["status"], run["failed"], run["preset"]) == ("completed", 0, "supover"), (
            await other.get(f"/api/imports/{run['id']}/errors.csv")
        ).text
        second = await export(other, there, format)
        if format in ("csv", "jsonl"):
            assert differing(first, second) == []
        assert parts(second, format) == parts(first, format)
        before = {name: rows for name, rows in (await dump(db, there)).items() if name in ("customer", "address")}
        await imported(other, db, there, folder, second)
        after = await dump(db, there)
    # Who has neither an email nor a channel's id is somebody new each time; nothing comes to the others.
    ids = {row[0] for row in before["customer"]}
    assert [row for row in after["customer"] if row[0] in ids] == before["customer"]
    assert [row for row in after["address"] if row[1] in ids] == before["address"]
