from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from supover import settings
from supover.access import commands, passwords
from supover.access.model import TooManyAttempts, WorkspaceChange
from supover.access.sessions import Attempts
from supover.kit import clock, ids
from supover.kit.db import Database
from supover.settings import Settings
from tests.access.places import PASSWORD, Client, Place, make_client, make_place

REFUSED = "https://supover.dev/problems/sign-in-refused"


@pytest.fixture
async def https(db: Database, tmp_path: Path) -> AsyncGenerator[Client]:
    async with make_client(db, settings.load({"SUPOVER_PUBLIC_URL": "https://shop.test"}, tmp_path)) as found:
        yield found


async def test_signing_in_hands_over_a_cookie_that_scripts_cannot_read(client: Client, place: Place) -> None:
    member = await place.staff("agent")
    answer = await client.post("/api/session", json={"email": member.email.upper(), "password": PASSWORD})
    assert answer.status_code == 200
    name, path, age, *rest = answer.headers["set-cookie"].split("; ")
    assert name.startswith("supover_session=")
    assert (path, rest) == ("Path=/", ["HttpOnly", "SameSite=Lax"])
    assert age in ("Max-Age=43199", "Max-Age=43200")
    body = answer.json()
    assert body["kind"] == "staff"
    assert (body["id"], body["email"], body["role"]) == (str(member.id), member.email, "agent")
    assert body["permissions"] == [
        "customers:read",
        "customers:write",
        "customers:merge",
        "duplicates:read",
        "duplicates:write",
        "orders:read",
        "orders:write",
        "analytics:read",
        "events:read",
        "imports:read",
        "exports:read",
        "exports:write",
    ]
    assert body["workspace"]["id"] == str(place.workspace.id)
    assert [w["id"] for w in body["workspaces"]] == [str(place.workspace.id)]
    assert len(body["csrfToken"]) == 64
    again = await client.get("/api/session")
    assert again.json() == body


async def test_on_https_the_cookie_is_bound_to_this_host(https: Client, place: Place) -> None:
    member = await place.staff("viewer")
    answer = await https.sign_in(member.email)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-supover_session=")
    assert cookie.endswith("; HttpOnly; SameSite=Lax; Secure")
    assert (await https.get("/api/session")).status_code == 200


async def test_signing_in_is_audited_and_the_token_is_kept_as_a_hash(
    client: Client, place: Place, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    member = await place.staff("owner")
    await client.sign_in(member.email)
    token = next(iter(client.cookies.values()))
    assert token is not None
    row = await owner.fetchrow("select * from data.session where staff_id = $1", member.id)
    assert row is not None
    assert row["token_hash"] == commands.digest(token)
    assert row["csrf_hash"] == commands.digest(client.headers["X-CSRF-Token"])
    assert row["ip"] == "127.0.0.1"
    audit = await client.get("/api/audit", params={"actor": f"staff:{member.id}"})
    entries = audit.json()["data"]
    assert [e["action"] for e in entries] == ["access.sign_in"]
    assert (entries[0]["actorName"], entries[0]["ip"]) == ("The owner", "127.0.0.1")


@pytest.mark.parametrize(
    ("email", "password"),
    [("real", "wrong password 1"), ("unknown", PASSWORD), ("disabled", PASSWORD), ("real", ""), ("", "")],
)
async def test_all_refusals_are_alike_and_cost_one_verification(
    client: Client, place: Place, monkeypatch: pytest.MonkeyPatch, email: str, password: str
) -> None:
    real = (await place.staff("owner")).email
    disabled = (await place.staff("viewer")).email
    await commands.disable_staff(place.db, disabled)
    verified: list[str] = []

    class Counting:
        def verify(self, kept: str, given: str) -> bool:
            verified.append(kept)
            return hasher.verify(kept, given)

    hasher = passwords.HASHER
    monkeypatch.setattr(passwords, "HASHER", Counting())
    address = {"real": real, "disabled": disabled, "unknown": f"{ids.new().hex}@nobody.example", "": ""}[email]
    answer = await client.post("/api/session", json={"email": address, "password": password})
    assert answer.status_code == 401
    body = answer.json()
    assert (body["type"], body["title"], body["detail"]) == (
        REFUSED,
        "Email or password is wrong",
        "Email or password is wrong",
    )
    assert "set-cookie" not in answer.headers
    assert len(verified) == 1
    assert verified[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (verified[0] == passwords.NOBODY) == (email in ("unknown", ""))


def test_nobodys_hash_costs_what_a_real_one_costs() -> None:
    assert not passwords.HASHER.check_needs_rehash(passwords.NOBODY)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"json": {"email": "a@b.c"}}, 422),
        ({"json": {"email": "a@b.c", "password": "x", "role": "owner"}}, 422),
        ({"json": {"email": "a@b.c", "password": "x" * 1025}}, 422),
        ({"json": {"email": ["a@b.c"], "password": "x"}}, 422),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ({"content": b'{"email":"a@b.c","password":"x"}', "headers": {"Content-Type": "text/plain"}}, 415),
        ({"data": {"email": "a@b.c", "password": "x"}}, 415),
    ],
)
async def test_a_form_of_another_site_cannot_sign_anybody_in(client: Client, sent: dict[str, Any], status: int) -> None:
    answer = await client.post("/api/session", **sent)
    assert answer.status_code == status
    assert "set-cookie" not in answer.headers


