"""Predictions: how long a fit and the scores of everybody take, beside lifetimes on the same simulated customers."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np

from supover.analytics.predicting import bgnbd, gamma_gamma
from supover.kit import clock

PEER = Path(__file__).parent / "lifetimes_peer.py"
# lifetimes was written for pandas before 3.
PEER_NEEDS = ("lifetimes==0.11.3", "pandas<3")
KNOWN = bgnbd.Parameters(0.243, 4.414, 0.793, 2.426)
SPENT = gamma_gamma.Parameters(6.25, 3.74, 15.44)
TURNS = 5


class Measured(msgspec.Struct, frozen=True):
    """How long it took, the seven parameters (r, alpha, a, b, p, q, v), and all orders expected within a year."""

    seconds: float
    parameters: list[float]
    expected: float


def customers(count: int, file: Path) -> None:
    """Simulated customers: up to a year and a half old, with what the models need of them."""
    rng = np.random.default_rng(1)
    x, tx, t, _ = bgnbd.simulate(KNOWN, rng.uniform(4, 78, count), rng)
    orders = np.maximum(x, 1)
    own = SPENT.p * SPENT.v / rng.gamma(SPENT.q, 1, count)
    mean = np.where(x > 0, rng.gamma(SPENT.p * orders, 1 / (SPENT.p * orders)) * own, 0.0)
    np.savez(file, x=x, tx=tx, t=t, mean=mean)


def ours(file: Path) -> Measured:
    """Grouping, both fits, and of everybody the orders, the spend and the churn that are expected; the median turn."""
    known = np.load(file)
    x, tx, t, mean = (known[name] for name in ("x", "tx", "t", "mean"))
    took: list[float] = []
    parameters: list[float] = []
    expected = 0.0
    for _ in range(TURNS):
        started = clock.monotonic_s()
        p = bgnbd.fit(bgnbd.group(x, tx, t), "ml").parameters
        alive = bgnbd.active(p, x, tx, t)
        orders = bgnbd.expected_orders(p, x, t, alive, 365)
        bgnbd.returns(p, x, t, alive, 90)
        spend = gamma_gamma.fit(x, mean)
        assert spend is not None
        gamma_gamma.expected_spend(spend, x, mean)
        took.append(clock.monotonic_s() - started)
        parameters = [p.r, p.alpha, p.a, p.b, spend.p, spend.q, spend.v]
        expected = float(orders.sum())
    return Measured(statistics.median(took), parameters, expected)


def peer(folder: Path) -> str | None:
    """A Python with lifetimes: $LIFETIMES_PYTHON, or one of its own that is made now; None where that cannot be."""
    told = os.environ.get("LIFETIMES_PYTHON")
    if told is not None:
        return told
    home = folder / "lifetimes"
    python = home / "bin" / "python"
    made = subprocess.run([sys.executable, "-m", "venv", str(home)], capture_output=True)
    if made.returncode == 0:
        made = subprocess.run([str(python), "-m", "pip", "install", "-q", *PEER_NEEDS], capture_output=True)
    return str(python) if made.returncode == 0 else None


def theirs(python: str, file: Path) -> Measured:
    """The same by lifetimes."""
    told = subprocess.run([python, str(PEER), str(file)], capture_output=True, check=True, text=True)
    return Measured(**json.loads(told.stdout.splitlines()[-1]))
