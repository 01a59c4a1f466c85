"""The edge: routes that open one transaction, callers, bodies, answers, idempotency, problem details.

A room writes `routes = Routes("customers")` and decorates plain functions. A reading function takes `db: Reader`, a
writing one `tx: Tx`; path, query, header parameters and the body (`data`) are Litestar's, by annotation. What the function
returns is encoded before the commit, and the commit happens before the answer is sent.
"""

import asyncio
import hashlib
import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Final, Generic, Literal, Protocol, TypeVar, cast, get_args, get_origin
from urllib.parse import parse_qsl, quote
from uuid import UUID

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.enums import MediaType
from litestar.exceptions import ClientException, SerializationException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from litestar.types import ASGIApp, Empty, Receive, Scope, Send

from supover.kit import clock, problems
from supover.kit.db import RACES, Database, Tx, json_bytes
from supover.kit.events import Event, publish
from supover.kit.problems import FieldError, Invalid, Malformed, Problem, from_library
from supover.kit.sql import Listing, known

MAX_DEPTH: Final = 32
MAX_UNKNOWN: Final = 1_000
BODY_S: Final = 60.0
"""How long a body that is read as a whole may take to come."""

T = TypeVar("T")


# --- callers -------------------------------------------------------------------------------------------------------------


class Caller(Protocol):
    """Who is asking, as the edge needs to know it."""

    @property
    def workspace_id(self) -> UUID:
        """The workspace that the key or session decides."""
        ...

    @property
    def actor(self) -> str:
        """'key:ID', 'staff:ID' or 'system'."""
        ...

    @property
    def name(self) -> str:
        """A name for people."""
        ...

    def may(self, permission: str) -> bool:
        """Whether this caller holds the permission."""
        ...


Authenticate = Callable[["ASGIConnection[Any, Any, Any, Any]"], Awaitable[Caller]]
Audit = Callable[[Tx, str, UUID | None, "Request[Any, Any, Any]"], Awaitable[None]]
PUBLIC: Final = "public"


class Door:
    """What every request goes through, put together once in wiring: the database, who may do what, the audit log."""

    def __init__(
        self, database: Database, authenticate: Authenticate, audit: Audit, permissions: Mapping[str, str]
    ) -> None:
        self.database = database
        self.authenticate = authenticate
        self.audit = audit
        self.permissions = permissions


async def guard(connection: "ASGIConnection[Any, Any, Any, Any]", handler: BaseRouteHandler) -> None:
    """Lets through who may: an operation that the table of permissions does not name is refused to everybody."""
    door: Door = connection.app.state.door
    permission = door.permissions.get(_operation(handler))
    if permission == PUBLIC:
        return
    caller = await door.authenticate(connection)
    if permission is None or not caller.may(permission):
        raise NotAllowed(f"This needs the permission {permission!r}.")
    connection.scope["user"] = caller


def _operation(handler: BaseRouteHandler) -> str:
    return cast("str", handler.opt.get("operation", ""))


class NotAllowed(problems.Forbidden):
    """This caller may not do that."""


# --- bodies --------------------------------------------------------------------------------------------------------------


class BodyMissing(Malformed):
    """A JSON body is expected."""


class BodyTooLarge(problems.TooLarge):
    """The body is larger than is taken here."""


class NotJson(problems.UnsupportedMediaType):
    """The body must be sent as application/json."""


class BodyEncoded(problems.UnsupportedMediaType):
    """A JSON body is taken as it is, not compressed."""


class BodyTooSlow(problems.TooSlow):
    """The body did not come in time."""


