"""The ledger against a replay of its entries in plain Python, and files that may unsubscribe and never subscribe."""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import asyncpg
import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supover import settings as configuration
from supover.channels import sealing
from supover.consent import commands, queries, suppressions
from supover.consent.model import (
    ConsentChannel,
    ConsentTopic,
    ContactsSealed,
    Entry,
    MaySend,
    OptInLevel,
    Policy,
    Preference,
    Said,
)
from supover.customers import hashing
from supover.kit import ids
from supover.kit.db import Database
from supover.kit.sql import page
from tests.consent.test_preferences import api_get, choose, path_of, stated
from tests.makers import Json, Workspace, client, make_customer, make_workspace, told

T0 = datetime(2026, 1, 1, tzinfo=UTC)
STRICTNESS = ["NOT_SUBSCRIBED", "SUBSCRIBED", "PENDING", "UNSUBSCRIBED"]
CLAIMS = ["CONFIRMED_OPT_IN", "SINGLE_OPT_IN", "UNKNOWN"]
CHANNELS: tuple[ConsentChannel, ...] = ("email", "sms")
TOPICS: tuple[ConsentTopic, ...] = ("marketing", "transactional")

# --- the replay ----------------------------------------------------------------------------------------------------------


class Word(msgspec.Struct, frozen=True):
    """Something that one of three customers said, `day` None: without a time.

    On odd days they said it of a contact that is not their own. It goes by the day, since the same word of one time is one.
    """

    who: int
    channel: ConsentChannel
    topic: ConsentTopic
    state: Said
    level: OptInLevel
    day: int | None
    source: str | None
    policy: Literal["direct", "channel", "import", "migration"]

    @property
    def of_other(self) -> bool:
        return self.day is not None and self.day % 2 == 1


def _told_by(word: Word) -> str | None:
    """A channel says what it is about, and what it knows no contact for is of none; else it is the customer's own."""
    if word.policy != "channel" or word.channel == "post":
        return None
    return PEOPLE[word.who].get("email" if word.channel == "email" else "phone")


def words(*policies: str) -> st.SearchStrategy[list[Word]]:
    return st.lists(
        st.builds(
            Word,
            who=st.integers(0, 2),
            channel=st.sampled_from(CHANNELS),
            topic=st.sampled_from(TOPICS),
            state=st.sampled_from(["SUBSCRIBED", "PENDING", "UNSUBSCRIBED"]),
            level=st.sampled_from(CLAIMS),
            day=st.one_of(st.none(), st.integers(0, 4)),
            source=st.sampled_from([None, "form"]),
            policy=st.sampled_from(policies),
        ),
        min_size=1,
        max_size=14,
    )


# The first two have one mailbox, each a phone of their own; the third has another mailbox and no phone.
PEOPLE: tuple[Json, ...] = (
    {"name": "Ann", "email": "ann@lee.example", "phone": "+15035550101"},
    {"name": "Ann too", "email": "ann+2@lee.example", "phone": "+15035550102"},
    {"name": "Cy", "email": "cy@lee.example"},
)
CONTACTS = ({"email": "ann", "sms": "p0"}, {"email": "ann", "sms": "p1"}, {"email": "cy", "sms": None})
OTHER = {"email": "other@lee.example", "sms": "+15035550109"}
Key = tuple[int, str, str]


