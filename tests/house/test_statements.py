"""Every SQL statement of the package: it names its workspace, an index serves it, and the fence holds when it would not."""

import ast
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

import asyncpg
import msgspec
import pytest

from supover.kit import jobs
from tests.house import plans, walk
from tests.house.asking import Asker, asker, operations
from tests.house.conftest import APP, BIG, EMPTY, OTHER, OWNER, connected

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

# --- what is left out, and why ---------------------------------------------------------------------------------------

OF_THE_OWNER: Final = "migrate runs it as the owner, who stands before the fence"
EXEMPT: Final[Mapping[str, str]] = {
    "kit.embedded.LET_IN": "the embedded database's owner lets the application's role sign in",
    "kit.migrate.KNOWN": OF_THE_OWNER,
    "kit.migrate.APPLIED": OF_THE_OWNER,
    "kit.migrate.NOTE": OF_THE_OWNER,
    "kit.migrate.TABLES": OF_THE_OWNER,
    "kit.migrate.FENCE_MARK": OF_THE_OWNER,
    "kit.migrate.VIEWS": OF_THE_OWNER,
}
"""Constants that are no statements of the application."""

INLINE: Final[Mapping[str, str]] = {
    "kit/migrate.py": "one lock, asked for in a loop",
    "analytics/jobs.py": "a drain's question stands in its decorator",
}
"""Files whose statements need not all be constants of their module."""

COPIED: Final = {"exports.questions.CUSTOMERS", "exports.questions.ORDERS", "exports.questions.LINES"}
"""Templates that only COPY runs, in one pass by design; tests/exports/test_streaming.py reads their plans."""

NAMES: Final = "the command line and the demo ask which workspaces there are"
FORGETS: Final = "the house forgets old rows of all workspaces, at night"
WORKS: Final = "a worker works for all workspaces"
NUMBERS: Final = "a transaction's number, which any transaction of the cluster moves on"
ACROSS: Final[Mapping[str, str]] = {
    "access.queries.WORKSPACES": NAMES,
    "demo.commands.WORKSPACES": NAMES,
    "terminal.WORKSPACES": NAMES,
    "kit.housekeeping.FORGET_JOBS": FORGETS,
    "kit.housekeeping.FORGET_ANSWERS": FORGETS,
    "drain analytics.refresh": WORKS,
    "customers.custom_field_index.NOW": NUMBERS,
    "timeline.queries.HORIZON": NUMBERS,
    "exports.routes.OF_FILE": "a link to a file names no workspace",
    "kit.jobs.WORKSPACES": "what the house does in every workspace",
    "inbox.jobs.WITH_MESSAGES": WORKS,
    "drain inbox.drain": WORKS,
    "segments.jobs.WITH_STALE": WORKS,
    "segments.jobs.WITH_AGED": "segments age in every workspace in which a new day has begun",
    "drain segments.refresh": WORKS,
    "kit.worker.WORKERS": WORKS,
    "kit.worker.PENDING": WORKS,
    "kit.worker.COUNTS": WORKS,
    "demo.commands.IDENTITY": "which cluster and database this is",
    "access.commands.KNOWS_TIMEZONE": "the time of the transaction",
    "kit.worker.NOW": "the time of the transaction",
}
"""Statements that find something without a workspace, and why they may."""


