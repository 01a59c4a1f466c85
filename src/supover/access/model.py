"""The nouns of access."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from supover.access.permissions import OWNER, Role, held
from supover.kit.problems import Conflict, Forbidden, NotFound, Stale, TooManyRequests, Unauthorized, Unavailable

COUNTABLE: Final = ("pending", "confirmed", "processing", "shipped", "delivered", "cancelled", "returned")
"""The statuses of orders, in the order in which an order goes through them."""

COUNTING: Final = ("confirmed", "processing", "shipped", "delivered", "returned")
"""The statuses that count in a new workspace."""

CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="supover"'}


Typed = Annotated[str, Meta(max_length=1024)]
"""What somebody types as a password; hashing it must not take for ever."""


# --- who asks --------------------------------------------------------------------------------------------------------


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking: an API key, a signed-in member of staff, or the operator at the command line.

    `permissions` has everything that is implied too. `id` is the key's or the staff member's; `session_id`, `email`
    and `role` are of staff only. `rate_limit` is in requests a minute.
    """

    workspace_id: UUID
    kind: Literal["key", "staff", "cli", "system"]
    id: UUID | None
    name: str
    permissions: frozenset[str]
    rate_limit: int | None = None
    expires_at: datetime | None = None
    session_id: UUID | None = None
    email: str | None = None
    role: Role | None = None

    @property
    def actor(self) -> str:
        """As it stands in the audit log: 'key:ID', 'staff:ID', 'cli' or 'system'."""
        return self.kind if self.id is None else f"{self.kind}:{self.id}"

    def may(self, permission: str) -> bool:
        """Whether this caller holds the permission."""
        return permission in self.permissions


def operator(workspace_id: UUID) -> Caller:
    """Whoever runs the command line: may do everything in this workspace."""
    return Caller(workspace_id=workspace_id, kind="cli", id=None, name="command line", permissions=held([OWNER]))


# --- workspaces ------------------------------------------------------------------------------------------------------


class Workspace(msgspec.Struct, frozen=True, rename="camel"):
    """A seller. Amounts are summed in `currency`, which has `digits` behind the point.

    `countingStatuses` are those of orders that count in customers' figures; `timezone` is an IANA name.
    """

    id: UUID
    name: str
    currency: str
    digits: int
    timezone: str
    counting_statuses: Sequence[str]
    created_at: datetime
    version: int


