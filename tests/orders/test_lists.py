"""Lists of orders and rates over HTTP: what they take, and how they go on."""

import asyncpg
import httpx
import pytest

from supover.kit import sql
from supover.kit.db import Database
from supover.orders import queries
from tests.house import plans
from tests.makers import Workspace, client, make_customer, make_order, make_workspace, pointers, told


async def found(api: httpx.AsyncClient, query: str) -> list[str]:
    return [o["externalId"] for o in told(await api.get(f"/api/orders?{query}"))["data"]]


async def three(api: httpx.AsyncClient) -> None:
    for n in (1, 2, 3):
        await make_order(api, external_id=str(n), total=f"{n}.00", placed_at=f"2026-03-0{n}T12:00:00Z")


@pytest.mark.parametrize(
    ("parameter", "meant"),
    [("placedfrom", "placedFrom"), ("min_total", "minTotal"), ("customerID", "customerId"), ("sorted", "sort")],
)
async def test_a_misspelt_parameter_is_named_with_the_nearest(
    api: httpx.AsyncClient, parameter: str, meant: str
) -> None:
    [error] = told(await api.get(f"/api/orders?{parameter}=1"), 422)["errors"]
    assert error == {
        "pointer": parameter,
        "code": "unknown",
        "message": f"is not a parameter here; did you mean {meant!r}?",
    }


async def test_other_lists_name_unknown_parameters_too(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api)
    assert pointers(await api.get(f"/api/customers/{ann['id']}/orders?source=ETSY")) == ["source"]
    assert pointers(await api.get("/api/rates?after=2026-01-01")) == ["after"]


async def test_a_day_is_the_workspaces_and_the_last_one_is_included(db: Database) -> None:
    auckland = await make_workspace(db, "NZD", "Pacific/Auckland")  # 13 hours ahead in March
    async with client(db, auckland.key) as api:
        for id, at in (("a", "2026-03-01T10:59:59Z"), ("b", "2026-03-01T11:00:00Z"), ("c", "2026-03-02T11:00:00Z")):
            await make_order(api, external_id=id, placed_at=at)
        assert await found(api, "placedFrom=2026-03-02") == ["c", "b"]
        assert await found(api, "placedTo=2026-03-02") == ["b", "a"]
        assert await found(api, "placedFrom=2026-03-02&placedTo=2026-03-02") == ["b"]
        assert await found(api, "placedTo=2026-03-02T00:00:00") == ["a"]
        assert await found(api, "placedFrom=2026-03-02T00:00:00%2B13:00&placedTo=2026-03-02T11:00:00Z") == ["b"]
        for wrong in ("yesterday", "2026-02-30", "0001-01-01", "9999-12-31"):
            assert pointers(await api.get(f"/api/orders?placedFrom={wrong}")) == ["placedFrom"]
            assert pointers(await api.get(f"/api/orders?placedTo={wrong}")) == ["placedTo"]


MANY = """
    insert into data."order" (workspace_id, id, source, number, status, currency, total, placed_at)
    select $1, gen_random_uuid(), 'API', case when n % 2 = 0 then '#' else '' end || n, 'confirmed', 'USD', 1, now()
      from generate_series(10001, 20000) as n"""


