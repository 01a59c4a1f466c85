# Run by a Python of its own that has lifetimes, which the house does not.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
"""lifetimes as its own examples use it: `python lifetimes_peer.py CUSTOMERS.npz`, which has x, tx, t (days) and mean.

Prints as JSON how long fit, scores and spend took, the parameters, and all orders expected within a year.
"""

import json
import sys
import time
import warnings

import numpy as np
from lifetimes import BetaGeoFitter, GammaGammaFitter

DAYS = 365


def measure(path: str) -> None:
    """Fits and scores once."""
    warnings.simplefilter("ignore")
    known = np.load(path)
    x, tx, t, mean = known["x"], known["tx"] / 7, known["t"] / 7, known["mean"]
    started = time.monotonic()
    orders = BetaGeoFitter(penalizer_coef=0.0)
    orders.fit(x, tx, t)
    expected = orders.conditional_expected_number_of_purchases_up_to_time(DAYS / 7, x, tx, t)
    orders.conditional_probability_alive(x, tx, t)
    spends = GammaGammaFitter(penalizer_coef=0.0)
    spends.fit(x[x > 0], mean[x > 0])
    spends.conditional_expected_average_profit(x, mean)
    seconds = time.monotonic() - started
    parameters = [float(orders.params_[name]) for name in ("r", "alpha", "a", "b")]
    parameters += [float(spends.params_[name]) for name in ("p", "q", "v")]
    print(json.dumps({"seconds": seconds, "parameters": parameters, "expected": float(np.nansum(expected))}))


measure(sys.argv[1])
