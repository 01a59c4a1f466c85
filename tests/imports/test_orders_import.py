"""Order history from files as people have them: any encoding, any delimiter, bad rows, cut short, twice."""

import asyncio
import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from supover import wiring
from supover.analytics import commands as analytics
from supover.imports import commands, queries, rules
from supover.imports.model import ImportMoved, ImportRun, ImportUnreadable, OrderImportOptions, RowError
from supover.kit import tables
from supover.kit.db import Database, json_bytes
from supover.kit.tables import TableUnreadable
from tests.makers import Workspace, make_workspace, settle

wiring.load()
PLAIN = OrderImportOptions()
FILE_KEY = f"imports/{0:032x}"

UCI = OrderImportOptions(
    source="MANUAL",
    map={
        "externalId": "InvoiceNo",
        "customerExternalId": "customer_id",
        "placedAt": "ordered_at",
        "total": "total_gbp",
        "status": "is_cancel",
    },
    status_map={"true": "cancelled", "false": "delivered"},
    set={"currency": "GBP"},
)
INVOICES = """InvoiceNo,customer_id,country,ordered_at,lines,total_gbp,is_cancel
489434,13085,United Kingdom,2009-12-01T07:45:00.000000,8,505.3,false
489435,13085,United Kingdom,2009-12-01T07:46:00.000000,4,145.8,false
C489449,16321,Australia,2009-12-01T10:33:00.000000,12,-196.41,true
489436,13078,United Kingdom,2009-12-01T09:06:00.000000,19,630.33,false
"""


@pytest.fixture
async def shop(db: Database) -> Workspace:
    return await make_workspace(db, "GBP", "Europe/London")


