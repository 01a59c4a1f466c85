"""How often customers order, and whether they still do: the beta-geometric/NBD model.

Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way: An Alternative to the Pareto/NBD Model, Marketing
Science 24(2). While active a customer orders at a rate of their own, which among customers is gamma distributed (shape r,
rate alpha); after each order they stop for good with a chance of their own, beta distributed (a, b). Of a customer the
model needs x (orders after the first), tx (when the last one was) and T (how long ago the first one was). They come in whole
days; the model's unit of time is the week.

Nothing here is ever NaN or infinite: parameters stay between walls, and what the literature writes as quotients that
cancel (a / (a - 1), 2F1 near its poles) is written as a mean over a distribution instead.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal, cast

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.special import expit, gammaln, psi

from supover.analytics.predicting import fitting

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Method = Literal["ml", "map"]

DAYS: Final = 7.0
"""Of the unit of time, a week."""
WALLS: Final = (np.log(1e-5), np.log(1e5))
"""Between them the logarithms of r, alpha, a and b are free; likelihoods without a maximum end here."""
PRIOR: Final = (np.log(3.0), 1.5)
"""ln(a + b) is normal with this mean and standard deviation under `map`: of a hundred shops ninety-five have a + b between
0.2 and 60. Where orders say little about who stops, plain likelihood lets a + b run to nothing or to infinity."""
NODES: Final = 48
_HALF: Final = 0.5


class Parameters(msgspec.Struct, frozen=True):
    """What the model knows of a workspace; alpha in weeks."""

    r: float
    alpha: float
    a: float
    b: float


class Statistics(msgspec.Struct, frozen=True):
    """Customers by what the model needs of them: `n` of them have the same x, tx and T, both in days.

    Of whom ordered once only T matters, so they are one row a day.
    """

    x: Ints
    tx: Ints
    t: Ints
    n: Ints

    @property
    def customers(self) -> int:
        """How many they are."""
        return int(self.n.sum())

    def every(self, step: int) -> "Statistics":
        """Every so-manieth row."""
        return self if step == 1 else Statistics(self.x[::step], self.tx[::step], self.t[::step], self.n[::step])


class Fit(msgspec.Struct, frozen=True):
    """The most likely parameters. `shift` is how far the prior moved ln(a + b) away from where plain likelihood has it."""

    parameters: Parameters
    log_likelihood: float
    method: Method
    customers: int
    converged: bool
    shift: float = 0.0


def group(x: Ints, tx: Ints, t: Ints) -> Statistics:
    """The sufficient statistics of customers, from one row each; tx and T in days."""
    once = x == 0
    of_day = np.bincount(t[once])
    days = np.flatnonzero(of_day)
    x, tx, t = x[~once], tx[~once], t[~once]
    long = int(max(t.max(initial=0), tx.max(initial=0))) + 1
    keys, n = np.unique((x * long + tx) * long + t, return_counts=True)
    rest, last = np.divmod(keys, long)
    orders, at = np.divmod(rest, long)
    none = np.zeros_like(days)
    rows = ((none, orders), (none, at), (days, last), (of_day[days], n))
    return Statistics(*(np.concatenate(pair).astype(np.int64) for pair in rows))


# --- likelihood ----------------------------------------------------------------------------------------------------------


class _Likelihood:
    """Minus the log-likelihood of a customer on average, and its gradient, in the logarithms of r, alpha, a, b.

    What depends on x alone, or on one day alone, is counted once for all who share it.
    """

    def __init__(self, given: Statistics, method: Method) -> None:
        once = given.x == 0
        self._weeks = np.arange(int(max(given.t.max(initial=0), given.tx.max(initial=0))) + 1) / DAYS
        self._once = np.bincount(given.t[once], given.n[once], minlength=len(self._weeks))
        self._x, self._tx, self._t = given.x[~once], given.tx[~once], given.t[~once]
        self._n = given.n[~once].astype(float)
        self._of_x = np.bincount(self._x, self._n, minlength=2)[1:]
        self._xs = np.arange(1, len(self._of_x) + 1, dtype=float)
        self.customers = given.customers
        self._method: Method = method

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        inside = np.clip(theta, *WALLS)
        r, alpha, a, b = (float(v) for v in np.exp(inside))
        value, slope = self._sum(r, alpha, a, b)
        slope *= (r, alpha, a, b)
        value += self.prior(a, b)
        if self._method == "map":
            mean, deviation = PRIOR
            slope[2:] -= (np.log(a + b) - mean) / deviation**2 * np.array([a, b]) / (a + b)
        all = max(self.customers, 1)
        return fitting.walled(-value / all, -slope / all, theta, *WALLS)

    def prior(self, a: float, b: float) -> float:
        """What the prior adds to the log-likelihood, but for a constant."""
        mean, deviation = PRIOR
        return -0.5 * ((np.log(a + b) - mean) / deviation) ** 2 if self._method == "map" else 0.0

    def _sum(self, r: float, alpha: float, a: float, b: float) -> tuple[float, Floats]:
        ln_alpha = float(np.log(alpha))
        logs = np.log(alpha + self._weeks)
        inverse = 1 / (alpha + self._weeks)
        # Who ordered once.
        waited = float(self._once @ (ln_alpha - logs))
        value = r * waited
        by_r = waited
        by_alpha = r * float(self._once @ (1 / alpha - inverse))
        # Who came again.
        n, of_x, xs = self._n, self._of_x, self._xs
        stop = np.log(a) - np.log(b + xs - 1)
        order = r + self._x
        ln_tx, ln_t = logs[self._tx], logs[self._t]
        odds = order * (ln_tx - ln_t) - stop[self._x - 1]
        # ln(1 + e^odds), and the chance to be active, from one exponential.
        small = np.exp(-np.abs(odds))
        value += float(n @ (np.maximum(odds, 0) + np.log1p(small) - order * ln_tx))
        value += float(
            of_x
            @ (
                stop
                + gammaln(r + xs) - gammaln(r) + r * ln_alpha
                + gammaln(a + b) - gammaln(a + b + xs) + gammaln(b + xs) - gammaln(b)
            )
        )  # fmt: skip
        alive = n * np.where(odds >= 0, 1.0, small) / (1 + small)
        gone = n - alive
        gone_of_x = np.bincount(self._x, gone, minlength=2)[1:]
        by_r += float(of_x @ (psi(r + xs) - psi(r) + ln_alpha)) - float(alive @ ln_t + gone @ ln_tx)
        by_alpha += float(of_x.sum()) * r / alpha
        by_alpha -= float((order * alive) @ inverse[self._t] + (order * gone) @ inverse[self._tx])
        both = psi(a + b) - psi(a + b + xs)
        by_a = float(of_x @ both) + float(gone.sum()) / a
        by_b = float(of_x @ (both + psi(b + xs) - psi(b))) - float(gone_of_x @ (1 / (b + xs - 1)))
        return value, np.array([by_r, by_alpha, by_a, by_b])


def log_likelihood(given: Statistics, p: Parameters) -> float:
    """The log-likelihood of all customers."""
    value, _ = _Likelihood(given, "ml")(np.log([p.r, p.alpha, p.a, p.b]))
    return -value * max(given.customers, 1)


def fit(given: Statistics, method: Method = "map") -> Fit:
    """The most likely parameters of these customers, by BFGS with the exact gradient; deterministic.

    Many rows are first thinned out to find the place, then all are looked at from there. Under `map` the prior of PRIOR
    holds a + b; `shift` then says how far that is from `ml`. Nobody, or nobody who came again, gives finite parameters, too.
    """
    age = float(np.average(given.t, weights=given.n)) / DAYS if given.customers else 1.0
    start = np.log([0.5, max(age / 2, 0.5), 0.8, 2.5])
    step = fitting.thinned(len(given.x))
    some = given.every(step)
    with fitting.one_thread():
        whole = _Likelihood(given, method)
        first = whole if step == 1 else _Likelihood(some, method)
        found = fitting.lowest(first, start)
        place = found.at
        if step > 1:
            found = fitting.lowest(whole, place, fitting.curvature(first, place))
        p = _parameters(found.at)
        shift = 0.0
        if method == "map":
            # It is told to few digits: for it the thinned rows are enough.
            plain, held = _parameters(fitting.lowest(_Likelihood(some, "ml"), place).at), _parameters(place)
            shift = float(np.log((held.a + held.b) / (plain.a + plain.b)))
    log_likelihood = -found.value * max(given.customers, 1) - whole.prior(p.a, p.b)
    return Fit(p, float(log_likelihood), method, given.customers, found.is_flat, shift)


def _parameters(theta: Floats) -> Parameters:
    r, alpha, a, b = (float(v) for v in np.exp(np.clip(theta, *WALLS)))
    return Parameters(r, alpha, a, b)


# --- what it says of customers -------------------------------------------------------------------------------------------


def _by_day(p: Parameters, *days: Ints) -> Floats:
    """alpha + T in weeks, for each day up to the last one."""
    return p.alpha + np.arange(max(int(some.max(initial=0)) for some in days) + 1) / DAYS


def active(p: Parameters, x: Ints, tx: Ints, t: Ints) -> Floats:
    """The chance that a customer will order ever again. Not to be shown: it is 1 for everybody who ordered once."""
    logs = np.log(_by_day(p, tx, t))
    # The first of them is of x = 0, which stops nobody.
    stop = np.log(p.a) - np.log(p.b + np.maximum(np.arange(int(x.max(initial=0)) + 1) - 1, 0))
    chance = cast("Floats", expit((p.r + x) * (logs[np.minimum(tx, t)] - logs[t]) - stop[x]))
    chance[x == 0] = 1.0
    return chance


def returns(p: Parameters, x: Ints, t: Ints, alive: Floats, days: int) -> Floats:
    """The chance of at least one order within the next days; one minus it is churn.

    Who is active at T stays so up to the next order, and waits for it as a gamma mixture of exponentials does.
    """
    longer = np.log1p(days / DAYS / _by_day(p, t))
    return alive * -np.expm1(-(p.r + x) * longer[t])


def expected_orders(p: Parameters, x: Ints, t: Ints, alive: Floats, days: int) -> Floats:
    """How many orders to expect within the next days: E[Y(t) | x, tx, T] of the paper (equation 10).

    With s the chance to stop after an order, which given x orders and being active is Beta(a, b + x), it is the mean over s of
    (1 - (1 + s t / (alpha + T))^-(r + x)) / s. The paper's form divides by a - 1 and has poles; this is the same number, by
    Gauss-Jacobi quadrature with NODES nodes for each distinct x, all of whose terms are positive.
    """
    xs, ts, at = _pairs(x, t)
    per_pair = np.empty(len(xs))
    waits = days / DAYS / _by_day(p, t)
    edges = [*np.flatnonzero(np.diff(xs, prepend=-1)), len(xs)]
    for begin, end in pairwise(edges):
        order = p.r + float(xs[begin])
        nodes, weights = _beta_nodes(p.a, p.b + float(xs[begin]))
        for low in range(begin, end, 20_000):
            part = slice(low, min(low + 20_000, end))
            grown = np.log1p(np.outer(waits[ts[part]], nodes))
            per_pair[part] = -np.expm1(-order * grown) @ (weights / nodes)
    return alive * per_pair[at]


MOST_CELLS: Final = 8_000_000


def _pairs(x: Ints, t: Ints) -> tuple[Ints, Ints, NDArray[np.intp]]:
    """The distinct (x, T), sorted, and where each customer's is."""
    long = int(t.max(initial=0)) + 1
    key = x * long + t
    cells = (int(x.max(initial=0)) + 1) * long
    if cells <= MOST_CELLS:
        # Looked up in a table of all that can be: nothing is sorted.
        is_there = np.zeros(cells, bool)
        is_there[key] = True
        keys, at = np.flatnonzero(is_there), (np.cumsum(is_there) - 1)[key]
    else:
        keys, at = np.unique(key, return_inverse=True)
    xs, ts = np.divmod(keys, long)
    return xs, ts, at


