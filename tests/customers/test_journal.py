"""The journal of great acts: what undoing one sets back, and what it leaves to whoever came after."""

from datetime import UTC, date, datetime
from typing import Any, get_args
from uuid import UUID

import asyncpg
import httpx
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from supover.customers import journal, many, rules
from supover.customers.many import Held
from supover.customers.model import Profile, Status
from supover.kit import ids, text
from supover.kit.db import Database, json_bytes
from tests.customers.arrange import dump
from tests.makers import Workspace, logged, make_customer, told

ID = UUID(int=7)
AT = datetime(2026, 1, 31, 12, 30, 15, 123456, tzinfo=UTC)

# --- the pure rule -------------------------------------------------------------------------------------------------------

words = st.sampled_from(["Ann", "Bea", "Özil", "x" * 30])
maybe = st.none() | words
tags = st.lists(st.sampled_from(["VIP", "new", "a,b", "Größe", "old", "x;y"]), unique=True, max_size=6)
json_values = st.one_of(
    st.booleans(), st.integers(-5, 5), st.floats(-1, 1, allow_nan=False), words, st.lists(words, max_size=2)
)
custom = st.dictionaries(st.sampled_from(["size", "card", "since"]), json_values, max_size=3)


@st.composite
def customers(draw: st.DrawFn) -> Held:
    """A customer as commands leave one behind."""
    status: Status = draw(st.sampled_from(get_args(Status)))
    phone, country = (
        draw(st.none() | st.sampled_from(["+49 151 1234567", "0151 1234567"])),
        draw(st.none() | st.just("DE")),
    )
    profile = Profile(
        source=draw(st.sampled_from(["API", "SHOPIFY"])),
        external_id=draw(maybe),
        email=draw(st.none() | st.sampled_from(["ann@example.com", "Bea@example.com"])),
        name=draw(words),
        phone=phone,
        phone_e164=None if phone is None else text.phone_e164(phone, country),
        date_of_birth=draw(st.none() | st.dates(date(1900, 1, 1), date(2020, 1, 1))),
        gender=draw(maybe),
        status=status,
        country=country,
        tags=draw(tags),
        custom_fields=draw(custom),
    )
    before: Status | None = draw(st.sampled_from(get_args(Status)[:2])) if status == "BLOCKED" else None
    return Held(ID, profile, before, draw(st.none() | st.just(AT)))


def as_stored(changes: dict[str, Any]) -> dict[str, Any]:
    return msgspec.json.decode(json_bytes(changes))


@given(customers(), customers())
def test_undoing_an_act_that_nobody_touched_since_leaves_what_was(old: Held, new: Held) -> None:
    assert journal.undone(new, as_stored(journal.changes_of(old, new))) == (old, [])


@given(customers(), customers())
def test_undoing_what_is_undone_changes_nothing(old: Held, new: Held) -> None:
    assert journal.undone(old, as_stored(journal.changes_of(old, new)))[0] == old


@given(customers(), customers(), customers())
def test_what_others_changed_since_stays_and_is_told(old: Held, new: Held, now: Held) -> None:
    changes = as_stored(journal.changes_of(old, new))
    back, kept = journal.undone(now, changes)
    for name, field in {"name": "name", "email": "email", "gender": "gender", "country": "country"}.items():
        was, then, seen = (getattr(one.profile, field) for one in (old, new, now))
        if name not in changes:
            assert getattr(back.profile, field) == seen
        elif seen == then:
            assert getattr(back.profile, field) == was
        else:
            assert getattr(back.profile, field) == seen
            assert (name in kept) == (seen != was)
    by_act = set(new.profile.tags) - set(old.profile.tags)
    taken = set(old.profile.tags) - set(new.profile.tags)
    if "tags" in changes:
        assert set(back.profile.tags) == (set(now.profile.tags) - by_act) | taken
    assert rules.distinct(back.profile.tags) == list(back.profile.tags)


