"""Shopify's envelope: the headers of a delivery, and whether its shop has signed the body."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from supover.channels.model import Envelope
from supover.kit.crypto import verify
from supover.kit.problems import Invalid

SHOP: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\.myshopify\.com")


def shop(given: str) -> str:
    """A shop's permanent address, `demo.myshopify.com`, however it was copied. Raises Invalid."""
    found = given.strip().lower().removeprefix("https://").removeprefix("http://").partition("/")[0]
    if not SHOP.fullmatch(found):
        raise Invalid.at("/shop", "shop", "must be the shop's permanent address, such as demo.myshopify.com")
    return found


def envelope(headers: Mapping[bytes, bytes]) -> Envelope:
    """What the headers say. None of it is signed: it sorts and dedupes, and proves nothing."""

    def said(name: bytes) -> str | None:
        return headers.get(b"x-shopify-" + name, b"").decode("latin-1").strip() or None

    return Envelope(
        topic=(said(b"topic") or "").lower(),
        shop=(said(b"shop-domain") or "").lower() or None,
        signature=said(b"hmac-sha256"),
        delivery_id=said(b"webhook-id"),
        event_id=said(b"event-id"),
        api_version=said(b"api-version"),
        triggered_at=_moment(said(b"triggered-at")),
    )


def _moment(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo and 1970 <= found.year < 9999 else None


def is_signed(secrets: Sequence[bytes], body: bytes, given: Envelope) -> bool:
    """Whether one of the secrets signed exactly these bytes: base64 of HMAC-SHA256, in that very spelling.

    Each is compared in constant time, and whoever is refused has had every secret tried.
    """
    return any(verify(secret, body, given.signature, "base64") for secret in secrets)
