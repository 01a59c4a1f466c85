"""Lists over HTTP: searched, narrowed, sorted, paged."""

from typing import Any

import httpx
import pytest

from supover.kit.db import Database
from tests.makers import (
    Json,
    Workspace,
    client,
    make_address,
    make_customer,
    make_order,
    make_workspace,
    pointers,
    settle,
    told,
)


async def names(api: httpx.AsyncClient, **asked: Any) -> list[str | None]:
    """The names on the first page, in order."""
    return [c["name"] for c in told(await api.get("/api/customers", params=asked))["data"]]


async def found(api: httpx.AsyncClient, search: str) -> set[str | None]:
    """The names that a search finds."""
    return set(await names(api, search=search, limit=200))


async def all_of(api: httpx.AsyncClient, **asked: Any) -> list[Json]:
    """Every page of a list, one after the other."""
    rows: list[Json] = []
    cursor: str | None = None
    for _ in range(100):
        page = told(await api.get("/api/customers", params=asked | ({"cursor": cursor} if cursor else {})))
        assert len(page["data"]) <= asked.get("limit", 25)
        rows += page["data"]
        cursor = page["nextCursor"]
        if cursor is None:
            return rows
    raise AssertionError("the list does not end")


# --- search ----------------------------------------------------------------------------------------------------------


