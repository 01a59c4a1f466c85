"""What the code looks like: the words of its files, who reads the clock, where SQL stands, who writes which table."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from tests.house import walk
from tests.house.walk import Source

# --- files -----------------------------------------------------------------------------------------------------------

WORDS: Final = frozenset(
    {
        "__init__",
        "model",
        "rules",
        "events",
        "queries",
        "commands",
        "bulk",
        "jobs",
        "reactions",
        "routes",
        "fields",
        "cli",
    }
)
"""The files that a room may have."""

NOUNS: Final[Mapping[str, str]] = {
    "analytics/cohorts.py": "customers by their first order, and what they did since",
    "analytics/geography.py": "where was sold to",
    "analytics/overview.py": "how a workspace did in a period",
    "analytics/report_model.py": "the nouns of reports",
    "analytics/report_routes.py": "the addresses of reports",
    "analytics/report_rules.py": "periods, cohorts and shares",
    "analytics/rollups.py": "sums that reports are answered from",
    "addresses/moving.py": "addresses that go from one customer to another",
    "consent/moving.py": "what people said who are made one, or two",
    "customers/absorbing.py": "one customer takes others in, and gives them back",
    "customers/parting.py": "a part of a customer becomes one",
    "customers/merge_rows.py": "what a merge did, row by row",
    "merging/splitting.py": "a part of a customer becomes one",
    "merging/undoing.py": "merges undone",
    "notes/moving.py": "notes that go from one customer to another",
    "orders/moving.py": "orders that go from one customer to another",
    "analytics/churn_routes.py": "the addresses of churn and of the models that tell it",
    "analytics/fitting.py": "models fitted, tried on past days, and everybody scored",
    "analytics/prediction_model.py": "the nouns of predictions",
    "analytics/prediction_rules.py": "when predictions can be made, and what is said of them in words",
    "analytics/predictions.py": "predictions as they are kept and read",
    "analytics/predicting/baselines.py": "rules that need no model",
    "analytics/predicting/bgnbd.py": "how often customers order, and whether they still do",
    "analytics/predicting/fitting.py": "lowest points of smooth functions",
    "analytics/predicting/gamma_gamma.py": "what customers spend an order",
    "analytics/predicting/judging.py": "how good predictions were",
    "analytics/predicting/logistic.py": "who orders again, by regression",
    "analytics/predicting/serving.py": "what a fitted workspace says of its customers",
    "segments/moving.py": "picks that go from one customer to another",
    "analytics/customer.py": "what one customer is worth",
    "analytics/ltv.py": "the report of what customers are worth",
    "analytics/rfm.py": "the report of recency, frequency and monetary value",
    "analytics/scoring.py": "customers scored by recency, frequency and monetary value",
    "access/audit.py": "the audit row, which the edge writes",
    "access/authenticate.py": "who asks, before there is a room",
    "access/limits.py": "counts per period, in memory",
    "access/passwords.py": "hashing, in threads",
    "access/permissions.py": "the one table of who may do what",
    "access/second_step.py": "codes of an app, asked for at signing in",
    "access/sessions.py": "signing in and out",
    "consent/suppression_routes.py": "the addresses of suppressions",
    "consent/suppressions.py": "contacts that are not written to",
    "customers/avatar_routes.py": "the addresses of pictures",
    "customers/avatars.py": "pictures of customers",
    "customers/contacts.py": "which customer an order belongs to",
    "customers/custom_field_filters.py": "custom fields as filters and sorts ask for them",
    "customers/custom_field_index.py": "the values of custom fields that are indexed or unique",
    "customers/custom_field_misfits.py": "values of custom fields that do not fit",
    "customers/custom_field_model.py": "the nouns of custom fields",
    "customers/custom_field_routes.py": "the addresses of custom fields",
    "customers/custom_field_rules.py": "what a custom field takes",
    "customers/custom_fields.py": "what is declared of custom fields",
    "customers/identity_routes.py": "the addresses of a customer's contacts",
    "customers/intake.py": "customers that a channel tells of",
    "exports/columns.py": "what a file can hold",
    "exports/formats.py": "files made of what the database gave",
    "exports/questions.py": "what an export asks the database",
    "exports/streaming.py": "answers that are sent as they come",
    "imports/contact_columns.py": "columns of emails and phones, judged as one by one",
    "imports/customer_cli.py": "the command lines of customers' imports",
    "imports/customer_columns.py": "which column of a customer file is which field",
    "imports/customer_commands.py": "imports of customers, begun and run",
    "imports/customer_dates.py": "dates of birth as files write them",
    "imports/customer_rules.py": "what the rows of a customer file say",
    "imports/customer_model.py": "the nouns of customers' imports",
    "imports/customer_revert.py": "imports of customers, taken back",
    "imports/customer_taking.py": "what becomes of a chunk of customers",
    "imports/customer_trial.py": "whom a trial would change, and how",
    "imports/drafts.py": "files that are looked at before they are begun",
    "imports/receiving.py": "files and rows as they are sent",
    "inbox/receiver.py": "deliveries, before a workspace is known",
    "orders/refunds.py": "refunds that come one by one",
    "customers/filtering.py": "the segment language as a workspace speaks it",
    "demo/wishes.py": "consents, custom fields and segments of the story",
    "customers/erased.py": "people who were erased, and do not come back by what is older",
    "customers/hashing.py": "the key that contacts are compared by",
    "customers/identities.py": "the contacts of a customer as people edit them",
    "customers/included.py": "what comes along with customers when asked for",
    "customers/journal.py": "what great acts did to profiles, so that it can be undone",
    "customers/many.py": "many profiles changed at once",
    "customers/tag_change_model.py": "the nouns of tags that are changed in all customers",
    "customers/tag_changes.py": "tags renamed, merged and removed in all customers",
    "customers/tag_routes.py": "the addresses of tags",
    "customers/tags.py": "tags, of one customer and counted over all",
    "duplicates/blocking.py": "who is compared at all",
    "duplicates/clustering.py": "pairs joined to people, pure",
    "duplicates/grouping.py": "groups of open pairs, as they are kept",
    "duplicates/noticing.py": "who shares a contact, at once",
    "duplicates/profile_columns.py": "the short way of profiles, thousands at once",
    "duplicates/profiles.py": "what of a customer is compared",
    "duplicates/scanning.py": "a search for duplicates, step by step",
    "duplicates/sharing.py": "who of a whole workspace shares a key",
    "duplicates/scoring.py": "what speaks for two being one, in bits",
    "orders/rates.py": "exchange rates",
    "privacy/beside.py": "rows of others that tell of a person",
    "privacy/erasing.py": "people are erased, by the map",
    "privacy/exporting.py": "what is kept of a person, told by the map",
    "privacy/files.py": "files of imports and exports that tell of a person",
    "privacy/personal.py": "the map of personal data",
    "privacy/replaying.py": "the list of erasures, and its replay after a restore",
    "privacy/retention.py": "what is older than it is kept",
    "privacy/shops.py": "a whole shop is forgotten",
    "segments/counting.py": "members counted, days noted, moves told",
    "segments/how_many.py": "who fits a filter, counted",
    "segments/language_routes.py": "what a filter can ask",
    "segments/marks.py": "what whoever publishes leaves for segments",
    "segments/membership.py": "who is in which segment, by the drain and by the job",
    "segments/preview.py": "what a filter amounts to before it is kept",
    "segments/proof.py": "whether members are who fits",
    "segments/view_routes.py": "the addresses of saved views",
    "segments/views.py": "saved views of the customers' list",
}
"""Other files of rooms: a noun that a room was split by, and what it is."""

NOT_ROOMS: Final = frozenset({"kit", "static", "channels"})
BAD_WORDS: Final = frozenset(
    {"service", "services", "utils", "util", "helpers", "helper", "common", "base", "manager", "misc", "core"}
)


def test_files_have_the_words_of_a_room() -> None:
    # The modules of web are families of pages, called by what they show.
    found = [s.shown for s in walk.sources() if "/" in s.shown and s.shown.split("/")[0] not in {*NOT_ROOMS, "web"}]
    odd = {name for name in found if name.rpartition("/")[2].removesuffix(".py") not in WORDS}
    assert odd - set(NOUNS) == set()
    assert set(NOUNS) - odd == set(), "stale"
    assert [s.shown for s in walk.sources() if s.path.stem in BAD_WORDS] == []


def test_every_module_says_what_it_is() -> None:
    wordless = [s.shown for s in walk.sources() if not (ast.get_docstring(s.tree) or "").strip()]
    assert wordless == []


def test_the_init_of_a_room_is_its_docstring_only() -> None:
    busy = [s.shown for s in walk.sources() if s.path.stem == "__init__" and len(s.tree.body) != 1]
    assert busy == ["__init__.py", "kit/filters/__init__.py", "kit/tables/__init__.py"], (
        "the version; the doors of parts of kit, which are no rooms"
    )


def test_annotations_are_read_at_run_time() -> None:
    """Litestar, msgspec and the queue ask for them."""
    late = [
        s.shown
        for s in walk.sources()
        for node in s.tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    ]
    assert late == []


def test_nothing_is_put_off() -> None:
    found = [
        f"{s.shown}:{n}"
        for s in walk.sources()
        for n, line in enumerate(s.path.read_text("utf-8").splitlines(), 1)
        if re.search(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b", line)
    ]
    assert found == []


# --- the clock -------------------------------------------------------------------------------------------------------

CLOCKS: Final = frozenset(
    {
        "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns", "time.monotonic",
        "time.monotonic_ns", "time.localtime", "time.gmtime",
    }
)  # fmt: skip
MAY_READ: Final[Mapping[str, str]] = {
    "kit/clock.py": "it is the clock",
    "kit/ids.py": "an id begins with the time, in nanoseconds",
}
"""Files that read the clock themselves."""


def dotted(node: ast.expr) -> str:
    """`datetime.datetime.now` as `datetime.now`: the last two names of what is called."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value).rpartition('.')[2]}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(source: Source) -> Iterator[ast.Call]:
    return (node for node in ast.walk(source.tree) if isinstance(node, ast.Call))