class Replay:
    """What the words amount to, by the rules as they are written down, one after another."""

    def __init__(self) -> None:
        self.said: dict[Key, set[tuple[datetime, int, int, str, str, str, str | None]]] = {}
        self.of_contact: dict[tuple[str, str, str], dict[str, datetime]] = {}

    def state(self, key: Key) -> str:
        return max(self.said.get(key, ()), default=(T0, 0, 0, "", "NOT_SUBSCRIBED"))[4]

    def level(self, key: Key) -> str | None:
        """The most that they did for the contact of the last word since they are subscribed; else what the last word says."""
        said = sorted(self.said.get(key, ()), key=lambda one: one[:4])
        if not said:
            return None
        *_, state, level, contact = said[-1]
        if state != "SUBSCRIBED":
            return level
        broken = max((one[0] for one in said if one[4] != "SUBSCRIBED"), default=datetime.min.replace(tzinfo=UTC))
        return min((one[5] for one in said if one[0] > broken and one[6] == contact), key=CLAIMS.index)

    def is_of_own_contact(self, key: Key) -> bool:
        last = max(self.said.get(key, ()), key=lambda one: one[:4], default=None)
        return last is not None and last[6] == CONTACTS[key[0]][key[1]]

    def suppressed(self, contact: str | None, channel: str, topic: str) -> bool:
        said = self.of_contact.get((contact or "", channel, topic), {})
        return "UNSUBSCRIBED" in said and said["UNSUBSCRIBED"] >= said.get(
            "SUBSCRIBED", datetime.min.replace(tzinfo=UTC)
        )

    def hear(self, word: Word, received_at: datetime) -> bool:
        key = (word.who, word.channel, word.topic)
        contact = OTHER[word.channel] if word.of_other else CONTACTS[word.who][word.channel]
        opts_in = word.state in ("SUBSCRIBED", "PENDING")
        if opts_in and contact is None:
            return False
        if opts_in and word.policy in ("import", "migration"):
            if word.policy == "import" or self.state(key) != "NOT_SUBSCRIBED" or word.source is None:
                return False
            if self.suppressed(contact, word.channel, word.topic):
                return False
        at = received_at if word.day is None else T0 + timedelta(days=word.day)
        ranks = STRICTNESS.index(word.state), CLAIMS.index(word.level)
        self.said.setdefault(key, set()).add((at, *ranks, word.source or "", word.state, word.level, contact))
        if contact is not None and word.topic != "transactional" and word.state != "PENDING":
            said = self.of_contact.setdefault((contact, word.channel, word.topic), {})
            said[word.state] = max(at, said.get(word.state, at))
        return True

    def may_send(self, key: Key) -> bool:
        who, channel, topic = key
        contact = CONTACTS[who][channel]
        if contact is None or self.suppressed(contact, channel, topic):
            return False
        if topic == "transactional":
            return self.state(key) != "UNSUBSCRIBED"
        return self.state(key) == "SUBSCRIBED" and self.is_of_own_contact(key)


KEYS = [(who, channel, topic) for who in range(3) for channel in CHANNELS for topic in TOPICS]


class Heard(msgspec.Struct, frozen=True):
    """Where three customers stand when all was said."""

    stated: list[tuple[Any, ...]]
    may: list[bool]
    differences: int


async def heard(db: Database, said: Sequence[tuple[Word, datetime]], together: int) -> Heard:
    """Records words, so many at once, in a shop of their own."""
    shop = await make_workspace(db)
    async with client(db, shop.key) as api:
        people = [UUID((await make_customer(api, **person))["id"]) for person in PEOPLE]
    batch: list[Entry] = []
    policy: Policy = "direct"

    async def flush() -> None:
        async with db.tx(shop.id) as tx:
            await commands.record(tx, batch, policy)
        batch.clear()

    for word, received_at in said:
        if batch and (word.policy != policy or len(batch) >= together):
            await flush()
        policy = word.policy
        at = None if word.day is None else T0 + timedelta(days=word.day)
        batch.append(
            Entry(
                customer_id=people[word.who],
                channel=word.channel,
                topic=word.topic,
                state=word.state,
                opt_in_level=word.level,
                source=word.source,
                at=at,
                received_at=received_at,
                contact=OTHER[word.channel] if word.of_other else _told_by(word),
            )
        )
    await flush()
    async with db.reader(shop.id) as reader:
        stated = [(await queries.find(reader, id)).preferences for id in people]
        answers: dict[Key, MaySend] = {}
        for channel in CHANNELS:
            for topic in TOPICS:
                for who, one in enumerate(await queries.may_send_many(reader, people, channel, topic, T0)):
                    answers[who, channel, topic] = one
        checked, differences = await queries.reconcile(reader)
    assert checked <= len(said)

    def of(key: Key) -> Preference:
        return next(p for p in stated[key[0]] if (p.channel, p.topic) == key[1:])

    shown = [(key, p.state, p.opt_in_level, p.source, p.at, p.contact) for key in KEYS for p in [of(key)]]
    return Heard(shown, [answers[key].allowed for key in KEYS], len(differences))


def run(request: pytest.FixtureRequest, what: Awaitable[Any]) -> None:
    request.getfixturevalue("_session_scoped_runner").run(what)


quick = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], derandomize=True
)


def numbered(said: Sequence[Word]) -> list[tuple[Word, datetime]]:
    return [(word, T0 + timedelta(days=5, minutes=n)) for n, word in enumerate(said)]


