"""Requests that we make: to channels, carriers, and addresses that customers of ours have typed in.

Such an address must not lead inside: a name is resolved once, every address it has is checked, and the connection goes
to an address that was checked, while TLS and the Host header keep the name. No redirect is followed, no cookie kept, no
proxy taken from the environment. Answers are limited in time and size. Records name the host, never a path or header.
"""

import asyncio
import re
import secrets
import socket
import ssl
import zlib
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, ip_address, ip_network
from types import TracebackType
from typing import Final, Self, TypeVar, cast

import httpcore
import httpx
import msgspec

from supover import __version__
from supover.kit import clock
from supover.kit.telemetry import logger

T = TypeVar("T")
Resolve = Callable[[str, int], Awaitable[list[str]]]

PORTS: Final = frozenset({80, 443, 8443})
URL_LENGTH: Final = 2_048
IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
PASSING: Final = frozenset({408, 425, 429, 502, 503, 504})


class HttpError(Exception):
    """A request of ours came to nothing."""


class UrlRefused(HttpError, ValueError):
    """We do not send requests to this address."""


class Unreachable(HttpError):
    """The other side did not answer, or not in time."""


class BadReply(HttpError):
    """The other side's answer is too large or cannot be read."""


class Retry(msgspec.Struct, frozen=True):
    """How often a request is tried, and how long between: up to `base_s` doubled each time, at most `cap_s`.

    A longer wait than `wait_max_s` that the other side asks for is not waited out here: the answer is returned.
    """

    attempts: int = 3
    base_s: float = 0.3
    cap_s: float = 5.0
    wait_max_s: float = 10.0


ONCE: Final = Retry(attempts=1)
_RETRY: Final = Retry()


class Reply(msgspec.Struct, frozen=True):
    """An answer, whatever its status; redirects too, which are not followed."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self, kind: type[T]) -> T:
        """The body as this type. Raises BadReply, without the body, when it is something else."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadReply(f"the answer ({self.status}) is not what was expected: {error}") from None


# --- which addresses ---

