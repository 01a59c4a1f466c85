"""Counting within periods: requests of a key, failed sign-ins.

Each process counts by itself, which costs a request nothing, and tells the others by the table `throttle`: a failed
sign-in at once, requests of keys twice a second. A key's limit therefore holds over all processes but for what they
take between two such moments; no process alone lets through more than the limit.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Final

import msgspec

from supover.kit import clock
from supover.kit.db import Database

MAX_COUNTERS: Final = 20_000


class Taken(msgspec.Struct, frozen=True):
    """One more was counted: `left` of the limit (below zero when it is exceeded), and when counting starts anew."""

    left: int
    reset_s: int


class Periods:
    """Counters that start anew one period after their first count. Bounded: where all are in use the oldest go."""

    __slots__ = ("_counts", "_period_s")

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        # When it ends, how many were counted, and how many of these the others know of.
        self._counts: dict[Hashable, list[float]] = {}

    def take(self, key: Hashable, limit: int, now_s: float) -> Taken:
        """Counts one more of this key. `now_s` is monotonic."""
        found = self._counts.get(key)
        if found is None or now_s >= found[0]:
            # Taken out and put in again, a counter stands behind all that started before it.
            self._counts.pop(key, None)
            if len(self._counts) >= MAX_COUNTERS:
                self._make_room()
            found = self._counts[key] = [now_s + self._period_s, 0, 0]
        found[1] += 1
        return Taken(limit - int(found[1]), math.ceil(found[0] - now_s))

    def give_back(self, key: Hashable) -> None:
        """Counts one less of this key."""
        found = self._counts.get(key)
        if found is not None and found[1] > 0:
            found[1] -= 1

    def forget(self, key: Hashable) -> None:
        """Starts this key anew."""
        self._counts.pop(key, None)

    def untold(self, now_s: float) -> "list[Untold]":
        """What the others do not know of yet."""
        return [
            Untold(key, found, int(found[1] - found[2]))
            for key, found in self._counts.items()
            if found[1] > found[2] and now_s < found[0]
        ]

    def _make_room(self) -> None:
        # The first to start are the first to end; a tenth at a time, so that the search for room is rare.
        for key in list(islice(self._counts, MAX_COUNTERS // 10)):
            del self._counts[key]


class Untold(msgspec.Struct, frozen=True):
    """So many were counted of this key since the others were told; `found` is its counter."""

    key: Hashable
    found: list[float]
    count: int

    def tell(self, counted: "Counted", now_s: float) -> None:
        """Goes on from what all have counted, with what was counted here since then."""
        since = self.found[1] - self.found[2] - self.count
        self.found[:] = [now_s + counted.left_s, counted.taken + since, counted.taken]


# --- together with the other processes -------------------------------------------------------------------------------

COUNT: Final = "select t.subject, t.taken, t.left_s from throttle_count($1, $2, $3) t"


class Counted(msgspec.Struct, frozen=True):
    """What all processes have counted, and the seconds until that starts anew."""

    taken: int
    left_s: float


async def count(database: Database, adds: Mapping[str, int], period_s: float) -> Mapping[str, Counted]:
    """Counts for all processes; a negative number gives back."""
    periods = [timedelta(seconds=period_s)] * len(adds)
    async with database.across() as con:
        rows = await con.fetch(COUNT, list(adds), list(adds.values()), periods)
    return {subject: Counted(taken, left_s) for subject, taken, left_s in rows}


async def tell(database: Database, untold: Sequence[Untold], period_s: float) -> None:
    """Tells the others what was counted here, and goes on from what all have counted."""
    by_subject = {f"key:{one.key}": one for one in untold}
    counted = await count(database, {subject: one.count for subject, one in by_subject.items()}, period_s)
    now_s = clock.monotonic_s()
    for subject, all_of_them in counted.items():
        by_subject[subject].tell(all_of_them, now_s)
