"""What many customers said goes with them when they are unmade, and what a file said for them when it is taken back."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from supover.consent import commands
from supover.consent.events import ConsentChanged
from supover.kit import clock
from supover.kit.db import Tx, by_column
from supover.kit.events import publish

REMOVE_STATES: Final = "delete from consent where workspace_id = $1 and customer_id = any($2::uuid[])"
REMOVE_PREFERENCES: Final = (
    "delete from communication_preference where workspace_id = $1 and customer_id = any($2::uuid[])"
)
REMOVE_ENTRIES: Final = "select consent_unmake($2::uuid[]) from (select $1::uuid) as w"


async def remove_of(tx: Tx, customer_ids: Sequence[UUID]) -> None:
    """Removes states, preferences and the ledger's entries of customers who are unmade."""
    ids = list(customer_ids)
    await tx.run(REMOVE_STATES, ids)
    await tx.run(REMOVE_PREFERENCES, ids)
    await tx.value(REMOVE_ENTRIES, ids)


UNSAY: Final = """
    select distinct u.customer_id, u.channel, u.topic
      from (select $1::uuid) as w
     cross join lateral consent_unsay($2::uuid[]) as u"""
# Who has said nothing else was never asked.
FORGET_STATES: Final = """
    delete from consent k
     using unnest($2::uuid[], $3::text[], $4::text[]) as n (customer_id, channel, topic)
     where k.workspace_id = $1 and k.customer_id = n.customer_id and k.channel = n.channel and k.topic = n.topic
       and not exists (select 1 from consent_entry e
                        where e.workspace_id = $1 and e.customer_id = n.customer_id and e.channel = n.channel
                          and e.topic = n.topic)"""


async def unsay(tx: Tx, entry_ids: Sequence[UUID]) -> int:
    """Takes back that a file subscribed somebody: its entries are gone, and what is left of the ledger counts. How many.

    What they or others said themselves stays. Publishes ConsentChanged.
    """
    if not entry_ids:
        return 0
    return await recount(tx, await tx.rows(UNSAY, list(entry_ids)))


async def recount(tx: Tx, gone: Sequence[Sequence[Any]]) -> int:
    """Makes what is left of the ledger count where entries are gone: customer, channel and topic of each. How many places.

    Publishes ConsentChanged.
    """
    places: list[tuple[UUID, str, str]] = [(row[0], row[1], row[2]) for row in gone]
    if not places:
        return 0
    customer_ids = list({id for id, _, _ in places})
    await tx.rows(commands.HOLD, customer_ids)
    was = {(row[0], row[1], row[2]): row[3] for row in await tx.rows(commands.STANDING, customer_ids)}
    await tx.run(FORGET_STATES, *by_column(places))
    await tx.rows(commands.RECOUNT, *by_column(places))
    now = {(row[0], row[1], row[2]): row[3] for row in await tx.rows(commands.STANDING, customer_ids)}
    at = clock.now()
    events: list[ConsentChanged] = []
    for place in places:
        before, after = was.get(place, "NOT_SUBSCRIBED"), now.get(place, "NOT_SUBSCRIBED")
        if before != after:
            id, channel, topic = place
            events.append(
                ConsentChanged(customer_id=id, channel=channel, topic=topic, state=after, was=before, said_at=at)
            )
    await publish(tx, events)
    return len(places)
