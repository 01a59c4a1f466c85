"""Tags over HTTP: added and removed one by one, and counted over all customers."""

import asyncio
import hashlib
from urllib.parse import quote

import httpx
import pytest

from supover.customers import jobs, tags
from supover.kit import ids
from supover.kit.db import Database
from supover.kit.jobs import JobContext
from tests.makers import Json, Workspace, client, make_customer, make_key, make_workspace, pointers, told


async def counts(api: httpx.AsyncClient, **asked: str) -> list[tuple[str, int]]:
    """The tags in use and how many customers have each, over all pages."""
    found: list[tuple[str, int]] = []
    while True:
        page = told(await api.get("/api/tags", params=asked))
        found += [(one["tag"], one["customers"]) for one in page["data"]]
        if page["nextCursor"] is None:
            return found
        asked["cursor"] = page["nextCursor"]


def remove(api: httpx.AsyncClient, customer: Json, tag: str) -> "asyncio.Future[httpx.Response]":
    return asyncio.ensure_future(api.delete(f"/api/customers/{customer['id']}/tags/{tag}"))


# --- of one customer -------------------------------------------------------------------------------------------------


async def test_tags_are_added_behind_those_that_are_there(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", tags=["early"])
    path = f"/api/customers/{ann['id']}/tags"
    answer = await api.post(path, json={"tags": [" b2b ", "early", "", "b2b", "VIP"]})
    assert told(answer) == {"tags": ["early", "b2b", "VIP"], "version": 2}
    assert answer.headers["etag"] == '"2"'
    assert told(await api.post(path, json={"tags": ["VIP", "early"]})) == {
        "tags": ["early", "b2b", "VIP"],
        "version": 2,
    }
    read = await api.get(path)
    assert (told(read), read.headers["etag"]) == ({"tags": ["early", "b2b", "VIP"], "version": 2}, '"2"')
    assert told(await api.get(f"/api/customers/{ann['id']}"))["tags"] == ["early", "b2b", "VIP"]
    assert told(await api.post(path, json={"tags": []}))["version"] == 2


async def test_any_tag_can_be_removed_by_its_address(api: httpx.AsyncClient) -> None:
    odd = ["a/b", "/a", "100%", "a b", "ü", "?q=1", "#1", "a//b", "日本", "\\", "a;b", "%2F", "+1", "x&y"]
    ann = await make_customer(api, name="Ann", tags=[*odd, "stays"])
    for tag in odd:
        answer = await remove(api, ann, quote(tag, safe=""))
        assert answer.status_code == 204, (tag, answer.text)
    path = f"/api/customers/{ann['id']}/tags"
    assert told(await api.get(path))["tags"] == ["stays"]
    await api.post(path, json={"tags": ["a/b"]})
    assert (await remove(api, ann, "a/b")).status_code == 204, "a slash as it is"
    assert (await remove(api, ann, "nothing")).json()["type"].endswith("/tag-not-found")
    assert (await remove(api, ann, "%FF")).status_code == 400
    assert told(await api.get(path))["tags"] == ["stays"]
    pinned = f"/api/v1/customers/{ann['id']}/tags"
    assert (await api.delete(f"{pinned}/Stays")).status_code == 204, "in any case"
    assert told(await api.get(path))["tags"] == []


async def test_the_case_of_a_tag_does_not_matter(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", tags=["VIP", "vip", "Ünïque", "ÜNÏQUE", "ΣΑΣ"])
    path = f"/api/customers/{ann['id']}"
    assert ann["tags"] == ["VIP", "Ünïque", "ΣΑΣ"], "the first spelling stays"
    assert told(await api.post(f"{path}/tags", json={"tags": ["Vip", "ünïque", "σασ"]}))["version"] == 1
    put = told(await api.patch(path, json={"tags": ["vip", "new", "NEW"]}))
    assert put["tags"] == ["VIP", "new"], "as it is written already"
    for asked in ("vip", "Vip", "VIP"):
        assert [c["id"] for c in told(await api.get("/api/customers", params={"tag": asked}))["data"]] == [ann["id"]]
    both = told(await api.get("/api/customers", params={"tag": ["NEW", "vip"]}))["data"]
    assert [c["id"] for c in both] == [ann["id"]]
    entries = told(await api.get(f"{path}/timeline", params={"type": ["CustomerTagged", "CustomerUntagged"]}))["data"]
    assert [(e["type"], e["data"]["tags"]) for e in reversed(entries)] == [
        ("CustomerTagged", ["new"]),
        ("CustomerUntagged", ["Ünïque", "ΣΑΣ"]),
    ]


async def test_a_tag_of_nothing_but_slashes_can_be_removed(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", tags=["/", "//", "a"])
    path = f"/api/customers/{ann['id']}/tags"
    assert told(await api.delete(path, params={"tag": ["/", "//"]})) == {"tags": ["a"], "version": 2}
    assert (await api.delete(path, params={"tag": "/"})).json()["type"].endswith("/tag-not-found")
    assert told(await api.delete(path)) == {"tags": ["a"], "version": 2}, "nothing is nothing"
    assert told(await api.get(path))["tags"] == ["a"]


async def test_what_is_no_tag_is_named_and_changes_nothing(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", tags=["a"])
    path = f"/api/customers/{ann['id']}/tags"
    for body, pointer in (
        ({"tags": ["x" * 101]}, "/tags"),
        ({"tags": [f"t{n}" for n in range(250)]}, "/tags"),
        ({"tags": "vip"}, "/tags"),
        ({"tags": [None]}, "/tags/0"),
        ({}, "/tags"),
        ({"tags": ["b"], "version": 1}, "/version"),
    ):
        found = pointers(await api.post(path, json=body))
        assert len(found) == 1, body
        assert found[0].startswith(pointer.removesuffix("/0")), body
    nul = await api.post(path, content=b'{"tags": ["a\\u0000"]}', headers={"Content-Type": "application/json"})
    assert nul.status_code == 422
    assert told(await api.get(path)) == {"tags": ["a"], "version": 1}
    assert len(told(await api.post(path, json={"tags": [f"t{n}" for n in range(249)]}))["tags"]) == 250


async def test_a_version_that_is_no_more_is_412(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", tags=["a"])
    path = f"/api/customers/{ann['id']}/tags"
    await api.post(path, json={"tags": ["b"]})
    stale = {"If-Match": '"1"'}
    assert (await api.post(path, json={"tags": ["c"]}, headers=stale)).status_code == 412
    assert (await api.delete(f"{path}/a", headers=stale)).status_code == 412
    assert (await api.delete(f"{path}/a", headers={"If-Match": '"2"'})).status_code == 204
    assert told(await api.get(path)) == {"tags": ["b"], "version": 3}


async def test_tags_that_are_added_at_once_are_all_there(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann")
    path = f"/api/customers/{ann['id']}/tags"
    answers = await asyncio.gather(*(api.post(path, json={"tags": [f"t{n}"]}) for n in range(8)))
    assert {a.status_code for a in answers} == {200}
    assert set(told(await api.get(path))["tags"]) == {f"t{n}" for n in range(8)}


async def test_the_timeline_tells_which_tags_came_and_went(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", tags=["a"])
    path = f"/api/customers/{ann['id']}"
    await api.post(f"{path}/tags", json={"tags": ["b", "c"]})
    await api.delete(f"{path}/tags/a")
    await api.patch(path, json={"tags": ["c", "d"]})
    asked = {"type": ["CustomerTagged", "CustomerUntagged"]}
    entries = told(await api.get(f"{path}/timeline", params=asked))["data"]
    assert [(e["type"], e["data"]) for e in reversed(entries)] == [
        ("CustomerTagged", {"tags": ["b", "c"]}),
        ("CustomerUntagged", {"tags": ["a"]}),
        ("CustomerTagged", {"tags": ["d"]}),
        ("CustomerUntagged", {"tags": ["b"]}),
    ]
    [*_, added, _] = told(await api.get("/api/audit", params={"subjectId": ann["id"]}))["data"]
    assert added["action"] == "tags.add"
    assert [(c["field"], c["old"], c["new"]) for c in added["changes"]] == [("tags", ["a"], ["a", "b", "c"])]


async def test_tags_of_strangers_and_the_deleted_are_404(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api, name="Ann", tags=["a"])
    path = f"/api/customers/{ann['id']}/tags"
    async with client(db, (await make_workspace(db)).key) as stranger:
        assert (await stranger.get(path)).status_code == 404
        assert (await stranger.post(path, json={"tags": ["b"]})).status_code == 404
        assert (await stranger.delete(f"{path}/a")).status_code == 404
        assert await counts(stranger) == []
    async with client(db, await make_key(db, shop.id, "customers:read")) as reader:
        assert await counts(reader) == [("a", 1)]
        assert (await reader.post(path, json={"tags": ["b"]})).status_code == 403
        assert (await reader.delete(f"{path}/a")).status_code == 403
    await api.delete(f"/api/customers/{ann['id']}")
    assert (await api.get(path)).status_code == 404
    assert (await api.post(path, json={"tags": ["b"]})).status_code == 404
    assert (await api.delete(f"{path}/a")).status_code == 404


# --- of all ----------------------------------------------------------------------------------------------------------


async def test_living_customers_are_counted_at_once(api: httpx.AsyncClient) -> None:
    assert await counts(api) == []
    people = [
        await make_customer(api, name="N", tags=found)
        for found in (["vip", "eu"], ["eu"], ["eu", "Été"], ["Vip"], [], ["été 2", "VIP"], ["Vip"])
    ]
    seldom = sorted([("Été", 1), ("été 2", 1)], key=_by_digest, reverse=True)
    assert await counts(api) == [("Vip", 4), ("eu", 3), *seldom], "as most of them write it"
    assert [t for t, _ in await counts(api, sort="tag")] == ["Été", "été 2", "eu", "Vip"]
    await api.delete(f"/api/customers/{people[0]['id']}")
    assert dict(await counts(api)) == {"eu": 2, "Vip": 3, "Été": 1, "été 2": 1}
    await api.post(f"/api/customers/{people[0]['id']}/restore")
    await api.delete(f"/api/customers/{people[1]['id']}/tags/EU")
    assert dict(await counts(api)) == {"eu": 2, "Vip": 4, "Été": 1, "été 2": 1}


def _by_digest(found: tuple[str, int]) -> str:
    # Among tags that as many customers have the order is arbitrary, but always the same.
    return hashlib.md5(found[0].encode()).hexdigest()


async def test_tags_are_searched_by_how_they_begin(api: httpx.AsyncClient) -> None:
    await make_customer(api, name="N", tags=["Été", "eteint", "summer été", "100%", "1000", "a_b", "axb", "a\\b"])
    for search, who in (
        ("ete", {"Été", "eteint"}),
        ("ÉT", {"Été", "eteint"}),
        ("sum", {"summer été"}),
        ("été 2", set[str]()),
        ("100%", {"100%"}),
        ("100", {"100%", "1000"}),
        ("a_", {"a_b"}),
        ("a\\", {"a\\b"}),
        ("", {"Été", "eteint", "summer été", "100%", "1000", "a_b", "axb", "a\\b"}),
    ):
        assert {tag for tag, _ in await counts(api, search=search)} == who, search
    assert pointers(await api.get("/api/tags", params={"search": "x" * 101})) == ["search"]
    assert pointers(await api.get("/api/tags", params={"q": "x"})) == ["q"]
    assert pointers(await api.get("/api/tags", params={"sort": "name"})) == ["sort"]
    assert (await api.get("/api/tags", params={"cursor": "x"})).status_code == 400


@pytest.mark.parametrize("sort", ["tag", "-tag", "customers", "-customers"])
async def test_every_sort_pages_through_every_tag_once(api: httpx.AsyncClient, sort: str) -> None:
    for n in range(4):
        await make_customer(api, name="N", tags=[f"t{m}" for m in range(n, 9)])
    pages = await counts(api, sort=sort, limit="2")
    assert pages == await counts(api, sort=sort)
    assert dict(pages) == {f"t{m}": min(m, 3) + 1 for m in range(9)}
    values = [tag if "tag" in sort else customers for tag, customers in pages]
    assert values == sorted(values, reverse=sort.startswith("-"))  # pyright: ignore[reportArgumentType]
    answer = await api.get("/api/tags", params={"sort": sort, "limit": 2})
    assert 'rel="next"' in answer.headers["link"]


async def test_a_big_workspace_is_counted_by_the_job(
    api: httpx.AsyncClient, db: Database, shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "COUNTED_WHEN_ASKED", 2)
    house = JobContext(db, None, ids.new(), "customers.count_tags", "tests")
    people = [await make_customer(api, name="N", tags=["a", "b"]) for _ in range(2)]
    await jobs.count_tags(house)
    people.append(await make_customer(api, name="N", tags=["a"]))
    assert await counts(api) == [("a", 3), ("b", 2)], "few are counted when asked"
    await jobs.count_tags(house)
    before = told(await api.get("/api/tags"))["data"][0]["countedAt"]
    people.append(await make_customer(api, name="N", tags=["c"]))
    assert await counts(api) == [("a", 3), ("b", 2)], "many as they were counted"
    await jobs.count_tags(house)
    assert dict(await counts(api)) == {"a": 3, "b": 2, "c": 1}
    assert told(await api.get("/api/tags"))["data"][0]["countedAt"] > before
    for person in people[:2]:
        await api.delete(f"/api/customers/{person['id']}")
    await jobs.count_tags(house)
    await make_customer(api, name="N", tags=["c"])
    assert dict(await counts(api)) == {"a": 1, "c": 2}, "few again, counted when asked"
    async with db.tx(shop.id) as tx:
        await tx.run("update customer set updated_at = updated_at - interval '1 hour' where workspace_id = $1")
        assert await tags.recount(tx)
        assert not await tags.recount(tx), "nothing has changed since"
