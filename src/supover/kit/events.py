"""Facts: published in the transaction that made them true, logged, and reacted to there.

A room's events.py holds frozen structs derived from `Event`. A reaction takes the sequence of one kind that was
published together, and is one short statement or one deferred job.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Final, TypeVar, cast
from uuid import UUID

import msgspec

from supover.kit import clock, ids
from supover.kit.db import Tx, json_bytes

LOG: Final = """
    insert into event_log (workspace_id, id, kind, at, customer_id, order_id, actor, origin, data)
    select $1, e.id, e.kind, e.at, e.customer_id, e.order_id, $2, $3, e.data
      from unnest($4::uuid[], $5::text[], $6::timestamptz[], $7::uuid[], $8::uuid[], $9::jsonb[])
           as e (id, kind, at, customer_id, order_id, data)"""


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A fact. `at` is when it happened; what else it holds is logged as data.

    One whose kind is not `logged` is for reactions only: the house's own business, or what would flood the log.
    """

    customer_id: UUID | None = None
    order_id: UUID | None = None
    at: datetime | None = None
    logged: ClassVar[bool] = True

    @classmethod
    def kind(cls) -> str:
        """The name in the log and in outgoing webhooks."""
        return cls.__name__


E = TypeVar("E", bound=Event)
Reaction = Callable[[Tx, Sequence[Any]], Awaitable[None]]

_reactions: dict[type[Event], list[Reaction]] = {}


def on(
    *kinds: type[E],
) -> Callable[[Callable[[Tx, Sequence[E]], Awaitable[None]]], Callable[[Tx, Sequence[E]], Awaitable[None]]]:
    """Registers a reaction to these kinds. It runs in the publisher's transaction, once a kind, for the whole batch."""

    def register(
        reaction: Callable[[Tx, Sequence[E]], Awaitable[None]],
    ) -> Callable[[Tx, Sequence[E]], Awaitable[None]]:
        for kind in kinds:
            _reactions.setdefault(kind, []).append(cast("Reaction", reaction))
        return reaction

    return register


def reactions() -> dict[type[Event], tuple[Reaction, ...]]:
    """Who reacts to what, for `supover events` and the tests."""
    return {kind: tuple(found) for kind, found in _reactions.items()}


def kinds() -> list[type[Event]]:
    """Every kind of event that is declared, by name."""

    def below(cls: type[Event]) -> list[type[Event]]:
        return [cls, *(deeper for sub in cls.__subclasses__() for deeper in below(sub))]

    return sorted((k for k in below(Event) if k is not Event), key=lambda k: k.__name__)


_HEAD: Final = ("customer_id", "order_id", "at")


async def publish(tx: Tx, events: Sequence[Event]) -> None:
    """Logs the events in one statement and runs the reactions, once a kind. A rollback leaves nothing behind."""
    if not events:
        return
    now = clock.now()
    logged = [e for e in events if e.logged]
    rows = [
        (id, e.kind(), e.at or now, e.customer_id, e.order_id, json_bytes(_data(e)))
        for id, e in zip(ids.many(len(logged)), logged, strict=True)
    ]
    await tx.many(LOG, rows, tx.actor, tx.origin)
    batches: dict[type[Event], list[Event]] = {}
    for event in events:
        batches.setdefault(type(event), []).append(event)
    for kind, batch in batches.items():
        for reaction in _reactions.get(kind, ()):
            await reaction(tx, batch)


def _data(event: Event) -> dict[str, object]:
    found = {name: getattr(event, field) for field, name in _fields(type(event))}
    return {name: value for name, value in found.items() if value is not None}


@cache
def _fields(kind: type[Event]) -> tuple[tuple[str, str], ...]:
    return tuple((f.name, f.encode_name) for f in msgspec.structs.fields(kind) if f.name not in _HEAD)
