"""Asks every list of the API for everything that it can be asked, and keeps the statements that this led to."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
import msgspec
import pytest

from supover import settings, wiring
from supover.kit import db as doors
from supover.kit import filters
from supover.kit.db import Database
from tests.makers import png

TOKEN: Final = "sk_" + "0" * 47 + "1"
"""The first key of the first shop of filled.sql."""


def key(what: str, n: int, shop: int = 1) -> UUID:
    """An id of filled.sql."""
    return UUID(hashlib.md5(f"{shop}{what}{n}".encode()).hexdigest())


class Asked(msgspec.Struct, frozen=True):
    """A statement that was run, with the values of its first time and the request that led to it.

    `anew`: each run is planned for its values.
    """

    sql: str
    args: tuple[Any, ...]
    by: str
    anew: bool


class Operation(msgspec.Struct, frozen=True):
    """One operation of the OpenAPI document."""

    id: str
    method: str
    path: str
    parameters: Sequence[Mapping[str, Any]]

    @property
    def is_api(self) -> bool:
        return self.path.startswith("/api/")


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Every operation of an OpenAPI document."""
    return [
        Operation(about["operationId"], method.upper(), path, about.get("parameters", []))
        for path, methods in document["paths"].items()
        for method, about in methods.items()
        if "operationId" in about
    ]


# --- values to ask with ----------------------------------------------------------------------------------------------

# What stands before a placeholder names the noun; its row here belongs to the customer of the same number.
NOUNS: Final[Mapping[str, UUID]] = {
    "customers": key("customer", 6),
    "addresses": key("address", 5),
    "notes": key("note", 5),
    "orders": key("order", 5),
    "suppressions": key("suppression", 6),
    "imports": key("import", 1),
    "exports": key("export", 1),
    "jobs": key("job", 4),
    "keys": key("key", 2),
    "staff": UUID(hashlib.md5(b"0staff2").hexdigest()),
    "duplicates": key("pair", 1),
    "scans": key("scan", 1),
    "clusters": key("customer", 1),
    "channels": key("channel", 1),
    "inbox": key("message", 1),
    "sessions": key("session", 1),
    "identities": key("identityemail", 6),
    "custom-fields": key("field", 2),
    "tag-changes": key("tag change", 1),
    "bulk": key("bulk", 1),
    "merges": key("merge", 20),
    "segments": key("segment", 1),
    "views": key("view", 1),
    "requests": key("privacy", 6),
    "erasures": key("privacy", 6),
}


def _filters() -> list[str]:
    """Everything that the segment language can ask, as its examples ask it, and the contrary."""
    wiring.load_fields()
    found: list[str] = []
    for one in filters.registered().values():
        if isinstance(one, filters.Field):
            found += [one.example, f"NOT ({one.example})"]
        else:
            asked = [f"{one.name} MATCHES ({field.example})" for field in (*one.fields, *one.sums)]
            found += [*asked, *(f"NOT ({text})" for text in asked)]
    return found


SAMPLES: Final[Mapping[str, Sequence[str]]] = {
    "filter": _filters(),
    "search": [
        *("Anna", "an", '"Anna"', "buyer5@mail", '"buyer5@mail.example"', "49151100", '"+49 151 1000005"'),
        *("#1005", '"1005"', "anna 1005"),
    ],
    "q": ["José"],
    "email": ["buyer5@mail.example"],
    "phone": ["+49 151 1000005"],
    "externalId": ["buyer-5"],
    "tag": ["tag1"],
    "segment": [str(key("segment", 1))],
    "source": ["SHOPIFY"],
    "channel": ["SHOPIFY"],
    "country": ["DE"],
    "currency": ["USD"],
    "number": ["#10"],
    "type": ["OrderPlaced"],
    "kind": ["imports.orders"],
    "from": ["2025-01-20"],
    "to": ["2025-01-20"],
    "actor": ["cli"],
    "action": ["orders.change"],
    "customerId": [str(key("customer", 6)), str(key("customer", 5))],
    "connectionId": [str(key("channel", 2))],
    "topic": ["orders/create"],
    "subjectId": [str(key("customer", 6))],
    "contact": ["buyer5@mail.example", "+49 151 1000005"],
    "at": ["2025-01-20T00:00:00Z"],
    "include": [
        "deleted",
        "addresses",
        "addresses,deleted",
        "identities",
        "notes",
        "orders",
        "merged",
        "merged,deleted",
    ],
}
BY_TYPE: Final[Mapping[str, Sequence[str]]] = {
    "boolean": ["true", "false"],
    "integer": ["2"],
    "number": ["5"],
    "date": ["2025-06-01"],
    "date-time": ["2025-01-20T00:00:00Z"],
    "uuid": [str(key("customer", 6))],
    "string": ["5"],
}


