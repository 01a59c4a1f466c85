"""Takes away the clusters that tests made, wherever they lie."""

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from supover.kit import embedded


@contextmanager
def without_clusters(below: Path) -> Generator[None]:
    """Afterwards no cluster of a data folder below this one is left; waits until its last process has ended."""
    yield
    if os.geteuid() != 0:
        homes = list(below.glob("*/postgres"))
    else:
        homes = [home for home in embedded.SYSTEM_DATA.glob("*") if _belongs(home, below)]
    for home in homes:
        if (home / "lock").exists():
            with (home / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(home)


def _belongs(home: Path, below: Path) -> bool:
    try:
        return Path((home / "belongs-to").read_text().strip()).is_relative_to(below.resolve())
    except OSError:
        return False
