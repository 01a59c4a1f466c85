"""Whatever is sent with a good signature is kept, and is applied or set aside by name; nothing breaks and every sum agrees."""

import re
from collections import Counter
from typing import Final

from supover.analytics import commands as analytics
from supover.inbox import commands
from tests.inbox.arrange import Connected, arrived, payload
from tests.inbox.hostile import payloads

NAMED: Final = re.compile(r"(/[\w/.]*|body): .+", re.DOTALL)
"""A field of the message, and what is wrong with it: never an error of ours."""


async def agrees(shopify: Connected, received: int) -> Counter[str]:
    """Every message is somewhere, those set aside say why, and the figures stand a recount."""
    counts = await shopify.counts()
    assert counts.total() == received
    async with shopify.db.tx(shopify.workspace.id) as tx:
        reasons = await tx.rows(
            "select status, reason, waits_for from inbox_message where workspace_id = $1 and status in ('dead', 'pending')"
        )
        differences = (await analytics.reconcile(tx))[1]
    assert [tuple(r) for r in reasons if r[0] == "dead" and not NAMED.fullmatch(r[1])] == []
    assert [tuple(r) for r in reasons if r[0] == "pending" and r[2] is None] == []
    assert differences == []
    return counts


async def test_two_thousand_hostile_payloads(shopify: Connected) -> None:
    every = list(payloads(2_000, seed=24))
    for topic, raw in every[:400]:
        answer = await shopify.send(topic, raw)
        assert answer.status_code == 202, (answer.status_code, topic, raw[:500])
    # The rest without the walk through HTTP, which knows nothing of what a body holds.
    async with shopify.db.tx(shopify.workspace.id) as tx:
        await commands.keep(tx, [arrived(shopify, str(n), topic, raw) for n, (topic, raw) in enumerate(every[400:])])
    await shopify.work()
    counts = await agrees(shopify, len(every))
    assert counts["applied"] > 500
    assert counts["dead"] > 200


async def test_after_all_that_a_good_one_is_taken(shopify: Connected) -> None:
    for topic, raw in payloads(100, seed=25):
        await shopify.send(topic, raw)
    message = await shopify.take("orders/create", payload("order_created"))
    assert message["status"] == "applied"
