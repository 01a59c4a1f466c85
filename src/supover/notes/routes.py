"""The web addresses of notes."""

import base64
import binascii
from uuid import UUID

import msgspec

from supover.customers import queries as customers
from supover.kit.api import Answer, Count, Cursor, IfMatch, Limit, Listing, Routes, version_of
from supover.kit.db import Reader, Tx
from supover.kit.problems import Invalid
from supover.kit.sql import DEFAULT_LIMIT, MAX_LIMIT, CursorBroken
from supover.notes import commands, queries
from supover.notes.model import NewNote, Note

routes = Routes("notes")


@routes.get("/api/customers/{id:uuid}/notes")
async def search(
    db: Reader, id: UUID, limit: Limit = None, cursor: Cursor = None, count: Count = None
) -> Listing[Note]:
    """List a customer's notes.

    Pinned ones first, then the newest.
    """
    await customers.exists(db, id, "/notes")
    size = DEFAULT_LIMIT if limit is None else limit
    if not 1 <= size <= MAX_LIMIT:
        raise Invalid.at("limit", "range", f"must be from 1 to {MAX_LIMIT}")
    found = await queries.search(db, id, None if cursor is None else _place(cursor), size + 1)
    total = await queries.count(db, id) if count else None
    following = None
    if len(found) > size:
        found = found[:size]
        raw = msgspec.json.encode([found[-1].pinned, found[-1].id])
        following = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return Listing(found, following, total)


def _place(cursor: str) -> tuple[bool, UUID]:
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=tuple[bool, UUID])
    except (UnicodeEncodeError, binascii.Error, msgspec.MsgspecError, ValueError):
        raise CursorBroken from None


@routes.post("/api/customers/{id:uuid}/notes", status=201)
async def create(tx: Tx, id: UUID, data: NewNote) -> Answer[Note]:
    """Write a note."""
    await customers.exists(tx, id, "/notes")
    note = await commands.create(tx, id, data)
    return Answer(note, 201, {"Location": f"/api/customers/{id}/notes/{note.id}"})


@routes.get("/api/customers/{id:uuid}/notes/{note_id:uuid}")
async def find(db: Reader, id: UUID, note_id: UUID) -> Note:
    """Read a note."""
    await customers.exists(db, id, f"/notes/{note_id}")
    return await queries.find(db, id, note_id)


@routes.put("/api/customers/{id:uuid}/notes/{note_id:uuid}")
async def replace(tx: Tx, id: UUID, note_id: UUID, data: NewNote, if_match: IfMatch = None) -> Note:
    """Replace a note; its author stays."""
    await customers.exists(tx, id, f"/notes/{note_id}")
    return await commands.replace(tx, id, note_id, data, version_of(if_match))


@routes.delete("/api/customers/{id:uuid}/notes/{note_id:uuid}")
async def delete(tx: Tx, id: UUID, note_id: UUID, if_match: IfMatch = None) -> None:
    """Remove a note."""
    await customers.exists(tx, id, f"/notes/{note_id}")
    await commands.delete(tx, id, note_id, version_of(if_match))
