import asyncio
import gzip
import time
from collections.abc import AsyncGenerator
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID, uuid4

import asyncpg
import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supover.kit import clock, problems
from supover.kit.api import MAX_DEPTH, BodyUnreadable, decode, version_of
from supover.kit.db import Database
from supover.kit.problems import Invalid
from tests.kit.small import NewThing, Part, Small, small
from tests.makers import told

PROBLEM = "application/problem+json"


@pytest.fixture
async def api(db: Database) -> AsyncGenerator[Small]:
    async with small(db) as found:
        yield found


def errors(body: bytes | str) -> dict[str, str]:
    """Pointer → code of everything that is wrong with a thing's body."""
    with pytest.raises(Invalid) as caught:
        decode(body.encode() if isinstance(body, str) else body, NewThing)
    assert all(error.message and error.message[0] == error.message[0].lower() for error in caught.value.errors)
    return {error.pointer: error.code for error in caught.value.errors}


# --- bodies ----------------------------------------------------------------------------------------------------------


def test_a_body_becomes_its_struct() -> None:
    found = decode(b'{"name": "A", "amount": "1.50", "parts": [{"howMany": 2}], "meta": {"k": [1, null]}}', NewThing)
    assert found == NewThing(name="A", amount=Decimal("1.50"), parts=[Part(2)], meta={"k": [1, None]})


def test_every_wrong_field_is_named() -> None:
    body = '{"amount": "ten", "count": "x", "isBlocked": true, "workspace_id": 1, "parts": 5}'
    assert errors(body) == {
        "/isBlocked": "unknown",
        "/workspace_id": "unknown",
        "/name": "required",
        "/amount": "invalid",
        "/count": "type",
        "/parts": "type",
    }


class Dish(msgspec.Struct, forbid_unknown_fields=True):
    size: Literal["S", "M"]
    sides: list[Literal["rice", "salad"]] = []
    sauce: Literal["hot", "mild"] | None = None


def test_what_is_none_of_the_choices_is_told_them_all() -> None:
    with pytest.raises(Invalid) as caught:
        decode(b'{"size": "L", "sides": ["rice", "chips"], "sauce": "none"}', Dish)
    assert [(error.pointer, error.code, error.message) for error in caught.value.errors] == [
        ("/size", "choice", "must be one of S, M"),
        ("/sides/1", "choice", "must be one of rice, salad"),
        ("/sauce", "choice", "must be one of hot, mild"),
    ]


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ('{"name": "A", "parts": [{"howMany": 1}, {"howMany": "two"}]}', "/parts/1/howMany", "type"),
        ('{"name": "A", "parts": [{"howMany": 1}, {}]}', "/parts/1/howMany", "required"),
        ('{"name": "A", "parts": [{"howMany": 1, "price": 2}]}', "/parts/0/price", "unknown"),
        ('{"name": "A", "parts": [[]]}', "/parts/0", "type"),
        ('{"name": "A", "meta": []}', "/meta", "type"),
        ('{"name": null}', "/name", "type"),
        ('{"name": "A", "a/b": 1}', "/a~1b", "unknown"),
        ('{"name": "A", "~": 1}', "/~0", "unknown"),
        ('{"name": "A", "": 1}', "/", "unknown"),
        ('{"name": "A", "Name": "B"}', "/Name", "unknown"),
        ('{"name": "A", "count": 1.5}', "/count", "type"),
        ('{"name": "A", "count": 1e400}', "/count", "invalid"),
        ('{"name": "A", "count": true}', "/count", "type"),
        ("null", "", "type"),
        ("[]", "", "type"),
        ('"name"', "", "type"),
    ],
)
def test_a_wrong_field_is_named_by_a_json_pointer(body: str, pointer: str, code: str) -> None:
    assert errors(body) == {pointer: code}


def test_a_body_of_unknown_fields_only_is_told_within_bounds() -> None:
    body = "{" + ",".join(f'"f{n}":1' for n in range(100_000)) + "}"
    started = time.perf_counter()
    assert 1_000 <= len(errors(body)) <= 1_010
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b'{"name"', b"name=A", b'{"name": "A"} {}', b'{"name": \'A\'}', b'{"name": "A",}', b"\xef\xbb\xbf{}",
        b'{"name": "\xff"}', b'{"name": "A\x00"}', b'{"name": "A\n"}', b'{"name": "\\ud800"}', b'{"name": NaN}',
        b'{"name": "A", "count": 01}',
        b"\xff\xfe{\x00}\x00", b"\x1f\x8b\x08\x00",
    ],
)  # fmt: skip
def test_what_is_no_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        decode(body, NewThing)