def test_only_the_clock_reads_the_clock() -> None:
    readers: dict[str, list[int]] = {}
    for source in walk.sources():
        imported = {
            f"{node.module}.{alias.name}": alias.asname or alias.name
            for node in ast.walk(source.tree)
            if isinstance(node, ast.ImportFrom) and node.module in ("time", "datetime")
            for alias in node.names
        }
        bare = {local for full, local in imported.items() if full in CLOCKS}
        lines = [call.lineno for call in calls(source) if dotted(call.func) in CLOCKS | bare]
        if lines:
            readers[source.shown] = lines
    assert {name: lines for name, lines in readers.items() if name not in MAY_READ} == {}
    assert set(MAY_READ) - set(readers) == set(), "stale"


# --- SQL -------------------------------------------------------------------------------------------------------------


def test_statements_are_put_together_from_constants_only() -> None:
    """An f-string that is a statement has only constants in it; a template is filled in where there is a `Where`."""
    wrong: list[str] = []
    for source in walk.sources():
        if source.shown in ("kit/sql.py", "kit/migrate.py"):
            continue
        has_where = any(
            isinstance(node, ast.ImportFrom) and any(alias.name == "Where" for alias in node.names)
            for node in source.tree.body
        )
        for node in ast.walk(source.tree):
            if isinstance(node, ast.JoinedStr) and walk.is_sql(_first(node)):
                parts = [v.value for v in node.values if isinstance(v, ast.FormattedValue)]
                if not all(dotted(part).rpartition(".")[2].isupper() for part in parts):
                    wrong.append(f"{source.shown}:{node.lineno} puts values into a statement")
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("format", "format_map")
                and dotted(node.func.value).rpartition(".")[2].isupper()
                and not has_where
            ):
                wrong.append(f"{source.shown}:{node.lineno} fills in a template without a Where")
            if isinstance(node, ast.BinOp) and any(
                isinstance(side, ast.Constant) and isinstance(side.value, str) and walk.is_sql(side.value)
                for side in (node.left, node.right)
            ):
                wrong.append(f"{source.shown}:{node.lineno} adds to a statement")
    assert wrong == []


