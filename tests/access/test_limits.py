from hypothesis import given
from hypothesis import strategies as st

from supover.access.limits import MAX_COUNTERS, Periods


def test_a_limit_holds_within_a_period_and_starts_anew_after_it() -> None:
    periods = Periods(60)
    assert [periods.take("a", 2, 100.0).left for _ in range(3)] == [1, 0, -1]
    assert periods.take("a", 2, 100.0).reset_s == 61
    assert periods.take("b", 2, 100.0).left == 1
    assert periods.take("a", 2, 159.9).left == -3
    assert periods.take("a", 2, 160.0).left == 1


def test_what_is_given_back_or_forgotten_was_not_counted() -> None:
    periods = Periods(60)
    periods.take("a", 5, 0)
    periods.give_back("a")
    periods.give_back("a")
    periods.give_back("unknown")
    assert periods.take("a", 5, 1).left == 4
    periods.forget("a")
    assert periods.take("a", 5, 2).left == 4


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 100)), max_size=60), st.integers(1, 9))
def test_no_more_than_the_limit_pass_in_one_period(asked: list[tuple[str, float]], limit: int) -> None:
    periods = Periods(1000)
    passed = [key for key, at in sorted(asked, key=lambda one: one[1]) if periods.take(key, limit, at).left >= 0]
    assert {key: passed.count(key) for key in "ab"} == {
        key: min(limit, sum(k == key for k, _ in asked)) for key in "ab"
    }


def test_counters_are_bounded_and_the_oldest_go_first() -> None:
    periods = Periods(1000)
    for at in range(MAX_COUNTERS + 1):
        periods.take(at, 1, at / 1000)
    assert periods.take(MAX_COUNTERS, 1, 30).left == -1
    assert periods.take(0, 1, 30).left == 0
