# polars names numpy in its types, which is not installed.
# pyright: reportUnknownMemberType=false
"""Who of a whole workspace shares a key with whom: joined in memory, twelve bytes a key, not sorted by the database."""

from typing import Final

import polars as pl

from supover.duplicates.blocking import MOST_IN_A_BLOCK
from supover.duplicates.scoring import are_of_two

TOLD: Final = {"id": pl.String, "keys": pl.String, "name": pl.String}
PARTS: Final = 16
"""The keys are joined in so many parts, one after the other, so that joining takes little memory."""


class Sharing:
    """Customers' keys, added block by block, and then who shares one: pairs by number, or by the customers' ids."""

    def __init__(self) -> None:
        self.number = 0
        """How many pairs there are."""
        self._customers = 0
        self._ids: list[pl.Series] = []
        self._names: list[pl.Series] = []
        self._keys: list[pl.DataFrame] = []
        self._pairs = pl.DataFrame()

    def add(self, lines: bytes) -> None:
        """Lines of an id, the customer's keys, whole numbers with blanks between, and the only given name or nothing.

        Each customer once. An odd key is one that people of one household do not share as such.
        """
        told = pl.read_csv(lines, has_header=False, quote_char=None, schema=TOLD).with_row_index(
            "customer", self._customers
        )
        self._customers += told.height
        self._ids.append(told["id"])
        self._names.append(told["name"])
        self._keys.append(
            told.lazy()
            .select("customer", pl.col("keys").str.split(" "))
            .explode("keys")
            .select("customer", key=pl.col("keys").cast(pl.Int64))
            .drop_nulls()
            .collect()
        )

    def pair(self) -> None:
        """Joins who shares a key, but for one that more share than MOST_IN_A_BLOCK, and families.

        Those share the house, and have names that are given to different people: there are more of them than of duplicates.
        """
        keys = pl.concat(self._keys) if self._keys else pl.DataFrame(schema={"customer": pl.UInt32, "key": pl.Int64})
        self._keys.clear()
        found = [_pairs(keys.filter(pl.col("key") % PARTS == part)) for part in range(PARTS)]
        names = pl.concat(self._names) if self._names else pl.Series("name", [], pl.String)
        self._names.clear()
        self._pairs = _not_families(pl.concat(found), names)
        self.number = self._pairs.height

    def pairs(self, first: int, number: int) -> tuple[list[str], list[str]]:
        """The ids of the ones and of the others, of so many pairs from `first` on; those of one customer one after the other."""
        ids = self._ids[0] if len(self._ids) == 1 else pl.concat(self._ids)
        self._ids = [ids]
        some = self._pairs.slice(first, number)
        return ids.gather(some["customer"]).to_list(), ids.gather(some["customer_right"]).to_list()


def _pairs(keys: pl.DataFrame) -> pl.DataFrame:
    near = keys.sort("key")
    key = pl.col("key")
    blocks = (
        near.filter((key == key.shift(1)) | (key == key.shift(-1)))
        .unique()
        .filter(pl.len().over("key").is_between(2, MOST_IN_A_BLOCK))
    )
    return (
        blocks.join(blocks, on="key")
        .filter(pl.col("customer") < pl.col("customer_right"))
        .group_by("customer", "customer_right")
        .agg(is_own=(key % 2 != 0).any())
    )


def _not_families(pairs: pl.DataFrame, names: pl.Series) -> pl.DataFrame:
    """Each pair once, in order, but for those who share a house and have names of two people."""
    each = pairs.group_by("customer", "customer_right").agg(pl.col("is_own").any())
    named = each.with_columns(
        name=names.gather(each["customer"]), name_right=names.gather(each["customer_right"])
    ).with_columns(may_be_family=~pl.col("is_own") & (pl.col("name") != pl.col("name_right")).fill_null(value=False))
    asked = named.filter("may_be_family").select("name", "name_right").unique()
    of_two = [are_of_two(a, b) for a, b in asked.iter_rows()]
    families = asked.with_columns(pl.Series("are_of_two", of_two, pl.Boolean))
    return (
        named.join(families, on=["name", "name_right"], how="left")
        .filter(~(pl.col("may_be_family") & pl.col("are_of_two").fill_null(value=False)))
        .select("customer", "customer_right")
        .sort("customer", "customer_right")
    )
