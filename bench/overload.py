"""More requests than can be answered: `python -m bench.overload URL KEY [PATH]` finds the peak, then asks three times as much.

Requests leave at an even rate whether or not the ones before were answered; a refusal must be a 503 with Retry-After.
"""

import asyncio
import json
import re
import sys
from collections import Counter
from urllib.parse import urlsplit

import msgspec

from supover.kit import clock

CONNECTIONS = 600
PEAK_CLIENTS = 24
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class Overload(msgspec.Struct, frozen=True, rename="camel"):
    """Answers a second: at the peak, under three times as many requests, and right afterwards; and what refusals took."""

    peak: float
    offered: float
    goodput: float
    goodput_share: float
    refused: float
    failed: int
    p99_ms: float
    afterwards: float


async def measure(url: str, key: str, path: str, seconds: float = 8) -> Overload:
    """Peak, overload and recovery of one address."""
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
    await _run(url, request, PEAK_CLIENTS, None, 2)
    peak, _ = await _run(url, request, PEAK_CLIENTS, None, seconds)
    best = peak["200"] / seconds
    told, took = await _run(url, request, CONNECTIONS, 3 * best, seconds)
    after, _ = await _run(url, request, PEAK_CLIENTS, None, seconds)
    took.sort()
    return Overload(
        peak=best,
        offered=told.total() / seconds,
        goodput=told["200"] / seconds,
        goodput_share=told["200"] / seconds / best,
        refused=told["503"] / seconds,
        failed=told.total() - told["200"] - told["503"],
        p99_ms=1000 * took[int(len(took) * 0.99)] if took else 0,
        afterwards=after["200"] / seconds,
    )


async def _run(
    url: str, request: bytes, connections: int, a_second: float | None, seconds: float
) -> tuple[Counter[str], list[float]]:
    """What was answered by status, and how long the good answers took."""
    told: Counter[str] = Counter()
    took: list[float] = []
    parts = urlsplit(url)
    started = clock.monotonic_s()
    sent = 0

    async def one() -> None:
        nonlocal sent
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while (now := clock.monotonic_s()) < started + seconds:
            if a_second is not None:
                due = started + sent / a_second
                sent += 1
                if due > now:
                    await asyncio.sleep(due - now)
            began = clock.monotonic_s()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            await reader.readexactly(int(length[1]) if length else 0)
            status = head[9:12].decode()
            if status == "503" and b"retry-after" not in head.lower():
                status = "503 without Retry-After"
            told[status] += 1
            if status == "200":
                took.append(clock.monotonic_s() - began)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return told, took


if __name__ == "__main__":
    url, key, *more = sys.argv[1:]
    found = asyncio.run(measure(url, key, more[0] if more else "/api/customers"))
    sys.stdout.write(json.dumps(msgspec.to_builtins(found), indent=1) + "\n")
