"""The pages of orders and exchange rates, without scripts."""

import re
from decimal import Decimal
from typing import Any

import httpx

from supover.kit.db import Database
from tests.makers import Workspace, make_customer, make_order, told
from tests.web import sites

LINES = [
    {"title": "Mug", "sku": "MUG-1", "quantity": 2, "unitPrice": "4.50", "properties": {"engraving": "<i>Ann</i>"}}
]


async def find(api: httpx.AsyncClient, order: Any) -> Any:
    return told(await api.get(f"/api/orders/{order['id']}"))


# --- the list --------------------------------------------------------------------------------------------------------------


async def test_the_list_is_narrowed_by_its_address(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann <Lee>")
    await make_order(api, ann, number="#1001", source="ETSY", total="10.00")
    await make_order(api, ann, number="#1002", source="SHOPIFY", total="99.00", status="delivered")
    page = await web.get("/orders")
    assert page.status_code == 200
    assert "2 orders" in page.text
    assert "Ann &lt;Lee&gt;" in page.text
    for query, is_there, is_not in [
        ("search=%231002", "#1002", "#1001"),
        ("search=1002", "#1002", "#1001"),
        ("status=delivered", "#1002", "#1001"),
        ("source=ETSY", "#1001", "#1002"),
        ("minTotal=50", "#1002", "#1001"),
        ("maxTotal=50.00", "#1001", "#1002"),
        (f"customerId={ann['id']}&status=confirmed", "#1001", "#1002"),
    ]:
        page = await web.get(f"/orders?{query}")
        assert "1 order<" in page.text, query
        assert is_there in page.text
        assert is_not not in page.text
        assert "Without the filter" in page.text
    both = await web.get("/orders?status=delivered&source=SHOPIFY")
    assert 'href="/orders?source=SHOPIFY" aria-label="Without the filter Delivered"' in both.text
    assert "No orders found" in (await web.get("/orders?placedFrom=2100-01-01")).text
    assert (await web.get("/orders?placedFrom=soon")).status_code == 422
    by_total = await web.get("/orders?sort=total")
    assert by_total.text.index("#1001") < by_total.text.index("#1002")


async def test_orders_are_found_by_whose_they_are(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@lee.example")
    bob = await make_customer(api, name="Bob Lee")
    await make_order(api, ann, number="#1001", total="10.00")
    await make_order(api, bob, number="#2002", total="99.00")
    await make_order(api, bob, number="Ann-1")
    for words, found in [
        ("ann lee", {"#1001"}),
        ("ann@lee", {"#1001"}),
        ("lee", {"#1001", "#2002", "Ann-1"}),
        ("Ann", {"Ann-1"}),
    ]:
        page = (await web.get("/orders", params={"search": words})).text
        assert {number for number in ("#1001", "#2002", "Ann-1") if f">{number}<" in page} == found, words
    narrowed = (await web.get("/orders", params={"search": "lee", "minTotal": "50"})).text
    assert (">#2002<" in narrowed, ">#1001<" in narrowed) == (True, False)
    assert "No orders found" in (await web.get("/orders", params={"search": "nobody"})).text
    assert "No orders found" in (await web.get("/orders", params={"search": "lee", "customerId": ann["id"]})).text
    several = told(await api.get("/api/orders", params={"customerId": [ann["id"], bob["id"]]}))
    assert len(several["data"]) == 3


async def test_a_number_is_found_with_its_mark_and_without(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann #1 Lee")
    for number in ("#1001", "1001", "2002", "100%1"):
        await make_order(api, ann, number=number)
    for words, found in [
        ("1001", {"#1001", "1001"}),
        ("#1001", {"#1001", "1001"}),
        (" #10 ", {"#1001", "1001", "100%1"}),
        ("100%", {"100%1"}),
        ("#", {"#1001"}),
    ]:
        page = (await web.get("/orders", params={"search": words})).text
        assert {one for one in ("#1001", "1001", "2002", "100%1") if f">{one}<" in page} == found, words
        assert f"Number begins with {words.strip()}" in page
        listed = told(await api.get("/api/orders", params={"number": words}))
        assert {one["number"] for one in listed["data"]} == found
        palette = (await web.get("/palette", params={"q": words})).text
        assert len(words) == 1 or {one for one in ("#1001", "1001", "2002", "100%1") if f">{one}<" in palette} == found


async def test_what_a_list_is_narrowed_by_stays_in_its_form(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api)
    asked = [
        ("status", "pending"), ("status", "returned"), ("onHold", "false"), ("needsReview", "false"), ("rateMissing", "false"),
        ("customerId", ann["id"]), ("sort", "total"),
    ]  # fmt: skip
    page = (await web.get("/orders", params=[*asked, ("cursor", "")])).text
    form = page.partition('<form method="get" action="/orders"')[2].partition("</form>")[0]
    ticked = re.findall(r'type="checkbox" name="(\w+)" value="([^"]+)" checked', form)
    hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', form)
    chosen = [
        (name, value)
        for name, options in re.findall(r'<select[^>]* name="(\w+)">(.*?)</select>', form, re.DOTALL)
        for value in re.findall(r'value="([^"]+)" selected', options)
    ]
    assert sorted([*ticked, *chosen, *hidden]) == sorted(asked)


async def test_what_is_listed_can_be_exported(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee")
    await make_order(api, ann, number="#1001", source="ETSY")
    for asked, passed_on in [
        ("source=ETSY&sort=total", "source=ETSY"),
        ("search=1001", "number=1001"),
        ("search=ann", f"customerId={ann['id']}"),
    ]:
        page = (await web.get(f"/orders?{asked}")).text
        path = f"/exports/new?kind=orders&amp;{passed_on}"
        both = path if asked.startswith("search") else f"/exports/new?{passed_on}&amp;kind=orders"
        assert f'href="{both}"' in page, asked
        assert ">1</strong>" in (await web.get(both.replace("&amp;", "&"))).text
    await make_order(api, await make_customer(api, name="Ann Ray"), number="2")
    assert "/exports/new" not in (await web.get("/orders?search=ann")).text, (
        "two customers are more than an export takes"
    )


async def test_tabs_say_what_waits(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    assert "No orders yet" in (await web.get("/orders")).text
    assert "No order waits for review" in (await web.get("/orders?needsReview=true")).text
    assert "No order waits for a rate" in (await web.get("/orders?rateMissing=true")).text
    await make_order(api, number="nobodys")
    await make_order(api, number="foreign", currency="EUR", email="a@b.com")
    waiting = await web.get("/orders?needsReview=true")
    assert "nobodys" in waiting.text
    assert "foreign" not in waiting.text
    waiting = await web.get("/orders?rateMissing=true")
    assert "foreign" in waiting.text
    assert "no rate yet" in waiting.text
    assert "nobodys" not in waiting.text


# --- one of them -----------------------------------------------------------------------------------------------------------


async def test_an_order_shows_what_it_is(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    order = await make_order(
        api, number="#7", name="Ann Lee", email="ann@lee.com", lines=LINES, subtotal="9.00", shipping="1.00", total="10.00",
        currency="EUR", exchange_rate="1.1", shipping_address={"line1": "Torstr. 1", "city": "Berlin", "country": "DE"},
    )  # fmt: skip
    page = await web.get(f"/orders/{order['id']}")
    assert page.status_code == 200
    for said in ("Order #7", "MUG-1", "engraving: &lt;i&gt;Ann&lt;/i&gt;", "€4.50", "€9.00", "€10.00", "$11.00", "1 EUR = 1.1 USD",
                 "Torstr. 1", "Germany", "so a new one was made", "Ann Lee", f'href="/api/orders/{order["id"]}"'):  # fmt: skip
        assert said in page.text, said
    assert (await web.get("/orders/01900000-0000-7000-8000-000000000000")).status_code == 404


async def test_an_order_moves_as_the_rules_allow(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    order = await make_order(api, status="confirmed")
    here = f"/orders/{order['id']}"
    page = await web.get(here)
    assert "Mark as processing" in page.text
    assert "The order is past that, and goes forward only." in page.text
    assert "Only what was shipped can come back." in page.text
    moved = await web.post(f"{here}/status", data={"status": "shipped"})
    assert (moved.status_code, moved.headers["location"]) == (303, here)
    assert (await find(api, order))["status"] == "shipped"
    assert (await web.post(f"{here}/status", data={"status": "pending"})).status_code == 409
    assert (await web.post(f"{here}/status", data={"status": "nonsense"})).status_code == 422
    assert (await web.post(f"{here}/deliver")).status_code == 303
    assert (await find(api, order))["deliveredAt"]
    page = await web.get(here)
    assert "The order is delivered. Refund it, or mark it as returned." in page.text
    assert (await web.post(f"{here}/cancel", data={"reason": ""})).status_code == 409
    assert (await find(api, order))["status"] == "delivered"


async def test_an_order_is_cancelled_and_that_is_its_end(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    order = await make_order(api)
    here = f"/orders/{order['id']}"
    assert (await web.post(f"{here}/cancel", data={"reason": "Too late"})).status_code == 303
    assert (await find(api, order))["status"] == "cancelled"
    page = await web.get(here)
    assert "A cancelled order stays cancelled." in page.text
    assert "Mark as" not in page.text


async def test_refunds_are_noted_in_part_and_whole(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    order = await make_order(api, total="10.00")
    here = f"/orders/{order['id']}"
    part = {"amount": "2.50", "reason": "Broken", "externalId": "web-1"}
    assert (await web.post(f"{here}/refund", data=part)).status_code == 303
    assert (await web.post(f"{here}/refund", data=part)).status_code == 303  # sent twice, it is one
    assert (await find(api, order))["refunded"] == "2.50"
    page = await web.get(here)
    for said in ("Partly refunded", "Broken", "−$2.50", "$7.50 are left of $10.00", "Your staff"):
        assert said in page.text, said
    for amount, why in [("7.51", "are left to refund"), ("0", "more than zero"), ("1.001", "digits")]:
        answer = await web.post(f"{here}/refund", data={"amount": amount}, headers={"HX-Request": "true"})
        assert answer.status_code == 422
        [error] = answer.json()["errors"]
        assert error["name"] == "amount"
        assert why in error["text"]
    assert (await web.post(f"{here}/refund", data={"amount": "", "reason": ""})).status_code == 303
    assert (await find(api, order))["refunded"] == "10.00"
    page = await web.get(here)
    assert "Refunded" in page.text
    assert 'id="refund"' not in page.text


async def test_an_order_is_held_and_goes_on(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    order = await make_order(api)
    here = f"/orders/{order['id']}"
    assert (await web.post(f"{here}/hold", data={"holdReason": "Odd address"})).status_code == 303
    assert (await find(api, order))["holdReason"] == "Odd address"
    page = await web.get(here)
    assert "Odd address" in page.text
    assert f'data-undo="{here}/release"' in page.text
    assert (await web.post(f"{here}/release")).status_code == 303
    assert (await find(api, order))["onHold"] is False


async def test_tags_and_the_note_are_written(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    order = await make_order(api)
    here = f"/orders/{order['id']}"
    assert (await web.post(f"{here}/note", data={"note": "Call first"})).status_code == 303
    assert (await web.post(f"{here}/tag", data={"tag": " a/b & c "})).status_code == 303
    assert (await web.post(f"{here}/tag", data={"tag": " "})).status_code == 422
    kept = await find(api, order)
    assert (kept["note"], kept["tags"]) == ("Call first", ["a/b & c"])
    assert "a/b &amp; c" in (await web.get(here)).text
    assert (await web.post(f"{here}/untag", data={"tag": "a/b & c"})).status_code == 303
    assert (await web.post(f"{here}/note", data={"note": ""})).status_code == 303
    kept = await find(api, order)
    assert (kept["note"], kept["tags"]) == (None, [])


# --- whose it is -------------------------------------------------------------------------------------------------------------


async def test_an_order_moves_to_another_customer_and_back(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann, bob = await make_customer(api, name="Ann Lee"), await make_customer(api, name="Bob Ray")
    order = await make_order(api, ann)
    here = f"/orders/{order['id']}"
    page = await web.get(f"{here}?find=bob")
    assert "Choose Bob Ray" in page.text
    assert (await web.post(f"{here}/customer", data={"customerId": bob["id"]})).status_code == 303
    assert (await find(api, order))["customerId"] == bob["id"]
    page = await web.get(here)
    assert "Somebody gave it to this customer." in page.text
    undo = f"{here}/customer/{ann['id']}"
    assert f'data-undo="{undo}"' in page.text
    assert (await web.post(undo)).status_code == 303
    assert (await find(api, order))["customerId"] == ann["id"]
    nobody = "01900000-0000-7000-8000-000000000000"
    assert (await web.post(f"{here}/customer", data={"customerId": nobody})).status_code == 422
    assert (await find(api, order))["customerId"] == ann["id"]


async def test_an_order_that_waits_for_review_gets_a_new_customer(
    api: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    order = await make_order(api, number="#5")
    here = f"/orders/{order['id']}"
    assert "Whose is this order?" in (await web.get(here)).text
    assert (await web.post(f"{here}/customer/new", data={"name": "", "email": ""})).status_code == 422
    assert (await find(api, order))["needsReview"] is True
    made = await web.post(f"{here}/customer/new", data={"name": "Cy Doe", "email": "cy@doe.com", "phone": ""})
    assert made.status_code == 303
    kept = await find(api, order)
    assert kept["needsReview"] is False
    assert told(await api.get(f"/api/customers/{kept['customerId']}"))["email"] == "cy@doe.com"
    assert "Whose is this order?" not in (await web.get(here)).text


async def test_who_did_not_count_is_told_by_name(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", phone="+4930123456")
    order = await make_order(api, name="Zoe Kim", phone="+4930123456")
    page = await web.get(f"/orders/{order['id']}")
    assert ann["id"] not in page.text or f'href="/customers/{ann["id"]}">Ann Lee</a>' in page.text


# --- rates -----------------------------------------------------------------------------------------------------------------


async def test_a_rate_is_set_at_the_order(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    order = await make_order(api, currency="EUR", email="a@b.com", placed_at="2026-03-05T10:00:00Z")
    here = f"/orders/{order['id']}"
    assert "What was EUR worth?" in (await web.get(here)).text
    for wrong in ("0", "-1", "much"):
        assert (await web.post(f"{here}/rate", data={"rate": wrong})).status_code == 422
    assert (await find(api, order))["exchangeRate"] is None
    assert (await web.post(f"{here}/rate", data={"rate": "1.25", "keep": "true"})).status_code == 303
    assert Decimal((await find(api, order))["exchangeRate"]) == Decimal("1.25")
    assert told(await api.get("/api/rates"))["data"] == [{"currency": "EUR", "date": "2026-03-05", "rate": "1.25"}]
    assert "What was EUR worth?" not in (await web.get(here)).text


async def test_rates_are_listed_put_and_deleted(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    assert "No rates here" in (await web.get("/orders/rates")).text
    await make_order(api, currency="EUR", email="a@b.com")
    assert "EUR · 1 order" in (await web.get("/orders/rates")).text
    rate = {"currency": "EUR", "date": "2026-03-05", "rate": "1.25"}
    assert (await web.post("/orders/rates", data=rate)).headers["location"] == "/orders/rates"
    for name, wrong in [("currency", "USD"), ("currency", "ABC"), ("rate", "0"), ("date", "soon")]:
        answer = await web.post("/orders/rates", data=rate | {name: wrong}, headers={"HX-Request": "true"})
        assert answer.status_code == 422
        assert [error["name"] for error in answer.json()["errors"]] == [name]
    page = await web.get("/orders/rates?currency=EUR")
    assert "1 rate<" in page.text
    assert "Mar 5, 2026" in page.text
    assert (await web.post("/orders/rates/EUR/2026-03-05/delete")).status_code == 303
    page = await web.get("/orders/rates")
    undo = "/orders/rates/EUR/2026-03-05/1.25"
    assert f'data-undo="{undo}"' in page.text
    assert (await web.post("/orders/rates/EUR/2026-03-05/delete")).status_code == 404
    assert (await web.post(undo)).status_code == 303
    assert told(await api.get("/api/rates"))["data"] == [rate]


# --- who may ----------------------------------------------------------------------------------------------------------------


async def test_a_viewer_reads_and_changes_nothing(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    order = await make_order(api, currency="EUR", tags=["gift"], note="Hello")
    here = f"/orders/{order['id']}"
    async with sites.signed_in(db, shop, "viewer") as viewer:
        for path in ("/orders", here, "/orders/rates"):
            page = await viewer.get(path)
            assert page.status_code == 200
            main = page.text.partition("<main")[2].partition("</main>")[0]
            assert 'method="post"' not in main
            assert "<dialog" not in main
        for path in (
            "status",
            "deliver",
            "cancel",
            "refund",
            "hold",
            "release",
            "customer",
            "customer/new",
            "note",
            "tag",
            "rate",
        ):
            assert (await viewer.post(f"{here}/{path}")).status_code == 403
        assert (await viewer.post("/orders/rates")).status_code == 403
        assert (await viewer.post("/orders/rates/EUR/2026-03-05/delete")).status_code == 403
    assert (await find(api, order))["version"] == order["version"]