def _first(node: ast.JoinedStr) -> str:
    first = node.values[0] if node.values else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


ASKING: Final = frozenset("run value one maybe all rows column execute executemany fetch fetchrow fetchval".split())
HANDLES: Final = frozenset({"db", "tx", "con", "connection", "reader"})
PER_ROUND: Final[Mapping[str, str]] = {
    "access/queries.py: search_audit": "two kinds of names",
    "customers/bulk.py: remove": "one statement a table",
    "customers/custom_field_misfits.py: walk": "once a batch of customers",
    "duplicates/scanning.py: compare": "thousands of pairs a statement",
    "duplicates/reactions.py: settle": "a merge is told of one at a time",
    "exports/streaming.py: _slot": "asks for one of two turns",
    "imports/queries.py: errors": "once fifty rows, each of which may have a megabyte",
    "kit/housekeeping.py: _by_batches": "once a batch of 10,000 rows",
    "kit/jobs.py: defer_many": "again for those only that a worker took in between",
    "kit/migrate.py: _alone": "asks for a lock until it gets it",
    "kit/migrate.py: _apply": "a migration's own statements",
    "kit/worker.py: _is_quiet": "once a drain",
    "privacy/erasing.py: _rows": "one statement a table of the map",
    "privacy/exporting.py: tell": "one statement a table of the map",
    "privacy/replaying.py: lines": "once five hundred erasures",
    "privacy/retention.py: forget_audit": "once a batch of 5,000 rows",
    "privacy/retention.py: forget_files": "once a batch of files",
    "privacy/retention.py: forget_inactive": "once a batch of customers",
    "segments/marks.py: remove": "one statement a table",
}
"""Functions that run a statement in a loop, and why the loop is not one over rows."""


