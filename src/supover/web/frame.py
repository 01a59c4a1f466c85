"""What every page goes through: who may see it, what it is filled with, and how a refusal is told.

A module of pages writes `pages = Pages()` and decorates plain functions, as a room does with its routes. Each names the operation
of the API that it stands for, whose permission it needs. A reading function takes `db: Reader` and returns `await show(…)`; a
writing one takes `tx: Tx` and returns `see(…)`, which leads to the page that shows what became of it. Forms come as they are sent
by browsers and are read into the structs of the API.
"""

import base64
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import lru_cache, partial
from typing import Any, Final, TypeVar, cast, get_args, get_origin
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

import msgspec
import structlog
from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp
from msgspec.structs import FieldInfo

from supover.access import second_step
from supover.access.authenticate import SAFE, Authenticator
from supover.access.model import Caller, CsrfRefused, SessionEnded, SignInNeeded
from supover.customers.model import EmailTaken, ExternalIdTaken
from supover.kit import api, clock, edge
from supover.kit.crypto import NotOpened
from supover.kit.db import Reader, Tx
from supover.kit.problems import FieldError, Invalid, Malformed, Problem, Unauthorized, from_library
from supover.segments.model import SegmentNameTaken, ViewNameTaken
from supover.web import rendering
from supover.web.commands import note_seen
from supover.web.model import Flash, Language, Me, Said
from supover.web.queries import find_me

log = structlog.get_logger("supover.web")

Asked = Request[Any, Any, Any]
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")

FLASH: Final = "supover_flash"
FLASH_S: Final = 20
MOST_OF_A_NAME: Final = 60
"""Of a name in a sentence: a cookie has room for few long ones."""
MOST_FIELDS: Final = 20_000
"""So many fields a form has at most: a filter of a thousand conditions."""
MOST_ASKED: Final = 200
"""So many parameters an address has at most."""
UNSENT: Final = re.compile(r"[^!-~]+")
"""What no address in a header has as it is."""
GZIP_FROM: Final = 1_000
"""Shorter pages are sent as they are."""


# --- answers -------------------------------------------------------------------------------------------------------------


async def show(request: Asked, db: Reader, template: str, /, status: int = 200, **values: object) -> api.Raw:
    """A page, filled with values, for the person who asks."""
    me = await find_me(db, caller_of(request), _language(request))
    return html(request, template, me, status, **values)


def html(request: Asked, template: str, me: Me | None, status: int = 200, **values: object) -> api.Raw:
    """A page for somebody, or for who is not known yet."""
    flash = _flash(request)
    language = me.language if me else _language(request)
    body = rendering.render(
        template,
        language=language,
        timezone=me.timezone if me else "UTC",
        me=me,
        path=request.url.path,
        query=request.query_params,
        flash=flash,
        asked=partial(_with, request),
        **values,
    ).encode()
    headers = {"Vary": "HX-Request, Accept-Encoding", "Cache-Control": "no-store"}
    if flash:
        headers["Set-Cookie"] = _flash_cookie(request, "", 0)
    if len(body) >= GZIP_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        body = _gzip(body)
        headers["Content-Encoding"] = "gzip"
    return api.Raw(body, "text/html; charset=utf-8", status, headers)


def _language(request: Asked) -> Language:
    """What the browser asks for, as long as nobody said otherwise."""
    return rendering.wanted_language(request.headers.get("accept-language"))


def _gzip(body: bytes) -> bytes:
    pack = zlib.compressobj(5, zlib.DEFLATED, 31)
    return pack.compress(body) + pack.flush()


def see(request: Asked, path: str, *said: str | Said, undo: str = "", anew: bool = False) -> api.Raw:
    """Leads to a page, which tells what was done; `undo` is where a form takes it back, and `anew` leaves nothing as it was.

    A sentence that names or counts something is made by `say` or `say_many`. htmx follows to the page it is on, and swaps what
    differs; to another address, be it of the same page, the browser goes.
    """
    # A view, for one, keeps its query as somebody wrote it: no letter of it may end the header.
    path = UNSENT.sub(lambda found: quote(found[0]), path)
    headers = {"Location": path, "Cache-Control": "no-store"}
    told = [Said(one) if isinstance(one, str) else one for one in said if one]
    if told:
        headers["Set-Cookie"] = _flash_cookie(request, _sealed(request, Flash(told, undo)), FLASH_S)
    if "hx-request" not in request.headers:
        return api.Raw(b"", "text/html", 303, headers)
    here, to = address_of(request, "hx-current-url"), urlsplit(path)
    if (to.path, to.query) == (here.path, here.query) and not anew:
        return api.Raw(b"", "text/html", 303, headers)
    del headers["Location"]
    return api.Raw(b"", "text/html", 200, headers | {"HX-Redirect": path})