def _beta_nodes(a: float, b: float) -> tuple[Floats, Floats]:
    """Nodes and weights of the mean over Beta(a, b): Golub & Welsch (1969) on the Jacobi polynomials' recurrence."""
    k = np.arange(NODES, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        both = 2 * k + a + b
        # On [-1, 1] the weight is (1 - y)^(b-1) (1 + y)^(a-1).
        middle = ((a - 1) ** 2 - (b - 1) ** 2) / ((both - 2) * both)
        beside = k * (k + a - 1) * (k + b - 1) * (k + a + b - 2) * 4 / ((both - 2) ** 2 * (both - 1) * (both - 3))
    # The first ones are written without the quotients that cancel.
    middle[0] = (a - b) / (a + b)
    beside[1] = 4 * a * b / ((a + b) ** 2 * (a + b + 1))
    values, vectors = eigh_tridiagonal(middle, np.sqrt(np.maximum(beside[1:], 0)))
    return np.clip((1 + values) / 2, 1e-300, 1.0), np.square(vectors[0])


def days_to_half(p: Parameters, x: Ints, t: Ints, alive: Floats, most: int) -> Ints:
    """After how many days an order is as likely as not to have come; 0 where that takes longer than `most`, or is never so."""
    left = np.where(alive > _HALF, 1 - _HALF / np.maximum(alive, _HALF), 0.0)
    wait = -np.log(np.maximum(left, 1e-300)) / (p.r + x)
    # Beyond e^50 it is longer than any limit.
    days = np.ceil(_by_day(p, t)[t] * np.expm1(np.minimum(wait, 50.0)) * DAYS)
    return np.where((left > 0) & (days <= most), np.maximum(days, 1), 0).astype(np.int64)


def simulate(p: Parameters, weeks: Floats, rng: np.random.Generator, later: float = 0.0) -> Sequence[Ints]:
    """Customers as the model imagines them: x, tx and T in whole days, and their orders in the weeks `later`."""
    n = len(weeks)
    rate = np.maximum(rng.gamma(p.r, 1 / p.alpha, n), 1e-12)
    stops = rng.beta(p.a, p.b, n)
    at, x, tx, after = np.zeros(n), np.zeros(n, np.int64), np.zeros(n), np.zeros(n, np.int64)
    going = np.arange(n)
    while len(going):
        at[going] += rng.exponential(1 / rate[going])
        going = going[at[going] <= weeks[going] + later]
        known = going[at[going] <= weeks[going]]
        x[known] += 1
        tx[known] = at[known]
        after[going[at[going] > weeks[going]]] += 1
        going = going[rng.random(len(going)) >= stops[going]]
    return x, np.floor(tx * DAYS).astype(np.int64), np.floor(weeks * DAYS).astype(np.int64), after
