"""Notes are written, changed and removed."""

from typing import Final
from uuid import UUID

from supover.kit import ids, text
from supover.kit.db import Tx
from supover.kit.events import publish
from supover.kit.problems import Invalid, Stale
from supover.notes import queries
from supover.notes.events import NoteAdded, NoteChanged, NoteRemoved
from supover.notes.model import NewNote, Note, NoteNotFound

LENGTH: Final = 10_000

ADD: Final = """
    insert into customer_note (workspace_id, id, customer_id, note, pinned, author, author_name)
    values ($1, $2, $3, $4, $5, $6, $7)"""
CHANGE: Final = """
    update customer_note
       set note = $4, pinned = $5, updated_at = now(), version = version + 1
     where workspace_id = $1 and customer_id = $2 and id = $3 and ($6::integer is null or version = $6)"""
REMOVE: Final = """
    delete from customer_note
     where workspace_id = $1 and customer_id = $2 and id = $3 and ($4::integer is null or version = $4)"""


async def create(tx: Tx, customer_id: UUID, new: NewNote) -> Note:
    """Writes a note in the name of whoever acts. Raises Invalid."""
    id = ids.new()
    await tx.run(ADD, id, customer_id, _text(new.note), new.pinned, tx.actor, tx.actor_name)
    note = await queries.find(tx, customer_id, id)
    tx.changed("note", id, None, note, ("note", "pinned"))
    await publish(tx, [NoteAdded(customer_id=customer_id, note_id=id, author_name=tx.actor_name)])
    return note


async def replace(tx: Tx, customer_id: UUID, id: UUID, new: NewNote, expected: int | None = None) -> Note:
    """Puts a note in another's place; its author stays. Raises NoteNotFound, Stale, Invalid."""
    old = await queries.find(tx, customer_id, id)
    if not await tx.run(CHANGE, customer_id, id, _text(new.note), new.pinned, expected):
        raise await _missed(tx, customer_id, id)
    note = await queries.find(tx, customer_id, id)
    tx.changed("note", id, old, note, ("note", "pinned"))
    await publish(tx, [NoteChanged(customer_id=customer_id, note_id=id)])
    return note


async def delete(tx: Tx, customer_id: UUID, id: UUID, expected: int | None = None) -> None:
    """Removes a note. Raises NoteNotFound, Stale."""
    old = await queries.find(tx, customer_id, id)
    if not await tx.run(REMOVE, customer_id, id, expected):
        raise await _missed(tx, customer_id, id)
    tx.changed("note", id, old, None, ("note", "pinned"))
    await publish(tx, [NoteRemoved(customer_id=customer_id, note_id=id)])


async def _missed(tx: Tx, customer_id: UUID, id: UUID) -> NoteNotFound | Stale:
    """Why a write touched nothing: the note has another version, or is gone."""
    note = await queries.find(tx, customer_id, id)
    return Stale(f"It is at version {note.version} now.")


def _text(note: str) -> str:
    kept = text.clean_lines(note)
    if not kept:
        raise Invalid.at("/note", "required", "is empty")
    if len(kept) > LENGTH:
        raise Invalid.at("/note", "length", f"has more than {LENGTH} characters")
    return kept
