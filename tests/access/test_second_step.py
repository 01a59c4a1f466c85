"""Signing in by two steps: an app's codes, each taken once, and recovery codes for who has lost it."""

import asyncio
from typing import Any

import asyncpg
from pyotp.totp import TOTP

from supover.access import second_step
from supover.access.authenticate import Authenticator
from supover.access.model import AddedMember
from supover.access.sessions import ATTEMPTS
from supover.kit import clock
from supover.kit.db import Database
from supover.settings import Settings
from tests.access.places import PASSWORD, Client, Place, make_client

NEEDED = "https://supover.dev/problems/second-step-needed"
REFUSED = "https://supover.dev/problems/second-step-refused"
STEP = "/api/session/second-step"


def code(key: str, by: int = 0) -> str:
    return TOTP(key).generate_otp(int(clock.now().timestamp()) // 30 + by)


async def enrolled(client: Client, place: Place) -> tuple[AddedMember, str, list[str]]:
    """A member who signs in by two steps, signed in; the app's key and the recovery codes. Code -1 is used up."""
    member = await place.staff("agent")
    await client.sign_in(member.email)
    key = (await client.post(STEP)).json()["setupKey"]
    answer = await client.put(STEP, json={"code": code(key, -1)})
    assert answer.status_code == 200, answer.text
    return member, key, answer.json()["recoveryCodes"]


async def sign_in(client: Client, member: AddedMember, given: str | None = None, password: str = PASSWORD) -> Any:
    client.cookies.clear()
    more = {} if given is None else {"code": given}
    return await client.sign_in(member.email, password, **more)


async def test_a_second_step_is_asked_for_once_its_first_code_was_confirmed(client: Client, place: Place) -> None:
    member = await place.staff("agent")
    await client.sign_in(member.email)
    off = {"isOn": False, "since": None, "recoveryCodesLeft": 0}
    assert (await client.get(STEP)).json() == off
    begun = (await client.post(STEP)).json()
    assert begun["uri"].startswith("otpauth://totp/Supover:agent-")
    assert f"secret={begun['setupKey']}" in begun["uri"]
    wrong = await client.put(STEP, json={"code": "000000" if code(begun["setupKey"]) != "000000" else "000001"})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/code")
    assert (await sign_in(client, member)).status_code == 200
    assert (await client.get(STEP)).json() == off
    right = await client.put(STEP, json={"code": code(begun["setupKey"])})
    assert len(set(right.json()["recoveryCodes"])) == 10
    on = (await client.get(STEP)).json()
    assert (on["isOn"], on["recoveryCodesLeft"]) == (True, 10)
    assert (await client.post(STEP)).status_code == 409
    needed = await sign_in(client, member)
    assert (needed.status_code, needed.json()["type"]) == (401, NEEDED)
    assert "set-cookie" not in needed.headers


async def test_nothing_is_confirmed_that_was_not_begun(client: Client, place: Place) -> None:
    member = await place.staff("agent")
    await client.sign_in(member.email)
    assert (await client.put(STEP, json={"code": "123456"})).status_code == 409
    first = (await client.post(STEP)).json()["setupKey"]
    second = (await client.post(STEP)).json()["setupKey"]
    assert first != second
    assert (await client.put(STEP, json={"code": code(first)})).status_code == 422
    assert (await client.put(STEP, json={"code": code(second)})).status_code == 200


async def test_an_api_key_has_no_second_step(client: Client, place: Place) -> None:
    for method in ("GET", "POST"):
        answer = await client.as_key(place.key, method, STEP)
        assert (answer.status_code, answer.json()["type"]) == (403, "https://supover.dev/problems/staff-only")


async def test_who_has_the_password_and_a_code_gets_in(client: Client, place: Place) -> None:
    member, key, _ = await enrolled(client, place)
    wrong = await sign_in(client, member, "12345")
    assert (wrong.status_code, wrong.json()["type"]) == (401, REFUSED)
    spaced = f"{code(key)[:3]} {code(key)[3:]}"
    assert (await sign_in(client, member, spaced)).status_code == 200


async def test_a_code_is_no_use_without_the_password(client: Client, place: Place) -> None:
    member, key, codes = await enrolled(client, place)
    for given in (None, code(key), codes[0]):
        refused = await sign_in(client, member, given, "another password")
        assert (refused.status_code, refused.json()["type"]) == (401, "https://supover.dev/problems/sign-in-refused")
    assert (await sign_in(client, member, codes[0])).status_code == 200, "nothing was used up"


async def test_a_code_is_taken_once_and_none_before_it(client: Client, place: Place) -> None:
    member, key, _ = await enrolled(client, place)
    assert (await sign_in(client, member, code(key, -1))).status_code == 401, "it confirmed the app"
    given = code(key, 1)
    assert (await sign_in(client, member, given)).status_code == 200
    for used in (given, code(key), code(key, -1)):
        answer = await sign_in(client, member, used)
        assert (answer.status_code, answer.json()["type"]) == (401, REFUSED)


async def test_codes_far_from_now_are_refused(client: Client, place: Place) -> None:
    member, key, _ = await enrolled(client, place)
    for by in (-3, 3, 100):
        assert (await sign_in(client, member, code(key, by))).status_code == 401


async def test_of_two_processes_one_takes_a_code(
    client: Client, place: Place, db: Database, configured: Settings
) -> None:
    member, key, _ = await enrolled(client, place)
    given = code(key)
    async with make_client(db, configured, Authenticator(db, configured)) as other:
        answers = await asyncio.gather(
            *(one.post("/api/session", json={"email": member.email, "password": PASSWORD, "code": given}) for one in (client, other))
        )  # fmt: skip
    assert sorted(answer.status_code for answer in answers) == [200, 401]


async def test_a_recovery_code_is_taken_once(client: Client, place: Place) -> None:
    member, _, codes = await enrolled(client, place)
    assert (await sign_in(client, member, codes[3].upper().replace("-", " "))).status_code == 200
    assert (await client.get(STEP)).json()["recoveryCodesLeft"] == 9
    assert (await sign_in(client, member, codes[3])).status_code == 401
    assert (await sign_in(client, member, codes[4])).status_code == 200


async def test_new_recovery_codes_take_the_place_of_those_that_were_left(client: Client, place: Place) -> None:
    member, key, codes = await enrolled(client, place)
    assert (await sign_in(client, member, codes[0])).status_code == 200
    wrong = await client.post(f"{STEP}/recovery-codes", json={"code": "nothing"})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/code")
    given = code(key, 1)
    made = (await client.post(f"{STEP}/recovery-codes", json={"code": given})).json()["recoveryCodes"]
    assert len({*made, *codes}) == 20
    assert (await client.get(STEP)).json()["recoveryCodesLeft"] == 10
    assert (await client.post(f"{STEP}/recovery-codes", json={"code": given})).status_code == 422, "it is used up"
    assert (await sign_in(client, member, codes[1])).status_code == 401
    assert (await sign_in(client, member, made[0])).status_code == 200


async def test_who_signs_in_by_the_password_alone_has_no_recovery_codes(client: Client, place: Place) -> None:
    member = await place.staff("agent")
    await client.sign_in(member.email)
    assert (await client.post(f"{STEP}/recovery-codes", json={"code": "123456"})).status_code == 409


async def test_wrong_codes_count_as_attempts_and_asking_for_the_code_takes_none_of_them_back(
    client: Client, place: Place
) -> None:
    member, _, codes = await enrolled(client, place)
    for _ in range(ATTEMPTS):
        assert (await sign_in(client, member, "nothing")).status_code == 401
        if _ < ATTEMPTS - 1:
            assert (await sign_in(client, member)).json()["type"] == NEEDED
    assert (await sign_in(client, member, codes[0])).status_code == 429


async def test_asking_for_the_code_is_no_failed_attempt(client: Client, place: Place) -> None:
    member, _, codes = await enrolled(client, place)
    for _ in range(ATTEMPTS + 2):
        assert (await sign_in(client, member)).json()["type"] == NEEDED
    assert (await sign_in(client, member, codes[0])).status_code == 200


async def test_it_is_turned_off_with_the_password_alone(client: Client, place: Place) -> None:
    member, _, codes = await enrolled(client, place)
    wrong = await client.post(f"{STEP}/end", json={"password": "another password"})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/password")
    assert (await client.get(STEP)).json()["isOn"] is True
    ended = await client.post(f"{STEP}/end", json={"password": PASSWORD})
    assert (ended.status_code, ended.json()["isOn"]) == (200, False)
    assert (await sign_in(client, member)).status_code == 200
    assert (await client.get(STEP)).json()["recoveryCodesLeft"] == 0
    assert codes


async def test_what_is_kept_tells_neither_the_key_nor_the_codes(
    client: Client, place: Place, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    member, key, codes = await enrolled(client, place)
    row = await owner.fetchrow("select * from data.staff where id = $1", member.id)
    assert row is not None
    assert key not in repr(row)
    assert key.encode() not in bytes(row["second_step_secret"])
    assert not any(one in repr(row) or one.replace("-", "") in repr(row) for one in codes)
    told = repr(
        await owner.fetch("select action, changes from data.audit_log where workspace_id = $1", place.workspace.id)
    )
    assert "access.confirm_second_step" in told
    assert key not in told


async def test_a_secret_at_another_account_lets_nobody_in(
    client: Client, place: Place, db: Database, owner: "asyncpg.Connection[asyncpg.Record]", configured: Settings
) -> None:
    member, key, _ = await enrolled(client, place)
    other = await place.staff("viewer")
    await owner.execute(
        """update data.staff o set second_step_secret = p.second_step_secret, second_step_at = now()
             from data.staff p where p.id = $1 and o.id = $2""",
        member.id, other.id,
    )  # fmt: skip
    assert (await sign_in(client, other, code(key))).status_code == 403
    assert await second_step.is_on(db, other.id)
