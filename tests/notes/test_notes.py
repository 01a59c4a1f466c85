"""Notes over HTTP."""

import httpx
import pytest

from supover.kit.db import Database
from tests.makers import Json, Workspace, client, make_customer, make_key, make_workspace, pointers, told


@pytest.fixture
async def ann(api: httpx.AsyncClient) -> Json:
    return await make_customer(api, name="Ann Lee")


def path_of(customer: Json, note: Json | None = None) -> str:
    return f"/api/customers/{customer['id']}/notes" + (f"/{note['id']}" if note else "")


async def write(api: httpx.AsyncClient, customer: Json, note: str, *, pinned: bool = False) -> Json:
    return told(await api.post(path_of(customer), json={"note": note, "pinned": pinned}), 201)


async def test_a_note_is_written_in_the_name_of_its_author(
    api: httpx.AsyncClient, db: Database, shop: Workspace, ann: Json
) -> None:
    answer = await api.post(path_of(ann), json={"note": " Likes\u200b blue.\r\n\r\nCall  after 5. "})
    note = told(answer, 201)
    assert note == {
        "id": note["id"],
        "customerId": ann["id"],
        "note": "Likes blue.\n\nCall after 5.",
        "pinned": False,
        "author": note["author"],
        "authorName": "A key",
        "createdAt": note["createdAt"],
        "updatedAt": note["createdAt"],
        "version": 1,
    }
    assert note["author"].startswith("key:")
    assert answer.headers["location"] == path_of(ann, note)
    read = await api.get(path_of(ann, note))
    assert (told(read), read.headers["etag"]) == (note, '"1"')
    async with client(db, await make_key(db, shop.id, "customers:write")) as other:
        new = told(await other.put(path_of(ann, note), json={"note": "Likes red.", "pinned": True}))
    assert new == note | {"note": "Likes red.", "pinned": True, "updatedAt": new["updatedAt"], "version": 2}


async def test_pinned_notes_come_first_then_the_newest(api: httpx.AsyncClient, ann: Json) -> None:
    for n in range(7):
        await write(api, ann, f"{n}", pinned=n in (1, 4))
    expected = ["4", "1", "6", "5", "3", "2", "0"]
    assert [n["note"] for n in told(await api.get(path_of(ann)))["data"]] == expected
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = told(
            await api.get(path_of(ann), params={"limit": 2, "count": "true"} | ({"cursor": cursor} if cursor else {}))
        )
        seen += [n["note"] for n in page["data"]]
        assert page["total"] == 7
        if (cursor := page["nextCursor"]) is None:
            break
    assert seen == expected
    assert (await api.get(path_of(ann), params={"cursor": "x"})).status_code == 400


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/note"),
        ({"note": ""}, "/note"),
        ({"note": " \n\u200b "}, "/note"),
        ({"note": "x" * 10_001}, "/note"),
        ({"note": None}, "/note"),
        ({"note": "a", "pinned": "yes"}, "/pinned"),
        ({"note": "a", "author": "staff:1"}, "/author"),
    ],
)
async def test_what_cannot_be_taken_is_named(api: httpx.AsyncClient, ann: Json, body: Json, pointer: str) -> None:
    note = await write(api, ann, "x" * 10_000)
    assert pointers(await api.post(path_of(ann), json=body)) == [pointer]
    assert pointers(await api.put(path_of(ann, note), json=body)) == [pointer]
    assert told(await api.get(path_of(ann)))["data"] == [note]


async def test_if_match_is_honoured(api: httpx.AsyncClient, ann: Json) -> None:
    note = await write(api, ann, "a")
    told(await api.put(path_of(ann, note), json={"note": "b"}, headers={"If-Match": '"1"'}))
    assert (await api.put(path_of(ann, note), json={"note": "c"}, headers={"If-Match": '"1"'})).status_code == 412
    assert (await api.delete(path_of(ann, note), headers={"If-Match": '"1"'})).status_code == 412
    assert (await api.delete(path_of(ann, note), headers={"If-Match": '"2"'})).status_code == 204
    assert (await api.delete(path_of(ann, note))).status_code == 404


async def test_a_note_belongs_to_its_customer(api: httpx.AsyncClient, db: Database, ann: Json) -> None:
    note, bo = await write(api, ann, "a"), await make_customer(api, name="Bo")
    other = await make_workspace(db)
    async with client(db, other.key) as stranger:
        for who, owner in ((api, bo), (stranger, ann)):
            for method, body in (("GET", None), ("PUT", {"note": "b"}), ("DELETE", None)):
                assert (await who.request(method, path_of(owner, note), json=body)).status_code == 404, method
        assert (await stranger.get(path_of(ann))).status_code == 404
        assert (await stranger.post(path_of(ann), json={"note": "b"})).status_code == 404
    assert told(await api.get(path_of(ann)))["data"] == [note]
    await api.delete(f"/api/customers/{ann['id']}")
    assert (await api.get(path_of(ann, note))).status_code == 404


async def test_what_happens_to_notes_is_told_without_the_text(api: httpx.AsyncClient, ann: Json) -> None:
    note = await write(api, ann, "a secret")
    await api.put(path_of(ann, note), json={"note": "another secret"})
    await api.delete(path_of(ann, note))
    answer = await api.get(f"/api/customers/{ann['id']}/timeline")
    assert [e["type"] for e in told(answer)["data"]][:3] == ["NoteRemoved", "NoteChanged", "NoteAdded"]
    assert "secret" not in answer.text
