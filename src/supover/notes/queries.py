"""Notes are found and listed."""

from typing import Final
from uuid import UUID

from supover.kit.db import Reader
from supover.notes.model import Note, NoteNotFound

_COLUMNS: Final = (
    "n.id, n.customer_id, n.note, n.pinned, n.author, n.author_name, n.created_at, n.updated_at, n.version"
)
FIND: Final = f"""
    select {_COLUMNS}
      from customer_note n
     where n.workspace_id = $1 and n.customer_id = $2 and n.id = $3"""
# The pinned ones come first, then the newest; ids begin with the time.
LIST: Final = f"""
    select {_COLUMNS}
      from customer_note n
     where n.workspace_id = $1 and n.customer_id = $2
       and ($3::uuid is null or (n.pinned, n.id) < ($4, $3))
     order by n.pinned desc, n.id desc
     limit $5"""
COUNT: Final = "select count(*) from customer_note n where n.workspace_id = $1 and n.customer_id = $2"


async def find(db: Reader, customer_id: UUID, id: UUID) -> Note:
    """One note of this customer. Raises NoteNotFound."""
    return await db.one(Note, FIND, customer_id, id, missing=NoteNotFound)


async def search(db: Reader, customer_id: UUID, after: tuple[bool, UUID] | None, limit: int) -> list[Note]:
    """Notes from after a note's place."""
    pinned, id = after or (None, None)
    return await db.all(Note, LIST, customer_id, id, pinned, limit)


async def count(db: Reader, customer_id: UUID) -> int:
    """How many notes a customer has."""
    return await db.value(COUNT, customer_id)
