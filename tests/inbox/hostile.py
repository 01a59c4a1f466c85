"""Payloads as nobody should send them: each of ours with something done to it."""

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from tests.inbox.arrange import payload

GOOD: Final = (
    ("orders/create", "order_created"),
    ("orders/updated", "order_delivered"),
    ("orders/updated", "order_refunded"),
    ("orders/updated", "order_in_two_currencies"),
    ("orders/cancelled", "order_cancelled"),
    ("refunds/create", "refund_created"),
    ("customers/create", "customer_created"),
    ("customers/update", "customer_updated"),
    ("customers_email_marketing_consent/update", "customer_email_consent"),
    ("customers_marketing_consent/update", "customer_sms_consent"),
)
NUMBER: Final = "\ue000"
"""Stands for a number that Python's encoder would not write."""

VALUES: Final[Sequence[Any]] = cast("Any", (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 0.1, 1e308, -0.0,
    "", " ", "\x00", "a\x00b", "null", "NaN", "Infinity", "-Infinity", "1e400", "1E+999999999", "-1", "0", "0.00", "00", "1_000", "1,5",
    "९९", "٣", "12345678901234.9999", "99999999999999", "100000000000000", "-99999999999999.99", "9" * 300, "A" * 100_000,
    "\u202egnp.exe", "مرحبا بالعالم", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍", "𝒜𝒹𝒶", "👩‍👩‍👧‍👦" * 50, "ﬁ", "İ", "ß" * 300, "\ufeff", "\u200b", "\ud83d", "\udfff\ud800",
    "' or 1=1 --", "\\", "%_%", "=cmd()", "<script>alert(1)</script>", "${7*7}", "../../etc/passwd", "a\x1fb", chr(31) * 5,
    "2026-01-01T00:00:00Z", "2026-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-12-31T23:59:59Z",
    "2026-02-30T00:00:00Z", "2026-01-01T00:00:00", "2999-01-01T00:00:00Z", "2026-03-01T10:00:00+99:99",
    "paid", "fulfilled", "delivered", "refund", "success", "USD", "usd", "JPY", "XXX", "BTC", "€", "+1 503 555 0142", "tel:+0",
    "a@b", "a@" + "b" * 300 + ".com", "*@*.com", "marketplace@", "bea@inkmail.dev",
    [], {}, [[]], [None], [1, "2", {}], {"id": 1}, {"": ""}, {"shop_money": None}, {"shop_money": {"amount": "x"}}, [{}] * 2_000,
    NUMBER + "1e400", NUMBER + "-1e-400", NUMBER + "1" + "0" * 400, NUMBER + "0." + "3" * 400, NUMBER + "NaN", NUMBER + "Infinity",
    NUMBER + "-", NUMBER + "01", NUMBER + "[" * 60 + "]" * 60, NUMBER + "[" * 5_000, NUMBER + '{"a":' * 500 + "1" + "}" * 500,
))  # fmt: skip
BYTES: Final = (
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\x00",
    b"\xef\xbb\xbf",
    b'"',
    b"{",
    b"]",
    b",",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\r\n",
)


def payloads(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Topics and bodies, each from a good one by one to four changes; the same for the same seed."""
    luck = random.Random(seed)
    for n in range(count):
        topic, name = luck.choice(GOOD)
        body = payload(name)
        # Some meet each other's orders and customers, most are of their own.
        own = 10_000 + luck.randrange(max(1, count // 2))
        if topic.startswith("refunds"):
            body |= {"id": 500_000_000 + n, "order_id": own}
        else:
            body["id"] = own
        for _ in range(luck.choice((1, 1, 1, 2, 4))):
            _change(body, luck)
        raw = _written(body)
        if luck.random() < 0.15:
            raw = _broken(raw, luck)
        if luck.random() < 0.05:
            topic = luck.choice([t for t, _ in GOOD])
        yield topic, raw


def _change(body: dict[str, Any], luck: random.Random) -> None:
    """Changes something somewhere: another value, another type, gone, or there twice."""
    at = cast("Any", body)
    while at:
        key = luck.choice(list(cast("dict[str, Any]", at)) if isinstance(at, dict) else list(range(len(at))))
        below = cast("Any", at[key])
        if isinstance(below, dict | list) and below and luck.random() < 0.75:
            at = cast("Any", below)
            continue
        way = luck.random()
        if way < 0.15:
            del at[key]
        elif way < 0.2 and not isinstance(at, dict):
            at += [below] * luck.choice((1, 5, 300))
        else:
            at[key] = luck.choice(VALUES)
        return


def _written(body: dict[str, Any]) -> bytes:
    """JSON with lone surrogates as escapes, and numbers as they stand."""
    text = json.dumps(body)
    found = text.split('"\\ue000')
    return "".join([found[0], *(part.replace('"', "", 1).replace('\\"', '"') for part in found[1:])]).encode()


def _broken(raw: bytes, luck: random.Random) -> bytes:
    way, at = luck.randrange(7), luck.randrange(len(raw) + 1)
    if way == 0:
        return raw[:at]
    if way == 1:
        return raw[:at] + luck.choice(BYTES) + raw[at:]
    if way == 2:
        return raw.replace(b"{", b'{"id": 1, "id": null, ', 1)
    if way == 3:
        return b"[" + raw + b"]"
    if way == 4:
        return luck.choice(
            (b"", b" ", b"null", b"[]", b"0", b'""', b"\x1f\x8b\x08\x00", b"<order/>", b"id=1&total_price=5")
        )
    if way == 5:
        return raw[:at] + bytes([luck.randrange(256)]) + raw[at + 1 :]
    return raw.decode().encode("utf-16" if luck.random() < 0.5 else "utf-8-sig")
