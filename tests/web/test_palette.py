"""What the palette finds, and for whom; without a browser."""

import re
from typing import Any

import httpx
import pytest

from supover.kit.db import Database
from tests.makers import Workspace, make_customer, make_order, told
from tests.web import sites


async def offered(web: httpx.AsyncClient, typed: str, path: str = "/") -> list[tuple[str, str]]:
    """What is offered, in order: the label, and where it leads or what it presses."""
    page = await web.get("/palette", params={"q": typed}, headers={"HX-Current-URL": f"http://test{path}"})
    assert page.status_code == 200
    found = re.findall(r'data-(?:href|press)="([^"]*)".*?<span class="truncate">([^<]*)</span>', page.text)
    return [(label, to.replace("&#34;", '"')) for to, label in found]


@pytest.mark.parametrize(
    ("typed", "label", "to"),
    [
        ("invite", "Invite somebody", "/settings/staff#invite"),
        ("colleague", "Invite somebody", "/settings/staff#invite"),
        ("sign out", "Sign out", '#me form[action="/sign-out"] button'),
        ("logout", "Sign out", '#me form[action="/sign-out"] button'),
        ("dark", "Dark theme", '[data-theme="dark"]'),
        ("theme", "Dark theme", '[data-theme="dark"]'),
        ("vietnamese", "Account and language", "/settings/account"),
        ("language", "Account and language", "/settings/account"),
        ("create key", "New API key", "/settings/keys#new-key"),
        ("new customer", "Add customer", "/customers/new"),
        ("import", "Import a file", "/imports/new"),
        ("export", "Export orders", "/exports/new?kind=orders"),
        ("phan khuc", "Segments", "/segments"),
        ("ĐĂNG XUẤT", "Sign out", '#me form[action="/sign-out"] button'),
        ("dang xuat", "Sign out", '#me form[action="/sign-out"] button'),
    ],
)
async def test_a_place_or_a_deed_is_found_by_any_of_its_words(
    web: httpx.AsyncClient, typed: str, label: str, to: str
) -> None:
    assert (label, to) in await offered(web, typed)


async def test_what_is_called_so_comes_before_what_is_only_about_it(web: httpx.AsyncClient) -> None:
    labels = [label for label, _ in await offered(web, "merge")]
    assert labels.index("Merge review") < labels.index("Tags")
    assert "Home" not in labels


async def test_only_what_one_may_do_is_offered(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee")
    async with sites.signed_in(db, shop, "viewer") as web:
        assert await offered(web, "invite") == [("Search customers for “invite”", "/customers?search=invite")]
        assert {label for label, _ in await offered(web, "", f"/customers/{ann['id']}")}.isdisjoint(
            {"Block", "Add a note", "Merge with another", "Erase for good…", "Add customer"}
        )
        assert ("Sign out", '#me form[action="/sign-out"] button') in await offered(web, "")


async def test_what_can_be_done_on_the_open_page_comes_first(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Blocker Ann")
    order: Any = await make_order(api, ann)
    on_ann = await offered(web, "block", f"/customers/{ann['id']}")
    assert [label for label, _ in on_ann][:2] == ["Block", "Blocker Ann"]
    assert ("Merge with another", f"/merges/new?ids={ann['id']}") in await offered(
        web, "merge", f"/customers/{ann['id']}/timeline"
    )
    here = await offered(web, "", f"/orders/{order['id']}")
    assert [label for label, _ in here][:3] == ["Move the order on", "Refund", "Open the customer"]
    assert "Refund" not in [label for label, _ in await offered(web, "refund", "/orders")]


async def test_who_has_neither_name_nor_contact_is_known_by_the_channel_and_its_id(
    api: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    for id in ("buyer-4711", "buyer-4712"):
        told(await api.put(f"/api/customers/external/TIKTOK_SHOP/{id}", json={}), 201)
    palette = (await web.get("/palette", params={"q": "4711"})).text
    assert "TikTok Shop · <bdi>buyer-4711</bdi>" in palette
    page = (await web.get("/customers")).text
    assert "<small>TikTok Shop · <bdi>buyer-4712</bdi></small>" in page
