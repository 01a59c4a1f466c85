"""The list of customers, what is done to many of them, and adding one."""

import html
import re
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

import httpx

from supover.kit.db import Database
from tests.makers import Workspace, client, make_customer, make_workspace, told
from tests.web import sites


async def test_a_list_without_anybody_says_what_to_do(web: httpx.AsyncClient) -> None:
    page = await web.get("/customers")
    assert "No customers yet" in page.text
    assert 'href="/customers/new"' in page.text


async def test_the_list_is_narrowed_by_its_address_and_shows_each_filter_as_a_chip(
    api: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    await make_customer(api, name="Ann Lee", tags=["b2b"])
    await make_customer(api, name="Bob Ray")
    page = (await web.get("/customers?tag=b2b")).text
    assert ("Ann Lee" in page, "Bob Ray" in page) == (True, False)
    assert "Remove the filter Tag: b2b" in page
    asked = "status=VIP&status=ACTIVE&minOrders=1&country=US&source=SHOPIFY&tag=b2b&tag=fair&isRepeat=true"
    page = (await web.get(f"/customers?{asked}")).text
    chips = re.findall(r'"Remove the filter ([^":]+)', page)
    assert chips == ["Status", "Status", "Orders at least", "Country", "Source", "Tag", "Tag", "Repeat customer"]
    wrong = await web.get("/customers?filter=nonsense+here")
    assert (wrong.status_code, "This filter cannot be read" in wrong.text) == (200, True)


async def test_a_part_of_the_condition_has_its_own_form_and_chip(
    api: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    await make_customer(api, name="Ann Lee", tags=["b2b"])

    async def narrowed(path: str) -> str:
        answer = await web.get(path)
        assert answer.status_code == 303
        return answer.headers["location"]

    def chips(page: str) -> list[str]:
        return [html.unescape(one) for one in re.findall(r'aria-label="Remove the filter ([^"]*)"', page)]

    to = await narrowed("/customers/narrow/rfmGroup?rfmGroup=AT_RISK&rfmGroup=LOYAL&tag=b2b&cursor=x")
    assert query(to) == {"tag": "b2b", "filter": "rfm_group IN ('AT_RISK', 'LOYAL')"}
    to = await narrowed(to.replace("/customers", "/customers/narrow/churnRisk") + "&churnRisk=high")
    to = await narrowed(to.replace("/customers", "/customers/narrow/lastOrderFrom") + "&lastOrderFrom=2026-01-31")
    asked = "rfm_group IN ('AT_RISK', 'LOYAL') AND churn_risk IN ('high') AND last_order_date >= 2026-01-31"
    assert query(to) == {"tag": "b2b", "filter": asked}
    page = (await web.get(to)).text
    assert chips(page) == [
        "Tag: b2b", "RFM group: At risk, Loyal", "Churn risk: High", "Last order since: 2026-01-31",
    ]  # fmt: skip
    assert 'name="rfmGroup" value="LOYAL" checked' in page
    without = html.unescape(re.findall(r'href="([^"]*)" aria-label="Remove the filter RFM', page)[0])
    assert query(without)["filter"] == "churn_risk IN ('high') AND last_order_date >= 2026-01-31"
    # What is chosen anew takes the old one's place, nothing takes it away, and the rest of a condition stays as it is meant.
    written = urlencode({"filter": "churn_risk = 'low' AND (amount_spent > 5 OR status = 'VIP')"})
    to = await narrowed(f"/customers/narrow/churnRisk?{written}&churnRisk=medium")
    assert query(to)["filter"] == "(amount_spent > 5 OR status = 'VIP') AND churn_risk IN ('medium')"
    assert "Condition: amount_spent > 5 OR status = 'VIP'" in chips((await web.get(to)).text)
    assert await narrowed("/customers/narrow/churnRisk?filter=churn_risk+%3D+%27low%27&churnRisk=") == "/customers"
    to = await narrowed("/customers/narrow/rfmGroup?filter=nonsense&rfmGroup=LOYAL")
    assert query(to)["filter"] == "nonsense"
    assert (await web.get("/customers/narrow/nonsense")).status_code == 404


async def test_nothing_of_another_workspace_is_narrowed_by_or_told(web: httpx.AsyncClient, db: Database) -> None:
    plan = {"key": "plan", "label": "Plan", "type": "choice", "choices": ["takeover", "merger"]}
    stranger = await make_workspace(db)
    async with client(db, stranger.key) as theirs:
        told(await theirs.post("/api/custom-fields", json=plan), 201)
        zoe = await make_customer(theirs, name="Zoe Ray", custom_fields={"plan": "merger"})
        group = told(await theirs.post("/api/segments", json={"name": "To be sold", "kind": "manual"}), 201)
        before = [told(await theirs.get(path)) for path in ("/api/customers", "/api/segments", "/api/custom-fields")]

        async def narrowed(written: str, **more: str) -> tuple[dict[str, str], str]:
            """The list that it leads to, and what its page tells; what was asked itself left out."""
            asked = urlencode({"filter": written, "churnRisk": "high", **more})
            answer = await web.get(f"/customers/narrow/churnRisk?{asked}")
            assert answer.status_code == 303, answer.text
            page = html.unescape((await web.get(answer.headers["location"])).text)
            for one in (written, *more.values()):
                page = page.replace(quote_plus(one), "").replace(one, "")
            return query(answer.headers["location"]), page

        for key in ("plan", "plam"):
            # A field of theirs is one that nobody has: it stays as it was written, and is no hint either.
            to, page = await narrowed(f"custom.{key} = 'x'")
            assert to == {"filter": f"custom.{key} = 'x'"}
            assert f"custom.{key} is not a field" in page
            assert [word for word in ("did you mean custom.", "takeover", "merger", "Zoe") if word in page] == []
        to, page = await narrowed("status = 'VIP'", segment=group["id"])
        assert to == {"segment": group["id"], "filter": "status = 'VIP' AND churn_risk IN ('high')"}
        assert page == (await narrowed("status = 'VIP'", segment=zoe["id"]))[1]
        assert ("is no segment here" in page, "To be sold" in page, "Zoe" in page) == (True, False, False)
        after = [told(await theirs.get(path)) for path in ("/api/customers", "/api/segments", "/api/custom-fields")]
    assert after == before


async def test_an_address_with_many_conditions_has_the_chips_of_one(web: httpx.AsyncClient) -> None:
    """The last is asked; the page of two hundred is none of thirty megabytes."""
    written = " AND ".join(f"amount_spent > {n}" for n in range(40))
    many = [("filter", f"amount_spent > {n}") for n in range(100, 290)]
    page = (await web.get(f"/customers?{urlencode([*many, ('tag', 'b2b'), ('filter', written)])}")).text
    chips = re.findall(r'href="([^"]*)" aria-label="Remove the filter ([^":]+)', page)
    assert [name for _, name in chips] == ["Tag", *["Condition"] * 40]
    assert query(html.unescape(chips[0][0])) == {"filter": written}
    assert len(page) < 1_000_000


async def test_days_of_being_a_customer_are_called_so(web: httpx.AsyncClient) -> None:
    page = (await web.get("/customers?createdFrom=2026-01-01&createdTo=2026-02-01")).text
    assert "Remove the filter Customer since: 2026-01-01" in page
    assert "Remove the filter Customer until: 2026-02-01" in page


def query(path: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(path).query))


async def test_a_viewer_sees_no_way_to_change_anything(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api, name="Ann Lee")
    async with sites.signed_in(db, shop, "viewer") as viewer:
        page = (await viewer.get("/customers")).text
        assert ("Ann Lee" in page, "/customers/new" in page, 'id="bulk"' in page) == (True, False, False)
        assert (await viewer.get("/customers/new")).status_code == 403
        done = await viewer.post("/customers/bulk", data={"action": "block", "id": ann["id"]})
        assert done.status_code == 403
    assert told(await api.get(f"/api/customers/{ann['id']}"))["status"] == "ACTIVE"


async def test_a_choice_of_columns_stays(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann Lee")
    answer = await web.post("/customers/columns", data={"columns": ["email", "status"]})
    assert answer.status_code == 303
    heads = re.findall(r"<th scope=\"col\"[^>]*>(?:\s*<a[^>]*>)?([^<]+)", (await web.get("/customers")).text)
    assert [head.strip() for head in heads][:3] == ["Customer", "Email", "Status"]
    assert (await web.post("/customers/columns", data={"columns": "password"})).status_code == 422


async def test_a_view_is_saved_renamed_and_deleted(web: httpx.AsyncClient) -> None:
    made = await web.post("/customers/views", data={"name": "Very important", "query": "status=VIP"})
    assert made.headers["location"] == "/customers?status=VIP"
    page = (await web.get("/customers?status=VIP")).text
    [path] = set(re.findall(r'action="(/customers/views/[0-9a-f-]+)"', page))
    await web.post(path, data={"name": "Dear to us", "isShared": "true"})
    assert "Dear to us" in (await web.get("/customers")).text
    assert (await web.post(f"{path}/delete")).status_code == 303
    await web.get("/customers")
    assert "Dear to us" not in (await web.get("/customers")).text


async def test_a_view_is_let_show_what_is_on_the_screen(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    await web.post("/customers/views", data={"name": "Dear to us", "query": "status=VIP", "isShared": "true"})
    other = "/customers?status=VIP&country=FR"
    [path] = set(re.findall(r'action="(/customers/views/[0-9a-f-]+)"', (await web.get(other)).text))
    answer = await web.post(path, data={"query": "status=VIP&country=FR"})
    assert answer.headers["location"] == other
    [view] = told(await api.get("/api/views"))["data"]
    assert (view["name"], view["query"], view["isShared"]) == ("Dear to us", "status=VIP&country=FR", True)
    # Whoever may not change it is not offered to.
    async with sites.signed_in(db, shop, "agent") as agent:
        page = (await agent.get("/customers?country=FR")).text
    assert "Dear to us" in page
    assert "/customers/views/" not in page


async def test_several_are_tagged_and_it_is_undone(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    chosen = [(await make_customer(api, name=name))["id"] for name in ("Ann Lee", "Bob Ray")]
    answer = await web.post("/customers/bulk", data={"action": "tag", "tags": "b2b, big", "id": chosen})
    assert answer.status_code == 303
    tags = [told(await api.get(f"/api/customers/{id}"))["tags"] for id in chosen]
    assert tags == [["b2b", "big"]] * 2
    [action] = told(await api.get("/api/bulk"))["data"]
    page = await web.get(f"/bulk/{action['id']}")
    assert "Add tags: b2b, big" in page.text
    await web.post(f"/bulk/{action['id']}/undo")
    assert told(await api.get(f"/api/customers/{chosen[0]}"))["tags"] == []


async def test_all_who_fit_are_meant_by_everything(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", tags=["b2b"])
    bob = await make_customer(api, name="Bob Ray")
    form = {"action": "block", "everything": "true", "query": "tag=b2b", "id": bob["id"]}
    assert (await web.post("/customers/bulk", data=form)).status_code == 303
    states = [told(await api.get(f"/api/customers/{one['id']}"))["status"] for one in (ann, bob)]
    assert states == ["BLOCKED", "ACTIVE"]


async def test_a_group_is_made_of_those_who_are_chosen(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee")
    answer = await web.post("/customers/group", data={"name": "Fair in May", "id": ann["id"]})
    assert answer.status_code == 303
    found = told(await api.get("/api/segments?kind=manual"))["data"]
    assert [(one["name"], one["members"]) for one in found if one["name"] == "Fair in May"] == [("Fair in May", 1)]


async def test_two_to_ten_can_be_merged(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    a, b = [(await make_customer(api, name=name))["id"] for name in ("Ann Lee", "Ann Leigh")]
    answer = await web.post("/customers/merge", data={"id": [a, b]})
    assert answer.headers["location"] == f"/merges/new?ids={a}&ids={b}"
    assert (await web.post("/customers/merge", data={"id": [a]})).status_code == 422


async def test_a_customer_is_added_and_shown(web: httpx.AsyncClient) -> None:
    answer = await web.post("/customers/new", data={"name": "Ann Lee", "email": "ann@lee.com", "tags": "b2b, big"})
    page = await web.get(answer.headers["location"])
    assert (page.status_code, "Ann Lee" in page.text, "ann@lee.com" in page.text) == (200, True, True)
    assert (await web.post("/customers/new", data={"email": "ann@lee.com"})).status_code == 409
    assert (await web.post("/customers/new", data={"name": ""})).status_code == 422


async def test_a_refused_value_is_told_at_its_field_with_who_has_it(
    api: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@lee.com")
    by_htmx = {"HX-Request": "true"}
    refused = await web.post("/customers/new", data={"email": "ann@lee.com"}, headers=by_htmx)
    assert (refused.status_code, refused.json()["holder"]) == (409, f"/customers/{ann['id']}")
    assert refused.json()["errors"] == [{"name": "email", "text": "Another customer has this email"}]
    for _ in range(2):
        refused = await web.post("/customers/group", data={"name": "Fair", "id": ann["id"]}, headers=by_htmx)
    assert refused.json()["errors"] == [{"name": "name", "text": "Another segment has this name"}]


async def test_a_status_is_set_and_nothing_is_done_unasked(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee")
    assert (await web.post("/customers/bulk", data={"id": ann["id"]})).status_code == 422
    assert (await web.post("/customers/bulk", data={"id": ann["id"], "status": "VIP"})).status_code == 303
    assert told(await api.get(f"/api/customers/{ann['id']}"))["status"] == "VIP"
    page = await web.get("/bulk")
    assert "Set the status to VIP" in page.text


async def test_chosen_customers_are_exported_and_the_file_is_found(
    api: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    ann = await make_customer(api, name="Ann Lee")
    answer = await web.post("/customers/bulk", data={"id": ann["id"], "action": "export"})
    assert answer.headers["location"] == "/exports"
    [run] = told(await api.get("/api/exports"))["data"]
    assert f"/exports/{run['id']}" in (await web.get("/exports")).text


async def test_undoing_stays_on_the_list_that_it_was_asked_from(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", tags=["b2b"])
    here = {"HX-Request": "true", "HX-Current-URL": "http://shop.test/customers?tag=b2b"}
    answer = await web.post("/customers/bulk", data={"id": ann["id"], "action": "delete"}, headers=here)
    assert (answer.status_code, answer.headers["location"]) == (303, "/customers?tag=b2b")
    [action] = told(await api.get("/api/bulk"))["data"]
    answer = await web.post(f"/bulk/{action['id']}/undo", headers=here)
    assert (answer.status_code, answer.headers["location"]) == (303, "/customers?tag=b2b")
    assert "Ann Lee" in (await web.get("/customers?tag=b2b")).text


async def test_the_usual_columns_come_back(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann Lee")
    usual = heads(await web.get("/customers"))
    await web.post("/customers/columns", data={"columns": ["", "email"]})
    assert heads(await web.get("/customers")) == ["Customer", "Email"]
    await web.post("/customers/columns", data={"columns": ""})
    assert heads(await web.get("/customers")) == usual


def heads(page: httpx.Response) -> list[str]:
    found = re.findall(r"<th scope=\"col\"[^>]*>(?:\s*<a[^>]*>)?([^<]+)", page.text)
    return [one.strip() for one in found if one.strip()]
