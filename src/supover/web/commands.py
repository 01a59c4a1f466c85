"""What the screens remember of who looks at them."""

from typing import Final
from uuid import UUID

from supover.kit import clock
from supover.kit.db import Tx
from supover.web.model import Preference

# The last twenty are kept.
NOTE: Final = """
    with gone as (
        delete from web_recent r
         using (select e.customer_id, row_number() over (order by e.seen_at desc) as place
                  from web_recent e
                 where e.workspace_id = $1 and e.staff_id = $2 and e.customer_id <> $3) as old
         where r.workspace_id = $1 and r.staff_id = $2 and r.customer_id = old.customer_id and old.place > 19)
    insert into web_recent as r (workspace_id, staff_id, customer_id, seen_at)
    select $1, $2, c.id, $4
      from customer c
     where c.workspace_id = $1 and c.id = $3 and c.deleted_at is null
        on conflict (workspace_id, staff_id, customer_id) do update set seen_at = excluded.seen_at"""


async def note_seen(tx: Tx, staff_id: UUID, customer_id: UUID) -> None:
    """Remembers that somebody has looked at a customer; the last twenty are kept."""
    await tx.run(NOTE, staff_id, customer_id, clock.now())


SEEN: Final = """
    insert into web_preference as p (workspace_id, staff_id, seen_at)
    values ($1, $2, $3)
        on conflict (workspace_id, staff_id) do update set seen_at = excluded.seen_at"""


async def mark_seen(tx: Tx, staff_id: UUID) -> None:
    """Everything that has failed up to now was seen."""
    await tx.run(SEEN, staff_id, clock.now())


PREFER: Final = """
    insert into web_preference as p (workspace_id, staff_id, language, timezone) values ($1, $2, $3, $4)
    on conflict (workspace_id, staff_id) do update set language = excluded.language, timezone = excluded.timezone"""


async def prefer(tx: Tx, staff_id: UUID, wanted: Preference) -> None:
    """Keeps the language and time zone that somebody wants the screens to have in this workspace; null is as it comes."""
    await tx.run(PREFER, staff_id, wanted.language, wanted.timezone)
