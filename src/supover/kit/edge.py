"""The outermost layer: request ids, the pinned version's prefix, headers, measured requests, every error as problem details."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import asyncpg
import msgspec
import structlog
from litestar import Litestar, Request
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from supover.kit import api, clock, ids, problems, telemetry
from supover.kit.problems import FieldError, Invalid, Malformed, Problem

log = structlog.get_logger("supover.http")

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
    (b"cache-control", b"no-store"),
]
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,64}")


class Edge:
    """Wraps the application: what holds for every request, whatever its route."""

    def __init__(self, app: Litestar) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await self._http(cast("HTTPScope", scope), receive, send)

    async def _http(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        given = next((v for k, v in scope["headers"] if k == b"x-request-id"), b"")
        request_id = given if _REQUEST_ID.fullmatch(given) else ids.new().hex.encode()
        started = clock.monotonic_s()
        status = 500
        state = cast("dict[str, Any]", scope)
        state["request_id"] = request_id.decode()

        async def finish(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], (b"x-request-id", request_id)]
                if pinned:
                    headers = [(k, _pinned(v) if k == b"location" else v) for k, v in headers]
                names = {k for k, _ in headers}
                headers += [h for h in HEADERS if h[0] not in names]
                headers += state.get("answer_headers", ())
                message = {**message, "headers": headers}  # pyright: ignore[reportAssignmentType]
            await send(message)

        path = state["asked_path"] = scope["path"]
        pinned = path.startswith(PINNED)
        if "\x00" in path or b"%00" in scope["query_string"]:
            problem = Malformed("An address cannot hold the character NUL.")
            await problem_response(problem, scope)(scope, receive, finish)
        else:
            if pinned:
                scope["path"] = "/api/" + path.removeprefix(PINNED)
                scope["raw_path"] = b"/api/" + scope["raw_path"].removeprefix(PINNED.encode())
            await self.app(scope, receive, finish)
        seconds = clock.monotonic_s() - started
        handler = state.get("route_handler")
        route = cast("str", handler.opt.get("operation", "other")) if handler is not None else "other"
        telemetry.request_done(scope["method"], route, status, seconds)


def _pinned(address: bytes) -> bytes:
    """A Location that stays with the version which was asked for."""
    start = b"/api/"
    return PINNED.encode() + address.removeprefix(start) if address.startswith(start) else address


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
    return ASGIResponse(
        body=msgspec.json.encode(body),
        status_code=problem.status,
        headers=dict(problem.headers),
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


class TookTooLong(problems.Unavailable):
    """This took longer than a request may."""


class ValueOutOfRange(problems.Problem):
    """A value is outside what can be kept."""

    status = 422


class Raced(problems.Conflict):
    """Somebody else changed the same thing at the same time."""


def as_problem(error: Exception) -> Problem:
    """Any exception as the problem that the caller is told; what is not known is told without its cause."""
    match error:
        case Problem():
            return error
        case ValidationException():
            return Invalid(_parameter_errors(error))
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
        case asyncpg.QueryCanceledError() | asyncpg.LockNotAvailableError():
            return TookTooLong(headers={"Retry-After": "5"})
        case asyncpg.UniqueViolationError() | asyncpg.DeadlockDetectedError() | asyncpg.SerializationError():
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


def _parameter_errors(error: ValidationException) -> list[FieldError]:
    found: list[FieldError] = []
    for one in cast("Sequence[Any]", error.extra if isinstance(error.extra, list) else []):
        key, message = str(one.get("key", "")), str(one.get("message", "cannot be taken"))
        if key == "data":
            found.append(FieldError("", "required", "a JSON body is expected"))
        else:
            # Litestar names the function's parameter; in the address it is written in camel case.
            head, *rest = key.split("_")
            name = head + "".join(part.capitalize() for part in rest)
            found.append(FieldError(name, "type", message[:1].lower() + message[1:]))
    return found or [FieldError("", "invalid", error.detail)]


def handle(request: "Request[Any, Any, Any]", error: Exception) -> Any:
    """Litestar's exception handler: answers with the problem, and logs what was not expected."""
    problem = as_problem(error)
    if problem.status >= 500:
        if isinstance(problem, Unexpected):
            log.error(
                "request_failed", path=request.scope["path"], request_id=_request_id(request.scope), exc_info=error
            )
        else:
            log.warning("request_refused", path=request.scope["path"], problem=problem.title(), cause=repr(error)[:200])
    return _Answer(problem_response(problem, request.scope))


def _request_id(scope: object) -> str:
    return cast("dict[str, str]", scope).get("request_id", "")


class _Answer:
    """What Litestar expects of an exception handler's answer: something that becomes an ASGI application."""

    def __init__(self, app: ASGIResponse) -> None:
        self._app = app

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:
        return cast("ASGIApp", self._app)


def build(
    door: api.Door,
    handlers: Sequence[HTTPRouteHandler | Any],
    *,
    body_max_bytes: int,
    openapi: OpenAPIConfig | None,
    on_shutdown: Sequence[Callable[[], Any]] = (),
) -> Litestar:
    """The Litestar application of these routes."""
    app = Litestar(
        route_handlers=list(handlers),
        guards=[api.guard],
        request_class=api.TypedRequest,
        exception_handlers={Exception: handle},
        request_max_body_size=body_max_bytes,
        openapi_config=openapi,
        on_shutdown=list(on_shutdown),
        debug=False,
        logging_config=None,
    )
    app.state.door = door
    return app