def say(text: str, /, **values: str | int | Said) -> Said:
    """A sentence for `see` with values at its places: `say("The view “%(name)s” was saved.", name=view.name)`."""
    return Said(text, {name: _short(value) for name, value in values.items()})


def say_many(one: str, many: str, n: int, /, **values: str | int | Said) -> Said:
    """A sentence for `see` that counts: `say_many("%(n)s customer was blocked.", "%(n)s customers were blocked.", n)`."""
    return Said(one, say(one, n=n, **values).values, many, n)


def _short(value: str | int | Said) -> str | int | Said:
    return value[: MOST_OF_A_NAME - 1] + "…" if isinstance(value, str) and len(value) > MOST_OF_A_NAME else value


def back(request: Asked, otherwise: str) -> str:
    """The page that a form was sent from, for `see`; only one of ours."""
    asked = address_of(request, "hx-current-url", "referer")
    # Of two slashes a browser makes another host.
    ours = asked.netloc == request.headers.get("host", "") and not asked.path.startswith("//")
    return otherwise if not ours else asked.path + (f"?{asked.query}" if asked.query else "")


def address_of(request: Asked, *headers: str) -> SplitResult:
    """The address that a browser tells in the first of these headers that it sent; nothing of one that is none."""
    try:
        return urlsplit(next(filter(None, map(request.headers.get, headers)), ""))
    except ValueError:
        return urlsplit("")


# What is told comes back from the browser, and leads a form: it is sealed, so that nobody else can have written it.


def _flash_name(request: Asked) -> tuple[str, str]:
    https = door_of(request).settings.public_url.startswith("https://")
    return (f"__Host-{FLASH}", "; Secure") if https else (FLASH, "")


def _flash_cookie(request: Asked, sealed: str, age_s: int) -> str:
    name, secure = _flash_name(request)
    return f"{name}={sealed}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}"


def _sealed(request: Asked, flash: Flash) -> str:
    plain = msgspec.json.encode((clock.now().timestamp() + FLASH_S, _who(request), flash))
    return base64.urlsafe_b64encode(second_step.sealer(door_of(request).settings).seal(plain, purpose=FLASH)).decode()


def _flash(request: Asked) -> Flash | None:
    given = request.cookies.get(_flash_name(request)[0])
    if not given:
        return None
    try:
        plain = second_step.sealer(door_of(request).settings).open(base64.urlsafe_b64decode(given), purpose=FLASH)
    except (ValueError, IndexError, NotOpened):
        return None
    until, who, flash = msgspec.json.decode(plain, type=tuple[float, str, Flash])
    return flash if who == _who(request) and clock.now().timestamp() < until else None


def _who(request: Asked) -> str:
    return str(caller_of(request).id) if "user" in request.scope else ""


def _with(request: Asked, **changes: object) -> str:
    """This page's address with other parameters: None leaves one out, a list repeats it."""
    kept = [
        (name, value)
        for name, value in parameters(request)
        if name not in changes and (name != "cursor" or "cursor" in changes)
    ]
    for name, value in changes.items():
        values = cast("list[object]", value) if isinstance(value, list) else [value]
        kept += [(name, str(one)) for one in values if one is not None and one != ""]
    return request.url.path + (f"?{urlencode(kept)}" if kept else "")


# --- who asks --------------------------------------------------------------------------------------------------------------


def caller_of(request: Asked) -> Caller:
    """Who is signed in."""
    return cast("Caller", request.scope["user"])


def door_of(request: Asked) -> Authenticator:
    """What signs people in and out."""
    return cast("Authenticator", request.app.state.door.authenticate)


