"""Every route: who may call it, what it does with ids that are not the caller's, and how it says no."""

import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from supover import wiring
from supover.access.permissions import KNOWN, PERMISSIONS, PUBLIC, SCOPES, held, of_role
from supover.kit import front
from supover.kit.db import Database
from supover.web import session
from tests import makers
from tests.house.asking import operations
from tests.house.conftest import connected
from tests.house.world import MORE, NOT_BY_KEY, Call, Look, Shop, calls, faults, make_shop

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

NOT_ALLOWED: Final = "https://supover.dev/problems/not-allowed"
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


# --- the two shops ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def behind(database: str) -> AsyncGenerator["Connection"]:
    async with connected(database) as con:
        yield con


@pytest.fixture(scope="module")
async def own(db: Database, behind: "Connection") -> Shop:
    return await make_shop(db, behind, ("owner", "admin", "agent", "viewer"))


@pytest.fixture(scope="module")
async def other(db: Database, behind: "Connection") -> Shop:
    return await make_shop(db, behind)


@pytest.fixture(scope="module")
async def client(db: Database, own: Shop) -> AsyncGenerator[httpx.AsyncClient]:
    """An outside program that may do everything in its own shop."""
    async with makers.client(db, own.workspace.key) as found:
        yield found


@pytest.fixture(scope="module")
async def document(client: httpx.AsyncClient) -> Mapping[str, Any]:
    return makers.told(await client.get("/docs/openapi.json"))


@pytest.fixture(scope="module")
def every(document: Mapping[str, Any]) -> Sequence[Call]:
    return calls(document)


# --- the list of routes ----------------------------------------------------------------------------------------------


def _shown(path: str) -> str:
    """A route's path as the reference has it."""
    return re.sub(r"\{(\w+):\w+\}", lambda place: f"{{{camel(place[1])}}}", path)


def mounted(db: Database) -> dict[tuple[str, str], str]:
    """Method and path of every route of the application → its operation."""
    app = makers.application(db).app
    return {
        (method, _shown(route.path)): handler.opt.get("operation", "")
        for route in app.routes
        for handler in route.route_handlers
        for method in handler.http_methods
        if method != "OPTIONS"
    }


def test_every_route_is_in_the_reference_and_every_operation_is_mounted(
    db: Database, document: Mapping[str, Any]
) -> None:
    shown = {(o.method, o.path): o.id for o in operations(document)}
    found = {key: operation for key, operation in mounted(db).items() if key[1].startswith("/api/") or key in shown}
    assert found == shown
    assert len(shown) >= 60
    pages = {path for handler in wiring.pages() for path in handler.paths}
    hidden = {path for (_, path) in mounted(db).keys() - shown.keys()} - {_shown(path) for path in pages}
    assert all(path.startswith("/docs") for path in hidden), hidden


def test_every_route_has_its_permission_and_every_permission_its_route(db: Database) -> None:
    own = {**front.PERMISSIONS, **session.PERMISSIONS}
    assert set(mounted(db).values()) == set(PERMISSIONS) | set(own)
    assert not set(PERMISSIONS) & set(own)
    assert set(PERMISSIONS.values()) <= {PUBLIC, KNOWN, *SCOPES}


def test_a_page_stands_for_an_operation_of_the_api() -> None:
    operations = {str(handler.opt["operation"]) for handler in wiring.pages()}
    assert operations - set(PERMISSIONS) == set(session.PERMISSIONS)


def test_operations_are_named_room_and_verb_once(document: Mapping[str, Any]) -> None:
    names = [o.id for o in operations(document)]
    assert len(names) == len(set(names))
    assert [name for name in names if not re.fullmatch(r"[a-z]+\.[a-z]+(_[a-z]+)*", name)] == []
    rooms = {routes.room for routes in wiring.routes()}
    assert {name.partition(".")[0] for name in names} - rooms == {"health", "metrics"}


def test_only_what_must_be_is_public() -> None:
    all_of_them = {**PERMISSIONS, **front.PERMISSIONS, **session.PERMISSIONS}
    public = {name for name, permission in all_of_them.items() if permission == PUBLIC}
    pages = {"web.asset", "web.show_sign_in", "web.sign_in"}
    assert public == {"access.sign_in", "exports.fetch", "hooks.receive", *front.PERMISSIONS, *pages}


