"""A filter that takes too long is nobody else's trouble."""

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final
from uuid import UUID

import httpx
import pytest

from supover.kit.db import Database, Reader
from supover.segments import membership
from tests.makers import Workspace, client, make_customer, pointers, told
from tests.segments.arrange import differences, evaluate, found, look_again, members, moves, segment, settle

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

STAND_IN_THE_WAY: Final = """
    insert into data.segment_member (workspace_id, segment_id, customer_id, entered_at) values ($1, $2, $3, now())"""


async def test_a_segment_that_takes_too_long_is_left_to_the_job(
    db: Database, shop: Workspace, api: httpx.AsyncClient, owner: "Connection", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "SECONDS_EACH", 0.2)
    slow, quick = await segment(api, "Slow", "status = 'VIP'"), await segment(api, "Quick", "status = 'VIP'")
    ann = await make_customer(api, name="Ann")
    await settle(db, shop)
    told(await api.patch(f"/api/customers/{ann['id']}", json={"status": "VIP"}))
    async with owner.transaction():
        await owner.execute(STAND_IN_THE_WAY, shop.id, UUID(slow["id"]), UUID(ann["id"]))
        assert await look_again(db, shop) == 1
        assert await members(api, quick["id"]) == {ann["id"]}
        waiting = await found(api, slow["id"])
        assert (waiting["complete"], waiting["refreshing"], waiting["error"]) == (True, True, None)
        # It is not tried again, nothing of it is lost, and how fresh it is stays told.
        told(await api.patch(f"/api/customers/{ann['id']}", json={"name": "Anna"}))
        assert await look_again(db, shop) == 1
        assert (await found(api, slow["id"]))["asOf"] == waiting["asOf"]
        await owner.execute("delete from data.segment_member where segment_id = $1", UUID(slow["id"]))
    assert await evaluate(db, shop)
    now = await found(api, slow["id"])
    assert (now["members"], now["refreshing"], now["asOf"] > waiting["asOf"]) == (1, False, True)
    entered = [
        (kind, str(customer)) for kind, customer, id, _ in await moves(db, shop) if str(id) == slow["id"] and customer
    ]
    assert entered == [("SegmentEntered", ann["id"])]
    assert await differences(db, shop) == []


async def test_what_history_did_to_a_slow_segment_is_told_to_nobody(
    db: Database, shop: Workspace, api: httpx.AsyncClient, owner: "Connection", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "SECONDS_ALL", -1.0)
    one = await segment(api, "One", "status = 'VIP'")
    ann = await make_customer(api, name="Ann")
    await settle(db, shop)
    for _ in range(2):
        told(await api.post(f"/api/segments/{one['id']}/refresh"), 202)
        await evaluate(db, shop)
    told(await api.patch(f"/api/customers/{ann['id']}", json={"status": "VIP"}))
    await owner.execute("update data.segment_stale set origin = 'import' where workspace_id = $1", shop.id)
    # No time is left: all segments are put off.
    assert await look_again(db, shop) == 1
    while await evaluate(db, shop):
        pass
    assert await members(api, one["id"]) == {ann["id"]}
    assert {kind for kind, _, id, _ in await moves(db, shop) if str(id) == one["id"]} == {"SegmentRebuilt"}
    assert await differences(db, shop) == []


async def test_a_look_at_everybody_that_takes_too_long_is_said_so_and_stops_no_other(
    db: Database, shop: Workspace, api: httpx.AsyncClient, owner: "Connection", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "MINUTES_FOR_EVERYBODY", 0.005)
    ann = await make_customer(api, name="Ann", status="VIP")
    slow, quick = await segment(api, "Slow", "status = 'VIP'"), await segment(api, "Quick", "status = 'VIP'")
    async with owner.transaction():
        await owner.execute(STAND_IN_THE_WAY, shop.id, UUID(slow["id"]), UUID(ann["id"]))
        while await evaluate(db, shop):
            pass
        assert await members(api, quick["id"]) == {ann["id"]}
        now = await found(api, slow["id"])
        assert (now["complete"], now["refreshing"], now["asOf"]) == (False, False, None)
        assert now["error"] == "It takes longer than 0.005 minutes to look at everybody by this filter."
        await owner.execute("delete from data.segment_member where segment_id = $1", UUID(slow["id"]))
    told(await api.post(f"/api/segments/{slow['id']}/refresh"), 202)
    await settle(db, shop)
    now = await found(api, slow["id"])
    assert (now["complete"], now["error"], now["members"]) == (True, None, 1)


# --- the worst filter ------------------------------------------------------------------------------------------------

WORST: Final = " OR ".join(f"customer_name CONTAINS 'nobody{n}'" for n in range(250))
CROWD: Final = """
    with made as (
        insert into data.customer (workspace_id, id, name, source)
        select $1, gen_random_uuid(), 'Customer ' || n, 'API' from generate_series(1, 10000) n
        returning workspace_id, id)
    insert into data.customer_metrics (workspace_id, customer_id) select workspace_id, id from made"""


@pytest.fixture
async def hurried(database: str) -> AsyncGenerator[Database]:
    """A door behind which a statement may take half a second."""
    found = await Database.open(database, statement_timeout_s=0.5)
    yield found
    await found.close()


async def test_a_preview_that_takes_too_long_says_that_the_filter_does(
    hurried: Database, shop: Workspace, owner: "Connection"
) -> None:
    await owner.execute(CROWD, shop.id)
    async with client(hurried, shop.key) as api:
        for path in ("preview", "explain"):
            answer = await api.post(f"/api/segments/{path}", json={"filter": WORST})
            assert pointers(answer) == ["/filter"], answer.text
            assert answer.json()["errors"][0]["code"] == "too_slow"
            assert "takes too long" in answer.json()["detail"]


async def test_who_fits_is_found_before_anything_is_written(
    db: Database, shop: Workspace, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction with an id holds up everybody who waits for those that began before, as readers of the events do."""
    ids: list[object] = []
    value = Reader.value

    async def watched(self: Reader, sql: str, *args: object) -> object:
        found_ = await value(self, sql, *args)
        if sql.startswith(membership.FIT[:60]):
            ids.append(await value(self, "select pg_current_xact_id_if_assigned() where $1::uuid is not null"))
        return found_

    monkeypatch.setattr(Reader, "value", watched)
    await segment(api, "VIPs here", "status = 'VIP'")
    while await evaluate(db, shop):
        pass
    assert ids
    assert set(ids) == {None}
