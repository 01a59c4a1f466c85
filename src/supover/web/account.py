"""One's own account: language, password, the second step of signing in, and where one is signed in."""

from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import msgspec
import segno
from markupsafe import Markup
from msgspec import Meta

from supover.access import queries, second_step, sessions
from supover.access.model import PasswordChange, SecondStepCode, SecondStepEnd, StaffOnly
from supover.kit import api
from supover.kit.db import Reader, Tx
from supover.kit.problems import Invalid
from supover.web import commands
from supover.web.frame import Asked, Pages, caller_of, door_of, form_of, reading, see
from supover.web.model import Language, Preference
from supover.web.settings import section, zones

pages = Pages()
S = TypeVar("S", bound=msgspec.Struct)


class Preferred(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody chooses; nothing is what the browser or the workspace says."""

    language: Language | None = None
    timezone: Annotated[str, Meta(max_length=64)] | None = None


MINE: Final = "select p.language, p.timezone from web_preference p where p.workspace_id = $1 and p.staff_id = $2"


@pages.get("/settings/account", of="access.find_session")
async def show_account(db: Reader, request: Asked) -> api.Raw:
    """The account of who looks at it."""
    return await _account(db, request)


async def _account(db: Reader, request: Asked, status: int = 200, **made: object) -> api.Raw:
    caller = caller_of(request)
    step = await second_step.find(db, caller)
    begun = None if step.is_on else await second_step.begun(db, door_of(request).settings, caller)
    mine = await db.maybe(Preference, MINE, caller.id) or Preference()
    return await section(
        request, db, "settings/account.html", status, mine=mine, zones=zones(), sessions=await queries.sessions_of(db, caller),
        step=step, begun=begun, drawn=_drawn(begun.uri) if begun and begun.uri else "", **{"codes": None, "are_new": False, **made},
    )  # fmt: skip


def _drawn(uri: str) -> Markup:
    """A QR code as SVG, dark on white in every theme, as cameras want it."""
    code = segno.make(uri, error="m")
    svg = code.svg_inline(scale=4, border=3, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None)
    return Markup(svg)  # noqa: S704 - the library writes paths of numbers


@pages.post("/settings/account", of="web.prefer")
async def prefer(tx: Tx, request: Asked, data: Preferred) -> api.Raw:
    """Keeps the language and the time zone."""
    caller = caller_of(request)
    if caller.id is None:
        raise StaffOnly
    if data.timezone is not None and data.timezone not in zones():
        raise Invalid.at("/timezone", "unknown", "choose one of the list")
    await commands.prefer(tx, caller.id, Preference(data.language, data.timezone))
    return see(request, "/settings/account", "Saved.", anew=True)


@pages.post("/settings/account/sessions/{id:uuid}/end", of="access.end_session")
async def end_session(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Ends one of one's own sessions."""
    await sessions.end(tx, caller_of(request), id)
    door_of(request).doubt(id)
    return see(request, "/settings/account", "This browser is signed out.")


@pages.post("/settings/account/second-step", of="access.begin_second_step")
async def begin(tx: Tx, request: Asked) -> api.Raw:
    """Makes a key for an app, which the page shows until its first code is given."""
    await second_step.begin(tx, door_of(request).settings, caller_of(request))
    return see(request, "/settings/account")


@pages.post("/settings/account/second-step/stop", of="access.begin_second_step")
async def stop(tx: Tx, request: Asked) -> api.Raw:
    """Forgets a key that waits for its first code."""
    caller = caller_of(request)
    if caller.id is not None and not (await second_step.find(tx, caller)).is_on:
        await second_step.drop(tx, caller.id)
    return see(request, "/settings/account")


@pages.post("/settings/account/second-step/confirm", of="access.confirm_second_step")
async def confirm(tx: Tx, request: Asked, data: SecondStepCode) -> api.Raw:
    """Turns the second step on. The recovery codes stand in the answer and nowhere else."""
    made = await second_step.confirm(tx, door_of(request).settings, caller_of(request), data.code)
    return await _account(tx, request, 201, codes=made.recovery_codes)


# A password is verified without holding a connection, so these two open their transaction by themselves.


def _signed_in(request: Asked) -> Any:
    caller = caller_of(request)
    if caller.session_id is None or caller.id is None:
        raise StaffOnly
    return caller


@pages.alone("POST", "/settings/account/password", "access.change_password")
async def change_password(request: Asked) -> api.Sent:
    """Changes the password; every other browser is signed out, this one goes on under another session."""
    door, caller = door_of(request), _signed_in(request)
    change = await form_of(request, PasswordChange)
    door.doubt(caller.id)
    opened = await sessions.change_password(door.database, door.settings, door.attempts, caller, change, request)
    expires_at = opened.session.expires_at
    assert expires_at is not None
    sent = see(request, "/settings/account", "The password is changed. Every other browser is signed out.").sent()
    # Beside what is told, which is a cookie, too.
    sent.headers.append((b"set-cookie", sessions.cookie(door.settings, opened.token, expires_at).encode()))
    return sent


@pages.alone("POST", "/settings/account/second-step/recovery-codes", "access.renew_recovery_codes")
async def renew_recovery_codes(request: Asked) -> api.Sent:
    """Makes new recovery codes, given a code of the app. They stand in the answer and nowhere else."""
    door, caller = door_of(request), _signed_in(request)
    given = await form_of(request, SecondStepCode)
    made = await sessions.renew_recovery_codes(door.database, door.settings, door.attempts, caller, given.code, request)
    async with reading(request) as db:
        return (await _account(db, request, 201, codes=made.recovery_codes, are_new=True)).sent()


@pages.alone("POST", "/settings/account/second-step/end", "access.end_second_step")
async def end_second_step(request: Asked) -> api.Sent:
    """Turns the second step off, given the password."""
    door, caller = door_of(request), _signed_in(request)
    given = await form_of(request, SecondStepEnd)
    await sessions.end_second_step(door.database, door.settings, door.attempts, caller, given.password, request)
    return see(request, "/settings/account", "Signing in asks for the password alone again.").sent()
