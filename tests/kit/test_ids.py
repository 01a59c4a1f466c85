import itertools
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122

import pytest

from supover.kit import clock, ids


def test_an_id_is_a_uuid_of_version_7_with_its_time_in_front() -> None:
    before = time.time_ns() // 1_000_000
    found = [ids.new() for _ in range(1_000)]
    after = time.time_ns() // 1_000_000
    for id in found:
        assert (id.version, id.variant) == (7, RFC_4122)
        assert before <= id.int >> 80 <= after + 1
    assert len({id.int & 0x3FFF_FFFF_FFFF_FFFF for id in found}) == 1_000


def test_the_first_id_of_a_moment_stands_before_all_others_of_it_and_after_those_before_it() -> None:
    earlier = ids.new()
    moment = clock.now() + timedelta(milliseconds=2)
    time.sleep(0.003)
    assert earlier < ids.first_at(moment) <= ids.new()
    assert ids.first_at(moment).version == 7
    assert ids.first_at(datetime(2026, 1, 1, tzinfo=UTC)) < ids.first_at(
        datetime(2026, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)
    )
    assert ids.first_at(datetime(1, 1, 1, tzinfo=UTC)) == ids.first_at(ids.EPOCH)


def test_each_is_greater_than_the_one_before() -> None:
    found = [ids.new() for _ in range(100_000)]
    assert all(a < b for a, b in itertools.pairwise(found))
    assert sorted(str(id) for id in found) == [str(id) for id in found]


def test_they_grow_also_when_the_clock_goes_back_or_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    last = ids.new()
    now = time.time_ns()
    for clock_ns in (now, now - 3_600 * 10**9, now - 1, now - 3_600 * 10**9, 0):
        monkeypatch.setattr(time, "time_ns", lambda at=clock_ns: at)
        # More than the counter within a millisecond holds.
        for _ in range(5_000):
            following = ids.new()
            assert following > last
            assert following.version == 7
            last = following


def test_threads_get_ids_of_their_own() -> None:
    def some(_: int) -> list[int]:
        return [ids.new().int for _ in range(5_000)]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(some, range(8)))
    for each in found:
        assert all(a < b for a, b in itertools.pairwise(each))
    everything = [id for each in found for id in each]
    assert len(set(everything)) == len(everything)
    # The counter alone tells them apart: no two threads ever got the same place.
    assert len({id >> 64 for id in everything}) == len(everything)


def test_the_clock_is_aware_and_goes_on() -> None:
    first, second = clock.now(), clock.now()
    assert first.utcoffset() is not None
    assert first <= second
    assert clock.monotonic_s() <= clock.monotonic_s()


def test_a_tag_is_told_once_by_all_processes() -> None:
    program = "from supover.kit import ids; print(*(ids.tag() for _ in range(3)))"
    said = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in range(2)
    ]
    tags = [tag for one in said for tag in one.stdout.split()] + [ids.tag(), ids.tag()]
    assert len(set(tags)) == len(tags) == 8
    assert all(re.fullmatch(r"[0-9a-f]{32}", tag) for tag in tags)


def test_ids_as_texts_are_the_same_kind_and_in_one_order_with_the_others() -> None:
    found = [ids.new().hex, *ids.texts(5_000), ids.new().hex]
    assert found == sorted(set(found))
    assert all(re.fullmatch("[0-9a-f]{32}", one) and one[12] == "7" for one in found)