def test_what_is_shown_names_no_secret(document: Mapping[str, Any]) -> None:
    """No answer has a field for what nobody may read: hashes, sealed secrets, another workspace's id."""
    shown = {
        name: set(schema.get("properties", {}))
        for name, schema in document["components"]["schemas"].items()
        if name not in MORE
    }
    for name, fields in shown.items():
        telling = {f for f in fields if re.search(r"hash|secret|sealed|workspaceId|searchText", f, re.IGNORECASE)}
        if name in ("NewConnection", "Rotation"):
            telling -= {"secret"}  # these come in, and no answer has them
        assert telling <= {"workspaceId"} & ({"workspaceId"} if name == "SignIn" else set()), (name, telling)


# --- a good call works -----------------------------------------------------------------------------------------------


FIRST: Final[Mapping[str, str]] = {
    "access.invite_anew": """
        with gone as (delete from data.membership where workspace_id = $1 returning staff_id)
        insert into data.invitation (workspace_id, id, email, name, role, code_hash, expires_at)
        select $1, staff_id, 'new@house.test', 'New', 'agent', 'x', 'infinity' from gone""",
    "bulk.cancel": "update data.bulk_action set status = 'queued' where workspace_id = $1",
    "exports.cancel": "update data.export_run set status = 'queued' where workspace_id = $1",
    "imports.cancel": "update data.import_run set status = 'queued' where workspace_id = $1",
    "jobs.cancel": "update data.job set state = 'queued' where workspace_id = $1",
}
"""What has to be so before a call makes sense."""
NAMING: Final[Mapping[str, Callable[[Shop], Mapping[str, object]]]] = {
    "identities.move": lambda shop: {"customerId": str(shop.second["customers"])},
    "merges.create": lambda shop: {
        "primaryId": str(shop.ids["customers"]),
        "duplicateIds": [str(shop.second["customers"])],
    },
    "merges.split": lambda shop: {"orderIds": [str(shop.ids["orders"])]},
}
"""Bodies that must name what the shop has."""


PARTS: Final = 4
"""What takes long is asked in so many parts, which several processes can share."""


@pytest.mark.parametrize("part", range(PARTS))
async def test_every_call_works_with_ids_of_ones_own(
    db: Database, behind: "Connection", own: Shop, every: Sequence[Call], document: Mapping[str, Any], part: int
) -> None:
    """So that what is refused below is refused for the id alone."""
    used: Shop | None = None
    # What takes something away comes last, so that most find a shop that still has it.
    for call in sorted(every[part::PARTS], key=lambda call: call.operation.method == "DELETE"):
        name = call.operation.id
        if name in NOT_BY_KEY or call.uploads:
            continue

        async def ask(shop: Shop, call: Call = call, name: str = name) -> httpx.Response:
            if name in FIRST:
                await behind.execute(FIRST[name], shop.workspace.id)
            more = {"json": NAMING[name](shop)} if name in NAMING else {}
            async with makers.client(db, shop.workspace.key) as client:
                return await call.send(client, [shop.ids[noun] for noun in call.nouns], **more)

        # To make a shop takes longest: one in which others have written is taken first, and a new one where they were in the way.
        answer = await ask(own) if call.operation.method == "GET" else None
        if answer is None and used is not None and name not in FIRST and "staff" not in call.nouns:
            answer = await ask(used)
        if answer is None or answer.status_code >= 300:
            # Hashing a password for staff takes long.
            used = await make_shop(db, behind, ("agent",) if "staff" in call.nouns else ())
            answer = await ask(used)
        assert answer.status_code < 300, f"{name}: {answer.status_code} {answer.text}"
        assert list(faults(answer)) == [], name
        told = document["paths"][call.operation.path][call.operation.method.lower()]["responses"]
        assert str(answer.status_code) in told, f"{name}: {answer.status_code} is not in the reference"


# --- ids that are not the caller's -----------------------------------------------------------------------------------


def misplaced(call: Call, own: Shop, other: Shop) -> Iterator[tuple[str, list[UUID | str]]]:
    """The call's ids with something wrong in each place, and what."""
    good: list[UUID | str] = [own.ids[noun] for noun in call.nouns]
    if len(good) > 1:
        yield "all of the other shop", [other.ids[noun] for noun in call.nouns]
    for n, noun in enumerate(call.nouns):

        def put(id: UUID | str, at: int = n) -> list[UUID | str]:
            return [*good[:at], id, *good[at + 1 :]]

        yield f"{noun} of the other shop", put(other.ids[noun])
        yield f"{noun} of nobody", put(uuid4())
        yield f"{noun} of all zeros", put(UUID(int=0))
        yield f"{noun} that is no id", put("none")
        yield f"{noun} that is the workspace", put(own.workspace.id)
        if len(good) > 1:
            yield f"{noun} of another customer", put(own.second[noun])
        for confused, id in own.ids.items():
            if id != own.ids[noun]:  # some things have two names, as a request of privacy that is an erasure
                yield f"{noun} that is one of {confused}", put(id)


