"""How the models are fitted: lowest points of smooth functions of few parameters, on one thread."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, cast

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController  # pyright: ignore[reportMissingTypeStubs]

Floats = NDArray[np.float64]
Function = Callable[[Floats], tuple[float, Floats]]
"""A value and its gradient."""

ROWS: Final = 20_000
"""So many are enough to find the place from which all are looked at."""
FLAT: Final = 1e-7
"""A gradient as small as this, of a customer on average, is the lowest point."""
STEP: Final = 1e-4


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def one_thread() -> Generator[None]:
    """Linear algebra inside uses one thread: two on a busy machine take a fit from 0.05 to 1.3 seconds."""
    with cast("Any", _controller()).limit(limits=1):
        yield


def thinned(rows: int) -> int:
    """Every which row is looked at first; 1 where they are few."""
    return max(1, rows // ROWS)


def walled(value: float, slope: Floats, theta: Floats, low: float, high: float) -> tuple[float, Floats]:
    """A function that is known between two walls, carried on beyond them: as at the wall, and steeper the farther away."""
    beyond = theta - np.clip(theta, low, high)
    return value + float(beyond @ beyond), np.where(beyond == 0, slope, 0.0) + 2 * beyond


class Lowest(msgspec.Struct, frozen=True):
    """Where a function is lowest, and whether it is flat there."""

    at: Floats
    value: float
    is_flat: bool


def lowest(function: Function, start: Floats, inverse: Floats | None = None) -> Lowest:
    """The lowest point downhill from a start, by BFGS. `inverse`: of the second derivatives, where somebody knows them."""
    options: dict[str, object] = {"gtol": FLAT, "maxiter": 500}
    if inverse is not None:
        options["hess_inv0"] = inverse
    found: Any = cast("Any", minimize)(function, start, jac=True, method="BFGS", options=options)
    # BFGS gives up where rounding hides which way is down, which is the lowest point as far as numbers reach.
    return Lowest(found.x, float(found.fun), bool(np.max(np.abs(found.jac)) < 100 * FLAT))


def curvature(function: Function, at: Floats) -> Floats | None:
    """The inverse of the second derivatives, by differences of gradients; None where the function is no bowl there."""
    size = len(at)
    rows = [(function(at + STEP * unit)[1] - function(at - STEP * unit)[1]) / (2 * STEP) for unit in np.eye(size)]
    second = (np.array(rows) + np.array(rows).T) / 2
    values, vectors = np.linalg.eigh(second)
    if not np.all(np.isfinite(values)) or values[0] <= 1e-7 * max(values[-1], 1e-12):
        return None
    inverse = (vectors / values) @ vectors.T
    # Symmetric to the last digit, or it is not taken.
    return (inverse + inverse.T) / 2
