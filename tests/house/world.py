"""Two shops with everything in them, every operation with a body that it takes, and a look at what changed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import asyncpg
import httpx
import msgspec

from supover.examples import EXAMPLES
from supover.kit import ids
from supover.kit.db import Database
from supover.kit.problems import TYPE_BASE
from tests import makers
from tests.house.asking import Operation, operations

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

Json = dict[str, Any]

# --- bodies ----------------------------------------------------------------------------------------------------------

MORE: Final[Mapping[str, Json]] = {
    "CustomerReplacement": {"name": "Grace Hopper", "email": "grace@navy.example"},
    "ExternalProfile": {"name": "Grace Hopper"},
    "ConnectionChange": {"name": "The pen shop"},
    "CustomFieldChange": {"label": "Size of shirts", "isRequired": False},
    "TagRename": {"tag": "something else"},
    "TagRemoval": {"tags": ["something"]},
    "IdentityMove": {"customerId": str(UUID(int=0))},
    "SegmentReplacement": {"name": "The panel"},
    "ViewReplacement": {"name": "VIPs", "query": "status=VIP"},
    "StaffChange": {"role": "viewer"},
    "Acceptance": {},
    "NewScan": {"full": True},
    "SettingsChange": {"nightlyScan": False},
    "SwitchWorkspace": {"workspaceId": str(UUID(int=0))},
    "PasswordChange": {"current": "correct horse battery", "new": "correct horse battery staple"},
}
"""Bodies of schemas that have no example in the reference."""

NAMED: Final = {"currency": "GBP", "day": "2026-01-01"}
"""What stands in places of an address that take no id."""

PASSWORD: Final = "correct horse battery"
FILES: Final[Mapping[str, tuple[str, bytes]]] = {
    "imports.create_orders": ("orders.csv", b"externalId,total,placedAt,currency\nworld-1,10.00,2026-01-31,USD\n"),
    "imports.create_customers": (
        "customers.csv",
        b"email,name,tags,line1,city,addressCountry\nworld-1@mail.example,World One,VIP;new,Torstr. 1,Berlin,DE\n",
    ),
    "avatars.put": ("me.png", makers.png()),
}
"""What takes a file, and a good one."""

NOT_BY_KEY: Final = frozenset(
    {
        *("access.sign_in", "access.switch_workspace", "access.sign_out", "access.change_password"),
        "access.end_session",
        *(
            "access.find_second_step",
            "access.begin_second_step",
            "access.confirm_second_step",
            "access.renew_recovery_codes",
            "access.end_second_step",
        ),
    }
)
"""What only a browser's session does; tests/access proves these."""


class Call(msgspec.Struct, frozen=True):
    """An operation with what it takes to call it."""

    operation: Operation
    schema: str | None
    body: Mapping[str, Any] | None
    uploads: bool

    @property
    def nouns(self) -> list[str]:
        """What the UUIDs in its address name, in order."""
        by_name = {p["name"]: p for p in self.operation.parameters if p["in"] == "path"}
        parts = self.operation.path.split("/")
        return [
            parts[n - 1]
            for n, part in enumerate(parts)
            if part.startswith("{") and by_name[part[1:-1]]["schema"].get("format") == "uuid"
        ]

    def path(self, given: Sequence[UUID | str]) -> str:
        """The address with these in its places for UUIDs, and something in the others."""
        by_name = {p["name"]: p for p in self.operation.parameters if p["in"] == "path"}
        left = list(given)

        def fill(found: re.Match[str]) -> str:
            is_id = by_name[found[1]]["schema"].get("format") == "uuid"
            return str(left.pop(0)) if is_id else NAMED.get(found[1], "something")

        return re.sub(r"\{(\w+)\}", fill, self.operation.path)

    async def send(self, client: httpx.AsyncClient, given: Sequence[UUID | str], **more: Any) -> httpx.Response:
        """Calls it with its good body, unless another is given."""
        if self.uploads:
            more = {"files": {"file": FILES[self.operation.id]}} | more
        elif self.body is not None:
            more = {"json": self.body} | more
        return await client.request(self.operation.method, self.path(given), **more)