@pytest.mark.parametrize("part", range(PARTS))
async def test_ids_of_others_and_of_other_things_are_not_found(
    client: httpx.AsyncClient, behind: "Connection", own: Shop, other: Shop, every: Sequence[Call], part: int
) -> None:
    look = Look(behind, own.workspace.id, other.workspace.id)
    before = await look.now()
    wrong: list[str] = []
    probed = 0
    for call in every[part::PARTS]:
        for what, given in misplaced(call, own, other):
            answer = await call.send(client, given)
            probed += 1
            said = [f"is {answer.status_code}"] if answer.status_code != 404 else list(faults(answer))
            if said:
                wrong.append(f"{call.operation.id} with {what}: {said}")
        if await look.now() != before:
            wrong.append(f"{call.operation.id} changed something")
            before = await look.now()
    assert wrong == []
    assert probed > 100


UNKNOWN: Final[Sequence[Mapping[str, str]]] = [
    {},
    {"Authorization": "Bearer sk_" + "0" * 48},
    {"Authorization": "Basic YTpi"},
    {"Cookie": "supover_session=" + "a" * 43},
]


async def test_nobody_unknown_gets_anything(
    db: Database, behind: "Connection", own: Shop, other: Shop, every: Sequence[Call]
) -> None:
    look = Look(behind, own.workspace.id, other.workspace.id)
    before = await look.now()
    wrong: list[str] = []
    for headers in UNKNOWN:
        async with makers.client(db) as nobody:
            for call in every:
                if PERMISSIONS[call.operation.id] == PUBLIC:
                    continue
                answer = await call.send(nobody, [own.ids[noun] for noun in call.nouns], headers=headers)
                said = [f"is {answer.status_code}"] if answer.status_code != 401 else list(faults(answer))
                if said:
                    wrong.append(f"{call.operation.id} with {headers}: {said}")
    assert wrong == []
    assert await look.now() == before
    del other


async def test_ids_of_the_other_shop_in_queries_and_bodies_lead_nowhere(
    client: httpx.AsyncClient,
    behind: "Connection",
    own: Shop,
    other: Shop,
    every: Sequence[Call],
    document: Mapping[str, Any],
) -> None:
    look = Look(behind, other.workspace.id)
    before = await look.now()
    wrong: list[str] = []
    probed = 0
    for call in every:
        good = [own.ids[noun] for noun in call.nouns]
        if call.operation.id in NOT_BY_KEY:
            continue
        for name in (p["name"] for p in call.operation.parameters if p["in"] == "query" and "uuid" in str(p["schema"])):
            for id in (other.ids["customers"], other.ids["orders"]):
                answer = await call.send(client, good, params={name: str(id)})
                probed += 1
                if answer.status_code not in (404, 422) and answer.json().get("data") != []:
                    wrong.append(f"{call.operation.id}?{name}: {answer.status_code} {answer.text[:200]}")
        properties = document["components"]["schemas"].get(call.schema, {}).get("properties", {})
        for name in (field for field, schema in properties.items() if "uuid" in str(schema)):
            for id in (*other.ids.values(), uuid4()):
                answer = await call.send(client, good, json={**(call.body or {}), name: str(id)})
                probed += 1
                if answer.status_code not in (404, 422):
                    wrong.append(f"{call.operation.id} with {name}: {answer.status_code} {answer.text[:200]}")
    assert wrong == []
    assert await look.now() == before
    assert probed > 10


async def test_what_names_a_customer_otherwise_names_ones_own(
    client: httpx.AsyncClient, behind: "Connection", other: Shop
) -> None:
    """The other shop's email, external id, order number and Idempotency-Key are unknown here."""
    look = Look(behind, other.workspace.id)
    before = await look.now()
    theirs = {str(id) for id in (*other.ids.values(), *other.second.values())}
    for params in (
        {"search": other.email},
        {"email": other.email},
        {"externalId": other.external_id},
        {"q": other.external_id},
    ):
        assert makers.told(await client.get("/api/customers", params=params))["data"] == []
    path = f"/api/customers/external/SHOPIFY/{other.external_id}"
    made = makers.told(await client.put(path, json={"name": "Mine"}), 201)
    assert made["id"] not in theirs
    order = {"total": "1.00", "email": other.email, "customerExternalId": other.external_id, "source": "SHOPIFY"}
    taken = makers.told(await client.post("/api/orders", json=order), 201)
    assert taken["customerId"] not in theirs
    batch = {"orders": [{"total": "1.00", "customerId": str(other.ids["customers"])}]}
    [row] = makers.told(await client.post("/api/orders/batch", json=batch))["rows"]
    assert (row["status"], row["errors"][0]["pointer"]) == ("failed", "/orders/0/customerId")
    assert await look.now() == before


