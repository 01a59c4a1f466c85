"""Deliveries arrive: only signed ones, each once, byte for byte."""

import asyncio
import base64
import json
import random
import time
from collections.abc import AsyncGenerator
from uuid import UUID

import httpx
import pytest

from supover.inbox import receiver
from supover.kit import ids
from supover.kit.db import Database
from tests.inbox.arrange import SECRET, Connected, connected, payload, signature
from tests.makers import application, client, told

RAW = json.dumps(payload("order_created")).encode()


async def test_a_signed_delivery_is_kept_byte_for_byte(shopify: Connected) -> None:
    raw = b'{ "id" : 1,\r\n\t"note":"\xc3\xa9 \\u00e9" }  '
    answer = await shopify.send("orders/unheard_of", raw)
    assert (answer.status_code, answer.content) == (202, b"")
    [message] = await shopify.messages()
    assert (message["status"], message["topic"], message["size"]) == ("pending", "orders/unheard_of", len(raw))
    body = await shopify.api.get(f"/api/inbox/{message['id']}/body")
    assert body.content == raw
    assert body.headers["content-disposition"].startswith("attachment")


def forgeries(shopify: Connected, other: str) -> list[str | None]:
    """Signatures of RAW that are none."""
    good = signature(RAW)
    digest = base64.b64decode(good)
    found: list[str | None] = [
        None, "", " ", good.upper(), good.lower(), good.swapcase(), digest.hex(), digest.hex().upper(), good.rstrip("="), good + "=",
        good[:-2], "sha256=" + good, good.replace("/", "_").replace("+", "-") + "x", base64.b64encode(digest.hex().encode()).decode(),
        base64.b64encode(digest + b"\0").decode(), base64.b64encode(digest[::-1]).decode(), base64.b64encode(bytes(32)).decode(),
        signature(RAW, SECRET.upper()), signature(RAW, SECRET + " "), signature(RAW, "x"), signature(RAW, other), signature(RAW + b" "),
        signature(b""), signature(RAW[::-1]), SECRET, "null", "é" * 44, good + "," + good, "A" * 10_000,
    ]  # fmt: skip
    luck = random.Random(7)
    while len(found) < 1_000:
        wrong = bytearray(digest)
        wrong[luck.randrange(32)] ^= 1 << luck.randrange(8)
        found.append(base64.b64encode(bytes(wrong)).decode())
    return found


async def test_of_a_thousand_forged_signatures_none_is_accepted(db: Database, shopify: Connected) -> None:
    assert (await shopify.send("orders/create", RAW)).status_code == 202
    other = "another-secret-of-another-shop"
    forged = forgeries(shopify, other)
    async with (
        connected(db, other),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=application(db)), base_url="http://shop.test") as stranger,
    ):
        codes: set[int] = set()
        for one in forged:
            headers = [(k, v) for k, v in shopify.headers("orders/create", RAW).items() if k != "X-Shopify-Hmac-Sha256"]
            if one is not None:
                headers.append(("X-Shopify-Hmac-Sha256", one.encode()))  # pyright: ignore[reportArgumentType]
            codes.add((await stranger.post(f"/hooks/channels/{shopify.id}", content=RAW, headers=headers)).status_code)
    assert codes == {401}
    assert len(forged) == 1_000
    assert len(await shopify.messages()) == 1


async def test_a_signature_of_another_connection_is_none_here(db: Database, shopify: Connected) -> None:
    async with connected(db, "another-secret-of-another-shop") as other:
        wrong = await shopify.send(
            "orders/create", RAW, X_Shopify_Hmac_Sha256=signature(RAW, "another-secret-of-another-shop")
        )
        here = await other.send("orders/create", RAW)
    assert (wrong.status_code, here.status_code) == (401, 401)


