"""HTTP: the workspace's jobs, the dead ones among them, to try again or to cancel."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from litestar import Request
from litestar.params import QueryParameter

from supover.kit import jobs
from supover.kit.api import Count, Cursor, Limit, Listing, PageNumber, Routes
from supover.kit.db import Reader, Tx
from supover.kit.jobs import Job
from supover.kit.problems import Invalid
from supover.kit.sql import page

routes = Routes("jobs")

AnyRequest = Request[Any, Any, Any]

MOST_AT_ONCE: Final = 1_000


class JobsToRetry(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Which jobs to try again: those that are dead (or cancelled), of this kind or with these ids, else all."""

    state: Literal["dead", "cancelled"] = "dead"
    kind: str | None = None
    ids: list[UUID] | None = None


class Retried(msgspec.Struct, frozen=True, rename="camel"):
    """How many are queued again, and how many are left."""

    retried: int
    left: int


# Planned for its values: the index that serves the rare states is of no use to a plan for any state.
@routes.get("/api/jobs", search=True)
async def search(
    db: Reader,
    request: AnyRequest,
    in_state: Annotated[
        jobs.State | None, QueryParameter(name="state", required=False, description="Only jobs in this state.")
    ] = None,
    kind: Annotated[
        str | None, QueryParameter(name="kind", required=False, description="Only of this kind, as in `imports.run`.")
    ] = None,
    limit: Limit = None,
    cursor: Cursor = None,
    number: PageNumber = None,
    sort: Annotated[
        str | None, QueryParameter(name="sort", required=False, description="createdAt or -createdAt.")
    ] = None,
    count: Count = None,
) -> Listing[Job]:
    """Lists this workspace's jobs.

    The newest first. `state=dead` shows those that failed for good, with the reason in `error`.
    """
    asked = page(jobs.SORTS, limit=limit, sort=sort, cursor=cursor, number=number)
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


@routes.post("/api/jobs/retry")
async def retry_many(tx: Tx, data: JobsToRetry) -> Retried:
    """Queues dead jobs again, by kind or by ids.

    The oldest first, up to 1,000 at once: ask again while `left` goes down. Of the same work only the newest is queued,
    and none where it is queued already.
    """
    if data.ids is not None and not 1 <= len(data.ids) <= MOST_AT_ONCE:
        raise Invalid.at("/ids", "length", f"must hold 1 to {MOST_AT_ONCE} ids")
    return Retried(*await jobs.retry_many(tx, data.state, data.kind, data.ids, MOST_AT_ONCE))


@routes.post("/api/jobs/{id:uuid}/cancel")
async def cancel(tx: Tx, id: UUID) -> Job:
    """Cancels a job.

    A queued one never starts; a running one is asked to stop (`cancelling`), which it does where it can. 409 when it
    has ended.
    """
    return await jobs.cancel(tx, id)