def test_tags_that_others_added_stay_and_those_that_the_act_removed_come_back() -> None:
    old, new = (Held(ID, Profile(source="API", name="Ann", tags=tags)) for tags in (["a", "b"], ["a", "VIP"]))
    now = Held(ID, Profile(source="API", name="Ann", tags=["a", "VIP", "theirs"]))
    back, kept = journal.undone(now, journal.changes_of(old, new))
    assert (list(back.profile.tags), kept) == (["a", "theirs", "b"], [])


def test_nobody_is_left_without_anything_to_know_them_by() -> None:
    old, new = (Held(ID, Profile(source="API", name=name, email="ann@example.com")) for name in (None, "Ann"))
    now = Held(ID, Profile(source="API", name="Ann"))
    assert journal.undone(now, journal.changes_of(old, new)) == (now, ["name"])


def test_a_merged_customer_is_left_alone() -> None:
    old, new = (Held(ID, Profile(source="API", name=name)) for name in ("Ann", "Bea"))
    now = msgspec.structs.replace(new, merged_into_id=UUID(int=8))
    assert journal.undone(now, journal.changes_of(old, new)) == (now, ["name"])


# --- with the database ---------------------------------------------------------------------------------------------------


async def act(db: Database, shop: Workspace, new: dict[str, Any]) -> UUID:
    """Makes of customers (id → what differs) what they are to be, as an act does; returns the act."""
    act_id = ids.new()
    async with db.tx(shop.id) as tx:
        held = await many.hold(tx, [UUID(id) for id in new], contacts_too=True)
        definitions = await many.known_definitions(tx)
        pairs = [(one, _changed(one, new[str(one.id)])) for one in held]
        assert await many.clashes(tx, pairs, definitions) == {}
        await journal.keep(tx, act_id, pairs)
        await many.store(tx, pairs, definitions)
    return act_id


def _changed(one: Held, fields: dict[str, Any]) -> Held:
    deleted_at = fields.pop("deleted_at", one.deleted_at)
    profile = rules.with_phone(msgspec.structs.replace(one.profile, **fields))
    before = rules.status_to_return_to(one.profile.status, profile.status, one.status_before_block)
    return msgspec.structs.replace(one, profile=profile, deleted_at=deleted_at, status_before_block=before)


async def undo(db: Database, shop: Workspace, act_id: UUID, limit: int = 100) -> journal.Undone:
    async with db.tx(shop.id) as tx:
        return await journal.undo(tx, act_id, limit)