async def test_after_ten_failures_one_account_waits_from_there(client: Client, place: Place) -> None:
    victim, other = await place.staff("owner"), await place.staff("admin")
    statuses = [(await client.sign_in(victim.email, f"wrong password {n}")).status_code for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    answer = await client.sign_in(victim.email)
    assert answer.status_code == 429
    assert 800 <= int(answer.headers["retry-after"]) <= 900
    assert (await client.sign_in(other.email)).status_code == 200


async def test_a_header_that_nobody_trusts_changes_neither_the_limit_nor_the_audit_log(
    client: Client, place: Place
) -> None:
    member = await place.staff("owner")
    statuses: list[int] = []
    for n in range(11):
        client.headers["X-Forwarded-For"] = f"198.51.100.{n}"
        statuses.append((await client.sign_in(member.email, f"wrong password {n}")).status_code)
    assert statuses == [401] * 10 + [429]
    other = await place.staff("owner")
    await client.sign_in(other.email)
    await client.patch("/api/workspace", json={"name": "Renamed"})
    entries = (await client.get("/api/audit")).json()["data"]
    assert [(e["action"], e["ip"]) for e in entries] == [
        ("access.change_workspace", "127.0.0.1"),
        ("access.sign_in", "127.0.0.1"),
    ]


def test_one_account_waits_after_a_hundred_failures_from_anywhere_but_not_for_one_network() -> None:
    attempts = Attempts()

    def refused(email: str, ip: str) -> bool:
        try:
            attempts.count(email, ip)
        except TooManyAttempts as error:
            assert 800 <= int(error.headers["Retry-After"]) <= 901
            return True
        return False

    # What one network is refused beyond its ten is not counted against the account.
    assert [refused("Ann@shop.example", "192.0.2.1") for _ in range(100)] == [False] * 10 + [True] * 90
    assert [refused("ann@shop.example", f"198.51.100.{n % 90}") for n in range(90)] == [False] * 90
    assert refused("ANN@shop.example ", "203.0.113.1")
    assert not refused("bob@shop.example", "203.0.113.1")
    attempts.succeeded("bob@shop.example", "203.0.113.1")


def test_ipv4_clients_of_a_socket_for_both_are_networks_of_their_own() -> None:
    attempts = Attempts()
    for _ in range(10):
        attempts.count("ann@shop.example", "::ffff:192.0.2.1")
    for same in ("::ffff:192.0.2.1", "192.0.2.1"):
        with pytest.raises(TooManyAttempts):
            attempts.count("ann@shop.example", same)
    attempts.count("ann@shop.example", "::ffff:192.0.2.2")
    for n in range(10):
        attempts.count("ann@shop.example", f"2001:db8::{n}")
    with pytest.raises(TooManyAttempts):
        attempts.count("ann@shop.example", "2001:db8::ffff:1")


async def test_signing_in_goes_on_where_one_was_last_else_in_the_oldest_membership(
    client: Client, db: Database, place: Place
) -> None:
    member, other = await place.staff("owner"), await make_place(db)
    async with other.db.tx(other.workspace.id) as tx:
        await commands.change_workspace(tx, WorkspaceChange(name="A first name"))
    await other.staff("viewer", member.email)
    first = (await client.sign_in(member.email)).json()
    assert first["workspace"]["id"] == str(place.workspace.id)
    assert [w["name"] for w in first["workspaces"]] == ["A first name", "Shop"]
    switched = await client.put("/api/session", json={"workspaceId": str(other.workspace.id)})
    assert switched.status_code == 200
    assert (await client.sign_in(member.email)).json()["workspace"]["id"] == str(other.workspace.id)


async def test_an_unknown_account_waits_just_the_same(client: Client) -> None:
    statuses = [(await client.sign_in("nobody@shop.example")).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]


async def test_a_success_forgets_the_failures_before_it(client: Client, place: Place) -> None:
    member = await place.staff("owner")
    for _ in range(2):
        for n in range(9):
            assert (await client.sign_in(member.email, f"wrong password {n}")).status_code == 401
        assert (await client.sign_in(member.email)).status_code == 200


async def test_too_many_at_once_are_sent_away(client: Client, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    member = await place.staff("owner")
    monkeypatch.setattr(passwords, "MOST_WAITING", 0)
    answer = await client.sign_in(member.email)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


# --- cross-site requests -----------------------------------------------------------------------------------------------


async def test_reading_needs_no_csrf_token(client: Client, place: Place) -> None:
    member = await place.staff("owner")
    await client.sign_in(member.email)
    del client.headers["X-CSRF-Token"]
    assert (await client.get("/api/workspace")).status_code == 200


@pytest.mark.parametrize("token", ["none", "empty", "another's", "the session's own", "cut", "in the query"])
async def test_a_write_by_cookie_needs_its_sessions_token(
    client: Client, db: Database, place: Place, token: str
) -> None:
    member = await place.staff("owner")
    async with make_client(db, client.authenticator.settings) as elsewhere:
        await elsewhere.sign_in((await place.staff("owner")).email)
        another = elsewhere.headers["X-CSRF-Token"]
    await client.sign_in(member.email)
    mine = client.headers.pop("X-CSRF-Token")
    own = next(iter(client.cookies.values()))
    sent = {"none": None, "empty": "", "another's": another, "the session's own": own, "cut": mine[:-1]}.get(token)
    for method, path in (
        ("PATCH", "/api/workspace"),
        ("POST", "/api/keys"),
        ("PUT", "/api/session"),
        ("DELETE", "/api/session"),
    ):
        answer = await client.request(
            method,
            path + (f"?X-CSRF-Token={mine}" if token == "in the query" else ""),
            json={"name": "Taken over"},
            headers={} if sent is None else {"X-CSRF-Token": sent},
        )
        assert answer.status_code == 403, method
        assert answer.json()["type"] == "https://supover.dev/problems/csrf-refused"
    assert (await client.get("/api/workspace")).json() == {
        **(await client.as_key(place.key, "GET", "/api/workspace")).json(),
        "name": "Shop",
        "version": 1,
    }


async def test_a_write_with_its_token_but_another_content_type_is_refused(client: Client, place: Place) -> None:
    member = await place.staff("owner")
    await client.sign_in(member.email)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = await client.patch("/api/workspace", content=b'{"name":"Taken over"}', headers={"Content-Type": kind})
        assert answer.status_code == 415, kind
    assert (await client.get("/api/workspace")).json()["name"] == "Shop"
    assert (await client.patch("/api/workspace", json={"name": "Mine"})).status_code == 200


async def test_a_key_needs_no_csrf_token(client: Client, place: Place) -> None:
    assert (await client.as_key(place.key, "PATCH", "/api/workspace", json={"name": "By key"})).status_code == 200


# --- ending and changing -----------------------------------------------------------------------------------------------


async def test_signing_out_ends_the_session_at_once(client: Client, place: Place) -> None:
    member = await place.staff("owner")
    await client.sign_in(member.email)
    token = next(iter(client.cookies.values()))
    answer = await client.delete("/api/session")
    assert answer.status_code == 204
    assert answer.headers["set-cookie"].startswith("supover_session=; Path=/; Max-Age=0;")
    again = await client.get("/api/session", headers={"Cookie": f"supover_session={token}"})
    assert again.status_code == 401
    assert again.json()["type"] == "https://supover.dev/problems/session-ended"


@pytest.mark.parametrize("value", ["", "x", "a" * 43, "a" * 44, "é" * 43, '"; drop', "a" * 5000])
async def test_a_made_up_cookie_opens_nothing(client: Client, value: str) -> None:
    answer = await client.get("/api/session", headers={b"Cookie": f"other=1; supover_session={value}".encode()})
    assert answer.status_code == 401


async def test_a_session_ends_by_itself(
    client: Client, place: Place, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    member = await place.staff("owner")
    await client.sign_in(member.email)
    await owner.execute("update data.session set expires_at = now() where staff_id = $1", member.id)
    assert (await client.get("/api/session")).status_code == 401


async def test_switching_goes_on_in_another_workspace_under_another_token(
    client: Client, db: Database, place: Place
) -> None:
    member = await place.staff("owner")
    other = await make_place(db)
    await other.staff("viewer", member.email)
    await client.sign_in(member.email, workspaceId=str(place.workspace.id))
    old_token, old_csrf = next(iter(client.cookies.values())), client.headers["X-CSRF-Token"]
    answer = await client.put("/api/session", json={"workspaceId": str(other.workspace.id)})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["workspace"]["id"], body["role"]) == (str(other.workspace.id), "viewer")
    assert {w["id"] for w in body["workspaces"]} == {str(place.workspace.id), str(other.workspace.id)}
    assert (await client.get("/api/workspace")).json()["id"] == str(other.workspace.id)
    assert body["csrfToken"] != old_csrf
    assert (await client.patch("/api/workspace", json={"name": "x"})).json()["type"].endswith("/csrf-refused")
    client.headers["X-CSRF-Token"] = body["csrfToken"]
    assert (await client.patch("/api/workspace", json={"name": "x"})).json()["type"].endswith("/not-allowed")
    client.cookies.clear()
    stale = await client.get("/api/workspace", headers={"Cookie": f"supover_session={old_token}"})
    assert stale.status_code == 401


async def test_nobody_switches_to_or_signs_in_at_a_workspace_that_is_not_theirs(
    client: Client, db: Database, place: Place
) -> None:
    member, other = await place.staff("owner"), await make_place(db)
    for wrong in (other.workspace.id, ids.new()):
        answer = await client.sign_in(member.email, workspaceId=str(wrong))
        assert (answer.status_code, answer.json()["type"]) == (403, "https://supover.dev/problems/no-workspace")
    await client.sign_in(member.email)
    before = next(iter(client.cookies.values()))
    for wrong in (other.workspace.id, ids.new()):
        answer = await client.put("/api/session", json={"workspaceId": str(wrong)})
        assert answer.status_code == 403
    assert next(iter(client.cookies.values())) == before
    assert (await client.get("/api/workspace")).json()["id"] == str(place.workspace.id)


async def test_who_has_no_workspace_left_cannot_sign_in(client: Client, place: Place) -> None:
    await place.staff("owner")
    member = await place.staff("viewer")
    async with place.db.tx(place.workspace.id) as tx:
        await commands.remove_staff(tx, place.operator, member.id)
    answer = await client.sign_in(member.email)
    assert (answer.status_code, answer.json()["type"]) == (403, "https://supover.dev/problems/no-workspace")


async def test_an_api_key_has_no_session_to_change(client: Client, place: Place) -> None:
    for method, path, body in (
        ("PUT", "/api/session", {"workspaceId": str(place.workspace.id)}),
        ("DELETE", "/api/session", None),
        ("PUT", "/api/session/password", {"current": "x", "new": "y"}),
    ):
        answer = await client.as_key(place.key, method, path, json=body)
        assert (answer.status_code, answer.json()["type"]) == (403, "https://supover.dev/problems/staff-only")


async def test_a_new_password_ends_all_sessions_but_opens_one(client: Client, db: Database, place: Place) -> None:
    member = await place.staff("agent")
    async with make_client(db, client.authenticator.settings, client.authenticator) as elsewhere:
        await elsewhere.sign_in(member.email)
        assert (await elsewhere.get("/api/session")).status_code == 200
        await client.sign_in(member.email)
        changed = await client.put("/api/session/password", json={"current": PASSWORD, "new": "another good password"})
        assert changed.status_code == 200
        assert (await elsewhere.get("/api/session")).status_code == 401
    assert (await client.get("/api/session")).json() == changed.json()
    assert (await client.sign_in(member.email)).status_code == 401
    assert (await client.sign_in(member.email, "another good password")).status_code == 200


@pytest.mark.parametrize(
    ("current", "new", "pointer", "code"),
    [
        ("wrong password 1", "another good password", "/current", "wrong"),
        (PASSWORD, "too short", "/new", "length"),
        (PASSWORD, "x" * 201, "/new", "length"),
        (PASSWORD, "aaaaaaaaaaaabbbb", "/new", "weak"),
        (PASSWORD, "EMAIL", "/new", "weak"),
        (PASSWORD, PASSWORD, "/new", "same"),
    ],
)
async def test_a_new_password_must_be_good_and_the_old_one_known(
    client: Client, place: Place, current: str, new: str, pointer: str, code: str
) -> None:
    member = await place.staff("agent")
    await client.sign_in(member.email)
    new = member.email.title() if new == "EMAIL" else new
    answer = await client.put("/api/session/password", json={"current": current, "new": new})
    assert answer.status_code == 422
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]
    assert (await client.sign_in(member.email)).status_code == 200


async def test_guessing_the_current_password_has_the_same_limit(client: Client, place: Place) -> None:
    member = await place.staff("agent")
    await client.sign_in(member.email)
    statuses = [
        (
            await client.put("/api/session/password", json={"current": f"wrong {n}", "new": "another good password"})
        ).status_code
        for n in range(11)
    ]
    assert statuses == [422] * 10 + [429]


async def test_removed_and_disabled_staff_are_out_at_once(client: Client, db: Database, place: Place) -> None:
    await place.staff("owner")
    for way in ("remove", "disable"):
        member = await place.staff("admin")
        await client.sign_in(member.email)
        assert (await client.get("/api/workspace")).status_code == 200
        if way == "remove":
            answer = await client.as_key(place.key, "DELETE", f"/api/staff/{member.id}")
            assert answer.status_code == 204
        else:
            await commands.disable_staff(db, member.email)
            client.authenticator.doubt(member.id)
        assert (await client.get("/api/workspace")).status_code == 401, way


async def test_another_role_holds_at_once(client: Client, place: Place) -> None:
    await place.staff("owner")
    member = await place.staff("admin")
    await client.sign_in(member.email)
    assert (await client.get("/api/keys")).status_code == 200
    changed = await client.as_key(place.key, "PATCH", f"/api/staff/{member.id}", json={"role": "viewer"})
    assert (changed.status_code, changed.json()["role"]) == (200, "viewer")
    assert (await client.get("/api/keys")).status_code == 403


async def test_the_cookies_age_is_the_sessions(client: Client, place: Place) -> None:
    answer = await client.sign_in((await place.staff("viewer")).email)
    left = httpx.Cookies()
    left.extract_cookies(answer)
    (cookie,) = list(left.jar)
    assert cookie.expires is not None
    assert abs(cookie.expires - clock.now().timestamp() - 12 * 3600) < 10


# --- one's own sessions ------------------------------------------------------------------------------------------------------


async def test_a_person_sees_their_sessions_in_all_workspaces_and_ends_one(
    client: Client, db: Database, place: Place, configured: Settings
) -> None:
    member, other = await place.staff("viewer"), await make_place(db)
    await other.staff("agent", member.email)
    await place.staff("viewer")
    async with make_client(db, configured, client.authenticator) as phone:
        await phone.sign_in(member.email, workspaceId=str(other.workspace.id))
        await client.sign_in(member.email, workspaceId=str(place.workspace.id))
        listed = (await client.get("/api/sessions")).json()
        assert (listed["total"], listed["nextCursor"]) == (2, None)
        assert [(s["workspace"]["id"], s["isCurrent"]) for s in listed["data"]] == [
            (str(place.workspace.id), True),
            (str(other.workspace.id), False),
        ]
        assert set(listed["data"][0]) == {
            *("id", "workspace", "createdAt", "expiresAt", "ip", "userAgent", "isCurrent")
        }
        assert (listed["data"][0]["ip"], "httpx" in listed["data"][0]["userAgent"]) == ("127.0.0.1", True)
        left = f"/api/sessions/{listed['data'][1]['id']}"
        assert (await phone.get("/api/session")).status_code == 200
        assert (await client.delete(left)).status_code == 204
        assert (await phone.get("/api/session")).status_code == 401
        assert (await client.delete(left)).json()["type"] == "https://supover.dev/problems/session-not-found"
    assert [s["isCurrent"] for s in (await client.get("/api/sessions")).json()["data"]] == [True]
    assert (await client.get("/api/sessions", params={"all": "true"})).status_code == 422


async def test_nobody_ends_or_sees_anothers_session(
    client: Client, db: Database, place: Place, configured: Settings
) -> None:
    member, boss = await place.staff("viewer"), await place.staff("owner")
    async with make_client(db, configured) as theirs:
        await theirs.sign_in(member.email)
        [open_] = (await theirs.get("/api/sessions")).json()["data"]
        await client.sign_in(boss.email)
        for id in (open_["id"], str(ids.new()), str(member.id)):
            assert (await client.delete(f"/api/sessions/{id}")).status_code == 404
            assert (await client.as_key(place.key, "DELETE", f"/api/sessions/{id}")).status_code == 404
        assert (await client.as_key(place.key, "GET", "/api/sessions")).json()["data"] == []
        assert (await theirs.get("/api/session")).status_code == 200


# --- several processes -------------------------------------------------------------------------------------------------------


async def test_failures_in_any_process_count_in_all(db: Database, place: Place, configured: Settings) -> None:
    victim = await place.staff("owner")
    async with make_client(db, configured) as one, make_client(db, configured) as another:
        statuses = [(await (one, another)[n % 2].sign_in(victim.email, f"wrong {n}")).status_code for n in range(12)]
        assert statuses == [401] * 10 + [429] * 2
        refused = await another.sign_in(victim.email)
        assert (refused.status_code, 800 <= int(refused.headers["retry-after"]) <= 900) == (429, True)
    async with make_client(db, configured) as third:
        # Its own memory knows nothing of this account yet.
        assert (await third.sign_in(victim.email)).status_code == 429


async def test_a_success_in_one_process_forgets_the_failures_in_another(
    db: Database, place: Place, configured: Settings, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    member = await place.staff("owner")
    async with make_client(db, configured) as one, make_client(db, configured) as another:
        for n in range(9):
            assert (await one.sign_in(member.email, f"wrong {n}")).status_code == 401
        assert (await another.sign_in(member.email)).status_code == 200
        for n in range(5):
            assert (await another.sign_in(member.email, f"wrong {n}")).status_code == 401
    kept = [row[0] for row in await owner.fetch("select subject from data.throttle")]
    assert not any(member.email.partition("@")[0] in subject or "@" in subject for subject in kept)


async def test_a_hundred_failures_in_all_processes_together_make_an_account_wait_everywhere(db: Database) -> None:
    email = f"{ids.new().hex}@shop.example"
    for n in range(100):
        await Attempts().count_everywhere(db, email, f"198.51.100.{n % 50}")
    for _ in range(2):
        with pytest.raises(TooManyAttempts):
            await Attempts().count_everywhere(db, email, "203.0.113.1")
    await Attempts().count_everywhere(db, f"other-{email}", "203.0.113.1")
    await Attempts().succeeded_everywhere(db, email, "203.0.113.1")
