"""Pairs as they come, and what people do about them."""

import asyncio

import httpx
import pytest

from supover.customers.events import CustomersAdded
from supover.duplicates import commands, jobs, noticing, queries
from supover.duplicates.model import SettingsChange
from supover.kit import ids
from supover.kit.db import Database
from supover.kit.events import publish
from supover.kit.jobs import JobContext
from supover.kit.problems import Stale
from tests import makers
from tests.duplicates.scans import both, pairs, scanned
from tests.makers import Json, Workspace

PHONE = "+1 415 555 0178"
KEY = "+14155550178"
OTHER = "+14155550179"
HUB = "+14155550180"


async def test_a_new_customer_with_the_phone_of_another_is_a_pair_at_once(api: httpx.AsyncClient) -> None:
    a = await makers.make_customer(api, name="James Wojcik", phone=PHONE)
    b = await makers.make_customer(api, name="Jim Wojcik", phone="(415) 555-0178", country="US")
    [pair] = await pairs(api)
    assert (both(pair), pair["level"]) == ({a["id"], b["id"]}, "automatic")
    assert pair["reasons"] == ["same phone", "first names go together"]
    c = await makers.make_customer(api, name="Mary Wojcik", phone=PHONE)
    assert {p["level"] for p in await pairs(api, customerId=c["id"])} == {"review"}


async def test_a_changed_contact_is_seen_as_a_new_one(api: httpx.AsyncClient) -> None:
    a = await makers.make_customer(api, name="James Wojcik", email="james.wojcik@gmail.com")
    b = await makers.make_customer(api, name="James Wojcik", email="other@mail.example")
    assert await pairs(api) == []
    makers.told(await api.patch(f"/api/customers/{b['id']}", json={"email": "jameswojcik+shop@gmail.com"}))
    [pair] = await pairs(api)
    assert (both(pair), pair["level"], pair["reasons"][0]) == ({a["id"], b["id"]}, "automatic", "same email")


