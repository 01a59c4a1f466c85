"""What this machine gave to whom: a virtual one's cores are now and then with somebody else."""

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Final

STAT: Final = Path("/proc/stat")
TICKS: Final = os.sysconf("SC_CLK_TCK")
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


# --- processes (Linux) ---------------------------------------------------------------------------------------------------


def spent_s(pids: Iterable[int]) -> float:
    """The processor time that these processes have had; that of children which have ended counts as their parent's."""
    total = 0.0
    for pid in pids:
        try:
            # In nanoseconds, by thread: a process as a whole is counted in ticks.
            total += (
                sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
            )
            total += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[13:15])) / TICKS
        except OSError:
            continue
    return total


def parent(pid: int) -> int:
    """The process that started this one."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def family(pid: int) -> list[int]:
    """A process and those below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [int(child) for child in children.read_text().split()] if children.exists() else []
    return [pid, *(each for child in found for each in family(child))]


def peak_mib(pid: int) -> float:
    """The most memory that a process and those it started have had, each, summed; in MiB (Linux)."""
    peak = 0.0
    for process in family(pid):
        try:
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
        except OSError:
            continue
        peak += next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
    return peak