async def test_an_order_without_a_number_is_found_by_its_id_in_the_shop(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee")
    made = await make_order(api, ann, source="ETSY", externalId="Etsy-77001")
    numbered = await make_order(api, ann, source="ETSY", externalId="88001", number="#99001")
    assert [one["id"] for one in told(await api.get("/api/orders?number=etsy-77"))["data"]] == [made["id"]]
    assert [one["id"] for one in told(await api.get("/api/orders?number=99001"))["data"]] == [numbered["id"]]
    assert told(await api.get("/api/orders?number=88001"))["data"] == []
    placed = [
        e for e in told(await api.get(f"/api/customers/{ann['id']}/timeline"))["data"] if e["type"] == "OrderPlaced"
    ]
    assert {e["orderNumber"] for e in placed} == {"Etsy-77001", "#99001"}


async def test_both_ways_to_write_a_number_are_looked_up_in_its_index(
    shop: Workspace, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    page = sql.page(queries.SORTS, limit=None, sort=None, cursor=None)
    tried = owner.transaction()
    await tried.start()
    await owner.execute("set local search_path = data, public")
    await owner.execute(MANY, shop.id)
    await owner.execute('analyze data."order"')
    for number in ("#10101", "10101"):
        where = queries.where_of(queries.Filters(number=number))
        for statement in (
            queries.COUNT.format(where=where.text()),
            queries.LIST.format(where=where.text(), order=page.order(), limit=page.rows()),
        ):
            found = list(plans.nodes(await plans.custom_plan(owner, statement, [shop.id, *where.values])))
            assert [one["Node Type"] for one in found if one.get("Relation Name") == "order"] == ["Bitmap Heap Scan"]
            indexes = [one["Index Name"] for one in found if one["Node Type"] == "Bitmap Index Scan"]
            assert indexes == ["order_number", "order_number"]
    await tried.rollback()


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e400"])
@pytest.mark.parametrize("name", ["minTotal", "maxTotal"])
async def test_a_total_that_is_no_money_is_named(api: httpx.AsyncClient, name: str, value: str) -> None:
    assert pointers(await api.get(f"/api/orders?{name}={value}")) == [name]


@pytest.mark.parametrize("sort", ["placedAt", "-placedAt", "total", "-total", "createdAt", "-createdAt"])
async def test_numbered_pages_are_the_list_in_pieces(api: httpx.AsyncClient, sort: str) -> None:
    await three(api)
    order = ["3", "2", "1"] if sort.startswith("-") else ["1", "2", "3"]
    assert [(await found(api, f"sort={sort}&limit=1&page={n}")) for n in (1, 2, 3, 4)] == [[n] for n in order] + [[]]
    second = told(await api.get(f"/api/orders?sort={sort}&limit=2&page=2&count=true"))
    assert ([o["externalId"] for o in second["data"]], second["nextCursor"], second["total"]) == (order[2:], None, 3)
    beyond = told(await api.get(f"/api/orders?sort={sort}&limit=3&page=2&count=true&minTotal=2"))
    assert beyond == {"data": [], "nextCursor": None, "total": 2}
    first = told(await api.get(f"/api/orders?sort={sort}&limit=1&page=2"))
    assert await found(api, f"sort={sort}&limit=1&cursor={first['nextCursor']}") == order[2:]


async def test_an_action_without_a_body_is_one_with_an_empty_one(api: httpx.AsyncClient) -> None:
    delivered, cancelled = await make_order(api), await make_order(api)
    assert told(await api.post(f"/api/orders/{delivered['id']}/deliver"))["status"] == "delivered"
    assert told(await api.post(f"/api/orders/{delivered['id']}/refund"))["refunded"] == "10.00"
    assert told(await api.post(f"/api/orders/{cancelled['id']}/cancel"))["status"] == "cancelled"
    assert pointers(await api.post(f"/api/orders/{cancelled['id']}/cancel", json={"why": "x"})) == ["/why"]


async def test_the_pinned_address_is_kept_in_headers(api: httpx.AsyncClient) -> None:
    made = await api.post("/api/v1/orders", json={"total": "5.00"})
    assert made.headers["location"] == f"/api/v1/orders/{told(made, 201)['id']}"
    await three(api)
    pinned = await api.get("/api/v1/orders?limit=1&status=pending&status=confirmed")
    assert pinned.headers["link"].startswith("</api/v1/orders?limit=1&status=pending&status=confirmed&cursor=")
    assert told(await api.get(pinned.links["next"]["url"]))["data"] != told(pinned)["data"]
    plain = await api.get("/api/orders?limit=1")
    assert plain.headers["link"].startswith("</api/orders?limit=1&cursor=")


async def test_rates_are_paged(api: httpx.AsyncClient) -> None:
    given = [
        {"currency": currency, "date": f"2026-03-0{day}", "rate": f"1.{day}"}
        for day in (3, 2, 1)
        for currency in ("CAD", "EUR", "GBP")
    ]
    told(await api.put("/api/rates", json={"rates": given}))
    for limit in (1, 2, 3, 4, 9):
        seen: list[dict[str, str]] = []
        link = f"/api/rates?limit={limit}"
        while link:
            answer = await api.get(link)
            page = told(answer)
            assert 1 <= len(page["data"]) <= limit
            seen += page["data"]
            link = answer.links["next"]["url"] if "next" in answer.links else ""
        assert seen == given
    first = told(await api.get("/api/rates?limit=1&currency=EUR&before=2026-03-03"))
    assert [r["date"] for r in first["data"]] == ["2026-03-02"]
    second = told(await api.get(f"/api/rates?currency=EUR&cursor={first['nextCursor']}"))
    assert [(r["currency"], r["date"]) for r in second["data"]] == [("EUR", "2026-03-01")]
    order_cursor = "WyItcGxhY2VkQXQiLCIyMDI2LTAzLTAzIiwiRVVSIl0"  # ["-placedAt","2026-03-03","EUR"]
    for broken in ("x", "WyJyYXRlcyJd", order_cursor):
        told(await api.get(f"/api/rates?cursor={broken}"), 400)
