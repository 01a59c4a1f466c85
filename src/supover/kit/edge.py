"""The outermost layer: request ids, the pinned version's prefix, headers, measured requests, every error as problem details."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, cast
from urllib.parse import unquote_to_bytes

import asyncpg
import msgspec
import structlog
from litestar import Litestar, Request
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.response.base import ASGIResponse
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from litestar.utils import normalize_path

from supover.kit import api, clock, ids, problems, telemetry
from supover.kit.problems import FieldError, Invalid, Malformed, Problem, from_library
from supover.kit.requests import Requests

log = structlog.get_logger("supover.http")

API: Final = "/api/"
PINNED: Final = "/api/v1/"
HEADERS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        b"connect-src 'self'; font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    ),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    # Whoever serves names itself otherwise, and this names no version.
    (b"server", b"supover"),
]
HTTPS_ONLY: Final = (b"strict-transport-security", b"max-age=31536000")
BODY_IDLE_S: Final = 30.0
"""A body of which nothing comes for so long is not waited for."""

AT_ONCE: Final = 256
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_WITHOUT_ANSWER: Final = frozenset({"HEAD", "OPTIONS"})
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_NEVER_TURNED_AWAY: Final = ("/health/", "/metrics")
_NAMES: Final = frozenset(name for name, _ in (*HEADERS, HTTPS_ONLY))
_HOST: Final = re.compile(rb"[A-Za-z0-9.:\[\]_-]*")
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,64}")


class Overloaded(problems.Unavailable):
    """More requests are under way than can be answered just now."""


class Edge:
    """Wraps the application: what holds for every request, whatever its route.

    No more than `at_once` requests are worked on at a time; others are turned away at once, so that those inside are
    answered. A request does not count while its body is waited for, nor once its answer streams.
    """

    def __init__(self, app: Litestar, *, at_once: int = AT_ONCE, https: bool = False) -> None:
        self.app = app
        self._find = app.asgi_router.handle_routing
        self.at_once = at_once
        self.in_flight = 0
        self.requests = app.state.requests = Requests()
        self._headers = [*HEADERS, HTTPS_ONLY] if https else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif self.in_flight >= self.at_once and not scope["path"].startswith(_NEVER_TURNED_AWAY):
            await self._turn_away(cast("HTTPScope", scope), send)
        else:
            await self._http(cast("HTTPScope", scope), receive, send)

    async def _http(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        given = next((v for k, v in scope["headers"] if k == b"x-request-id"), b"")
        request_id = given if _REQUEST_ID.fullmatch(given) else ids.tag().encode()
        started = clock.monotonic_s()
        status = 500
        state = cast("dict[str, Any]", scope)
        state["request_id"] = request_id.decode()
        method = scope["method"]
        counted = 1

        async def finish(message: Message) -> None:
            nonlocal status, counted
            if message["type"] == "http.response.start":
                status, headers = message["status"], [*message["headers"], (b"x-request-id", request_id)]
                if status == 405:
                    headers = [(k, _with_head(v) if k == b"allow" else v) for k, v in headers]
                    if method == "OPTIONS":
                        status = 204
                        headers = [(k, v) for k, v in headers if not k.startswith(b"content-")]
                if pinned:
                    headers = [(k, _pinned(v) if k == b"location" else v) for k, v in headers]
                names = {k for k, _ in headers}
                own = self._headers
                headers += own if names.isdisjoint(_NAMES) else [h for h in own if h[0] not in names]
                headers += state.get("answer_headers", ())
                message = {**message, "status": status, "headers": headers}  # pyright: ignore[reportAssignmentType]
            elif message["type"] == "http.response.body":
                if message["more_body"]:
                    self.in_flight -= counted
                    counted = 0
                if method in _WITHOUT_ANSWER:
                    message = {**message, "body": b""}
            await send(message)

        body_is_there = method not in _WITH_BODY

        async def body() -> Any:
            nonlocal body_is_there, counted
            if body_is_there:
                return await receive()
            self.in_flight -= counted
            try:
                async with asyncio.timeout(BODY_IDLE_S):
                    message = await receive()
            except TimeoutError:
                raise api.BodyTooSlow from None
            finally:
                self.in_flight += counted
            body_is_there = not message.get("more_body")
            if body_is_there and self.in_flight > self.at_once:
                raise Overloaded(headers={"Retry-After": "1"})
            return message

        path = state["asked_path"] = scope["path"]
        pinned = path.startswith(PINNED)
        self.in_flight += 1
        try:
            if problem := _address_problem(path, scope["query_string"]):
                await problem_response(problem, scope)(scope, receive, finish)
            else:
                if pinned:
                    scope["path"] = "/api/" + path.removeprefix(PINNED)
                    scope["raw_path"] = b"/api/" + scope["raw_path"].removeprefix(PINNED.encode())
                if method in _WITHOUT_ANSWER:
                    # What an address takes is told to whoever asks by a method that none takes.
                    state["method"] = "GET" if method == "HEAD" else "NONE"
                handler = self._direct(scope)
                if handler is None:
                    await self.app(scope, receive if body_is_there else body, finish)
                else:
                    await _answer(handler, scope, receive if body_is_there else body, finish)
        finally:
            self.in_flight -= counted
        seconds = clock.monotonic_s() - started
        handler = state.get("route_handler")
        route = cast("str", handler.opt.get("operation", "other")) if handler is not None else "other"
        telemetry.request_done(method if method in _METHODS else "other", route, status, seconds)
        caller = state.get("user")
        if caller is not None and path.startswith(API):
            self.requests.note(caller, method, path, status, seconds, state["request_id"])

    def _direct(self, scope: HTTPScope) -> api.Handler | None:
        """The route that this request is for, if it is one of ours; else Litestar finds out and tells what is wrong."""
        state = cast("dict[str, Any]", scope)
        if state.get("root_path") or not all(_HOST.fullmatch(v) for k, v in scope["headers"] if k == b"host"):
            return None
        try:
            _, found, path, given, template = self._find(path=normalize_path(scope["path"]), method=scope["method"])
        except HTTPException:
            return None
        handler = cast("object", found)
        if not isinstance(handler, api.Handler) or handler.parameters is None:
            return None
        state["path"] = path
        state["path_params"] = given
        state["path_template"] = template
        state["route_handler"] = handler
        state["app"] = state["litestar_app"] = self.app
        state.setdefault("state", {})
        return handler

    async def _turn_away(self, scope: HTTPScope, send: Send) -> None:
        # As cheap as can be: what this costs is taken from those inside.
        request_id = ids.new().hex.encode()
        path, title = msgspec.json.encode(scope["path"]), Overloaded.title().encode()
        body = b'{"type":"%s","title":"%s","status":503,"detail":"%s","instance":%s,"requestId":"%s"}' % (
            *(Overloaded.type_uri().encode(), title, title, path, request_id),
        )
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(body)),
            (b"retry-after", b"1"),
            (b"x-request-id", request_id),
            *self._headers,
        ]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})
        telemetry.request_done("other", "other", 503, 0)


async def _answer(handler: api.Handler, scope: HTTPScope, receive: Receive, send: Send) -> None:
    request = api.TypedRequest(scope, receive, send)
    try:
        answer = await handler.call(request)
    except Exception as error:
        answer = handle(request, error).to_asgi_response()
    await answer(scope, receive, send)


def _address_problem(path: str, query: bytes) -> Problem | None:
    if "\x00" in path or b"%00" in query:
        return Malformed("An address cannot hold the character NUL.")
    # What was no UTF-8 in the path has come as a replacement character.
    if "\ufffd" in path or (b"%" in query and not _is_utf8(query)):
        return Malformed("An address must be UTF-8.")
    # A link built from such a path would lead to another host.
    return NoRoute() if path.startswith("//") else None


def _is_utf8(query: bytes) -> bool:
    try:
        unquote_to_bytes(query).decode()
    except UnicodeDecodeError:
        return False
    return True


def _with_head(allow: bytes) -> bytes:
    """The methods that an address takes: what is read can be asked for its headers alone."""
    methods = {method.strip() for method in allow.split(b",")}
    return b", ".join(sorted(methods | {b"HEAD"} if b"GET" in methods else methods))


def _pinned(address: bytes) -> bytes:
    """A Location that stays with the version which was asked for."""
    start = b"/api/"
    return PINNED.encode() + address.removeprefix(start) if address.startswith(start) else address


MOVED: Final = 308
"""What was asked for stands elsewhere: whoever follows asks the same there, its question included."""


def problem_response(problem: Problem, scope: Any) -> ASGIResponse:
    """A problem as an answer."""
    body: dict[str, object] = {
        "type": problem.type_uri(),
        "title": problem.title(),
        "status": problem.status,
        "detail": problem.detail or problem.title(),
        "instance": scope.get("asked_path", scope["path"]),
        "requestId": scope.get("request_id", ""),
    }
    if isinstance(problem, Invalid):
        body["errors"] = problem.errors
    body.update(problem.extra)
    headers = dict(problem.headers)
    if problem.status == MOVED and "Location" in headers and scope["query_string"]:
        headers["Location"] += "?" + scope["query_string"].decode("latin-1")
    return ASGIResponse(
        body=msgspec.json.encode(body),
        status_code=problem.status,
        headers=headers,
        media_type="application/problem+json",
    )


class Unexpected(Problem):
    """Something went wrong on our side."""


class NoRoute(problems.NotFound):
    """There is nothing at this address."""


class WrongMethod(problems.MethodNotAllowed):
    """This address does not take this method."""


class DatabaseAway(problems.Unavailable):
    """The database cannot be reached just now."""


class ClientGone(Malformed):
    """Whoever asked went away before everything was sent."""


class TookTooLong(problems.Unavailable):
    """This took longer than a request may."""


class ValueOutOfRange(problems.Problem):
    """A value is outside what can be kept."""

    status = 422


class Raced(problems.Conflict):
    """Somebody else changed the same thing at the same time."""


def as_problem(error: Exception, names: Mapping[str, str] = MappingProxyType({})) -> Problem:
    """Any exception as the problem that the caller is told; what is not known is told without its cause.

    `names` are what the route's parameters are called in the address, where that is something else.
    """
    match error:
        case Problem():
            return error
        case ValidationException():
            return Invalid(_parameter_errors(error, names))
        case NotFoundException():
            return NoRoute()
        case MethodNotAllowedException():
            return WrongMethod(headers={k: v for k, v in (error.headers or {}).items()})
        case HTTPException() if error.status_code == 413:
            return api.BodyTooLarge()
        case HTTPException() if error.status_code == 400:
            return api.BodyMissing() if "body" in error.detail.lower() else Malformed(error.detail)
        case HTTPException() if error.status_code == 415:
            return api.NotJson()
        case HTTPException() if "disconnected" in error.detail:
            return ClientGone()
        case asyncpg.QueryCanceledError() | asyncpg.LockNotAvailableError():
            return TookTooLong(headers={"Retry-After": "5"})
        case (
            asyncpg.UniqueViolationError()
            | asyncpg.DeadlockDetectedError()
            | asyncpg.SerializationError()
            | asyncpg.ForeignKeyViolationError()
        ):
            return Raced(headers={"Retry-After": "1"})
        case asyncpg.DataError():
            return ValueOutOfRange()
        case (
            asyncpg.PostgresConnectionError()
            | asyncpg.CannotConnectNowError()
            | asyncpg.AdminShutdownError()
            | asyncpg.CrashShutdownError()
            | asyncpg.TooManyConnectionsError()
            | asyncpg.InterfaceError()
            | ConnectionError()
            | TimeoutError()
            | OSError()
        ):
            return DatabaseAway(headers={"Retry-After": "1"})
        case _:
            return Unexpected()


def _parameter_errors(error: ValidationException, names: Mapping[str, str]) -> list[FieldError]:
    """What is wrong with which parameter; `names` are those of the address, by the function's."""
    found: list[FieldError] = []
    for one in cast("Sequence[Any]", error.extra if isinstance(error.extra, list) else []):
        key, message = str(one.get("key", "")), str(one.get("message", "cannot be taken"))
        if key == "data":
            found.append(FieldError("", "required", "a JSON body is expected"))
        else:
            # Litestar names the function's parameter; one of the path is written in camel case.
            head, *rest = key.split("_")
            name = names.get(key) or head + "".join(part.capitalize() for part in rest)
            found.append(FieldError(name, "type", from_library(message)))
    return found or [FieldError("", "invalid", error.detail)]