def calls(document: Mapping[str, Any]) -> list[Call]:
    """Every operation of the API, each with a good body."""
    found: list[Call] = []
    for operation in operations(document):
        if not operation.is_api:
            continue
        about = document["paths"][operation.path][operation.method.lower()]
        content: Mapping[str, Any] = about.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2] or None
        if schema is not None:
            assert schema in EXAMPLES or schema in MORE, f"tests/house/world.py has no body for {schema}"
        body = None if schema is None else EXAMPLES.get(schema, MORE.get(schema))
        found.append(Call(operation, schema, body, operation.id in FILES))
    return found


# --- shops -----------------------------------------------------------------------------------------------------------


class Shop(msgspec.Struct, frozen=True):
    """A workspace with one row of each noun at least; `second` are those of its second customer."""

    workspace: makers.Workspace
    ids: Mapping[str, UUID]
    second: Mapping[str, UUID]
    email: str
    external_id: str
    people: Mapping[str, tuple[str, str]]


BEHIND: Final = """
    insert into data.import_run (workspace_id, id, kind, status, file_name, file_hash, file_key, options, actor, header, chunk_rows,
           encoding, format, started_at)
    values ($1, $2, 'customers', 'failed', 'customers.csv', 'x', 'imports/00000000000000000000000000000000', '{}', 'cli',
           '{email,dateOfBirth}', 10000, 'utf-8', 'csv', now())"""
CHUNK: Final = """
    insert into data.import_chunk (workspace_id, import_id, number, first_row, last_row, rows, created, updated, skipped, failed, first_id,
           last_id, created_ids, kept)
    values ($1, $2, 0, 2, 3, 2, 1, 0, 0, 1, $3, $3, array[$3::uuid],
            jsonb_build_array(jsonb_build_object('customerId', $3::uuid, 'why', 'orders')))"""
REFUSED: Final = """
    insert into data.import_error (workspace_id, import_id, row_number, field, code, message, cells)
    values ($1, $2, 2, 'dateOfBirth', 'date', 'is not a date', '{ann@mail.example,ten}')"""
MESSAGE: Final = """
    insert into data.inbox_message (workspace_id, id, connection_id, topic, delivery_id, body, body_hash, size, status, reason)
    values ($1, $2, $3, 'orders/create', 'delivery', '{}', sha256('{}'), 2, 'dead', '/id: is required')"""
EXPORTED: Final = """
    insert into data.export_run (workspace_id, id, kind, format, status, asked, file_name, actor)
    values ($1, $2, 'customers', 'csv', 'failed', '{}', 'customers.csv', 'cli')"""
JOB: Final = """
    insert into data.job (workspace_id, id, kind, state, attempts) values ($1, $2, 'house.test', 'dead', 5)"""
SESSION: Final = "select id from data.session where staff_id = $1"
PAIR: Final = """
    insert into data.duplicate_pair (workspace_id, id, a_id, b_id, score, level, own_level, reasons, cluster_id)
    values ($1, $2, least($3::uuid, $4), greatest($3::uuid, $4), 16, 'suggested', 'suggested', '{same address}', least($3::uuid, $4))"""
SCAN: Final = """
    insert into data.duplicate_scan (workspace_id, id, is_full, status, actor, actor_name)
    values ($1, $2, true, 'completed', 'cli', 'cli')"""