def loops(source: Source) -> Iterator[tuple[str, int]]:
    """Statements that are run inside a loop: the function and the line."""

    def visit(node: ast.AST, function: str, looping: bool) -> Iterator[tuple[str, int]]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            function = getattr(node, "name", function)
            looping = False
        if (
            looping
            and isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ASKING
            and dotted(node.func.value) in HANDLES
        ):
            yield function, node.lineno
        if isinstance(node, ast.For | ast.AsyncFor):
            # What is looped over is asked once.
            yield from visit(node.iter, function, looping)
            for child in (*node.body, *node.orelse):
                yield from visit(child, function, True)
            return
        if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            first, *rest = node.generators
            yield from visit(first.iter, function, looping)
            inner = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            for child in (*inner, *first.ifs, *rest):
                yield from visit(child, function, True)
            return
        for child in ast.iter_child_nodes(node):
            yield from visit(child, function, looping or isinstance(node, ast.While))

    yield from visit(source.tree, "", False)


def test_no_statement_is_run_row_by_row() -> None:
    found = {f"{source.shown}: {function}": line for source in walk.sources() for function, line in loops(source)}
    assert {name: line for name, line in found.items() if name not in PER_ROUND} == {}
    assert set(PER_ROUND) - set(found) == set(), "stale"


WRITES: Final = re.compile(
    r"\b(?:insert\s+into|update|delete\s+from|merge\s+into)\s+(?:data\.)?\"?([a-z_]+)\"?(?=[\s(])(?!\s+skip)"
)


def test_each_table_has_one_room_that_writes_it() -> None:
    writers: dict[str, set[str]] = defaultdict(set)
    for constant in walk.constants():
        code = re.sub(r"\bfor\s+(no\s+key\s+)?update\b|\bdo\s+update\b", "", constant.sql)
        for table in WRITES.findall(code):
            writers[table].add(constant.module.split(".")[1])
    several = {table: rooms for table, rooms in writers.items() if len(rooms) > 1}
    assert several == {}
    assert len(writers) > 15


# --- errors ----------------------------------------------------------------------------------------------------------


def test_every_problem_is_a_sentence_with_a_type_of_its_own() -> None:
    found = walk.problems()
    assert len(found) > 60
    for kind in found:
        own = kind.__dict__.get("__doc__") or ""
        assert own.strip().splitlines()[0].endswith("."), f"{kind.__name__} has no title of its own"
        assert 300 <= kind.status < 600
    types = [kind.type_uri() for kind in found]
    assert sorted({t for t in types if types.count(t) > 1}) == []
