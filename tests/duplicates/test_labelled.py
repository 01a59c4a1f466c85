"""What is found in sets whose truth is known, by one configuration for all; where the sets are not there, nothing is asked."""

from collections import Counter
from itertools import combinations
from pathlib import Path
from uuid import UUID

import pytest

from bench import duplicates as bench
from supover.duplicates import blocking, clustering, profiles, scoring
from supover.kit import text

FOLDER = Path(__file__).parents[2].parent / "shared" / "data" / "duplicates"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the labelled sets are not in {FOLDER}")


def judged(name: str) -> tuple[bench.Judged, bench.Judged, bench.Judged]:
    """The pairs of the two upper levels with what their groups add, the automatic ones, and all that are listed."""
    rows = bench.read(FOLDER, name)
    people: list[profiles.Profile] = []
    for n, row in enumerate(rows):
        email = text.email_key(row.email) if row.email else None
        phone = text.phone_key(row.phone, row.country) if row.phone else None
        masked = [row.phone] if row.phone and not phone else []
        place = (row.line1, row.line2, row.city, row.zip, row.country)
        born = bench.datetime.fromisoformat(row.born).date() if row.born else None
        people.append(
            profiles.profile(
                UUID(int=n), row.name, [email] if email else [], [phone] if phone else [], masked, [place], born
            )
        )
    counts = Counter(term for one in people for term in scoring.terms(one))
    known = scoring.Frequencies(len(people), {term: n for term, n in counts.items() if n > 2})
    scored = {(a, b): scoring.score(people[a], people[b], known) for a, b in blocking.pairs(people)}
    strong = [(a, b, s.bits) for (a, b), s in scored.items() if s.level in ("automatic", "suggested")]
    groups, _ = clustering.clusters(strong, lambda a, b: scoring.incompatible(people[a], people[b]))
    found = {pair for group in groups for pair in combinations(sorted(group), 2)}
    exact = {pair for pair, s in scored.items() if s.level == "automatic"}
    listed = {pair for pair, s in scored.items() if s.level is not None}
    true = bench.pairs_of([row.truth for row in rows])
    return bench.judged(found, true), bench.judged(exact, true), bench.judged(listed, true)


def test_made_customers() -> None:
    found, exact, _ = judged("customers_10k")
    assert found.f1 >= 0.96
    assert found.precision >= 0.975
    assert exact.precision >= 0.996
    assert exact.recall >= 0.55


def test_a_census_of_households() -> None:
    found, _, listed = judged("pseudo_census_dev")
    assert found.f1 >= 0.97
    assert listed.recall >= 0.99
    assert judged("pseudo_census_dev without birth dates")[0].f1 >= 0.92


def test_records_that_were_garbled_at_random() -> None:
    found, _, listed = judged("febrl1")
    assert found.f1 >= 0.95
    assert listed.recall >= 0.99
    assert listed.precision >= 0.9