COUNTS: Final = "counting, where count=true asks for it, is a pass over the index"
PROOF: Final = "the proof recounts everything, that is what it is for"
A_REPORT: Final = "a report is of all customers"
ANEW: Final = "a rebuild counts everything anew"
ONE_ROW: Final = "a workspace has one at most"
FEW_FIELDS: Final = "a workspace has at most a hundred custom fields"
FEW_CHANGES: Final = "few changes of tags are under way, and those alone stand in the index"
FEW_SEGMENTS: Final = "a workspace has at most five hundred segments"
A_SCAN: Final = "a scan looks at everybody, that is what it is for"
EVERYBODY: Final = "a filter is asked of everybody, in an index of the living"
WHOLE: Final[Mapping[str, str]] = {
    "web.insights.BANDS": "counts everybody by their risk",
    "web.insights.EXPECTED": "sums what is expected of everybody",
    "access.commands.IN_USE": "exists stops at the first row",
    "access.queries.COUNT_AUDIT": COUNTS,
    "access.queries.COUNT_KEYS": COUNTS,
    "access.queries.COUNT_STAFF": COUNTS,
    "access.queries.STAFF_PAGE": "a workspace has few invitations at a time",
    "access.commands.LIVING_KEYS": COUNTS,
    "access.queries.MEMBERS": "a workspace has few invitations at a time",
    "access.queries.MEMBERS_BY_NAME": "a workspace has few invitations at a time",
    "access.commands.FORGET_EXPIRED": "a workspace has few invitations at a time",
    "analytics.commands.CHECK_CUSTOMERS": PROOF,
    "analytics.commands.CHECK_REFUNDS": PROOF,
    "analytics.commands.CHECK_CURRENCIES": PROOF,
    "analytics.commands.COUNT_CUSTOMERS": PROOF,
    "analytics.commands.COUNT_ORDERS": PROOF,
    "analytics.rollups.CHECK_DAYS": PROOF,
    "analytics.rollups.CHECK_SALES": PROOF,
    "analytics.rollups.CHECK_CELLS": PROOF,
    "analytics.rollups.HOW_MANY": PROOF,
    "analytics.rollups.FORGET_DAYS": ANEW,
    "analytics.rollups.FORGET_SALES": ANEW,
    "analytics.rollups.FORGET_CELLS": ANEW,
    "analytics.rollups.COUNT_DAYS": ANEW,
    "analytics.rollups.COUNT_SALES": ANEW,
    "analytics.rollups.COUNT_CELLS": ANEW,
    "analytics.commands.MARK_ALL": "all figures are recounted when other statuses count",
    "analytics.cohorts.OF_BOTH": A_REPORT,
    "analytics.cohorts.OF_SEGMENT": A_REPORT,
    "analytics.customer.FIND": ONE_ROW,
    "analytics.ltv.HISTOGRAM": A_REPORT,
    "analytics.ltv.ORIGINS": A_REPORT,
    "analytics.ltv.SPREAD": A_REPORT,
    "analytics.rfm.CELLS": A_REPORT,
    "analytics.rfm.RUN": A_REPORT,
    "analytics.scoring.LAST": ONE_ROW,
    "analytics.scoring.SCORE": "a score is a place among all",
    "analytics.scoring.SCORE_SOME": ONE_ROW,
    "customers.queries.COUNT_BY_FIGURES": COUNTS,
    "customers.queries.FIND": ONE_ROW,
    "customers.queries.SOME": ONE_ROW,
    "customers.queries.FIND_WITH_ADDRESSES": ONE_ROW,
    "customers.queries.LIST_WITH_ADDRESSES": ONE_ROW,
    "analytics.commands.WAITING": "exists stops at the first row",
    "analytics.predictions.AT_RISK": "the members of a segment, and of them those with most at stake",
    "analytics.predictions.COUNT_AT_RISK": COUNTS,
    "analytics.predictions.COUNT_MODELS": COUNTS,
    "customers.hashing.FIND": ONE_ROW,
    "customers.hashing.SEAL_ANEW": ONE_ROW,
    "customers.contacts.LOCK_ALL": ONE_ROW,
    "customers.contacts.LOCK_SOME": ONE_ROW,
    "customers.erased.SEALED": ONE_ROW,
    "exports.queries.FILE_DAYS": ONE_ROW,
    "imports.queries.FILE_DAYS": ONE_ROW,
    "kit.api.KEY_FIND": ONE_ROW,
    "customers.merge_rows.TAKEN_BACK": "files that were taken back are few, and an import has few chunks",
    "privacy.beside.FACTS_OF_SEGMENTS": "asked only where a segment is named after who is erased",
    "privacy.beside.NAMES": FEW_SEGMENTS,
    "privacy.beside.WRITTEN": "exports, imports, views and bulk actions are few",
    "privacy.files.KEPT": "exports and imports are few",
    "privacy.files.BEING_READ": "exports and imports are few",
    "privacy.queries.COUNT": COUNTS,
    "privacy.queries.PEOPLE": "those who were merged are few, and those alone stand in the index",
    "privacy.queries.RETENTION": ONE_ROW,
    "consent.queries.CHECK_CONSENT": PROOF,
    "consent.queries.CHECK_SUPPRESSIONS": PROOF,
    "consent.queries.COUNT_ENTRIES": PROOF,
    "consent.suppressions.COUNT": COUNTS,
    "customers.commands.DELETE": ONE_ROW,
    "customers.commands.RESTORE": ONE_ROW,
    "customers.queries.WRITTEN": ONE_ROW,
    "customers.custom_field_index.STAMP": ONE_ROW,
    "customers.custom_field_index.BEGIN": "an index is built of everybody",
    "customers.custom_field_index.HOLDERS": FEW_FIELDS,
    "customers.custom_field_index.KEEP": FEW_FIELDS,
    "customers.custom_fields.DEFINITIONS": FEW_FIELDS,
    "customers.custom_fields.COUNT": FEW_FIELDS,
    "customers.custom_fields.NEXT": FEW_FIELDS,
    "customers.custom_fields.LIST": FEW_FIELDS,
    "merging.queries.COUNT": COUNTS,
    "customers.tag_changes.IS_ANY_OPEN": "exists stops at the first row",
    "customers.tag_changes.GIVEN_UP": FEW_CHANGES,
    "customers.tag_changes.TAKE": FEW_CHANGES,
    "customers.tag_changes.HAND_ON": FEW_CHANGES,
    "bulk.commands.WHO": EVERYBODY,
    "customers.many.VALUE_HOLDERS": FEW_FIELDS,
    "customers.queries.COUNT": COUNTS,
    "customers.tags.LIST": "all tagged customers of a workspace that has few, or all its tags",
    "customers.tags.RECOUNT": COUNTS,
    "customers.tags.FORGET": "tags are few",
    "customers.tags.CHANGED": "tags are few",
    "customers.queries.LIST": "a country that few have has no index: its customers are looked for among all",
    "customers.queries.SKIP": "a numbered page passes over the first 10,000 rows at most, as its limit says",
    "channels.queries.COUNT": COUNTS,
    "duplicates.commands.AUTOMATIC": "the job asks for all pairs that are to be merged by themselves",
    "duplicates.commands.COMPLETE": COUNTS,
    "duplicates.commands.TAKE_SCAN": "a workspace has a scan or two a day",
    "duplicates.grouping.FORGET_IMPLIED": A_SCAN,
    "duplicates.grouping.HOW_MANY": COUNTS,
    "duplicates.grouping.JOINING": A_SCAN,
    "duplicates.grouping.TERMS": A_SCAN,
    "duplicates.noticing.ALL_DUE": "a row for each part of the files that came in lately",
    "duplicates.noticing.PAIRS": "of a file that is most of a workspace; of a small one by its customers' contacts",
    "duplicates.queries.COUNT": COUNTS,
    "duplicates.queries.COUNT_CLUSTERS": COUNTS,
    "duplicates.queries.COUNTS": "the tabs of merge review tell how many open pairs there are of each level",
    "duplicates.queries.SETTINGS": ONE_ROW,
    "duplicates.scanning.COUNT_TERMS": A_SCAN,
    "duplicates.scanning.FORGET": A_SCAN,
    "duplicates.scanning.FORGET_TERMS": A_SCAN,
    "duplicates.scanning.GONE": A_SCAN,
    "duplicates.scanning.GONE_WITH_CUSTOMER": A_SCAN,
    "duplicates.scanning.KEYS": A_SCAN,
    "duplicates.scanning.PAIRS_OF_CHANGED": A_SCAN,
    "exports.questions.KEYS": "which custom fields are in use is asked of everybody who has any",
    "inbox.queries.COUNT": COUNTS,
    "kit.jobs.COUNT": COUNTS,
    "kit.jobs.LEFT": COUNTS,
    "orders.queries.COUNT": COUNTS,
    "orders.queries.SKIP": "a numbered page passes over the first 10,000 rows at most, as its limit says",
    "orders.rates.COUNT": COUNTS,
    "orders.rates.LACKING": "the index holds those without a rate only",
    "segments.commands.HOW_MANY": FEW_SEGMENTS,
    "segments.counting.NOTE_DAYS": FEW_SEGMENTS,
    "segments.marks.MARK": "exists stops at the first segment",
    "segments.marks.MARK_BY": FEW_SEGMENTS,
    "segments.marks.WANT_ALL": FEW_SEGMENTS,
    "segments.marks.ADD_BUILT_IN": FEW_SEGMENTS,
    "segments.membership.TAKE_ALL": "a backlog is taken as a whole",
    "segments.membership.TOO_MANY": EVERYBODY,
    "segments.membership.LOOK_AT_ALL": EVERYBODY,
    "segments.membership.RULES": FEW_SEGMENTS,
    "segments.membership.BEGIN_ANEW": FEW_SEGMENTS,
    "segments.membership.NEXT": FEW_SEGMENTS,
    "segments.membership.AGE": FEW_SEGMENTS,
    "segments.how_many.COUNT": EVERYBODY,
    "segments.how_many.LIVING": EVERYBODY,
    "segments.how_many.OF_FIGURES": EVERYBODY,
    "segments.how_many.BY_FIGURES": EVERYBODY,
    "segments.how_many.WITHOUT_FIGURES": EVERYBODY,
    "segments.membership.FIT": EVERYBODY,
    "segments.preview.EACH": EVERYBODY,
    "segments.proof.PROVABLE": FEW_SEGMENTS,
    "segments.proof.PROOF": PROOF,
    "segments.queries.COUNT": COUNTS,
    "segments.queries.COUNT_MEMBERS": COUNTS,
    "segments.queries.LIST": FEW_SEGMENTS,
    "segments.views.COUNT": COUNTS,
    "segments.views.LIST": "an owner has at most two hundred views",
    "web.orders.WAITING": "the orders that wait for a rate, and those alone stand in the index",
    "web.segments.BUILT_IN": FEW_SEGMENTS,
}
"""Statements that read all of a workspace's rows of a table, or all of a partial index, and why they may."""

