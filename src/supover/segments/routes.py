"""The web addresses of segments."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from litestar import Request
from litestar.params import QueryParameter

from supover.customers import queries as customers
from supover.customers.model import Customer
from supover.kit import sql, text
from supover.kit.api import Answer, Count, Cursor, IfMatch, Limit, Listing, Routes, version_of
from supover.kit.db import Reader, Tx
from supover.kit.problems import Invalid
from supover.segments import commands, preview, queries, rules
from supover.segments.model import (
    Asked,
    AskedWhy,
    BuiltInAdded,
    BuiltInWanted,
    Explanation,
    Growth,
    Kind,
    Membership,
    NewSegment,
    Picks,
    PicksAnswer,
    Preview,
    Segment,
    SegmentChange,
    SegmentReplacement,
)

routes = Routes("segments")

AnyRequest = Request[Any, Any, Any]


@routes.get("/api/segments", search=True)
async def search(
    db: Reader,
    limit: Limit = None,
    cursor: Cursor = None,
    count: Count = None,
    sort: Annotated[
        str | None,
        QueryParameter(
            name="sort", required=False, description="name, members or createdAt; - descends. By name unless told."
        ),
    ] = None,
    wanted: Annotated[
        str | None,
        QueryParameter(
            name="search", required=False, description="Any part of the name; case and accents do not matter."
        ),
    ] = None,
    kind: Annotated[
        Kind | None, QueryParameter(name="kind", required=False, description="Only by filter, or only manual ones.")
    ] = None,
) -> Listing[Segment]:
    """List segments.

    By name unless sorted otherwise.
    """
    page = sql.page(queries.SORTS, limit=limit, sort=sort, cursor=cursor)
    part = text.clean(wanted or "")
    if len(part) > rules.NAME_LENGTH:
        raise Invalid.at("search", "length", f"can have at most {rules.NAME_LENGTH} characters")
    found, following, total = await queries.search(db, page, name=part, kind=kind, count=bool(count))
    return Listing(found, following, total)


@routes.post("/api/segments", status=201)
async def create(tx: Tx, data: NewSegment) -> Answer[Segment]:
    """Create a segment.

    By filter it is `complete` once a job has looked at everybody. A name that another segment has is answered with 409 and
    that one's `segmentId`.
    """
    made = await commands.create(tx, data)
    return Answer(made, 201, {"Location": f"/api/segments/{made.id}"})


@routes.post("/api/segments/preview", search=True)
async def show_preview(db: Reader, data: Asked) -> Preview:
    """Preview a filter.

    How many customers fit it now, which share of all that is, the filter in words and ten of them. Nothing is kept. A
    filter that cannot be read is answered with 422 and the `position` of each error.
    """
    return await preview.preview(db, data.filter)


@routes.post("/api/segments/explain", search=True)
async def explain(db: Reader, data: AskedWhy) -> Explanation:
    """Explain a filter.

    Each condition with how many customers fit it by itself and, where `customerId` is given, whether that one does; the
    statement that counts who fits the whole, and PostgreSQL's plan for it. A customer who is not there is a 404.
    """
    return await preview.explain(db, data.filter, data.customer_id)


@routes.post("/api/segments/built-in")
async def add_built_in(tx: Tx, data: BuiltInWanted) -> BuiltInAdded:
    """Bring built-in segments back.

    Those that were deleted; what was changed of the others stays.
    """
    return BuiltInAdded(await commands.restore_built_in(tx, data.keys))


@routes.get("/api/segments/{id:uuid}")
async def find(db: Reader, id: UUID) -> Segment:
    """Read a segment.

    `asOf` is honest: what had happened by then is in. The ETag is of what people edit, and stays when members come and go.
    """
    return await queries.find(db, id)


@routes.put("/api/segments/{id:uuid}")
async def replace(tx: Tx, id: UUID, data: SegmentReplacement, if_match: IfMatch = None) -> Segment:
    """Replace a segment.

    With another filter it is not `complete` until everybody was looked at; until then the members of before stay.
    """
    return await commands.replace(tx, id, data, version_of(if_match))


@routes.patch("/api/segments/{id:uuid}")
async def change(tx: Tx, id: UUID, data: SegmentChange, if_match: IfMatch = None) -> Segment:
    """Change what is given of a segment.

    With another filter it is not `complete` until everybody was looked at; until then the members of before stay.
    """
    return await commands.change(tx, id, data, version_of(if_match))


@routes.delete("/api/segments/{id:uuid}")
async def delete(tx: Tx, id: UUID, if_match: IfMatch = None) -> None:
    """Delete a segment.

    Its customers stay. A built-in one can be brought back.
    """
    await commands.delete(tx, id, version_of(if_match))


@routes.post("/api/segments/{id:uuid}/refresh", status=202)
async def refresh(tx: Tx, id: UUID) -> Answer[Segment]:
    """Look at everybody again.

    By a job; `refreshing` until it is done. Segments refresh by themselves: this is for who doubts it.
    """
    return Answer(await commands.refresh(tx, id), 202, {"Location": f"/api/segments/{id}"})


# --- members -------------------------------------------------------------------------------------------------------------


# Planned for its values: of a small segment the members are sorted, of a big one the list is walked.
@routes.get("/api/segments/{id:uuid}/customers", search=True)
async def members(
    db: Reader,
    id: UUID,
    limit: Limit = None,
    cursor: Cursor = None,
    count: Count = None,
    sort: Annotated[
        str | None,
        QueryParameter(
            name="sort", required=False, description="enteredAt or createdAt; - descends. The last to enter first."
        ),
    ] = None,
) -> Listing[Customer]:
    """List the customers in a segment.

    As the customers' list shows them. `total` is counted anew.
    """
    await queries.exists(db, id)
    page = sql.page(queries.MEMBER_SORTS, limit=limit, sort=sort, cursor=cursor)
    found, following, total = await queries.members(db, id, page, count=bool(count))
    return Listing(found, following, total)


@routes.post("/api/segments/{id:uuid}/customers")
async def pick(tx: Tx, id: UUID, data: Picks) -> PicksAnswer:
    """Put customers into a group.

    Up to 1,000 ids at once; what became of each is told in `rows`. Who is in it already stays. 409 for a segment by filter.
    """
    return await commands.pick(tx, id, data.ids)


@routes.delete("/api/segments/{id:uuid}/customers/{customer_id:uuid}")
async def unpick(tx: Tx, id: UUID, customer_id: UUID) -> None:
    """Take a customer out of a group.

    404 for one who is not in it, 409 for a segment by filter.
    """
    await commands.unpick(tx, id, customer_id)


@routes.get("/api/customers/{id:uuid}/segments")
async def of_customer(
    db: Reader,
    id: UUID,
    limit: Limit = None,
    cursor: Cursor = None,
    count: Count = None,
    sort: Annotated[
        str | None,
        QueryParameter(
            name="sort",
            required=False,
            description="enteredAt or name; - descends. The segment that was entered last first.",
        ),
    ] = None,
) -> Listing[Membership]:
    """List the segments and groups a customer is in.

    By what was last looked at: how fresh each is says its `asOf`. 404 for a customer who is not there.
    """
    await customers.exists(db, id, "/segments")
    page = sql.page(queries.MEMBERSHIP_SORTS, limit=limit, sort=sort, cursor=cursor)
    found, following, total = await queries.memberships(db, id, page, count=bool(count))
    return Listing(found, following, total)


# --- growth --------------------------------------------------------------------------------------------------------------


@routes.get("/api/segments/{id:uuid}/growth", search=True)
async def growth(
    db: Reader,
    id: UUID,
    limit: Limit = None,
    cursor: Cursor = None,
    sort: Annotated[
        str | None,
        QueryParameter(name="sort", required=False, description="day or -day; the newest first unless told."),
    ] = None,
    since: Annotated[
        date | None, QueryParameter(name="from", required=False, description="This day and later ones.")
    ] = None,
    until: Annotated[
        date | None, QueryParameter(name="to", required=False, description="This day and earlier ones.")
    ] = None,
) -> Listing[Growth]:
    """Read how a segment grew, day by day.

    Days are the workspace's. `entered` and `left` are by what customers did and by days that passed; by another filter
    nobody enters or leaves.
    """
    await queries.exists(db, id)
    if since is not None and until is not None and since > until:
        raise Invalid.at("from", "range", "must not be after `to`")
    page = sql.page(queries.GROWTH_SORTS, limit=limit, sort=sort, cursor=cursor)
    found, following = await queries.growth(db, id, page, since=since, until=until)
    return Listing(found, following)
