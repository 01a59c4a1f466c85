"""What the segment language can ask of consent: marketing by channel, and the language."""

from typing import Final, get_args

from supover.consent.model import ConsentChannel, State
from supover.kit import languages
from supover.kit.filters import Field


def _status(channel: ConsentChannel, words: str) -> Field:
    return Field(
        name=f"{channel}_subscription_status",
        kind="choice",
        words=words,
        sql="k.state",
        within="exists (select 1 from consent k where k.workspace_id = $1 and k.customer_id = c.id"
        f" and k.channel = '{channel}' and k.topic = 'marketing' and {{}})",
        absent="NOT_SUBSCRIBED",
        choices=get_args(State),
        example=f"{channel}_subscription_status = 'SUBSCRIBED'",
    )


FIELDS: Final[tuple[Field, ...]] = (
    _status("email", "email subscription status"),
    _status("sms", "SMS subscription status"),
    _status("whatsapp", "WhatsApp subscription status"),
    Field(
        name="customer_language",
        kind="text",
        words="language",
        vocabulary="language",
        meant=languages.meant,
        sql="p.language",
        # Who reads German in Austria reads German: a tag is found by what it has before any of its hyphens.
        equals="(lower(p.language) || '-') ^@ (lower({0}) || '-')",
        within="exists (select 1 from communication_preference p where p.workspace_id = $1 and p.customer_id = c.id and {})",
        example="customer_language = 'de'",
    ),
)