async def make_shop(db: Database, owner: "Connection", roles: Sequence[str] = ("agent",)) -> Shop:
    """A shop with two customers and everything that can belong to them, made through the API."""
    workspace = await makers.make_workspace(db)
    mark = ids.new().hex[-12:]
    async with makers.client(db, workspace.key) as api:
        places: list[dict[str, UUID]] = []
        for n in (1, 2):
            customer = await makers.make_customer(
                api,
                name=f"Ann {mark}",
                email=f"ann{n}-{mark}@mail.example",
                source="SHOPIFY",
                external_id=f"{mark}-{n}",
                tags=["something"],
            )
            path = f"/api/customers/{customer['id']}"
            makers.told(await api.put(f"{path}/avatar", files={"file": FILES["avatars.put"]}))
            [*_, identity] = makers.told(await api.get(f"{path}/identities"))["data"]
            address = await makers.make_address(api, customer, line1=f"Torstr. {n} {mark}")
            note = makers.told(await api.post(f"/api/customers/{customer['id']}/notes", json={"note": mark}), 201)
            unwanted = {"contact": f"unwanted{n}-{mark}@mail.example", "reason": "bounced"}
            suppression = makers.told(await api.post("/api/suppressions", json=unwanted), 201)
            preferences = f"/api/customers/{customer['id']}/communication-preferences"
            chosen = {"channel": "email", "topic": "marketing", "state": "SUBSCRIBED", "source": mark}
            makers.told(await api.put(preferences, json=chosen))
            makers.told(await api.patch(preferences, json={"language": "de"}))
            field = {"key": f"size_{n}", "type": "text", "isUnique": True}
            declared = makers.told(await api.post("/api/custom-fields", json=field), 201)
            makers.told(await api.patch(path, json={"customFields": {field["key"]: mark}}))
            group = {"name": f"Panel {n} {mark}", "kind": "manual"}
            segment = makers.told(await api.post("/api/segments", json=group), 201)
            picks = f"/api/segments/{segment['id']}/customers"
            makers.told(await api.post(picks, json={"ids": [customer["id"]]}))
            kept = {"name": f"View {n} {mark}", "query": "status=VIP"}
            view = makers.told(await api.post("/api/views", json=kept), 201)
            merge = {"tags": ["something"], "into": f"something {n}"}
            tag_change = makers.told(await api.post("/api/tags/merge", json=merge), 202)
            doing = {"action": "tag", "tags": ["bulk"], "ids": [customer["id"]]}
            bulk = makers.told(await api.post("/api/customers/bulk", json=doing))
            order = await makers.make_order(api, customer, number=f"#{mark}-{n}", email=f"ann{n}-{mark}@mail.example")
            spare = await makers.make_customer(api, name=f"Spare {n} {mark}")
            both = {"primaryId": customer["id"], "duplicateIds": [spare["id"]]}
            merged = makers.told(await api.post("/api/customers/merge", json=both))
            erasure = makers.told(await api.post(f"{path}/privacy/erase", json={"delayDays": 30}), 202)
            makers.told(await api.delete(f"/api/privacy/requests/{erasure['id']}"))
            places.append(
                {
                    "requests": UUID(erasure["id"]),
                    "erasures": UUID(erasure["id"]),
                    "merges": UUID(merged["mergeId"]),
                    "customers": UUID(customer["id"]),
                    "identities": UUID(identity["id"]),
                    "addresses": UUID(address["id"]),
                    "notes": UUID(note["id"]),
                    "orders": UUID(order["id"]),
                    "segments": UUID(segment["id"]),
                    "views": UUID(view["id"]),
                    "suppressions": UUID(suppression["id"]),
                    "custom-fields": UUID(declared["id"]),
                    "tag-changes": UUID(tag_change["id"]),
                    "bulk": UUID(bulk["id"]),
                }
            )
        found = places[0]
        rate = {"currency": "GBP", "date": "2026-01-01", "rate": "1.25"}
        makers.told(await api.put("/api/rates", json={"rates": [rate]}))
        staff: dict[str, tuple[str, str]] = {}
        for role in roles:
            body = {"email": f"{role}-{mark}@shop.example", "name": role, "role": role}
            if role == "owner":
                # Only an owner makes owners; the first one comes from the command line.
                body["role"] = "admin"
            member = makers.told(await api.post("/api/staff", json=body), 201)
            accepted = {"email": member["email"], "password": PASSWORD, "invitationCode": member["invitationCode"]}
            makers.told(await api.post("/api/session", json=accepted), 200)
            if role == "owner":
                await owner.execute("update data.membership set role = 'owner' where staff_id = $1", UUID(member["id"]))
            staff[role] = (member["email"], PASSWORD)
            found["sessions"] = await owner.fetchval(SESSION, UUID(member["id"]))
            found["staff"] = UUID(member["id"])
        channel = {"platform": "SHOPIFY", "shop": f"s{mark}.myshopify.com", "secret": mark}
        found["channels"] = UUID(makers.told(await api.post("/api/channels", json=channel), 201)["id"])
        key = makers.told(await api.post("/api/keys", json={"name": "Second", "scopes": ["customers:read"]}), 201)
        found["keys"] = UUID(key["id"])
    for noun, sql in (("imports", BEHIND), ("exports", EXPORTED), ("jobs", JOB), ("scans", SCAN)):
        found[noun] = ids.new()
        await owner.execute(sql, workspace.id, found[noun])
    found["inbox"] = ids.new()
    await owner.execute(MESSAGE, workspace.id, found["inbox"], found["channels"])
    await owner.execute(REFUSED, workspace.id, found["imports"])
    await owner.execute(CHUNK, workspace.id, found["imports"], found["customers"])
    found["duplicates"] = ids.new()
    found["clusters"] = min(found["customers"], places[1]["customers"])
    await owner.execute(PAIR, workspace.id, found["duplicates"], found["customers"], places[1]["customers"])
    await makers.settle(db, workspace)
    return Shop(workspace, found, places[1], f"ann1-{mark}@mail.example", f"{mark}-1", staff)


