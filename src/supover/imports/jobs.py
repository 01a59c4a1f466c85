"""The job that runs an import that was sent over the API."""

import tempfile
from pathlib import Path
from uuid import UUID

from supover import settings as configuration
from supover.imports import commands, queries
from supover.kit import storage
from supover.kit.jobs import JobContext, job


@job("imports.orders", lease_s=60)
async def run_orders(ctx: JobContext, import_id: UUID) -> None:
    """Fetches the file and runs the import from its checkpoint on; whole chunks only, whatever stops it."""
    async with ctx.reader() as db:
        stored = await queries.stored(db, import_id)
    if stored.file_key is None or stored.status not in ("queued", "running"):
        return
    with tempfile.TemporaryDirectory(prefix="supover-import-") as folder:
        file = Path(folder) / "orders"
        with file.open("wb") as copy:
            async for block in storage.of(configuration.load().storage_url).get(stored.file_key):
                copy.write(block)
        await commands.run(
            ctx.database,
            ctx.workspace_id,
            import_id,
            file,
            actor="system",
            progress=lambda run: ctx.progress({"done": run.done, "total": run.total}),
        )
