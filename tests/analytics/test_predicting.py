"""The mathematics of predictions: published figures are in test_real_predictions.py, here is what must hold of any numbers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import hyp2f1

from supover.analytics.predicting import baselines, bgnbd, gamma_gamma, judging, logistic, serving
from supover.analytics.predicting.model import Bin

Ints = NDArray[np.int64]
KNOWN = bgnbd.Parameters(0.243, 4.414, 0.793, 2.426)
SPENT = gamma_gamma.Parameters(6.25, 3.74, 15.44)


def ints(*values: int) -> Ints:
    return np.array(values, np.int64)


def shop(n: int, seed: int = 7, later: float = 0.0) -> tuple[Ints, Ints, Ints, Ints]:
    rng = np.random.default_rng(seed)
    x, tx, t, after = bgnbd.simulate(KNOWN, rng.uniform(4, 78, n), rng, later)
    return x, tx, t, after


# --- BG/NBD --------------------------------------------------------------------------------------------------------------


def test_parameters_come_back_from_customers_made_by_them() -> None:
    x, tx, t, _ = shop(60_000)
    for method in ("ml", "map"):
        fit = bgnbd.fit(bgnbd.group(x, tx, t), method)
        assert fit.converged
        assert fit.customers == 60_000
        p = fit.parameters
        assert [p.r, p.alpha, p.a, p.b] == pytest.approx([0.243, 4.414, 0.793, 2.426], rel=0.12)
        assert abs(fit.shift) < 0.01


def test_a_fit_of_many_begins_with_some_and_ends_where_one_of_all_does() -> None:
    x, tx, t, _ = shop(200_000)
    given_ = bgnbd.group(x, tx, t)
    assert len(given_.x) > 2 * 20_000
    fit = bgnbd.fit(given_, "ml")
    best = fit.log_likelihood
    for name in ("r", "alpha", "a", "b"):
        for factor in (0.99, 1.01):
            moved = bgnbd.Parameters(
                **{n: getattr(fit.parameters, n) * (factor if n == name else 1) for n in ("r", "alpha", "a", "b")}
            )
            assert bgnbd.log_likelihood(given_, moved) < best


def test_grouped_customers_are_as_likely_as_one_by_one() -> None:
    x, tx, t, _ = shop(500)
    grouped = bgnbd.group(x, tx, t)
    single = bgnbd.Statistics(x, tx, t, np.ones_like(x))
    assert grouped.customers == 500
    assert bgnbd.log_likelihood(grouped, KNOWN) == pytest.approx(bgnbd.log_likelihood(single, KNOWN), rel=1e-12)


def test_the_gradient_is_the_functions() -> None:
    function: Any = bgnbd._Likelihood(bgnbd.group(*shop(2_000)[:3]), "map")  # pyright: ignore[reportPrivateUsage]
    theta = np.log([0.3, 5.0, 0.7, 2.0])
    _, slope = function(theta)
    for at, unit in enumerate(np.eye(4) * 1e-6):
        by_difference = (function(theta + unit)[0] - function(theta - unit)[0]) / 2e-6
        assert slope[at] == pytest.approx(by_difference, rel=1e-4, abs=1e-8)


@given(
    x=st.integers(0, 60), share=st.floats(0, 1), t=st.integers(1, 1_500), days=st.integers(1, 730),
    a=st.floats(1.05, 6), r=st.floats(0.05, 4), alpha=st.floats(1, 60), b=st.floats(0.3, 8),
)  # fmt: skip
def test_expected_orders_are_the_papers_closed_form_where_that_can_be_counted(
    x: int, share: float, t: int, days: int, a: float, r: float, alpha: float, b: float
) -> None:
    p = bgnbd.Parameters(r, alpha, a, b)
    xs, ts = ints(x), ints(t)
    alive = bgnbd.active(p, xs, ints(round(share * t) if x else 0), ts)
    ours = float(bgnbd.expected_orders(p, xs, ts, alive, days)[0])
    weeks, age = days / 7, alpha + t / 7
    series = hyp2f1(r + x, b + x, a + b + x - 1, weeks / (age + weeks))
    theirs = (a + b + x - 1) / (a - 1) * (1 - (age / (age + weeks)) ** (r + x) * series) * alive[0]
    assert ours == pytest.approx(float(theirs), rel=1e-4, abs=1e-9)


def test_expected_orders_have_no_pole() -> None:
    xs, ts = ints(0, 1, 5), ints(200, 200, 200)
    alive = np.ones(3)
    around = [bgnbd.expected_orders(bgnbd.Parameters(0.4, 5, a, 1 - a), xs, ts, alive, 365) for a in (0.5, 0.5000001)]
    assert around[0] == pytest.approx(around[1], rel=1e-5)
    at_one = [
        bgnbd.expected_orders(bgnbd.Parameters(0.4, 5, a, 2), xs, ts, alive, 365) for a in (1 - 1e-7, 1.0, 1 + 1e-7)
    ]
    assert at_one[0] == pytest.approx(at_one[1], rel=1e-5)
    assert at_one[2] == pytest.approx(at_one[1], rel=1e-5)


def test_what_is_expected_is_what_comes_of_customers_made_by_it() -> None:
    x, tx, t, after = shop(200_000, later=13.0)
    alive = bgnbd.active(KNOWN, x, tx, t)
    expected = bgnbd.expected_orders(KNOWN, x, t, alive, 91)
    back = bgnbd.returns(KNOWN, x, t, alive, 91)
    assert expected.sum() / after.sum() == pytest.approx(1, abs=0.02)
    assert back.sum() / (after > 0).sum() == pytest.approx(1, abs=0.02)
    assert judging.ece(back, after > 0) == pytest.approx(0, abs=0.005)


def test_an_order_is_as_likely_as_not_on_the_expected_day() -> None:
    x, tx, t, _ = shop(20_000)
    alive = bgnbd.active(KNOWN, x, tx, t)
    days = bgnbd.days_to_half(KNOWN, x, t, alive, 730)
    some = np.flatnonzero(days)
    assert len(some) > 100
    assert days.max() <= 730
    for at in some[:50]:
        one = slice(at, at + 1)
        on = bgnbd.returns(KNOWN, x[one], t[one], alive[one], int(days[at]))
        before = bgnbd.returns(KNOWN, x[one], t[one], alive[one], int(days[at]) - 1)
        assert float(before[0]) < 0.5 <= float(on[0]) + 1e-12
    none = np.flatnonzero(days == 0)
    assert (bgnbd.returns(KNOWN, x[none], t[none], alive[none], 730) < 0.5).all()


# --- anything at all -----------------------------------------------------------------------------------------------------

Row = tuple[int, float, int, int, float, float, int]


@st.composite
def rows(draw: st.DrawFn) -> Row:
    t = draw(st.sampled_from([0, 0, 1, 7, 300, 4_000]) | st.integers(0, 8_000))
    x = draw(st.integers(0, min(t, 3_000)) | st.just(0) | st.just(t))
    paid = draw(st.integers(0, x))
    money = st.sampled_from([0.0, 0.01, 10.0, 1e14]) | st.floats(0, 1e14)
    mean = draw(money) if paid else 0.0
    spent = draw(money | st.floats(-1e9, 0))
    return x, draw(st.floats(0, 1)), t, paid, mean, spent, draw(st.integers(0, 90))


def facts(given_rows: list[Row]) -> serving.Facts:
    columns: list[Any] = (
        [np.array(column) for column in zip(*given_rows, strict=True)] if given_rows else [np.zeros(0)] * 7
    )
    x, share, t, paid, mean, spent, later = columns
    x, t = x.astype(np.int64), t.astype(np.int64)
    tx = np.where(x > 0, np.maximum(np.minimum((share * t).astype(np.int64), t), np.minimum(x, t)), 0)
    return serving.Facts(
        x=x, tx=tx, t=t, paid=paid.astype(np.int64), mean=mean.astype(float), spent=spent.astype(float),
        later=later.astype(np.int64),
    )  # fmt: skip


def all_finite(given_facts: serving.Facts, method: bgnbd.Method) -> None:
    fit = bgnbd.fit(bgnbd.group(given_facts.x, given_facts.tx, given_facts.t), method)
    p = fit.parameters
    assert np.isfinite([p.r, p.alpha, p.a, p.b, fit.log_likelihood, fit.shift]).all()
    spending, mean = serving.spend(given_facts)
    if spending is not None:
        assert np.isfinite([spending.p, spending.q, spending.v]).all()
    model = serving.Model(ordering=p, spending=spending, rival=serving.learn(given_facts), spend=mean)
    for what in ("bgnbd", "logistic"):
        scores = serving.predict(model, given_facts, what, 90)
        for column in (scores.churn, scores.orders, scores.value, scores.at_stake):
            assert np.isfinite(column).all()
            assert (column >= 0).all()
        assert (scores.churn <= 1).all()
        assert ((scores.next_in >= 0) & (scores.next_in <= serving.LIMIT_DAYS)).all()
    trial = serving.judge("2026-01-01", model, given_facts, 90)
    for judged in (trial.bgnbd, trial.logistic):
        if judged is not None:
            told = [judged.auc, judged.brier, judged.ece, judged.mae, judged.rmse, judged.correlation, judged.eo]
            assert np.isfinite([one for one in told if one is not None]).all()
    assert np.isfinite([one for one in (trial.recency_auc, trial.naive_mae, trial.base_brier) if one is not None]).all()


@pytest.mark.timeout(240)
@given(st.lists(rows(), max_size=12))
@settings(max_examples=25)
def test_nothing_is_ever_infinite_or_no_number(given_rows: list[Row]) -> None:
    all_finite(facts(given_rows), "map")
    all_finite(facts(given_rows), "ml")


@pytest.mark.parametrize(
    "given_rows",
    [
        pytest.param([], id="nobody"),
        pytest.param([(0, 0.0, 0, 0, 0.0, 0.0, 0)], id="one, today"),
        pytest.param([(0, 0.0, 300, 0, 0.0, 10.0, 1)], id="one"),
        pytest.param([(0, 0.0, t % 400, 0, 0.0, 20.0, 0) for t in range(1_000)], id="everybody once"),
        pytest.param([(400, 1.0, 400, 400, 9.99, 3_650.0, 90)] * 300, id="everybody daily"),
        pytest.param([(5, 0.9, 300, 5, 25.0, 150.0, n % 2) for n in range(300)], id="equal spends"),
        pytest.param([(3, 1.0, 30, 3, 1e14, 1e15, 0), (1, 0.1, 900, 1, 0.0001, 0.0, 3)], id="a hoard and a penny"),
        pytest.param([(1, 1.0, 1, 0, 0.0, 0.0, 0)] * 50, id="everything for nothing"),
    ],
)
def test_what_shops_begin_with_gives_numbers(given_rows: list[Row]) -> None:
    all_finite(facts(given_rows), "map")
    all_finite(facts(given_rows), "ml")


@given(
    st.floats(1e-5, 1e5), st.floats(1e-5, 1e5), st.floats(1e-5, 1e5), st.floats(1e-5, 1e5), rows(), st.integers(1, 730)
)
def test_every_parameter_between_the_walls_gives_numbers(
    r: float, alpha: float, a: float, b: float, row: Row, days: int
) -> None:
    p, one = bgnbd.Parameters(r, alpha, a, b), facts([row])
    alive = bgnbd.active(p, one.x, one.tx, one.t)
    expected = bgnbd.expected_orders(p, one.x, one.t, alive, days)
    back = bgnbd.returns(p, one.x, one.t, alive, days)
    longer = bgnbd.expected_orders(p, one.x, one.t, alive, days + 1)
    assert np.isfinite([alive, expected, back]).all()
    assert 0 <= back[0] <= alive[0] <= 1
    # A chance of at least one is at most the number expected; and more time brings no fewer.
    assert back[0] <= expected[0] * (1 + 1e-6) + 1e-9
    assert expected[0] <= longer[0] * (1 + 1e-9) + 1e-12


# --- gamma-gamma ---------------------------------------------------------------------------------------------------------


def test_spends_come_back_from_customers_made_by_them() -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(1, 9, 60_000)
    own = SPENT.p * SPENT.v / rng.gamma(SPENT.q, 1, len(x))
    mean = rng.gamma(SPENT.p * x, 1 / (SPENT.p * x)) * own
    found = gamma_gamma.fit(x, mean)
    assert found is not None
    assert [found.p, found.q, found.v] == pytest.approx([SPENT.p, SPENT.q, SPENT.v], rel=0.05)
    scaled = gamma_gamma.fit(x, mean * 1_000)
    assert scaled is not None
    assert [scaled.p, scaled.q, scaled.v] == pytest.approx([found.p, found.q, found.v * 1_000], rel=1e-5)


def test_few_orders_are_believed_little_and_many_much() -> None:
    everybody = SPENT.p * SPENT.v / (SPENT.q - 1)
    spend = gamma_gamma.expected_spend(SPENT, ints(0, 1, 10, 1_000), np.array([0.0, 100.0, 100.0, 100.0]))
    assert spend[0] == pytest.approx(everybody)
    assert spend[0] < spend[1] < spend[2] < spend[3] < 100
    assert spend[3] == pytest.approx(100, rel=0.001)


# --- the logistic --------------------------------------------------------------------------------------------------------


def test_the_logistic_finds_what_made_the_answers() -> None:
    rng = np.random.default_rng(5)
    some = rng.normal(size=(40_000, 2)) * [1, 10]
    chance = 1 / (1 + np.exp(-(0.5 + 1.5 * some[:, 0] - 0.1 * some[:, 1])))
    found = logistic.fit(some, rng.random(40_000) < chance)
    slopes = np.array(found.weights[1:]) / np.array(found.deviations)
    assert slopes == pytest.approx([1.5, -0.1], rel=0.06)
    assert logistic.chance(found, some) == pytest.approx(chance, abs=0.04)


def test_the_logistic_is_sure_of_nothing_even_where_all_agree() -> None:
    some = np.array([[0.0], [1.0], [2.0], [3.0]])
    apart = logistic.fit(some, some[:, 0] > 1)
    assert np.isfinite(apart.weights).all()
    same = logistic.fit(np.ones((5, 3)), np.ones(5, bool))
    chance = logistic.chance(same, np.ones((1, 3)))
    assert 0.5 < chance[0] < 1


# --- judging -------------------------------------------------------------------------------------------------------------


def test_auc_counts_ties_as_halves() -> None:
    happened = np.array([True, False, True, False])
    assert judging.auc(np.array([4.0, 3.0, 2.0, 1.0]), happened) == 0.75
    assert judging.auc(np.array([1.0, 1.0, 1.0, 1.0]), happened) == 0.5
    assert judging.auc(np.array([1.0, 1.0, 2.0, 0.0]), happened) == 0.875
    assert judging.auc(np.array([1.0, 2.0]), np.array([True, True])) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_auc_is_the_share_of_pairs_in_order(pairs: list[tuple[int, bool]]) -> None:
    yes = [score for score, happened in pairs if happened]
    no = [score for score, happened in pairs if not happened]
    found = judging.auc(np.array([float(s) for s, _ in pairs]), np.array([h for _, h in pairs]))
    if not yes or not no:
        assert found is None
    else:
        by_hand = sum((a > b) + 0.5 * (a == b) for a in yes for b in no) / (len(yes) * len(no))
        assert found == pytest.approx(by_hand)


def test_calibration_is_told_by_tenths() -> None:
    chance = np.array([0.05, 0.05, 0.95, 1.0])
    happened = np.array([False, True, True, True])
    assert judging.bins(chance, happened) == [Bin(2, 0.05, 0.5), Bin(2, 0.975, 1.0)]
    assert judging.ece(chance, happened) == pytest.approx((0.45 + 0.025) / 2)
    assert judging.brier(chance, happened) == pytest.approx((0.0025 + 0.9025 + 0.0025 + 0) / 4)
    assert judging.brier(np.zeros(0), np.zeros(0, bool)) is None
    assert judging.ece(np.zeros(0), np.zeros(0, bool)) is None


def test_counts_are_judged() -> None:
    expected, actual = np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 5.0])
    assert judging.mae(expected, actual) == 1.0
    assert judging.rmse(expected, actual) == pytest.approx((5 / 3) ** 0.5)
    assert judging.expected_to_observed(expected, actual) == pytest.approx(6 / 7)
    assert judging.expected_to_observed(expected, np.zeros(3)) is None
    assert judging.correlation(expected, np.ones(3)) is None
    assert judging.correlation(expected, expected * 2) == pytest.approx(1.0)


def test_rules_that_need_no_model() -> None:
    assert baselines.recency(np.array([5.0]), np.array([9.0])).tolist() == [-4.0]
    # Four orders in ten weeks, the first one counted: 5.2 in thirteen.
    assert baselines.naive(np.array([3.0, 0.0]), np.array([10.0, 0.0]), 13.0) == pytest.approx([5.2, 13.0])


# --- which model serves --------------------------------------------------------------------------------------------------


def test_the_logistic_serves_only_where_it_is_clearly_the_better_calibrated() -> None:
    x, tx, t, after = shop(3_000, later=13.0)
    given_facts = serving.Facts(
        x=x, tx=tx, t=t, paid=x, mean=np.where(x > 0, 20.0, 0.0), spent=(20.0 + 20.0 * x).astype(float), later=after
    )
    learnt = serving.learn(given_facts)
    good = serving.judge("2026-01-01", serving.Model(ordering=KNOWN, rival=learnt), given_facts, 91)
    wrong = serving.Model(ordering=bgnbd.Parameters(4.0, 1.0, 0.01, 5.0), rival=learnt)
    bad = serving.judge("2026-01-01", wrong, given_facts, 91)
    alone = serving.judge("2026-01-01", serving.Model(ordering=KNOWN), given_facts, 91)
    assert serving.better([good]) == "bgnbd"
    assert serving.better([bad]) == "logistic"
    assert serving.better([bad, alone]) == "bgnbd"
    assert serving.better([]) == "bgnbd"