def reading(request: Asked, *, search: bool = False) -> AbstractAsyncContextManager[Reader]:
    """A reader for a page that opens it by itself."""
    door: api.Door = request.app.state.door
    return door.database.reader(caller_of(request).workspace_id, search=search)


def writing(request: Asked) -> AbstractAsyncContextManager[Tx]:
    """A transaction of whoever asks, for a page that opens it by itself."""
    door: api.Door = request.app.state.door
    caller = caller_of(request)
    return door.database.tx(caller.workspace_id, actor=caller.actor, actor_name=caller.name)


# --- questions and forms -----------------------------------------------------------------------------------------------------


def parameters(request: Asked) -> list[tuple[str, str]]:
    """What the address asks for and says something, in its order, by which a view is known again."""
    return [(name, value) for name, value in request.query_params.items() if value.strip()]


def asked(request: Asked, shape: type[S]) -> S:
    """The parameters of the address as a struct; blank ones count as not given, unknown ones are passed over."""
    given: dict[str, Any] = {}
    for field in msgspec.structs.fields(shape):
        values = [value for value in request.query_params.getall(field.encode_name, []) if value.strip()]
        if values:
            given[field.encode_name] = values if _is_list(field.type) else values[-1]
    return converted(given, shape)


def _is_list(kind: Any) -> bool:
    return get_origin(kind) in (list, tuple) or any(_is_list(one) for one in get_args(kind)) or _is_sequence(kind)


def _is_sequence(kind: Any) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and origin is not dict and hasattr(origin, "index") and not issubclass(origin, str)


def from_form(pairs: list[tuple[str, str]], shape: type[S]) -> S:
    """What a form sent as a struct: `a.b` is b within a, a blank field null where that may be, else left out.

    Raises Invalid, with the names of the fields as pointers.
    """
    given: dict[str, Any] = {}
    for name, value in pairs:
        _put(given, shape, name.split("."), value)
    return converted(given, shape)


def _put(given: dict[str, Any], shape: Any, path: list[str], value: str) -> None:
    field = _fields(shape).get(path[0])
    if field is None:
        # Of a mapping each name is a field; a struct takes none that it does not know, nor complains of a button's.
        if not _is_struct(shape):
            given[".".join(path)] = value
        return
    kind = _present(field.type)
    if len(path) > 1:
        below: dict[str, Any] = {}
        _put(_own(given, field, below), kind, path[1:], value)
    elif _is_list(field.type):
        empty: list[str] = []
        own = _own(given, field, empty)
        if value.strip():
            own.append(value)
    elif value.strip() or (kind is str and type(None) not in get_args(field.type)):
        given[field.encode_name] = value
    elif type(None) in get_args(field.type):
        given[field.encode_name] = None


@lru_cache
def _fields(shape: Any) -> Mapping[str, FieldInfo]:
    return {field.encode_name: field for field in msgspec.structs.fields(shape)} if _is_struct(shape) else {}


def _own(given: dict[str, Any], field: FieldInfo, empty: T) -> T:
    own = given.setdefault(field.encode_name, empty)
    if not isinstance(own, type(empty)):
        raise Invalid.at(f"/{field.encode_name}", "type", "is given twice")
    return own


def _present(kind: Any) -> Any:
    rest = [one for one in get_args(kind) if one not in (type(None), msgspec.UnsetType)]
    return rest[0] if get_origin(kind) is not None and len(rest) == 1 and not _is_list(kind) else kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def converted(given: Mapping[str, Any], shape: type[S]) -> S:
    """What was given, by the names of the fields, as a struct. Raises Invalid with all that is wrong."""
    errors: list[FieldError] = []
    for field in msgspec.structs.fields(shape):
        if field.encode_name in given:
            try:
                msgspec.convert(given[field.encode_name], field.type, strict=False)
            except msgspec.ValidationError as error:
                what, _, path = str(error).partition(" - at `$")
                below = re.sub(r"[.\[]", "/", path.rstrip("`")).replace("]", "")
                pointer = f"/{field.encode_name}{below}"
                errors.append(FieldError(pointer, "type", from_library(what)))
        elif field.required:
            errors.append(FieldError(f"/{field.encode_name}", "required", "is required"))
    if errors:
        raise Invalid(errors)
    return msgspec.convert(given, shape, strict=False)