IF_SMALL: Final[Mapping[str, str]] = {
    "web.queries.NOTICES": "a workspace has few exports at a time",
    "web.queries.DONE": "exists stops at the first row",
    "privacy.commands.DUE": "few requests are open, and those alone stand in the index",
    "access.commands.SOMEBODY": "a workspace has few members",
    "access.queries.MEMBERS": "a workspace has few members and invitations",
    "access.queries.MEMBERS_BY_NAME": "a workspace has few members and invitations",
    "access.queries.STAFF_PAGE": "a workspace has few members and invitations",
    "access.queries.COUNT_STAFF": "a workspace has few members and invitations",
    "duplicates.queries.LIST": "in a small shop all open pairs are walked for those of one customer",
    "customers.contacts.EMAILS_TAKEN": "in a small shop all hubs are read at once; in a big one those of each customer",
}
"""Statements that the planner may let read all of a small workspace, as it sees fit."""

BY_HAND: Final = [
    (
        "what a filter asks has no index of its own, or not the best one: it is asked of everybody, of one customer's orders, "
        "or of one order's lines",
        "address.country address.state customer.created_at customer.custom_fields customer.date_of_birth customer.tags "
        "customer_metrics.average_order_value customer_metrics.first_order_at customer_metrics.last_order_at "
        "customer_metrics.lifetime_value customer_prediction.churn_probability customer_prediction.churn_risk "
        "customer_prediction.expected_orders customer_prediction.predicted_value customer_rfm.frequency customer_rfm.monetary "
        "customer_rfm.recency order.net_value order.shop order_line.quantity order_line.title order_line.unit_price",
    ),
    ("one customer has one first day", "customer_day.is_first"),
    ("a workspace has at most five hundred segments, and the first that is its own is enough", "segment.built_in"),
    (
        "of orders of nobody, which are few, the days are told exactly where an index bounds them roughly",
        "order.placed_at",
    ),
    ("of a member of staff twenty are kept", "web_recent.customer_id web_recent.staff_id"),
    ("days of a period, narrowed to a channel or country", "sales_day.channel sales_day.country"),
    (
        "which channels and countries cells are of: those of one grain",
        "cohort_cell.cohort cohort_cell.period cohort_cell.value",
    ),
    ("counts until it is enough", "customer_metrics.refreshed_at"),
    ("one customer has few days with orders", "customer_day.day"),
    (
        "a report looks at all days of a period, or at all first ones; of a segment at those of its members",
        "customer_day.channel customer_day.country customer_day.is_first sales_day.country",
    ),
    ("a fit looks at the days of everybody, or of every n-th", "customer_day.customer_id customer_day.net"),
    ("orders of nobody are few", "order.billing_address order.shipping_address"),
    ("an address with a first line is enough to write to", "address.line1"),
    ("the proof recounts everything", "consent_entry.contact_hash consent_entry.state consent_entry.topic"),
    (
        "one customer has few entries of the ledger",
        "consent_entry.channel consent_entry.opt_in_level consent_entry.received_at",
    ),
    ("what one merge did, of one kind or of all", "customer_merge_row.deed customer_merge_row.stayed"),
    ("one customer has few merges", "customer_merge.id customer_merge.undone_at"),
    ("one order has few decisions", "order_decision.evidence order_decision.method"),
    (
        "the index narrows down a beginning, and what it finds is compared once more",
        "communication_preference.language",
    ),
    ("a workspace has one key", "suppression_key.sealed"),
    (
        "one contact has few suppressions; else walks the list until a page is full",
        "suppression.channel suppression.is_active suppression.reason suppression.topic",
    ),
    (
        "custom fields are few",
        "custom_field.id custom_field.index_id custom_field.index_state custom_field.is_unique custom_field.key",
    ),
    (
        "one customer has few indexed values, and one value few customers",
        "custom_field_value.customer_id custom_field_value.holds custom_field_value.index_id custom_field_value.text_key",
    ),
    (
        "segments are few",
        "segment.complete segment.filter segment.id segment.is_silent segment.kind segment.name segment.recount_due "
        "segment.stale_since segment.wanted_at",
    ),
    ("few changes of tags are under way", "tag_change.ended_at tag_change.job_id"),
    (
        "one customer is in few segments; who leaves by a look at everybody is asked for figures that wait",
        "segment_member.customer_id segment_member.entered_at segment_member.segment_id",
    ),
    (
        "one customer has few requests of privacy; else walks the list until a page is full, or a batch of the night is",
        "privacy_request.connection_id privacy_request.file_key privacy_request.finished_at privacy_request.kind privacy_request.origin "
        "privacy_request.page_key privacy_request.run_at privacy_request.status",
    ),
    ("one customer has few consents", "consent.state"),
    (
        "a batch of customers, looked at whether they are to be erased",
        "customer.erased_at customer.updated_at order.erased_at",
    ),
    ("one customer has few marks", "customer_stale.marked_at segment_stale.marked_at"),
    ("one bulk action, whether it has begun", "bulk_action.status"),
    (
        "walks on through what one act did until a batch is full",
        "customer_journal.kept customer_journal.undone_at",
    ),
    ("views are few", "saved_view.created_at saved_view.id saved_view.is_shared saved_view.name saved_view.owner"),
    (
        "one customer has few addresses",
        "address.created_at address.id address.is_default address.match_key address.type",
    ),
    (
        "those of one file, by their keys: whoever has changed them since keeps them",
        "address.version customer.avatar_key customer_journal.act_id event_log.origin",
    ),
    ("few customers live in one place, and not oneself", "address.customer_id"),
    ("an entry's id is as old as its time, and the index is by id", "audit_log.at"),
    ("connections are few", "channel_connection.disconnected_at channel_connection.last_received_at"),
    (
        "walks the list until a page is full, or what is due until a batch is; what was set aside stands in an index",
        "inbox_message.attempts inbox_message.body inbox_message.connection_id inbox_message.id inbox_message.status "
        "inbox_message.topic",
    ),
    ("keys are few", "api_key.expires_at api_key.revoked_at"),
    (
        "invitations are few, and looked at by email",
        "invitation.created_at invitation.email invitation.expires_at invitation.id invitation.name",
    ),
    ("most customers are living ones", "customer.deleted_at customer.merged_into_id"),
    (
        "what the trigrams found is looked at once more",
        "customer.email customer.external_id customer.id customer.name customer.phone customer.phone_e164",
    ),
    ("a term that many have is found sooner in the list's own order", "customer.search"),
    (
        "walks the list until a page is full; the rare states have an index",
        "customer.country customer.source customer.status",
    ),
    (
        "one customer has few contacts",
        "customer_identity.created_at customer_identity.customer_id customer_identity.id customer_identity.is_hub "
        "customer_identity.key customer_identity.kind customer_identity.matched_by customer_identity.other_names "
        "customer_identity.released_at "
        "customer_identity.shop customer_identity.source customer_identity.value",
    ),
    (
        "walks the list until a page is full; sorted by the figure it starts there",
        "customer_metrics.order_count customer_metrics.total_orders customer_metrics.total_spent",
    ),
    (
        "one customer has few notes",
        "customer_note.created_at customer_note.customer_id customer_note.id customer_note.note customer_note.pinned "
        "customer_note.version",
    ),
    ("tags are few", "tag_count.counted_at tag_count.customers tag_count.tag"),
    ("one order has few refunds", "order_refund.recorded_here"),
    ("the best pairs are those of the upper levels", "duplicate_pair.level duplicate_pair.status"),
    ("the next pair of the queue, which stops at the first", "duplicate_pair.id duplicate_pair.score"),
    (
        "a scan looks at everybody; one customer is in few pairs, and a group has few",
        "duplicate_pair.a_id duplicate_pair.b_id duplicate_pair.cluster_id duplicate_pair.created_at duplicate_pair.is_told "
        "duplicate_pair.decided_at duplicate_pair.merge_id duplicate_pair.own_level duplicate_pair.scan_id duplicate_profile.scan_id",
    ),
    ("scans are few", "duplicate_scan.id duplicate_scan.is_full duplicate_scan.status"),
    ("one customer was merged a few times", "customer_merge.duplicate_ids customer_merge.primary_id"),
    ("walks on in the log until a page is full", "event_log.customer_id event_log.kind"),
    (
        "one customer's facts, when they are erased",
        "event_log.at event_log.data event_log.order_id event_log.tx order.id",
    ),
    ("one merge joined few rows", "customer_merge_row.before"),
    ("one key, whether it is older than a day", "idempotency.created_at"),
    ("the rates of one day around the cursor", "exchange_rate.currency exchange_rate.on_date"),
    (
        "exports are few",
        "export_run.deleted_at export_run.file_key export_run.finished_at export_run.id export_run.kind export_run.status",
    ),
    (
        "imports are few",
        "import_run.dry_run import_run.file_key import_run.finished_at import_run.header import_run.id import_run.kind import_run.options "
        "import_run.revert_wanted_at import_run.started_at import_run.status",
    ),
    ("of a chunk's rows a twentieth at most are told although they were taken in", "import_error.is_taken"),
    (
        "an import has few chunks: a hundred a million customers",
        "import_chunk.added import_chunk.committed_at import_chunk.created_ids import_chunk.last_id import_chunk.reverted_at",
    ),
    ("one job, or the newest ones until a page is full", "job.id job.kind job.singleton job.state job.worker"),
    ("jobs that gave up are few, and those alone are looked at", "job.finished_at"),
    ("what the index of numbers found is looked at once more", "order.customer_id order.external_id order.number"),
    ("walks on where most orders have a rate; those without one stand in an index", "order.exchange_rate"),
    (
        "walks the list until a page is full: most are neither; those that are stand in an index",
        "order.needs_review order.on_hold",
    ),
    ("walks the list until a page is full", "order.source order.status order.total"),
    ("passes over the cursor's own day, a row a currency", "exchange_rate.on_date exchange_rate.currency"),
]
"""Columns that no index serves, looked at row by row behind one that does, and why that is enough."""


