"""The pages of segments and groups, without scripts."""

import html
import re
from typing import Any
from urllib.parse import urlencode

import httpx

from supover.kit.db import Database
from tests.makers import Workspace, make_customer, make_order, settle, told
from tests.web import sites

Pairs = list[tuple[str, str]]


async def send(web: httpx.AsyncClient, path: str, pairs: Pairs) -> httpx.Response:
    return await web.post(path, content=urlencode(pairs), headers={"Content-Type": "application/x-www-form-urlencoded"})


async def make_segment(api: httpx.AsyncClient, **fields: Any) -> Any:
    return told(await api.post("/api/segments", json={"name": "Mine", "filter": "number_of_orders >= 2"} | fields), 201)


def area(page: httpx.Response) -> str:
    """The text of the filter as it is shown."""
    found = re.search(r'"filter-said">([^<]*)</textarea>', page.text)
    assert found, page.text[:500]
    return html.unescape(found[1])


def hidden(page: httpx.Response, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found
    return html.unescape(found[1])


def one_row(field: str, op: str, *values: str) -> Pairs:
    return [
        ("node", "group"), ("by", "and"), ("node", "row"), ("field", field), ("op", op),
        *(("value", value) for value in values), ("node", "end"),
    ]  # fmt: skip


def as_shown(page: httpx.Response) -> Pairs:
    return [("filter", area(page)), ("filterWas", hidden(page, "filterWas")),
            ("rowsWere", hidden(page, "rowsWere"))]  # fmt: skip


# --- the list --------------------------------------------------------------------------------------------------------------


async def test_the_list_has_the_built_in_ones_with_counts(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    await make_segment(api, name="<b>Mine</b>")
    page = await web.get("/segments")
    assert page.status_code == 200
    assert "8 segments" in page.text
    assert "Repeat customers" in page.text
    assert "&lt;b&gt;Mine&lt;/b&gt;" in page.text
    assert "Bring built-in ones back" not in page.text
    found = await web.get("/segments?search=repeat&kind=filter")
    assert "1 segment<" in found.text
    assert "VIPs" not in found.text
    assert "No segment is called that" in (await web.get("/segments?search=xyz")).text
    assert "No segment is called that" in (await web.get("/segments?kind=manual")).text


async def test_built_in_segments_are_deleted_and_brought_back(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    [vip] = [one for one in told(await api.get("/api/segments"))["data"] if one["builtIn"] == "vip"]
    gone = await web.post(f"/segments/{vip['id']}/delete")
    assert (gone.status_code, gone.headers["location"]) == (303, "/segments")
    page = await web.get("/segments")
    assert "Bring built-in ones back" in page.text
    assert "The segment was deleted." in page.text
    assert (await web.get(f"/segments/{vip['id']}")).status_code == 404
    assert (await web.post("/segments/built-in")).status_code == 303
    assert "VIPs" in (await web.get("/segments")).text


async def test_an_empty_shop_is_told_how_to_begin(db: Database, api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    for one in told(await api.get("/api/segments"))["data"]:
        assert (await api.delete(f"/api/segments/{one['id']}")).status_code == 204
    assert "No segments yet" in (await web.get("/segments")).text


# --- the builder -----------------------------------------------------------------------------------------------------------


async def test_rows_become_text_with_the_count_and_the_words(
    db: Database, shop: Workspace, api: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    ann = await make_customer(api, name="Ann Lee")
    await make_customer(api, name="Bob Ray")
    for _ in range(2):
        await make_order(api, ann)
    await settle(db, shop)
    page = await web.get("/segments/new")
    assert area(page) == ""
    built = await send(
        web, "/segments/builder", [*one_row("number_of_orders", ">=", "2"), *as_shown(page), ("name", "Loyal")]
    )
    assert built.status_code == 200
    assert area(built) == "number_of_orders >= 2"
    assert 'id="fit-count">1<' in built.text
    assert "50.0% of all customers" in built.text
    assert "Customers whose number of orders is at least 2." in built.text
    assert "Ann Lee" in built.text
    assert "Bob Ray" not in built.text
    assert 'value="Loyal"' in built.text


async def test_text_becomes_rows(web: httpx.AsyncClient) -> None:
    page = await web.get("/segments/new")
    pairs = [*one_row("number_of_orders", ">=", ""), *as_shown(page)]
    pairs = [
        ("filter", "status IN ('VIP')\nOR amount_spent > 5") if name == "filter" else (name, value)
        for name, value in pairs
    ]
    built = await send(web, "/segments/builder", pairs)
    assert area(built) == "status IN ('VIP')\nOR amount_spent > 5"
    assert '<option value="or" selected>' in built.text
    assert '<option value="amount_spent" selected>' in built.text
    assert re.search(r'name="value" value="VIP" checked', built.text)
    # What is the same stays as it was written.
    again = await send(web, "/segments/builder", [*one_row("amount_spent", ">", "5"), *as_shown(built)])
    assert area(again) == "amount_spent > 5"


async def test_an_error_of_the_text_stands_at_its_place(web: httpx.AsyncClient) -> None:
    page = await web.get("/segments/new?filter=amount_spent+%3E+1+AND%0Anonsense+%3D+%3Cb%3E")
    assert page.status_code == 200
    assert "<mark>&lt;</mark>" in page.text
    page = await web.get("/segments/new?filter=amount_spent+%3E+1+AND%0Anonsense+%3D+3")
    assert "Line 2: nonsense is not a field" in page.text
    assert "<mark>nonsense</mark>" in page.text
    assert "Nobody can be counted" in page.text
    saved = await send(web, "/segments", [("name", "Bad"), ("node", "group"), ("node", "end"), *as_shown(page)])
    assert saved.status_code == 422
    assert "Bad" not in (await web.get("/segments")).text


async def test_an_error_of_a_row_stands_at_the_row(web: httpx.AsyncClient) -> None:
    page = await web.get("/segments/new")
    built = await send(web, "/segments/builder", [*one_row("amount_spent", "BETWEEN", "5", "1"), *as_shown(page)])
    assert 'id="row-1-wrong">BETWEEN begins with the smaller one<' in built.text


async def test_what_is_a_closed_set_is_chosen_by_its_name(web: httpx.AsyncClient) -> None:
    page = await send(web, "/segments/builder", one_row("customer_countries", "CONTAINS", "DE"))
    assert area(page) == "customer_countries CONTAINS 'DE'"
    assert '<option value="DE" selected>Germany</option>' in page.text
    page = await send(web, "/segments/builder", one_row("customer_countries", "IN", "DE", "Austria"))
    assert area(page) == "customer_countries IN ('DE', 'AT')"
    assert 'value="AT" checked> Austria</label>' in page.text
    assert "countries include" in page.text
    page = await send(web, "/segments/builder", one_row("customer_countries", "IN", "Germny"))
    assert "did you mean &#39;DE&#39;?" in page.text
    regions = [("node", "row"), ("field", "customer_regions"), ("op", "CONTAINS"), ("within", "US"), ("value", "US-CA")]
    page = await send(web, "/segments/builder", [("node", "group"), ("by", "and"), *regions, ("node", "end")])
    assert '<option value="US-CA" selected>California</option>' in page.text
    page = await send(web, "/segments/builder", one_row("customer_tags", "CONTAINS", "vip"))
    assert re.search(r'value="vip" list="known-tags"[^>]* hx-get="/customers/tags"', page.text)
    page = await web.get("/segments/new?" + urlencode({"filter": "customer_source = 'MYSHOP'"}))
    assert '<option value="MYSHOP" selected>Myshop</option>' in page.text
    assert '<option value="TIKTOK_SHOP">TikTok Shop</option>' in page.text


async def test_buttons_add_and_remove_rows_without_scripts(web: httpx.AsyncClient) -> None:
    page = await web.get("/segments/new")
    rows = one_row("number_of_orders", ">=", "2")
    more = await send(web, "/segments/builder", [*rows, *as_shown(page), ("do", "add:0")])
    assert more.text.count('name="node" value="row"') == 2
    assert 'id="row-2-field" aria-label="Field" autofocus' in more.text
    less = await send(web, "/segments/builder", [*rows, *as_shown(page), ("do", "remove:1")])
    assert 'name="node" value="row"' not in less.text
    assert area(less) == ""


async def test_the_builder_of_a_segment_keeps_the_version_that_it_began_with(
    api: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    segment = await make_segment(api)
    form = await web.get(f"/segments/{segment['id']}/edit")
    await api.patch(f"/api/segments/{segment['id']}", json={"name": "Other"})
    pairs = [("id", segment["id"]), ("version", hidden(form, "version")), *one_row("amount_spent", ">", "5")]
    built = await send(web, "/segments/builder", [*pairs, *as_shown(form)])
    assert hidden(built, "version") == hidden(form, "version") == "1"
    for id in ("nonsense", "01900000-0000-7000-8000-000000000000"):
        assert (await send(web, "/segments/builder", [("id", id)])).status_code == 404


async def test_a_segment_is_made_and_changed_and_opened(
    api: httpx.AsyncClient, web: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    page = await web.get("/segments/new")
    pairs = [("name", "Loyal"), ("description", "Twice"), *one_row("number_of_orders", ">=", "2"), *as_shown(page)]
    made = await send(web, "/segments", pairs)
    assert made.status_code == 303
    here = made.headers["location"]
    kept = told(await api.get(f"/api{here}"))
    assert (kept["name"], kept["description"], kept["filter"]) == ("Loyal", "Twice", "number_of_orders >= 2")
    shown = await web.get(here)
    assert "The segment was made." in shown.text
    assert "Customers whose number of orders is at least 2." in shown.text
    # It polls until everybody was looked at.
    assert 'hx-trigger="every 1s"' in shown.text
    taken = await send(web, "/segments", pairs)
    assert taken.status_code == 409

    form = await web.get(f"{here}/edit")
    assert area(form) == "number_of_orders >= 2"
    changed = [
        ("id", kept["id"]), ("version", hidden(form, "version")), ("name", "Very loyal"), ("description", ""),
        *one_row("number_of_orders", ">=", "5"), *as_shown(form),
    ]  # fmt: skip
    assert (await send(web, here, changed)).headers["location"] == here
    kept = told(await api.get(f"/api{here}"))
    assert (kept["name"], kept["filter"]) == ("Very loyal", "number_of_orders >= 5")
    late = await send(web, here, [*changed[:2], ("name", "Late"), *changed[3:]])
    assert late.status_code == 412
    assert told(await api.get(f"/api{here}"))["name"] == "Very loyal"


async def test_a_rule_is_told_in_the_readers_language_and_to_programs_in_english(
    api: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    field = {"key": "size", "label": "status", "type": "text"}
    assert (await api.post("/api/custom-fields", json=field)).status_code == 201
    rule = "amount_spent > 1000 AND NOT rfm_group = 'AT_RISK' AND custom.size IS NULL"
    made = await make_segment(api, filter=rule)
    english = "Customers whose amount spent is more than 1,000 and who are not among those whose RFM group is"
    vietnamese = (
        "Khách hàng có tổng chi tiêu trên 1.000 và không nằm trong số khách hàng có nhóm RFM là 'Có nguy cơ'"
        " và chưa có status."
    )
    here = f"/segments/{made['id']}"

    async def shown() -> list[str]:
        built = await send(web, "/segments/builder", [("filter", rule), ("filterWas", ""), ("rowsWere", "")])
        pages = [await web.get("/segments"), await web.get(here), await web.get(f"{here}/edit"), built]
        return [html.unescape(page.text) for page in (*pages, await web.get(f"{here}/explain"))]

    assert [f"{english} 'At risk' and whose status is not known." in page for page in await shown()] == [True] * 5
    web.headers["Accept-Language"] = "vi"
    pages = await shown()
    assert [(vietnamese in page, "Customers" in page, "At risk" in page) for page in pages] == [
        (True, False, False)
    ] * 5
    assert "Khách hàng có tổng chi tiêu trên 1.000.</span>" in pages[-1]
    assert ">Status</option>" in pages[2]
    told_to_programs = told(await api.get(f"/api{here}", headers={"Accept-Language": "vi"}))["filterDescription"]
    assert told_to_programs == f"{english} 'AT_RISK' and whose status is not known."


async def test_a_row_that_waits_for_its_value_keeps_a_segment_from_being_made(web: httpx.AsyncClient) -> None:
    page = await web.get("/segments/new")
    for rows in (one_row("number_of_orders", ">=", ""), [("node", "group"), ("node", "end")]):
        answer = await send(web, "/segments", [("name", "Half"), *rows, *as_shown(page)])
        assert answer.status_code == 422
    assert "Half" not in (await web.get("/segments")).text


# --- one of them -----------------------------------------------------------------------------------------------------------

GROW = """
    insert into segment_day (workspace_id, segment_id, day, members, entered, left_count)
    select $1, $2, current_date - n, 10 - n, 1, 0 from generate_series(1, 5) as n on conflict do nothing"""


async def test_growth_is_drawn_with_its_table(
    db: Database, shop: Workspace, api: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    segment = await make_segment(api, kind="manual", filter=None)
    async with db.tx(shop.id) as tx:
        await tx.run(GROW, segment["id"])
    page = await web.get(f"/segments/{segment['id']}")
    assert 'class="line"' in page.text
    assert "Show as a table" in page.text
    assert "9 customers" in page.text
    listed = await web.get("/segments")
    assert '<svg class="spark"' in listed.text
    assert "+4<" in listed.text


async def test_a_group_is_made_filled_and_emptied(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@lee.com")
    bob = await make_customer(api, name="Bob Ray", email="bob@ray.com")
    assert "By a rule" in (await web.get("/segments/new?kind=manual")).text
    made = await send(web, "/segments", [("kind", "manual"), ("name", "Fair"), ("description", "")])
    here = made.headers["location"]
    assert "Nobody is in this group yet" in (await web.get(here)).text
    assert "Ann Lee" in (await web.get(f"{here}?find=ann")).text

    picked = await send(web, f"{here}/pick", [("people", f"ANN@lee.com, {bob['id']}\nnobody@x.com")])
    assert picked.headers["location"] == here
    page = await web.get(here)
    assert "The chart begins tomorrow" in page.text
    assert "2 customers were added. 1 was not found: nobody@x.com." in page.text
    assert "Bob Ray" in page.text
    out = await web.post(f"{here}/customers/{ann['id']}/remove")
    assert out.status_code == 303
    page = await web.get(here)
    assert "ann@lee.com" not in page.text
    assert f'data-undo="{here}/customers/{ann["id"]}"' in page.text
    assert (await web.post(f"{here}/customers/{ann['id']}/remove")).status_code == 404
    assert (await web.post(f"{here}/customers/{ann['id']}")).status_code == 303
    assert "ann@lee.com" in (await web.get(here)).text

    for people in ("", "nobody@x.com", " ".join(f"{n}@x.com" for n in range(1_001))):
        assert (await send(web, f"{here}/pick", [("people", people)])).status_code == 422
    assert told(await api.get(f"/api{here}"))["members"] == 2


async def test_a_segment_of_one_is_told_as_one(
    db: Database, shop: Workspace, api: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    segment = await make_segment(api, kind="manual", filter=None)
    ann = await make_customer(api, name="Ann Lee")
    await web.post(f"/segments/{segment['id']}/customers/{ann['id']}")
    async with db.tx(shop.id) as tx:
        await tx.run(GROW, segment["id"])
        await tx.run("update segment_day set members = 1 where workspace_id = $1 and segment_id = $2", segment["id"])
    page = (await web.get(f"/segments/{segment['id']}")).text
    assert ("Its 1 customer stays as they are." in page, "1 customers" in page) == (True, False)


async def test_a_segment_by_filter_takes_nobody_by_hand(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@lee.com")
    segment = await make_segment(api)
    here = f"/segments/{segment['id']}"
    assert (await web.post(f"{here}/customers/{ann['id']}")).status_code == 409
    assert (await web.post(f"{here}/refresh")).headers["location"] == here
    assert (await web.get("/segments/01900000-0000-7000-8000-000000000000")).status_code == 404


async def test_an_administrator_has_the_count_explained(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann Lee", email="ann@lee.com")
    segment = await make_segment(api, filter="number_of_orders >= 2 OR customer_name = 'Ann Lee'")
    page = await web.get(f"/segments/{segment['id']}/explain?customer=ann@lee.com")
    assert "This customer fits" in page.text
    assert "customer_name = &#39;Ann Lee&#39;" in page.text
    assert "No customer has x@y.z." in (await web.get(f"/segments/{segment['id']}/explain?customer=x@y.z")).text
    nobody = "01900000-0000-7000-8000-000000000000"
    assert f"No customer has {nobody}." in (await web.get(f"/segments/{segment['id']}/explain?customer={nobody}")).text
    group = await make_segment(api, name="Group", kind="manual", filter=None)
    assert (await web.get(f"/segments/{group['id']}/explain")).status_code == 409


async def test_a_viewer_reads_and_changes_nothing(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    segment = await make_segment(api)
    here = f"/segments/{segment['id']}"
    async with sites.signed_in(db, shop, "viewer") as viewer:
        for path in ("/segments", here):
            page = await viewer.get(path)
            assert page.status_code == 200
            main = page.text.partition("<main")[2]
            assert 'method="post"' not in main.partition("</main>")[0]
            assert "New segment" not in main
        for path in ("/segments/new", f"{here}/edit", f"{here}/explain"):
            assert (await viewer.get(path)).status_code == 403
        for path in ("/segments", here, f"{here}/delete", f"{here}/refresh", f"{here}/pick", "/segments/built-in"):
            assert (await viewer.post(path)).status_code == 403
    async with sites.signed_in(db, shop, "agent") as agent:
        assert "Explain the count" not in (await agent.get(here)).text
        assert (await agent.get(f"{here}/explain")).status_code == 403
    assert told(await api.get(f"/api{here}"))["version"] == segment["version"]
