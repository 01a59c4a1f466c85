"""A merge happens as a whole or not at all, wherever it is cut off; and so does its undo."""

from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import pytest

from supover.customers.events import CustomersMerged, MergeUndone
from supover.kit import events
from supover.kit.db import Database, Reader, Tx
from tests.makers import Json, Workspace, make_address, make_customer, make_order, told
from tests.merging.arrange import body, differences, differing, dump, merge, settle, undo

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


async def two(api: httpx.AsyncClient) -> tuple[Json, Json]:
    """Two customers with something of everything."""
    found: list[Json] = []
    group = told(await api.post("/api/segments", json={"name": "Panel", "kind": "manual"}), 201)
    for n in (1, 2):
        one = await make_customer(api, name=f"Ann {n}", email=f"ann@{n}.com", tags=[f"t{n}"], customFields={f"f{n}": n})
        await make_order(api, one, status="delivered")
        await make_address(api, one)
        await make_address(api, one, line1=f"Seestr. {n}")
        told(await api.post(f"/api/customers/{one['id']}/notes", json={"note": f"{n}"}), 201)
        where = f"/api/customers/{one['id']}/communication-preferences"
        state = "SUBSCRIBED" if n == 1 else "UNSUBSCRIBED"
        told(await api.put(where, json={"channel": "email", "topic": "marketing", "state": state}))
        told(await api.patch(where, json={"language": "de"} if n == 2 else {"preferredChannel": "email"}))
        told(await api.post(f"/api/segments/{group['id']}/customers", json={"ids": [one["id"]]}))
        found.append(one)
    return found[0], found[1]


class Scissors:
    """Cuts off whatever runs a statement, before or after the nth."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left = 10**9
        self.run = 0
        for owner, name in ((Reader, "rows"), (Reader, "value"), (Reader, "column"), (Reader, "all"), (Tx, "run")):
            patch.setattr(owner, name, self._cutting(getattr(owner, name)))

    def _cutting(self, real: Any) -> Any:
        async def cutting(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            self.run += 1
            if self.left < 0:
                raise asyncpg.QueryCanceledError("it was cut off here")
            return await real(*args, **kwargs)

        return cutting


async def test_cut_off_between_any_two_statements_nothing_is_half_done(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, twin = await two(api)
    await settle(db, shop)
    before = await dump(owner, shop)
    scissors = Scissors(monkeypatch)
    merged: Json | None = None
    number = 0
    while merged is None:
        scissors.left = number
        answer = await api.post("/api/customers/merge", json=body(ann, twin))
        scissors.left = 10**9
        if answer.status_code == 200:
            merged = answer.json()
        else:
            assert answer.status_code == 503
            assert differing(before, await dump(owner, shop)) == {}, number
        number += 1
    assert number > 40
    await settle(db, shop)
    after = await dump(owner, shop)
    number = 0
    while True:
        scissors.left = number
        answer = await api.post(f"/api/merges/{merged['mergeId']}/undo")
        scissors.left = 10**9
        if answer.status_code == 200:
            break
        assert differing(after, await dump(owner, shop)) == {}, number
        number += 1
    assert number > 40
    await settle(db, shop)
    assert differing(before, await dump(owner, shop)) == {}
    assert await differences(db, shop) == []


@pytest.mark.parametrize("kind", [CustomersMerged, MergeUndone])
async def test_a_reaction_that_fails_takes_everything_back(
    api: httpx.AsyncClient,
    db: Database,
    owner: "Connection",
    shop: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[events.Event],
) -> None:
    ann, twin = await two(api)
    done = await merge(api, ann, twin) if kind is MergeUndone else None
    await settle(db, shop)
    before = await dump(owner, shop)
    reactions = events.reactions()[kind]
    assert len(reactions) >= 6

    async def fail(tx: Tx, happened: Any) -> None:
        del tx, happened
        raise asyncpg.QueryCanceledError("it was cut off here")

    for n in range(len(reactions)):
        with monkeypatch.context() as patch:
            cut = [*reactions[:n], fail, *reactions[n + 1 :]]
            patch.setitem(events._reactions, kind, cut)  # pyright: ignore[reportPrivateUsage]
            if done is None:
                answer = await api.post("/api/customers/merge", json=body(ann, twin))
            else:
                answer = await api.post(f"/api/merges/{done['mergeId']}/undo")
        assert answer.status_code == 503
        assert differing(before, await dump(owner, shop)) == {}, reactions[n]
    if done is not None:
        await undo(api, done)