async def test_an_idempotency_key_is_ones_own(db: Database, own: Shop, other: Shop) -> None:
    headers = {"Idempotency-Key": "the same in both"}
    ids: set[str] = set()
    for shop in (own, other):
        async with makers.client(db, shop.workspace.key) as api:
            for replayed in (None, "true"):
                answer = await api.post("/api/customers", json={"name": "Twin"}, headers=headers)
                assert answer.headers.get("idempotent-replayed") == replayed
                ids.add(makers.told(answer, 201)["id"])
    assert len(ids) == 2


# --- roles and scopes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", range(PARTS))
async def test_roles_and_scopes_reach_what_the_table_says_and_a_refusal_changes_nothing(
    db: Database, behind: "Connection", own: Shop, every: Sequence[Call], part: int
) -> None:
    look = Look(behind, own.workspace.id)
    wrong: list[str] = []
    tested = 0

    async def try_all(who: str, caller: httpx.AsyncClient, may: frozenset[str]) -> None:
        nonlocal tested
        guarded = [call for call in every if PERMISSIONS[call.operation.id] != PUBLIC]
        tested += len(guarded)
        before = await look.now()
        for call in guarded:
            if PERMISSIONS[call.operation.id] in may:
                continue
            answer = await call.send(caller, [own.ids[noun] for noun in call.nouns])
            said = list(faults(answer))
            if answer.status_code != 403 or answer.json()["type"] != NOT_ALLOWED:
                said.append(f"is {answer.status_code}")
            if said:
                wrong.append(f"{who} may not {call.operation.id}, but it {said}")
        # Once for all of them: to look takes longer than to ask.
        now = await look.now()
        if now != before:
            wrong.append(f"{who} changed {[table for table in now if now[table] != before[table]]} by what was refused")
        # What ends the session comes last.
        for call in sorted(guarded, key=lambda call: call.operation.id == "access.sign_out"):
            # To begin the second step takes no body, and begins something of the caller's own.
            if PERMISSIONS[call.operation.id] not in may or call.operation.id == "access.begin_second_step":
                continue
            # Ids of nothing and no body: past the door nothing is done.
            empty = None if call.operation.method in ("GET", "DELETE") else b"[]"
            answer = await caller.request(
                call.operation.method,
                call.path([uuid4() for _ in call.nouns]),
                content=empty,
                headers={"Content-Type": "application/json"},
            )
            if answer.status_code in (401, 405) or answer.status_code >= 500 or answer.text.find(NOT_ALLOWED) >= 0:
                wrong.append(f"{who} may {call.operation.id}, but: {answer.status_code} {answer.text[:200]}")

    roles, scopes = list(own.people.items())[part::PARTS], list(SCOPES)[part::PARTS]
    for role, (email, password) in roles:
        async with makers.client(db) as browser:
            session = makers.told(await browser.post("/api/session", json={"email": email, "password": password}))
            assert session["role"] == role
            browser.headers["X-CSRF-Token"] = session["csrfToken"]
            await try_all(role, browser, of_role(role))  # pyright: ignore[reportArgumentType]
    for scope in scopes:
        token = await makers.make_key(db, own.workspace.id, scope)
        async with makers.client(db, token) as program:
            await try_all(f"a key for {scope}", program, held([scope]))
    assert wrong == []
    assert tested == (len(roles) + len(scopes)) * (len(every) - 1)


async def test_a_browsers_write_needs_its_token_and_changes_nothing_without(
    db: Database, behind: "Connection", own: Shop, every: Sequence[Call]
) -> None:
    email, password = own.people["admin"]
    look = Look(behind, own.workspace.id)
    async with makers.client(db) as browser:
        makers.told(await browser.post("/api/session", json={"email": email, "password": password}))
        before = await look.now()
        for call in every:
            if call.operation.method == "GET" or PERMISSIONS[call.operation.id] == PUBLIC:
                continue
            for token in (None, "", "a" * 43):
                headers = {} if token is None else {"X-CSRF-Token": token}
                answer = await call.send(browser, [own.ids[noun] for noun in call.nouns], headers=headers)
                assert answer.status_code == 403, call.operation.id
                assert answer.json()["type"].endswith("/csrf-refused"), call.operation.id
                assert list(faults(answer)) == []
        assert await look.now() == before


# --- fields that are not asked for -----------------------------------------------------------------------------------

