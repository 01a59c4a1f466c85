"""The nouns of tags that are changed in all customers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from supover.kit.problems import Conflict, NotFound

TagChangeState = Literal["waiting", "running", "done", "cancelled"]


class TagRename(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What a tag becomes in all customers; a dry run only says how many have it."""

    tag: str
    dry_run: bool = False


class TagMerge(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Tags that become one, `into`, in all customers that have any of them."""

    tags: Sequence[str]
    into: str
    dry_run: bool = False


class TagRemoval(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Tags that all customers lose."""

    tags: Sequence[str]
    dry_run: bool = False


class TagChangeBegun(msgspec.Struct, frozen=True, rename="camel"):
    """How many customers have the tags now, and the change and the job that makes it.

    Neither for a dry run, nor where nobody has them and no change is under way that could give them to somebody.
    """

    id: UUID | None
    job_id: UUID | None
    customers: int
    dry_run: bool


class TagChange(msgspec.Struct, frozen=True, rename="camel"):
    """What becomes of `tags` in all customers: `into`, or null where they are removed.

    The changes of a workspace are made one after the other, as they were asked for. `done` of about `total` customers are
    changed; those of a cancelled change stay changed. `jobId` is the job that makes it.
    """

    id: UUID
    tags: Sequence[str]
    into: str | None
    state: TagChangeState
    done: int
    total: int
    job_id: UUID | None
    actor: str
    created_at: datetime
    ended_at: datetime | None


class TagChangeNotFound(NotFound):
    """No change of tags with this id in this workspace."""


class TagChangeEnded(Conflict):
    """This change of tags has ended."""
