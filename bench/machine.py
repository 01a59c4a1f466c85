"""What this machine gave: a virtual one's cores are now and then with somebody else."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

STAT: Final = Path("/proc/stat")
STEAL: Final = 7
"""Its place among the times of `cpu` in proc_stat(5)."""


class Share:
    """The share of the cores' time (0 to 1) that others had; None where that is not told."""

    stolen: float | None = None


@contextmanager
def watched() -> Generator[Share]:
    """How much of the time within was taken away."""
    share, before = Share(), _times()
    yield share
    after = _times()
    if before and after and (all_of_it := sum(after) - sum(before)):
        share.stolen = (after[STEAL] - before[STEAL]) / all_of_it


def _times() -> list[int]:
    if not STAT.exists():
        return []
    name, *times = STAT.read_text().splitlines()[0].split()
    # What guests had is within user and nice already.
    return [int(one) for one in times[: STEAL + 1]] if name == "cpu" else []
