"""Erasing one person touches nobody else's rows, whatever they share; a restore does not bring anybody back."""

import random
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
import pytest

from supover.customers.model import CustomerErased
from supover.kit import storage
from supover.kit.db import Database
from supover.kit.problems import Invalid
from supover.privacy import queries, replaying
from tests.makers import Json, Workspace, make_address, make_customer, make_order, settle, told
from tests.privacy.arrange import CANARIES, ask, dump, make_others, make_somebody, mentions, work

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

MOVING = frozenset(
    {
        "job",
        "customer_stale",
        "segment_stale",
        "suppression_key",
        "segment",
        "segment_day",
        "tag_count",
        "custom_field_stamp",
    }
)
"""Queues, marks and counts, which change by themselves."""


async def _act(api: httpx.AsyncClient, chance: random.Random, people: list[Json], n: int) -> None:
    """Something that happens in a shop; much of it is shared, and much is not there at all."""
    somebody = chance.choice(people) if people else None
    name = chance.choice(["Ann Lee", "Bo Day", "Cy Fox", None])
    email = chance.choice([None, f"p{chance.randrange(6)}@mail.example"])
    phone = chance.choice([None, "+49 30 555 12 34", f"+49 151 1234567{chance.randrange(4)}"])
    place = chance.choice([None, {"line1": "Torstr. 1", "city": "Berlin", "postalCode": "10119", "country": "DE"}])
    match chance.randrange(7):
        case 0 | 1:
            fields = {"name": name or "X", "phone": phone, "tags": ["a tag"], "customFields": {"size": n}}
            people.append(
                await make_customer(api, **fields, email=f"own{n}@mail.example" if chance.random() < 0.5 else None)
            )
        case 2 | 3:
            told_of = {"email": email, "name": name, "phone": phone, "shipping_address": place}
            note = chance.choice([None, "a note"])
            lines = [{"title": "Pen", "properties": {"n": n}}]
            source = chance.choice(["API", "SHOPIFY"])
            whose = chance.choice([None, somebody])
            await make_order(api, whose, external_id=f"x-{n}", source=source, note=note, lines=lines, **told_of)
        case 4 if somebody:
            await make_address(api, somebody, line1=chance.choice(["Torstr. 1", f"Lane {n}"]), phone=phone)
        case 5 if somebody:
            told(await api.post(f"/api/customers/{somebody['id']}/notes", json={"note": f"note {n} of Ann Lee"}), 201)
        case 6 if somebody:
            told(await api.patch(f"/api/customers/{somebody['id']}", json={"gender": chance.choice(["x", None])}))
        case _:
            pass


@pytest.mark.parametrize("seed", range(8))
async def test_rows_of_others_are_the_same_to_the_byte(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient, seed: int
) -> None:
    chance = random.Random(seed)
    people: list[Json] = [await make_customer(api, name="Ann Lee", phone="+49 30 555 12 34")]
    for n in range(40):
        if n % 10 == 9 and people:
            await work(db, owner, shop)
            await settle(db, shop)
            target = people.pop(chance.randrange(len(people)))
            async with db.reader(shop.id) as reader:
                own = [str(id) for id in (await queries.person(reader, [UUID(target["id"])])).own]
            before = await dump(owner, shop.id)
            request = await ask(api, target)
            await work(db, owner, shop, "privacy.%")
            assert told(await api.get(f"/api/privacy/requests/{request['id']}"))["status"] == "completed"
            after = await dump(owner, shop.id)
            lost = {
                table: gone
                for table, rows in before.items()
                if table not in MOVING
                and (gone := [r for r in set(rows) - set(after[table]) if not any(id in r for id in own)])
            }
            assert lost == {}, f"seed {seed}"
            assert {t: len(rows) for t, rows in before.items() if t == "order"} == {"order": len(after["order"])}
        await _act(api, chance, people, n)


async def test_whoever_was_erased_is_erased_again_after_a_restore(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient, folder: Path
) -> None:
    zoe = await make_somebody(api)
    others = await make_others(api)
    tables = [row[0] for row in await owner.fetch(TABLES)]
    for table in tables:
        await owner.execute(
            f'create temporary table "was_{table}" as select * from data."{table}" where workspace_id = $1', shop.id
        )
    await ask(api, zoe)
    await work(db, owner, shop)
    kept = [line async for line in replaying.lines(db, shop.id)]
    assert not any(text.encode() in line.lower() for line in kept for text in CANARIES)
    await _restore(owner, shop, tables)
    assert told(await api.get(f"/api/customers/{zoe['id']}"))["email"]
    done = await replaying.replay(db, shop.id, storage.of(folder.as_uri()), kept, lambda _: None)
    assert (done.lines, done.customers) == (1, 1)
    assert mentions(await dump(owner, shop.id)) == []
    await make_order(
        api, external_id="late", email="zoe.quillfeather@mail-of-zoe.example", placed_at="2026-01-01T00:00:00Z"
    )
    assert mentions(await dump(owner, shop.id)) == []
    assert told(await api.get(f"/api/customers/{others[0]['id']}"))["email"] == "other@person.example"
    again = await replaying.replay(db, shop.id, storage.of(folder.as_uri()), kept, lambda _: None)
    assert (again.customers, again.contacts) == (0, 0)


TABLES = """
    select c.relname from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attname = 'workspace_id'
     where c.relnamespace = 'data'::regnamespace and c.relkind = 'r' and c.relname not in ('workspace', 'api_key', 'throttle')"""


async def _restore(owner: "Connection", shop: Workspace, tables: list[str]) -> None:
    """Puts a workspace back to what it was, as a restored backup does."""
    async with owner.transaction():
        await owner.execute("set local session_replication_role = replica")
        for table in tables:
            columns = await owner.fetchval(
                """select string_agg(quote_ident(attname), ', ') from pg_attribute
                    where attrelid = format('data.%I', $1::text)::regclass and attnum > 0 and not attisdropped and attgenerated = ''""",
                table,
            )
            await owner.execute(f'delete from data."{table}" where workspace_id = $1', shop.id)
            await owner.execute(
                f'insert into data."{table}" ({columns}) overriding system value select {columns} from "was_{table}"'
            )


async def test_a_list_of_another_workspace_is_refused(db: Database, shop: Workspace, folder: Path) -> None:
    line = b'{"workspaceId": "00000000-0000-7000-8000-000000000001", "key": null}'
    with pytest.raises(Invalid):
        await replaying.replay(db, shop.id, storage.of(folder.as_uri()), [line], lambda _: None)
    with pytest.raises(Invalid):
        await replaying.replay(db, shop.id, storage.of(folder.as_uri()), [], lambda _: None)
    assert CustomerErased.status == 409
