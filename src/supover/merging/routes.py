"""The web addresses of merging."""

from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter

from supover.kit import sql
from supover.kit.api import Answer, Count, Cursor, Limit, Listing, Routes
from supover.kit.db import Reader, Tx
from supover.merging import commands, queries, splitting, undoing
from supover.merging.model import Merge, MergeAnswer, MergeUndoneAnswer, NewMerge, NewSplit, SplitAnswer

routes = Routes("merges")


@routes.post("/api/customers/merge", name="create")
async def merge(
    tx: Tx,
    data: NewMerge,
    dry_run: Annotated[
        bool | None, QueryParameter(name="dryRun", required=False, description="As in the body.")
    ] = None,
) -> Answer[MergeAnswer]:
    """Merge customers into one.

    Orders, addresses, contacts, notes, tags, custom fields, groups and what was said about being written to are the primary's then,
    in one step or not at all. Of a field the primary's value counts, and blanks are filled from the others, or as `fields` says. Old
    ids lead to the survivor with 308. One that was merged already is answered with 409 and `mergedIntoId`; what stands in the way
    with 409 and `blockers`. A merge can be undone for 90 days. It never changes a login.

    With `dryRun` nothing changes: the answer says what each field would be, from whom, with the alternatives, what would move, and
    what stands in the way.
    """
    done = await commands.merge(
        tx, data.primary_id, data.duplicate_ids, fields=data.fields, dry_run=data.dry_run or bool(dry_run)
    )
    headers = {} if done.merge_id is None else {"Location": f"/api/merges/{done.merge_id}"}
    return Answer(done, 200, headers)


@routes.get("/api/merges", search=True)
async def search(
    db: Reader,
    limit: Limit = None,
    cursor: Cursor = None,
    count: Count = None,
    customer_id: Annotated[
        UUID | None,
        QueryParameter(name="customerId", required=False, description="Merged into, or into another one."),
    ] = None,
) -> Listing[Merge]:
    """List merges, the newest first."""
    page = sql.page(queries.SORTS, limit=limit, sort=None, cursor=cursor)
    found, following, total = await queries.search(db, page, customer_id=customer_id, count=bool(count))
    return Listing(found, following, total)


@routes.get("/api/merges/{id:uuid}")
async def find(db: Reader, id: UUID) -> Merge:
    """Read a merge: who, by whom, what moved, until when it can be undone, and what undoing it could not put back."""
    return await queries.find(db, id)


@routes.post("/api/merges/{id:uuid}/undo")
async def undo(tx: Tx, id: UUID) -> MergeUndoneAnswer:
    """Undo a merge.

    Everybody is by themselves again and has what was theirs, and orders that came since by a contact of theirs. What was added to the
    survivor since stays there, and so does what somebody changed; `merge.notPutBack` says what did not go back, and why. Once is
    enough: again is 409, and so is one that a later merge of the same customer stands on, which must be undone first.
    """
    return await undoing.undo(tx, id)


@routes.post("/api/customers/{id:uuid}/split", status=201)
async def split(tx: Tx, id: UUID, data: NewSplit) -> Answer[SplitAnswer]:
    """Split a customer in two.

    The orders and contacts that are named, with addresses and notes, are a new customer's; later orders by those contacts too. Both
    have their figures within seconds, and are not suggested as duplicates again. What they refused to be sent counts for both.
    """
    done = await splitting.split(tx, id, data)
    return Answer(done, 201, {"Location": f"/api/customers/{done.customer.id}"})
