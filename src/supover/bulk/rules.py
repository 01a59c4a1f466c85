"""What a bulk action asks, and what it makes of one customer. Nothing here reads or writes anything."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET

from supover.bulk.model import BulkResult, Deed, NewBulk
from supover.customers import rules
from supover.customers.many import Clash, Held
from supover.customers.model import CustomerMerged, CustomerNotFound
from supover.kit.problems import FieldError, Invalid, Problem

MAX_IDS: Final = 100_000
_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "tag": ("tags",),
    "untag": ("tags",),
    "status": ("status",),
    "customField": ("key", "value"),
}
_MAY_HAVE: Final[Mapping[str, tuple[str, ...]]] = {"export": ("fields", "format")}
_GIVEN: Final = ("tags", "status", "key", "value", "fields", "format")
_NARROWING: Final = ("filter", "segment", "search", "query")


def refuse(asked: NewBulk) -> None:
    """Raises Invalid with all that is wrong with what is given, and with what is not."""
    errors: list[FieldError] = []
    needed = _NEEDS.get(asked.action, ())
    for name in _GIVEN:
        value = getattr(asked, name)
        is_given = value is not UNSET if name == "value" else value is not None
        if name in needed and not is_given:
            errors.append(FieldError(f"/{name}", "required", f"is needed for {asked.action}"))
        elif is_given and name not in (*needed, *_MAY_HAVE.get(asked.action, ())):
            errors.append(FieldError(f"/{name}", "unknown", f"is not for {asked.action}"))
    narrowed = [name for name in _NARROWING if getattr(asked, name) is not None]
    if asked.ids is None and not narrowed:
        errors.append(FieldError("", "required", f"ids or one of {', '.join(_NARROWING)} must say who is meant"))
    elif asked.ids is not None and narrowed:
        errors.append(FieldError("/ids", "unknown", f"cannot be together with {narrowed[0]}"))
    if asked.ids is not None and not 1 <= len(asked.ids) <= MAX_IDS:
        errors.append(FieldError("/ids", "length", f"must be 1 to {MAX_IDS}"))
    if errors:
        raise Invalid(errors)


def deed(asked: NewBulk, today: date) -> Deed:
    """What is done to each. Raises Invalid; whether a custom field takes the value is not asked here."""
    refuse(asked)
    if asked.action == "export":
        raise Invalid.at("/action", "unknown", "is no change: exports make files")
    tags = rules.checked({"tags": asked.tags or ()}, today)["tags"]
    if asked.tags is not None and not tags:
        raise Invalid.at("/tags", "required", "must have a tag")
    value = None if asked.value is UNSET else asked.value
    return Deed(asked.action, tuple(tags), asked.status, asked.key, value)


def after(deed: Deed, held: Held, at: datetime) -> Held:
    """What a customer is to be. Raises what the request for this customer alone would answer."""
    if held.merged_into_id is not None:
        raise CustomerMerged.into(held.merged_into_id)
    if deed.action == "restore":
        return msgspec.structs.replace(held, deleted_at=None)
    if held.deleted_at is not None:
        raise CustomerNotFound("It is deleted.")
    profile = held.profile
    match deed.action:
        case "tag":
            if len(more := rules.without(deed.tags, profile.tags)) == 0:
                return held
            if len(profile.tags) + len(more) > rules.MAX_TAGS:
                raise Invalid.at("/tags", "length", f"can be at most {rules.MAX_TAGS} tags")
            return _with(held, tags=[*profile.tags, *more])
        case "untag":
            return _with(held, tags=rules.without(profile.tags, deed.tags))
        case "customField":
            assert deed.key is not None
            merged = rules.merged_fields(profile.custom_fields, {deed.key: deed.value})
            return _with(held, **rules.checked({"custom_fields": merged}, at.date()))
        case "delete":
            return msgspec.structs.replace(held, deleted_at=at)
        case "block":
            return _status(held, "BLOCKED")
        case "unblock":
            before = held.status_before_block or "ACTIVE"
            return _status(held, before) if profile.status == "BLOCKED" else held
        case "status":
            return _status(held, deed.status)


def _with(held: Held, **fields: Any) -> Held:
    return msgspec.structs.replace(held, profile=msgspec.structs.replace(held.profile, **fields))


def _status(held: Held, status: Any) -> Held:
    before = rules.status_to_return_to(held.profile.status, status, held.status_before_block)
    return msgspec.structs.replace(_with(held, status=status), status_before_block=before)


def refusal(customer_id: Any, why: Problem | Clash) -> BulkResult:
    """How a row says why it failed: by the code that stands in the type of the single request's problem, or at its field."""
    if isinstance(why, Clash):
        return BulkResult(customer_id, "failed", why.field, why.code, why.message)
    if isinstance(why, Invalid):
        first = why.errors[0]
        return BulkResult(customer_id, "failed", first.pointer.removeprefix("/"), first.code, first.message)
    return BulkResult(customer_id, "failed", None, why.type_uri().rpartition("/")[2], why.detail or why.title())