@pytest.mark.parametrize("text", ["\\u0000", "a\\u0000b", "\\\\\\u0000"])
def test_the_character_nul_is_refused_wherever_it_stands(text: str) -> None:
    assert errors(f'{{"name": "{text}"}}') == {"/name": "nul"}
    assert errors(f'{{"name": "A", "meta": {{"{text}": 1}}}}') == {"/meta": "nul"}


def test_the_character_nul_is_told_by_its_place_in_the_text() -> None:
    with pytest.raises(Invalid) as caught:
        decode(b'{"meta": {"k": [1, "ab\\u0000"]}}', NewThing)
    assert [(e.pointer, e.position) for e in caught.value.errors] == [("/meta/k/1", 2)]


def test_what_only_looks_like_nul_is_text() -> None:
    assert decode(b'{"name": "\\\\u0000"}', NewThing).name == "\\u0000"


def test_the_last_of_two_equal_names_counts() -> None:
    assert decode(b'{"name": "A", "name": "B"}', NewThing).name == "B"


@pytest.mark.parametrize("number", ["1e400", "9" * 400, "-1e-400", '"1E+400"'])
def test_numbers_of_any_size_are_read_exactly(number: str) -> None:
    found = decode(f'{{"name": "A", "amount": {number}}}'.encode(), NewThing)
    assert found.amount == Decimal(number.strip('"'))


def nested(depth: int, left: str = "[", right: str = "]") -> bytes:
    # The body itself and `meta` are two levels.
    return f'{{"name": "A", "meta": {{"deep": {left * (depth - 2)}{right * (depth - 2)}}}}}'.encode()


def test_a_body_is_at_most_so_deep() -> None:
    assert decode(nested(MAX_DEPTH), NewThing).name == "A"
    with pytest.raises(BodyUnreadable, match="32 levels"):
        decode(nested(MAX_DEPTH + 1), NewThing)
    with pytest.raises(BodyUnreadable):
        decode(b"[" * 500_000, NewThing)
    with pytest.raises(BodyUnreadable):
        decode(b'{"a":' * 100_000, NewThing)


def test_brackets_within_texts_have_no_depth() -> None:
    body = ('{"name": "' + "[{" * 100 + '\\"' + "[" * 100 + '", "meta": {"' + "[" * 50 + '": "\\\\"}}').encode()
    assert decode(body, NewThing).name.startswith("[{[{")


@pytest.mark.parametrize("part", ['\\"', '"', "\\", '"[', "\\\\", '["', '{"a":"', "\\u0000"])
def test_a_hostile_body_is_looked_at_in_one_pass(part: str) -> None:
    """An unclosed text once took time by the square of its length: hours for one request."""
    for start in ('"', '{"name": "'):
        body = b"[" * (MAX_DEPTH + 1) + (start + part * (1_000_000 // len(part))).encode()
        started = time.perf_counter()
        with pytest.raises((BodyUnreadable, Invalid)):
            decode(body, NewThing)
        assert time.perf_counter() - started < 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "parts", "howMany", "x"]), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_json_is_taken_or_told_by_pointers(value: Any) -> None:
    import json

    try:
        decode(json.dumps(value).encode(), NewThing)
    except Invalid as refused:
        assert refused.errors
        assert all(error.pointer == "" or error.pointer.startswith("/") for error in refused.errors)
    except BodyUnreadable:
        pass


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(body: bytes) -> None:
    try:
        decode(body, NewThing)
    except (Invalid, BodyUnreadable) as refused:
        assert refused.status in (400, 422)


