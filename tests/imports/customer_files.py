"""Customer files sent over HTTP and taken in, as a worker does it."""

from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from supover import settings as configuration
from supover.imports import customer_commands, customer_revert, jobs, queries
from supover.kit import ids, storage
from supover.kit.db import Database
from supover.kit.jobs import JobContext
from tests.makers import Json, Workspace, told


async def send(api: httpx.AsyncClient, content: str | bytes, *, name: str = "customers.csv", **data: str) -> Json:
    """Sends a file; the run that was begun."""
    body = content if isinstance(content, bytes) else content.encode()
    return told(await api.post("/api/customers/import", files={"file": (name, body)}, data=data), 202)


async def take_in(db: Database, shop: Workspace, run: Json, folder: Path) -> None:
    """Takes in what was sent, and lets everything follow that follows."""
    id = UUID(run["id"])
    async with db.reader(shop.id) as reader:
        stored = await queries.stored(reader, id)
    assert stored.file_key is not None
    file = folder / ids.new().hex
    async with storage.of(configuration.load().storage_url).local(stored.file_key) as kept:
        file.write_bytes(kept.read_bytes())
    opened = partial(db.tx, shop.id, actor="key:test", origin="import")
    await customer_commands.run(db, shop.id, id, file, opened=opened)
    await settle(db, shop, id)


async def settle(db: Database, shop: Workspace, id: UUID) -> None:
    """Does what waits for the end of an import."""
    context = JobContext(db, shop.id, ids.new(), jobs.SETTLE, "tests")
    context.tx = partial(db.tx, shop.id)  # type: ignore[method-assign]  # as if the job were this worker's
    await jobs.settle(context, id)


async def imported(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path, content: str | bytes, **data: str
) -> Json:
    """A file sent and taken in; the run as it ended."""
    run = await send(api, content, **data)
    await take_in(db, shop, run, folder)
    found = told(await api.get(f"/api/imports/{run['id']}"))
    if found["status"].startswith("completed"):
        assert found["created"] + found["updated"] + found["skipped"] + found["failed"] == found["total"]
    return found


async def reverted(api: httpx.AsyncClient, db: Database, shop: Workspace, run: Json) -> Json:
    """An import taken back."""
    told(await api.post(f"/api/imports/{run['id']}/revert"), 202)
    await customer_revert.revert(UUID(run["id"]), partial(db.tx, shop.id, origin="import"))
    return told(await api.get(f"/api/imports/{run['id']}"))


DUMPED = (
    ("customer", "id, source, external_id, email, name, phone, phone_e164, date_of_birth, gender, status, status_before_block, "
     "country, tags, custom_fields, deleted_at, merged_into_id, created_at"),
    ("customer_identity", "customer_id, kind, source, shop, value, key, quality, matched_by, is_hub, released_at"),
    ("address", "id, customer_id, type, is_default, line1, line2, city, state, postal_code, country, recipient_name, phone"),
    ("customer_note", "id, customer_id, note, author"),
    ("customer_metrics", "customer_id, order_count, total_spent"),
    ("customer_day", "customer_id, day, orders, net"),
    ("segment_member", "segment_id, customer_id"),
    ("duplicate_pair", "a_id, b_id, level, status"),
    ("consent", "customer_id, channel, topic, state"),
    ("custom_field_value", "index_id, customer_id, text_key"),
)  # fmt: skip


async def dump(db: Database, shop: Workspace) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that is known of customers, but when and how often it was changed."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    async with db.reader(shop.id) as reader:
        for table, columns in DUMPED:
            sql = f"select {columns} from {table} where workspace_id = $1"
            found[table] = sorted((tuple(row) for row in await reader.rows(sql)), key=repr)
    return found