# --- the statements --------------------------------------------------------------------------------------------------


class Statement(msgspec.Struct, frozen=True):
    """A statement as it is run, under the name of its constant; `anew` when each run is planned for its values."""

    name: str
    sql: str
    args: tuple[Any, ...] | None = None
    anew: bool = False

    def __str__(self) -> str:
        return self.name


def pattern(template: str) -> "re.Pattern[str]":
    """What a template becomes when it is filled in."""
    parts = re.split(r"\{\w*\}", template.replace("{{", "\x00").replace("}}", "\x01"))
    return re.compile(
        "(.*?)".join(re.escape(part.replace("\x00", "{").replace("\x01", "}")) for part in parts), re.DOTALL
    )


@pytest.fixture(scope="module")
async def answered(filled: str, tmp_path_factory: pytest.TempPathFactory) -> Asker:
    """Who asked the API for everything that it can be asked."""
    async with asker(filled, tmp_path_factory.mktemp("data")) as asking:
        document = (await asking.client.get("/docs/openapi.json")).json()
        for operation in operations(document):
            if operation.is_api and operation.method == "GET":
                await asking.ask_everything(operation)
        return asking


@pytest.fixture(scope="module")
def lists(answered: Asker) -> Sequence[Statement]:
    """The lists' templates as they are filled in when the API is asked for everything that it can be asked."""
    templates = [(c, pattern(c.sql)) for c in walk.constants() if c.is_template]
    return [
        Statement(f"{constant.shown} for {asked.by}", asked.sql, asked.args, asked.anew)
        for asked in answered.heard.values()
        for constant, shape in templates
        if shape.fullmatch(asked.sql)
    ]