@quick
@given(said=words("direct", "channel", "import", "migration"))
def test_where_people_stand_is_a_replay_of_all_that_counts(
    db: Database, said: list[Word], request: pytest.FixtureRequest
) -> None:
    async def act() -> None:
        replay = Replay()
        for word, at in numbered(said):
            replay.hear(word, at)
        found = await heard(db, numbered(said), together=1)
        assert [one[1:3] for one in found.stated] == [(replay.state(key), replay.level(key)) for key in KEYS]
        assert found.may == [replay.may_send(key) for key in KEYS]
        assert found.differences == 0

    run(request, act())


@quick
@given(said=words("direct", "channel"), data=st.data(), together=st.integers(1, 6))
def test_it_does_not_matter_in_which_order_words_come_nor_how_often(
    db: Database, said: list[Word], data: st.DataObject, together: int, request: pytest.FixtureRequest
) -> None:
    in_order = numbered(said)
    again = data.draw(st.lists(st.sampled_from(in_order), max_size=5))
    shuffled = data.draw(st.permutations([*in_order, *again]))

    async def act() -> None:
        replay = Replay()
        for word, at in in_order:
            replay.hear(word, at)
        found = await heard(db, shuffled, together)
        assert found == await heard(db, in_order, 1)
        assert [one[1:3] for one in found.stated] == [(replay.state(key), replay.level(key)) for key in KEYS]
        assert found.may == [replay.may_send(key) for key in KEYS]
        assert found.differences == 0

    run(request, act())


# --- files ---------------------------------------------------------------------------------------------------------------


async def take(db: Database, shop: Workspace, policy: Policy, *entries: Entry) -> list[tuple[str, str, str | None]]:
    async with db.tx(shop.id, actor="cli", origin="import") as tx:
        return [(r.outcome, r.state, r.reason) for r in await commands.record(tx, entries, policy)]


def entry(customer: Json, state: Said, topic: ConsentTopic = "marketing", **more: Any) -> Entry:
    return Entry(customer_id=UUID(customer["id"]), channel="email", topic=topic, state=state, **more)


@pytest.fixture
async def ann(api: httpx.AsyncClient) -> Json:
    return await make_customer(api, name="Ann Lee", email="ann@lee.example")


async def test_an_import_never_subscribes_again_who_unsubscribed(
    db: Database, shop: Workspace, api: httpx.AsyncClient, ann: Json
) -> None:
    await choose(api, ann, "UNSUBSCRIBED", "2026-01-01T00:00:00Z")
    later: Json = {
        "at": T0 + timedelta(days=90),
        "source": "list.csv",
        "proof": "signed",
        "opt_in_level": "CONFIRMED_OPT_IN",
    }
    refused = [("refused", "UNSUBSCRIBED", "unsubscribed")]
    assert await take(db, shop, "import", entry(ann, "SUBSCRIBED", **later)) == refused
    assert await take(db, shop, "migration", entry(ann, "SUBSCRIBED", **later)) == refused
    assert await take(db, shop, "migration", entry(ann, "PENDING", **later)) == refused
    document = await api_get(api, ann)
    assert (stated(document)["state"], document["version"]) == ("UNSUBSCRIBED", 1)
    assert len(told(await api.get(path_of(ann, "/history")))["data"]) == 1


async def test_an_import_unsubscribes(db: Database, shop: Workspace, api: httpx.AsyncClient, ann: Json) -> None:
    await choose(api, ann, "SUBSCRIBED", "2026-01-01T00:00:00Z")
    said = entry(ann, "UNSUBSCRIBED", source="list.csv", at=T0 + timedelta(days=1))
    assert await take(db, shop, "import", said) == [("recorded", "UNSUBSCRIBED", None)]
    assert await take(db, shop, "import", said) == [("known", "UNSUBSCRIBED", None)]
    [newest, _] = told(await api.get(path_of(ann, "/history")))["data"]
    assert (newest["actor"], newest["origin"], newest["contact"]) == ("cli", "import", "ann@lee.example")
    # And it knows of no time before what was said since.
    await choose(api, ann, "SUBSCRIBED", "2026-03-01T00:00:00Z")
    earlier = entry(ann, "UNSUBSCRIBED", at=T0 + timedelta(days=2))
    assert await take(db, shop, "import", earlier) == [("recorded", "SUBSCRIBED", None)]


