"""The map of personal data: of every table which columns tell of a person, how an export tells it, what erasing does to it.

A new table or column that is not here fails a test. `personal` maps a column to its treatment, one of the words that
migration 0034 knows:

    null, empty, none, object, list, false     nothing is left but what the column's type calls nothing
    random, token                              chance, where a hash or a name must be something
    now                                        when it happened
    country, place                             of a country, or an address, the ISO code of the country
    facts, values                              of a fact what is harmless; of an audit row that something changed, not what
    masked, masked_json                        the person's contacts within a text become a word
    gone                                       the row goes as a whole
    kept                                       stays, because `why`
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

Keys = Literal["customers", "orders", "merges", "own"]
"""Ids of the person: of their customers (those that were merged too), their orders, their merges, and all rows of theirs."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """What a table holds of people. `plain` are the columns that tell nothing of a person, and `why` says so.

    `by` is what leads from a person to their rows. `mentions` are columns in which contacts of a person may stand although the
    row is not theirs. `told` names the rows in an export, which has the personal columns and those of `also`.
    """

    name: str
    plain: str
    why: str = ""
    personal: Mapping[str, str] = {}
    by: Sequence[tuple[str, Keys]] = ()
    mentions: Sequence[str] = ()
    told: str = ""
    also: str = ""

    @property
    def columns(self) -> frozenset[str]:
        """Every column that is declared."""
        return frozenset({*self.plain.split(), *self.personal})

    @property
    def goes(self) -> bool:
        """Whether its rows go as a whole."""
        return "gone" in self.personal.values()

    @property
    def treatments(self) -> dict[str, str] | None:
        """Column → treatment, for the rows of a person; None where they go."""
        return None if self.goes else {c: t for c, t in self.personal.items() if t != "kept"}


def _gone(columns: str) -> dict[str, str]:
    return dict.fromkeys(columns.split(), "gone")


HARMLESS: Final = frozenset(
    """
    by number source status total currency amount refunded rate channel topic state was saidAt addressId noteId
    identityId identityKind otherId fromId toId withOrders formerId segmentId segmentKind suppressionId messageId
    level score importId chunk created updated removed restored kept fields customerIds requestId connectionId
    platform shop timezone statuses mergeId primaryId duplicateIds newId orderIds identityIds addressIds noteIds
    members scanId pairs clusters changed compared former group risk horizonDays
    """.split()
)
"""What facts keep of an erased person: ids, amounts, times, words of ours."""
TELLING: Final = frozenset({"value", "changes", "tags", "reasons", "reason", "authorName", "name", "key"})
"""What they do not: what somebody wrote, or was."""

PERSONAL: Final[Sequence[Table]] = (
    # --- the person ------------------------------------------------------------------------------------------------------
    Table(
        name="customer_note",
        personal=_gone("note author_name"),
        plain="workspace_id id customer_id pinned author created_at updated_at version",
        why="ids, times, and which member of staff wrote it",
        by=(("customer_id", "customers"),),
        told="notes",
        also="created_at updated_at pinned",
    ),
    Table(
        name="address",
        personal=_gone("line1 line2 city state postal_code country recipient_name phone match_key"),
        plain="workspace_id id customer_id type is_default validated_at validation_skipped created_at updated_at version",
        why="ids, times and states",
        by=(("customer_id", "customers"),),
        told="addresses",
        also="type is_default created_at",
    ),
    Table(
        name="customer_identity",
        personal=_gone("value key other_names source shop"),
        plain="workspace_id id customer_id kind quality matched_by is_hub created_at released_at version",
        why="ids, times and how it was judged",
        by=(("customer_id", "customers"),),
        told="identities",
        also="kind quality matched_by created_at",
    ),
    Table(
        name="custom_field_value",
        personal=_gone("text_key number day"),
        plain="workspace_id index_id customer_id holds",
        why="what leads to it",
        by=(("customer_id", "customers"),),
    ),
    Table(
        name="customer_told",
        personal=_gone("external_id profile"),
        plain="workspace_id source shop source_updated_at",
        why="which shop said it and when",
        # Found by their channel ids: customers/erased.py removes them.
    ),
    Table(
        name="communication_preference",
        personal=_gone("language preferred_channel quiet_from quiet_to quiet_timezone"),
        plain="workspace_id customer_id version",
        why="ids",
        by=(("customer_id", "customers"),),
        told="communicationPreferences",
    ),
    Table(
        name="consent_entry",
        personal={
            "source": "null",
            "proof": "null",
            "contact": "null",
            "fingerprint": "random",
            "contact_hash": "kept",
        },
        plain="workspace_id id customer_id channel topic state opt_in_level at received_at policy_version actor origin",
        why="that somebody said yes or no, and when: the proof that the shop did as it was told; the hash is a keyed one, by which a "
        "no outlives its person",
        by=(("customer_id", "customers"),),
        told="consentHistory",
        also="channel topic state opt_in_level at received_at policy_version",
    ),
    Table(
        name="consent",
        personal={"source": "null", "contact_hash": "kept"},
        plain="workspace_id customer_id channel topic state opt_in_level at policy_version version",
        why="what the ledger amounts to",
        by=(("customer_id", "customers"),),
        told="consents",
        also="channel topic state at",
    ),
    Table(
        name="suppression",
        personal={"contact": "null", "contact_hash": "kept"},
        plain="workspace_id id channel topic reason at lifted_at is_active actor created_at",
        why="that a contact is not written to must be known of whoever has it; by a keyed hash, once the contact is forgotten",
        mentions=("contact",),
    ),
    Table(
        name="customer_journal",
        personal={"changes": "object", "kept": "null"},
        plain="workspace_id act_id customer_id undone_at",
        why="ids and a time",
        by=(("customer_id", "customers"),),
        told="changesByImportsAndBulkActions",
    ),
    Table(
        name="segment_pick",
        personal=_gone("segment_id picked_by picked_at"),
        plain="workspace_id customer_id",
        why="ids",
        by=(("customer_id", "customers"),),
        told="groups",
    ),
    Table(
        name="segment_member",
        personal={"segment_id": "kept", "entered_at": "kept"},
        plain="workspace_id customer_id",
        why="whoever is put away leaves them by the segments' own drain, a moment later",
        by=(("customer_id", "customers"),),
        told="segments",
    ),
    Table(
        name="customer_metrics",
        plain="workspace_id customer_id order_count total_spent average_order_value first_order_at last_order_at lifetime_value "
        "total_orders orders_count by_currency refreshed_at",
        why="sums of orders, which stay",
        by=(("customer_id", "customers"),),
        told="figures",
        also="order_count total_spent average_order_value first_order_at last_order_at lifetime_value total_orders by_currency",
    ),
    Table(
        name="customer_rfm",
        personal=_gone("recency frequency monetary rfm_group former_group"),
        plain="workspace_id customer_id",
        why="ids",
        by=(("customer_id", "customers"),),
        told="scores",
    ),
    Table(
        name="customer_day",
        plain="workspace_id customer_id day channel country region orders gross refunded net is_first",
        why="sums of orders, which stay; where those were sent follows them, as they are recounted a moment later",
        by=(("customer_id", "customers"),),
        told="orderDays",
        also="day channel country region orders gross refunded net",
    ),
    Table(
        name="sales_day",
        plain="workspace_id day channel country region buyers newcomers orders gross refunded net",
        why="sums of many",
    ),
    Table(
        name="cohort_cell",
        plain="workspace_id grain dimension value cohort period customers orders net last_customers",
        why="sums of many",
    ),
    Table(
        name="customer_prediction",
        plain="workspace_id customer_id version churn_probability churn_risk expected_orders predicted_value next_order_on value_at_stake",
        why="what a model says by the sums of orders; it goes when the person does",
        by=(("customer_id", "customers"),),
        told="predictions",
        also="churn_probability churn_risk expected_orders predicted_value next_order_on",
    ),
    Table(
        name="prediction_model",
        plain="workspace_id version serving method as_of window_from horizon_days customers missing parameters backtest fitted_at",
        why="what all customers together are like",
    ),
    Table(
        name="customer_stale",
        plain="workspace_id id customer_id marked_at origin",
        why="a mark that goes by itself",
    ),
    Table(
        name="segment_stale",
        plain="workspace_id id customer_id origin marked_at",
        why="a mark that goes by itself",
    ),
    # --- orders ----------------------------------------------------------------------------------------------------------
    Table(
        name="order_line",
        personal={"properties": "object"},
        plain="workspace_id order_id position id sku title quantity unit_price",
        why="what was sold; what the buyer wrote on it stands in its properties",
        by=(("order_id", "orders"),),
        told="orderLines",
        also="order_id sku title quantity unit_price",
    ),
    Table(
        name="order_refund",
        personal={"reason": "null"},
        plain="workspace_id order_id id external_id amount refunded_at created_at recorded_here",
        why="money, and when",
        by=(("order_id", "orders"),),
        told="refunds",
        also="order_id amount refunded_at",
    ),
    Table(
        name="order_decision",
        personal={"evidence": "object"},
        plain="workspace_id order_id id customer_id method decided_at",
        why="ids, a word and a time",
        by=(("order_id", "orders"),),
        told="orderDecisions",
        also="order_id method decided_at",
    ),
    Table(
        name="order",
        personal={
            "email": "null",
            "phone": "null",
            "name": "null",
            "shipping_address": "place",
            "billing_address": "place",
            "tags": "none",
            "note": "null",
            "hold_reason": "null",
            "intake_hash": "null",
            "erased_at": "now",
        },
        plain="workspace_id id source shop external_id number customer_id status financial_status on_hold needs_review currency "
        "subtotal shipping tax discount total refunded exchange_rate net_value placed_at cancelled_at delivered_at "
        "source_updated_at created_at updated_at version",
        why="the books: numbers of orders, sums, states and times",
        by=(("id", "orders"),),
        told="orders",
        also="id source shop external_id number status financial_status currency subtotal shipping tax discount total refunded "
        "placed_at cancelled_at delivered_at",
    ),
    # --- what tells of what happened -------------------------------------------------------------------------------------
    Table(
        name="event_log",
        personal={"data": "facts"},
        plain="workspace_id tx id kind at customer_id order_id actor origin",
        why="that something happened, when, and to which id",
        by=(("customer_id", "customers"),),
        told="timeline",
        also="kind at order_id",
    ),
    Table(
        name="audit_log",
        personal={"changes": "values"},
        plain="workspace_id id at actor action subject_id request_id ip",
        why="who of the staff did what and when, from where",
        by=(("subject_id", "own"),),
        mentions=("changes",),
        told="audit",
        also="at action",
    ),
    Table(
        name="inbox_message",
        personal={"body": "null", "reason": "null"},
        plain="workspace_id id connection_id topic delivery_id event_id api_version triggered_at body_hash size status attempts "
        "due_at waits_for order_id customer_id received_at settled_at",
        why="that a delivery came; its hash is of all of it, ids and times of the shop among it, and keeps it from coming again",
        by=(("customer_id", "customers"),),
        told="messagesOfChannels",
        also="topic received_at",
    ),
    Table(
        name="idempotency",
        personal={"request_hash": "random", "body": "null", "headers": "null", "status": "null"},
        plain="workspace_id caller key created_at",
        why="whose key it is; with another hash the key is refused from then on, rather than the request done again",
        mentions=("body", "headers"),
    ),
    Table(
        name="duplicate_pair",
        personal=_gone("score level own_level reasons evidence note"),
        plain="workspace_id id a_id b_id status is_told cluster_id scan_id merge_id decided_at decided_by decided_by_name created_at "
        "updated_at version",
        why="ids, times, and who of the staff decided",
        by=(("a_id", "customers"), ("b_id", "customers")),
        told="suspectedDuplicates",
        also="status created_at",
    ),
    Table(
        name="customer_merge_row",
        personal=_gone("before"),
        plain="workspace_id merge_id kind former_id row_id deed stayed",
        why="ids and words",
        by=(("merge_id", "merges"),),
        told="mergedRows",
        also="kind deed",
    ),
    Table(
        name="customer_merge",
        personal={"kept": "list", "forgotten_at": "now"},
        plain="workspace_id id primary_id primary_created_at duplicate_ids fields moved joined actor actor_name merged_at "
        "undone_at undone_by undone_by_name put_back kept_count",
        why="that there was one; without its rows it cannot be undone",
        by=(("id", "merges"),),
        told="merges",
        also="primary_id duplicate_ids merged_at undone_at",
    ),
    Table(
        name="duplicate_profile",
        personal=_gone("source_hash profile terms blocks"),
        plain="workspace_id customer_id scan_id",
        why="ids",
        by=(("customer_id", "customers"),),
    ),
    Table(
        name="duplicate_term",
        personal=_gone("term"),
        plain="workspace_id customers",
        why="a count",
        mentions=("term",),
    ),
    Table(
        name="duplicate_scan",
        personal={"error": "masked"},
        plain="workspace_id id is_full status phase customers changed compared automatic suggested review clusters job_id actor actor_name "
        "created_at started_at finished_at",
        why="counts and times",
        mentions=("error",),
    ),
    # --- files and great acts --------------------------------------------------------------------------------------------
    Table(
        name="import_error",
        personal={"cells": "none", "message": "empty", "others": "list"},
        plain="workspace_id import_id row_number field code is_taken",
        why="which row it was and what was wrong with it",
        mentions=("cells", "message", "others"),
    ),
    Table(
        name="import_change",
        personal=_gone("changes"),
        plain="workspace_id import_id customer_id",
        why="ids",
        by=(("customer_id", "customers"),),
        told="changesThatFilesWouldMake",
    ),
    Table(
        name="import_run",
        personal={
            "file_name": "masked",
            "error": "masked",
            "options": "masked_json",
            # Of a file without a header its first row is taken for one.
            "header": "null",
            "ignored_columns": "none",
        },
        plain="workspace_id id kind status file_hash file_key total done rows_read created updated unchanged failed "
        "customers_created doubtful actor created_at started_at finished_at dry_run preset encoding format chunk_rows revert_wanted_at "
        "reverted_at",
        why="what was asked for and how far it came; the file itself is looked through, and goes if it tells of the person",
        mentions=("file_name", "error", "options", "header", "ignored_columns"),
    ),
    Table(
        name="import_chunk",
        plain="workspace_id import_id number first_row last_row rows created updated skipped failed consents_refused doubtful first_id "
        "last_id created_ids added committed_at reverted_at removed kept",
        why="ids and counts",
    ),
    Table(
        name="bulk_action",
        personal={"deed": "masked_json", "selection": "masked_json", "error": "masked"},
        plain="workspace_id id action dry_run on_error status total is_checked next_chunk done changed unchanged failed undone kept "
        "actor actor_name created_at started_at ended_at",
        why="what staff did to many",
        mentions=("deed", "selection", "error"),
    ),
    Table(name="bulk_chunk", plain="workspace_id bulk_id number first_id customer_ids", why="ids"),
    Table(
        name="bulk_result",
        personal={"message": "null"},
        plain="workspace_id bulk_id customer_id outcome field code",
        why="ids and codes",
        by=(("customer_id", "customers"),),
    ),
    Table(
        name="export_run",
        personal={"asked": "masked_json"},
        plain="workspace_id id kind format status file_name file_key rows bytes error actor created_at started_at finished_at deleted_at",
        why="what was taken out; the file itself is looked through, and goes if it tells of the person",
        mentions=("asked",),
    ),
    Table(
        name="job",
        personal={"error": "masked"},
        plain="workspace_id id kind args state singleton run_at waiting attempts max_attempts lost cancelling worker lease_until progress "
        "created_at finished_at",
        why="arguments are ids, as a job's registration demands",
        mentions=("error",),
    ),
    Table(
        name="saved_view",
        # Each has a name of its own: two that were masked alike could not both be kept.
        personal={"name": "token", "query": "masked"},
        plain="workspace_id id is_shared owner owner_name position created_at updated_at version",
        why="what staff look at",
        mentions=("name", "query"),
    ),
    Table(
        name="segment",
        personal={"name": "token", "description": "masked", "filter": "masked", "error": "masked"},
        plain="workspace_id id kind built_in is_relative complete evaluated_at evaluated_on stale_since wanted_at is_silent members "
        "counted_at recount_due created_by created_by_name created_at updated_at version",
        why="what staff look at",
        mentions=("name", "description", "filter", "error"),
    ),
    Table(
        name="tag_change",
        personal={"tags": "none", "into_tag": "null"},
        plain="workspace_id id actor actor_name state job_id done total created_at ended_at",
        why="what staff did to tags",
        mentions=("tags", "into_tag"),
    ),
    Table(
        name="tag_count",
        personal=_gone("tag"),
        plain="workspace_id customers counted_at",
        why="counts",
        mentions=("tag",),
    ),
    Table(
        name="privacy_request",
        personal={"reason": "null"},
        plain="workspace_id id kind status customer_id origin connection_id message_id order_external_ids actor actor_name run_at due_at "
        "created_at started_at finished_at cancelled_by error file_key page_key certificate version",
        why="that it was asked for, what became of it; earlier exports' files go",
        by=(("customer_id", "customers"),),
        mentions=("reason",),
        told="privacyRequests",
        also="kind status created_at finished_at",
    ),
    # The profile itself, last: until then everything leads to it.
    Table(
        name="customer",
        personal={
            "external_id": "null",
            "email": "null",
            "name": "null",
            "phone": "null",
            "phone_e164": "null",
            "date_of_birth": "null",
            "gender": "null",
            "avatar_key": "null",
            "country": "country",
            "tags": "none",
            "custom_fields": "object",
            "search": "kept",
            "erased_at": "now",
        },
        plain="workspace_id id source status status_before_block created_at updated_at deleted_at merged_into_id version",
        why="an id that orders hang on; search is made of the columns above",
        by=(("id", "customers"),),
        told="profiles",
        also="id source status created_at updated_at deleted_at merged_into_id",
    ),
    # --- nobody's --------------------------------------------------------------------------------------------------------
    Table(
        name="erased_contact",
        plain="workspace_id contact_hash customer_id request_id erased_at",
        why="keyed hashes, which keep an erased person from coming back",
    ),
    Table(
        name="privacy_setting",
        plain="workspace_id erase_delay_days raw_webhook_days import_file_days export_file_days idempotency_hours audit_days "
        "inactive_customer_months updated_at version",
        why="what the workspace wants",
    ),
    Table(
        name="workspace",
        plain="workspace_id name currency digits timezone counting_statuses created_at version",
        why="a seller's",
    ),
    Table(
        name="channel_connection",
        plain="workspace_id id platform shop name secret former_secret former_secret_until last_received_at created_at updated_at "
        "disconnected_at version",
        why="a shop's",
    ),
    Table(
        name="custom_field",
        plain="workspace_id id key label type choices pattern description position is_required is_unique is_indexed index_id index_state "
        "index_reason index_through index_done index_total created_at updated_at version",
        why="what is declared, not what anybody has",
    ),
    Table(
        name="duplicate_setting",
        plain="workspace_id automatic_merging nightly_scan updated_at version",
        why="what the workspace wants",
    ),
    Table(name="duplicate_due", plain="workspace_id first_id last_id", why="of files, not of anybody"),
    Table(name="custom_field_stamp", plain="workspace_id stamp", why="a stamp"),
    Table(name="exchange_rate", plain="workspace_id currency on_date rate created_at", why="rates"),
    Table(
        name="rfm_run",
        plain="workspace_id scored_at month customers recency_cuts frequency_cuts monetary_cuts spent_cuts",
        why="where fifths of all customers end",
    ),
    Table(name="rfm_month", plain="workspace_id month rfm_group customers revenue", why="counts and sums"),
    Table(name="segment_day", plain="workspace_id segment_id day members entered left_count", why="counts"),
    Table(
        name="web_recent",
        personal=_gone("seen_at"),
        plain="workspace_id staff_id customer_id",
        why="who looked, not whom",
        by=(("customer_id", "customers"),),
    ),
    Table(name="suppression_key", plain="workspace_id sealed", why="a key"),
    Table(name="migration", plain="version name checksum applied_at", why="the schema's"),
    Table(name="throttle", plain="subject taken ends_at", why="keys, and hashes of who fails to sign in, for minutes"),
    # --- the staff's -----------------------------------------------------------------------------------------------------
    Table(
        name="staff",
        plain="id email name password_hash created_at disabled_at second_step_secret second_step_at second_step_used recovery_hashes",
        why="of members of staff, not of customers: an owner disables them",
    ),
    Table(
        name="web_preference",
        plain="workspace_id staff_id language timezone columns seen_at",
        why="how a member of staff wants the screens to be",
    ),
    Table(
        name="session",
        plain="id token_hash csrf_hash staff_id workspace_id created_at expires_at ip user_agent",
        why="of members of staff; it goes when it expires",
    ),
    Table(name="membership", plain="workspace_id staff_id role created_at last_used_at", why="of members of staff"),
    Table(
        name="invitation",
        plain="workspace_id id email name role code_hash created_at expires_at",
        why="of members of staff to be; it goes when it expires",
    ),
    Table(
        name="api_key",
        plain="workspace_id id name prefix token_hash scopes rate_limit created_by created_at expires_at revoked_at last_used_at",
        why="a program's",
    ),
)
"""All tables, in the order in which they are erased."""