async def sent_by(request: Asked) -> list[tuple[str, str]]:
    """What a form sent, in the order of its fields. Raises Malformed for one that no page of ours has."""
    text = (await request.body()).decode("utf-8", "replace")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Malformed(f"A form has {MOST_FIELDS:,} fields at most.") from None


async def form_of(request: Asked, shape: type[S]) -> S:
    """What a form sent, as a struct. Raises Invalid, and Malformed as `sent_by` does."""
    return from_form(await sent_by(request), shape)


class FormRequest(api.TypedRequest):
    """A request whose body is a form, read into the handler's struct."""

    async def json(self) -> Any:
        """The form as what the handler's `data` asks for; JSON is taken, too."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        field = self.route_handler.parsed_data_field
        if kind != "application/x-www-form-urlencoded" or field is None:
            return await super().json()
        return await form_of(self, cast("type[Any]", field.annotation))


# --- pages -------------------------------------------------------------------------------------------------------------------


class PageHandler(api.Handler):
    """A page: whoever is not signed in is led to the sign-in, and a refusal is a page or, for htmx, its JSON."""

    async def call(self, request: Asked) -> ASGIApp:
        """The page, or where to go, or what is wrong."""
        asks = FormRequest(request.scope, request.receive, request.send)
        try:
            if request.scope["method"] not in SAFE:
                _same_site(asks)
            if request.scope["query_string"].count(b"&") >= MOST_ASKED:
                raise Malformed(f"An address has {MOST_ASKED} parameters at most.")
            answer = await super().call(asks)
            if self.opt.get("noted"):
                await _note(asks)
            return answer
        except Exception as error:
            return await refused(asks, error)


async def _note(request: Asked) -> None:
    """Remembers whose profile this is. A page does not fail because that could not be written down."""
    caller = caller_of(request)
    if caller.session_id is None or caller.id is None:
        return
    try:
        async with writing(request) as tx:
            await note_seen(tx, caller.id, request.path_params["id"])
    except Exception as error:
        log.warning("look_not_noted", cause=repr(error))


def _same_site(request: Asked) -> None:
    """Refuses a form that another site sent, and signs one of ours with the session's CSRF token.

    Browsers say where a request comes from in a header that no script can set; older ones name the origin. Raises CsrfRefused.
    """
    site = request.headers.get("sec-fetch-site")
    host = request.headers.get("host", "")
    origin = address_of(request, "origin").netloc
    if not (site == "same-origin" or (site is None and origin != "" and origin == host)):
        raise CsrfRefused("Send the form from this site's own page.")
    token = door_of(request).csrf_token(request)
    if token is not None:
        request.scope["headers"] = [
            *((name, value) for name, value in request.scope["headers"] if name != b"x-csrf-token"),
            (b"x-csrf-token", token.encode()),
        ]


async def refused(request: Asked, error: Exception) -> ASGIApp:
    """What is told in place of a page."""
    if isinstance(error, Instead):
        return error.page.sent()
    problem = edge.as_problem(error)
    if problem.status >= 500:
        log.error("page_failed", path=request.url.path, exc_info=error)
    if isinstance(problem, SignInNeeded | SessionEnded | Unauthorized):
        return _to_sign_in(request)
    # Where something is wrong with us, nothing more is asked of the database.
    me = None if problem.status >= 500 else await _reader_of(request)
    tell = rendering.words(me.language if me else _language(request)).told
    errors = _errors(problem)
    told: dict[str, object] = {
        "title": tell(problem.title()),
        "detail": "" if errors else tell(problem.detail or ""),
        "errors": [{"name": name, "text": tell(text)} for name, text in errors],
    }
    if "hx-request" in request.headers:
        if holder := problem.extra.get("customerId"):
            told["holder"] = f"/customers/{holder}"
        return api.Sent(msgspec.json.encode(told), problem.status, dict(problem.headers), "application/problem+json")
    moved = problem.status in (301, 302, 303, 307, 308) and request.scope["method"] in SAFE
    if moved and (to := problem.headers.get("Location")):
        return api.Sent(b"", 303, {"Location": to.removeprefix("/api")}, "text/html")
    raw = html(request, "problem.html", me, problem.status, problem=told, status_code=problem.status)
    return api.Sent(raw.body, raw.status, {**problem.headers, **raw.headers}, raw.media_type)


async def _reader_of(request: Asked) -> Me | None:
    """Who reads what went wrong; nobody, where that cannot be said."""
    door: api.Door = request.app.state.door
    try:
        # Who may not see a page is not noted at the request.
        caller = await door_of(request)(request)
        async with door.database.reader(caller.workspace_id) as db:
            return await find_me(db, caller, _language(request))
    except Exception as error:
        if edge.as_problem(error).status >= 500:
            log.warning("reader_unknown", cause=repr(error))
        return None


def nowhere(request: Asked, error: Exception) -> edge.Answered:
    """What is told of an address that nothing stands at: a browser gets a page, a program the problem."""
    reads = request.scope["method"] in SAFE and "text/html" in request.headers.get("accept", "")
    if not reads or "hx-request" in request.headers or request.url.path.startswith("/api/"):
        return edge.handle(request, error)
    problem = edge.as_problem(error)
    title = rendering.words(_language(request)).gettext(problem.title())
    told: dict[str, object] = {"title": title, "detail": "", "errors": []}
    raw = html(request, "problem.html", None, problem.status, problem=told, status_code=problem.status)
    return edge.Answered(raw.sent())


_FIELDS: Final[Mapping[type[Problem], str]] = {
    EmailTaken: "email", ExternalIdTaken: "externalId", SegmentNameTaken: "name", ViewNameTaken: "name",
}  # fmt: skip
"""The field that somebody else's value stands against."""


