"""The web addresses of consent."""

from typing import Annotated, Final
from uuid import UUID

from litestar.params import QueryParameter

from supover.consent import commands, queries, rules
from supover.consent.model import (
    CommunicationPreferences,
    ConsentChannel,
    ConsentChoice,
    ConsentEntry,
    ConsentTopic,
    MaySend,
    PreferenceChange,
    Recipients,
)
from supover.customers import queries as customers
from supover.kit import sql
from supover.kit.api import Count, Cursor, IfMatch, Limit, Listing, Routes, version_of
from supover.kit.db import Reader, Tx

routes = Routes("consent")

BELOW: Final = "/communication-preferences"


@routes.get("/api/customers/{id:uuid}/communication-preferences")
async def find(db: Reader, id: UUID) -> CommunicationPreferences:
    """Read how a customer may be written to.

    Every topic on every channel is there, those that nobody asked about as NOT_SUBSCRIBED. Before you write to somebody ask
    `may-send`, which knows more than this.
    """
    await customers.exists(db, id, BELOW)
    return await queries.find(db, id)


@routes.put("/api/customers/{id:uuid}/communication-preferences")
async def choose(tx: Tx, id: UUID, data: ConsentChoice, if_match: IfMatch = None) -> CommunicationPreferences:
    """Record what a customer chose, for one topic on one channel.

    All choices are kept; the one with the latest `at` counts, whatever comes first, and of one time the strictest. The same
    choice with the same `at` again changes nothing. A customer needs the contact first: an email, or a phone for sms,
    whatsapp and phone. The answer is the whole document, as when it is read.
    """
    await customers.exists(tx, id, BELOW)
    return await commands.choose(tx, id, data, version_of(if_match))


@routes.patch("/api/customers/{id:uuid}/communication-preferences")
async def change(tx: Tx, id: UUID, data: PreferenceChange, if_match: IfMatch = None) -> CommunicationPreferences:
    """Change a customer's language, preferred channel or quiet hours."""
    await customers.exists(tx, id, BELOW)
    return await commands.change(tx, id, data, version_of(if_match))


@routes.get("/api/customers/{id:uuid}/communication-preferences/history")
async def history(
    db: Reader, id: UUID, limit: Limit = None, cursor: Cursor = None, count: Count = None
) -> Listing[ConsentEntry]:
    """List all that a customer ever said about being written to.

    The newest first, by when it was said.
    """
    await customers.exists(db, id, f"{BELOW}/history")
    page = sql.page(queries.SORTS, limit=limit, sort=None, cursor=cursor)
    found, following = await queries.history(db, id, page)
    return Listing(found, following, await queries.count_history(db, id) if count else None)


@routes.get("/api/customers/{id:uuid}/communication-preferences/may-send")
async def may_send(
    db: Reader,
    id: UUID,
    channel: Annotated[
        ConsentChannel, QueryParameter(name="channel", required=False, description="email unless told.")
    ] = "email",
    topic: Annotated[
        ConsentTopic, QueryParameter(name="topic", required=False, description="marketing unless told.")
    ] = "marketing",
    at: Annotated[
        str | None,
        QueryParameter(
            name="at", required=False, description="When it would be sent, for the quiet hours; now unless told."
        ),
    ] = None,
) -> MaySend:
    """Ask whether a customer may be written to.

    Every topic but transactional needs SUBSCRIBED to that very topic, said of the contact that the customer has now; transactional
    messages go out unless they were refused or the contact is suppressed. `reasons` is all that stands against it; `notBefore` is
    there when quiet hours alone do.
    """
    await customers.exists(db, id, f"{BELOW}/may-send")
    moment = None if at is None else sql.bound(at, await customers.zone(db), "at")
    return await queries.may_send(db, id, channel, topic, moment)


@routes.post("/api/communication-preferences/may-send")
async def may_send_many(db: Reader, data: Recipients) -> Listing[MaySend]:
    """Ask whether many customers may be written to.

    As for one, an answer for each in the order of `customerIds`. Those who were deleted or merged, and ids that nobody has, are
    answered too, by the reasons `deleted`, `merged` and `unknown`.
    """
    asked = rules.asked(data, await customers.zone(db))
    return Listing(await queries.may_send_many(db, data.customer_ids, asked.channel, asked.topic, asked.at))
