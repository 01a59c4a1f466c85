"""What is older than the workspace wants is forgotten, in batches."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from supover import settings as configuration
from supover.kit import clock, ids, storage
from supover.kit import retention as kit
from supover.kit.db import Database
from supover.kit.retention import forgets
from supover.privacy import commands, queries

AUDIT_BATCH: Final = 5_000
CUSTOMERS_BATCH: Final = 1_000
FILES_BATCH: Final = 100
MONTH: Final = timedelta(days=30.44)

FORGET_AUDIT: Final = "select audit_forget($2, $3) where $1::uuid = (select current_workspace())"
INACTIVE: Final = """
    select c.id
      from customer c
      left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
     where c.workspace_id = $1 and c.id > $3 and c.erased_at is null and c.merged_into_id is null and c.updated_at < $2
       and coalesce(m.last_order_at, c.created_at) < $2
       and not exists (select 1 from "order" o where o.workspace_id = $1 and o.customer_id = c.id and o.placed_at >= $2)
       and not exists (select 1 from consent_entry e where e.workspace_id = $1 and e.customer_id = c.id and e.at >= $2)
       and not exists (select 1 from privacy_request r
                        where r.workspace_id = $1 and r.customer_id = c.id and r.kind = 'erase' and r.status in ('pending', 'running'))
     order by c.id
     limit $4
       for key share of c"""


@forgets("audit_days")
async def forget_audit(database: Database, workspace_id: UUID, days: int) -> int:
    """Forgets rows of the audit log."""
    before = ids.first_at(clock.now() - timedelta(days=days))
    gone, forgotten = AUDIT_BATCH, 0
    while gone >= AUDIT_BATCH:
        async with database.tx(workspace_id) as tx:
            gone = await tx.value(FORGET_AUDIT, before, AUDIT_BATCH)
        forgotten += gone
    return forgotten


OLD_FILES: Final = """
    select r.id, r.file_key, r.page_key
      from privacy_request r
     where r.workspace_id = $1 and r.file_key is not null and r.finished_at < $2
     order by r.id
     limit $3"""


@forgets("export_file_days")
async def forget_files(database: Database, workspace_id: UUID, days: int) -> int:
    """Forgets the files that told people what is kept of them."""
    keep = storage.of(configuration.load().storage_url)
    before, forgotten = clock.now() - timedelta(days=days), 0
    while True:
        async with database.reader(workspace_id) as db:
            old = await db.rows(OLD_FILES, before, FILES_BATCH)
        for id, *keys in old:
            # The files first: a key that leads nowhere is found again, a file without a key never.
            for key in keys:
                await keep.delete(key)
            async with database.tx(workspace_id) as tx:
                await commands.forget_files(tx, id)
        forgotten += len(old)
        if len(old) < FILES_BATCH:
            return forgotten


@forgets("inactive_customer_months")
async def forget_inactive(database: Database, workspace_id: UUID, months: int) -> int:
    """Asks for the erasure of customers of whom nothing was heard, with the workspace's delay."""
    now = clock.now()
    async with database.reader(workspace_id) as db:
        run_at = now + timedelta(days=(await queries.retention(db)).erase_delay_days)
    before, after, asked = now - months * MONTH, UUID(int=0), 0
    while True:
        async with database.tx(workspace_id) as tx:
            found = await tx.column(INACTIVE, before, after, CUSTOMERS_BATCH)
            await commands.ask_for_inactive(tx, found, run_at)
        asked += len(found)
        if len(found) < CUSTOMERS_BATCH:
            return asked
        after = found[-1]


async def apply(database: Database, workspace_id: UUID) -> dict[str, int]:
    """Forgets everything that is older than the workspace wants; how much, by setting."""
    async with database.reader(workspace_id) as db:
        wanted = await queries.retention(db)
    done: dict[str, int] = {}
    for one in kit.kept():
        units: int | None = getattr(wanted, one.setting)
        if units is not None:
            done[one.setting] = done.get(one.setting, 0) + await one.forget(database, workspace_id, units)
    return done
