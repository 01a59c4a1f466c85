import os
import random
from pathlib import Path

import pytest

from supover.kit import tables
from supover.kit.tables import TableFacts, TableUnreadable
from tests.files.hostile import CORPUS, ROWS, Hostile, text, zipped

FUZZED = [
    "plain",
    "cells of several lines",
    "a workbook",
    "typed cells",
    "JSON, one array",
    "JSON, addresses",
    "UTF-16, big end first",
]


def counted(path: Path, facts: TableFacts, size: int = 10_000) -> tuple[int, int]:
    good = odd = 0
    with tables.frames(path, facts, size) as found:
        names = ["row", *(str(n) for n in range(len(found.header)))]
        for number, batch in enumerate(found.batches):
            assert batch.number == number
            assert batch.frame.columns == names
            assert batch.frame.null_count().sum_horizontal().item() == 0
            assert batch.frame["row"].is_sorted()
            good += batch.frame.height
            odd += len(batch.odd)
            for one in batch.odd:
                assert one.code in {"ragged", "nul", "encoding", "quote", "too_long", "json", "formula"}
                assert not any("\0" in cell for cell in one.cells)
    return good, odd


@pytest.mark.parametrize("name", CORPUS)
def test_each_hostile_file_is_refused_in_words_or_read(tmp_path: Path, name: str) -> None:
    file: Hostile = CORPUS[name]
    path = tmp_path / "table.csv"
    path.write_bytes(file.data())
    if isinstance(file.outcome, str):
        with pytest.raises(TableUnreadable) as caught:
            counted(path, tables.facts(path))
        said = str(caught.value)
        assert file.outcome in said
        assert said.endswith((".", "?")) and len(said) < 300
        assert str(tmp_path) not in said and "table.csv" not in said
    else:
        assert counted(path, tables.facts(path)) == file.outcome
        assert counted(path, tables.facts(path), 1) == file.outcome


def mutated(data: bytes, rolls: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(rolls.randint(1, 8)):
        at = rolls.randrange(len(found) or 1)
        match rolls.randrange(5):
            case 0:
                found[at : at + 1] = bytes([rolls.randrange(256)])
            case 1:
                found[at:at] = rolls.choice(
                    [b'"', b"\0", b"\r", b"\n", b",", b"\xff", b"{", b"]", b"\xef\xbb\xbf", b"=", b"'"]
                )
            case 2:
                del found[at : at + rolls.randint(1, 20)]
            case 3:
                found += found[at : at + 50]
            case _:
                found[at:at] = found[rolls.randrange(len(found) or 1) :][:30]
    return bytes(found)


def fuzz(path: Path, rounds: int, seed: int) -> None:
    rolls = random.Random(seed)
    originals = [CORPUS[name].data() for name in FUZZED] + [zipped(text(*ROWS))()]
    for _ in range(rounds):
        path.write_bytes(mutated(rolls.choice(originals), rolls))
        try:
            counted(path, tables.facts(path), rolls.choice([1, 3, 10_000]))
        except TableUnreadable as error:
            assert len(str(error)) < 400, error


def test_a_file_with_changed_bytes_is_refused_or_read(tmp_path: Path) -> None:
    fuzz(tmp_path / "table", 400, 7)


@pytest.mark.soak
def test_thousands_of_files_with_changed_bytes_are_refused_or_read(tmp_path: Path) -> None:
    fuzz(tmp_path / "table", 5_000, random.randrange(1 << 30) if "CI" not in os.environ else 1)
