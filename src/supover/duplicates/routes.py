"""The web addresses of duplicates."""

from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from litestar.params import QueryParameter

from supover.duplicates import commands, queries
from supover.duplicates.model import (
    Acceptance,
    Cluster,
    Dismissal,
    DuplicatePair,
    Level,
    NewScan,
    PairDetail,
    Scan,
    Settings,
    SettingsChange,
)
from supover.kit import sql
from supover.kit.api import Answer, Count, Cursor, IfMatch, Limit, Listing, PageNumber, Routes, version_of
from supover.kit.db import Reader, Tx

routes = Routes("duplicates")


@routes.get("/api/duplicates", search=True)
async def search(
    db: Reader,
    limit: Limit = None,
    cursor: Cursor = None,
    page: PageNumber = None,
    count: Count = None,
    suggested: Annotated[
        bool | None,
        QueryParameter(name="suggested", required=False, description="Only the levels automatic and suggested."),
    ] = None,
    level: Annotated[Level | None, QueryParameter(name="level", required=False, description="Only this level.")] = None,
    status: Annotated[
        Literal["open", "dismissed", "merged", "all"] | None,
        QueryParameter(name="status", required=False, description="open unless told."),
    ] = None,
    customer_id: Annotated[
        UUID | None, QueryParameter(name="customerId", required=False, description="Only pairs with this customer.")
    ] = None,
    min_score: Annotated[
        Decimal | None,
        QueryParameter(name="minScore", required=False, description="Only pairs of so many bits or more."),
    ] = None,
    cluster: Annotated[
        UUID | None, QueryParameter(name="cluster", required=False, description="Only pairs of this group.")
    ] = None,
) -> Listing[DuplicatePair]:
    """List customers that may be the same person, the most likely first.

    `automatic` pairs share a real email or phone and have first names that go together; `suggested` ones are more likely than
    not and nothing forbids them; `review` has the rest that somebody may want to look at.
    """
    wanted = sql.page(queries.SORTS, limit=limit, sort=None, cursor=cursor, number=page)
    found, following, total = await queries.search(
        db,
        wanted,
        status=status or "open",
        suggested=bool(suggested),
        level=level,
        customer_id=customer_id,
        cluster_id=cluster,
        min_score=min_score,
        count=bool(count),
    )
    return Listing(found, following, total)


# --- scans ---------------------------------------------------------------------------------------------------------------


@routes.post("/api/duplicates/scan", status=202)
async def scan(tx: Tx, data: NewScan | None = None) -> Answer[Scan]:
    """Search for duplicates.

    A job compares who is new or has changed since the last scan with everybody; with `full` everybody with everybody, which the
    first scan always does. `GET /api/duplicates/scans/{id}` shows how far it is.
    """
    made = await commands.begin_scan(tx, full=(data or NewScan()).full)
    return Answer(made, 202, {"Location": f"/api/duplicates/scans/{made.id}"})


@routes.get("/api/duplicates/scans")
async def search_scans(db: Reader, limit: Limit = None, cursor: Cursor = None) -> Listing[Scan]:
    """List the scans, the newest first."""
    page = sql.page(queries.SCAN_SORTS, limit=limit, sort=None, cursor=cursor)
    found, following = await queries.scans(db, page)
    return Listing(found, following)


@routes.get("/api/duplicates/scans/{id:uuid}")
async def find_scan(db: Reader, id: UUID) -> Scan:
    """Read a scan: how far it is, and what it found."""
    return await queries.scan(db, id)


# --- groups --------------------------------------------------------------------------------------------------------------


@routes.get("/api/duplicates/clusters", search=True)
async def search_clusters(
    db: Reader, limit: Limit = None, cursor: Cursor = None, count: Count = None
) -> Listing[Cluster]:
    """List groups of customers that are one person by all that is known.

    No group has two who cannot be one: with other first names, other generations, or whom somebody said not to be.
    """
    page = sql.page(queries.CLUSTER_SORTS, limit=limit, sort=None, cursor=cursor)
    found, after = await queries.clusters(db, page.after[1] if page.after else queries.FIRST, page.limit)
    total = await db.value(queries.COUNT_CLUSTERS) if count else None
    return Listing(found, None if after is None else page.cursor(after, after), total)


@routes.get("/api/duplicates/clusters/{id:uuid}")
async def find_cluster(db: Reader, id: UUID) -> Cluster:
    """Read a group; its pairs are in the list of duplicates by `cluster`."""
    return await queries.cluster(db, id)


# --- settings ------------------------------------------------------------------------------------------------------------


@routes.get("/api/duplicates/settings")
async def find_settings(db: Reader) -> Settings:
    """Read what the workspace wants to happen by itself."""
    return await queries.settings(db)


@routes.patch("/api/duplicates/settings")
async def change_settings(tx: Tx, data: SettingsChange, if_match: IfMatch = None) -> Settings:
    """Turn automatic merging or the nightly scan on or off.

    With `automaticMerging` pairs of the level automatic are merged by a job after each scan; each merge can be undone, and what
    was undone is not merged by itself again. It is off unless turned on.
    """
    return await commands.change_settings(tx, data, version_of(if_match))


# --- one pair ------------------------------------------------------------------------------------------------------------


@routes.get("/api/duplicates/{id:uuid}")
async def find(db: Reader, id: UUID) -> PairDetail:
    """Read a pair: both customers side by side, and in bits what speaks for and against their being one person."""
    return await queries.find(db, id)


@routes.post("/api/duplicates/{id:uuid}/dismiss")
async def dismiss(tx: Tx, id: UUID, data: Dismissal | None = None, if_match: IfMatch = None) -> PairDetail:
    """Say that two customers are not one person.

    It is remembered for good: no scan brings them together again, nor into one group. Dismissing twice changes nothing.
    """
    return await commands.dismiss(tx, id, (data or Dismissal()).note, version_of(if_match))


@routes.post("/api/duplicates/{id:uuid}/reopen")
async def reopen(tx: Tx, id: UUID, if_match: IfMatch = None) -> PairDetail:
    """Take a dismissal back."""
    return await commands.reopen(tx, id, version_of(if_match))


@routes.post("/api/duplicates/{id:uuid}/accept")
async def accept(tx: Tx, id: UUID, data: Acceptance | None = None, if_match: IfMatch = None) -> PairDetail:
    """Merge the two into one.

    Into `primaryId`, one of the two; unless told into the one who has ordered more. `fields` chooses values as
    `POST /api/customers/merge` does, which this is; `mergeId` says how to undo it.
    """
    return await commands.accept(tx, id, data or Acceptance(), version_of(if_match))