COLUMNS: Final = """
    select distinct a.attname
      from pg_attribute a join pg_class c on c.oid = a.attrelid
     where c.relnamespace = 'data'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped"""
NEVER: Final = {
    "workspaceId", "totalSpent", "orderCount", "lifetimeValue", "isBlocked", "version", "deletedAt", "mergedIntoId", "createdAt",
    "tokenHash", "passwordHash", "createdBy", "actor", "author", "authorName", "validatedAt", "netValue", "id",
}  # fmt: skip
"""What no body may set, whatever the route."""
TOLD: Final = {("SignIn", "workspaceId"), ("SwitchWorkspace", "workspaceId")}


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


async def test_every_column_of_the_schema_is_refused_where_it_is_no_field(
    client: httpx.AsyncClient,
    behind: "Connection",
    own: Shop,
    other: Shop,
    every: Sequence[Call],
    document: Mapping[str, Any],
) -> None:
    look = Look(behind, own.workspace.id, other.workspace.id)
    columns = {row[0] for row in await behind.fetch(COLUMNS)}
    names = (
        columns
        | {camel(column) for column in columns}
        | {"isBlocked", "scope", "permissions", "tenantId", "__proto__", ""}
    )
    before = await look.now()
    sent = 0
    for call in every:
        if call.body is None:
            continue
        fields = set(document["components"]["schemas"][call.schema]["properties"])
        assert {(call.schema, field) for field in fields & NEVER} <= TOLD
        if call.operation.id in NOT_BY_KEY - {"access.sign_in"}:
            continue
        extra = sorted(names - fields)
        good = [own.ids[noun] for noun in call.nouns]
        # All at once, each is named; and the gravest by themselves.
        answer = await call.send(client, good, json={**call.body, **dict.fromkeys(extra, 1)})
        told = {error["pointer"] for error in makers.told(answer, 422)["errors"]}
        assert {f"/{name}" for name in extra} <= told, call.operation.id
        sent += len(extra)
        for name in sorted(NEVER - fields):
            answer = await call.send(client, good, json={**call.body, name: str(other.workspace.id)})
            assert makers.pointers(answer) == [f"/{name}"], call.operation.id
            assert list(faults(answer)) == []
    assert await look.now() == before
    assert sent > 2000


async def test_a_row_of_a_batch_takes_no_other_field_either(
    client: httpx.AsyncClient, own: Shop, behind: "Connection"
) -> None:
    look = Look(behind, own.workspace.id)
    before = await look.now()
    orders = [{"total": "1.00", name: str(own.workspace.id)} for name in sorted(NEVER)]
    answer = makers.told(await client.post("/api/orders/batch", json={"orders": orders}))
    assert answer["failed"] == len(orders)
    assert [row["errors"][0]["pointer"] for row in answer["rows"]] == [
        f"/orders/{n}/{name}" for n, name in enumerate(sorted(NEVER))
    ]
    now = await look.now()
    assert {table for table in now if now[table] != before[table]} <= {"audit_log"}


# --- how it says no --------------------------------------------------------------------------------------------------


async def test_other_methods_are_405_and_say_which_are_taken(
    client: httpx.AsyncClient, document: Mapping[str, Any]
) -> None:
    for path, taken in document["paths"].items():
        address = re.sub(r"\{\w+\}", str(uuid4()), path)
        allowed = {method.upper() for method in taken}
        for method in METHODS:
            if method in allowed:
                continue
            answer = await client.request(method, address)
            if answer.status_code == 404:
                # Another route's placeholder does not match here, nor does this one take the method.
                continue
            assert answer.status_code == 405, f"{method} {path}: {answer.status_code}"
            head = {"HEAD"} if "GET" in allowed else set[str]()
            assert set(re.split(r",\s*", answer.headers["allow"])) == {"OPTIONS"} | allowed | head, f"{method} {path}"
            assert list(faults(answer)) == [], f"{method} {path}"


@pytest.mark.parametrize(
    "path",
    [
        "/api", "/api/", "/api/nothing", "/api/v1", "/api/v2/customers", "/api/v1/api/customers", 
        "/API/customers", "/api/customers/%00", "/api/customers/..%2f..%2fetc%2fpasswd", "/api/customers/1", "/hooks/channels/1/2",
        "/docs/assets/..%2f..%2f..%2fpyproject.toml", "/docs/assets/nothing.js", "/static/app.js", "/.env", "/api/customers/\u202e",
    ],
)  # fmt: skip
async def test_an_address_of_nothing_is_404_or_400(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code in (400, 404), answer.text
    assert list(faults(answer)) == []
