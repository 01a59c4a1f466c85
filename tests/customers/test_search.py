"""Search as people type it: names of the world, phones as they are dialled, exact addresses; with every filter and sort."""

import asyncio
from decimal import Decimal
from itertools import product
from typing import Any

import httpx
import pytest

from supover.kit.db import Database
from tests.makers import Json, Workspace, make_customer, make_order, settle, told


async def found(api: httpx.AsyncClient, search: str, **asked: Any) -> set[str | None]:
    """The names that a search finds."""
    page = told(await api.get("/api/customers", params={"search": search, "limit": 200, **asked}))
    return {c["name"] for c in page["data"]}


async def pages(api: httpx.AsyncClient, **asked: Any) -> list[Json]:
    """Every row of every page of a list."""
    rows: list[Json] = []
    while True:
        page = told(await api.get("/api/customers", params=asked))
        rows += page["data"]
        if page["nextCursor"] is None:
            return rows
        asked["cursor"] = page["nextCursor"]


# --- names -----------------------------------------------------------------------------------------------------------

NAMES = (
    "Nguyễn Văn Anh",
    "Trần Thị Đào",
    "Đặng Hữu Phước",
    "山田 太郎",
    "ヤマダ タロウ",
    "たなか さくら",
    "王芳",
    "김민준",
    "İbrahim Işık",
    "Jürgen Großmann",
    "Søren Ærø",
    "François-René O’Brien",
    "Zoë D'Souza",
    "Ｊｏｈｎ Ｄｏｅ",
    "Ольга Йовович",
    "Γιώργος Παπαδόπουλος",
    "ΕΛΕΝΗ ΠΑΠΑΔΟΠΟΥΛΟΣ",
    "محمد الفارسی",
    "María José Peña",
)


FOUND: tuple[tuple[str, set[str]], ...] = (
    ("nguyen", {"Nguyễn Văn Anh"}),
    ("ΠΑΠΑΔΟΠΟΥΛΟΣ", {"Γιώργος Παπαδόπουλος", "ΕΛΕΝΗ ΠΑΠΑΔΟΠΟΥΛΟΣ"}),
    ("παπαδόπουλος", {"Γιώργος Παπαδόπουλος", "ΕΛΕΝΗ ΠΑΠΑΔΟΠΟΥΛΟΣ"}),
    ("NGUYỄN", {"Nguyễn Văn Anh"}),
    ("Nguye\u0302\u0303n", {"Nguyễn Văn Anh"}),
    ("van anh", {"Nguyễn Văn Anh"}),
    ("anh nguyen", {"Nguyễn Văn Anh"}),
    ("dao", {"Trần Thị Đào"}),
    ("Đao", {"Trần Thị Đào"}),
    ("dang", {"Đặng Hữu Phước"}),
    ("phuoc", {"Đặng Hữu Phước"}),
    ("山田", {"山田 太郎"}),
    ("田", set[str]()),
    ("太", {"山田 太郎"}),
    ("山田 太郎", {"山田 太郎"}),
    ("ヤマダ", {"ヤマダ タロウ"}),
    ("ロウ", set[str]()),
    ("さくら", {"たなか さくら"}),
    ("王", {"王芳"}),
    ("王芳", {"王芳"}),
    ("김민준", {"김민준"}),
    ("김", {"김민준"}),
    ("ibrahim", {"İbrahim Işık"}),
    ("İBRAHİM", {"İbrahim Işık"}),
    ("isik", {"İbrahim Işık"}),
    ("IŞIK", {"İbrahim Işık"}),
    ("grossmann", {"Jürgen Großmann"}),
    ("GROẞMANN", {"Jürgen Großmann"}),
    ("großm", {"Jürgen Großmann"}),
    ("soren", {"Søren Ærø"}),
    ("aero", {"Søren Ærø"}),
    ("francois-rene", {"François-René O’Brien"}),
    ("o'brien", {"François-René O’Brien"}),
    ("o’brien", {"François-René O’Brien"}),
    ("d’souza", {"Zoë D'Souza"}),
    ("john doe", {"Ｊｏｈｎ Ｄｏｅ"}),
    ("ＪＯＨＮ", {"Ｊｏｈｎ Ｄｏｅ"}),
    ("ольга", {"Ольга Йовович"}),
    ("ОЛЬГА", {"Ольга Йовович"}),
    ("γιωργος", {"Γιώργος Παπαδόπουλος"}),
    ("ΠΑΠΑΔΌΠΟΥΛΟ", {"Γιώργος Παπαδόπουλος", "ΕΛΕΝΗ ΠΑΠΑΔΟΠΟΥΛΟΣ"}),
    ("محمد", {"محمد الفارسی"}),
    ("pena maria", {"María José Peña"}),
    ('"maria jose pena"', {"María José Peña"}),
    ('"maria jose"', set[str]()),
    ("ñ", {"Nguyễn Văn Anh"}),
)


