"""The nouns of custom fields."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from supover.kit.problems import Conflict, NotFound, Stale

FieldType = Literal["text", "number", "date", "boolean", "choice", "list"]
IndexState = Literal["none", "building", "ready", "conflicting", "failed"]


class CustomField(msgspec.Struct, frozen=True, rename="camel"):
    """What the values of one key of `customFields` must be.

    `pattern` is a regular expression in RE2's syntax that the whole text must match. `indexState`: none unless `isIndexed` or
    `isUnique`; building, with `indexDone` of about `indexTotal` customers; ready; conflicting, where customers have the same
    value of a unique field from before; failed, with `indexReason`. `misfits`: how many living customers have a value that does
    not fit, told when a definition is made, or what it asks of values is changed; null where there are too many customers
    to look at them at once.
    """

    id: UUID
    key: str
    label: str
    type: FieldType
    choices: Sequence[str]
    pattern: str | None
    description: str
    position: int
    is_required: bool
    is_unique: bool
    is_indexed: bool
    index_state: IndexState
    index_reason: str | None
    index_done: int
    index_total: int | None
    created_at: datetime
    updated_at: datetime
    version: int
    misfits: int | None | UnsetType = UNSET


class NewCustomField(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A definition to be. `key` is the name in `customFields`; `label`, what people see, is the key unless told.

    `choices` are of a choice, or of a list whose items are chosen; `pattern` is of a text. Texts, numbers and dates can be
    unique; all but lists can be indexed. `position` is behind the others unless told.
    """

    key: str
    type: FieldType
    label: str | None = None
    choices: Sequence[str] = ()
    pattern: str | None = None
    description: str = ""
    position: int | None = None
    is_required: bool = False
    is_unique: bool = False
    is_indexed: bool = False


class CustomFieldChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What to change of a definition; what is absent stays. The key cannot change: values stand under it."""

    type: FieldType | UnsetType = UNSET
    label: str | UnsetType = UNSET
    choices: Sequence[str] | UnsetType = UNSET
    pattern: str | None | UnsetType = UNSET
    description: str | UnsetType = UNSET
    position: int | UnsetType = UNSET
    is_required: bool | UnsetType = UNSET
    is_unique: bool | UnsetType = UNSET
    is_indexed: bool | UnsetType = UNSET


class Definition(msgspec.Struct, frozen=True):
    """What those who take values in must know of a custom field."""

    id: UUID
    key: str
    label: str
    type: FieldType
    choices: Sequence[str] = ()
    pattern: str | None = None
    is_required: bool = False
    is_unique: bool = False
    index_id: UUID | None = None
    index_state: IndexState = "none"


class Definitions(msgspec.Struct, frozen=True, dict=True):
    """All definitions of a workspace, in their order; `stamp` is another one after every change."""

    stamp: UUID | None = None
    by_key: Mapping[str, Definition] = {}

    @property
    def has_index(self) -> bool:
        """Whether values are kept apart, too."""
        return any(d.index_id is not None for d in self.by_key.values())

    def meant(self, key: str) -> Definition | None:
        """The definition whose key is this one in any case."""
        return self._in_any_case.get(key.lower()) if self.by_key else None

    @cached_property
    def _in_any_case(self) -> Mapping[str, Definition]:
        return {key.lower(): definition for key, definition in self.by_key.items()}


class CustomFieldConflict(msgspec.Struct, frozen=True, rename="camel"):
    """A value of a unique field that several customers have: how many, and the first hundred of them."""

    value: Any
    customers: int
    customer_ids: Sequence[UUID]


class CustomFieldMisfit(msgspec.Struct, frozen=True, rename="camel"):
    """A living customer's value that is not what its field asks for."""

    customer_id: UUID
    name: str | None
    value: Any


class CustomFieldNotFound(NotFound):
    """No custom field with this id in this workspace."""


class CustomFieldStale(Stale):
    """Somebody else has changed this custom field since it was read."""


class CustomFieldKeyTaken(Conflict):
    """Another custom field has this key."""


class TooManyCustomFields(Conflict):
    """A workspace can have at most 100 custom fields."""


class CustomFieldValueTaken(Conflict):
    """Another customer has this value of a unique custom field."""