@pytest.fixture(scope="module")
async def statements(lists: Sequence[Statement]) -> Sequence[Statement]:
    """Every statement of the application."""
    fixed = [Statement(c.shown, c.sql) for c in walk.constants() if not c.is_template and c.shown not in EXEMPT]
    drains = [
        Statement(f"drain {drain.name}", drain.workspaces)
        for drain in jobs.drains().values()
        if drain.batch.__module__.startswith("supover.")
    ]
    return [*fixed, *drains, *lists]


def test_statements_stand_in_constants() -> None:
    found = {source.shown: list(walk.inline_sql(source)) for source in walk.sources()}
    assert {name: said for name, said in found.items() if said and name not in INLINE} == {}
    assert {name for name in INLINE if not found.get(name)} == set(), "stale"


def test_no_exemption_outlives_its_statement() -> None:
    assert {*EXEMPT, *WHOLE, *IF_SMALL} <= {c.shown for c in walk.constants()}


def test_statements_say_what_they_want_in_lower_case() -> None:
    for constant in walk.constants():
        code = re.sub(r"'[^']*'", "''", constant.sql)
        assert not re.search(r"\b(SELECT|INSERT|UPDATE|DELETE|WHERE|FROM|JOIN|VALUES|ORDER BY)\b", code), constant.shown
        assert not re.search(r"\bselect\s+(distinct\s+)?\*", code), f"{constant.shown} selects *"
        assert not re.search(r"\boffset\b", code), f"{constant.shown} skips by offset"