async def test_an_import_says_nothing_new_of_who_is_subscribed_or_was_never_asked(
    db: Database, shop: Workspace, api: httpx.AsyncClient, ann: Json
) -> None:
    said = entry(ann, "SUBSCRIBED", source="list.csv")
    assert await take(db, shop, "import", said) == [("refused", "NOT_SUBSCRIBED", "import")]
    await choose(api, ann, "SUBSCRIBED", "2026-01-01T00:00:00Z")
    assert await take(db, shop, "import", said) == [("refused", "SUBSCRIBED", "import")]
    assert stated(await api_get(api, ann))["at"] == "2026-01-01T00:00:00Z"


async def test_a_migration_subscribes_who_was_never_asked_when_it_can_say_where_from(
    db: Database, shop: Workspace, api: httpx.AsyncClient, ann: Json
) -> None:
    bob = await make_customer(api, name="Bob")
    found = await take(
        db,
        shop,
        "migration",
        entry(ann, "SUBSCRIBED"),
        entry(ann, "SUBSCRIBED", topic="surveys", source="old shop"),
        entry(ann, "SUBSCRIBED", topic="review_requests", proof={"form": 7}),
        entry(bob, "SUBSCRIBED", source="old shop"),
        entry({"id": str(ids.new())}, "UNSUBSCRIBED"),
    )
    assert found == [
        ("refused", "NOT_SUBSCRIBED", "no_proof"),
        ("recorded", "SUBSCRIBED", None),
        ("recorded", "SUBSCRIBED", None),
        ("refused", "NOT_SUBSCRIBED", "no_contact"),
        ("refused", "NOT_SUBSCRIBED", "unknown_customer"),
    ]
    again = entry(ann, "SUBSCRIBED", topic="surveys", source="old shop", at=T0)
    assert await take(db, shop, "migration", again) == [("refused", "SUBSCRIBED", "import")]


async def test_a_migration_subscribes_no_contact_that_is_suppressed(
    db: Database, shop: Workspace, api: httpx.AsyncClient, ann: Json
) -> None:
    await choose(api, ann, "UNSUBSCRIBED", "2026-01-01T00:00:00Z")
    twin = await make_customer(api, name="Twin", email="ann+2@lee.example")
    told(await api.post("/api/suppressions", json={"contact": "bob@lee.example", "reason": "complained"}), 201)
    bob = await make_customer(api, name="Bob", email="bob@lee.example")
    cy = await make_customer(api, name="Cy", email="cy@lee.example")
    cy_too = await make_customer(api, name="Cy too", email="cy+2@lee.example")
    found = await take(
        db,
        shop,
        "migration",
        entry(twin, "SUBSCRIBED", source="old shop"),
        entry(bob, "SUBSCRIBED", source="old shop"),
        entry(bob, "SUBSCRIBED", source="old shop", topic="surveys"),
        entry(cy, "SUBSCRIBED", source="old shop"),
        entry(cy_too, "UNSUBSCRIBED", source="old shop"),
    )
    assert [(state, reason) for _, state, reason in found] == [
        ("NOT_SUBSCRIBED", "suppressed"),
        ("NOT_SUBSCRIBED", "suppressed"),
        ("NOT_SUBSCRIBED", "suppressed"),
        ("NOT_SUBSCRIBED", "suppressed"),
        ("UNSUBSCRIBED", None),
    ]


async def test_a_file_that_says_both_says_no(db: Database, shop: Workspace, api: httpx.AsyncClient, ann: Json) -> None:
    yes, no = entry(ann, "SUBSCRIBED", source="x"), entry(ann, "UNSUBSCRIBED", source="x")
    assert await take(db, shop, "migration", yes, no) == [
        ("refused", "UNSUBSCRIBED", "unsubscribed"),
        ("recorded", "UNSUBSCRIBED", None),
    ]