class BodyUnreadable(Malformed):
    """The body is not JSON."""


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def decode(body: bytes, shape: type[T]) -> T:
    """Reads a JSON body strictly into its struct. Raises BodyUnreadable, or Invalid with every field that is wrong."""
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise BodyUnreadable(f"It is nested deeper than {MAX_DEPTH} levels.")
    if b"\\u0000" in body and re.search(rb"(?<!\\)(?:\\\\)*\\u0000", body):
        raise Invalid([_nul(body)])
    decoder = _decoders.get(shape)
    if decoder is None:
        decoder = _decoders[shape] = msgspec.json.Decoder(shape)
    try:
        return cast("T", decoder.decode(body))
    except msgspec.ValidationError as error:
        raise Invalid(_all_errors(body, shape, error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BodyUnreadable(str(error)) from None


def _nul(body: bytes) -> FieldError:
    """Where the first NUL is: the field, and its place in the field's text."""
    try:
        pointer, position = next(_nuls(msgspec.json.decode(body), ""), ("", None))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pointer, position = "", None
    return FieldError(pointer, "nul", "text cannot hold the character NUL", position)


def _nuls(value: Any, pointer: str) -> Iterator[tuple[str, int | None]]:
    match value:
        case str():
            if "\0" in value:
                yield pointer, value.index("\0")
        case dict():
            for name, below in cast("dict[str, Any]", value).items():
                if "\0" in name:
                    yield pointer, None
                yield from _nuls(below, f"{pointer}/{_escaped(name)}")
        case list():
            for n, below in enumerate(cast("list[Any]", value)):
                yield from _nuls(below, f"{pointer}/{n}")
        case _:
            pass


def _depth(body: bytes) -> int:
    depth = deepest = 0
    # Possessive, and a text that nobody closes goes to the end: one pass, whatever is sent.
    for found in re.finditer(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', body, re.DOTALL):
        match found[0]:
            case b"{" | b"[":
                depth += 1
                deepest = max(deepest, depth)
                if deepest > MAX_DEPTH:
                    break
            case b"}" | b"]":
                depth -= 1
            case _:
                pass
    return deepest


def _all_errors(body: bytes, shape: Any, first: msgspec.ValidationError) -> list[FieldError]:
    """The decoder stops at the first field; people want them all."""
    found = [_field_error(first)]
    try:
        fields = msgspec.structs.fields(shape)
        raw = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (TypeError, msgspec.MsgspecError):
        return found
    errors: list[FieldError] = []
    if shape.__struct_config__.forbid_unknown_fields:
        unknown = raw.keys() - {f.encode_name for f in fields}
        told = [name for name in raw if name in unknown][:MAX_UNKNOWN]
        errors = [FieldError(f"/{_escaped(name)}", "unknown", "is not a field here") for name in told]
    for field in fields:
        if field.encode_name in raw:
            try:
                msgspec.json.decode(raw[field.encode_name], type=field.type)
            except msgspec.ValidationError as error:
                wrong = _field_error(error, field.encode_name)
                if str(error).startswith("Invalid enum value") and (choices := ", ".join(_choices(field.type))):
                    wrong = FieldError(wrong.pointer, "choice", f"must be one of {choices}")
                errors.append(wrong)
        elif field.required:
            errors.append(FieldError(f"/{field.encode_name}", "required", "is required"))
    return errors or found


def _choices(kind: Any) -> Iterator[str]:
    """The words that a field may have, also where it may be null, or is a list of them."""
    for one in get_args(kind):
        if get_origin(kind) is Literal:
            yield str(one)
        else:
            yield from _choices(one)


_NAMED: Final = re.compile(r"field `(.*)`$", re.DOTALL)
_ECHO: Final = 100
"""So much of a refused value is told back."""


def _field_error(error: msgspec.ValidationError, under: str = "") -> FieldError:
    # No regular expression: a sentence holds what was sent, and may be made to be slow to match.
    what, at, path = str(error).rpartition(" - at `")
    if not at:
        what, path = path, ""
    path = path.removeprefix("key in ").removeprefix("$").removesuffix("`")[:200]
    if len(what) > 2 * _ECHO:
        what = f"{what[:_ECHO]} … {what[-_ECHO:]}"
    pointer = (
        (f"/{under}" if under else "") + re.sub(r"\[(\d+|\.\.\.)\]", r"/\1", path.replace(".", "/"))
        if path
        else (f"/{under}" if under else "")
    )
    code = (
        "unknown"
        if "unknown field" in what
        else "required"
        if "missing required" in what
        else "type"
        if "Expected" in what
        else "invalid"
    )
    # Below the body's own fields the decoder names the object, and the field only in its sentence.
    if code in ("unknown", "required") and (named := _NAMED.search(what)):
        pointer += f"/{_escaped(named[1])}"
        what = "is not a field here" if code == "unknown" else "is required"
    return FieldError(pointer, code, from_library(what))


def _escaped(name: str) -> str:
    """A name as a part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


class TypedRequest(Request[Any, Any, Any]):
    """A request whose JSON body is read straight into the handler's struct."""

    async def json(self) -> Any:
        """The body as the struct that the handler's `data` asks for."""
        field = self.route_handler.parsed_data_field
        if field is None:
            return None
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise NotJson(f"It came as {kind}." if kind else "It came as nothing that was named.")
        if (coding := self.headers.get("content-encoding", "identity").strip().lower()) != "identity":
            raise BodyEncoded(f"It came as {coding}.", headers={"Accept-Encoding": "identity"})
        return decode(await self.body(), cast("type[Any]", field.annotation))

    async def body(self) -> bytes:
        """The whole body. Raises BodyTooSlow."""
        try:
            async with asyncio.timeout(BODY_S):
                return await super().body()
        except TimeoutError:
            raise BodyTooSlow from None


# --- answers -------------------------------------------------------------------------------------------------------------


class Answer(msgspec.Struct, Generic[T], frozen=True):
    """A body with its own status and headers.

    `kept` is what an Idempotency-Key keeps in its place, where the body holds a secret that is shown once.
    """

    value: T
    status: int = 200
    headers: Mapping[str, str] = {}
    kept: T | None = None


class Raw(msgspec.Struct, frozen=True):
    """A body that is sent as it is."""

    body: bytes
    media_type: str
    status: int = 200
    headers: Mapping[str, str] = {}

    def sent(self) -> "Sent":
        """The same on its way, for a handler that answers by itself."""
        return Sent(self.body, self.status, self.headers, self.media_type)


_encode: Final = msgspec.json.Encoder().encode


def _respond(request: "Request[Any, Any, Any]", value: object, status: int) -> tuple[bytes, int, dict[str, str], str]:
    headers: dict[str, str] = {}
    media_type = "application/json"
    if isinstance(value, Raw):
        return value.body, value.status, dict(value.headers), value.media_type
    if isinstance(value, Answer):
        answer = cast("Answer[object]", value)
        headers.update(answer.headers)
        value, status = answer.value, answer.status
    if value is None:
        return b"", 204 if status == 200 else status, headers, media_type
    version = getattr(value, "version", None)
    if version is not None:
        headers.setdefault("ETag", f'"{version}"')
        if request.scope["method"] == "GET" and _has_header(request, b"if-none-match", headers["ETag"]):
            return b"", 304, headers, media_type
    elif isinstance(value, Listing) and value.next_cursor is not None:  # pyright: ignore[reportUnknownMemberType]
        asked = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        others = [f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in asked if k not in ("cursor", "page")]
        path = cast("dict[str, Any]", request.scope).get("asked_path", request.scope["path"])
        headers["Link"] = f'<{path}?{"&".join([*others, "cursor=" + value.next_cursor])}>; rel="next"'
    return _encode(value), status, headers, media_type


def _has_header(request: "Request[Any, Any, Any]", name: bytes, value: str) -> bool:
    # Litestar's `request.headers` makes a dictionary of them all first.
    return any(k == name and v == value.encode() for k, v in request.scope["headers"])


def version_of(if_match: str | None) -> int | None:
    """The version that an If-Match header asks for; None when any will do. Raises Stale for one that no row can have."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise problems.Stale("If-Match must be an ETag that this resource gave.")
    return int(text)


IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match", required=False, description="The ETag that was read; another version is answered with 412."
    ),
]
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        required=False,
        description="Kept for 24 hours: the same key and body are answered with the first answer.",
    ),
]
Limit = Annotated[
    int | None, QueryParameter(name="limit", required=False, description="Rows a page, 1 to 200; 25 unless told.")
]
Cursor = Annotated[
    str | None, QueryParameter(name="cursor", required=False, description="`nextCursor` of the page before.")
]
PageNumber = Annotated[
    int | None, QueryParameter(name="page", required=False, description="A numbered page within the first 10,000 rows.")
]
Count = Annotated[
    bool | None, QueryParameter(name="count", required=False, description="Also count all rows, as `total`.")
]


# --- idempotency ---------------------------------------------------------------------------------------------------------


class KeyInUse(problems.Conflict):
    """A request with this Idempotency-Key is still running."""


class KeyReused(problems.Problem):
    """This Idempotency-Key came before with another request."""

    status = 422


class StoredAnswer(msgspec.Struct, frozen=True):
    """What was answered to an Idempotency-Key."""

    request_hash: bytes
    status: int | None
    headers: Any
    body: bytes | None


KEY_LOCK: Final = "select pg_try_advisory_xact_lock(hashtextextended($1::uuid::text || $2 || $3, 71))"
KEY_FIND: Final = """
    select request_hash, status, headers, body from idempotency
     where workspace_id = $1 and caller = $2 and key = $3
       and created_at > $4::timestamptz
           - coalesce((select s.idempotency_hours from privacy_setting s where s.workspace_id = $1), 24) * interval '1 hour'"""
KEY_KEEP: Final = """
    insert into idempotency (workspace_id, caller, key, request_hash, status, headers, body, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict (workspace_id, caller, key) do update
       set request_hash = excluded.request_hash, status = excluded.status, headers = excluded.headers,
           body = excluded.body, created_at = excluded.created_at"""


async def replay(tx: Tx, key: str, request_hash: bytes) -> StoredAnswer | None:
    """The stored answer, if this key was answered; holds the key until the transaction ends."""
    if not await tx.value(KEY_LOCK, tx.actor, key):
        raise KeyInUse(headers={"Retry-After": "1"})
    stored = await tx.maybe(StoredAnswer, KEY_FIND, tx.actor, key, clock.now())
    if stored is not None and stored.request_hash != request_hash:
        raise KeyReused
    return stored


# --- routes --------------------------------------------------------------------------------------------------------------


class Handler(HTTPRouteHandler):
    """A route whose function already answers as an ASGI application.

    `parameters` says how its function's arguments are read, once the application is built, if it may be called directly.
    """

    parameters: Any = None

    async def call(self, request: "Request[Any, Any, Any]") -> ASGIApp:
        """The answer to a request that was led here: Litestar's own steps, less those for what no route here has.

        Hooks, dependencies, middleware and caches cost a request more than all that it is there for, though it has none.
        """
        await self.authorize_connection(request)
        try:
            given: dict[str, Any] = await self.parameters.to_kwargs(request)
        except SerializationException as error:
            raise ClientException(str(error)) from error
        if given.get("data") is Empty:
            del given["data"]
        signature = cast("Any", self.signature_model)
        return cast("ASGIApp", await self.fn(**signature.parse_values_from_connection_kwargs(request, given)))

    async def to_response(self, app: Any, data: Any, request: Any) -> ASGIApp:
        """The function's own answer."""
        return cast("ASGIApp", data)

    async def authorize_connection(self, connection: "ASGIConnection[Any, Any, Any, Any]") -> None:
        """As Litestar does, without a copy of this handler for each guard, which costs more than the guard."""
        for one in cast("list[Any]", self.resolve_guards()):  # pyright: ignore[reportUnknownMemberType]
            await one(connection, self)


class Sent:
    """An answer on its way: an ASGI application, with nothing but what it sends."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str], media_type: str) -> None:
        self.body = body
        self.status = status
        self.headers = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]
        if status not in (204, 304):
            self.headers += (b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


_TRIES: Final = 4
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Search = bool | Callable[["Request[Any, Any, Any]"], bool]


class Routes:
    """A room's routes. The operation is named after the room and the function: `customers.search`."""

    def __init__(self, room: str, tag: str | None = None) -> None:
        self.room = room
        self.tag = tag or room.capitalize()
        self.handlers: list[HTTPRouteHandler] = []

    def get(
        self, path: str, *, search: Search = False, status: int = 200, name: str = "", media: str = MediaType.JSON
    ) -> Callable[[F], F]:
        """A read; its function takes `db: Reader`.

        With `search` every statement is planned for its values; a function of the request decides it request by request.
        `media` is the type of a `Raw` answer, for the reference.
        """
        return self._route("GET", path, status, search, name, media=media)

    def post(
        self, path: str, *, search: Search = False, status: int = 200, also: int | None = None, name: str = ""
    ) -> Callable[[F], F]:
        """A write that may carry an Idempotency-Key; its function takes `tx: Tx`. `also` is another status of success.

        One whose function takes `db: Reader` is a read whose question is too long for an address, `search` as for `get`.
        """
        return self._route("POST", path, status, search, name, also)

    def put(self, path: str, *, status: int = 200, also: int | None = None, name: str = "") -> Callable[[F], F]:
        """A write that replaces. `also` is another status of success."""
        return self._route("PUT", path, status, name=name, also=also)

    def patch(self, path: str, *, status: int = 200, also: int | None = None, name: str = "") -> Callable[[F], F]:
        """A write that changes what is given. `also` is another status of success."""
        return self._route("PATCH", path, status, name=name, also=also)

    def delete(self, path: str, *, status: int = 204, also: int | None = None, name: str = "") -> Callable[[F], F]:
        """A write that removes; answers 204 without a body unless told otherwise."""
        return self._route("DELETE", path, status, name=name, also=also)

    def _route(
        self,
        method: Method,
        path: str,
        status: int,
        search: Search = False,
        name: str = "",
        also: int | None = None,
        media: str = MediaType.JSON,
    ) -> Callable[[F], F]:
        def register(fn: F) -> F:
            operation = f"{self.room}.{name or fn.__name__}"
            doc = inspect.cleandoc(fn.__doc__ or fn.__name__).split("\n\n", 1)
            act = acting(fn, path, operation, method, status, search=search, keyed=method == "POST")
            self.handlers.append(
                Handler(
                    path,
                    http_method=method,
                    operation_id=operation,
                    status_code=status,
                    summary=doc[0].replace("\n", " ").rstrip("."),
                    description=doc[1] if len(doc) > 1 else None,
                    tags=[self.tag],
                    media_type=media,
                    responses=None if also is None else {also: _the_same(fn)},
                    opt={"operation": operation},
                )(act)
            )
            return fn

        return register


def acting(
    fn: Callable[..., Awaitable[Any]],
    path: str,
    operation: str,
    method: Method,
    status: int,
    *,
    search: Search = False,
    keyed: bool = False,
) -> Callable[..., Awaitable[ASGIApp]]:
    """What a handler does with a room's function: opens what the function takes, `db` or `tx`, and sends what it returns.

    A write leaves its line in the audit log under the operation; with `keyed` it may carry an Idempotency-Key.
    """
    if "db" in inspect.signature(fn).parameters:
        return _reading(fn, path, status, search)
    return _writing(fn, path, operation, method, status, keyed=keyed)


def _the_same(fn: Callable[..., Any]) -> ResponseSpec:
    returns = _body_type(inspect.signature(fn).return_annotation)
    return ResponseSpec(returns, generate_examples=False, description="The same, as it is or has become.")


def _sign(act: Callable[..., Any], fn: Callable[..., Any], path: str, without: str, extra: dict[str, Any]) -> None:
    """Gives the wrapper its function's signature, less the handle, plus the request; marks path parameters and body."""
    signature = inspect.signature(fn)
    kept = {n: p for n, p in signature.parameters.items() if n != without}
    parameters = [inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=Request)]
    in_path = set(re.findall(r"\{(\w+):", path))
    for name, parameter in kept.items():
        if name != "request":
            annotation = parameter.annotation
            if get_origin(annotation) is not Annotated and (name in in_path or name == "data"):
                annotation = FromPath[annotation] if name in in_path else JSONBody[annotation]
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=annotation))
    parameters += [
        inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, annotation=a, default=None) for n, a in extra.items()
    ]
    returns = _body_type(signature.return_annotation)
    act.__name__, act.__doc__, act.__module__ = fn.__name__, fn.__doc__, fn.__module__
    act.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": returns}
    setattr(act, "__signature__", inspect.Signature(parameters, return_annotation=returns))  # noqa: B010