def test_every_parameter_was_asked_with_a_value_that_is_taken(answered: Asker) -> None:
    """Otherwise tests/house/asking.py has no good value for it."""
    assert not answered.refused, "\n".join(answered.refused)


def test_nothing_is_run_that_is_no_constant(answered: Asker) -> None:
    shapes = [pattern(c.sql) for c in walk.constants()]
    # What asyncpg asks for itself is in upper case.
    heard = [asked.sql for asked in answered.heard.values() if not re.match(r"\s*[A-Z]", asked.sql)]
    assert [sql for sql in heard if not any(shape.fullmatch(sql) for shape in shapes)] == []


async def test_every_template_is_filled_in_by_some_request(lists: Sequence[Statement]) -> None:
    names = {statement.name.partition(" for ")[0] for statement in lists}
    assert {c.shown for c in walk.constants() if c.is_template} - names == COPIED


def conditions() -> list[tuple[str, str]]:
    """Every condition that is written down for a list: where, and its text with `{}` for what is filled in."""
    found: list[tuple[str, str]] = []
    for source in walk.sources():
        if any(name.startswith(source.shown.removesuffix(".py").replace("/", ".")) for name in COPIED):
            continue
        if "Where" not in {
            alias.name for node in source.tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
        }:
            continue
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            adds = isinstance(node.func, ast.Attribute) and node.func.attr == "add"
            starts = isinstance(node.func, ast.Name) and node.func.id == "Where"
            for argument in node.args[:1] if adds else node.args if starts else []:
                for text in texts(argument):
                    found.append((f"{source.shown}:{node.lineno}", text))
    return found


