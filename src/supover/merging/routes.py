"""The web addresses of duplicates."""

from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter

from supover.kit import sql
from supover.kit.api import Cursor, Limit, Listing, PageNumber, Routes
from supover.kit.db import Reader
from supover.merging import queries
from supover.merging.queries import DuplicatePair

routes = Routes("duplicates")


@routes.get("/api/duplicates")
async def search(
    db: Reader,
    limit: Limit = None,
    cursor: Cursor = None,
    page: PageNumber = None,
    suggested: Annotated[
        bool | None,
        QueryParameter(name="suggested", required=False, description="Only the levels automatic and suggested."),
    ] = None,
    customer_id: Annotated[UUID | None, QueryParameter(name="customerId", required=False)] = None,
) -> Listing[DuplicatePair]:
    """List customers that may be the same person, the most likely first."""
    wanted = sql.page(queries.SORTS, limit=limit, sort=None, cursor=cursor, number=page)
    found, following = await queries.search(db, wanted, suggested=bool(suggested), customer_id=customer_id)
    return Listing(found, following)
