import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from uuid import UUID

import asyncpg
import msgspec
import pytest

from supover import settings
from supover.access import commands
from supover.access.authenticate import Authenticator
from supover.access.sessions import client_ip
from supover.kit import clock, ids
from supover.kit.db import Database
from supover.settings import Settings
from tests.access.places import Client, Place, make_client

WRONG = "sk_" + "0" * 48


@pytest.mark.parametrize(
    "authorization",
    [
        WRONG,
        f"Bearer {WRONG}",
        f"Bearer {WRONG}0",
        "Bearer",
        "Bearer ",
        "Bearer sk_",
        "Basic b3duZXI6b3duZXI=",
        "Bearer " + "x" * 5000,
        "Bearer sk_" + "é" * 48,
        "Bearer sk_" + "A" * 48,
        "",
    ],
)
async def test_a_wrong_key_is_401_and_says_how(client: Client, authorization: str) -> None:
    answer = await client.get("/api/workspace", headers={b"Authorization": authorization.encode()})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="supover"')
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "https://supover.dev/problems/key-refused"


async def test_nobody_at_all_is_401(client: Client) -> None:
    answer = await client.get("/api/workspace")
    assert answer.status_code == 401
    assert answer.json()["type"] == "https://supover.dev/problems/sign-in-needed"
    assert answer.headers["www-authenticate"] == 'Bearer realm="supover"'


async def test_the_key_decides_the_workspace(client: Client, place: Place, db: Database) -> None:
    answer = await client.as_key(place.key, "GET", "/api/workspace")
    assert answer.status_code == 200
    assert answer.json()["id"] == str(place.workspace.id)
    assert answer.headers["etag"] == '"1"'
    del db


async def test_a_key_goes_before_a_cookie(client: Client, place: Place) -> None:
    member = await place.staff("owner")
    assert (await client.sign_in(member.email)).status_code == 200
    assert (await client.as_key(WRONG, "GET", "/api/workspace")).status_code == 401
    answer = await client.as_key(place.key, "GET", "/api/session")
    assert (answer.json()["kind"], answer.json()["csrfToken"]) == ("key", None)


async def test_a_revoked_key_ends_at_once_here(client: Client, place: Place) -> None:
    other = await place.new_key("customers:read")
    assert (await client.as_key(other, "GET", "/api/workspace")).status_code == 200
    assert (await client.as_key(place.key, "DELETE", f"/api/keys/{other.id}")).status_code == 204
    assert (await client.as_key(other, "GET", "/api/workspace")).status_code == 401
    assert (await client.as_key(place.key, "DELETE", f"/api/keys/{other.id}")).status_code == 204


async def test_a_key_read_before_the_commit_is_not_remembered_after_it(
    client: Client, db: Database, place: Place
) -> None:
    other = await place.new_key("customers:read")
    async with db.tx(place.workspace.id) as tx:
        await commands.revoke_key(tx, other.id)
        client.authenticator.doubt(other.id)
        assert (await client.as_key(other, "GET", "/api/workspace")).status_code == 200
    assert (await client.as_key(other, "GET", "/api/workspace")).status_code == 401