async def test_everything_goes_back_as_it_was_to_the_letter(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    told(await api.post("/api/custom-fields", json={"key": "card", "type": "text", "isUnique": True}), 201)
    ann = await make_customer(
        api, name="Ann", email="ann@example.com", phone="0151 1234567", country="DE", external_id="a1",
        tags=["one", "two", "three"], custom_fields={"card": "A", "size": 5, "big": 12345678901234567}, gender="f",
        date_of_birth="1990-02-28", status="VIP",
    )  # fmt: skip
    bea = await make_customer(api, name="Bea", email="bea@example.com", custom_fields={"card": "B"})
    before = await dump(owner, shop)
    act_id = await act(
        db,
        shop,
        {
            ann["id"]: {"name": None, "email": "new@example.com", "phone": "+1 650 253 0000", "country": "US",
                        "external_id": "a2", "tags": ["two"], "custom_fields": {"card": "C", "more": True},
                        "gender": None, "date_of_birth": date(1991, 1, 1), "status": "BLOCKED"},
            bea["id"]: {"deleted_at": AT},
        },
    )  # fmt: skip
    assert await dump(owner, shop) != before
    found = await undo(db, shop, act_id)
    assert (found.done, found.changed, found.kept, found.left) == (2, 2, [], False)
    assert await dump(owner, shop) == before
    assert (await undo(db, shop, act_id)).done == 0


async def test_it_goes_on_where_it_stood(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    made = [await make_customer(api, name=f"Ann {n}") for n in range(5)]
    before = await dump(owner, shop)
    act_id = await act(db, shop, {c["id"]: {"tags": ["VIP"]} for c in made})
    steps = [await undo(db, shop, act_id, limit=2) for _ in range(3)]
    assert [(s.done, s.left) for s in steps] == [(2, True), (2, True), (1, False)]
    assert await dump(owner, shop) == before


async def test_an_email_that_somebody_has_meanwhile_stays_theirs(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(api, name="Ann", email="ann@example.com")
    act_id = await act(db, shop, {ann["id"]: {"email": "new@example.com", "name": "Anna"}})
    await make_customer(api, name="Other", email="ANN@example.com")
    found = await undo(db, shop, act_id)
    assert [(str(k.customer_id), list(k.fields)) for k in found.kept] == [(ann["id"], ["email"])]
    now = told(await api.get(f"/api/customers/{ann['id']}"))
    assert (now["email"], now["name"]) == ("new@example.com", "Ann")


async def test_who_cannot_come_back_stays_deleted_and_is_told(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(api, name="Ann", email="ann@example.com")
    act_id = await act(db, shop, {ann["id"]: {"deleted_at": AT}})
    await make_customer(api, name="Other", email="ann@example.com")
    found = await undo(db, shop, act_id)
    assert [list(k.fields) for k in found.kept] == [["deletedAt"]]
    async with db.reader(shop.id) as reader:
        [kept] = await journal.kept_of(reader, act_id, UUID(int=0), 10)
    assert (str(kept.customer_id), list(kept.fields)) == (ann["id"], ["deletedAt"])
    told(await api.get(f"/api/customers/{ann['id']}"), 404)


async def test_a_unique_value_that_somebody_has_meanwhile_stays_theirs(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    told(await api.post("/api/custom-fields", json={"key": "card", "type": "text", "isUnique": True}), 201)
    ann = await make_customer(api, name="Ann", custom_fields={"card": "A", "size": 1})
    act_id = await act(db, shop, {ann["id"]: {"custom_fields": {"card": "B", "size": 2}}})
    await make_customer(api, name="Other", custom_fields={"card": "a"})
    found = await undo(db, shop, act_id)
    assert [list(k.fields) for k in found.kept] == [["customFields.card"]]
    assert told(await api.get(f"/api/customers/{ann['id']}"))["customFields"] == {"card": "B", "size": 1}


async def test_the_house_is_told_as_when_a_person_edits(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api, name="Ann", tags=["old"])
    act_id = await act(db, shop, {ann["id"]: {"status": "BLOCKED", "tags": ["new"]}})
    await undo(db, shop, act_id)
    assert await logged(db, shop, "CustomerChanged") == [
        {"changes": {"status": ["ACTIVE", "BLOCKED"], "tags": [["old"], ["new"]]}},
        {"changes": {"status": ["BLOCKED", "ACTIVE"], "tags": [["new"], ["old"]]}},
    ]
    assert len(await logged(db, shop, "CustomerBlocked")) == len(await logged(db, shop, "CustomerUnblocked")) == 1
    assert await logged(db, shop, "CustomerTagged") == [{"tags": ["new"]}, {"tags": ["old"]}]
    assert told(await api.get(f"/api/customers/{ann['id']}"))["version"] == 3


async def test_a_second_change_by_one_act_is_joined_to_the_first(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    ann = await make_customer(api, name="Ann")
    before = await dump(owner, shop)
    act_id = ids.new()
    for name, gender in (("Bea", None), ("Cea", "f")):
        async with db.tx(shop.id) as tx:
            [held] = await many.hold(tx, [UUID(ann["id"])], contacts_too=False)
            new = _changed(held, {"name": name, "gender": gender})
            await journal.keep(tx, act_id, [(held, new)])
            await many.store(tx, [(held, new)], await many.known_definitions(tx))
    found = await undo(db, shop, act_id)
    assert found.kept == []
    assert await dump(owner, shop) == before


async def test_what_is_old_is_forgotten(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api, name="Ann")
    await act(db, shop, {ann["id"]: {"name": "Bea"}})
    kept = await act(db, shop, {ann["id"]: {"name": "Cea"}})
    async with db.tx(shop.id) as tx:
        before = ids_at(kept)
        assert await journal.forget(tx, before, 10) == 1
        assert await journal.forget(tx, before, 10) == 0
    assert (await undo(db, shop, kept)).done == 1


def ids_at(id: UUID) -> datetime:
    return datetime.fromtimestamp((id.int >> 80) / 1000, UTC)
