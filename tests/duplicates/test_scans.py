"""What a scan finds, keeps and takes away."""

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from uuid import UUID

import httpx
import msgspec

from supover.duplicates import blocking, commands, grouping, jobs, profiles, scanning
from supover.duplicates.model import NewScan
from supover.kit import ids
from supover.kit.db import Database, Tx
from supover.kit.jobs import JobContext
from tests import makers
from tests.duplicates.scans import both, pairs, scanned
from tests.makers import Json, Workspace

OAK = {"line1": "12 Oak Street", "city": "Springfield", "state": "IL", "postal_code": "62701", "country": "US"}


async def person(api: httpx.AsyncClient, name: str, place: Json | None = None, **fields: str) -> Json:
    made = await makers.make_customer(api, name=name, **fields)
    if place is not None:
        await makers.make_address(api, made, **place)
    return made


async def test_a_scan_finds_who_moved_nothing_but_a_letter(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    a = await person(api, "Ottoline Wojcik", OAK)
    b = await person(api, "Otoline Wojcik", OAK | {"line1": "12 Oak St."})
    await person(api, "Somebody Else", OAK | {"line1": "99 Elm Ave", "postal_code": "62702"})
    found = await scanned(db, shop)
    assert (found.status, found.full, found.customers, found.changed) == ("completed", True, 3, 3)
    assert (found.automatic, found.suggested, found.clusters) == (0, 1, 1)
    [pair] = await pairs(api)
    assert (both(pair), pair["level"], pair["clusterId"]) == ({a["id"], b["id"]}, "suggested", a["id"])
    detail = makers.told(await api.get(f"/api/duplicates/{pair['id']}"))
    assert {detail["a"]["name"], detail["b"]["name"]} == {"Ottoline Wojcik", "Otoline Wojcik"}
    assert detail["a"]["addresses"] == ["12 Oak Street, Springfield, IL 62701, US"]
    assert sum(Decimal(str(e["bits"])) for e in detail["evidence"]) == Decimal(pair["score"])
    group = makers.told(await api.get(f"/api/duplicates/clusters/{a['id']}"))
    assert [one["id"] for one in group["customers"]] == [a["id"], b["id"]]
    assert makers.told(await api.get("/api/duplicates/clusters?count=true"))["total"] == 1


async def test_a_family_is_only_for_review(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    await person(api, "James Wojcik", OAK, phone="+1 415 555 0178")
    await person(api, "Mary Wojcik", OAK, phone="+1 415 555 0178")
    await scanned(db, shop)
    [pair] = await pairs(api)
    assert pair["level"] == "review"
    assert pair["clusterId"] is None
    assert await pairs(api, suggested="true") == []


async def test_only_who_changed_is_compared_again(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    everybody = [await person(api, f"Person{n} Name{n}x", OAK | {"line1": f"{n} Elm Street"}) for n in range(10)]
    assert (await scanned(db, shop)).full
    found = await scanned(db, shop)
    assert (found.full, found.customers, found.changed, found.compared) == (False, 10, 0, 0)
    makers.told(await api.patch(f"/api/customers/{everybody[3]['id']}", json={"name": "Henrik Svensson"}))
    found = await scanned(db, shop)
    assert found.changed == 1
    more = await person(api, "Person7 Name7x", OAK | {"line1": "7 Elm St"})
    found = await scanned(db, shop)
    assert (found.changed, found.suggested) == (1, 1)
    [pair] = await pairs(api, suggested="true")
    assert both(pair) == {everybody[7]["id"], more["id"]}


async def test_a_pair_goes_when_its_customers_are_like_each_other_no_more(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    a = await person(api, "Ottoline Wojcik", OAK)
    b = await person(api, "Ottoline Wojcik", OAK)
    await scanned(db, shop)
    assert len(await pairs(api)) == 1
    makers.told(await api.patch(f"/api/customers/{b['id']}", json={"name": "Henrik Svensson"}))
    [place] = makers.told(await api.get(f"/api/customers/{b['id']}/addresses"))["data"]
    makers.told(await api.delete(f"/api/customers/{b['id']}/addresses/{place['id']}"), 204)
    await scanned(db, shop)
    assert await pairs(api, status="all") == []
    makers.told(await api.delete(f"/api/customers/{a['id']}"), 204)
    assert (await scanned(db, shop)).customers == 1


async def test_what_was_dismissed_stays_so_whatever_scans_find(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    a, b, c = [await person(api, "Ottoline Wojcik", OAK) for _ in range(3)]
    await scanned(db, shop)
    assert len(await pairs(api, suggested="true")) == 3
    [pair] = [p for p in await pairs(api) if both(p) == {a["id"], b["id"]}]
    done = makers.told(await api.post(f"/api/duplicates/{pair['id']}/dismiss", json={"note": "twins"}))
    assert (done["status"], done["note"], done["decidedBy"]) == ("dismissed", "twins", "A key")
    for _ in range(2):
        await scanned(db, shop, full=True)
        left = await pairs(api, suggested="true")
        # One of the two may stay with the third: not both.
        assert len(left) == 1
        assert c["id"] in both(left[0])
        assert [both(p) for p in await pairs(api, status="dismissed")] == [{a["id"], b["id"]}]
    again = makers.told(await api.post(f"/api/duplicates/{pair['id']}/reopen"))
    assert (again["status"], again["level"], again["clusterId"]) == ("open", "suggested", a["id"])
    assert len(await pairs(api, suggested="true", cluster=a["id"])) == 3


async def test_pairs_keep_their_ids_from_scan_to_scan(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    """Those too that only others say: of the first and the last nothing is known but a name."""
    await person(api, "Ottoline Wojcik", phone="+1 415 555 0178")
    await person(api, "Ottoline Wojcik", OAK, phone="+1 415 555 0178")
    await person(api, "Ottoline Wojcik", OAK)
    await scanned(db, shop, full=True)
    first = {one["id"]: one["reasons"] for one in await pairs(api)}
    assert len(first) == 3
    assert any(grouping.IMPLIED in reasons for reasons in first.values())
    for _ in range(2):
        await scanned(db, shop, full=True)
        assert {one["id"]: one["reasons"] for one in await pairs(api)} == first


async def test_who_is_merged_while_a_scan_runs_stays_merged(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    await person(api, "Ottoline Wojcik", OAK)
    await person(api, "Ottoline Wojcik", OAK)
    await scanned(db, shop)
    [pair] = await pairs(api)
    async with db.tx(shop.id) as tx:
        wanted = await commands.begin_here(tx, full=True)
    merge: list[Json] = []

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Tx]:
        async with db.tx(shop.id) as tx:
            yield tx
        # Once the profiles are there, and before the pairs are written.
        if not merge:
            merge.append(makers.told(await api.post(f"/api/duplicates/{pair['id']}/accept")))

    counts = await scanning.run(db, shop.id, opened, wanted, lambda _phase, _counts: False)
    async with db.tx(shop.id) as tx:
        await commands.complete(tx, wanted.id, counts)
    assert makers.told(await api.get(f"/api/duplicates/{pair['id']}"))["status"] == "merged"
    makers.told(await api.post(f"/api/merges/{merge[0]['mergeId']}/undo"))
    assert [one["id"] for one in await pairs(api)] == [pair["id"]]


async def test_a_scan_that_was_broken_off_can_be_looked_up_after_others(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    async with db.tx(shop.id) as tx:
        broken = await commands.begin_here(tx, full=True)
        await commands.end_scan(tx, broken.id, "failed", "No memory.")
    await scanned(db, shop)
    assert makers.told(await api.get(f"/api/duplicates/scans/{broken.id}"))["error"] == "No memory."
    async with db.tx(shop.id) as tx:
        assert broken.id not in (await commands.begin_here(tx, full=False)).waiting


async def test_a_hub_is_no_key(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    firsts = "Ann Bob Carla Dinh Eve Farid Grace Hugo Iris Jon Kim Leo Mona Nils Olga Paul Quinn Rosa Sven Tara Uwe Vera".split()
    for n, first in enumerate(firsts):
        order: Json = {"name": f"{first} {first * 2}son", "phone": "+1 415 555 0178", "external_id": str(n)}
        await makers.make_order(api, **order)
    assert len(await pairs(api)) > 20
    await scanned(db, shop, full=True)
    assert await pairs(api) == []


async def test_filters_of_the_list(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    a = await person(api, "Ottoline Wojcik", OAK, phone="+1 415 555 0178")
    b = await person(api, "Ottoline Wojcik", OAK, phone="+1 415 555 0178")
    await person(api, "Mary Wojcik", OAK)
    await scanned(db, shop)
    [pair] = await pairs(api, level="automatic")
    assert both(pair) == {a["id"], b["id"]}
    assert len(await pairs(api, level="review")) == 2
    assert len(await pairs(api, customerId=a["id"])) == 2
    assert [both(p) for p in await pairs(api, minScore=pair["score"])] == [{a["id"], b["id"]}]
    assert [both(p) for p in await pairs(api, cluster=a["id"])] == [{a["id"], b["id"]}]
    assert makers.told(await api.get("/api/duplicates?count=true&limit=1"))["total"] == 3


async def test_a_scan_is_a_job_with_progress(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    await person(api, "Ottoline Wojcik", OAK)
    answer = await api.post("/api/duplicates/scan", json={"full": True})
    begun = makers.told(answer, 202)
    assert (begun["status"], answer.headers["location"]) == ("queued", f"/api/duplicates/scans/{begun['id']}")
    # What is queued already does as much.
    assert makers.told(await api.post("/api/duplicates/scan"), 202)["id"] == begun["id"]
    async with db.reader(shop.id) as reader:
        job_id = await reader.value(
            "update job set state = 'running', worker = 'w' where workspace_id = $1 and kind = 'duplicates.scan' returning id"
        )
    await jobs.scan(JobContext(db, shop.id, job_id, "duplicates.scan", "w"))
    done = makers.told(await api.get(f"/api/duplicates/scans/{begun['id']}"))
    assert (done["status"], done["phase"], done["customers"], done["jobId"]) == ("completed", "done", 1, str(job_id))
    assert [one["id"] for one in makers.told(await api.get("/api/duplicates/scans"))["data"]] == [begun["id"]]
    assert NewScan().full is False


def _people(count: int, seed: int) -> list[profiles.Profile]:
    rnd = random.Random(seed)
    words = "ann lee bob ng max kay joe fox ida roe sam poe amy doe".split()
    found: list[profiles.Profile] = []
    for _ in range(count):
        name = " ".join(rnd.choice(words) + str(rnd.randrange(40)) for _ in range(rnd.choice((1, 2, 2, 3))))
        phone = f"+1415555{rnd.randrange(count):04}" if rnd.random() < 0.5 else ""
        email = f"{rnd.choice(words)}{rnd.randrange(count)}@mail.example" if rnd.random() < 0.5 else ""
        place = (
            f"{rnd.randrange(300)} {rnd.choice(words)} st",
            "",
            f"town{rnd.randrange(60)}",
            f"{rnd.randrange(400):05}",
            "US",
        )
        masked = [f"(+1)415*****{rnd.randrange(100):02}"] if rnd.random() < 0.1 else []
        found.append(
            profiles.profile(ids.new(), name, [email] if email else [], [phone] if phone else [], masked, [place])
        )
    return found


async def test_customers_whom_the_planner_does_not_know_yet_are_not_gone_through_for_each_of_them(
    db: Database, shop: Workspace
) -> None:
    bounds = UUID(int=0), UUID(int=2**128 - 1)
    async with db.snapshot(shop.id) as reader:
        await reader.value(scanning.UNHURRIED)
        await reader.value(scanning.BY_HASHING)
        plan = "\n".join(await reader.column(f"explain {scanning.CHANGED}", *bounds, False, ids.new()))
    assert "Join" in plan
    assert "Nested Loop" not in plan


async def test_postgresql_compares_whom_python_would_over_ten_thousand_people(db: Database, shop: Workspace) -> None:
    people = _people(10_000, 3)
    scan_id = ids.new()
    rows = [(p.id, 1, _json(p), "\x1f".join(["first:x"]), "\x1f".join(blocking.keys(p))) for p in people]
    async with db.tx(shop.id) as tx:
        await tx.many(scanning.KEEP, rows, scan_id)
        await scanning.count_terms(tx)
    wanted = {frozenset((people[a].id, people[b].id)) for a, b in blocking.pairs(people)}
    assert len(wanted) > 5_000
    # In memory, and of those only who are new, by PostgreSQL.
    async with db.snapshot(shop.id) as reader:
        await reader.value(scanning.UNHURRIED)
        for told in (scanning.shared(reader), scanning.shared_with_changed(reader, [scan_id])):
            found = [
                frozenset((UUID(str(a)), UUID(str(b))))
                async for ones, others in told
                for a, b in zip(ones, others, strict=True)
            ]
            assert len(found) == len(set(found))
            assert set(found) == wanted
        none = [both async for both in scanning.shared_with_changed(reader, [ids.new()])]
    assert none == []


def _json(p: profiles.Profile) -> str:

    return msgspec.json.encode(p).decode()
