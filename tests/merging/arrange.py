"""What the tests of merging begin with and look at."""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import httpx

from supover import wiring
from supover.kit.db import Database
from supover.kit.proof import Difference
from tests import makers
from tests.makers import Json, Workspace, told
from tests.segments.arrange import settle

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

__all__ = ["settle"]

APART: Final = frozenset(
    {
        *("customer_merge", "customer_merge_row", "event_log", "audit_log", "idempotency", "job"),
        # What is marked is counted anew; who entered when is told by the segment's own days.
        *("customer_stale", "segment_stale", "segment_day", "segment", "api_key"),
    }
)
"""Tables that a merge and its undo leave traces in."""
COLUMNS_APART: Final = ("version", "updated_at", "refreshed_at", "entered_at")

TABLES: Final = """
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
      join pg_attribute a on a.attrelid = c.oid and a.attname = 'workspace_id'
     where n.nspname = 'data' and c.relkind = 'r' order by c.relname"""


async def dump(owner: "Connection", shop: Workspace) -> dict[str, list[str]]:
    """Every row of a workspace, but for what a merge and its undo leave behind."""
    found: dict[str, list[str]] = {}
    for [table] in await owner.fetch(TABLES):
        if table in APART:
            continue
        rows = await owner.fetch(
            f'select to_jsonb(t) - $2::text[] from data."{table}" t where t.workspace_id = $1',
            shop.id,
            list(COLUMNS_APART),
        )
        kept = [json.loads(row[0]) for row in rows]
        if table == "custom_field_value":
            # One without a key says that there is none, as no row at all does.
            kept = [row for row in kept if row["text_key"] is not None]
        found[table] = sorted(json.dumps(row, sort_keys=True) for row in kept)
    return found


def differing(before: dict[str, list[str]], after: dict[str, list[str]]) -> dict[str, Any]:
    """What differs between two dumps, table by table: rows that are no more, and rows that are new."""
    return {
        table: (sorted(set(before[table]) - set(after[table])), sorted(set(after[table]) - set(before[table])))
        for table in before
        if before[table] != after[table]
    }


async def differences(db: Database, shop: Workspace) -> list[Difference]:
    """What `supover reconcile` would say."""
    found: list[Difference] = []
    async with db.snapshot(shop.id) as reader:
        for proof in wiring.proofs():
            _, some = await proof(reader)
            found += some
    return found


async def merge(api: httpx.AsyncClient, primary: Json, *others: Json, **more: Any) -> Json:
    """A merge that succeeds."""
    return told(await api.post("/api/customers/merge", json=body(primary, *others, **more)))


def body(primary: Json, *others: Json, **more: Any) -> Json:
    """What a merge is asked by."""
    return {"primaryId": primary["id"], "duplicateIds": [other["id"] for other in others], **more}


async def undo(api: httpx.AsyncClient, done: Json) -> Json:
    """An undo that succeeds."""
    return told(await api.post(f"/api/merges/{done['mergeId']}/undo"))


async def customer(api: httpx.AsyncClient, id: str) -> Json:
    """A customer as it is now."""
    return told(await api.get(f"/api/customers/{id}"))


async def listed(api: httpx.AsyncClient, path: str) -> list[Json]:
    """The first two hundred of a list."""
    return told(await api.get(f"{path}{'&' if '?' in path else '?'}limit=200"))["data"]


NOW: Final = datetime(2026, 5, 1, tzinfo=UTC)


