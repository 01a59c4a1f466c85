"""A file is received, looked over and kept, and its import begun: the same for whatever is in it.

All is read before anything is kept: what cannot be imported leaves nothing behind.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast
from uuid import UUID

import msgspec
from litestar import Request
from litestar.types import ASGIApp

from supover.imports import queries
from supover.kit import clock, storage, tables, uploads
from supover.kit.api import KEY_KEEP, Caller, Door, Sent, replay
from supover.kit.db import Database, Tx, json_bytes
from supover.kit.jobs import defer
from supover.kit.problems import FieldError, Invalid, TooLarge
from supover.settings import Settings

BLOCK: Final = 1 << 18
MOST_ROWS_BYTES: Final = 1 << 20
AnyRequest = Request[Any, Any, Any]
Options = TypeVar("Options", bound=msgspec.Struct)
Seen = TypeVar("Seen")


class RowsTooLarge(TooLarge):
    """Rows in JSON may have 1 MiB: send a file."""


class Way(msgspec.Struct, Generic[Options, Seen], frozen=True):
    """How files of one kind are imported.

    `options` reads the form's texts, and whether it is only to be tried; `look` reads the file, and `facts` of what it saw;
    `begin` notes the import and returns its id; `try_out` answers a trial at once, where that is how it is done.
    """

    operation: str
    job: str
    texts: Collection[str]
    options: Callable[[Mapping[str, str], bool], Options]
    look: Callable[[Database, UUID, Options, Path], Awaitable[Seen]]
    facts: Callable[[Seen], tables.TableFacts]
    begin: Callable[[Tx, Options, str, Seen, str | None], Awaitable[UUID]]
    try_out: Callable[[Database, UUID, Options, Path, str], Awaitable[msgspec.Struct]] | None = None
    rows: Callable[[bytes, Path], Mapping[str, str]] | None = None
    """Writes rows that are sent as JSON to a file, and returns the texts beside them."""


async def receive(request: AnyRequest, way: Way[Options, Seen], dry_run: bool | None, key: str | None) -> ASGIApp:
    """Receives a file as a form, or rows as JSON where that is taken, and begins its import: 202 with the run."""
    settings = cast("Settings", request.app.state.settings)
    door: Door = request.app.state.door
    caller = cast("Caller", request.scope["user"])
    if unknown := sorted(set(request.query_params) - {"dryRun"}):
        raise Invalid([FieldError(name[:100], "unknown", "is not a parameter here") for name in unknown[:100]])
    if key is not None and not 1 <= len(key) <= 255:
        raise Invalid.at("Idempotency-Key", "length", "must have 1 to 255 characters")
    with tempfile.TemporaryDirectory(prefix="supover-upload-") as folder:
        file = Path(folder) / "upload"
        if way.rows is not None and request.content_type[0] == "application/json":
            name, texts = "rows.json", await asyncio.to_thread(way.rows, await _body(request), file)
        else:
            upload = await uploads.receive(request, file, texts=way.texts, max_bytes=settings.upload_max_bytes)
            name, texts = upload.name, upload.texts
        is_trial = bool(dry_run) or is_true(texts, "dryRun")
        options = way.options(texts, is_trial)
        if is_trial and way.try_out is not None:
            checked = await way.try_out(door.database, caller.workspace_id, options, file, name)
            return Sent(msgspec.json.encode(checked), 200, {}, "application/json")
        seen = await way.look(door.database, caller.workspace_id, options, file)
        asked = hashlib.sha256(way.operation.encode() + way.facts(seen).sha256 + json_bytes(options)).digest()
        if key is not None:
            async with door.database.tx(caller.workspace_id, actor=caller.actor, actor_name=caller.name) as tx:
                if (before := await _answered(tx, key, asked)) is not None:
                    return before
        keep = storage.of(settings.storage_url)
        file_key = await keep.put("imports", _blocks(file), max_bytes=settings.upload_max_bytes)
        answer: ASGIApp | None = None
        is_needed = False
        try:
            async with door.database.tx(caller.workspace_id, actor=caller.actor, actor_name=caller.name) as tx:
                answer = None if key is None else await _answered(tx, key, asked)
                if answer is None:
                    id = await way.begin(tx, options, name, seen, file_key)
                    await defer(tx, way.job, {"import_id": id}, singleton=str(id))
                    await door.audit(tx, way.operation, id, request)
                    answer = await _begun(tx, id, key, asked)
                    # Whether a commit that breaks off has happened nobody knows: then the file stays.
                    is_needed = True
        finally:
            if not is_needed:
                await keep.delete(file_key)
    return answer


def is_true(given: Mapping[str, str], name: str) -> bool:
    """A yes or no of a form. Raises Invalid."""
    said = given.get(name, "false").strip().lower()
    if said not in ("true", "false", "1", "0", ""):
        raise Invalid.at(f"/{name}", "type", "must be true or false")
    return said in ("true", "1")


def pairs(given: Mapping[str, str], name: str) -> dict[str, str]:
    """A JSON object of texts of a form. Raises Invalid."""
    if not given.get(name):
        return {}
    try:
        found = msgspec.json.decode(given[name], type=dict[str, str])
    except msgspec.MsgspecError:
        raise Invalid.at(f"/{name}", "json", "must be a JSON object of texts") from None
    if any("\0" in key or "\0" in text for key, text in found.items()):
        raise Invalid.at(f"/{name}", "nul", "text cannot hold the character NUL")
    return found


async def _body(request: AnyRequest) -> bytes:
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > MOST_ROWS_BYTES:
            raise RowsTooLarge
    return bytes(body)


async def _begun(tx: Tx, id: UUID, key: str | None, asked: bytes) -> ASGIApp:
    body = msgspec.json.encode(await queries.find(tx, id))
    headers = {"Location": f"/api/imports/{id}"}
    if key is not None:
        await tx.run(KEY_KEEP, tx.actor, key, asked, 202, json_bytes(headers), body, clock.now())
    return Sent(body, 202, headers, "application/json")


async def _answered(tx: Tx, key: str, asked: bytes) -> ASGIApp | None:
    stored = await replay(tx, key, asked)
    if stored is None:
        return None
    headers = {**stored.headers, "Idempotent-Replayed": "true"}
    return Sent(stored.body or b"", stored.status or 202, headers, "application/json")


async def _blocks(file: Path) -> AsyncGenerator[bytes]:
    with file.open("rb") as opened:
        while block := await asyncio.to_thread(opened.read, BLOCK):
            yield block
