"""What is done to many customers: how far it is, what became of each, and how it is taken back."""

from typing import Final
from uuid import UUID

from supover.bulk import commands, queries
from supover.bulk.model import BulkAction
from supover.bulk.routes import FIRST
from supover.kit import api, sql
from supover.kit.db import Reader, Tx
from supover.web.frame import Asked, Pages, back, see, show
from supover.web.queries import people
from supover.web.rendering import called

pages = Pages()

MOST_FAILED: Final = 100
BUSY: Final = frozenset({"queued", "running", "undoing"})


@pages.get("/bulk", of="bulk.search")
async def show_actions(db: Reader, request: Asked) -> api.Raw:
    """What was done to many, the newest first."""
    page = sql.page(queries.SORTS, limit=None, sort=None, cursor=request.query_params.get("cursor"))
    found, following = await queries.search(db, page)
    return await show(request, db, "bulk/list.html", found=found, following=following)


@pages.get("/bulk/{id:uuid}", of="bulk.find")
async def show_action(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """One action: how far it is, who failed and why, and what undoing it left as it is."""
    one = await queries.find(db, id)
    failed = await queries.results(db, id, "failed", FIRST, MOST_FAILED) if one.failed else []
    kept = await queries.kept(db, id, FIRST, MOST_FAILED) if one.kept else []
    who = await people(db, (row.customer_id for row in (*failed, *kept)))
    names = {id: called(one) for id, one in who.items()}
    return await show(
        request, db, "bulk/one.html", one=one, failed=failed, kept=kept, names=names, busy=one.status in BUSY,
        share=_share(one), most=MOST_FAILED,
    )  # fmt: skip


def _share(one: BulkAction) -> float:
    done, of = (one.undone, one.changed) if one.status in ("undoing", "undone") else (one.done, one.total)
    return min(done / of, 1.0) if of else 1.0


@pages.post("/bulk/{id:uuid}/cancel", of="bulk.cancel")
async def cancel(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Stops an action; what is done can be undone."""
    await commands.cancel(tx, id)
    return see(request, f"/bulk/{id}", "It was stopped.")


@pages.post("/bulk/{id:uuid}/undo", of="bulk.undo")
async def undo(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Takes an action back, as far as nobody has changed the same since."""
    found = await commands.undo(tx, id)
    if found.status == "undone":
        return see(request, back(request, f"/bulk/{id}"), "It was undone.")
    return see(request, f"/bulk/{id}")