def texts(node: ast.expr) -> list[str]:
    """The texts that an expression may be, as templates."""
    if isinstance(node, ast.IfExp):
        return [*texts(node.body), *texts(node.orelse)]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)]
    return []


async def test_every_condition_of_a_list_is_asked_for(lists: Sequence[Statement]) -> None:
    every = conditions()
    assert len(every) > 30
    unasked = [
        f"{where}: {text}"
        for where, text in every
        if not any(re.search(pattern(text).pattern, statement.sql, re.DOTALL) for statement in lists)
    ]
    assert unasked == []


# --- the first fence: the statement names its workspace --------------------------------------------------------------


@pytest.fixture(scope="module")
async def reader(filled: str) -> AsyncGenerator["Connection"]:
    """A connection of the owner that reads plans, on the tables themselves."""
    async with connected(filled, **OWNER, enable_seqscan="off") as con:
        yield con


async def test_every_scan_and_every_insert_names_its_workspace(
    statements: Sequence[Statement], reader: "Connection"
) -> None:
    tenants = await plans.prepare(reader)
    wrong: dict[str, list[str]] = {}
    for statement in statements:
        plan = await plans.generic_plan(reader, statement.sql)
        if said := plans.unpinned(plan, statement.sql, tenants):
            wrong[statement.name] = said
    assert wrong == {}
    assert len(statements) > 150


def samples(name: str) -> list[str]:
    """The statements of a file beside this one."""
    _, _, text = Path(__file__).with_name(name).read_text("utf-8").partition("\n")
    return [sql.strip() for sql in text.split(";\n") if sql.strip()]


@pytest.mark.parametrize(
    ("sql", "sound"),
    [(sql, True) for sql in samples("right.sql")] + [(sql, False) for sql in samples("wrong.sql")],
)
async def test_the_reader_of_plans_judges_right(reader: "Connection", pristine: str, sql: str, sound: bool) -> None:
    tenants = await plans.prepare(reader)
    full = plans.unpinned(await plans.generic_plan(reader, sql), sql, tenants)
    async with connected(pristine, **OWNER) as con:
        await plans.prepare(con)
        empty = plans.unpinned(await plans.generic_plan(con, sql), sql, tenants)
    assert (full == []) is sound, full
    assert (empty == []) is sound, empty


# --- an index serves it ----------------------------------------------------------------------------------------------


async def test_no_tenant_table_is_read_without_an_index(statements: Sequence[Statement], reader: "Connection") -> None:
    tenants = await plans.prepare(reader)
    wrong: dict[str, list[str]] = {}
    for statement in statements:
        plan = await plans.generic_plan(reader, statement.sql)
        if said := plans.unserved(plan, tenants):
            wrong[statement.name] = said
    assert wrong == {}


@pytest.fixture(scope="module")
async def readings(statements: Sequence[Statement], reader: "Connection") -> Mapping[str, list[plans.Reading]]:
    """How each statement enters each tenant table, by the plan that it is run by."""
    tenants = await plans.prepare(reader)
    found: dict[str, list[plans.Reading]] = {}
    for statement in statements:
        if statement.anew and statement.args is not None:
            plan = await plans.custom_plan(reader, statement.sql, statement.args)
        else:
            plan = await plans.generic_plan(reader, statement.sql)
        found[statement.name] = [one for one in plans.readings(plan, tenants) if one.table != "workspace"]
    return found


def test_what_reads_a_whole_workspace_says_why(readings: Mapping[str, list[plans.Reading]]) -> None:
    found = {
        name: f"all of {one.table} by {one.index}, and then {one.rest}"
        for name, each in readings.items()
        for one in each
        if one.whole and not one.stops
    }
    excused = {*WHOLE, *IF_SMALL}
    assert {name: said for name, said in found.items() if name.partition(" for ")[0] not in excused} == {}
    assert set(WHOLE) - {name.partition(" for ")[0] for name in found} == set(), "stale"


def test_what_is_looked_at_row_by_row_says_why(readings: Mapping[str, list[plans.Reading]]) -> None:
    found: dict[str, str] = {}
    for name, each in readings.items():
        for one in each:
            found |= {f"{one.table}.{column}": f"{name}: {one.index}, then {one.rest}" for column in one.columns()}
    excused = {column for _, columns in BY_HAND for column in columns.split()}
    assert {column: said for column, said in found.items() if column not in excused} == {}


# --- the second fence ------------------------------------------------------------------------------------------------