async def test_contacts_that_are_nobodys_own_never_make_a_pair(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    for email, phone in (
        ("abc@marketplace.amazon.com", "(+1)415*****78"),
        ("noemail@noemail.com", "0000000000"),
    ):
        for n in range(2):
            order: Json = {"name": f"Ann Lee{n}", "email": email, "phone": phone, "external_id": f"{email}-{n}"}
            await makers.make_order(api, **order)
    await scanned(db, shop)
    assert await pairs(api) == []


async def test_an_order_of_another_first_name_is_a_pair_for_review(api: httpx.AsyncClient) -> None:
    await makers.make_customer(api, name="James Wojcik", phone=PHONE)
    await makers.make_order(api, name="Mary Wojcik", phone=PHONE, external_id="1")
    [pair] = await pairs(api)
    assert pair["level"] == "review"


async def _add(db: Database, shop: Workspace, *people: tuple[str, str | None, str | None]) -> list[str]:
    """Customers of a file in one transaction: name, phone, email. Returns their ids."""
    made = [ids.new() for _ in people]
    async with db.tx(shop.id, origin="import") as tx:
        await tx.run(
            "insert into customer (workspace_id, id, source, name) "
            "select $1, n.id, 'IMPORT', n.name from unnest($2::uuid[], $3::text[]) as n (id, name)",
            made,
            [name for name, *_ in people],
        )
        for kind, keys in (("phone", [one[1] for one in people]), ("email", [one[2] for one in people])):
            await tx.run(
                "insert into customer_identity (workspace_id, id, customer_id, kind, value, key, quality, matched_by) "
                "select $1, gen_random_uuid(), n.id, $2, n.key, n.key, 'real', 'import' "
                "from unnest($3::uuid[], $4::text[]) as n (id, key) where n.key is not null",
                kind,
                made,
                keys,
            )
        await publish(tx, [CustomersAdded(customer_ids=made)])
    return [str(id) for id in made]


async def _notice(db: Database, shop: Workspace) -> None:
    """The queued job, once."""
    async with db.reader(shop.id) as reader:
        [job_id] = await reader.column(
            "update job set state = 'running', worker = 'w' "
            "where workspace_id = $1 and kind = 'duplicates.notice' and state = 'queued' returning id"
        )
    await jobs.notice(JobContext(db, shop.id, job_id, "duplicates.notice", "w"))


async def test_a_small_file_brings_pairs_at_once(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    a = await makers.make_customer(api, name="James Wojcik", phone=PHONE)
    [b] = await _add(db, shop, ("J Wojcik", KEY, None))
    [pair] = await pairs(api)
    assert (both(pair), pair["level"]) == ({a["id"], b}, "automatic")


async def test_large_files_bring_pairs_once_they_are_in(
    api: httpx.AsyncClient, db: Database, shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noticing, "AT_ONCE", 2)
    email = "jameswojcik@gmail.com"
    a = await makers.make_customer(api, name="James Wojcik", phone=PHONE, email=email)
    b = await makers.make_customer(api, name="J Wojcik", phone=PHONE)
    [pair] = await pairs(api)
    makers.told(await api.post(f"/api/duplicates/{pair['id']}/dismiss"))
    run = ids.new()
    async with db.tx(shop.id) as tx:
        await tx.run(
            "insert into import_run (workspace_id, id, kind, actor, file_name, file_hash, options, status) "
            "values ($1, $2, 'customers', 'cli', 'a.csv', 'x', '{}', 'running')",
            run,
        )
    # Five of one phone, over two parts of the file: each goes with who has it longest. Twenty-one of another: nobody's own.
    c, d, *_ = await _add(db, shop, ("James W", KEY, email), ("Mary", KEY, None), *[("Ann", HUB, None)] * 11)
    e, *_ = await _add(db, shop, ("Jim Wojcik", KEY, None), ("Zoe", OTHER, None), *[("Ann", HUB, None)] * 10)
    await _notice(db, shop)
    assert await pairs(api) == [], "while a file is being taken in it waits"
    async with db.tx(shop.id) as tx:
        await tx.run("update import_run set status = 'completed' where workspace_id = $1 and id = $2", run)
    await _notice(db, shop)
    told = {frozenset(both(p)): (p["level"], p["reasons"]) for p in await pairs(api)}
    assert told == {
        frozenset((a["id"], c)): ("automatic", ["same email", "same phone", "first names go together"]),
        frozenset((a["id"], d)): ("review", ["same phone", "first names do not go together"]),
        frozenset((a["id"], e)): ("automatic", ["same phone", "first names go together"]),
    }
    assert [both(p) for p in await pairs(api, status="dismissed")] == [{a["id"], b["id"]}]
    await _add(db, shop, *[("Nobody", None, None)] * 3)
    await _notice(db, shop)
    assert len(await pairs(api)) == 3
    async with db.reader(shop.id) as reader:
        assert await reader.value("select count(*) from duplicate_due where workspace_id = $1") == 0


async def _pair(api: httpx.AsyncClient) -> tuple[Json, Json, Json]:
    a = await makers.make_customer(api, name="James Wojcik", phone=PHONE)
    b = await makers.make_customer(api, name="Jim Wojcik", phone=PHONE, email="jim@mail.example")
    [pair] = await pairs(api)
    return a, b, pair


async def test_to_accept_is_to_merge_and_can_be_undone(api: httpx.AsyncClient) -> None:
    a, b, pair = await _pair(api)
    x = await makers.make_customer(api, name="Mary Wojcik", phone=PHONE)
    done = makers.told(await api.post(f"/api/duplicates/{pair['id']}/accept", json={"primaryId": a["id"]}))
    assert (done["status"], done["decidedBy"]) == ("merged", "A key")
    assert makers.told(await api.get(f"/api/customers/{a['id']}"))["email"] == "jim@mail.example"
    assert (await api.get(f"/api/customers/{b['id']}")).status_code == 308
    # Whom either was like, the survivor is.
    assert [both(p) for p in await pairs(api)] == [{a["id"], x["id"]}]
    answer = await api.post(f"/api/duplicates/{pair['id']}/accept")
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (409, "pair-decided")
    makers.told(await api.post(f"/api/merges/{done['mergeId']}/undo"))
    assert {frozenset(both(p)) for p in await pairs(api)} == {
        frozenset({a["id"], b["id"]}),
        frozenset({a["id"], x["id"]}),
        frozenset({b["id"], x["id"]}),
    }


async def test_a_dismissal_outlives_a_merge_and_its_undo(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    a, b, pair = await _pair(api)
    x = await makers.make_customer(api, name="J Wojcik", phone=PHONE)
    by = {frozenset(both(one)): one for one in await pairs(api)}
    no, open_ = by[frozenset((b["id"], x["id"]))], by[frozenset((a["id"], x["id"]))]
    makers.told(await api.post(f"/api/duplicates/{no['id']}/dismiss", json={"note": "cousins"}))
    done = makers.told(await api.post(f"/api/duplicates/{pair['id']}/accept", json={"primaryId": a["id"]}))
    vetoed = makers.told(await api.get(f"/api/duplicates/{open_['id']}"))
    assert (vetoed["status"], vetoed["note"]) == ("dismissed", "cousins")
    makers.told(await api.patch("/api/duplicates/settings", json={"automaticMerging": True}))
    async with db.tx(shop.id) as tx:
        assert await commands.mergeable(tx) == []
    makers.told(await api.post(f"/api/merges/{done['mergeId']}/undo"))
    assert {one["id"] for one in await pairs(api)} == {pair["id"], open_["id"]}
    assert [one["id"] for one in await pairs(api, status="dismissed")] == [no["id"]]
    assert makers.told(await api.get(f"/api/duplicates/{open_['id']}"))["note"] is None


async def test_a_shops_own_phone_is_nobodys_however_it_is_written(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    made = await _add(db, shop, *[("Ann", None, None)] * 25)
    async with db.tx(shop.id) as tx:
        for spelling in ("x", "y", "z"):
            await tx.run(
                "insert into customer_identity (workspace_id, id, customer_id, kind, value, key, quality, matched_by) "
                "select $1, gen_random_uuid(), n.id, 'phone', $3, $4, 'real', 'import' from unnest($2::uuid[]) as n (id)",
                made,
                spelling,
                KEY,
            )
    await makers.make_customer(api, name="Ann Lee", phone=PHONE)
    assert await pairs(api) == []


async def test_of_two_who_change_the_same_settings_one_is_told(db: Database, shop: Workspace) -> None:
    async with db.tx(shop.id) as first, db.tx(shop.id) as second:
        assert (await queries.settings(second)).version == 0
        await commands.change_settings(first, SettingsChange(nightly_scan=False), version=0)
        waits = asyncio.create_task(commands.change_settings(second, SettingsChange(automatic_merging=True), version=0))
        await asyncio.sleep(0.2)
        await first._con.execute("commit; begin")  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(Stale):
            await waits


async def test_who_has_ordered_more_stays(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    a, b, pair = await _pair(api)
    await makers.make_order(api, b)
    await makers.settle(db, shop)
    makers.told(await api.post(f"/api/duplicates/{pair['id']}/accept"))
    assert makers.told(await api.get(f"/api/customers/{b['id']}"))["name"] == "Jim Wojcik"
    assert (await api.get(f"/api/customers/{a['id']}")).status_code == 308


async def test_dismissed_pairs_are_not_accepted_and_stay_so_when_contacts_come_again(api: httpx.AsyncClient) -> None:
    _, b, pair = await _pair(api)
    makers.told(await api.post(f"/api/duplicates/{pair['id']}/dismiss", json={"note": "cousins"}))
    assert (await api.post(f"/api/duplicates/{pair['id']}/accept")).status_code == 409
    makers.told(await api.patch(f"/api/customers/{b['id']}", json={"phone": "+1 212 555 0100"}))
    makers.told(await api.patch(f"/api/customers/{b['id']}", json={"phone": PHONE}))
    assert await pairs(api) == []
    stale = {"If-Match": '"1"'}
    assert (await api.post(f"/api/duplicates/{pair['id']}/reopen", headers=stale)).status_code == 412
    assert makers.told(await api.post(f"/api/duplicates/{pair['id']}/reopen"))["level"] == "automatic"


async def test_nothing_is_merged_by_itself_unless_somebody_turned_that_on(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    a, b, _ = await _pair(api)
    wife = await makers.make_customer(api, name="Mary Wojcik", phone=PHONE)
    await scanned(db, shop)
    async with db.tx(shop.id) as tx:
        assert await commands.mergeable(tx) == []
    settings = makers.told(await api.get("/api/duplicates/settings"))
    assert (settings["automaticMerging"], settings["nightlyScan"]) == (False, True)
    turned = makers.told(await api.patch("/api/duplicates/settings", json={"automaticMerging": True}))
    assert turned["automaticMerging"] is True
    async with db.reader(shop.id) as reader:
        job_id = await reader.value(
            "update job set state = 'running', worker = 'w' where workspace_id = $1 and kind = 'duplicates.merge' returning id"
        )
    await jobs.merge(JobContext(db, shop.id, job_id, "duplicates.merge", "w"))
    assert (await api.get(f"/api/customers/{b['id']}")).status_code == 308
    assert makers.told(await api.get(f"/api/customers/{wife['id']}"))["name"] == "Mary Wojcik"
    [merge] = makers.told(await api.get(f"/api/merges?customerId={a['id']}"))["data"]
    makers.told(await api.post(f"/api/merges/{merge['id']}/undo"))
    # What somebody has taken apart is not put together again.
    async with db.tx(shop.id) as tx:
        assert await commands.mergeable(tx) == []
    assert len(await pairs(api, level="automatic")) == 1


async def test_who_is_split_is_not_asked_about_again(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    a = await makers.make_customer(api, name="Ann Lee", phone=PHONE)
    order = await makers.make_order(api, a, name="Ann Lee")
    split = makers.told(await api.post(f"/api/customers/{a['id']}/split", json={"orderIds": [order["id"]]}), 201)
    [pair] = await pairs(api, status="dismissed")
    assert both(pair) == {a["id"], split["customer"]["id"]}
    await scanned(db, shop)
    assert await pairs(api) == []


async def test_reading_deciding_and_merging_are_three_permissions(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    _, _, pair = await _pair(api)
    path = f"/api/duplicates/{pair['id']}"
    for scopes, allowed in (
        (["customers:read"], [200, 403, 403, 403]),
        (["duplicates:write"], [200, 403, 403, 202]),
        (["customers:merge", "customers:read"], [200, 403, 403, 403]),
    ):
        async with makers.client(db, await makers.make_key(db, shop.id, *scopes)) as other:
            found = [
                (await other.get(path)).status_code,
                (await other.patch("/api/duplicates/settings", json={"nightlyScan": False})).status_code,
                (await other.post(f"{path}/accept", json={"primaryId": pair["a"]["id"]})).status_code
                if "customers:merge" not in scopes
                else 403,
                (await other.post("/api/duplicates/scan")).status_code,
            ]
        assert found == allowed


async def test_what_cannot_be_found_says_so(api: httpx.AsyncClient) -> None:
    nobody = ids.new()
    for path in (f"/api/duplicates/{nobody}", f"/api/duplicates/clusters/{nobody}", f"/api/duplicates/scans/{nobody}"):
        assert (await api.get(path)).status_code == 404
    _, _, pair = await _pair(api)
    answer = await api.post(f"/api/duplicates/{pair['id']}/accept", json={"primaryId": str(nobody)})
    assert makers.pointers(answer) == ["/primaryId"]