class NewWorkspace(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A workspace to make."""

    name: str
    currency: str
    timezone: str


class WorkspaceChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What to change of a workspace. The currency can change only before the first order and exchange rate."""

    name: str | UnsetType = UNSET
    currency: str | UnsetType = UNSET
    timezone: str | UnsetType = UNSET
    counting_statuses: Annotated[list[str], Meta(max_length=20)] | UnsetType = UNSET


class WorkspaceLine(msgspec.Struct, frozen=True, rename="camel"):
    """A workspace in the operator's list."""

    id: UUID
    name: str
    currency: str
    timezone: str
    created_at: datetime


class WorkspaceNotFound(NotFound):
    """No such workspace."""


class WorkspaceStale(Stale):
    """Somebody else has changed the workspace since it was read."""


class CurrencyFixed(Conflict):
    """The currency is fixed after the first order or exchange rate."""


# --- staff -----------------------------------------------------------------------------------------------------------


class Member(msgspec.Struct, frozen=True, rename="camel"):
    """A member of staff in this workspace, or somebody invited: `acceptedAt` is null until they have accepted.

    Staff are one in all workspaces; their role is each workspace's own. Accepting may change the id.
    """

    id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None
    accepted_at: datetime | None


class Invitation(msgspec.Struct, frozen=True, rename="camel"):
    """Somebody who was just invited, told alike whether or not they have an account.

    `invitationCode` is shown here only; whom it is for signs in with it before `expiresAt`.
    """

    id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime
    invitation_code: str | None


class AddedMember(msgspec.Struct, frozen=True, rename="camel"):
    """A member whom the operator just added.

    `temporaryPassword` is shown here only, and only for somebody new: who has an account already keeps their password.
    """

    id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None
    temporary_password: str | None


class NewStaff(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Somebody to let into this workspace; `name` is what an account that is made for them is called."""

    email: str
    role: Role
    name: str = ""


class StaffChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A member's new role."""

    role: Role


class StaffNotInvited(Conflict):
    """This person has accepted already and signs in with their password."""


class StaffNotFound(NotFound):
    """No such member of staff in this workspace."""


class StaffKnown(Conflict):
    """Somebody with this email is a member or invited already."""


class InvitationRefused(Forbidden):
    """This invitation code is wrong, was used, has expired, or is for somebody else."""


class LastOwner(Conflict):
    """A workspace needs an owner who can sign in."""


class CannotGrant(Forbidden):
    """Nobody can give what they do not hold."""


# --- keys ------------------------------------------------------------------------------------------------------------


class ApiKey(msgspec.Struct, frozen=True, rename="camel"):
    """An API key without its secret; `rateLimit` in requests a minute, null is none. `prefix` is how it begins."""

    id: UUID
    name: str
    prefix: str
    scopes: Sequence[str]
    rate_limit: int | None
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class CreatedKey(msgspec.Struct, frozen=True, rename="camel"):
    """An API key that was just made. `apiKey` is shown here only; an answer that is replayed has it null."""

    id: UUID
    api_key: str | None
    name: str
    prefix: str
    scopes: Sequence[str]
    rate_limit: int | None
    created_at: datetime
    expires_at: datetime | None


class NewKey(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """An API key to make. Without `rateLimit` the default holds, without `expiresAt` it does not expire."""

    name: str
    scopes: Annotated[list[str], Meta(max_length=20)]
    expires_at: datetime | None = None
    rate_limit: int | None = None


class KeyChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What to change of an API key. `expiresAt` can only bring its end forward, as when another key takes its place."""

    name: str | UnsetType = UNSET
    expires_at: datetime | UnsetType = UNSET


class KeyEnded(Conflict):
    """This API key was revoked or has expired."""


class TooManyKeys(Conflict):
    """This workspace has as many API keys as it can have."""


class KeyNotFound(NotFound):
    """No API key with this id in this workspace."""


# --- sessions --------------------------------------------------------------------------------------------------------


class SignIn(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Email and password; `workspaceId` chooses among several workspaces, else it is the one that was used last.

    `invitationCode` accepts an invitation, and chooses its workspace. Who has no account yet gets one, with this
    password. `code` is what the person's app shows, or a recovery code, where they sign in by two steps.
    """

    email: Annotated[str, Meta(max_length=320)]
    password: Typed
    code: Annotated[str, Meta(max_length=64)] | None = None
    workspace_id: UUID | None = None
    invitation_code: Annotated[str, Meta(max_length=100)] | None = None


class SwitchWorkspace(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """The workspace to go on in."""

    workspace_id: UUID


class PasswordChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """The signed-in person's old and new password."""

    current: Typed
    new: Typed


class SecondStep(msgspec.Struct, frozen=True, rename="camel"):
    """Whether signing in asks for a code, since when, and how many recovery codes are left."""

    is_on: bool
    since: datetime | None
    recovery_codes_left: int


class SecondStepBegun(msgspec.Struct, frozen=True, rename="camel"):
    """What an app makes codes of: `setupKey` to type in, `uri` as a QR code. An answer that is replayed has neither."""

    setup_key: str | None
    uri: str | None


class SecondStepCode(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """The code that the app shows."""

    code: Annotated[str, Meta(max_length=64)]


class SecondStepEnd(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """The signed-in person's password."""

    password: Typed


class RecoveryCodes(msgspec.Struct, frozen=True, rename="camel"):
    """Codes for who has lost their app, each taken once. They are shown here only."""

    recovery_codes: Sequence[str]


class Choice(msgspec.Struct, frozen=True, rename="camel"):
    """A workspace that the signed-in person can work in; `role` is null for an API key."""

    id: UUID
    name: str
    currency: str
    timezone: str
    role: Role | None


class Session(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Who is asking, and where.

    `csrfToken` goes into the header X-CSRF-Token of every write that the cookie signs; it is null for an API key.
    """

    kind: Literal["key", "staff"]
    id: UUID
    name: str
    email: str | None
    role: Role | None
    permissions: Sequence[str]
    workspace: Choice
    workspaces: Sequence[Choice]
    csrf_token: str | None
    expires_at: datetime | None


class SessionPlace(msgspec.Struct, frozen=True):
    """The workspace that a session is in."""

    id: UUID
    name: str


class OpenSession(msgspec.Struct, frozen=True, rename="camel"):
    """One of the signed-in person's sessions: a browser, and the workspace that it is in.

    `isCurrent` is the one that asks.
    """

    id: UUID
    workspace: SessionPlace
    created_at: datetime
    expires_at: datetime
    ip: str | None
    user_agent: str | None
    is_current: bool


class SessionNotFound(NotFound):
    """No session of yours with this id."""


class SignInNeeded(Unauthorized):
    """An API key or a session is needed."""


class KeyRefused(Unauthorized):
    """This API key is unknown, was revoked or has expired."""


class SessionEnded(Unauthorized):
    """This session has ended."""


class SignInRefused(Unauthorized):
    """Email or password is wrong."""


class SecondStepNeeded(Unauthorized):
    """This account signs in by two steps: send the code of its app."""


class SecondStepRefused(Unauthorized):
    """The code is wrong, or was used already."""


class SecondStepOn(Conflict):
    """This account signs in by two steps already."""


class SecondStepOff(Conflict):
    """This account signs in by its password alone."""


class SecondStepNotBegun(Conflict):
    """There is no second step that waits to be confirmed."""


class NoWorkspace(Forbidden):
    """This account belongs to no such workspace."""


class StaffOnly(Forbidden):
    """Only a signed-in member of staff can do this, not an API key."""


class CsrfRefused(Forbidden):
    """A write in a browser's session needs that session's token in the header X-CSRF-Token."""


class RateLimited(TooManyRequests):
    """This API key has used up its requests for now."""


class TooManyAttempts(TooManyRequests):
    """Too many failed attempts to sign in."""


class SignInBusy(Unavailable):
    """Too many people are signing in just now."""


# --- the audit log ---------------------------------------------------------------------------------------------------


class FieldChange(msgspec.Struct, frozen=True, rename="camel"):
    """A field's old and new value; `subject` is the kind of thing, `id` which one. Secrets show only that they are set."""

    subject: str
    id: UUID
    field: str
    old: Any
    new: Any


class AuditEntry(msgspec.Struct, frozen=True, rename="camel"):
    """A write: by whom, when, from where, with old and new values in `changes`."""

    id: UUID
    at: datetime
    actor: str
    actor_name: str
    action: str
    subject_id: UUID | None
    request_id: str | None
    ip: str | None
    changes: Sequence[FieldChange]