_INSIDE_V4: Final = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' NAT; Alibaba's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host
        "169.254.0.0/16",  # link-local; the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
]
# All that is handed out to the world lies here; so ::1, fc00::/7, fe80::/10, ff00::/8 and the mapped ::ffff:0:0/96 do not.
_WORLD_V6: Final = ip_network("2000::/3")
_INSIDE_V6: Final = [
    ip_network(text)
    for text in (
        "2001::/23",  # protocols, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
]
_NAT64: Final = ip_network("64:ff9b::/96")
_INSIDE_NAMES: Final = (
    ".localhost",
    ".local",
    ".internal",
    ".intranet",
    ".lan",
    ".home",
    ".corp",
    ".home.arpa",
    ".onion",
)

_HOST: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")


def is_public(address: str) -> bool:
    """Whether this IP address is out in the world: no loopback, private, link-local, metadata or disguised one."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv4Address):
        return not any(found in network for network in _INSIDE_V4)
    if found.scope_id is not None:
        return False
    if found in _NAT64:
        return is_public(str(IPv4Address(int(found) & 0xFFFF_FFFF)))
    return found in _WORLD_V6 and not any(found in network for network in _INSIDE_V6)


def check_url(url: str, *, allow_private_hosts: bool = False, ports: frozenset[int] = PORTS) -> httpx.URL:
    """The address, when we would send a request there as far as its spelling tells; for use when somebody types it in.

    Raises UrlRefused with a sentence for people. A name is not resolved here: `Client` does that whenever it connects.
    """
    if len(url) > URL_LENGTH:
        raise UrlRefused(f"is longer than {URL_LENGTH} characters")
    if not url.isprintable() or any(sign in url for sign in ' \\"<>^`{|}'):
        raise UrlRefused("holds a character that no URL has")
    try:
        found = httpx.URL(url)
        host, port = _host(found), found.port
    except (httpx.InvalidURL, ValueError):
        raise UrlRefused("is not a URL") from None
    schemes = ("https", "http") if allow_private_hosts else ("https",)
    if found.scheme not in schemes:
        raise UrlRefused(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if found.userinfo or "@" in found.netloc.decode("ascii"):
        raise UrlRefused("must not hold a user name or password")
    literal = _literal(host)
    if literal is None and not _HOST.fullmatch(host):
        raise UrlRefused("names no host")
    if allow_private_hosts:
        return found
    if port is not None and port not in ports:
        raise UrlRefused(f"names port {port}; {', '.join(str(known) for known in sorted(ports))} are possible")
    if literal is not None:
        if not is_public(literal):
            raise UrlRefused("leads to an address that is not public")
    elif "." not in host or host.endswith(_INSIDE_NAMES):
        raise UrlRefused("names a host that is not public")
    return found


def _host(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii").lower().removesuffix(".")


def _literal(host: str) -> str | None:
    # The address that a host spells, in any of the ways that a resolver takes: 127.1, 0177.0.0.1, 0x7f000001.
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


# Threads of our own: a name server that never answers holds a thread until the resolver gives up, and must not hold
# those that everything else runs in.
_resolvers: Final = ThreadPoolExecutor(8, thread_name_prefix="resolve")


async def resolve(host: str, port: int) -> list[str]:
    """The host's addresses as the system resolves them, in its order. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(_resolvers, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class _Network(httpcore.AsyncNetworkBackend):
    """Connects to addresses that it has checked, and to no others."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend, resolve: Resolve, *, allow_private_hosts: bool) -> None:
        self._inner = inner
        self._resolve = resolve
        self._allow_private_hosts = allow_private_hosts

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the base class's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                return await self._connect(host, port, socket_options)
        except TimeoutError:
            raise httpcore.ConnectTimeout from None

    async def _connect(
        self, host: str, port: int, socket_options: Iterable[httpcore.SOCKET_OPTION] | None
    ) -> httpcore.AsyncNetworkStream:
        literal = _literal(host)
        try:
            addresses = [literal] if literal is not None else await self._resolve(host, port)
        except (OSError, UnicodeError):
            raise httpcore.ConnectError("its name does not resolve") from None
        if not self._allow_private_hosts and not all(is_public(address) for address in addresses):
            raise UrlRefused(f"{host} leads to an address that is not public")
        failed: Exception = httpcore.ConnectError("its name has no address")
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, None, None, socket_options)
            except httpcore.ConnectError as error:
                failed = error
        raise failed

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise UrlRefused("requests do not go to sockets of this machine")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


# --- client ---


class Client:
    """Sends requests outside; one a process, shared by all tasks of its event loop, closed at the end.

    A request is tried again when it is idempotent, by its method or by the key given for it, and the failure may pass:
    no connection, no answer in time, or a status of 408, 425, 429, 502, 503, 504. Each try has `total_timeout_s`.
    """

    def __init__(
        self,
        *,
        allow_private_hosts: bool = False,
        ports: frozenset[int] = PORTS,
        connect_timeout_s: float = 3.0,
        total_timeout_s: float = 15.0,
        reply_max_bytes: int = 10 << 20,
        connections: int = 50,
        retry: Retry = _RETRY,
        resolve: Resolve = resolve,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        network: httpcore.AsyncNetworkBackend | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_private_hosts = allow_private_hosts
        self._ports = ports
        self._connect_timeout_s = connect_timeout_s
        self._total_timeout_s = total_timeout_s
        self._reply_max_bytes = reply_max_bytes
        self._retry = retry
        self._sleep = sleep
        self._log = logger("http")
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or httpx.create_ssl_context(),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=5.0,
            network_backend=_Network(
                network or cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend()),
                resolve,
                allow_private_hosts=allow_private_hosts,
            ),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._pool.aclose()

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        json: object = msgspec.UNSET,
        form: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        total_timeout_s: float | None = None,
        reply_max_bytes: int | None = None,
        retry: Retry | None = None,
    ) -> Reply:
        """The answer, whatever its status. Raises UrlRefused, Unreachable or BadReply.

        The key is sent as Idempotency-Key and says that trying again is safe.
        """
        request = self._made(method, url, params, headers, content, json, form, idempotency_key)
        policy = retry or self._retry
        limit = reply_max_bytes or self._reply_max_bytes
        total_s = total_timeout_s or self._total_timeout_s
        may_repeat = method.upper() in IDEMPOTENT or idempotency_key is not None
        attempt = 0
        while True:
            attempt += 1
            is_last = attempt >= policy.attempts or not may_repeat
            try:
                reply = await self._sent(request, total_s, limit, attempt)
            except Unreachable:
                if is_last:
                    raise
                wait_s = _backoff_s(policy, attempt)
            else:
                if is_last or reply.status not in PASSING:
                    return reply
                asked_s = _retry_after_s(reply.headers)
                if asked_s is not None and asked_s > policy.wait_max_s:
                    return reply
                wait_s = max(_backoff_s(policy, attempt), asked_s or 0.0)
            await self._sleep(wait_s)

    def _made(
        self,
        method: str,
        url: str,
        params: Mapping[str, str | int] | None,
        headers: Mapping[str, str] | None,
        content: bytes | None,
        json: object,
        form: Mapping[str, str] | None,
        idempotency_key: str | None,
    ) -> httpx.Request:
        checked = check_url(url, allow_private_hosts=self._allow_private_hosts, ports=self._ports)
        if params:
            checked = checked.copy_merge_params(params)
        sent = httpx.Headers({"User-Agent": f"Supover/{__version__}", "Accept": "*/*", **(headers or {})})
        # An answer of another encoding than this is refused; so that its size can be bounded as it is unpacked.
        sent["Accept-Encoding"] = "gzip"
        if idempotency_key is not None:
            sent["Idempotency-Key"] = idempotency_key
        if json is not msgspec.UNSET:
            content = msgspec.json.encode(json)
            sent.setdefault("Content-Type", "application/json")
        if any("\n" in value or "\r" in value or "\0" in value for value in sent.values()):
            raise ValueError("a header holds a line break")
        return httpx.Request(method, checked, headers=sent, content=content, data=form)

    async def _sent(self, request: httpx.Request, total_s: float, limit: int, attempt: int) -> Reply:
        host, start = _host(request.url), clock.monotonic_s()
        try:
            async with asyncio.timeout(total_s):
                reply = await self._answered(request, total_s, limit)
        except TimeoutError:
            failed = f"no answer within {total_s:g} s"
        except httpcore.ConnectTimeout:
            failed = f"no connection within {self._connect_timeout_s:g} s"
        except httpcore.TimeoutException:
            failed = f"no answer within {total_s:g} s"
        except httpcore.ConnectError as error:
            failed = f"no connection: {_reason(error)}"
        except (httpcore.NetworkError, httpcore.RemoteProtocolError) as error:
            failed = f"the connection broke: {_reason(error)}"
        else:
            took_ms = round(1_000 * (clock.monotonic_s() - start), 1)
            self._log.debug(
                "answered", method=request.method, host=host, status=reply.status, ms=took_ms, attempt=attempt
            )
            return reply
        took_ms = round(1_000 * (clock.monotonic_s() - start), 1)
        self._log.warning("failed", method=request.method, host=host, reason=failed, ms=took_ms, attempt=attempt)
        raise Unreachable(f"{host}: {failed}")

    async def _answered(self, request: httpx.Request, total_s: float, limit: int) -> Reply:
        within = {"connect": self._connect_timeout_s, "read": total_s, "write": total_s, "pool": total_s}
        response = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.content if request.content else None,
                extensions={"timeout": within},
            )
        )
        try:
            headers = httpx.Headers(response.headers)
            body = await _body(cast("AsyncIterable[bytes]", response.stream), headers, limit)
            return Reply(response.status, headers, body)
        finally:
            await response.aclose()


async def _body(stream: AsyncIterable[bytes], headers: httpx.Headers, limit: int) -> bytes:
    encoding = headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", "", "gzip", "x-gzip"}:
        raise BadReply(f"the answer is encoded as {encoding[:20]}, which was not asked for")
    inflater = zlib.decompressobj(31) if "gzip" in encoding else None
    parts: list[bytes] = []
    size = 0
    async for raw in stream:
        try:
            part = inflater.decompress(raw, limit - size + 1) if inflater else raw
        except zlib.error:
            raise BadReply("the answer is said to be gzip and is not") from None
        size += len(part)
        if size > limit:
            raise BadReply(f"the answer is larger than {limit} bytes")
        parts.append(part)
    if inflater and size and not inflater.eof:
        raise BadReply("the answer ends before its end")
    return b"".join(parts)


def _reason(error: Exception) -> str:
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"TLS: {cause.verify_message}"
    return (str(error) or type(error).__name__)[:200]


def _backoff_s(policy: Retry, attempt: int) -> float:
    # Full jitter: a thousand clients that failed together do not come back together.
    most = min(policy.cap_s, policy.base_s * 2 ** (attempt - 1))
    return most * secrets.randbelow(1_000_001) / 1_000_000


def _retry_after_s(headers: httpx.Headers) -> float | None:
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    aware: datetime = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (aware - clock.now()).total_seconds())
