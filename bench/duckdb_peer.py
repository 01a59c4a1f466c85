# Run by a Python of its own that has DuckDB, which the house does not.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
"""Run by a Python that has DuckDB: cohort cells of a file of orders, counted by it. Prints JSON.

    python duckdb_peer.py ORDERS.csv

The file has customer, day and net. Reading it into a table of DuckDB's own is not timed.
"""

import json
import sys
import time

import duckdb

CELLS = """
    with months as (
        select customer, date_trunc('month', day) as month, sum(net) as net, count(*) as orders from orders group by all),
    firsts as (select customer, min(month) as cohort from months group by all)
    select cohort::date::varchar, month::date::varchar, count(*), sum(orders)::bigint, sum(net)::varchar
      from months join firsts using (customer)
     group by all
     order by all"""


def main() -> None:
    """Best of three, and the cells."""
    con = duckdb.connect()
    con.execute("set threads to 2")
    con.execute(
        "create table orders as select * from read_csv(?, header = false,"
        " columns = {'customer': 'uuid', 'day': 'date', 'net': 'decimal(19, 4)'})",
        [sys.argv[1]],
    )
    took: list[float] = []
    cells: list[tuple[object, ...]] = []
    for _ in range(3):
        started = time.perf_counter()
        cells = con.execute(CELLS).fetchall()
        took.append(time.perf_counter() - started)
    print(json.dumps({"seconds": min(took), "version": duckdb.__version__, "cells": cells}))


if __name__ == "__main__":
    main()