class Desk:
    """Where files are brought to: a folder, and the shop they go into."""

    def __init__(self, db: Database, shop: Workspace, folder: Path) -> None:
        self.db = db
        self.shop = shop
        self.file = folder / "orders.csv"

    async def begin(self, content: str | bytes, options: OrderImportOptions = PLAIN) -> UUID:
        self.file.write_bytes(content if isinstance(content, bytes) else content.encode())
        facts = await commands.inspect(self.db, self.shop.id, options, self.file)
        async with self.db.tx(self.shop.id, actor="cli") as tx:
            return await commands.begin(tx, options, self.file.name, facts, FILE_KEY)

    async def go_on(self, id: UUID, **more: Any) -> ImportRun:
        return await commands.run(self.db, self.shop.id, id, self.file, actor="cli", **more)

    async def bring(self, content: str | bytes, options: OrderImportOptions = PLAIN, **more: Any) -> ImportRun:
        return await self.go_on(await self.begin(content, options), **more)

    async def refused(self, run: ImportRun) -> list[RowError]:
        async with self.db.reader(self.shop.id) as reader:
            return await queries.errors(reader, run.id)

    async def ask(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        async with self.db.reader(self.shop.id) as reader:
            return [tuple(row) for row in await reader.rows(sql, *args)]

    async def orders(self, what: str) -> list[Any]:
        rows = await self.ask(
            f'select {what} from "order" o where o.workspace_id = $1 order by o.placed_at, o.external_id'
        )
        return [row[0] if len(row) == 1 else row for row in rows]


@pytest.fixture
def desk(db: Database, shop: Workspace, tmp_path: Path) -> Desk:
    return Desk(db, shop, tmp_path)


def outcome(run: ImportRun) -> tuple[int | None, int, int, int, int]:
    return run.total, run.created, run.updated, run.unchanged, run.failed


def table(*rows: Mapping[str, object], columns: Sequence[str] = ()) -> str:
    out = io.StringIO()
    names = columns or list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(out, names)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def a_row(external_id: str = "1", total: str = "10.00", **more: str) -> dict[str, str]:
    row = {"externalId": external_id, "placedAt": "2026-03-01T12:00:00Z", "total": total}
    return row | {"email": f"{external_id}@mail.example"} | more


# --- what is taken in ----------------------------------------------------------------------------------------------------


async def test_invoices_become_orders_and_the_figures_of_their_customers(desk: Desk) -> None:
    run = await desk.bring(INVOICES, UCI)
    assert (run.status, outcome(run), run.customers_created) == ("completed", (4, 4, 0, 0, 0), 3)
    assert await desk.orders("o.external_id, o.source, o.status, o.currency, o.total, o.needs_review") == [
        ("489434", "MANUAL", "delivered", "GBP", Decimal("505.3000"), False),
        ("489435", "MANUAL", "delivered", "GBP", Decimal("145.8000"), False),
        ("489436", "MANUAL", "delivered", "GBP", Decimal("630.3300"), False),
        ("C489449", "MANUAL", "cancelled", "GBP", Decimal("-196.4100"), False),
    ]
    await settle(desk.db, desk.shop)
    assert await desk.ask(
        """select c.external_id, c.country, m.order_count, m.total_spent, m.total_orders, m.lifetime_value, m.orders_count
             from customer c join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
            where c.workspace_id = $1 order by c.external_id"""
    ) == [
        ("13078", "GB", 1, Decimal("630.3300"), 1, Decimal("630.3300"), 1),
        ("13085", "GB", 2, Decimal("651.1000"), 2, Decimal("651.1000"), 2),
        ("16321", "AU", 0, Decimal("0.0000"), 0, Decimal("0.0000"), 1),
    ]
    async with desk.db.snapshot(desk.shop.id) as reader:
        assert await analytics.reconcile(reader) == (7, [])


async def test_a_time_without_a_zone_is_the_workspaces(desk: Desk) -> None:
    await desk.bring(
        table(a_row("winter", placedAt="2026-01-15 12:00:00"), a_row("summer", placedAt="2026-07-15 12:00"))
    )
    assert [at.isoformat() for at in await desk.orders("o.placed_at")] == [
        "2026-01-15T12:00:00+00:00",
        "2026-07-15T11:00:00+00:00",
    ]


@pytest.mark.parametrize(
    "told",
    [
        "2026-03-01T12:00:00Z",
        "2026-03-01 13:00:00 +0100",
        "2026-03-01 12:00:00 UTC",
        "2026-03-01T07:00:00.000-05:00",
        "2026/03/01 12:00",
    ],
)
async def test_times_are_read_as_shops_write_them(desk: Desk, told: str) -> None:
    await desk.bring(table(a_row(placedAt=told)))
    assert [at.isoformat() for at in await desk.orders("o.placed_at")] == ["2026-03-01T12:00:00+00:00"]


async def test_the_same_file_again_changes_nothing(desk: Desk) -> None:
    await desk.bring(INVOICES, UCI)
    before = await desk.orders("o.id, o.version, o.updated_at")
    run = await desk.bring(INVOICES, UCI)
    assert (run.status, outcome(run), run.customers_created) == ("completed", (4, 0, 0, 4, 0), 0)
    assert await desk.orders("o.id, o.version, o.updated_at") == before


async def test_a_later_file_updates_the_orders_it_says_more_of(desk: Desk) -> None:
    await desk.bring(table(a_row("1", status="shipped"), a_row("2")))
    run = await desk.bring(table(a_row("1", status="delivered", deliveredAt="2026-03-05T09:00:00Z"), a_row("2")))
    assert outcome(run) == (2, 0, 1, 1, 0)
    assert await desk.orders("o.status") == ["delivered", "confirmed"]


async def test_lines_over_several_rows_are_one_order(desk: Desk) -> None:
    run = await desk.bring(
        table(
            a_row("1", "25.00", sku="MUG", title="Mug", quantity="2", unitPrice="10"),
            a_row("1", "25.00", sku="TWL", title="Towel", quantity="1", unitPrice="5"),
            a_row("2", "5.00", sku="TWL", title="Towel", quantity="1", unitPrice="5"),
        )
    )
    assert outcome(run) == (2, 2, 0, 0, 0)
    assert await desk.ask(
        """select o.external_id, l.position, l.sku, l.title, l.quantity, l.unit_price
             from order_line l join "order" o on o.workspace_id = $1 and o.id = l.order_id
            where l.workspace_id = $1 order by o.external_id, l.position"""
    ) == [
        ("1", 0, "MUG", "Mug", 2, Decimal("10.0000")),
        ("1", 1, "TWL", "Towel", 1, Decimal("5.0000")),
        ("2", 0, "TWL", "Towel", 1, Decimal("5.0000")),
    ]


async def test_lines_of_an_order_are_never_parted_by_a_chunk(desk: Desk) -> None:
    rows = [a_row(str(n // 3), sku=f"S{n}", title="Thing") for n in range(15)]
    run = await desk.bring(table(*rows), chunk=2)
    assert outcome(run) == (5, 5, 0, 0, 0)
    assert await desk.ask("select count(*), count(distinct order_id) from order_line where workspace_id = $1") == [
        (15, 5)
    ]


async def test_rows_without_a_total_go_on_with_the_order_before_them(desk: Desk) -> None:
    run = await desk.bring("Name,placedAt,Total,email\n#1,2026-03-01,10.00,a@mail.example\n#1,,,\n#2,2026-03-02,4,b@mail.example\n",
                           OrderImportOptions(map={"externalId": "Name"}))  # fmt: skip
    assert outcome(run) == (2, 2, 0, 0, 0)


async def test_the_same_order_told_twice_in_a_file_ends_as_it_was_told_last(desk: Desk) -> None:
    run = await desk.bring(table(a_row("1", "10.00"), a_row("1", "10.00"), a_row("2"), a_row("1", "12.00")))
    assert outcome(run) == (4, 2, 1, 1, 0)
    assert await desk.orders("o.total") == [Decimal("12.0000"), Decimal("10.0000")]


async def test_refunds_come_with_the_order(desk: Desk) -> None:
    await desk.bring(table(a_row("1", "10.00", refunded="2.50"), a_row("2", "10.00", refunded="")))
    assert await desk.orders("o.refunded, o.net_value") == [
        (Decimal("2.5000"), Decimal("7.5000")),
        (Decimal("0.0000"), Decimal("10.0000")),
    ]


async def test_orders_of_nobody_are_kept_for_review(desk: Desk) -> None:
    run = await desk.bring(table(a_row("1", email="")))
    assert (outcome(run), run.customers_created) == ((1, 1, 0, 0, 0), 0)
    assert await desk.orders("o.customer_id, o.needs_review") == [(None, True)]


# --- files as they are ---------------------------------------------------------------------------------------------------

ZOE = "externalId,placedAt,total,name,city\n1,2026-03-01,10.00,Zoë Müller,Köln\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(ZOE.encode(), id="UTF-8"),
        pytest.param(ZOE.encode("utf-8-sig"), id="UTF-8 with a mark"),
        pytest.param(ZOE.encode("utf-16"), id="UTF-16"),
        pytest.param(b"\xfe\xff" + ZOE.encode("utf-16-be"), id="UTF-16 big endian"),
        pytest.param(ZOE.encode("cp1252"), id="Windows-1252"),
        pytest.param(ZOE.replace(",", ";").encode("cp1252"), id="semicolons"),
        pytest.param(ZOE.replace(",", "\t").encode(), id="tabs"),
        pytest.param(ZOE.replace("\n", "\r\n").encode(), id="Windows line ends"),
        pytest.param(ZOE.rstrip("\n").encode(), id="no last line end"),
        pytest.param(gzip.compress(ZOE.encode()), id="gzip"),
        pytest.param(gzip.compress(ZOE.replace(",", ";").encode("utf-16")), id="gzip, UTF-16, semicolons"),
        pytest.param((ZOE + "\n,,,,\n\n").encode(), id="empty rows"),
    ],
)
async def test_every_usual_way_to_write_a_table_is_read(desk: Desk, content: bytes) -> None:
    run = await desk.bring(content)
    assert outcome(run) == (1, 1, 0, 0, 0)
    assert await desk.orders("o.name, o.shipping_address ->> 'city'") == [("Zoë Müller", "Köln")]


async def test_the_first_accent_may_be_far_down(desk: Desk) -> None:
    rows = [a_row(str(n), note="x" * 500) for n in range(300)]
    text = table(*rows, a_row("last", note="Café"))
    run = await desk.bring(text.encode("cp1252"))
    assert outcome(run) == (301, 301, 0, 0, 0)
    assert await desk.ask("""select note from "order" where workspace_id = $1 and external_id = 'last'""") == [
        ("Café",)
    ]


async def test_quoted_line_breaks_and_delimiters_stay_in_their_cell(desk: Desk) -> None:
    await desk.bring(
        'externalId,placedAt,total,note,email\n1,2026-03-01,10.00,"Say ""hi"",\nplease","a@mail.example"\n'
    )
    assert await desk.orders("o.note") == ['Say "hi",\nplease']


async def test_a_guarding_apostrophe_of_a_spreadsheet_goes(desk: Desk) -> None:
    await desk.bring("externalId,placedAt,total,phone,country\n1,2026-03-01,10.00,'+442079460958,GB\n")
    assert await desk.orders("o.phone") == ["+442079460958"]


async def test_a_table_of_a_header_alone_is_an_import_of_nothing(desk: Desk) -> None:
    run = await desk.bring("externalId,placedAt,total\n")
    assert (run.status, outcome(run)) == ("completed", (0, 0, 0, 0, 0))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
async def test_a_file_without_a_header_is_refused(desk: Desk, content: bytes) -> None:
    with pytest.raises(TableUnreadable, match="no header row"):
        await desk.begin(content)


@pytest.mark.parametrize(("end", "hole"), [(-20, b""), (None, b"\0" * 50)], ids=["cut", "holes"])
async def test_a_damaged_gzip_file_is_refused_and_says_so(desk: Desk, end: int | None, hole: bytes) -> None:
    whole = gzip.compress("".join(f"{n},2026-03-01,{n}.00\n" for n in range(5_000)).encode(), 1)
    damaged = whole[:200] + hole + whole[200 + len(hole) : end]
    with pytest.raises(TableUnreadable, match="gzip file is damaged"):
        await desk.bring(damaged)


# --- options -------------------------------------------------------------------------------------------------------------


async def test_wrong_options_name_every_field_and_the_nearest_that_is_right(desk: Desk) -> None:
    options = OrderImportOptions(
        map={"externalID2": "InvoiceNo", "total": "totl_gbp", "placedAt": "ordered_at"},
        set={"curency": "GBP"},
        status_map={"yes": "done"},
    )
    with pytest.raises(ImportUnreadable) as refused:
        await desk.begin(INVOICES, options)
    assert {error.pointer: error.message for error in refused.value.errors} == {
        "map/externalID2": "is not a field of an order (did you mean externalId?)",
        "map/total": "the file has no column 'totl_gbp' (did you mean total_gbp?)",
        "set/curency": "is not a field of an order (did you mean currency?)",
        "statusMap/yes": "'done' is not a status: pending, confirmed, processing, shipped, delivered, cancelled, returned",
        "map/externalId": "no column is named externalId: say which one it is",
    }
    assert await desk.ask("select count(*) from import_run where workspace_id = $1") == [(0,)]


async def test_columns_are_found_whatever_their_case_and_a_set_value_wins(desk: Desk) -> None:
    await desk.bring("EXTERNALID,PlacedAt,Total,Currency,email\n1,2026-03-01,10.00,EUR,a@mail.example\n",
                     OrderImportOptions(set={"currency": "gbp"}))  # fmt: skip
    assert await desk.orders("o.external_id, o.currency") == [("1", "GBP")]


# --- refused rows --------------------------------------------------------------------------------------------------------


async def test_bad_rows_are_refused_one_by_one_with_field_and_reason(desk: Desk) -> None:
    rows = [
        a_row("good"),
        a_row(""),
        a_row("no total", ""),
        a_row("no number", "ten"),
        a_row("infinite", "Infinity"),
        a_row("no time", placedAt="01/02/2026"),
        a_row("no date", placedAt="2026-02-30"),
        a_row("too early", placedAt="1066-10-14"),
        a_row("no status", status="lost"),
        a_row("no currency", currency="POUND"),
        a_row("no credit note", "-5.00"),
        a_row("refund", "5.00", refunded="6.00"),
        a_row("quantity", sku="A", quantity="2.5"),
        a_row("endless quantity", sku="A", quantity="1e999999999"),
        a_row("nul", note="a\0b"),
        a_row("x" * 256),
        a_row("good too", "-5.00", status="cancelled"),
    ]
    run = await desk.bring(table(*rows), chunk=4)
    assert (run.status, outcome(run)) == ("completed_with_errors", (17, 2, 0, 0, 15))
    found = await desk.refused(run)
    assert [(error.row_number, error.field, error.code) for error in found] == [
        (3, "externalId", "required"),
        (4, "total", "required"),
        (5, "total", "number"),
        (6, "total", "number"),
        (7, "placedAt", "time"),
        (8, "placedAt", "time"),
        (9, "placedAt", "range"),
        (10, "status", "choice"),
        (11, "currency", "currency"),
        (12, "total", "negative"),
        (13, "refunded", "range"),
        (14, "quantity", "number"),
        (15, "quantity", "number"),
        (16, "", "nul"),
        (17, "externalId", "length"),
    ]
    assert found[2].message == "'ten' is not an amount like 1234.56"
    assert list(found[2].cells)[:3] == ["no number", "2026-03-01T12:00:00Z", "ten"]


async def test_a_refused_order_tells_all_of_its_mistakes(desk: Desk) -> None:
    wrong = a_row(
        "", "ten", placedAt="never", status="lost", currency="POUND", refunded="5", tax="x", note="n" * 10_001
    )
    lines = [a_row("1", sku="A", quantity="many", unitPrice="?"), a_row("1", sku="B", quantity="many", unitPrice="!")]
    run = await desk.bring(
        table(wrong, *lines, a_row("2", sku="A", quantity="1"), columns=[*wrong, "sku", "quantity", "unitPrice"])
    )
    assert outcome(run) == (3, 1, 0, 0, 2)
    first, *others = await desk.refused(run)
    assert [(one.field, one.code) for one in first.mistakes] == [
        ("externalId", "required"),
        ("total", "number"),
        ("placedAt", "time"),
        ("status", "choice"),
        ("tax", "number"),
        ("note", "length"),
        ("currency", "currency"),
    ]
    assert (first.field, first.code, first.message) == ("externalId", "required", "is empty")
    # Each row of an order tells what is wrong with the order.
    told = ["'many' is not a whole number", "'?' is not an amount like 1234.56", "'!' is not an amount like 1234.56"]
    assert [[one.message for one in row.mistakes] for row in others] == [told, told]


async def test_a_row_tells_fifty_mistakes_at_most(desk: Desk) -> None:
    run = await desk.bring(table(*(a_row("1", sku="A", quantity=f"{n}.5") for n in range(60))))
    assert {len(row.mistakes) for row in await desk.refused(run)} == {50}


# --- amounts as shops write them -----------------------------------------------------------------------------------------


async def test_a_comma_before_the_decimals_is_understood_where_the_file_tells(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "SAMPLE_ROWS", 4)
    rows = [
        a_row("1", "1.234,56", shipping="5,000", sku="A", quantity="2,00", unitPrice="€ 12,50"),
        a_row("2", "12,50 €", shipping="1.000", sku="B", quantity="1", unitPrice=""),
        a_row("3", "1 234,5", shipping="", sku="C"),
        a_row("4", "1.234", shipping="0", sku="D"),
        a_row("5", "12.50", shipping="0", sku="E"),
    ]
    run = await desk.bring(table(*rows), OrderImportOptions(set={"currency": "EUR"}))
    assert outcome(run) == (5, 4, 0, 0, 1)
    assert await desk.orders("o.total, o.shipping") == [
        (Decimal("1234.5600"), Decimal("5.0000")),
        (Decimal("12.5000"), Decimal("1000.0000")),
        (Decimal("1234.5000"), None),
        (Decimal("1234.0000"), Decimal("0.0000")),
    ]
    assert await desk.ask("select quantity, unit_price from order_line where workspace_id = $1 and sku = 'A'") == [
        (2, Decimal("12.5000"))
    ]
    [wrong] = await desk.refused(run)
    assert (wrong.field, wrong.message) == ("total", "'12.50' is not an amount like 1234,56, as the file has them")


async def test_an_amount_that_can_be_two_is_refused_where_the_file_does_not_tell(desk: Desk) -> None:
    run = await desk.bring(table(a_row("1", "1,234"), a_row("2", "1.234"), a_row("3", "12")))
    assert outcome(run) == (3, 2, 0, 0, 1)
    assert await desk.orders("o.total") == [Decimal("1.2300"), Decimal("12.0000")]
    [wrong] = await desk.refused(run)
    assert (wrong.code, wrong.message) == (
        "ambiguous", "'1,234' can be two amounts, and the file does not tell which: write it like 1234.56"
    )  # fmt: skip
    other = await desk.bring(table(a_row("4", "1,234"), a_row("5", "1,234.50")))
    assert outcome(other) == (2, 2, 0, 0, 0)
    mixed = await desk.bring(table(a_row("6", "12,50"), a_row("7", "12.50"), a_row("8", "1.234")))
    assert outcome(mixed) == (3, 1, 0, 0, 2)
    assert {row.code for row in await desk.refused(mixed)} == {"ambiguous"}


async def test_an_amount_in_another_currency_than_its_order_is_refused(desk: Desk) -> None:
    run = await desk.bring(table(a_row("1", "€12,50"), a_row("2", "£12,50"), a_row("3", "$12,50", currency="CAD")))
    assert outcome(run) == (3, 2, 0, 0, 1)
    [wrong] = await desk.refused(run)
    assert (wrong.field, wrong.code) == ("total", "currency")
    assert wrong.message == "'€12,50' is not in GBP, the currency of the order"


async def test_how_amounts_are_written_is_told_by_the_first_rows_also_when_a_run_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "SAMPLE_ROWS", 3)
    rows = [a_row("0", "1,50"), *(a_row(str(n), "1,234") for n in range(1, 6))]
    id = await desk.begin(table(*rows))
    with pytest.raises(Crash):
        await desk.go_on(id, chunk=2, progress=crash_after(1))
    run = await desk.go_on(id, chunk=2)
    assert outcome(run) == (6, 6, 0, 0, 0)
    assert set(await desk.orders("o.total")) == {Decimal("1.5000"), Decimal("1.2300")}
    late = await desk.bring(table(*(a_row(f"late{n}", total) for n, total in enumerate(["1", "2", "3", "1,50"]))))
    assert outcome(late) == (4, 3, 0, 0, 1)


async def test_what_nobody_understands_of_an_order_is_kept_and_told(desk: Desk) -> None:
    rows = [
        a_row("1", country="Ruritania", phone="12", sku="A"),
        a_row("1", country="Ruritania", phone="12", sku="B"),
        a_row("2", country="Deutschland", phone="030 1234567", sku="A"),
        a_row("3", country="DE", phone="12", total="ten", sku="A"),
    ]
    run = await desk.bring(table(*rows))
    assert (outcome(run), run.doubtful) == ((3, 2, 0, 0, 1), 1)
    assert await desk.orders("o.shipping_address ->> 'country', o.phone") == [
        ("Ruritania", "12"),
        ("DE", "030 1234567"),
    ]
    async with desk.db.reader(desk.shop.id) as reader:
        [told] = await queries.errors(reader, run.id, is_taken=True)
    assert (told.row_number, [one.message for one in told.mistakes]) == (
        2,
        [
            "'Ruritania' is no country that we know; it is kept as it is",
            "'12' cannot be a phone number; it is kept as it is",
        ],
    )
    assert [row.row_number for row in await desk.refused(run)] == [5]


async def test_an_order_is_refused_with_all_its_rows(desk: Desk) -> None:
    run = await desk.bring(
        table(
            a_row("1", sku="A", quantity="1"),
            a_row("1", sku="B", quantity="many"),
            a_row("2", sku="A", quantity="1"),
        )
    )
    assert outcome(run) == (2, 1, 0, 0, 1)
    assert [(e.row_number, e.field, list(e.cells)[4:]) for e in await desk.refused(run)] == [
        (2, "quantity", ["A", "1"]),
        (3, "quantity", ["B", "many"]),
    ]


# --- cut short -----------------------------------------------------------------------------------------------------------


class Crash(OSError):
    """As when the connection is lost."""


def crash_after(chunks: int) -> Any:
    left = chunks

    def progress(run: ImportRun) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Crash

    return progress


@pytest.mark.parametrize("after", [1, 2, 3, 5])
async def test_a_run_that_was_cut_short_goes_on_where_it_stood(desk: Desk, after: int) -> None:
    rows = [a_row(str(n)) for n in range(10)]
    rows[3] |= {"total": "bad"}
    content = table(*rows)
    id = await desk.begin(content)
    with pytest.raises(Crash):
        await desk.go_on(id, chunk=2, progress=crash_after(after))
    assert await desk.ask("select status, done from import_run where workspace_id = $1") == [("running", 2 * after)]
    async with desk.db.reader(desk.shop.id) as reader:
        facts = tables.facts(desk.file)
        assert await queries.unfinished(reader, "orders", facts.sha256, json_bytes(PLAIN)) == id
        other = json_bytes(OrderImportOptions(source="ETSY"))
        assert await queries.unfinished(reader, "orders", facts.sha256, other) is None
    run = await desk.go_on(id, chunk=2)
    assert (run.status, outcome(run), run.customers_created) == ("completed_with_errors", (10, 9, 0, 0, 1), 9)
    assert len(await desk.orders("o.id")) == 9
    assert [error.row_number for error in await desk.refused(run)] == [5]
    async with desk.db.reader(desk.shop.id) as reader:
        assert await queries.unfinished(reader, "orders", facts.sha256, json_bytes(PLAIN)) is None


async def test_a_cancelled_import_keeps_whole_chunks_and_can_be_resumed(desk: Desk) -> None:
    id = await desk.begin(table(*(a_row(str(n)) for n in range(10))))
    loop = asyncio.get_running_loop()
    cancelled: list[asyncio.Task[None]] = []

    async def cancel() -> None:
        async with desk.db.tx(desk.shop.id) as tx:
            await commands.cancel(tx, id)

    def progress(run: ImportRun) -> None:
        if not cancelled:
            cancelled.append(loop.create_task(cancel()))

    run = await desk.go_on(id, chunk=1, progress=progress)
    await cancelled[0]
    assert run.status == "cancelled"
    assert 1 <= run.done < 10
    assert len(await desk.orders("o.id")) == run.done
    assert (await desk.go_on(id)).status == "cancelled"
    async with desk.db.tx(desk.shop.id) as tx:
        await commands.requeue(tx, id)
    assert outcome(await desk.go_on(id)) == (10, 10, 0, 0, 0)


async def test_of_two_runners_of_one_import_one_gives_way_and_nothing_is_lost(desk: Desk) -> None:
    id = await desk.begin(table(*(a_row(str(n)) for n in range(40))))
    ends = await asyncio.gather(*(desk.go_on(id, chunk=2) for _ in range(2)), return_exceptions=True)
    assert all(isinstance(end, ImportRun | ImportMoved) for end in ends), ends
    run = await desk.go_on(id)
    assert (run.status, outcome(run)) == ("completed", (40, 40, 0, 0, 0))
    assert len(await desk.orders("o.id")) == 40


async def test_a_run_that_breaks_says_where_and_nothing_of_its_rows(desk: Desk) -> None:
    id = await desk.begin(table(*(a_row(str(n)) for n in range(4))))

    def progress(run: ImportRun) -> None:
        raise ValueError(f"secret {run.id}")

    with pytest.raises(ValueError, match="secret"):
        await desk.go_on(id, chunk=2, progress=progress)
    assert await desk.ask("select status, error, finished_at is not null from import_run where workspace_id = $1") == [
        ("failed", "Something went wrong on our side behind row 0: ValueError.", True)
    ]
    assert outcome(await desk.go_on(id)) == (4, 4, 0, 0, 0)


async def test_statistics_that_cannot_be_refreshed_stop_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "LEARN", "select 1 / 0")
    assert outcome(await desk.bring(table(a_row()))) == (1, 1, 0, 0, 0)


