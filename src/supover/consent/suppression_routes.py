"""The web addresses of suppressions."""

from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter

from supover.consent import suppressions
from supover.consent.model import ConsentChannel, ConsentTopic, NewSuppression, Suppression, SuppressionReason
from supover.kit import sql
from supover.kit.api import Answer, Count, Cursor, Limit, Listing, Routes
from supover.kit.db import Reader, Tx

routes = Routes("suppressions")


@routes.get("/api/suppressions")
async def search(
    db: Reader,
    limit: Limit = None,
    cursor: Cursor = None,
    count: Count = None,
    contact: Annotated[
        str | None,
        QueryParameter(name="contact", required=False, description="An email or a phone number, in any spelling."),
    ] = None,
    channel: Annotated[
        ConsentChannel | None, QueryParameter(name="channel", required=False, description="Only of this channel.")
    ] = None,
    topic: Annotated[
        ConsentTopic | None,
        QueryParameter(
            name="topic", required=False, description="Only of this topic, without those that are of all topics."
        ),
    ] = None,
    reason: Annotated[
        SuppressionReason | None,
        QueryParameter(name="reason", required=False, description="Only for this reason."),
    ] = None,
) -> Listing[Suppression]:
    """List the contacts that are not written to.

    The newest first. Those that were lifted are not listed.
    """
    page = sql.page(suppressions.SORTS, limit=limit, sort=None, cursor=cursor)
    found, following, total = await suppressions.search(
        db,
        page,
        contact=contact,
        channel=channel,
        topic=topic,
        reason=reason,
        count=bool(count),
    )
    return Listing(found, following, total)


@routes.post("/api/suppressions", status=201, also=200)
async def create(tx: Tx, data: NewSuppression) -> Answer[Suppression]:
    """Suppress a contact.

    It is not written to any more on that channel, whichever customer has it, now or later. 200 when it was suppressed for that
    reason already. Who unsubscribed comes off the list by opting in again; what bounced, complained or was added by hand only
    by DELETE.
    """
    found, added = await suppressions.create(tx, data)
    return Answer(found, 201 if added else 200, {"Location": f"/api/suppressions/{found.id}"})


@routes.get("/api/suppressions/{id:uuid}")
async def find(db: Reader, id: UUID) -> Suppression:
    """Read a suppression that holds."""
    return await suppressions.find(db, id)


@routes.delete("/api/suppressions/{id:uuid}")
async def delete(tx: Tx, id: UUID) -> None:
    """Lift a suppression.

    What the customers said stays: who unsubscribed must still opt in again.
    """
    await suppressions.lift(tx, id)
