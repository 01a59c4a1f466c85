import asyncio
import datetime as dt
import gzip
import io
import ipaddress
import json
import socket
import ssl
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from email.utils import format_datetime
from pathlib import Path

import httpcore
import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from supover.kit import telemetry
from supover.kit.http import ONCE, BadReply, Client, HttpError, Retry, Unreachable, UrlRefused, check_url, is_public

QUICK = Retry(attempts=3, base_s=0.0)

# Every host here leads inside, by its spelling alone.
INSIDE = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "0177.0.0.1",
    "0177.1",
    "017700000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0x7f000001",
    "0X7F000001",
    "2130706433",
    "00000177.0.0.1",
    "0",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.1",
    "012.0.0.1",
    "0x0a000001",
    "167772161",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.43518",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "0xa9.254.0251.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.257",
    "0xc0a80001",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:7F00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[::ffff:169.254.169.254]",
    "[::ffff:10.0.0.1]",
    "[::ffff:8.8.8.8]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::1]",
    "[100::1]",
    "[2001::1]",
    "[2001:db8::1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::]",
    "[3fff::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "app.localhost",
    "printer.local",
    "metadata",
    "metadata.google.internal",
    "Metadata.Google.Internal.",
    "db.home.arpa",
    "router.lan",
]

# None of these is an address that we send to, whatever it leads to.
ODD = [
    "",
    "shop.example",
    "//shop.example",
    "https:",
    "https://",
    "https:///path",
    "https://:443",
    "http://shop.example/",
    "HTTP://shop.example/",
    "ftp://shop.example/",
    "file:///etc/passwd",
    "gopher://shop.example/",
    "javascript:alert(1)",
    "data:text/html,x",
    "unix:///run/x.sock",
    "https://user@shop.example/",
    "https://user:pass@shop.example/",
    "https://:@shop.example/",
    "https://shop.example@127.0.0.1/",
    "https://shop.example:22/",
    "https://shop.example:5432/",
    "https://shop.example:0/",
    "https://shop.example:99999/",
    "https://shop.example:-1/",
    "https://shop.example:x/",
    "https://shop.example\\@127.0.0.1/",
    "https://127.0.0.1\\.shop.example/",
    "https://shop.example /",
    " https://shop.example/",
    "https://shop.example/\n",
    "https://shop.example/\r\nHost: x",
    "https://shop.example/\0",
    "https://shop\t.example/",
    "https://[::1/",
    "https://[::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[v1.x]/",
    "https://①②⑦.⓪.⓪.①/",
    "https://127。0。0。1/",
    "https://１２７.0.0.1/",
    "https://..shop.example/",
    "https://%31%32%37.0.0.1/",
    "https://<shop>.example/",
    "https://shop.example/" + "a" * 3_000,
]


@pytest.mark.parametrize("host", INSIDE)
def test_a_host_that_is_spelt_as_one_of_ours_is_refused(host: str) -> None:
    for url in (f"https://{host}/hook", f"https://{host}:8443/hook"):
        with pytest.raises(UrlRefused):
            check_url(url)


@pytest.mark.parametrize("url", ODD)
def test_what_is_no_address_for_requests_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused) as caught:
        check_url(url)
    assert "pass" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/hook?a=1&b=%20x",
        "https://shop.example:8443/",
        "https://SHOP.example",
        "https://shop.example./",
        "https://bücher.example/",
        "https://xn--bcher-kva.example/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://[64:ff9b::8.8.8.8]/",
        "https://1.shop.example/",
    ],
)
def test_an_address_out_in_the_world_is_taken(url: str) -> None:
    check_url(url)


def test_in_development_our_own_addresses_are_taken() -> None:
    for url in ("http://127.0.0.1:9/", "http://localhost:5000/x", "https://db/"):
        check_url(url, allow_private_hosts=True)
    for url in ("ftp://localhost/", "http://u:p@localhost/", "http://"):
        with pytest.raises(UrlRefused):
            check_url(url, allow_private_hosts=True)


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for url in (text, f"https://{text}/", f"https://{text}.example/"):
        try:
            check_url(url)
        except UrlRefused as error:
            assert str(error)


@given(st.ip_addresses(v=4))
def test_every_address_that_python_calls_private_is_not_public(address: ipaddress.IPv4Address) -> None:
    mapped = [f"::ffff:{address}", f"2002:{int(address) >> 16:x}:{int(address) & 0xFFFF:x}::", f"::{address}"]
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not is_public(str(address))
        assert not is_public(f"64:ff9b::{address}")
    assert not any(is_public(spelling) for spelling in mapped)


