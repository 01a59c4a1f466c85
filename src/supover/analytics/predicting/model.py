"""The nouns of judging and of what is kept of a fit; nothing heavy is loaded for them."""

import msgspec


class Bin(msgspec.Struct, frozen=True, rename="camel"):
    """Customers to whom a similar chance was given: how many, the chance on average, and the share who ordered."""

    customers: int
    predicted: float
    actual: float


class Judged(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """How good a model's chances were that customers order within the horizon, and, of BG/NBD, its numbers of orders.

    `auc` how well it ranks, `brier` and `ece` how far chances were off, `mae`, `rmse` and `correlation` how far numbers of
    orders were, `eo` all orders expected by all that came, `bins` the calibration. Null where there is nothing to tell.
    """

    auc: float | None
    brier: float | None
    ece: float | None
    mae: float | None = None
    rmse: float | None = None
    correlation: float | None = None
    expected: float | None = None
    eo: float | None = None
    bins: list[Bin]


class Trial(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The models as they would have served on a past day, judged by what came within the horizon after it.

    Beside them are rules that need no model: `recencyAuc` of who ordered last orders next, `naiveMae` of everybody goes on as
    often as so far, `baseBrier` of the same chance for all.
    """

    origin: str
    customers: int
    ordered: int
    orders: int
    bgnbd: Judged
    logistic: Judged | None
    recency_auc: float | None
    naive_mae: float | None
    base_brier: float | None


class Weights(msgspec.Struct, frozen=True):
    """An intercept and a weight for each feature, of features less their mean in standard deviations."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