def handle(request: "Request[Any, Any, Any]", error: Exception) -> Any:
    """Litestar's exception handler: answers with the problem, and logs what was not expected."""
    handler = cast("dict[str, Any]", request.scope).get("route_handler")
    problem = as_problem(error, api.query_names(handler.fn) if handler is not None else {})
    if problem.status >= 500:
        if isinstance(problem, Unexpected):
            log.error(
                "request_failed", path=request.scope["path"], request_id=_request_id(request.scope), exc_info=error
            )
        else:
            log.warning("request_refused", path=request.scope["path"], problem=problem.title(), cause=repr(error)[:200])
    return Answered(cast("ASGIApp", problem_response(problem, request.scope)))


def _request_id(scope: object) -> str:
    return cast("dict[str, str]", scope).get("request_id", "")


class Answered:
    """What Litestar expects of an exception handler's answer: something that becomes an ASGI application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:
        """The answer."""
        return self._app


def build(
    door: api.Door,
    handlers: Sequence[HTTPRouteHandler | Any],
    *,
    body_max_bytes: int,
    openapi: OpenAPIConfig | None,
    nowhere: Callable[[Any, Exception], Any] | None = None,
    on_shutdown: Sequence[Callable[[], Any]] = (),
) -> Litestar:
    """The Litestar application of these routes; `nowhere` answers where there is none."""
    app = Litestar(
        route_handlers=list(handlers),
        guards=[api.guard],
        request_class=api.TypedRequest,
        exception_handlers={Exception: handle, NotFoundException: nowhere or handle},
        request_max_body_size=body_max_bytes,
        openapi_config=openapi,
        on_shutdown=list(on_shutdown),
        debug=False,
        logging_config=None,
    )
    app.state.door = door
    _shorten(app)
    return app


def _shorten(app: Litestar) -> None:
    """Lets our routes be called directly, but for those that have something which only Litestar sees to."""
    for route in app.routes:
        for handler, parameters in route.route_handler_map.values() if isinstance(route, HTTPRoute) else ():
            if isinstance(handler, api.Handler) and not (
                parameters.dependency_batches
                or handler.resolve_middleware()
                or handler.resolve_before_request()
                or handler.resolve_after_response()
                or handler.cache
            ):
                handler.parameters = parameters
