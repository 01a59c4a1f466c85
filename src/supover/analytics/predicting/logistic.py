"""Who orders again, by logistic regression on recency, frequency and monetary value: a rival that learns from what happened.

Ridge regression keeps its weights small, so that it is finite where one side has everybody (Hoerl & Kennard 1970; le Cessie & van
Houwelingen 1992); Newton's method finds them.
"""

from typing import Final, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from supover.analytics.predicting import fitting
from supover.analytics.predicting.model import Weights

Floats = NDArray[np.float64]

RIDGE: Final = 1.0
ROWS: Final = 200_000
"""So many say as much about seven weights as any number."""
TURNS: Final = 50
SHORTEST: Final = 1e-6


def features(x: Floats, tx: Floats, t: Floats, mean: Floats) -> Floats:
    """A row a customer: recency, frequency, age and spend as logarithms, how the wait compares with the usual one, and once."""
    since = np.maximum(t - tx, 0)
    usual = tx / np.maximum(x, 1)
    spend = np.clip(np.nan_to_num(mean), 0, 1e15)
    return np.column_stack(
        [
            np.log1p(since),
            np.log1p(x),
            np.log1p(t),
            np.log1p(spend),
            np.where(x > 0, np.log1p(since) - np.log1p(usual), 0.0),
            x == 0,
        ]
    ).astype(float)


def fit(rows: Floats, ordered: NDArray[np.bool_]) -> Weights:
    """The weights by which these rows ordered."""
    step = max(1, len(rows) // ROWS)
    rows, y = rows[::step], ordered[::step].astype(float)
    width = int(rows.shape[1])
    if not len(rows):
        return Weights((0.0,) * (width + 1), (0.0,) * width, (1.0,) * width)
    means, deviations = rows.mean(0), rows.std(0)
    deviations = np.where(deviations > 1e-9, deviations, 1.0)
    design = np.column_stack([np.ones(len(rows)), (rows - means) / deviations])
    # The intercept is held, too, by very little: where everybody ordered it would run away.
    ridge = np.full(width + 1, RIDGE)
    ridge[0] = 1e-3
    weights: Floats = np.zeros(width + 1)
    share = (float(y.sum()) + 0.5) / (len(y) + 1)
    weights[0] = np.log(share / (1 - share))
    with fitting.one_thread():
        lowest = _loss(design, y, weights, ridge)
        for _ in range(TURNS):
            down = _newton(design, y, weights, ridge)
            size, reached = 1.0, _loss(design, y, weights - down, ridge)
            while not reached <= lowest and size > SHORTEST:
                size /= 2
                reached = _loss(design, y, weights - size * down, ridge)
            if size <= SHORTEST:
                break
            gained = lowest - reached
            weights, lowest = weights - size * down, reached
            if gained < 1e-9 * (1 + abs(lowest)):
                break
    return Weights(tuple(weights.tolist()), tuple(means.tolist()), tuple(deviations.tolist()))


def _newton(design: Floats, y: Floats, weights: Floats, ridge: Floats) -> Floats:
    chance = expit(design @ weights)
    slope: Floats = design.T @ (chance - y) + ridge * weights
    spread: Floats = np.maximum(chance * (1 - chance), 1e-9)
    return cast("Floats", np.linalg.solve((design.T * spread) @ design + np.diag(ridge + 1e-6), slope))


def _loss(design: Floats, y: Floats, weights: Floats, ridge: Floats) -> float:
    score = design @ weights
    return float((np.logaddexp(0, score) - y * score).sum() + 0.5 * (ridge @ weights**2))


def chance(found: Weights, rows: Floats) -> Floats:
    """The chance that each row orders; never quite 0 or 1."""
    means, deviations = np.array(found.means), np.array(found.deviations)
    score = found.weights[0] + ((rows - means) / deviations) @ np.array(found.weights[1:])
    return np.clip(expit(score), 1e-6, 1 - 1e-6)
