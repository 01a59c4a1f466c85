# Run by a Python of its own that has Splink, which the house does not.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""Splink as its own examples configure it: `python splink_peer.py ROWS.csv PAIRS.csv`.

The rows have id, first, last, email, phone, line1, city, zip and born. What it takes for one person at a probability of
0.95 is written as pairs of ids; how long that took is printed.
"""

import sys
import time
from typing import Any

import duckdb
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

THRESHOLD = 0.95


def link(rows: str, pairs: str) -> None:
    """Links and writes what was found."""
    started = time.monotonic()
    con: Any = duckdb.connect()
    con.execute("set threads = 2")
    con.execute(
        f"create table people as select * from read_csv('{rows}', all_varchar = true, nullstr = '', header = true)"
    )
    told = [
        name
        for name in ("first", "last", "email", "phone", "line1", "city", "zip", "born")
        if con.execute(f"select count({name}) from people").fetchone()[0]
    ]
    compared: dict[str, Any] = {
        "first": cl.ForenameSurnameComparison("first", "last"),
        "email": cl.EmailComparison("email"),
        "phone": cl.LevenshteinAtThresholds("phone", [1, 2]),
        "line1": cl.LevenshteinAtThresholds("line1", [1, 3]),
        "city": cl.ExactMatch("city").configure(term_frequency_adjustments=True),
        "zip": cl.ExactMatch("zip").configure(term_frequency_adjustments=True),
        "born": cl.DateOfBirthComparison("born", input_is_string=True),
    }
    blocks = [block_on("first", "last"), block_on("last", "zip")]
    blocks += [block_on(name) for name in ("email", "phone") if name in told]
    blocks += [block_on("line1", "zip")]
    if "born" in told:
        blocks += [block_on("born", "last"), block_on("born", "first")]
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="id",
        comparisons=[found for name, found in compared.items() if name in told],
        blocking_rules_to_generate_predictions=blocks,
    )
    api: Any = DuckDBAPI(connection=con)
    try:
        linker: Any = Linker("people", settings, api)
    except TypeError:
        linker = Linker(api.register("people"), settings)
    linker.training.estimate_probability_two_random_records_match(blocks[:1], recall=0.7)
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6)
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("first", "last"))
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("line1"))
    found: Any = linker.inference.predict(threshold_match_probability=THRESHOLD)
    con.execute(f"copy (select id_l, id_r from {found.physical_name}) to '{pairs}' (header false)")
    sys.stdout.write(f"{time.monotonic() - started}\n")


if __name__ == "__main__":
    link(sys.argv[1], sys.argv[2])
