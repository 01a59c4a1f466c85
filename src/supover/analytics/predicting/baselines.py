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