class Shop:
    """A shop in which anything happens, at random: some of it to who are merged."""

    def __init__(self, api: httpx.AsyncClient, seed: int) -> None:
        self.api = api
        self.random = random.Random(seed)
        self.living: list[str] = []
        self.merges: list[str] = []
        self.groups: list[str] = []
        self.orders: list[str] = []
        self.number = 0

    def one(self) -> str:
        """Somebody who lives."""
        return self.random.choice(self.living)

    def word(self, *choices: str) -> str:
        """One of these."""
        return self.random.choice(choices)

    def at(self) -> str:
        """Some time in spring."""
        return (NOW + timedelta(minutes=self.random.randrange(50_000))).isoformat()

    async def begin(self) -> None:
        """A unique custom field, an indexed one, segments and groups."""
        for field in (
            {"key": "card", "type": "text", "isUnique": True},
            {"key": "size", "type": "choice", "choices": ["S", "M"], "isIndexed": True},
        ):
            told(await self.api.post("/api/custom-fields", json=field), 201)
        for name, filter in (("buyers", "number_of_orders >= 2"), ("tagged", "customer_tags CONTAINS 'a'")):
            told(await self.api.post("/api/segments", json={"name": name, "filter": filter}), 201)
        for name in ("one", "two"):
            made = told(await self.api.post("/api/segments", json={"name": name, "kind": "manual"}), 201)
            self.groups.append(made["id"])
        for _ in range(4):
            await self.someone()

    async def someone(self) -> None:
        """A customer; the email may be another's, who then stays alone with it."""
        self.number += 1
        n = self.number
        fields: Json = {
            "name": self.word("Ann Lee", "Bo Day", "A. Lee"),
            "tags": self.random.sample(["a", "b", "C", "d"], 2),
        }
        if self.random.random() < 0.7:
            fields["email"] = f"p{n}@mail.example"
        if self.random.random() < 0.5:
            fields["phone"] = f"+4915100000{self.random.randrange(4)}"
        if self.random.random() < 0.3:
            fields |= {"source": "SHOPIFY", "externalId": f"buyer-{n}"}
        if self.random.random() < 0.4:
            fields["customFields"] = {"card": f"c{n}", "size": self.word("S", "M")}
        if self.random.random() < 0.3:
            fields |= {"status": self.word("VIP", "BLOCKED", "INACTIVE"), "country": self.word("DE", "US")}
        made = told(await self.api.post("/api/customers", json=fields), 201)
        self.living.append(made["id"])

    async def order(self) -> None:
        """An order by an id, an email, a phone or a channel's id; it may bring a place, and somebody new."""
        self.number += 1
        fields: Json = {
            "total": f"{self.random.randrange(1, 90)}.00",
            "status": self.word("confirmed", "delivered", "cancelled"),
            "source": "SHOPIFY",
            "externalId": f"o{self.number}",
        }
        match self.random.randrange(4):
            case 0:
                fields["customerId"] = self.one()
            case 1:
                fields["email"] = f"p{self.random.randrange(self.number)}@mail.example"
            case 2:
                fields |= {"phone": f"+4915100000{self.random.randrange(4)}", "name": "Ann Lee"}
            case _:
                fields |= {
                    "customerExternalId": f"buyer-{self.random.randrange(self.number)}",
                    "email": "x@mail.example",
                }
        if self.random.random() < 0.5:
            fields["shippingAddress"] = {
                "line1": f"{self.random.randrange(3)} High St",
                "city": "Leeds",
                "postalCode": "LS1 1AA",
                "country": "GB",
            }
        made = told(await self.api.post("/api/orders", json=fields), 201)
        self.orders.append(made["id"])
        if made["customerId"] not in (None, *self.living):
            self.living.append(made["customerId"])

    async def act(self) -> None:
        """Something happens to somebody."""
        id, api = self.one(), self.api
        match self.random.randrange(9):
            case 0:
                told(await api.post(f"/api/customers/{id}/notes", json={"note": self.word("calls", "writes")}), 201)
            case 1:
                place = {
                    "line1": f"{self.random.randrange(3)} High St",
                    "city": "Leeds",
                    "postalCode": "LS1 1AA",
                    "country": "GB",
                }
                kind = self.word("SHIPPING", "BILLING", "BOTH")
                told(await api.post(f"/api/customers/{id}/addresses", json={"type": kind, **place}), 201)
            case 2:
                told(await api.post(f"/api/customers/{id}/tags", json={"tags": [self.word("a", "b", "e")]}))
            case 3:
                choice = {
                    "channel": self.word("email", "sms"),
                    "topic": self.word("marketing", "surveys"),
                    "state": self.word("SUBSCRIBED", "UNSUBSCRIBED", "PENDING"),
                    "optInLevel": self.word("UNKNOWN", "CONFIRMED_OPT_IN"),
                    "at": self.at(),
                }
                answer = await api.put(f"/api/customers/{id}/communication-preferences", json=choice)
                assert answer.status_code in (200, 422)  # who has no contact cannot say so
            case 4:
                wanted = {"language": self.word("de", "en"), "quietHours": {"from": "22:00", "to": "08:00"}}
                told(await api.patch(f"/api/customers/{id}/communication-preferences", json=wanted))
            case 5:
                told(await api.post(f"/api/segments/{self.word(*self.groups)}/customers", json={"ids": [id]}))
            case 6:
                change = {"country": self.word("DE", "US"), "dateOfBirth": f"19{self.random.randrange(50, 99)}-01-02"}
                told(await api.patch(f"/api/customers/{id}", json=change))
            case 7:
                self.number += 1
                answer = await api.patch(f"/api/customers/{id}", json={"email": f"q{self.number}@mail.example"})
                told(answer)
            case _:
                self.number += 1
                told(await api.patch(f"/api/customers/{id}", json={"customFields": {"card": f"c{self.number}"}}))

    def some(self) -> list[str]:
        """Two or three who live."""
        return self.random.sample(self.living, min(len(self.living), self.random.choice([2, 2, 3])))

    def asked(self, ids: Sequence[str]) -> Json:
        """A merge of these, now and then with a choice."""
        fields: Json = {}
        if self.random.random() < 0.3:
            fields["email"] = {"customerId": self.random.choice(ids)}
        if self.random.random() < 0.2:
            fields["name"] = {"value": "Told Otherwise"}
        return {"primaryId": ids[0], "duplicateIds": list(ids[1:]), "fields": fields}


async def keyed(db: Database, shop: Workspace, *scopes: str) -> httpx.AsyncClient:
    """A program that may do only this."""
    return makers.client(db, await makers.make_key(db, shop.id, *scopes))
