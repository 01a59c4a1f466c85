"""Counting within periods, in this process: requests of a key, failed sign-ins."""

from collections.abc import Hashable
from itertools import islice
from typing import Final

import msgspec

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
        self._counts: dict[Hashable, list[float]] = {}

    def take(self, key: Hashable, limit: int, now_s: float) -> Taken:
        """Counts one more of this key. `now_s` is monotonic."""
        found = self._counts.get(key)
        if found is None or now_s >= found[0]:
            # Taken out and put in again, a counter stands behind all that started before it.
            self._counts.pop(key, None)
            if len(self._counts) >= MAX_COUNTERS:
                self._make_room()
            found = self._counts[key] = [now_s + self._period_s, 0]
        found[1] += 1
        return Taken(limit - int(found[1]), int(found[0] - now_s) + 1)

    def give_back(self, key: Hashable) -> None:
        """Counts one less of this key."""
        found = self._counts.get(key)
        if found is not None and found[1] > 0:
            found[1] -= 1

    def forget(self, key: Hashable) -> None:
        """Starts this key anew."""
        self._counts.pop(key, None)

    def _make_room(self) -> None:
        # The first to start are the first to end; a tenth at a time, so that the search for room is rare.
        for key in list(islice(self._counts, MAX_COUNTERS // 10)):
            del self._counts[key]