async def test_names_of_the_world_are_found(api: httpx.AsyncClient) -> None:
    for name in NAMES:
        await make_customer(api, name=name)
    for search, who in FOUND:
        assert await found(api, search) == who, search


# --- phones ----------------------------------------------------------------------------------------------------------


DIALLED: tuple[tuple[str, set[str]], ...] = (
    ("020 7946 0018", {"Ann"}),
    ("02079460018", {"Ann"}),
    ("+44 20 7946 0018", {"Ann"}),
    ("+442079460018", {"Ann"}),
    ("0044 20 7946 0018", {"Ann"}),
    ("+44 (0)20 7946 0018", {"Ann"}),
    ("020-7946-0018", {"Ann"}),
    ("7946 0018", {"Ann"}),
    ("79460018", {"Ann"}),
    ("7946", {"Ann"}),
    ("0018", {"Ann"}),
    ("0912 345 678", {"Minh"}),
    ("0912345678", {"Minh"}),
    ("+84 912 345 678", {"Minh"}),
    ("84912345678", {"Minh"}),
    ("912 345 678", {"Minh"}),
    ("0084912345678", {"Minh"}),
    ("03-1234-5678", {"Taro"}),
    ("+81 3 1234 5678", {"Taro"}),
    ("０３－１２３４－５６７８", {"Taro"}),
    ("345678", {"Minh", "Taro"}),
    ("5678", {"Minh", "Taro"}),
    ("+49 151", set[str]()),
)