@given(st.ip_addresses(v=6))
def test_every_address_of_version_6_that_python_calls_private_is_not_public(address: ipaddress.IPv6Address) -> None:
    is_nat64 = int(address) >> 32 == 0x64_FF9B << 64
    if not is_nat64 and (not address.is_global or address.is_multicast or address.is_reserved):
        assert not is_public(str(address))
    assert not is_public(f"{address}%eth0")


def test_what_is_no_address_is_not_public() -> None:
    assert not any(is_public(text) for text in ("", "x", "1.2.3", "8.8.8.8 ", "8.8.8.8/32"))
    assert all(is_public(text) for text in ("8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808"))


# --- where it connects ---


class Switchboard(httpcore.AsyncNetworkBackend):
    """Stands in for the network: notes where it is asked to connect, and plays a server there."""

    def __init__(self, *dead: str) -> None:
        self.dialled: list[tuple[str, int]] = []
        self.dead = dead

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.dialled.append((host, port))
        if host in self.dead:
            raise httpcore.ConnectError("refused")
        return httpcore.AsyncMockStream([b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"])


def answering(*answers: list[str] | Exception) -> Callable[[str, int], Awaitable[list[str]]]:
    """A name server that answers one after the other, and the last for ever."""
    left = list(answers)

    async def resolve(host: str, port: int) -> list[str]:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return resolve


async def test_it_connects_to_the_address_that_was_checked() -> None:
    network = Switchboard()
    async with Client(network=network, resolve=answering(["8.8.8.8", "8.8.4.4"])) as client:
        reply = await client.request("GET", "https://shop.example/")
    assert (reply.status, reply.body) == (200, b"ok")
    assert network.dialled == [("8.8.8.8", 443)]


async def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    for addresses in (["8.8.8.8", "127.0.0.1"], ["10.0.0.1"], ["::1", "2606:4700::1111"], ["fe80::1%eth0"], ["junk"]):
        network = Switchboard()
        async with Client(network=network, resolve=answering(addresses)) as client:
            with pytest.raises(UrlRefused, match="not public"):
                await client.request("GET", "https://shop.example/", retry=QUICK)
        assert network.dialled == []


async def test_a_name_server_that_changes_its_mind_gains_nothing() -> None:
    # Asked once a connection: the second answer is never what a first check was about.
    network = Switchboard()
    resolve = answering(["8.8.8.8"], ["127.0.0.1"])
    async with Client(network=network, resolve=resolve) as client:
        assert (await client.request("GET", "https://shop.example/")).status == 200
        with pytest.raises(UrlRefused):
            await client.request("GET", "https://shop.example/")
    assert network.dialled == [("8.8.8.8", 443)]


async def test_a_retry_checks_again() -> None:
    network = Switchboard("8.8.8.8")
    async with Client(network=network, resolve=answering(["8.8.8.8"], ["169.254.169.254"]), retry=QUICK) as client:
        with pytest.raises(UrlRefused):
            await client.request("GET", "https://shop.example/")
    assert network.dialled == [("8.8.8.8", 443)]


async def test_the_next_address_is_tried_when_one_is_dead() -> None:
    network = Switchboard("8.8.8.8")
    async with Client(network=network, resolve=answering(["8.8.8.8", "8.8.4.4"])) as client:
        assert (await client.request("POST", "https://shop.example/")).status == 200
    assert [host for host, _ in network.dialled] == ["8.8.8.8", "8.8.4.4"]


async def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    for answer in (socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long"), list[str]()):
        async with Client(network=Switchboard(), resolve=answering(answer)) as client:
            with pytest.raises(Unreachable, match=r"shop\.example: no connection: its name"):
                await client.request("GET", "https://shop.example/", retry=ONCE)


async def test_a_name_server_that_hangs_costs_the_connect_timeout() -> None:
    async def hang(host: str, port: int) -> list[str]:
        await asyncio.sleep(60)
        return []

    async with Client(resolve=hang, connect_timeout_s=0.05) as client:
        with pytest.raises(Unreachable, match=r"no connection within 0\.05 s"):
            await client.request("GET", "https://shop.example/", retry=ONCE)


async def test_literal_addresses_inside_are_refused_before_anything_is_sent() -> None:
    network = Switchboard()
    async with Client(network=network) as client:
        for host in INSIDE:
            with pytest.raises(UrlRefused):
                await client.request("GET", f"https://{host}/")
    assert network.dialled == []


# --- a server that fails ---


class Request:
    """What the stand-in server was sent."""

    def __init__(self, head: bytes, body: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ")
        pairs = (line.split(": ", 1) for line in lines if line)
        self.headers = {name.lower(): value for name, value in pairs}
        self.body = body


Answer = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Stands in for the outside world: answers each request by the next of its answers, and the last for ever."""

    def __init__(self, *answers: Answer | bytes) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).removesuffix(b"\r\n\r\n")
            length = next((int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-l")), 0)
            request = Request(head, await reader.readexactly(length))
            self.requests.append(request)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(request, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def running(*answers: Answer | bytes, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Server]:
    server = Server(*answers)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/hook"
    try:
        yield server
    finally:
        listening.close()


def said(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "Connection: close"]
    return f"HTTP/1.1 {status} X\r\n".encode() + "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def hang(request: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def hang_in_the_body(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    await writer.drain()
    await asyncio.sleep(30)


async def reset(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def pour(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(10_000):
        writer.write(b"x" * 65_536)
        await writer.drain()


async def test_a_passing_failure_is_tried_again() -> None:
    async with (
        running(said(503), reset, said(200, b'{"ok": true}')) as server,
        Client(allow_private_hosts=True, retry=QUICK) as client,
    ):
        reply = await client.request("GET", server.url)
    assert reply.is_success
    assert reply.json(dict[str, bool]) == {"ok": True}
    assert len(server.requests) == 3


async def test_after_the_last_try_the_answer_or_the_failure_is_given() -> None:
    async with Client(allow_private_hosts=True, retry=QUICK) as client:
        async with running(said(503, b"down")) as server:
            reply = await client.request("GET", server.url)
            assert (reply.status, reply.body, reply.is_success) == (503, b"down", False)
            assert len(server.requests) == 3
        async with running(reset) as server:
            with pytest.raises(Unreachable, match=r"127\.0\.0\.1: the connection broke"):
                await client.request("GET", server.url)
            assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("method", "key", "tries"),
    [
        ("GET", None, 3),
        ("HEAD", None, 3),
        ("PUT", None, 3),
        ("DELETE", None, 3),
        ("POST", None, 1),
        ("PATCH", None, 1),
        ("POST", "k1", 3),
        ("PATCH", "k1", 3),
    ],
)
async def test_only_what_may_be_repeated_is(method: str, key: str | None, tries: int) -> None:
    async with Client(allow_private_hosts=True, retry=QUICK) as client:
        async with running(said(502)) as server:
            reply = await client.request(method, server.url, idempotency_key=key)
            assert (reply.status, len(server.requests)) == (502, tries)
            assert {request.headers.get("idempotency-key") for request in server.requests} == {key}
        async with running(reset) as server:
            with pytest.raises(Unreachable):
                await client.request(method, server.url, idempotency_key=key)
            assert len(server.requests) == tries


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500, 501])
async def test_a_lasting_failure_is_not_tried_again(status: int) -> None:
    async with running(said(status)) as server, Client(allow_private_hosts=True, retry=QUICK) as client:
        assert (await client.request("GET", server.url)).status == status
    assert len(server.requests) == 1


async def waits(answers: list[bytes], retry: Retry) -> tuple[list[float], int]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with running(*answers) as server, Client(allow_private_hosts=True, retry=retry, sleep=sleep) as client:
        status = (await client.request("GET", server.url)).status
    return slept, status


async def test_it_waits_as_long_as_it_is_asked_to() -> None:
    assert await waits([said(429, Retry_After="7"), said(200)], QUICK) == ([7.0], 200)
    later = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=8), usegmt=True)
    slept, status = await waits([said(503, Retry_After=later), said(200)], QUICK)
    assert status == 200
    assert 5 < slept[0] <= 8
    past = format_datetime(dt.datetime.now(dt.UTC) - dt.timedelta(days=1), usegmt=True)
    for text in (past, "0", "soon", "-5", "٣", "", "Wed, 99 Foo"):
        assert await waits([said(503, Retry_After=text), said(200)], QUICK) == ([0.0], 200)


async def test_a_wait_that_is_too_long_is_left_to_the_caller() -> None:
    assert await waits([said(429, Retry_After="11"), said(200)], QUICK) == ([], 429)
    assert await waits([said(429, Retry_After="9" * 400), said(200)], QUICK) == ([], 429)


async def test_without_being_asked_it_waits_longer_each_time_and_never_the_same() -> None:
    policy = Retry(attempts=6, base_s=1.0, cap_s=3.0)
    runs = [(await waits([said(503)], policy))[0] for _ in range(8)]
    for limit, found in zip([1.0, 2.0, 3.0, 3.0, 3.0], zip(*runs, strict=True), strict=True):
        assert all(0 <= seconds <= limit for seconds in found)
        assert len(set(found)) > 4


async def test_a_server_that_hangs_costs_the_total_timeout() -> None:
    async with Client(allow_private_hosts=True, total_timeout_s=0.1) as client:
        for answer in (hang, hang_in_the_body):
            async with running(answer) as server:
                with pytest.raises(Unreachable, match=r"no answer within 0\.1 s"):
                    await client.request("GET", server.url, retry=ONCE)


async def test_a_port_that_nobody_listens_on_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        async with Client(allow_private_hosts=True, retry=QUICK) as client:
            with pytest.raises(Unreachable, match="no connection"):
                await client.request("GET", url)


async def test_an_endless_answer_is_cut_off() -> None:
    async with Client(allow_private_hosts=True, reply_max_bytes=100_000) as client:
        for answer in (pour, said(200, b"x" * 100_001)):
            async with running(answer) as server:
                with pytest.raises(BadReply, match="larger than 100000 bytes"):
                    await client.request("GET", server.url)
                assert len(server.requests) == 1
        async with running(said(200, b"x" * 100_000)) as server:
            assert len((await client.request("GET", server.url)).body) == 100_000
        async with running(said(200, b"xxxx")) as server:
            with pytest.raises(BadReply):
                await client.request("GET", server.url, reply_max_bytes=3)


async def test_packed_answers_are_unpacked_within_the_limit() -> None:
    async with Client(allow_private_hosts=True, reply_max_bytes=1_000_000) as client:
        async with running(said(200, gzip.compress(b"a" * 1_000_000), Content_Encoding="gzip")) as server:
            assert (await client.request("GET", server.url)).body == b"a" * 1_000_000
            assert server.requests[0].headers["accept-encoding"] == "gzip"
        bomb = gzip.compress(b"a" * 300_000_000, 9)
        for body, encoding, message in [
            (bomb, "gzip", "larger than 1000000 bytes"),
            (b"not gzip at all", "gzip", "is said to be gzip"),
            (gzip.compress(b"abc" * 1_000)[:-9], "gzip", "ends before its end"),
            (zlib.compress(b"abc"), "deflate", "encoded as deflate"),
            (b"abc", "br", "encoded as br"),
        ]:
            async with running(said(200, body, Content_Encoding=encoding)) as server:
                with pytest.raises(BadReply, match=message):
                    await client.request("GET", server.url)


async def test_a_redirect_is_given_and_not_followed() -> None:
    elsewhere = said(302, Location="http://169.254.169.254/latest/meta-data")
    async with running(elsewhere) as server, Client(allow_private_hosts=True) as client:
        reply = await client.request("GET", server.url)
    assert (reply.status, reply.headers["location"]) == (302, "http://169.254.169.254/latest/meta-data")
    assert len(server.requests) == 1


async def test_garbage_instead_of_an_answer_is_unreachable() -> None:
    async with Client(allow_private_hosts=True, retry=ONCE) as client:
        for garbage in (b"SSH-2.0-OpenSSH\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"):
            async with running(garbage) as server:
                with pytest.raises(Unreachable, match="the connection broke"):
                    await client.request("GET", server.url)


async def test_cookies_are_neither_kept_nor_sent() -> None:
    async with running(said(200, Set_Cookie="a=1; Path=/")) as server, Client(allow_private_hosts=True) as client:
        await client.request("GET", server.url)
        await client.request("GET", server.url)
    assert all("cookie" not in request.headers for request in server.requests)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with running(said(200)) as server, Client(allow_private_hosts=True, retry=ONCE) as client:
        assert (await client.request("GET", server.url)).status == 200


async def test_what_is_given_is_what_is_sent() -> None:
    async with running(said(201)) as server, Client(allow_private_hosts=True) as client:
        await client.request("POST", server.url + "?a=1", params={"b": "x y", "c": 2}, json={"total": "1.50"})
        await client.request("POST", server.url, form={"grant": "a&b"}, headers={"X-Token": "t", "Accept": "text/csv"})
        await client.request("PUT", server.url, content=b"raw")
    first, second, third = server.requests
    assert (first.target, json.loads(first.body)) == ("/hook?a=1&b=x+y&c=2", {"total": "1.50"})
    assert first.headers["content-type"] == "application/json"
    assert first.headers["user-agent"].startswith("Supover/")
    assert first.headers["host"] == server.url.split("/")[2]
    assert (second.body, second.headers["x-token"], second.headers["accept"]) == (b"grant=a%26b", "t", "text/csv")
    assert second.headers["content-type"] == "application/x-www-form-urlencoded"
    assert (third.body, third.headers["content-length"]) == (b"raw", "3")


async def test_a_header_cannot_smuggle_another() -> None:
    async with running(said(200)) as server, Client(allow_private_hosts=True) as client:
        for value in ("a\r\nX-Evil: 1", "a\nb", "a\0b"):
            with pytest.raises(ValueError, match="line break"):
                await client.request("GET", server.url, headers={"X-A": value})
    assert server.requests == []


async def test_an_answer_of_another_shape_is_told_without_its_body() -> None:
    async with running(said(200, b'{"ok": "canary"}')) as server, Client(allow_private_hosts=True) as client:
        reply = await client.request("GET", server.url)
    with pytest.raises(BadReply) as caught:
        reply.json(dict[str, int])
    assert "canary" not in str(caught.value)


async def test_connections_are_used_again_and_given_back() -> None:
    ports: set[int] = set()

    async def stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ports.add(writer.get_extra_info("peername")[1])
        while await reader.readline():
            while (await reader.readline()).strip():
                pass
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(stay, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    async with Client(allow_private_hosts=True, connections=2) as client:
        for _ in range(5):
            assert (await client.request("GET", url)).body == b"ok"
        assert len(ports) == 1
        replies = await asyncio.gather(*(client.request("GET", url) for _ in range(20)))
        assert [reply.status for reply in replies] == [200] * 20
        assert len(ports) <= 2
    listening.close()


async def test_logs_name_the_host_and_no_secret() -> None:
    stream = io.StringIO()
    telemetry.configure("json", "debug", stream)
    try:
        async with Client(allow_private_hosts=True, retry=QUICK) as client:
            async with running(said(503), said(200, b"canary")) as server:
                url = server.url + "/canary?key=canary"
                await client.request(
                    "POST", url, headers={"X-Api": "canary"}, content=b"canary", idempotency_key="canary"
                )
            async with running(reset) as server:
                with pytest.raises(Unreachable) as caught:
                    await client.request("GET", server.url + "/canary")
    finally:
        structlog.reset_defaults()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert "canary" not in stream.getvalue() + str(caught.value)
    assert [(line["event"], line.get("status"), line["attempt"]) for line in lines if line["room"] == "http"] == [
        ("answered", 503, 1),
        ("answered", 200, 2),
        ("failed", None, 1),
        ("failed", None, 2),
        ("failed", None, 3),
    ]
    assert {line["host"] for line in lines if line["room"] == "http"} == {"127.0.0.1"}


# --- TLS ---


def certified(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's TLS for this name, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    path = folder / f"{name}.pem"
    path.write_bytes(
        pem
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cadata=pem.decode())


async def test_tls_keeps_the_name_and_the_connection_goes_to_the_address(tmp_path: Path) -> None:
    server_tls, client_tls = certified(tmp_path, "shop.example")
    names: list[str] = []

    def note(_: ssl.SSLObject, name: str, __: ssl.SSLContext) -> None:
        names.append(name)

    server_tls.sni_callback = note
    async with running(said(200), tls=server_tls) as server:
        port = server.url.split(":")[2].split("/")[0]
        async with Client(allow_private_hosts=True, resolve=answering(["127.0.0.1"]), ssl_context=client_tls) as client:
            assert (await client.request("GET", f"https://shop.example:{port}/x")).status == 200
            with pytest.raises(Unreachable, match=r"TLS: Hostname mismatch"):
                await client.request("GET", f"https://other.example:{port}/x", retry=ONCE)
    assert names[0] == "shop.example"
    assert server.requests[0].headers["host"] == f"shop.example:{port}"
    assert len(server.requests) == 1


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    server_tls, _ = certified(tmp_path, "shop.example")
    async with running(said(200), tls=server_tls) as server, Client(allow_private_hosts=True) as client:
        with pytest.raises(HttpError, match="TLS: self-signed certificate"):
            await client.request("GET", server.url, retry=ONCE)
    assert server.requests == []
