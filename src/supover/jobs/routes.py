"""HTTP: the workspace's jobs, the dead ones among them, to try again or to cancel."""

from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter

from supover.kit import jobs
from supover.kit.api import Count, Cursor, Limit, Listing, Routes
from supover.kit.db import Reader, Tx
from supover.kit.jobs import Job
from supover.kit.sql import page

routes = Routes("jobs")


# Planned for its values: the index that serves the rare states is of no use to a plan for any state.
@routes.get("/api/jobs", search=True)
async def search(
    db: Reader,
    in_state: Annotated[
        jobs.State | None, QueryParameter(name="state", required=False, description="Only jobs in this state.")
    ] = None,
    kind: Annotated[
        str | None, QueryParameter(name="kind", required=False, description="Only of this kind, as in `imports.run`.")
    ] = None,
    limit: Limit = None,
    cursor: Cursor = None,
    sort: Annotated[str | None, QueryParameter(name="sort", required=False, description="createdAt or -createdAt.")] = None,
    count: Count = None,
) -> Listing[Job]:
    """Lists this workspace's jobs.

    The newest first. `state=dead` shows those that failed for good, with the reason in `error`.
    """
    asked = page(jobs.SORTS, limit=limit, sort=sort, cursor=cursor)
    return await jobs.search(db, asked, state=in_state, kind=kind, count=bool(count))


@routes.get("/api/jobs/{id:uuid}")
async def find(db: Reader, id: UUID) -> Job:
    """Reads one job."""
    return await jobs.find(db, id)


@routes.post("/api/jobs/{id:uuid}/retry")
async def retry(tx: Tx, id: UUID) -> Job:
    """Queues a dead or cancelled job again.

    It gets all its attempts anew. 409 when it is neither, or when the same work is queued already.
    """
    return await jobs.retry(tx, id)


@routes.post("/api/jobs/{id:uuid}/cancel")
async def cancel(tx: Tx, id: UUID) -> Job:
    """Cancels a job.

    A queued one never starts; a running one is asked to stop (`cancelling`), which it does where it can. 409 when it
    has ended.
    """
    return await jobs.cancel(tx, id)
