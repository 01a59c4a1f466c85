"""Custom fields: any JSON, changed key by key, within limits."""

from typing import Any

import httpx
import pytest

from tests.makers import make_customer, pointers, told

JSON = {"Content-Type": "application/json"}


async def patched(api: httpx.AsyncClient, path: str, fields: Any) -> Any:
    return told(await api.patch(path, json={"customFields": fields}))["customFields"]


async def test_a_change_is_made_key_by_key(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", custom_fields={"a": 1, "b": {"x": 1, "y": 2}, "c": None, "d": [1]})
    path = f"/api/customers/{ann['id']}"
    assert ann["customFields"] == {"a": 1, "b": {"x": 1, "y": 2}, "c": None, "d": [1]}
    assert await patched(api, path, {"a": 2}) == {"a": 2, "b": {"x": 1, "y": 2}, "c": None, "d": [1]}
    assert await patched(api, path, {"b": {"x": 5}}) == {"a": 2, "b": {"x": 5}, "c": None, "d": [1]}, "whole values"
    assert await patched(api, path, {"a": None, "e": False}) == {"b": {"x": 5}, "c": None, "d": [1], "e": False}
    assert await patched(api, path, {"nothing": None, "e": 0}) == {"b": {"x": 5}, "c": None, "d": [1], "e": 0}
    assert await patched(api, path, {"c": None}) == {"b": {"x": 5}, "d": [1], "e": 0}
    version = told(await api.get(path))["version"]
    assert await patched(api, path, {}) == {"b": {"x": 5}, "d": [1], "e": 0}
    assert told(await api.get(path))["version"] == version, "what changes nothing is no edit"
    assert told(await api.put(path, json={"name": "Ann"}))["customFields"] == {}, "PUT replaces"
    assert told(await api.patch(path, json={"customFields": {"k": 1}, "name": "A"}))["customFields"] == {"k": 1}
    assert pointers(await api.patch(path, json={"customFields": None})) == ["/customFields"]


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b"9007199254740993", 9007199254740993),
        (b"-123456789012345678901234567890", -123456789012345678901234567890),
        (b"0.1", 0.1),
        (b"1E+2", 100),
        (b"true", True),
        (b"[]", []),
        (b'{"a": {"b": [null, "c"]}}', {"a": {"b": [None, "c"]}}),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\u0000"', "\\u0000"),
        (b'"  two  spaces "', "  two  spaces "),
        (b'"</script>"', "</script>"),
    ],
)
async def test_a_value_comes_back_as_it_was_given(api: httpx.AsyncClient, raw: bytes, kept: Any) -> None:
    body = b'{"name": "Ann", "customFields": {"k": ' + raw + b"}}"
    ann = told(await api.post("/api/customers", content=body, headers=JSON), 201)
    assert ann["customFields"] == {"k": kept}
    assert type(ann["customFields"]["k"]) in (type(kept), float)
    assert told(await api.get(f"/api/customers/{ann['id']}")) == ann


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b'{"k": "\\u0000"}', 422),
        (b'{"\\u0000": 1}', 422),
        (b'{"k": {"deep": ["\\u0000"]}}', 422),
        (b'{"k": "\\ud800"}', 400),
        (b'{"\\udc00": 1}', 400),
        (b'{"k": "\xed\xa0\x80"}', 400),
        (b'{"k": 1e400}', 422),
        (b'{"k": ' + b"9" * 5000 + b"}", 422),
        (b'{"k": NaN}', 400),
        (b'{"k": ' + b"[" * 40 + b"]" * 40 + b"}", 400),
        (b'{"": 1}', 422),
        (b'{" k": 1}', 422),
        (b'{"k\\u200b": 1}', 422),
        (b'{"' + b"k" * 101 + b'": 1}', 422),
        (b'{"k": "' + b"x" * (16 * 1024) + b'"}', 422),
        (b"[]", 422),
        (b'"k"', 422),
    ],
)
async def test_what_cannot_be_kept_is_refused_and_changes_nothing(
    api: httpx.AsyncClient, raw: bytes, status: int
) -> None:
    ann = await make_customer(api, name="Ann", custom_fields={"a": 1})
    path = f"/api/customers/{ann['id']}"
    for method, start in (("PATCH", b"{"), ("PUT", b'{"name": "Ann", ')):
        answer = await api.request(method, path, content=start + b'"customFields": ' + raw + b"}", headers=JSON)
        assert answer.status_code == status, answer.text
    assert told(await api.get(path)) == ann


async def test_the_limit_holds_for_all_fields_together(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", custom_fields={"a": "x" * 8_000})
    path = f"/api/customers/{ann['id']}"
    assert len(await patched(api, path, {"b": "x" * 8_000})) == 2
    answer = await api.patch(path, json={"customFields": {"c": "x" * 400}})
    assert pointers(answer) == ["/customFields"]
    assert "16384" in answer.text
    assert len(await patched(api, path, {"a": None, "c": "x" * 400})) == 2
    many = {f"k{n}": n for n in range(1000)}
    bo = await make_customer(api, name="Bo", custom_fields=many)
    assert bo["customFields"] == many


async def test_the_timeline_tells_old_and_new(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", custom_fields={"a": 1})
    path = f"/api/customers/{ann['id']}"
    await patched(api, path, {"a": 2, "b": "x"})
    [entry] = told(await api.get(f"{path}/timeline?type=CustomerChanged"))["data"]
    assert entry["data"] == {"changes": {"customFields": [{"a": 1}, {"a": 2, "b": "x"}]}}