def query_names(fn: Callable[..., Any]) -> dict[str, str]:
    """A function's parameters that are read from the address, by what they are called there."""
    return {
        name: mark.name
        for name, annotation in inspect.get_annotations(fn).items()
        for mark in getattr(annotation, "__metadata__", ())
        if isinstance(mark, QueryParameter) and mark.name
    }


def _body_type(annotation: Any) -> Any:
    if get_origin(annotation) is Answer:
        return get_args(annotation)[0]
    if isinstance(annotation, UnionType) and Raw in get_args(annotation):
        # A report that can be had as a file, too: the document says so beside its schema.
        (annotation,) = (one for one in get_args(annotation) if one is not Raw)
    return bytes if annotation is Raw else annotation


def _reading(
    fn: Callable[..., Awaitable[Any]], path: str, status: int, search: Search
) -> Callable[..., Awaitable[ASGIApp]]:
    signature = inspect.signature(fn)
    wants_request = "request" in signature.parameters
    listed = frozenset(query_names(fn).values()) if get_origin(signature.return_annotation) is Listing else None

    async def act(*, request: "Request[Any, Any, Any]", **given: Any) -> ASGIApp:
        door: Door = request.app.state.door
        if wants_request:
            given["request"] = request
        if listed is not None and request.scope["query_string"]:
            known(request.query_params.keys(), listed)
        caller = cast("Caller", request.scope["user"])
        custom = search(request) if callable(search) else search
        async with door.database.reader(caller.workspace_id, search=custom) as db:
            value = await fn(db=db, **given)
        body, code, headers, media_type = _respond(request, value, status)
        return Sent(body, code, headers, media_type)

    _sign(act, fn, path, "db", {})
    return act