async def test_every_statement_prepares_for_the_application_within_its_workspace(
    statements: Sequence[Statement], filled: str
) -> None:
    async with connected(filled, **APP) as con:
        await con.execute("select set_config('app.workspace', $1, false)", str(BIG))
        for statement in statements:
            try:
                await con.prepare(statement.sql)
            except asyncpg.PostgresError as error:
                pytest.fail(f"{statement.name}: {error}")


LIKELY: Final[Mapping[str, Any]] = {
    "name": "a",
    "uuid": UUID("a87ff679-a2f3-471d-9181-a67b7542122c"),
    "text": "5",
    "int2": 5,
    "int4": 5,
    "int8": 5,
    "float8": 5.0,
    "numeric": Decimal(5),
    "bool": True,
    "bytea": b"a",
    "jsonb": "{}",
    "date": date(2025, 6, 1),
    "timestamptz": datetime(2025, 6, 1, tzinfo=UTC),
    "interval": timedelta(minutes=5),
}
"""What parameters are given where no request says it, by type."""

REFUSALS: Final = (
    asyncpg.WithCheckOptionViolationError,
    asyncpg.NotNullViolationError,
    asyncpg.CheckViolationError,
    asyncpg.InvalidParameterValueError,
)
"""What a statement may end with instead of finding nothing."""


def likely(kind: asyncpg.Type) -> Any:
    """A value of a parameter's type."""
    name = kind.name.removesuffix("[]").removeprefix("_")
    return [LIKELY[name]] if kind.kind == "array" else LIKELY[name]


async def outcome(con: "Connection", statement: Statement, values: Literal["nothing", "something"]) -> object:
    """The rows that a statement of the big shop returns and touches, or how it is refused. It leaves nothing behind."""
    transaction = con.transaction()
    await transaction.start()
    try:
        prepared = await con.prepare(statement.sql)
        kinds = prepared.get_parameters()
        args: list[Any] = [None] * len(kinds)
        if values == "something":
            args = list(statement.args or [likely(kind) for kind in kinds])
        if kinds and kinds[0].name == "uuid":
            args[0] = BIG
        rows = [tuple(row) for row in await prepared.fetch(*args)]
        return prepared.get_statusmsg(), rows
    except REFUSALS as error:
        return type(error).__name__
    finally:
        await transaction.rollback()


@pytest.mark.parametrize("values", ["nothing", "something"])
@pytest.mark.parametrize("inside", [None, OTHER])
async def test_outside_its_workspace_a_statement_does_what_it_does_in_an_empty_database(
    statements: Sequence[Statement],
    filled: str,
    pristine: str,
    inside: UUID | None,
    values: Literal["nothing", "something"],
) -> None:
    """The big shop's id is given as $1, and its rows are there; but the session is in no workspace, or in another."""
    found: dict[str, object] = {}
    async with connected(filled, **APP) as full, connected(pristine, **APP) as empty:
        # Another worker may be at the same: neither is to see what the other has locked.
        await full.execute("select pg_advisory_lock(2)")
        for con in (full, empty):
            await con.execute("select set_config('app.workspace', $1, false)", str(inside or ""))
        for statement in statements:
            said = await outcome(full, statement, values)
            if said != await outcome(empty, statement, values):
                found[statement.name] = said
    assert {name: said for name, said in found.items() if name not in ACROSS} == {}, "\n".join(found)


async def test_every_statement_that_sees_across_workspaces_asks_a_function_of_the_fence(
    statements: Sequence[Statement], filled: str
) -> None:
    """What is excused above reads no table: it calls a function of 0007_fence_across.sql, or the clock."""
    by_name = {statement.name: statement for statement in statements}
    assert set(ACROSS) <= set(by_name), "stale"
    async with connected(filled, **OWNER) as con:
        tenants = await plans.prepare(con)
        for name in ACROSS:
            plan = await plans.generic_plan(con, by_name[name].sql)
            assert plans.readings(plan, tenants) == [], name


async def test_a_plan_does_not_depend_on_which_workspace_came_first(
    statements: Sequence[Statement], filled: str
) -> None:
    """Or a connection first used by an empty shop would keep a plan that is wrong for a big one."""
    wrong: dict[str, tuple[str, str]] = {}
    async with connected(filled, **APP, plan_cache_mode="force_generic_plan") as con:
        for statement in statements:
            kept: list[str] = []
            count = len((await con.prepare(statement.sql)).get_parameters())
            for workspace in (EMPTY, BIG):
                await con.execute("select set_config('app.workspace', $1, false)", str(workspace))
                await con.execute(f"prepare kept as {statement.sql}")
                nulls = f"({', '.join(['null'] * count)})" if count else ""
                kept.append("\n".join(row[0] for row in await con.fetch(f"explain execute kept{nulls}")))
                await con.execute("deallocate kept")
            if kept[0] != kept[1]:
                wrong[statement.name] = (kept[0], kept[1])
    assert wrong == {}
