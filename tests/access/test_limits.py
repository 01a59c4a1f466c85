from typing import Any

import asyncpg
import structlog
from hypothesis import given
from hypothesis import strategies as st

from supover.access import limits
from supover.access.limits import MAX_COUNTERS, Periods
from supover.kit import clock, ids
from supover.kit.db import Database
from supover.kit.housekeeping import FORGET_COUNTS
from supover.settings import Settings
from tests.access.places import Place, make_client


def test_a_limit_holds_within_a_period_and_starts_anew_after_it() -> None:
    periods = Periods(60)
    assert [periods.take("a", 2, 100.0).left for _ in range(3)] == [1, 0, -1]
    assert periods.take("a", 2, 100.0).reset_s == 60
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


# --- together with the other processes ----------------------------------------------------------------------------------


async def test_what_one_process_took_is_gone_for_the_others_too(db: Database) -> None:
    key, limit = ids.new(), 10
    one, another = Periods(60), Periods(60)

    def take(periods: Periods, times: int) -> list[int]:
        return [periods.take(key, limit, clock.monotonic_s()).left for _ in range(times)]

    async def tell(periods: Periods) -> None:
        await limits.tell(db, periods.untold(clock.monotonic_s()), 60)

    assert take(one, 4) == [9, 8, 7, 6]
    await tell(one)
    assert one.untold(clock.monotonic_s()) == []
    assert take(another, 1) == [9]
    await tell(another)
    assert take(another, 2) == [4, 3]
    untold = another.untold(clock.monotonic_s())
    # What is taken while the others are told is kept for the next time.
    assert take(another, 1) == [2]
    await limits.tell(db, untold, 60)
    assert take(another, 1) == [1]
    await tell(another)
    assert take(one, 1) == [5]
    await tell(one)
    assert take(one, 2) == [-1, -2]
    reset_s = one.take(key, limit, clock.monotonic_s()).reset_s
    assert 50 < reset_s <= 60
    assert one.untold(clock.monotonic_s() + 61) == []


async def test_processes_share_the_limit_of_a_key(db: Database, place: Place, configured: Settings) -> None:
    key = await place.new_key("customers:read", rate_limit=20)
    async with make_client(db, configured) as one, make_client(db, configured) as another:
        statuses = [(await one.as_key(key, "GET", "/api/workspace")).status_code for _ in range(15)]
        assert statuses == [200] * 15
        await one.authenticator.close()
        # The first request begins to ask what the others have taken; a moment later it is known.
        assert (await another.as_key(key, "GET", "/api/workspace")).status_code == 200
        await another.authenticator.close()
        statuses = [(await another.as_key(key, "GET", "/api/workspace")).status_code for _ in range(6)]
        assert statuses == [200] * 4 + [429] * 2
        await another.authenticator.close()


async def test_while_the_database_is_away_each_process_counts_for_itself(
    db: Database, place: Place, configured: Settings
) -> None:
    key = await place.new_key("customers:read", rate_limit=3)

    class Away(Database):
        def across(self) -> Any:
            raise OSError("away")

    async with make_client(db, configured) as client:
        assert (await client.as_key(key, "GET", "/api/workspace")).status_code == 200
        await client.authenticator.close()
        client.authenticator.database = Away(db._pool, 1)  # pyright: ignore[reportPrivateUsage]
        with structlog.testing.capture_logs() as logs:
            statuses = [(await client.as_key(key, "GET", "/api/workspace")).status_code for _ in range(3)]
            await client.authenticator.close()
        assert statuses == [200, 200, 429]
        assert {entry["event"] for entry in logs} == {"requests_not_told"}


async def test_counts_are_forgotten_when_their_period_has_ended(
    db: Database, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await limits.count(db, {"old": 1}, 0)
    await limits.count(db, {"new": 1}, 60)
    async with db.across() as con:
        assert await con.fetchval(FORGET_COUNTS, 100) == 1
    assert [row[0] for row in await owner.fetch("select subject from data.throttle")] == ["new"]