def _writing(
    fn: Callable[..., Awaitable[Any]], path: str, operation: str, method: Method, status: int, *, keyed: bool
) -> Callable[..., Awaitable[ASGIApp]]:
    wants_request = "request" in inspect.signature(fn).parameters
    named = frozenset(query_names(fn).values())

    async def act(*, request: "Request[Any, Any, Any]", **given: Any) -> ASGIApp:
        door: Door = request.app.state.door
        if request.scope["query_string"]:
            # Left out, a misspelt dryRun would be the deed itself.
            known(request.query_params.keys(), named)
        key: str | None = given.pop("idempotency_key", None)
        if key is not None and not 1 <= len(key) <= 255:
            raise Invalid.at("Idempotency-Key", "length", "must have 1 to 255 characters")
        if wants_request:
            given["request"] = request
        if key is not None:
            # Here, where no connection waits for it; from then on the request keeps it.
            await request.body()
        for left in reversed(range(_TRIES)):
            try:
                return await _attempt(door, request, key, given)
            except RACES:
                # Another request was quicker: the next try sees what it did. The last one tells.
                if left == 0:
                    raise
            except Problem as refused:
                if refused.facts:
                    caller = cast("Caller", request.scope["user"])
                    async with door.database.tx(caller.workspace_id, actor=caller.actor, actor_name=caller.name) as tx:
                        await publish(tx, cast("Sequence[Event]", refused.facts))
                raise
        raise AssertionError

    async def _attempt(
        door: Door, request: "Request[Any, Any, Any]", key: str | None, given: dict[str, Any]
    ) -> ASGIApp:
        caller = cast("Caller", request.scope["user"])
        async with door.database.tx(caller.workspace_id, actor=caller.actor, actor_name=caller.name) as tx:
            request_hash = b""
            if key is not None:
                asked = f"{method} {request.url.path}?{request.scope['query_string'].decode('latin-1')}\n".encode()
                request_hash = hashlib.sha256(asked + await request.body()).digest()
                stored = await replay(tx, key, request_hash)
                if stored is not None:
                    headers = {**stored.headers, "Idempotent-Replayed": "true"}
                    return Sent(stored.body or b"", stored.status or 200, headers, "application/json")
            value = await fn(tx=tx, **given)
            body, code, headers, media_type = _respond(request, value, status)
            await door.audit(tx, operation, _subject(value, given), request)
            if key is not None:
                kept = cast("Answer[object]", value).kept if isinstance(value, Answer) else None
                stored_body = body if kept is None else _encode(kept)
                await tx.run(KEY_KEEP, tx.actor, key, request_hash, code, json_bytes(headers), stored_body, clock.now())
        return Sent(body, code, headers, media_type)

    _sign(act, fn, path, "tx", {"idempotency_key": IdempotencyKey} if keyed else {})
    return act


def _subject(value: object, given: Mapping[str, Any]) -> UUID | None:
    if isinstance(value, Answer):
        value = cast("Answer[object]", value).value
    found = getattr(value, "id", None) or given.get("id")
    return found if isinstance(found, UUID) else None
