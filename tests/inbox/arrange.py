"""What the tests of the inbox begin with: a connected shop, payloads, deliveries as Shopify signs them, and the drain."""

import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
import msgspec

from supover import wiring
from supover.inbox import jobs
from supover.inbox.model import Arrived
from supover.kit import ids
from supover.kit.db import Database
from tests.makers import Json, Workspace, client, make_workspace, settle, told

wiring.load()
PAYLOADS: Final = Path(__file__).resolve().parents[1] / "payloads" / "shopify"
SECRET: Final = "shpss_" + "5ec2e7" * 5


def payload(file: str, /, **over: Any) -> Json:
    """A payload of tests/payloads, with some of its fields changed."""
    return deepcopy(_read(file)) | over


@cache
def _read(file: str) -> Json:
    return json.loads((PAYLOADS / f"{file}.json").read_text("utf-8"))


class Connected(msgspec.Struct, frozen=True):
    """A shop that is connected to a workspace, and an outside program with the workspace's key."""

    db: Database
    workspace: Workspace
    api: httpx.AsyncClient
    id: UUID
    shop: str

    async def send(self, topic: str, body: Json | bytes, **over: str | None) -> httpx.Response:
        """Delivers as Shopify does; headers may be changed or left out (None)."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.api.post(f"/hooks/channels/{self.id}", content=raw, headers=self.headers(topic, raw, **over))

    def headers(self, topic: str, raw: bytes, **over: str | None) -> dict[str, str]:
        event = ids.new().hex
        given: dict[str, str | None] = {
            "X-Shopify-Topic": topic,
            "X-Shopify-Shop-Domain": self.shop,
            "X-Shopify-Api-Version": "2026-10",
            "X-Shopify-Webhook-Id": event,
            "X-Shopify-Event-Id": event,
            "X-Shopify-Hmac-Sha256": signature(raw),
            "Content-Type": "application/json",
            "Authorization": None,
        }
        given |= {name.replace("_", "-"): value for name, value in over.items()}
        return {name: value for name, value in given.items() if value is not None}

    async def work(self) -> int:
        """Drains the inbox and refreshes the figures; how many messages that were."""
        done = 0
        while more := await jobs.work_off(self.db, self.workspace.id):
            done += more
        await settle(self.db, self.workspace)
        return done

    async def take(self, topic: str, body: Json | bytes, **over: str | None) -> Json:
        """Delivers, drains, and returns what became of it."""
        answer = await self.send(topic, body, **over)
        assert answer.status_code == 202, answer.text
        await self.work()
        return (await self.messages())[0]

    async def messages(self, **params: str) -> list[Json]:
        """The newest messages of the inbox."""
        return told(await self.api.get("/api/inbox", params={"limit": "200", **params}))["data"]

    async def counts(self) -> Counter[str]:
        """How many messages are in which status."""
        async with self.db.reader(self.workspace.id) as reader:
            rows = await reader.rows(
                "select status, count(*) from inbox_message where workspace_id = $1 group by status"
            )
        return Counter({status: count for status, count in rows})

    async def order(self, external_id: object = 5500000001001) -> Json:
        """The order of this id at the shop."""
        found = told(await self.api.get("/api/orders", params={"limit": "200"}))["data"]
        return next(order for order in found if order["externalId"] == str(external_id))

    async def customers(self) -> list[Json]:
        return told(await self.api.get("/api/customers", params={"limit": "200"}))["data"]


def arrived(shopify: Connected, name: str, topic: str, raw: bytes) -> Arrived:
    """A delivery as it is kept."""
    return Arrived(
        connection_id=shopify.id,
        topic=topic,
        delivery_id=name,
        event_id=None,
        api_version=None,
        triggered_at=None,
        body=raw,
    )


def signature(raw: bytes, secret: str = SECRET) -> str:
    """As Shopify signs."""
    return base64.b64encode(hmac.new(secret.encode(), raw, hashlib.sha256).digest()).decode()


@asynccontextmanager
async def connected(db: Database, secret: str = SECRET, shop: str | None = None) -> AsyncGenerator[Connected]:
    """A workspace of its own with a connected shop."""
    workspace = await make_workspace(db)
    address = shop or f"s{ids.new().hex[-10:]}.myshopify.com"
    async with client(db, workspace.key) as api:
        made = told(
            await api.post("/api/channels", json={"platform": "SHOPIFY", "shop": address, "secret": secret}), 201
        )
        yield Connected(db, workspace, api, UUID(made["id"]), address)
