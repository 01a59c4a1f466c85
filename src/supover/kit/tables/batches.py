# polars names numpy in its types, which is not installed.
# pyright: reportUnknownMemberType=false
"""Pieces of whatever size, made into batches of one size."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from supover.kit.tables.model import Batch, OddRow, Piece

if TYPE_CHECKING:
    import polars as pl

MOST_BYTES: Final = 64 << 20
"""A batch has fewer rows than it might where they are this large."""


def batches(pieces: Iterable[Piece], size: int) -> Iterator[Batch]:
    """Batches of `size` rows, odd ones included; rows with one number stay together."""
    number = 0
    frames: list[pl.DataFrame] = []
    odd: list[OddRow] = []
    rows = weight = 0
    for piece in pieces:
        frames.append(piece.frame)
        odd += piece.odd
        rows += piece.frame.height + len(piece.odd)
        weight += piece.size
        if not rows:
            # Blank rows are none, however many there are.
            weight = 0
        while rows >= size or weight >= MOST_BYTES:
            frame = _joined(frames)
            batch, rest, odd = _cut(number, frame, odd, min(size, rows))
            left = rest.height + len(odd)
            weight = weight * left // rows
            frames, rows, number = [rest], left, number + 1
            yield batch
            if not rows:
                weight = 0
    if rows:
        yield Batch(number, _joined(frames), odd)


def _joined(frames: "list[pl.DataFrame]") -> "pl.DataFrame":
    import polars as pl

    return frames[0] if len(frames) == 1 else pl.concat(frames)


def _cut(
    number: int, frame: "pl.DataFrame", odd: list[OddRow], size: int
) -> "tuple[Batch, pl.DataFrame, list[OddRow]]":
    """The first `size` rows, and what stays."""
    import polars as pl

    numbers = frame["row"]
    if odd:
        numbers = pl.concat([numbers, pl.Series("row", [one.row_number for one in odd], dtype=pl.Int64)]).sort()
    last = int(numbers[size - 1])
    taken = int(frame["row"].search_sorted(last, side="right"))
    past = next((n for n, one in enumerate(odd) if one.row_number > last), len(odd))
    return Batch(number, frame[:taken], odd[:past]), frame[taken:], odd[past:]