# --- over http -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        *("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""),
        *("application/jsonx", "json", "text/json"),
    ],
)
async def test_a_body_of_another_type_is_415_and_does_nothing(api: Small, db: Database, kind: str) -> None:
    answer = await api.post("/api/things", content=b'{"name": "A"}', headers={"Content-Type": kind} if kind else {})
    assert answer.status_code == 415, answer.text
    assert answer.json()["type"] == "https://supover.dev/problems/not-json"
    assert await api.effects(db) == 0


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/merge-patch+json"]
)
async def test_a_body_of_any_json_type_is_taken(api: Small, kind: str) -> None:
    assert (await api.post("/api/things", content=b'{"name": "A"}', headers={"Content-Type": kind})).status_code == 201


async def test_no_body_is_told_to_be_expected(api: Small, db: Database) -> None:
    answer = await api.post("/api/things", headers={"Content-Type": "application/json"})
    assert told(answer, 422)["errors"] == [{"pointer": "", "code": "required", "message": "a JSON body is expected"}]
    answer = await api.post("/api/things", content=b" ", headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM)
    assert await api.effects(db) == 0


async def test_a_body_that_is_too_large_is_413_told_or_not(api: Small, db: Database) -> None:
    body = b'{"name": "' + b"A" * 10_000 + b'"}'

    async def pieces() -> AsyncGenerator[bytes]:
        for n in range(0, len(body), 1_000):
            yield body[n : n + 1_000]

    for content in (body, pieces()):
        answer = await api.post("/api/things", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413, answer.text
        assert answer.json()["type"] == "https://supover.dev/problems/body-too-large"
    assert await api.effects(db) == 0


async def test_a_wrong_parameter_is_named_as_the_caller_wrote_it(api: Small) -> None:
    answer = await api.get("/api/things", params={"atLeast": "many"})
    assert [error["pointer"] for error in told(answer, 422)["errors"]] == ["atLeast"]
    answer = await api.get("/api/things", params={"limit": "x"})
    assert [error["pointer"] for error in told(answer, 422)["errors"]] == ["limit"]


async def test_the_next_page_is_linked_with_what_was_asked(api: Small) -> None:
    answer = await api.get("/api/things", params={"name": "a&b=c d", "limit": "2", "cursor": "this-one"})
    address, _, rest = answer.headers["link"].partition(">")
    assert (address.partition("?")[0], rest) == ("</api/things", '; rel="next"')
    assert set(address.partition("?")[2].split("&")) == {"name=a%26b%3Dc%20d", "limit=2", "cursor=next-one"}
    assert told(answer)["data"] == ["force_custom_plan"]
    assert told(await api.get("/api/things"))["data"] == ["auto"]


async def test_one_thing_has_its_version_as_etag(api: Small) -> None:
    id = told(await api.post("/api/things", json={"name": "A"}), 201)["id"]
    answer = await api.get(f"/api/things/{id}")
    assert (answer.status_code, answer.headers["etag"]) == (200, '"3"')
    same = await api.get(f"/api/things/{id}", headers={"If-None-Match": '"3"'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", '"3"')
    assert (await api.get(f"/api/things/{id}", headers={"If-None-Match": '"2"'})).status_code == 200
    assert (await api.delete(f"/api/things/{id}")).status_code == 204


async def test_if_match_is_read_or_stale(api: Small) -> None:
    for sent, seen in (
        ({"If-Match": '"7"'}, "7"),
        ({"If-Match": "*"}, "None"),
        ({}, "None"),
        ({"If-Match": 'W/"7"'}, "7"),
    ):
        assert told(await api.patch(f"/api/things/{uuid4()}", headers=sent))["name"] == seen
    for sent in ('"x"', "", '"-1"', '"7", "8"', '"٧"', '"99999999999"'):
        answer = await api.patch(f"/api/things/{uuid4()}", headers=[(b"If-Match", sent.encode())])
        assert answer.status_code == 412, sent


@given(st.text(max_size=20))
def test_any_if_match_is_a_version_or_stale(text: str) -> None:
    try:
        found = version_of(text)
    except problems.Stale:
        return
    assert found is None or 0 <= found < 10**9


async def test_what_is_raw_is_sent_as_it_is_and_who_may_not_is_told(api: Small) -> None:
    answer = await api.get("/api/files/a.csv")
    assert (answer.status_code, answer.json()["type"]) == (403, "https://supover.dev/problems/not-allowed")


async def test_each_write_is_audited_in_its_transaction(api: Small, db: Database) -> None:
    id = UUID(told(await api.post("/api/things", json={"name": "A"}), 201)["id"])
    assert api.audited == [("small.create", id, 1)]
    await api.get(f"/api/things/{id}")
    await api.post("/api/fail", json={"kind": "bug"})
    assert len(api.audited) == 1
    assert await api.effects(db) == 1
    await api.delete(f"/api/things/{id}")
    assert api.audited[1:] == [("small.delete", id, 0)]


# --- races -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["unique", "deadlock"])
async def test_a_lost_race_is_tried_again_and_only_the_last_try_tells(api: Small, db: Database, kind: str) -> None:
    answer = await api.post("/api/fail", json={"kind": kind, "times": 3})
    assert answer.status_code == 204, answer.text
    assert await api.effects(db) == 1
    answer = await api.post("/api/fail", json={"kind": kind})
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")
    assert answer.json()["type"] == "https://supover.dev/problems/raced"
    assert await api.effects(db) == 1


async def test_what_is_no_race_is_not_tried_again(api: Small, db: Database) -> None:
    answer = await api.post("/api/fail", json={"kind": "missing", "times": 1})
    assert answer.status_code == 404
    assert await api.effects(db) == 0


# --- idempotency -----------------------------------------------------------------------------------------------------


async def post(api: Small, key: str, name: str = "A", **headers: str) -> httpx.Response:
    return await api.post("/api/things", json={"name": name}, headers={"Idempotency-Key": key, **headers})


async def test_the_same_key_and_body_are_answered_with_the_first_answer(api: Small, db: Database) -> None:
    first = await post(api, "k")
    second = await post(api, "k")
    assert (first.status_code, first.headers.get("idempotent-replayed")) == (201, None)
    assert (second.status_code, second.headers["idempotent-replayed"]) == (201, "true")
    assert first.json() == second.json()
    for name in ("etag", "location", "content-type"):
        assert first.headers[name] == second.headers[name]
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert await api.effects(db) == 1
    assert len(api.audited) == 1


async def test_the_pinned_address_is_the_same_request(api: Small, db: Database) -> None:
    await post(api, "k")
    again = await api.post("/api/v1/things", json={"name": "A"}, headers={"Idempotency-Key": "k"})
    assert again.headers["idempotent-replayed"] == "true"
    assert await api.effects(db) == 1


async def test_the_same_key_with_another_request_is_422(api: Small, db: Database) -> None:
    await post(api, "k")
    other_body = await post(api, "k", "B")
    other_route = await api.post("/api/secrets", json={"name": "A"}, headers={"Idempotency-Key": "k"})
    for answer in (other_body, other_route):
        assert (answer.status_code, answer.json()["type"]) == (422, "https://supover.dev/problems/key-reused")
    assert await api.effects(db) == 1


async def test_a_key_is_its_callers_own(api: Small, db: Database) -> None:
    await post(api, "k")
    answer = await post(api, "k", **{"X-Who": "key:another"})
    assert "idempotent-replayed" not in answer.headers
    assert await api.effects(db) == 2


@pytest.mark.parametrize("kind", ["missing", "unique"])
async def test_a_failure_is_not_kept(api: Small, db: Database, kind: str) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await api.post("/api/fail", json={"kind": kind, "times": 4}, headers=headers)
    assert first.status_code >= 400
    # The next attempt is the fifth at least, which works.
    while (again := await api.post("/api/fail", json={"kind": kind, "times": 4}, headers=headers)).status_code >= 400:
        assert "idempotent-replayed" not in again.headers
    assert again.status_code == 204
    replayed = await api.post("/api/fail", json={"kind": kind, "times": 4}, headers=headers)
    assert (replayed.status_code, replayed.headers["idempotent-replayed"], replayed.content) == (204, "true", b"")
    assert await api.effects(db) == 1


async def test_a_bad_body_is_not_kept(api: Small) -> None:
    answer = await api.post("/api/things", json={"nam": "A"}, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 422
    assert (await post(api, "k")).status_code == 201


async def test_a_key_that_is_still_running_is_409(api: Small, db: Database) -> None:
    slow = asyncio.create_task(post(api, "k", "slow"))
    await asyncio.sleep(0.1)
    answer = await post(api, "k", "slow")
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")
    assert answer.json()["type"] == "https://supover.dev/problems/key-in-use"
    assert (await slow).status_code == 201
    assert (await post(api, "k", "slow")).headers["idempotent-replayed"] == "true"
    assert await api.effects(db) == 1


async def test_fifty_at_once_have_one_effect(api: Small, db: Database) -> None:
    answers = await asyncio.gather(*(post(api, "k") for _ in range(50)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    made = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.json()["id"] for answer in made}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in made) == 1
    assert await api.effects(db) == 1
    assert len(api.audited) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_has_1_to_255_characters(api: Small, db: Database, key: str) -> None:
    answer = await post(api, key)
    assert [error["pointer"] for error in told(answer, 422)["errors"]] == ["Idempotency-Key"]
    assert await api.effects(db) == 0


@pytest.mark.parametrize("key", ["x" * 255, "ключ".encode().decode("latin-1"), "' or 1=1", "{}", "\t x"])
async def test_any_other_key_is_one(api: Small, db: Database, key: str) -> None:
    for _ in range(2):
        answer = await api.post(
            "/api/things", json={"name": "A"}, headers=[(b"Idempotency-Key", key.encode("latin-1"))]
        )
        assert answer.status_code == 201, answer.text
    assert await api.effects(db) == 1


async def test_what_is_shown_once_is_kept_without_it(api: Small, owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    headers = {"Idempotency-Key": "k"}
    first = told(await api.post("/api/secrets", json={"name": "the secret"}, headers=headers), 201)
    again = told(await api.post("/api/secrets", json={"name": "the secret"}, headers=headers), 201)
    assert (first["name"], again["name"]) == ("the secret", "hidden")
    kept = await owner.fetchval("select body from data.idempotency where workspace_id = $1", api.workspace_id)
    assert b"the secret" not in kept


async def test_a_key_is_kept_for_a_day(api: Small, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await post(api, "k")
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(hours=23, minutes=59))
    assert (await post(api, "k")).headers["idempotent-replayed"] == "true"
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(hours=24, minutes=1))
    assert "idempotent-replayed" not in (await post(api, "k", "B")).headers
    assert await api.effects(db) == 2


async def test_only_a_post_takes_a_key(api: Small, db: Database) -> None:
    headers = {"Idempotency-Key": "k"}
    for _ in range(2):
        answer = await api.delete(f"/api/things/{uuid4()}", headers=headers)
        assert (answer.status_code, answer.headers.get("idempotent-replayed")) == (204, None)
    assert await api.effects(db) == 0


# --- bodies as they come -------------------------------------------------------------------------------------------------


async def test_a_compressed_body_is_415_and_says_what_is_taken(api: Small, db: Database) -> None:
    for coding in ("gzip", "GZIP", "br", "gzip, identity", "x"):
        headers = {"Content-Type": "application/json", "Content-Encoding": coding}
        answer = await api.post("/api/things", content=gzip.compress(b'{"name": "A"}'), headers=headers)
        assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
        assert answer.json()["type"] == "https://supover.dev/problems/body-encoded"
    assert await api.effects(db) == 0
    plain = {"Content-Type": "application/json", "Content-Encoding": "identity"}
    assert (await api.post("/api/things", content=b'{"name": "A"}', headers=plain)).status_code == 201


async def test_a_body_without_its_length_is_bounded_too(api: Small, db: Database) -> None:
    async def body() -> AsyncGenerator[bytes]:
        for _ in range(11):
            yield b" " * 1_000

    answer = await api.post("/api/things", content=body(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (413, "https://supover.dev/problems/body-too-large")
    assert await api.effects(db) == 0


async def test_a_slow_body_holds_no_connection_though_it_has_an_idempotency_key(database: str, db: Database) -> None:
    narrow = await Database.open(database, size=1)
    busy: list[int] = []

    async def body() -> AsyncGenerator[bytes]:
        for part in (b"{", b'"kind"', b': "missing"', b"}"):
            busy.append(narrow.in_use()[0])
            await asyncio.sleep(0.01)
            yield part

    async with small(narrow, made_in=db) as api:
        headers = {"Content-Type": "application/json", "Idempotency-Key": "slow"}
        assert (await api.post("/api/fail", content=body(), headers=headers)).status_code == 404
        assert (await api.post("/api/plain", content=body(), headers=headers)).status_code == 204
    assert set(busy) == {0}
    await narrow.close()