async def test_an_order_has_a_thousand_lines_at_most(desk: Desk) -> None:
    rows = [a_row("long", sku=f"S{n}") for n in range(1_500)] + [a_row("short", sku="S")]
    run = await desk.bring(table(*rows))
    assert outcome(run) == (2, 1, 0, 0, 1)
    found = await desk.refused(run)
    assert (len(found), found[0].field, found[0].message) == (1_001, "lines", "has more than 1,000 rows")
    assert (found[-2].row_number, found[-1].row_number) == (1_001, 1_501)


async def test_a_file_that_ends_in_damage_fails_with_its_good_chunks_kept(desk: Desk) -> None:
    # An undefined byte of Windows-1252: the file is in no encoding that we know.
    rows = [a_row(str(n), note="x" * 2_000) for n in range(20)]
    id = await desk.begin(table(*rows).encode() + b"\xe9\x81,2026-03-01,10.00,a@mail.example\n")
    with pytest.raises(TableUnreadable, match="is no text in Windows-1252: save the file as UTF-8"):
        await desk.go_on(id, chunk=2)
    [(status, error, done)] = await desk.ask("select status, error, done from import_run where workspace_id = $1")
    assert status == "failed"
    assert error.endswith("save the file as UTF-8.")
    assert done == len(await desk.orders("o.id")) > 0