async def test_ten_thousand_are_recorded_at_once(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    people = [await make_customer(api, email=f"b{n}@mail.example") for n in range(20)]
    entries = [
        entry(person, "UNSUBSCRIBED" if n % 2 else "SUBSCRIBED", source="old shop", at=T0 + timedelta(minutes=n))
        for n in range(500)
        for person in people
    ]
    async with db.tx(shop.id) as tx:
        found = await commands.record(tx, entries)
    assert {r.outcome for r in found} == {"recorded"}
    assert {r.state for r in found} == {"UNSUBSCRIBED"}
    async with db.reader(shop.id) as reader:
        assert await queries.reconcile(reader) == (10_000, [])


async def test_who_was_merged_speaks_for_the_survivor(
    db: Database, owner: "asyncpg.Connection[asyncpg.Record]", shop: Workspace, api: httpx.AsyncClient, ann: Json
) -> None:
    twin = await make_customer(api, name="Twin", email="twin@lee.example")
    told(await api.delete(f"/api/customers/{twin['id']}"), 204)
    await owner.execute("update data.customer set merged_into_id = $2 where id = $1", twin["id"], ann["id"])
    assert await take(db, shop, "channel", entry(twin, "UNSUBSCRIBED")) == [("recorded", "UNSUBSCRIBED", None)]
    assert stated(await api_get(api, ann))["state"] == "UNSUBSCRIBED"
    assert (await api.get(path_of(twin), follow_redirects=False)).headers["location"] == path_of(ann)


async def test_another_workspaces_customer_is_nobody(db: Database, api: httpx.AsyncClient, ann: Json) -> None:
    other = await make_workspace(db)
    said = entry(ann, "UNSUBSCRIBED")
    assert await take(db, other, "channel", said) == [("refused", "NOT_SUBSCRIBED", "unknown_customer")]
    async with db.reader(other.id) as reader:
        [found] = await queries.may_send_many(reader, [UUID(ann["id"])], "email", "transactional")
    assert [r.code for r in found.reasons] == ["unknown"]
    assert told(await api.get(path_of(ann, "/history")))["data"] == []


async def test_a_merge_says_of_no_contact_what_was_not_said_of_it(
    db: Database, shop: Workspace, api: httpx.AsyncClient, ann: Json
) -> None:
    said = entry(ann, "SUBSCRIBED", contact="twin@lee.example", opt_in_level="CONFIRMED_OPT_IN")
    assert await take(db, shop, "merge", said) == [("recorded", "SUBSCRIBED", None)]
    assert await take(db, shop, "merge", entry(ann, "SUBSCRIBED", "surveys")) == [("recorded", "SUBSCRIBED", None)]
    assert await take(db, shop, "merge", entry(ann, "SUBSCRIBED", "review_requests", contact="Ann@Lee.example")) == [
        ("recorded", "SUBSCRIBED", None)
    ]
    topics: tuple[ConsentTopic, ...] = ("marketing", "surveys", "review_requests")
    async with db.reader(shop.id) as reader:
        found = [await queries.may_send(reader, UUID(ann["id"]), "email", topic) for topic in topics]
    assert [[r.code for r in one.reasons] for one in found] == [["contact_changed"], ["contact_changed"], []]


# --- proof ---------------------------------------------------------------------------------------------------------------


async def test_what_was_tampered_with_is_found(
    db: Database, owner: "asyncpg.Connection[asyncpg.Record]", shop: Workspace, api: httpx.AsyncClient, ann: Json
) -> None:
    await choose(api, ann, "UNSUBSCRIBED", "2026-01-01T00:00:00Z")
    await choose(api, ann, "SUBSCRIBED", "2026-01-01T00:00:00Z", topic="surveys")
    await owner.execute("update data.consent set state = 'SUBSCRIBED' where workspace_id = $1", shop.id)
    await owner.execute(
        "update data.suppression set lifted_at = at, at = at - interval '1 day' where workspace_id = $1", shop.id
    )
    async with db.reader(shop.id) as reader:
        checked, found = await queries.reconcile(reader)
    assert checked == 2
    assert [(d.what, str(d.id), d.field) for d in found] == [
        ("consent", ann["id"], "email/marketing"),
        ("suppression", ann["id"], "email/marketing"),
    ]
    assert (found[0].stored[0], found[0].recounted[0]) == ("SUBSCRIBED", "UNSUBSCRIBED")


async def test_a_level_or_a_contact_that_was_tampered_with_is_found(
    db: Database, owner: "asyncpg.Connection[asyncpg.Record]", shop: Workspace, api: httpx.AsyncClient, ann: Json
) -> None:
    await choose(api, ann, "SUBSCRIBED", "2026-01-01", optInLevel="SINGLE_OPT_IN")
    await choose(api, ann, "SUBSCRIBED", "2026-01-02")
    for change in ("opt_in_level = 'CONFIRMED_OPT_IN'", "opt_in_level = 'SINGLE_OPT_IN', contact_hash = sha256('x')"):
        await owner.execute(f"update data.consent set {change} where workspace_id = $1", shop.id)
        async with db.reader(shop.id) as reader:
            _, found = await queries.reconcile(reader)
        assert [(d.what, d.field) for d in found] == [("consent", "email/marketing")]
        assert found[0].recounted[1] == "SINGLE_OPT_IN"


# --- at once -------------------------------------------------------------------------------------------------------------


async def test_of_many_writers_at_once_the_latest_word_counts(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    people = [
        await make_customer(api, name="Ann", email="ann@lee.example"),
        await make_customer(api, name="Ann too", email="ann+2@lee.example"),
    ]

    async def say(n: int) -> None:
        state = "SUBSCRIBED" if n % 3 else "UNSUBSCRIBED"
        await choose(api, people[n % 2], state, f"2026-01-01T00:{n:02}:00Z")

    await asyncio.gather(*(say(n) for n in (*range(0, 48, 2), *range(47, 0, -2))))
    assert [stated(await api_get(api, one))["at"] for one in people] == ["2026-01-01T00:46:00Z", "2026-01-01T00:47:00Z"]
    async with db.reader(shop.id) as reader:
        assert await queries.reconcile(reader) == (48, [])
        answers = await queries.may_send_many(reader, [UUID(one["id"]) for one in people], "email", "marketing")
    # The last to unsubscribe did so at minute 45, and 46 was a yes.
    assert [one.allowed for one in answers] == [True, True]


async def test_batches_that_cross_wait_for_each_other(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    people = [await make_customer(api, email=f"b{n}@mail.example") for n in range(12)]

    async def one(turn: int) -> None:
        order = people if turn % 2 else list(reversed(people))
        state: Said = "SUBSCRIBED" if turn % 2 else "UNSUBSCRIBED"
        async with db.tx(shop.id) as tx:
            await commands.record(tx, [entry(p, state, at=T0 + timedelta(hours=turn)) for p in order])

    await asyncio.gather(*(one(turn) for turn in range(8)))
    async with db.reader(shop.id) as reader:
        assert await queries.reconcile(reader) == (96, [])
        held, _, _ = await suppressions.search(reader, page(suppressions.SORTS, limit=None, sort=None, cursor=None))
    assert held == []
    assert {stated(await api_get(api, p))["state"] for p in people} == {"SUBSCRIBED"}


# --- the key -------------------------------------------------------------------------------------------------------------


async def test_the_installations_secret_may_change_and_contacts_stay_known(
    db: Database, shop: Workspace, api: httpx.AsyncClient, ann: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    await choose(api, ann, "UNSUBSCRIBED")
    [mine] = hashing._given  # pyright: ignore[reportPrivateUsage]
    old = configuration.master_keys(mine)
    both = msgspec.structs.replace(mine, secret_key=",".join(("a-new-secret-key-of-this-house-01", *old)))
    new = msgspec.structs.replace(mine, secret_key="a-new-secret-key-of-this-house-01")
    monkeypatch.setattr(hashing, "_given", [both])
    async with db.tx(shop.id) as tx:
        before = (await hashing.writer(tx)).of("email:ann@lee.example")
    monkeypatch.setattr(hashing, "_given", [new])
    async with db.reader(shop.id) as reader:
        assert (await hashing.hasher(reader)).of("email:ann@lee.example") == before
        assert sealing.sealer(new).open(await reader.value(hashing.FIND), purpose=hashing.PURPOSE, workspace=shop.id)
    assert [
        s["contact"] for s in told(await api.get("/api/suppressions", params={"contact": "ann@lee.example"}))["data"]
    ]
    # Without the secret nobody is told that somebody may be written to.
    monkeypatch.setattr(hashing, "_given", [mine])
    assert (await api.get(path_of(ann, "/may-send"))).status_code == 503
    async with db.reader(shop.id) as reader:
        with pytest.raises(ContactsSealed):
            await queries.may_send(reader, UUID(ann["id"]), "email", "marketing")


async def test_of_two_who_make_the_key_at_once_both_have_the_same(db: Database) -> None:
    shop = await make_workspace(db)

    async def made() -> bytes:
        async with db.tx(shop.id) as tx:
            found = (await hashing.writer(tx)).of("email:ann@lee.example")
            await asyncio.sleep(0.05)
        return found

    assert len(set(await asyncio.gather(*(made() for _ in range(4))))) == 1