# --- what changed ----------------------------------------------------------------------------------------------------

TABLES: Final = """
    select c.relname, exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'workspace_id')
      from pg_class c where c.relnamespace = 'data'::regnamespace and c.relkind in ('r', 'p') order by 1"""


class Look:
    """What stands in the rows of some workspaces, as one hash a table. When a key was last used does not count."""

    def __init__(self, owner: "Connection", *workspaces: UUID) -> None:
        self.owner = owner
        self.workspaces = list(workspaces)
        self.sql = ""

    async def now(self) -> dict[str, str]:
        """One hash a table."""
        if not self.sql:
            parts: list[str] = []
            for table, has_workspace in await self.owner.fetch(TABLES):
                whose = "where t.workspace_id = any($1)" if has_workspace else "where $1::uuid[] is not null"
                row = "(to_jsonb(t) - 'last_used_at')::text"
                parts.append(
                    f"select '{table}', md5(string_agg({row}, '' order by {row})) from data.\"{table}\" t {whose}"
                )
            self.sql = " union all ".join(parts)
        return {row[0]: row[1] for row in await self.owner.fetch(self.sql, self.workspaces)}


# --- what an answer must look like -----------------------------------------------------------------------------------

ALWAYS: Final = {
    "x-request-id",
    "x-content-type-options",
    "referrer-policy",
    "x-frame-options",
    "content-security-policy",
    "permissions-policy",
    "cross-origin-resource-policy",
    "cache-control",
}
MEMBERS: Final = {"type", "title", "status", "detail", "instance", "requestId"}
TELLTALES: Final = ("Traceback", 'File "', "asyncpg", ".py", "PostgresError", "workspace_id", "select ", "insert into")


def _sent(request: httpx.Request) -> str:
    try:
        return request.content.decode("utf-8", "replace")
    except httpx.RequestNotRead:
        return ""


def faults(answer: httpx.Response) -> Iterator[str]:
    """What is wrong with how an answer looks, whatever it says."""
    if missing := ALWAYS - set(answer.headers):
        yield f"lacks {missing}"
    if answer.headers.get("x-content-type-options") != "nosniff" or answer.headers.get("x-frame-options") != "DENY":
        yield "lets a browser guess or frame it"
    if len(answer.headers.get_list("x-request-id")) != 1:
        yield "has not one request id"
    if answer.status_code < 300 or answer.status_code == 304:
        return
    if answer.status_code >= 500:
        yield f"is a {answer.status_code}"
    if answer.headers.get("content-type") != "application/problem+json":
        yield f"is {answer.headers.get('content-type')}, not problem details"
        return
    said = answer.json()
    if not set(said) >= MEMBERS:
        yield f"lacks {MEMBERS - set(said)}"
        return
    if said["status"] != answer.status_code or said["requestId"] != answer.headers["x-request-id"]:
        yield "contradicts its own status or request id"
    if said["instance"] != answer.request.url.path or not said["type"].startswith(TYPE_BASE):
        yield f"is an instance of {said['type']} at {said['instance']}"
    if not all(isinstance(said[name], str) and said[name] for name in MEMBERS - {"status"}):
        yield "has an empty member"
    if answer.status_code == 422 and "errors" in said:
        for error in said["errors"]:
            if not {"pointer", "code", "message"} <= set(error) or not error["message"]:
                yield f"tells {error}"
    if answer.status_code == 401 and "www-authenticate" not in answer.headers:
        yield "does not say how to sign in"
    # What was asked for is told back, a field of that name, too.
    asked = f"{answer.request.url} {_sent(answer.request)}"
    if telltale := [word for word in TELLTALES if word in answer.text and word not in asked]:
        yield f"tells {telltale}"
