"""Load: `wrk` where it is installed, else a small client of ours, which costs more of the machine than `wrk` does."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from supover.kit import clock

CLIENTS = 16


class Load(msgspec.Struct, frozen=True):
    """What a load found: answers a second, and percentiles of the time to an answer in milliseconds."""

    rate: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


def _of(took_s: Sequence[float], seconds: float) -> Load:
    found = sorted(took_s)
    at = [found[min(len(found) - 1, int(len(found) * share))] * 1000 for share in (0.5, 0.95, 0.99)]
    return Load(len(found) / seconds, *at)


LUA = """
local paths = {%s}
local n = 0
request = function() n = n + 1; return wrk.format("GET", paths[1 + n %% #paths]) end
done = function(summary, latency, requests)
  io.write(string.format("FOUND %%f %%f %%f %%f %%d\\n", summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1e3,
    latency:percentile(95) / 1e3, latency:percentile(99) / 1e3, summary.errors.status))
end
"""


async def get(url: str, key: str, paths: Sequence[str], folder: Path, seconds: int, clients: int = CLIENTS) -> Load:
    """Reads these addresses over and over; every answer must be 200."""
    if shutil.which("wrk") is None:
        requests = [_request("GET", path, {"Authorization": f"Bearer {key}"}) for path in paths]
        return await _send(url, requests, clients, seconds, ("200",))
    script = folder / "load.lua"
    script.write_text(LUA % ",".join(f'"{path}"' for path in paths))
    words = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}", "-s", str(script), "-H", f"Authorization: Bearer {key}", url]
    said = (await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, check=True)).stdout
    found = re.search(r"FOUND (\S+) (\S+) (\S+) (\S+) (\d+)", said)
    if found is None or int(found[5]):
        raise SystemExit(f"{paths[0]}: {said[-300:]}")
    return Load(*(float(found[n]) for n in range(1, 5)))


class Post(msgspec.Struct, frozen=True):
    """A body to send."""

    path: str
    headers: Mapping[str, str]
    body: bytes


async def post(url: str, posts: Sequence[Post], clients: int = CLIENTS, allowed: Sequence[str] = ("2",)) -> Load:
    """Sends each body once, as fast as the answers come."""
    return await _send(url, [_post(p) for p in posts], clients, None, allowed)


async def post_steadily(url: str, posts: Sequence[Post], a_second: float, clients: int = 32) -> Load:
    """Sends each body once at an even rate; the times count from when each was due, whether or not a client was free."""
    return await _send(url, [_post(p) for p in posts], clients, None, ("2",), a_second)


def _post(p: Post) -> bytes:
    return _request("POST", p.path, {"Content-Type": "application/json", **p.headers}, p.body)


def _request(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: bench",
        f"Content-Length: {len(body)}",
        *(f"{k}: {v}" for k, v in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


async def _send(
    url: str,
    requests: Sequence[bytes],
    clients: int,
    seconds: float | None,
    allowed: Sequence[str],
    a_second: float | None = None,
) -> Load:
    """Each request once, or over and over for so many seconds. Raises SystemExit at an answer that is not allowed."""
    started = clock.monotonic_s()
    took: list[float] = []
    at = 0

    async def one() -> None:
        nonlocal at
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        while clock.monotonic_s() - started < seconds if seconds is not None else at < len(requests):
            n = at
            at += 1
            due = clock.monotonic_s()
            if a_second is not None:
                due = started + n / a_second
                await asyncio.sleep(max(0.0, due - clock.monotonic_s()))
            writer.write(requests[n % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            found = _LENGTH.search(head)
            body = await reader.readexactly(int(found[1])) if found else b""
            if not head[9:12].decode().startswith(tuple(allowed)):
                raise SystemExit(f"{requests[n % len(requests)][:60]!r}: {head[:20]!r} {body[:200]!r}")
            took.append(clock.monotonic_s() - due)
        writer.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    return _of(took, clock.monotonic_s() - started)
