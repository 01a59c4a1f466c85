"""What the staff, the programs and the shops of the demo shop do on a day: then its pages have something to show."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from supover.kit import clock, ids
from tests.inbox.arrange import SECRET, signature
from tests.web.sites import Person

SHOP: Final = "nordic-home.myshopify.com"
SHOPIFY: Final = Path(__file__).parents[1] / "payloads/shopify"
COLLEAGUES: Final = (("Grace Okafor", "admin"), ("Minh Tran", "agent"), ("Lena Vogel", "viewer"))
PROGRAMS: Final = (
    ("Warehouse", ["orders:read", "orders:write", "events:read", "exports:write", "exports:read"], 90),
    ("Reports", ["analytics:read", "customers:read"], 30),
    ("Storefront", ["customers:read", "orders:read", "orders:write"], None),
)
LAMP: Final = {"sku": "LMP-MID", "title": "Lamp, Midnight Blue", "quantity": 1, "unitPrice": "129.00"}


async def day(url: str, person: Person) -> None:
    """Works for a day, through the same doors as everybody."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as web:
        await _sign_in(web, email=person.email, password=person.password)
        await _invite(web, url)
        key = await _make_keys(web)
        await _tend_customers(web)
        await _tend_orders(web)
        await _shop_sends(web)
        await _program_asks(url, key)


async def _say(web: httpx.AsyncClient, method: str, path: str, **body: object) -> Any:
    answer = await web.request(method, f"/api{path}", json=body or None)
    answer.raise_for_status()
    return answer.json() if answer.content else None


async def _sign_in(web: httpx.AsyncClient, **who: str) -> None:
    found = await _say(web, "POST", "/session", **who)
    web.headers["X-CSRF-Token"] = found["csrfToken"]


async def _invite(web: httpx.AsyncClient, url: str) -> None:
    """Colleagues, of whom the last has not answered yet."""
    for name, role in COLLEAGUES:
        email = f"{name.split()[0].lower()}@supover.example"
        invited = await _say(web, "POST", "/staff", name=name, email=email, role=role)
        if role != "viewer":
            async with httpx.AsyncClient(base_url=url, timeout=60) as theirs:
                code = invited["invitationCode"]
                await _sign_in(theirs, email=email, invitationCode=code, password=f"the long way home, {name}")


async def _make_keys(web: httpx.AsyncClient) -> str:
    """A key for each program; that of the last."""
    key = ""
    for name, scopes, days in PROGRAMS:
        ends = {"expiresAt": (clock.now() + timedelta(days=days)).isoformat()} if days else {}
        key = (await _say(web, "POST", "/keys", name=name, scopes=scopes, **ends))["apiKey"]
    return key


async def _tend_customers(web: httpx.AsyncClient) -> None:
    """Changes some, answers who asks for their data, and puts tags in order."""
    found = (await _say(web, "GET", "/customers?sort=-totalSpent&limit=12"))["data"]
    await _say(web, "PATCH", f"/customers/{found[5]['id']}", status="VIP", name="Café Fjord")
    await _say(web, "PATCH", f"/customers/{found[6]['id']}", tags=["wholesale", "local"])
    await _say(web, "PATCH", f"/customers/{found[7]['id']}", phone="+1 202 555 0143", country="US")
    await _say(web, "POST", "/suppressions", contact="press@letters.example", reason="manual")
    await _say(web, "PATCH", "/tags/press", tag="press and blogs")
    await _say(web, "POST", f"/customers/{found[8]['id']}/privacy/export")
    await _say(web, "POST", f"/customers/{found[9]['id']}/privacy/erase", reason="Asked by email", delayDays=14)


async def _tend_orders(web: httpx.AsyncClient) -> None:
    """One comes without a name, one in a currency without a rate; one that is on its way is refunded in part."""
    await _say(web, "POST", "/orders", number="#7101", total="129.00", subtotal="129.00", lines=[LAMP])
    whose = {"email": "yuki.sato@inbox.example", "name": "Yuki Sato"}
    yen = LAMP | {"unitPrice": "18900"}
    await _say(web, "POST", "/orders", number="#7102", currency="JPY", total="18900", lines=[yen], **whose)
    one = (await _say(web, "GET", "/orders?status=shipped&limit=1"))["data"][0]["id"]
    await _say(web, "POST", f"/orders/{one}/refund", externalId="late", amount="12.50", reason="The parcel came late")
    await _say(web, "PATCH", f"/orders/{one}", tags=["gift"], note="Wants the invoice by email, not in the parcel.")


async def _shop_sends(web: httpx.AsyncClient) -> None:
    """A shop is connected, and sends what shops send; one message cannot be read."""
    shop = await _say(web, "POST", "/channels", platform="SHOPIFY", shop=SHOP, secret=SECRET, name="Nordic Home")
    for name, topic in (
        ("customer_created", "customers/create"), ("order_created", "orders/create"), ("order_fulfilled", "orders/fulfilled"),
        ("order_created", "orders/updated"), ("order_guest", "orders/create"), ("refund_created", "refunds/create"),
    ):  # fmt: skip
        await _send(web, shop["id"], topic, json.loads((SHOPIFY / f"{name}.json").read_bytes()))
    broken = json.loads((SHOPIFY / "order_created.json").read_bytes()) | {"id": 5500000009001, "total_price": "n/a"}
    await _send(web, shop["id"], "orders/create", broken)
    await _send(web, shop["id"], "products/update", {"id": 7700000000001})


async def _send(web: httpx.AsyncClient, shop: str, topic: str, body: Mapping[str, object]) -> None:
    raw = json.dumps(body).encode()
    told = {"X-Shopify-Topic": topic, "X-Shopify-Shop-Domain": SHOP, "X-Shopify-Api-Version": "2026-10"}
    told |= {"X-Shopify-Webhook-Id": ids.new().hex, "X-Shopify-Hmac-Sha256": signature(raw)}
    answer = await web.post(f"/hooks/channels/{shop}", content=raw, headers=told | {"Content-Type": "application/json"})
    answer.raise_for_status()


async def _program_asks(url: str, key: str) -> None:
    """The storefront reads, and asks for more than it may and than there is."""
    async with httpx.AsyncClient(base_url=f"{url}/api", headers={"Authorization": f"Bearer {key}"}, timeout=60) as api:
        for path in (
            "/customers?search=huber&limit=5", "/orders?status=shipped&limit=20", "/customers?country=GB&sort=-totalSpent", "/rates",
            "/customers?limit=5000", "/staff", "/orders/01900000-0000-7000-8000-000000000000", "/orders?sort=-total&limit=10",
        ):  # fmt: skip
            await api.get(path)
