"""How good predictions were, once it is known what happened. Every figure is finite, or None where there is nothing to tell."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from supover.analytics.predicting.model import Bin

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BINS: Final = 10


def auc(score: Floats, happened: Bools) -> float | None:
    """The chance that somebody who did has the higher score than somebody who did not, ties as halves (Mann & Whitney 1947)."""
    yes = int(happened.sum())
    no = len(happened) - yes
    if not yes or not no:
        return None
    ranks = rankdata(score)
    return float((ranks[happened].sum() - yes * (yes + 1) / 2) / (yes * no))


def brier(chance: Floats, happened: Bools) -> float | None:
    """The mean square of what a chance was off (Brier 1950)."""
    return float(np.mean((chance - happened) ** 2)) if len(chance) else None


def bins(chance: Floats, happened: Bools) -> list[Bin]:
    """Tenths of equal width from 0 to 1, those in which somebody is."""
    at = np.minimum((chance * BINS).astype(int), BINS - 1)
    customers = np.bincount(at, minlength=BINS)
    predicted, actual = np.bincount(at, chance, BINS), np.bincount(at, happened, BINS)
    return [
        Bin(int(n), float(predicted[i] / n), float(actual[i] / n)) for i, n in enumerate(customers.tolist()) if n
    ]  # fmt: skip


def ece(chance: Floats, happened: Bools) -> float | None:
    """Expected calibration error over the bins: how far chance and share lie apart on average (Naeini et al. 2015)."""
    if not len(chance):
        return None
    return sum(one.customers * abs(one.predicted - one.actual) for one in bins(chance, happened)) / len(chance)


def mae(expected: Floats, actual: Floats) -> float | None:
    """How many orders an expectation was off on average."""
    return float(np.mean(np.abs(expected - actual))) if len(expected) else None


def rmse(expected: Floats, actual: Floats) -> float | None:
    """The root of the mean square of what an expectation was off."""
    return float(np.sqrt(np.mean((expected - actual) ** 2))) if len(expected) else None


def expected_to_observed(expected: Floats, actual: Floats) -> float | None:
    """E/O: all orders expected by all that came; None where none came."""
    came = float(actual.sum())
    return float(expected.sum()) / came if came > 0 else None


def correlation(expected: Floats, actual: Floats) -> float | None:
    """Pearson's correlation; None where one of the two is the same for everybody."""
    if len(expected) < 2 or float(np.ptp(expected)) == 0 or float(np.ptp(actual)) == 0:
        return None
    return float(np.corrcoef(expected, actual)[0, 1])