async def test_nobody_can_tell_an_unknown_connection_from_a_known_one(db: Database, shopify: Connected) -> None:
    async with connected(db) as ended:
        told(await ended.api.delete(f"/api/channels/{ended.id}"), 204)
        bodies: list[dict[str, object]] = []
        for id in (shopify.id, ended.id, ids.new(), UUID(int=0), "nonsense", "%00", "x" * 500):
            headers = shopify.headers("orders/create", RAW, X_Shopify_Hmac_Sha256=signature(b"other"))
            answer = await shopify.api.post(f"/hooks/channels/{id}", content=RAW, headers=headers)
            if id == "%00":
                assert answer.status_code == 400
                continue
            assert answer.headers["www-authenticate"] == "Signature"
            bodies.append({k: v for k, v in told(answer, 401).items() if k not in ("instance", "requestId")})
        assert all(body == bodies[0] for body in bodies)
        assert (await ended.send("orders/create", RAW)).status_code == 401


async def test_a_secret_that_cannot_be_opened_is_no_secret(db: Database, shopify: Connected) -> None:
    async with db.tx(shopify.workspace.id) as tx:
        await tx.run("update channel_connection set secret = 'garbage' where workspace_id = $1")
    assert (await shopify.send("orders/create", RAW)).status_code == 401
    assert (
        await shopify.send("orders/create", RAW, X_Shopify_Hmac_Sha256=signature(RAW, "garbage"))
    ).status_code == 401


async def test_an_envelope_of_another_shop_is_refused(shopify: Connected) -> None:
    other = await shopify.send("orders/create", RAW, X_Shopify_Shop_Domain="other.myshopify.com")
    none = await shopify.send("orders/create", RAW, X_Shopify_Shop_Domain=None)
    loud = await shopify.send("orders/create", RAW, X_Shopify_Shop_Domain=shopify.shop.upper())
    assert (other.status_code, none.status_code, loud.status_code) == (401, 202, 202)