async def test_phones_are_found_however_they_are_dialled(api: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann", phone="+44 20 7946 0018")
    await make_customer(api, name="Minh", phone="0912 345 678", country="VN")
    await make_customer(api, name="Taro", phone="03 1234 5678", country="JP")
    for search, who in DIALLED:
        assert await found(api, search) == who, search


async def test_the_exact_number_is_found_in_either_form(api: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann", phone="020 7946 0018", country="GB")
    await make_customer(api, name="Bo", phone="020 7946 00180", country="GB")
    for phone in (
        "020 7946 0018",
        "+442079460018",
        "+44 20-7946-0018",
        "442079460018",
        "(020) 7946.0018",
        "00442079460018",
        "+44 (0)20 7946 0018",
    ):
        page = told(await api.get("/api/customers", params={"phone": phone}))
        assert [c["name"] for c in page["data"]] == ["Ann"], phone


# --- exact -----------------------------------------------------------------------------------------------------------


async def test_the_exact_email_is_one_customers(api: httpx.AsyncClient) -> None:
    for email in (
        "ann@x.org",
        "joann@x.org",
        "ann@x.org.uk",
        "ann-lee@x.org",
        "a.nn@x.org",
        "ann_@x.org",
        "annX@x.org",
    ):
        await make_customer(api, name=email, email=email)
    for asked in ({"email": "ANN@x.org"}, {"search": '"ann@x.org"'}, {"search": '"ann@x.org"', "email": "ann@x.org"}):
        page = told(await api.get("/api/customers", params=asked))
        assert [c["name"] for c in page["data"]] == ["ann@x.org"], asked
    assert await found(api, "ann_@x.org") == {"ann_@x.org"}, "an underscore is itself"
    assert await found(api, "ann@x.org") == {"ann@x.org", "joann@x.org", "ann@x.org.uk"}
    assert told(await api.get("/api/customers", params={"email": "ann@x"}))["data"] == []


async def test_an_external_id_is_exact_within_its_source(api: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann", source="ETSY", external_id="77")
    await make_customer(api, name="Bo", source="SHOPIFY", external_id="77")
    await make_customer(api, name="Cleo", source="SHOPIFY", external_id="177")
    for asked, who in (
        ({"externalId": "77"}, {"Ann", "Bo"}),
        ({"externalId": "77", "source": "SHOPIFY"}, {"Bo"}),
        ({"externalId": "77", "source": ["SHOPIFY", "ETSY"]}, {"Ann", "Bo"}),
        ({"externalId": "77", "source": "AMAZON"}, set[str]()),
        ({"externalId": "7"}, set[str]()),
    ):
        page = told(await api.get("/api/customers", params=asked))
        assert {c["name"] for c in page["data"]} == who, asked


async def test_a_term_that_is_a_pattern_elsewhere_means_itself(api: httpx.AsyncClient) -> None:
    odd = ("100% Wool", "a_b", "back\\slash", "star*", "q?", "[x]", "{y}", "a|b", "^top", "$5", "per%cent_under\\all")
    for name in (*odd, "1000 Wool", "axb", "backslash", "starfish", "pert"):
        await make_customer(api, name=name)
    for search, who in (
        ("100%", {"100% Wool"}),
        ("a_b", {"a_b"}),
        ("k\\s", {"back\\slash"}),
        ("star*", {"star*"}),
        ("q?", {"q?"}),
        ("[x]", {"[x]"}),
        ("{y}", {"{y}"}),
        ("a|b", {"a|b"}),
        ("^to", {"^top"}),
        ("$5", {"$5"}),
        ("%cent_", {"per%cent_under\\all"}),
        ('"per%cent_under\\all"', {"per%cent_under\\all"}),
        ("%%%", set[str]()),
        ("___", set[str]()),
        ("\\\\", set[str]()),
    ):
        assert await found(api, search) == who, search


# --- together --------------------------------------------------------------------------------------------------------

SORTS = (
    "name", "email", "createdAt", "updatedAt", "totalSpent", "orderCount", "averageOrderValue", "lifetimeValue", "lastOrderDate",
)  # fmt: skip
FILTERS: tuple[Json, ...] = (
    {},
    {"search": "ann"},
    {"search": "an"},
    {"search": "ann x.org", "tag": "all"},
    {"status": ["VIP", "ACTIVE"], "country": "GB"},
    {"source": "ETSY", "isRepeat": "true"},
    {"minSpent": "2", "maxSpent": "9", "search": "a"},
    {"minOrders": "1", "createdFrom": "2020-01-01", "createdTo": "2999-01-01", "tag": ["even", "all"]},
)


async def shopful(api: httpx.AsyncClient, db: Database, shop: Workspace) -> list[Json]:
    """Twenty-four customers that differ in everything."""
    made = [
        await make_customer(
            api,
            name=None if n % 7 == 6 else f"{('Ann', 'Änne', 'Bo')[n % 3]} {n % 5}",
            email=None if n % 4 == 3 else f"n{n}@{'x.org' if n % 2 else 'y.org'}",
            phone=f"+1415555{n:04}",
            country=("GB", "DE")[n % 2],
            source=("ETSY", "SHOPIFY", "MANUAL")[n % 3],
            status=("ACTIVE", "VIP", "BLOCKED", "INACTIVE")[n % 4],
            tags=["all"] + (["even"] if n % 2 == 0 else []),
        )
        for n in range(24)
    ]
    for n, customer in enumerate(made):
        for m in range(n % 4):
            await make_order(
                api, customer, total=str(1 + (n * m) % 5), status="delivered" if m else "confirmed",
                placed_at=f"2026-01-{1 + (n + m) % 9:02}T00:00:00Z",
            )  # fmt: skip
    await settle(db, shop)
    return told(await api.get("/api/customers", params={"limit": 200, "include": "deleted"}))["data"]


def fits(c: Json, asked: Json) -> bool:
    """What the filters say, said once more in Python."""
    folded = f" {c['name'] or ''} {c['email'] or ''} ".replace("Ä", "a").lower()
    for term in asked.get("search", "").split():
        if (f" {term}" if len(term) <= 2 else term) not in folded:
            return False
    tags = asked.get("tag", [])
    return (
        set([tags] if isinstance(tags, str) else tags) <= set(c["tags"])
        and c["status"] in asked.get("status", [c["status"]])
        and c["country"] == asked.get("country", c["country"])
        and c["source"] == asked.get("source", c["source"])
        and ("isRepeat" not in asked or c["isRepeatCustomer"])
        and Decimal(c["totalSpent"]) >= Decimal(asked.get("minSpent", "-1"))
        and Decimal(c["totalSpent"]) <= Decimal(asked.get("maxSpent", "999"))
        and c["orderCount"] >= int(asked.get("minOrders", "0"))
    )


async def test_every_filter_and_sort_go_together_page_by_page(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    everybody = await shopful(api, db, shop)
    for asked, sort in product(FILTERS, SORTS):
        who = {c["id"] for c in everybody if fits(c, asked)}
        assert asked == {} or 0 < len(who) < len(everybody), asked
        up = [c["id"] for c in await pages(api, **asked, sort=sort, limit=5)]
        assert len(up) == len(set(up)), (asked, sort)
        assert set(up) == who, (asked, sort)
        down = [c["id"] for c in await pages(api, **asked, sort=f"-{sort}", limit=7)]
        assert down == up[::-1], (asked, sort)
        numbered = [
            c["id"]
            for page in range(1, 6)
            for c in told(
                await api.get(
                    "/api/customers", params={**asked, "sort": sort, "limit": 5, "page": page, "count": "true"}
                )
            )["data"]
        ]
        assert numbered == up[:25], (asked, sort)
        answer = await api.get("/api/customers", params={**asked, "sort": sort, "limit": 5, "count": "true"})
        assert told(answer)["total"] == len(who)
        assert ("link" in answer.headers) is (len(who) > 5)


async def test_a_numbered_page_ends_where_keysets_go_on(api: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann")
    assert told(await api.get("/api/customers", params={"limit": 200, "page": 50}))["data"] == []
    assert (await api.get("/api/customers", params={"limit": 200, "page": 51})).status_code == 422
    assert told(await api.get("/api/customers", params={"limit": 1, "page": 10_000}))["data"] == []
    assert (await api.get("/api/customers", params={"limit": 1, "page": 10_001})).status_code == 422


@pytest.mark.parametrize("asked", [{}, {"search": "ann"}, {"tag": "all"}], ids=["all", "search", "tag"])
@pytest.mark.parametrize("sort", ["createdAt", "name", "-totalSpent"])
async def test_while_others_write_nobody_is_shown_twice_or_left_out(
    api: httpx.AsyncClient, db: Database, shop: Workspace, asked: Json, sort: str
) -> None:
    """Nobody who was there all the while and whose sort key did not change, that is."""
    people = [await make_customer(api, name=f"Ann {n % 4}", tags=["all"]) for n in range(30)]
    steady, leaving = people[::2], people[1::2]
    stop = asyncio.Event()

    async def write() -> None:
        for n in range(1000):
            if stop.is_set():
                return
            await make_customer(api, name=f"Ann {n % 7}", tags=["all"])
            if leaving:
                await api.delete(f"/api/customers/{leaving.pop()['id']}")
            await api.patch(f"/api/customers/{steady[n % len(steady)]['id']}", json={"customFields": {"n": n}})

    writing = asyncio.ensure_future(write())
    try:
        for _ in range(3):
            seen = [c["id"] for c in await pages(api, **asked, sort=sort, limit=3)]
            assert len(seen) == len(set(seen))
            assert {c["id"] for c in steady} <= set(seen)
    finally:
        stop.set()
        await writing
