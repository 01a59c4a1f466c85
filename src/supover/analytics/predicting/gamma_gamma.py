"""What customers spend an order: the gamma-gamma model.

Fader, Hardie & Lee (2005), RFM and CLV: Using Iso-Value Curves for Customer Base Analysis, Journal of Marketing Research
42(4); Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value. A customer's orders are gamma distributed (shape p) about
a mean of their own, which among customers is inverse gamma distributed (q, v). Of a customer it needs how many orders
and their mean.
"""

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, psi

from supover.analytics.predicting import fitting

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST: Final = 1e-4
"""What is less is no money."""
WALLS: Final = (np.log(1e-4), np.log(1e6))
"""Between them the logarithms of p, q - 1 and v (in means) are free; equal spends have no likeliest p."""


class Parameters(msgspec.Struct, frozen=True):
    """What the model knows of a workspace; v in its currency. q is above 1, so that a mean exists."""

    p: float
    q: float
    v: float


class _Likelihood:
    """Minus the log-likelihood of a customer on average, and its gradient, in the logarithms of p, q - 1 and v."""

    def __init__(self, x: Ints, mean: Floats) -> None:
        self._of_x = np.bincount(x, minlength=2)[1:].astype(float)
        self._xs = np.arange(1, len(self._of_x) + 1, dtype=float)
        self._x = x.astype(float)
        self._spent = x * mean
        self._logs = float(self._x @ np.log(self._spent))
        self._rest = float(np.log(mean).sum())
        self._n = float(len(x))

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        inside = np.clip(theta, *WALLS)
        p, above, v = (float(e) for e in np.exp(inside))
        q = 1 + above
        xs, of_x, n = self._xs, self._of_x, self._n
        logs = np.log(v + self._spent)
        all_logs, logs_by_order = float(logs.sum()), float(self._x @ logs)
        value = float(of_x @ (gammaln(p * xs + q) - gammaln(p * xs))) + n * (q * np.log(v) - float(gammaln(q)))
        value += p * self._logs - self._rest - p * logs_by_order - q * all_logs
        both = psi(p * xs + q)
        by_p = float(of_x @ (xs * (both - psi(p * xs)))) + self._logs - logs_by_order
        by_q = float(of_x @ both) - n * float(psi(q)) + n * np.log(v) - all_logs
        by_v = n * q / v - float(((p * self._x + q) / (v + self._spent)).sum())
        slope = np.array([by_p * p, by_q * above, by_v * v])
        return fitting.walled(-value / n, -slope / n, theta, *WALLS)


def fit(x: Ints, mean: Floats) -> Parameters | None:
    """The most likely parameters of customers with x orders of this mean; None where nobody has one above nothing."""
    has = (x > 0) & (mean >= LEAST) & np.isfinite(mean)
    x, mean = x[has], mean[has]
    if not len(x):
        return None
    # In means of the workspace the same walls stand for yen and for pounds.
    unit = float(mean.mean())
    mean = mean / unit
    start = np.log([2.0, 2.0, 2.0])
    step = fitting.thinned(len(x))
    with fitting.one_thread():
        first = _Likelihood(x[::step], mean[::step])
        theta = fitting.lowest(first, start).at
        if step > 1:
            theta = fitting.lowest(_Likelihood(x, mean), theta, fitting.curvature(first, theta)).at
    p, above, v = (float(e) for e in np.exp(np.clip(theta, *WALLS)))
    return Parameters(p, 1 + above, v * unit)


def expected_spend(found: Parameters, x: Ints, mean: Floats) -> Floats:
    """What an order of each customer will be worth: between their own mean and everybody's, the nearer the more orders."""
    p, q, v = found.p, found.q, found.v
    known = np.where(x > 0, np.maximum(mean, 0), 0)
    return p * (v + x * known) / (p * x + q - 1)
