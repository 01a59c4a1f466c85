"""Who may do what, in one table: operation → permission, role → permissions, and what implies what."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, Literal

PUBLIC: Final = "public"
"""Anybody, without a key or session."""

KNOWN: Final = "known"
"""Everybody who is known: each key and each signed-in member of staff."""

OWNER: Final = "owner"
"""What only owners hold: making, demoting and removing owners. No API key holds it."""

SCOPES: Final[Mapping[str, str]] = {
    "customers:read": "Customers, their addresses, notes, timeline, duplicates and segments.",
    "customers:write": "Change them.",
    "customers:merge": "Merge customers, undo that, and split them.",
    "duplicates:read": "Customers that may be the same person; who may read customers may read this, too.",
    "duplicates:write": "Scan for them and dismiss them; to accept them is to merge.",
    "orders:read": "Orders and exchange rates.",
    "orders:write": "Change them.",
    "analytics:read": "Reports: the overview, cohorts, groups, predictions and where was sold to.",
    "events:read": "The event log.",
    "imports:read": "Imports and their errors.",
    "imports:write": "Start, cancel, resume and revert imports, which add, change and delete what their files say.",
    "exports:read": "Exports to files, and links to those.",
    "privacy:read": "Requests of privacy, exports of what is kept of a person, and for how long things are kept.",
    "privacy:write": "Ask for such exports, erase people for good, and say for how long things are kept.",
    "exports:write": "Take customers, addresses and orders out, as far as they may be read.",
    "admin": "Everything, with the workspace, staff, keys and the audit log.",
}
"""What an API key can be given."""

Role = Literal["owner", "admin", "agent", "viewer"]

_VIEWER: Final = ("customers:read", "orders:read", "analytics:read", "events:read", "imports:read")
ROLES: Final[Mapping[Role, tuple[str, ...]]] = {
    "owner": (OWNER, "admin"),
    "admin": ("admin",),
    "agent": (*_VIEWER, "customers:write", "customers:merge", "duplicates:write", "orders:write", "exports:write"),
    "viewer": _VIEWER,
}

PERMISSIONS: Final[Mapping[str, str]] = {
    "access.sign_in": PUBLIC,
    "access.find_session": KNOWN,
    "access.switch_workspace": KNOWN,
    "access.change_password": KNOWN,
    "access.sign_out": KNOWN,
    "access.find_second_step": KNOWN,
    "access.begin_second_step": KNOWN,
    "access.confirm_second_step": KNOWN,
    "access.renew_recovery_codes": KNOWN,
    "access.end_second_step": KNOWN,
    "access.search_sessions": KNOWN,
    "access.end_session": KNOWN,
    "access.find_workspace": KNOWN,
    "access.change_workspace": "admin",
    "access.search_staff": "admin",
    "access.find_staff": "admin",
    "access.add_staff": "admin",
    "access.invite_anew": "admin",
    "access.change_staff": "admin",
    "access.remove_staff": "admin",
    "access.search_keys": "admin",
    "access.create_key": "admin",
    "access.find_key": "admin",
    "access.change_key": "admin",
    "access.revoke_key": "admin",
    "access.search_audit": "admin",
    "customers.search": "customers:read",
    "customers.create": "customers:write",
    "customers.put_external": "customers:write",
    "customers.find": "customers:read",
    "customers.replace": "customers:write",
    "customers.change": "customers:write",
    "customers.delete": "customers:write",
    "customers.restore": "customers:write",
    "customers.block": "customers:write",
    "customers.unblock": "customers:write",
    "identities.search": "customers:read",
    "identities.create": "customers:write",
    "identities.find": "customers:read",
    "identities.delete": "customers:write",
    "identities.move": "customers:write",
    "tags.search": "customers:read",
    "tags.of_customer": "customers:read",
    "tags.add": "customers:write",
    "tags.remove": "customers:write",
    "tags.remove_many": "customers:write",
    "tags.rename": "admin",
    "tags.merge": "admin",
    "tags.delete": "admin",
    "tags.delete_many": "admin",
    "tags.search_changes": "customers:read",
    "tags.find_change": "customers:read",
    "tags.cancel_change": "admin",
    "fields.search": "customers:read",
    "fields.create": "admin",
    "fields.find": "customers:read",
    "fields.change": "admin",
    "fields.delete": "admin",
    "fields.conflicts": "customers:read",
    "fields.misfits": "customers:read",
    "avatars.find": "customers:read",
    "avatars.put": "customers:write",
    "avatars.delete": "customers:write",
    "addresses.search": "customers:read",
    "addresses.create": "customers:write",
    "addresses.find": "customers:read",
    "addresses.replace": "customers:write",
    "addresses.delete": "customers:write",
    "addresses.make_default": "customers:write",
    "notes.search": "customers:read",
    "notes.create": "customers:write",
    "notes.find": "customers:read",
    "notes.replace": "customers:write",
    "notes.delete": "customers:write",
    "consent.find": "customers:read",
    "consent.choose": "customers:write",
    "consent.change": "customers:write",
    "consent.history": "customers:read",
    "consent.may_send": "customers:read",
    "consent.may_send_many": "customers:read",
    "suppressions.search": "customers:read",
    "suppressions.create": "customers:write",
    "suppressions.find": "customers:read",
    "suppressions.delete": "customers:write",
    "timeline.search": "customers:read",
    "orders.search": "orders:read",
    "orders.create": "orders:write",
    "orders.create_batch": "orders:write",
    "orders.find": "orders:read",
    "orders.change": "orders:write",
    "orders.cancel": "orders:write",
    "orders.refund": "orders:write",
    "orders.deliver": "orders:write",
    "orders.of_customer": "orders:read",
    "orders.identity": "orders:read",
    "analytics.of_customer": "customers:read",
    "analytics.rfm": "analytics:read",
    "analytics.ltv": "analytics:read",
    "analytics.overview": "analytics:read",
    "analytics.cohorts": "analytics:read",
    "analytics.geography": "analytics:read",
    "events.search": "events:read",
    "bulk.create": "customers:write",
    "bulk.search": "customers:read",
    "bulk.find": "customers:read",
    "bulk.results": "customers:read",
    "bulk.kept": "customers:read",
    "bulk.cancel": "customers:write",
    "bulk.undo": "customers:write",
    "imports.create_orders": "imports:write",
    "imports.create_customers": "imports:write",
    "imports.revert": "imports:write",
    "imports.customers": "customers:read",
    "imports.kept": "imports:read",
    "imports.events": "imports:read",
    "imports.search": "imports:read",
    "imports.find": "imports:read",
    "imports.errors": "imports:read",
    "imports.cancel": "imports:write",
    "imports.resume": "imports:write",
    "exports.customers": "exports:write",
    "exports.addresses": "exports:write",
    "exports.orders": "exports:write",
    "exports.search": "exports:read",
    "exports.find": "exports:read",
    "exports.cancel": "exports:write",
    "exports.retry": "exports:write",
    "exports.delete": "exports:write",
    "exports.fetch": PUBLIC,
    "privacy.of_customer": "privacy:read",
    "privacy.export": "privacy:write",
    "privacy.erase": "privacy:write",
    "privacy.erasure_of_customer": "privacy:read",
    "privacy.search": "privacy:read",
    "privacy.find": "privacy:read",
    "privacy.cancel": "privacy:write",
    "privacy.certificate": "privacy:read",
    "privacy.retention": "privacy:read",
    "privacy.set_retention": "admin",
    "analytics.churn": "customers:read",
    "analytics.models": "customers:read",
    "duplicates.search": "duplicates:read",
    "duplicates.scan": "duplicates:write",
    "duplicates.search_scans": "duplicates:read",
    "duplicates.find_scan": "duplicates:read",
    "duplicates.search_clusters": "duplicates:read",
    "duplicates.find_cluster": "duplicates:read",
    "duplicates.find_settings": "duplicates:read",
    "duplicates.change_settings": "admin",
    "duplicates.find": "duplicates:read",
    "duplicates.dismiss": "duplicates:write",
    "duplicates.reopen": "duplicates:write",
    "duplicates.accept": "customers:merge",
    "merges.create": "customers:merge",
    "merges.search": "customers:read",
    "merges.find": "customers:read",
    "merges.undo": "customers:merge",
    "merges.split": "customers:merge",
    "segments.search": "customers:read",
    "segments.create": "customers:write",
    "segments.show_preview": "customers:read",
    "segments.explain": "admin",
    "segments.fields": "customers:read",
    "segments.add_built_in": "customers:write",
    "segments.find": "customers:read",
    "segments.replace": "customers:write",
    "segments.change": "customers:write",
    "segments.delete": "customers:write",
    "segments.refresh": "customers:write",
    "segments.members": "customers:read",
    "segments.pick": "customers:write",
    "segments.unpick": "customers:write",
    "segments.growth": "customers:read",
    "segments.of_customer": "customers:read",
    "views.search": "customers:read",
    "views.create": "customers:read",
    "views.find": "customers:read",
    "views.replace": "customers:read",
    "views.change": "customers:read",
    "views.delete": "customers:read",
    "rates.search": "orders:read",
    "rates.put": "orders:write",
    "rates.delete": "orders:write",
    "channels.search": "admin",
    "channels.create": "admin",
    "channels.find": "admin",
    "channels.change": "admin",
    "channels.rotate": "admin",
    "channels.disconnect": "admin",
    "hooks.receive": PUBLIC,
    "inbox.search": "admin",
    "inbox.find": "admin",
    "inbox.body": "admin",
    "inbox.replay": "admin",
    "inbox.replay_many": "admin",
    "jobs.search": "admin",
    "jobs.find": "admin",
    "jobs.retry": "admin",
    "jobs.retry_many": "admin",
    "jobs.cancel": "admin",
}
"""The permission that each operation needs. An operation that is not here is refused to everybody."""

_ALL: Final = frozenset({KNOWN, *SCOPES, *PERMISSIONS.values()}) - {PUBLIC, OWNER}


@lru_cache(maxsize=1024)
def _held(granted: frozenset[str]) -> frozenset[str]:
    held = {KNOWN, *granted}
    for permission in granted:
        area, _, verb = permission.partition(":")
        if verb in ("write", "merge"):
            held.add(f"{area}:read")
    if "customers:read" in held:
        held.add("duplicates:read")
    if OWNER in granted:
        held.add("admin")
    return frozenset(held | _ALL if "admin" in held else held)


def held(granted: Iterable[str]) -> frozenset[str]:
    """Everything that these permissions amount to: `x:write` and `x:merge` imply `x:read`, who may read customers may read
    duplicates, and `admin` is all but `owner`."""
    return _held(frozenset(granted))


def of_role(role: Role) -> frozenset[str]:
    """Everything that a member with this role may do."""
    return held(ROLES[role])
