"""Pages about who is there: in, on and out."""

import base64
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

import msgspec

from supover.access import second_step, sessions
from supover.access.model import SecondStepNeeded, SecondStepRefused, SignIn, SignInRefused, StaffOnly
from supover.access.permissions import KNOWN
from supover.kit import api, clock
from supover.kit.crypto import NotOpened
from supover.kit.db import Tx
from supover.kit.problems import Invalid, Problem
from supover.web import static
from supover.web.frame import Asked, Pages, caller_of, door_of, from_form, html, see, sent_by

pages = Pages()
PERMISSIONS: Final = {
    **static.PERMISSIONS,
    "web.show_sign_in": api.PUBLIC,
    "web.sign_in": api.PUBLIC,
    "web.prefer": KNOWN,
}

TICKET: Final = "supover_sign_in"
TICKET_S: Final = 300
"""So long somebody has to look up a code, once the password was right."""


def _inside(path: str) -> str:
    """Where to go on; only a place of ours."""
    # A browser drops what cannot be printed before it reads an address, and takes \ for /.
    own = path.isprintable() and path.startswith("/") and not path.startswith("//") and "\\" not in path
    return quote(path, safe="/?&=%:;,+@!*'()~#") if own else "/"


# Nobody is known yet, so these two open no transaction and answer by themselves.


@pages.alone("GET", "/sign-in", "web.show_sign_in")
async def show_sign_in(request: Asked) -> api.Sent:
    """The sign-in, or where to who is signed in already."""
    given = request.query_params
    return html(
        request, "sign_in.html", None, refused=("", ""), email=given.get("email", ""), next=_inside(given.get("next", "/")),
        invited=given.get("invitation", ""), step=False,
    ).sent()  # fmt: skip


@pages.alone("POST", "/sign-in", "web.sign_in")
async def sign_in(request: Asked) -> api.Sent:
    """Opens a session and goes on to where somebody wanted to.

    Where a code is needed, too, what was typed goes back sealed, in a cookie that holds for five minutes, and comes again with
    the code.
    """
    pairs = await sent_by(request)
    given: dict[str, Any] = dict(pairs)
    door = door_of(request)
    try:
        if "password" not in given and "code" in given:
            given = {**_typed(request), "code": given["code"]}
        wanted = from_form([(name, value) for name, value in given.items() if name != "next"], SignIn)
        opened = await sessions.sign_in(door.database, door.settings, door.attempts, wanted, request)
    except Problem as problem:
        if problem.status >= 500:
            raise
        asks_code = isinstance(problem, SecondStepNeeded | SecondStepRefused)
        page = html(
            request, "sign_in.html", None, 200 if isinstance(problem, SecondStepNeeded) else problem.status,
            refused=_why_not(problem), email=given.get("email", ""),
            next=_inside(given.get("next", "/")), invited=given.get("invitationCode", ""), step=asks_code,
        ).sent()  # fmt: skip
        if isinstance(problem, SecondStepNeeded):
            page.headers.append(_ticket(request, _sealed(request, given), TICKET_S))
        return page
    expires_at = opened.session.expires_at
    assert expires_at is not None
    headers = {
        "Location": _inside(given.get("next", "/")),
        "Set-Cookie": sessions.cookie(door.settings, opened.token, expires_at),
    }
    answer = api.Sent(b"", 303, headers, "text/html")
    if TICKET in request.cookies:
        answer.headers.append(_ticket(request, "", 0))
    return answer


def _why_not(problem: Problem) -> tuple[str, str]:
    """The field that is wrong, where that is known, and why somebody is not signed in."""
    if isinstance(problem, SecondStepNeeded):
        return "", ""
    if isinstance(problem, Invalid):
        return problem.errors[0].pointer.strip("/"), problem.errors[0].message
    return "", problem.title()


def _ticket(request: Asked, sealed: str, age_s: int) -> tuple[bytes, bytes]:
    secure = "; Secure" if door_of(request).settings.public_url.startswith("https://") else ""
    said = f"{TICKET}={sealed}; Path=/sign-in; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}"
    return b"set-cookie", said.encode()


def _sealed(request: Asked, given: dict[str, Any]) -> str:
    typed = {name: value for name, value in given.items() if name in ("email", "password", "invitationCode", "next")}
    plain = msgspec.json.encode((clock.now().timestamp() + TICKET_S, typed))
    return base64.urlsafe_b64encode(second_step.sealer(door_of(request).settings).seal(plain, purpose=TICKET)).decode()


def _typed(request: Asked) -> dict[str, Any]:
    """What was typed before the code was asked for. Raises SignInRefused when that is too long ago."""
    try:
        sealed = base64.urlsafe_b64decode(request.cookies.get(TICKET, ""))
        plain = second_step.sealer(door_of(request).settings).open(sealed, purpose=TICKET)
    except (ValueError, NotOpened, IndexError):
        raise TooLate from None
    until, typed = msgspec.json.decode(plain, type=tuple[float, dict[str, str]])
    if until < clock.now().timestamp():
        raise TooLate
    return dict(typed)


class TooLate(SignInRefused):
    """It took too long: begin again."""


@pages.post("/workspaces/{id:uuid}", of="access.switch_workspace")
async def switch(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Goes on in another workspace."""
    caller, door = caller_of(request), door_of(request)
    if caller.session_id is None:
        raise StaffOnly
    opened = await sessions.switch(tx, caller, id)
    door.doubt(caller.session_id)
    expires_at = opened.session.expires_at
    assert expires_at is not None
    return _handed(see(request, "/customers", anew=True), sessions.cookie(door.settings, opened.token, expires_at))


@pages.post("/sign-out", of="access.sign_out")
async def sign_out(tx: Tx, request: Asked) -> api.Raw:
    """Ends the session."""
    caller, door = caller_of(request), door_of(request)
    if caller.session_id is None or caller.expires_at is None:
        raise StaffOnly
    door.doubt(caller.session_id)
    await sessions.sign_out(tx, caller)
    return _handed(see(request, "/sign-in"), sessions.cookie(door.settings, "", caller.expires_at))


def _handed(raw: api.Raw, cookie: str) -> api.Raw:
    return msgspec.structs.replace(raw, headers={**raw.headers, "Set-Cookie": cookie})
