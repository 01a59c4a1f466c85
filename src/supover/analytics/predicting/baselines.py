"""What a prediction must beat: rules that need no model."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def recency(tx: Floats, t: Floats) -> Floats:
    """The recency rule as a score: who ordered last orders next."""
    return tx - t


def naive(x: Floats, t: Floats, weeks: float) -> Floats:
    """The naive rate as expected orders: everybody goes on as often as so far, the first order counted."""
    return np.where(t > 0, (x + 1) / np.maximum(t, 1.0), x + 1) * weeks


def repeats(orders: NDArray[np.int64], most: int = 5) -> list[tuple[int, int]]:
    """Of customers with at least 1, 2, … `most` orders: how many there are, and how many of them ordered once more."""
    return [(int((orders >= n).sum()), int((orders > n).sum())) for n in range(1, most + 1)]


def again(customers: int, came_again: int) -> float:
    """The share who order again, held towards one half where few are known (Laplace's rule of succession)."""
    return (came_again + 1) / (customers + 2)