def _schemas(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield schema
    for inner in (
        *schema.get("oneOf", ()),
        *schema.get("anyOf", ()),
        *([schema["items"]] if "items" in schema else ()),
    ):
        yield from _schemas(inner)


def values(parameter: Mapping[str, Any]) -> Sequence[str]:
    """What to ask a query parameter for."""
    schemas = list(_schemas(parameter["schema"]))
    if enum := [str(value) for schema in schemas for value in schema.get("enum", ()) if value is not None]:
        return enum
    if parameter["name"] in SAMPLES:
        return SAMPLES[parameter["name"]]
    if parameter["name"].endswith(("From", "To")):
        return ["2025-01-20", "2025-01-20T00:00:00Z"]
    kinds = [kind for schema in schemas for kind in (schema.get("format"), schema.get("type")) if isinstance(kind, str)]
    return next((BY_TYPE[kind] for kind in kinds if kind in BY_TYPE), ["1"])


# --- the client ------------------------------------------------------------------------------------------------------


class Asker:
    """A client of the whole application whose statements are kept."""

    def __init__(self, client: httpx.AsyncClient, heard: dict[str, Asked]) -> None:
        self.client = client
        self.heard = heard
        self.now = ""
        self.refused: list[str] = []

    async def get(self, path: str, **params: str | Sequence[str]) -> httpx.Response:
        """Asks; what is refused is noted."""
        asked = httpx.URL(path, params=params)
        self.now = f"GET {asked}"
        answer = await self.client.get(asked, headers={"Authorization": f"Bearer {TOKEN}"})
        if answer.status_code != 200:
            self.refused.append(f"{self.now}: {answer.status_code} {answer.text[:300]}")
        return answer

    async def sort_names(self, path: str) -> list[str]:
        """The names that a list can be sorted by, as it tells whoever asks for another."""
        answer = await self.client.get(path, params={"sort": "?"}, headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 422, f"{path}?sort=?: {answer.status_code} {answer.text[:300]}"
        message: str = answer.json()["errors"][0]["message"]
        return message.partition("choose among ")[2].partition(", with -")[0].split(", ")

    async def ask_everything(self, operation: Operation) -> None:
        """Asks one operation with each of its parameters, and with all that go together; follows each cursor."""
        if operation.id == "access.find_second_step":
            return  # a person's own, and a key is no person
        path = filled_in(operation.path)
        query = {p["name"]: p for p in operation.parameters if p["in"] == "query"}
        await self.get(path)
        for name, parameter in query.items():
            if name not in ("sort", "cursor", "limit"):
                asked = values(parameter)
                if len(asked) > 1 and any(schema.get("type") == "array" for schema in _schemas(parameter["schema"])):
                    await self.get(path, **{name: asked})
                for value in asked:
                    await self.get(path, **{name: value})
                    if "count" in query and name != "count":
                        await self.get(path, **{name: value, "count": "true"})
        if "cursor" in query:
            names = await self.sort_names(path) if "sort" in query else []
            for way in [{"sort": way + name} for name in names for way in ("", "-")] or [dict[str, str]()]:
                answer = await self.get(path, limit="1", **way)
                following = answer.json().get("nextCursor") if answer.status_code == 200 else None
                if following is not None:
                    await self.get(path, cursor=following, **way)


def _keep_secret(folder: Path) -> None:
    """The secret that the first shop's key of filled.sql was sealed with."""
    path = folder / ".supover" / "secret.key"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("0" * 64)
    path.chmod(0o600)


async def _keep_avatar(folder: Path) -> None:
    """The picture that filled.sql gives to a customer."""
    place = folder / ".supover" / "storage" / "avatars"
    await asyncio.to_thread(place.mkdir, parents=True, exist_ok=True)
    await asyncio.to_thread((place / ("0" * 31 + "1")).write_bytes, png())


def filled_in(path: str) -> str:
    """A path with ids of the first shop in its placeholders."""
    parts = path.split("/")
    for n, part in enumerate(parts):
        if part.startswith("{"):
            assert parts[n - 1] in NOUNS, f"{path}: tests/house/asking.py has no id for {parts[n - 1]!r}"
            parts[n] = str(NOUNS[parts[n - 1]])
    return "/".join(parts)


@asynccontextmanager
async def asker(dsn: str, folder: Path) -> AsyncGenerator[Asker]:
    """The application on the filled database, by one connection that tells what it is asked."""
    heard: dict[str, Asked] = {}
    ready = doors._init  # pyright: ignore[reportPrivateUsage]

    async def init(connection: Any) -> None:
        await ready(connection)

        def hear(query: Any) -> None:
            anew = connection.entered[1] == "force_custom_plan"
            heard.setdefault(query.query, Asked(query.query, tuple(query.args), asking.now, anew))

        connection.add_query_logger(hear)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doors, "_init", init)
        database = await Database.open(dsn, size=1)
        await _keep_avatar(folder)
        await asyncio.to_thread(_keep_secret, folder)
        app = wiring.application(database, settings.load({}, folder))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://house.test") as client:
            asking = Asker(client, heard)
            yield asking
        await database.close()