async def test_search_finds_any_part_of_name_email_phone_and_external_id(api: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann Lee", email="ann.lee@example.com")
    await make_customer(api, name="Bo Chang", phone="+1 (415) 555-2671", country="US")
    await make_customer(api, name="Cleo", source="SHOPIFY", external_id="gid://shopify/Customer/9917")
    for search, who in (
        ("ann", {"Ann Lee"}),
        ("LEE", {"Ann Lee"}),
        ("EXAMPLE.com", {"Ann Lee"}),
        ("n.lee@ex", {"Ann Lee"}),
        ("hang", {"Bo Chang"}),
        ("555-2671", {"Bo Chang"}),
        ("5552671", {"Bo Chang"}),
        ("4155552671", {"Bo Chang"}),
        ("+14155552671", {"Bo Chang"}),
        ("+1 415 555 2671", {"Bo Chang"}),
        ("(415) 555 26 71", {"Bo Chang"}),
        ("001 415 555 2671", {"Bo Chang"}),
        ("customer/9917", {"Cleo"}),
        ("9917", {"Cleo"}),
        ("zzz", set[str]()),
        ("", {"Ann Lee", "Bo Chang", "Cleo"}),
    ):
        assert await found(api, search) == who, search
    assert await names(api, q="cleo") == ["Cleo"]


async def test_every_word_must_be_found(api: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann Lee", email="a@example.com")
    await make_customer(api, name="Ann Chang", email="b@example.com")
    assert await found(api, "chang ann") == {"Ann Chang"}
    assert await found(api, "example lee") == {"Ann Lee"}
    assert await found(api, "lee chang") == set()


async def test_one_or_two_letters_begin_a_word(api: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann Lee")
    await make_customer(api, name="Joanna Li")
    await make_customer(api, name="王芳")
    assert await found(api, "an") == {"Ann Lee"}
    assert await found(api, "l") == {"Ann Lee", "Joanna Li"}
    assert await found(api, "le") == {"Ann Lee"}
    assert await found(api, "王") == {"王芳"}
    assert await found(api, "ann") == {"Ann Lee", "Joanna Li"}


async def test_accents_do_not_matter_either_way(api: httpx.AsyncClient) -> None:
    await make_customer(api, name="Zoë Müller-Đặng", email="zoë@müller.de")
    await make_customer(api, name="Straße Łódź")
    for search in ("zoe", "ZOË", "muller", "MÜLLER", "dang", "zoe@m"):
        assert await found(api, search) == {"Zoë Müller-Đặng"}, search
    for search in ("strasse", "straße", "lodz", "ŁÓDŹ"):
        assert await found(api, search) == {"Straße Łódź"}, search


async def test_quotes_ask_for_the_whole_value(api: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann Lee", email="ann@x.org", phone="+14155552671", source="ETSY", external_id="77")
    await make_customer(
        api, name="Ann Leed", email="joann@x.org", phone="+141555526712", source="ETSY", external_id="177"
    )
    for search in ('"ann lee"', '"Ann@X.org"', '"+1 415 555-2671"', '"77"', '"ANN LEE" ann@x'):
        assert await found(api, search) == {"Ann Lee"}, search
    for search in ('"ann"', '"x.org"', '"555"', '"7"'):
        assert await found(api, search) == set(), search
    assert await found(api, '"ann lee') == {"Ann Lee", "Ann Leed"}, "a quote that is not closed quotes nothing"
    assert await found(api, '""') == {"Ann Lee", "Ann Leed"}


async def test_an_order_is_found_by_its_number_or_how_it_begins(api: httpx.AsyncClient) -> None:
    ann, bo = await make_customer(api, name="Ann"), await make_customer(api, name="Bo")
    await make_order(api, ann, number="#1001", external_id="a", source="SHOPIFY")
    await make_order(api, ann, number="#1002", external_id="b", source="SHOPIFY")
    await make_order(api, bo, number="EX-10010", external_id="c", source="SHOPIFY")
    await make_order(api, bo, number="100%_7", external_id="d", source="SHOPIFY")
    for search, who in (
        ("#1001", {"Ann"}),
        ("1001", {"Ann"}),
        ("100", {"Ann", "Bo"}),
        ("ex-100", {"Bo"}),
        ("EX-10010", {"Bo"}),
        ("10010", set[str]()),
        ('"1001"', {"Ann"}),
        ('"#1001"', {"Ann"}),
        ('"100"', set[str]()),
        ("100%_", {"Bo"}),
        ("100__", set[str]()),
        ("1001 ann", {"Ann"}),
        ("1001 bo", set[str]()),
    ):
        assert await found(api, search) == who, search


async def test_a_pattern_means_itself(api: httpx.AsyncClient) -> None:
    await make_customer(api, name="100% Ann_Lee \\ co")
    await make_customer(api, name="100 AnnXLee")
    for search in ("100%", "n_l", "\\ co", "\\"):
        assert await found(api, search) == {"100% Ann_Lee \\ co"}, search


async def test_a_search_has_its_bounds(api: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann")
    assert pointers(await api.get("/api/customers", params={"search": "x" * 201})) == ["search"]
    assert pointers(await api.get("/api/customers", params={"search": "a " * 11})) == ["search"]
    assert await found(api, "\u0301") == {"Ann"}, "nothing is left of it to look for"
    for odd in ("'", "''", ";--", "$1", "{}", "{0}", "\u202e", "(", "*", "[a-z]", "a\tb", "\U0001f600"):
        assert await found(api, odd) == set() or odd == "\u202e", odd


async def test_a_search_ends_at_the_fence(api: httpx.AsyncClient, db: Database) -> None:
    ann = await make_customer(api, name="Ann Lee")
    await make_order(api, ann, number="#1001", external_id="a", source="SHOPIFY")
    async with client(db, (await make_workspace(db)).key) as stranger:
        for search in ("ann", "#1001", '"ann lee"', ""):
            assert await found(stranger, search) == set()


# --- filters ---------------------------------------------------------------------------------------------------------


async def test_filters_narrow_and_join(api: httpx.AsyncClient) -> None:
    await make_customer(
        api,
        name="Ann",
        email="Ann@X.org",
        phone="020 7946 0018",
        country="GB",
        tags=["vip", "eu"],
        source="ETSY",
        external_id="7",
    )
    await make_customer(api, name="Bo", email="bo@x.org", country="DE", tags=["eu"], status="VIP", source="SHOPIFY")
    await make_customer(api, name="Cleo", status="BLOCKED", tags=["VIP"], source="MANUAL", country="Atlantis")
    for asked, who in (
        ({"email": "ANN@x.ORG"}, ["Ann"]),
        ({"email": "ann"}, []),
        ({"phone": "020 7946 0018"}, ["Ann"]),
        ({"phone": "+442079460018"}, ["Ann"]),
        ({"phone": "7946"}, []),
        ({"externalId": "7"}, ["Ann"]),
        ({"externalId": "77"}, []),
        ({"status": "VIP"}, ["Bo"]),
        ({"status": ["VIP", "BLOCKED"]}, ["Cleo", "Bo"]),
        ({"source": ["ETSY", "SHOPIFY"]}, ["Bo", "Ann"]),
        ({"tag": "eu"}, ["Bo", "Ann"]),
        ({"tag": ["eu", "vip"]}, ["Ann"]),
        ({"tag": "none"}, []),
        ({"country": "gb"}, ["Ann"]),
        ({"country": "Germany"}, ["Bo"]),
        ({"country": "atlantis"}, ["Cleo"]),
        ({"country": "GB", "search": "ann", "tag": "vip", "email": "ann@x.org"}, ["Ann"]),
        ({"country": "DE", "search": "ann"}, []),
        ({"email": "", "search": "", "country": ""}, ["Cleo", "Bo", "Ann"]),
    ):
        assert await names(api, **asked) == who, asked
        assert told(await api.get("/api/customers", params=asked | {"count": "true"}))["total"] == len(who), asked


async def test_figures_narrow_and_sort(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    people = [await make_customer(api, name=name) for name in ("Ann", "Bo", "Cleo", "Dee")]
    for who, totals, day in ((0, ("5.00", "5.00"), 3), (1, ("100.00",), 9), (2, ("1.00", "1.00", "1.00"), 6)):
        for n, total in enumerate(totals):
            await make_order(
                api,
                people[who],
                total=total,
                status="delivered" if n < 2 else "confirmed",
                placed_at=f"2026-01-{day + n:02}T00:00:00Z",
            )
    gone = await make_customer(api, name="Eve")
    await make_order(api, gone, total="100.00", status="delivered")
    await settle(db, shop)
    assert (await api.delete(f"/api/customers/{gone['id']}")).status_code == 204
    for asked, who in (
        ({"minSpent": "10"}, ["Bo", "Ann"]),
        ({"minSpent": "3.01", "maxSpent": "10.00"}, ["Ann"]),
        ({"maxSpent": "0"}, ["Dee"]),
        ({"minOrders": "2"}, ["Cleo", "Ann"]),
        ({"minOrders": "0"}, ["Dee", "Cleo", "Bo", "Ann"]),
        ({"isRepeat": "true"}, ["Cleo", "Ann"]),
        ({"isRepeat": "false"}, ["Dee", "Bo"]),
        ({"sort": "totalSpent"}, ["Dee", "Cleo", "Ann", "Bo"]),
        ({"sort": "-totalSpent"}, ["Bo", "Ann", "Cleo", "Dee"]),
        ({"sort": "-orderCount"}, ["Cleo", "Ann", "Bo", "Dee"]),
        ({"sort": "-averageOrderValue"}, ["Bo", "Ann", "Cleo", "Dee"]),
        ({"sort": "-lifetimeValue"}, ["Bo", "Ann", "Cleo", "Dee"]),
        ({"sort": "-lastOrderDate"}, ["Bo", "Cleo", "Ann", "Dee"]),
        ({"sort": "lastOrderDate"}, ["Dee", "Ann", "Cleo", "Bo"]),
        ({"sort": "-totalSpent", "isRepeat": "true", "search": "ann"}, ["Ann"]),
    ):
        assert await names(api, **asked) == who, asked
        assert told(await api.get("/api/customers", params=asked | {"count": "true"}))["total"] == len(who), asked


async def test_dates_are_days_of_the_workspaces_zone(db: Database) -> None:
    shop = await make_workspace(db, timezone="Asia/Tokyo")
    async with client(db, shop.key) as api:
        await make_customer(api, name="Ann")
        async with db.tx(shop.id) as tx:
            # Half past midnight of 1 May in Tokyo.
            await tx.run("update customer set created_at = '2026-04-30T15:30:00Z' where workspace_id = $1")
        for asked, is_there in (
            ({"createdFrom": "2026-05-01"}, True),
            ({"createdFrom": "2026-05-02"}, False),
            ({"createdTo": "2026-05-01"}, True),
            ({"createdTo": "2026-04-30"}, False),
            ({"createdFrom": "2026-05-01T00:30:00"}, True),
            ({"createdFrom": "2026-05-01T00:30:01"}, False),
            ({"createdTo": "2026-05-01T00:30:00"}, False),
            ({"createdFrom": "2026-04-30T15:30:00Z", "createdTo": "2026-04-30T15:30:01Z"}, True),
            ({"createdFrom": "2026-04-30T17:30:00+02:00"}, True),
            ({"createdFrom": "2026-04-30T17:30:01 02:00"}, False),
        ):
            assert await names(api, **asked) == (["Ann"] if is_there else []), asked
        for wrong in (
            "yesterday",
            "2026-13-01",
            "2026-02-30",
            "0001-01-01",
            "9999-12-31T23:59:59-14:00",
            "2026-05-01T25:00",
        ):
            assert pointers(await api.get("/api/customers", params={"createdFrom": wrong})) == ["createdFrom"], wrong


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "ASLEEP"),
        ("minSpent", "much"),
        ("minSpent", "NaN"),
        ("maxSpent", "1e30"),
        ("minOrders", "-1"),
        ("minOrders", "many"),
        ("minOrders", "99999999999"),
        ("isRepeat", "perhaps"),
        ("phone", "none"),
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "x"),
        ("sort", "secret"),
        ("sort", "-"),
        ("sort", "name;drop"),
        ("include", "everything"),
        ("page", "0"),
        ("page", "401"),
        ("count", "x"),
    ],
)
async def test_a_parameter_that_cannot_be_taken_is_named(api: httpx.AsyncClient, name: str, value: str) -> None:
    assert pointers(await api.get("/api/customers", params={name: value})) == [name]


async def test_a_misspelt_filter_is_refused_and_the_nearest_is_named(api: httpx.AsyncClient) -> None:
    problem = told(await api.get("/api/customers", params={"minSpend": "10"}), 422)
    assert problem["errors"] == [
        {
            "pointer": "minSpend",
            "code": "unknown",
            "message": "is not a parameter here; did you mean 'minSpent'?",
        }
    ]
    assert pointers(await api.get("/api/customers", params={"workspaceId": "x"})) == ["workspaceId"]


async def test_the_list_names_every_parameter_that_it_takes(api: httpx.AsyncClient) -> None:
    document = told(await api.get("/docs/openapi.json"))
    operation = document["paths"]["/api/customers"]["get"]
    for parameter in operation["parameters"]:
        if parameter["in"] == "query":
            answer = await api.get("/api/customers", params={parameter["name"]: "?"})
            assert "is not a parameter" not in answer.text, parameter["name"]


# --- sorts and pages -------------------------------------------------------------------------------------------------

SORTS = (
    "name",
    "email",
    "createdAt",
    "updatedAt",
    "totalSpent",
    "orderCount",
    "averageOrderValue",
    "lifetimeValue",
    "lastOrderDate",
)


async def test_every_sort_pages_through_everybody_once_both_ways(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    people = [
        await make_customer(
            api,
            name=None if n % 3 == 0 else f"Name {n % 4}",
            email=None if n % 2 else f"e{n}@x.org",
            phone=f"+1415555{n:04}",
        )
        for n in range(17)
    ]
    for n, person in enumerate(people[::2]):
        await make_order(
            api, person, total=str(n % 3), status="delivered", placed_at=f"2026-01-{1 + n % 3:02}T00:00:00Z"
        )
    await settle(db, shop)
    everybody = {p["id"] for p in people}
    for sort in SORTS:
        up = [c["id"] for c in await all_of(api, sort=sort, limit=4)]
        down = [c["id"] for c in await all_of(api, sort=f"-{sort}", limit=4)]
        assert len(up) == len(people), sort
        assert set(up) == everybody, sort
        assert down == up[::-1], sort
        assert [c["id"] for c in await all_of(api, sort=sort, limit=200)] == up, sort


async def test_names_sort_without_case_and_accents_and_the_nameless_last(api: httpx.AsyncClient) -> None:
    for name in ("zoe", "Émile", "eva", "Dora", None, "Ωmega"):
        await make_customer(api, name=name, phone="+14155552671")
    assert await names(api, sort="name") == ["Dora", "Émile", "eva", "zoe", "Ωmega", None]


async def test_numbered_pages_are_the_same_rows(api: httpx.AsyncClient) -> None:
    for n in range(7):
        await make_customer(api, name=f"N{n}")
    everybody = [f"N{n}" for n in reversed(range(7))]
    assert [await names(api, limit=3, page=n) for n in (1, 2, 3, 4)] == [
        everybody[:3],
        everybody[3:6],
        everybody[6:],
        [],
    ]
    page = told(await api.get("/api/customers?limit=3&page=2&sort=name"))
    assert [c["name"] for c in page["data"]] == ["N3", "N4", "N5"]
    following = told(await api.get("/api/customers", params={"limit": 3, "sort": "name", "cursor": page["nextCursor"]}))
    assert [c["name"] for c in following["data"]] == ["N6"]
    assert following["nextCursor"] is None


async def test_a_page_leads_to_the_next(api: httpx.AsyncClient) -> None:
    for n in range(3):
        await make_customer(api, name=f"Ann {n}")
    answer = await api.get("/api/customers?search=ann&limit=2&count=true")
    page = told(answer)
    assert page["total"] == 3
    assert len(page["data"]) == 2
    link = answer.headers["link"]
    assert link.endswith('>; rel="next"')
    following = told(await api.get(link[1 : link.index(">")]))
    assert [c["name"] for c in following["data"]] == ["Ann 0"]
    assert following["nextCursor"] is None
    assert told(await api.get("/api/customers"))["total"] is None


async def test_a_cursor_is_of_its_sort(api: httpx.AsyncClient) -> None:
    for n in range(3):
        await make_customer(api, name=f"N{n}")
    cursor = told(await api.get("/api/customers?limit=1&sort=name"))["nextCursor"]
    for wrong in ("x", "!!", cursor[:-3], cursor + "A", "WyJuYW1lIiwxLDJd", "\u00fc"):
        answer = await api.get("/api/customers", params={"sort": "name", "cursor": wrong})
        assert answer.status_code == 400, wrong
    assert (await api.get("/api/customers", params={"sort": "email", "cursor": cursor})).status_code == 400


async def test_a_cursor_stays_while_people_come_and_go(api: httpx.AsyncClient) -> None:
    people = [await make_customer(api, name=f"N{n}") for n in range(6)]
    page = told(await api.get("/api/customers?limit=2&sort=createdAt"))
    await api.delete(f"/api/customers/{people[1]['id']}")
    await api.delete(f"/api/customers/{people[2]['id']}")
    await make_customer(api, name="N6")
    rest = await all_of(api, limit=2, sort="createdAt", cursor=page["nextCursor"])
    assert [c["name"] for c in rest] == ["N3", "N4", "N5", "N6"]


async def test_addresses_come_along_when_asked(api: httpx.AsyncClient) -> None:
    ann, bo = await make_customer(api, name="Ann"), await make_customer(api, name="Bo")
    first = await make_address(api, ann)
    second = await make_address(api, ann, line1="Torstr. 2")
    listed = told(await api.get("/api/customers?include=addresses&sort=name"))["data"]
    assert [c["addresses"] for c in listed] == [[first, second], []]
    assert told(await api.get(f"/api/customers/{ann['id']}?include=addresses")) == ann | {"addresses": [first, second]}
    assert "addresses" not in told(await api.get(f"/api/customers/{bo['id']}"))
    await api.delete(f"/api/customers/{bo['id']}")
    both = told(await api.get("/api/customers?include=addresses,deleted&sort=name"))["data"]
    assert [(c["name"], len(c["addresses"])) for c in both] == [("Ann", 2), ("Bo", 0)]