async def test_both_secrets_are_accepted_while_they_overlap(
    shopify: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, second, third = f"/api/channels/{shopify.id}/rotate", "the second secret", "the third secret"

    async def accepted() -> list[bool]:
        sent = [await shopify.send("x", RAW, X_Shopify_Hmac_Sha256=signature(RAW, s)) for s in (SECRET, second, third)]
        return [answer.status_code == 202 for answer in sent]

    assert await accepted() == [True, False, False]
    told(await shopify.api.post(path, json={"secret": second}))
    assert await accepted() == [True, True, False]
    told(await shopify.api.post(path, json={"secret": third, "overlapHours": 0}))
    # What this process remembers of the connection ends within five seconds.
    later_s = time.monotonic() + receiver.REMEMBER_S + 1
    monkeypatch.setattr(receiver.clock, "monotonic_s", lambda: later_s)
    assert await accepted() == [False, False, True]


async def test_the_same_delivery_is_kept_once(shopify: Connected) -> None:
    first = shopify.headers("orders/create", RAW)
    for headers in (
        first,
        first,
        {**first, "X-Shopify-Event-Id": "another"},  # the same delivery
        {**first, "X-Shopify-Webhook-Id": "another"},  # the same event by another delivery
    ):
        answer = await shopify.api.post(f"/hooks/channels/{shopify.id}", content=RAW, headers=headers)
        assert answer.status_code == 202
    assert len(await shopify.messages()) == 1
    # One event can have several topics.
    other = {**first, "X-Shopify-Webhook-Id": "a third", "X-Shopify-Topic": "orders/paid"}
    assert (await shopify.api.post(f"/hooks/channels/{shopify.id}", content=RAW, headers=other)).status_code == 202
    assert len(await shopify.messages()) == 2


async def test_without_an_id_the_same_topic_and_body_are_the_same_delivery(shopify: Connected) -> None:
    for _ in range(3):
        assert (
            await shopify.send("orders/create", RAW, X_Shopify_Webhook_Id=None, X_Shopify_Event_Id=None)
        ).status_code == 202
    assert (
        await shopify.send("orders/paid", RAW, X_Shopify_Webhook_Id=None, X_Shopify_Event_Id=None)
    ).status_code == 202
    assert [m["topic"] for m in await shopify.messages()] == ["orders/paid", "orders/create"]


async def test_two_shops_ids_never_meet(db: Database, shopify: Connected) -> None:
    async with connected(db) as other:
        same = {"X_Shopify_Webhook_Id": "1", "X_Shopify_Event_Id": "1"}
        await shopify.send("orders/create", RAW, **same)
        await other.send("orders/create", RAW, **same)
        assert (len(await shopify.messages()), len(await other.messages())) == (1, 1)


async def test_headers_of_any_length_and_letters_are_kept(shopify: Connected) -> None:
    long = "i" * 5_000
    for topic, over in (("t" * 5_000, {}), ("", {"X_Shopify_Webhook_Id": long, "X_Shopify_Event_Id": long + "2"}),
                        ("orders/create", {"X_Shopify_Triggered_At": "never"})):  # fmt: skip
        assert (await shopify.send(topic, RAW, **over)).status_code == 202
    assert (await shopify.send("", RAW, X_Shopify_Webhook_Id=long)).status_code == 202
    assert len(await shopify.messages()) == 3
    await shopify.work()
    assert await shopify.counts() == {"ignored": 2, "applied": 1}


async def test_a_body_of_more_than_five_mebibytes_is_too_large(shopify: Connected) -> None:
    most = b'{"note":"' + b"n" * ((5 << 20) - 11) + b'"}'
    assert (await shopify.send("orders/other", most)).status_code == 202
    refused = await shopify.send("orders/other", most + b" ")
    assert told(refused, 413)["title"] == "A delivery may have 5 MiB at most"


async def test_what_arrives_together_is_answered_each_for_itself(shopify: Connected) -> None:
    bodies = [json.dumps(payload("order_created", id=n + 1, note=str(n))).encode() for n in range(120)]
    answers = await asyncio.gather(*(
        shopify.send("orders/create", raw, **({} if n % 3 else {"X_Shopify_Hmac_Sha256": signature(b"other")}))
        for n, raw in enumerate(bodies)
    ))  # fmt: skip
    assert [a.status_code for a in answers] == [202 if n % 3 else 401 for n in range(120)]
    assert {m["size"] for m in await shopify.messages()} == {len(raw) for n, raw in enumerate(bodies) if n % 3}
    assert len(await shopify.messages()) == 80


async def test_the_hook_takes_neither_keys_nor_other_methods(db: Database, shopify: Connected) -> None:
    async with client(db, shopify.workspace.key) as api:
        unsigned = await api.post(f"/hooks/channels/{shopify.id}", content=RAW)
        told(unsigned, 401)
        told(await api.get(f"/hooks/channels/{shopify.id}"), 405)


async def test_another_body_under_a_known_id_is_another_message(shopify: Connected) -> None:
    one, two = (json.dumps(payload("order_created", id=n)).encode() for n in (1, 2))
    for topic, raw in (("orders/create", one), ("orders/create", two), ("orders/paid", two), ("orders/create", one)):
        answer = await shopify.send(topic, raw, X_Shopify_Event_Id="the-same", X_Shopify_Webhook_Id="the-same")
        assert answer.status_code == 202
    assert sorted(m["topic"] for m in await shopify.messages()) == ["orders/create", "orders/create", "orders/paid"]


async def test_what_comes_unsigned_is_refused_before_it_is_read(shopify: Connected) -> None:
    read: list[bytes] = []

    async def body() -> AsyncGenerator[bytes]:
        read.append(RAW)
        yield RAW

    headers = shopify.headers("orders/create", RAW, X_Shopify_Hmac_Sha256=None)
    answer = await shopify.api.post(f"/hooks/channels/{shopify.id}", content=body(), headers=headers)
    assert answer.status_code == 401
    assert read == []


async def test_only_so_much_is_held_of_what_nobody_has_proved(
    shopify: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "UNPROVED_BYTES", len(RAW) - 1)
    answer = await shopify.send("orders/create", RAW)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    monkeypatch.setattr(receiver, "UNPROVED_BYTES", len(RAW))
    for _ in range(3):
        assert (await shopify.send("orders/create", RAW)).status_code == 202
    assert len(await shopify.messages()) == 3