def _errors(problem: Problem) -> list[tuple[str, str]]:
    """What is wrong with which field."""
    if isinstance(problem, Invalid):
        return [(_name(one.pointer), one.message) for one in problem.errors]
    field = _FIELDS.get(type(problem))
    return [(field, problem.title())] if field else []


def _name(pointer: str) -> str:
    return pointer.strip("/").replace("/", ".")


def _to_sign_in(request: Asked) -> ASGIApp:
    if "hx-request" in request.headers or request.scope["method"] not in SAFE:
        path = back(request, "/")
    else:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    to = f"/sign-in?{urlencode({'next': path})}" if path not in ("/", "/sign-in") else "/sign-in"
    if "hx-request" in request.headers:
        return api.Sent(b"", 200, {"HX-Redirect": to}, "text/html")
    return api.Sent(b"", 303, {"Location": to, "Cache-Control": "no-store"}, "text/html")


class Pages:
    """A module's pages. Each stands for an operation of the API and needs its permission."""

    def __init__(self) -> None:
        self.handlers: list[HTTPRouteHandler] = []

    def get(self, path: str, of: str, *, search: api.Search = False, noted: bool = False) -> Callable[[F], F]:
        """A page that is read. `noted` remembers the customer whose `id` is in its path as looked at."""
        return self._page("GET", path, of, search, noted=noted)

    def post(self, path: str, of: str, *, search: api.Search = False) -> Callable[[F], F]:
        """What a form does."""
        return self._page("POST", path, of, search)

    def _page(
        self, method: api.Method, path: str, of: str, search: api.Search, *, noted: bool = False
    ) -> Callable[[F], F]:
        def register(fn: F) -> F:
            act = api.acting(fn, path, of, method, 200, search=search, keyed=False)
            self._add(method, path, act, opt={"operation": of, "noted": noted})
            return fn

        return register

    def alone(self, method: api.Method, path: str, of: str, **more: Any) -> Callable[[F], F]:
        """A page that opens its transactions by itself, if any, and returns what is `sent`."""

        def register(fn: F) -> F:
            self._add(method, path, fn, opt={"operation": of}, **more)
            return fn

        return register

    def _add(self, method: api.Method, path: str, act: Callable[..., Awaitable[Any]], **more: Any) -> None:
        handler = PageHandler(path, http_method=method, status_code=200, include_in_schema=False, **more)
        self.handlers.append(handler(act))


class Instead(Exception):
    """Nothing is done, and nothing kept: this page says why, and what can be done about it."""

    def __init__(self, page: api.Raw) -> None:
        super().__init__(page.status)
        self.page = page
