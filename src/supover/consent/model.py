"""The nouns of consent."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from supover.channels.model import ConsentChannel, ConsentTopic, OptInLevel
from supover.customers.model import ContactsSealed
from supover.kit.problems import NotFound, Stale

__all__ = ["ConsentChannel", "ConsentTopic", "ContactsSealed", "OptInLevel"]

Said = Literal["SUBSCRIBED", "PENDING", "UNSUBSCRIBED", "INVALID", "REDACTED"]
State = Literal["NOT_SUBSCRIBED", "SUBSCRIBED", "PENDING", "UNSUBSCRIBED", "INVALID", "REDACTED"]
SuppressionReason = Literal["unsubscribed", "bounced", "complained", "manual"]
Policy = Literal["direct", "channel", "import", "migration", "merge"]
"""How far who records is believed.

`direct`: somebody tells us now. `channel`: a platform repeats what it was told; a time in the future is the time received.
`import`: a file, which may unsubscribe and never subscribes anybody. `migration`: a file that also subscribes who was never
asked here, where it names a source or a proof. `merge`: what `rules.merged` decided, of the contact that it was said of.
"""
Refusal = Literal["unknown_customer", "no_contact", "future", "import", "unsubscribed", "suppressed", "no_proof"]


class Preference(msgspec.Struct, frozen=True, rename="camel"):
    """Where a customer stands with one topic on one channel. Who was never asked is NOT_SUBSCRIBED, and all else null.

    `at` is when they said so, `policyVersion` the text that they agreed to, `contact` what they said it of, as it was then:
    while the customer has another one, SUBSCRIBED is no consent to write to that. `optInLevel` is the most that they did for
    this contact since they are SUBSCRIBED.
    """

    channel: ConsentChannel
    topic: ConsentTopic
    state: State = "NOT_SUBSCRIBED"
    opt_in_level: OptInLevel | None = None
    source: str | None = None
    at: datetime | None = None
    policy_version: str | None = None
    contact: str | None = None


class QuietHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a customer wants to be left alone, as in 22:00 to 08:00, which spans midnight.

    `timezone` is the workspace's unless told.
    """

    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    timezone: str | None = None


class CommunicationPreferences(msgspec.Struct, frozen=True, rename="camel"):
    """All that is known of how a customer may be written to: every topic on every channel, language and hours."""

    customer_id: UUID
    preferences: Sequence[Preference]
    language: str | None
    preferred_channel: ConsentChannel | None
    quiet_hours: QuietHours | None
    version: int


class ConsentChoice(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What a customer chose: `state` SUBSCRIBED, PENDING or UNSUBSCRIBED for a `topic` on a `channel`.

    `channel` is email, sms, whatsapp, phone or post; `topic` marketing, transactional, review_requests or surveys. `at` is when
    they said so, now unless told: a time, or a day, which is its beginning; `source` where, such as checkout; `proof` what shows
    it, a text or an object of up to 8 KiB; `optInLevel` SINGLE_OPT_IN, CONFIRMED_OPT_IN or UNKNOWN; `policyVersion` the text that
    they agreed to.
    """

    channel: str
    topic: str
    state: str
    opt_in_level: str | None = None
    source: str | None = None
    at: str | None = None
    proof: str | dict[str, Any] | None = None
    policy_version: str | None = None


class PreferenceChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What to change of how a customer wants to be written to; what is absent stays, null empties.

    `language` is a tag of BCP 47, such as de or de-AT.
    """

    language: str | None | UnsetType = UNSET
    preferred_channel: str | None | UnsetType = UNSET
    quiet_hours: QuietHours | None | UnsetType = UNSET


class ConsentEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One entry of the ledger. `at` is when it was said, `receivedAt` when it came here, `actor` who brought it.

    `contact` is what would have been written to then. `origin` is live or import.
    """

    id: UUID
    customer_id: UUID
    channel: ConsentChannel
    topic: ConsentTopic
    state: Said
    opt_in_level: OptInLevel
    source: str | None
    at: datetime
    received_at: datetime
    proof: str | Mapping[str, Any] | None
    policy_version: str | None
    contact: str | None
    actor: str
    origin: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Something to record. Without `at` it counts as said when it was received, now unless told.

    `contact` is what the source says that it is about; else the customer's own email or phone.
    """

    customer_id: UUID
    channel: ConsentChannel
    topic: ConsentTopic
    state: Said
    opt_in_level: OptInLevel = "UNKNOWN"
    source: str | None = None
    at: datetime | None = None
    received_at: datetime | None = None
    proof: str | Mapping[str, Any] | None = None
    policy_version: str | None = None
    contact: str | None = None


class Recorded(msgspec.Struct, frozen=True):
    """What became of an entry, and the state that stands then.

    `known`: it was there already. `refused`, by its reason: nothing was written. `entry_id` is that of what was written.
    """

    outcome: Literal["recorded", "known", "refused"]
    state: State
    reason: Refusal | None = None
    entry_id: UUID | None = None


class Reason(msgspec.Struct, frozen=True):
    """Why somebody may not be written to: a code for programs, words for people."""

    code: str
    message: str


class MaySend(msgspec.Struct, frozen=True, rename="camel"):
    """Whether a customer may be written to, all that speaks against it, and from when on it will not.

    `notBefore` is there when quiet hours alone stand against it.
    """

    customer_id: UUID
    channel: ConsentChannel
    topic: ConsentTopic
    allowed: bool
    reasons: Sequence[Reason] = ()
    not_before: datetime | None = None


class Recipients(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Who somebody would write to, up to 1,000 customers, on which `channel` and about which `topic`.

    `channel` is email, sms, whatsapp, phone or post; `topic` marketing, transactional, review_requests or surveys. `at` is when
    it would be sent, for the quiet hours; now unless told.
    """

    customer_ids: Annotated[Sequence[UUID], msgspec.Meta(min_length=1, max_length=1000)]
    channel: str
    topic: str
    at: str | None = None


class Suppression(msgspec.Struct, frozen=True, rename="camel"):
    """A contact that is not written to on a channel, whoever has it: on one `topic`, or on any where that is null.

    `contact` is null once its person is forgotten; it is known again all the same. `at` is when this was last said.
    """

    id: UUID
    contact: str | None
    channel: ConsentChannel
    topic: ConsentTopic | None
    reason: SuppressionReason
    at: datetime
    actor: str
    created_at: datetime


class NewSuppression(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A contact not to write to any more: an email, or a phone number with its country's code.

    `channel` is email for an email unless told, and sms, whatsapp or phone for a phone. `reason` is unsubscribed, which is of
    one `topic` (marketing unless told), or bounced, complained or manual, which are of all.
    """

    contact: str
    channel: str | None = None
    reason: str = "manual"
    topic: str | None = None


class PreferencesStale(Stale):
    """Somebody else has changed these preferences since they were read."""


class SuppressionNotFound(NotFound):
    """No suppression with this id."""