async def test_another_process_forgets_within_seconds(
    db: Database, place: Place, configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await place.new_key("customers:read")
    async with make_client(db, configured) as elsewhere:
        assert (await elsewhere.as_key(other, "GET", "/api/workspace")).status_code == 200
        async with db.tx(place.workspace.id) as tx:
            await commands.revoke_key(tx, other.id)
        assert (await elsewhere.as_key(other, "GET", "/api/workspace")).status_code == 200
        now_s = clock.monotonic_s()
        monkeypatch.setattr(clock, "monotonic_s", lambda: now_s + 5.0)
        assert (await elsewhere.as_key(other, "GET", "/api/workspace")).status_code == 401
        await elsewhere.authenticator.close()


async def test_what_is_remembered_does_not_outlive_the_key(client: Client, place: Place) -> None:
    key = await place.new_key("customers:read", expires_at=clock.now() + timedelta(seconds=0.4))
    assert (await client.as_key(key, "GET", "/api/workspace")).status_code == 200
    await asyncio.sleep(0.45)
    answer = await client.as_key(key, "GET", "/api/workspace")
    assert answer.status_code == 401
    assert (await client.as_key(key, "GET", "/api/workspace")).status_code == 401


async def test_a_known_key_asks_the_database_once(
    client: Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await client.as_key(place.key, "GET", "/api/session")).status_code == 200
    asked = Mock(wraps=client.authenticator._find_key)  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(client.authenticator, "_find_key", asked)
    for _ in range(5):
        assert (await client.as_key(place.key, "GET", "/api/session")).status_code == 200
    assert asked.call_count == 0


async def test_the_limit_of_a_key_is_told_and_kept(client: Client, place: Place) -> None:
    key = await place.new_key("customers:read", rate_limit=3)
    answers = [await client.as_key(key, "GET", "/api/workspace") for _ in range(5)]
    told = [(a.status_code, a.headers["ratelimit-limit"], a.headers["ratelimit-remaining"]) for a in answers]
    answer = answers[-1]
    assert told == [(200, "3", "2"), (200, "3", "1"), (200, "3", "0"), (429, "3", "0"), (429, "3", "0")]
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["ratelimit-reset"] == answer.headers["retry-after"]
    assert answer.json()["type"] == "https://supover.dev/problems/rate-limited"


async def test_a_key_of_the_command_line_has_no_limit(client: Client, place: Place) -> None:
    answer = await client.as_key(place.key, "GET", "/api/workspace")
    assert not [name for name in answer.headers if name.startswith("ratelimit")]


async def test_the_last_use_is_noted_once_a_minute(
    client: Client, place: Place, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async def noted() -> object:
        return await owner.fetchval("select last_used_at from data.api_key where id = $1", place.key.id)

    assert await noted() is None
    await client.as_key(place.key, "GET", "/api/workspace")
    await client.authenticator.close()
    first = await noted()
    assert first is not None
    client.authenticator.doubt(place.key.id)
    await client.as_key(place.key, "GET", "/api/workspace")
    await client.authenticator.close()
    assert await noted() == first
    await owner.execute("update data.api_key set last_used_at = now() - interval '61 s' where id = $1", place.key.id)
    client.authenticator._used.clear()  # pyright: ignore[reportPrivateUsage]
    await client.as_key(place.key, "GET", "/api/workspace")
    await client.authenticator.close()
    assert await noted() != first


async def test_a_note_that_fails_fails_no_request(db: Database, place: Place, configured: Settings) -> None:
    class Broken(Authenticator):
        async def _write_use(self, workspace_id: UUID, id: UUID) -> None:
            self.database = Mock(across=Mock(side_effect=ConnectionError("gone")))
            await super()._write_use(workspace_id, id)

    async with make_client(db, configured, Broken(db, configured)) as client:
        assert (await client.as_key(place.key, "GET", "/api/workspace")).status_code == 200
        await client.authenticator.close()


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"),
        ("10.0.0.1", "1.2.3.4, nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:10.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("testclient", "1.2.3.4", "testclient"),
        (None, "1.2.3.4", None),
    ],
)
def test_only_trusted_proxies_say_where_a_request_comes_from(
    tmp_path: Path, peer: str | None, forwarded: str, found: str | None
) -> None:
    behind = settings.load({"SUPOVER_TRUSTED_PROXIES": "10.0.0.0/8"}, tmp_path)
    scope: dict[str, Any] = {
        "client": (peer, 1) if peer else None,
        "headers": [(b"x-forwarded-for", forwarded.encode())] if forwarded else [],
    }
    assert client_ip(scope, behind) == found
    assert scope["client_ip"] == found
    assert client_ip(scope, settings.load({}, tmp_path)) == peer


async def test_what_is_remembered_is_bounded(client: Client, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supover.access.authenticate.REMEMBER_MOST", 2)
    for _ in range(4):
        key = await place.new_key("customers:read")
        assert (await client.as_key(key, "GET", "/api/workspace")).status_code == 200
    assert len(client.authenticator._known) <= 2  # pyright: ignore[reportPrivateUsage]
    assert len(client.authenticator._used) <= 2  # pyright: ignore[reportPrivateUsage]


def test_a_caller_says_who_it_is() -> None:
    from supover.access.model import operator

    here = ids.new()
    assert operator(here).actor == "cli"
    key = msgspec.structs.replace(operator(here), kind="key", id=here)
    assert key.actor == f"key:{here}"
