import asyncio
import io
import json
import logging
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Literal
from uuid import UUID

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from supover.kit import telemetry
from supover.kit.telemetry import bound, configure, logger, mask, render, request_done

ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")

# Made up, each of the shape that its issuer uses; joined here so that no scanner takes this file for a leak.
SECRETS = [
    "sk_" + "q7Xm2kPz9RvT4nWs8LbC6dYh",
    "shpat" + "_" + "0123456789abcdef0123456789abcdef",
    "whsec" + "_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "shippo_live" + "_" + "0123456789abcdef0123",
    "ck" + "_" + "0123456789abcdef0123456789abcdef01234567",
    "EZAK" + "0123456789abcdefghij",
    "Bearer abcdefghijklmnop.qrstuv-wxyz",
    "Authorization: Basic dXNlcjpwYXNzd29yZA==",
    "postgresql://me:hunter2@db/supover",
    "https://user:p@ss@host/path",
    "password=hunter2hunter2",
    '{"password": "hunter2hunter2"}',
    "'secret': 'hunter2hunter2'",
    "GET /hook?token=hunter2hunter2&x=1",
    "GET /hook?code=hunter2hunter2&x=1",
    "api_key: hunter2hunter2",
    "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaGhhc2g",
    "ann.lee+x@mail.shop.example",
    "zoë@bücher.de",
    "+14155552671",
    "Key (workspace_id, lower(email))=(1, Ann Canary) already exists.",
    "Failing row contains (1, Ann Canary, null).",
]


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leaves logging as pytest had it."""
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    level = root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def to(log_format: Literal["console", "json"], level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure(log_format, level, stream)
    return stream


def test_json_is_one_object_a_line_with_what_is_bound() -> None:
    stream = to("json")
    with bound(request_id="r1", workspace_id=ID):
        logger("orders").info("taken in", order_id=ID, total=Decimal("1.50"), lines=2, note=None)
    logger("orders").warning("two\nlines")
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    at = first.pop("at")
    assert at.endswith("Z")
    assert list(first)[:3] == ["level", "room", "event"]
    assert first == {
        "level": "info",
        "room": "orders",
        "event": "taken in",
        "request_id": "r1",
        "workspace_id": str(ID),
        "order_id": str(ID),
        "total": "1.50",
        "lines": 2,
        "note": None,
    }
    assert (second["level"], second["event"]) == ("warning", "two\nlines")
    assert "request_id" not in second


def test_the_console_is_one_line_a_record_whatever_it_holds() -> None:
    stream = to("console")
    logger("orders").info("taken\nin \x1b[31m", note="a b\r\nc", empty="")
    (line,) = stream.getvalue().splitlines()
    assert line[13:] == 'info    orders: taken\\nin \\x1b[31m note="a b\\r\\nc" empty=""'


def test_a_terminal_gets_colours() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    configure("console", "info", stream)
    logger("x").error("bad")
    logger("x").info("good")
    bad, good = stream.getvalue().splitlines()
    assert bad.startswith("\x1b[31m")
    assert bad.endswith("\x1b[0m")
    assert "\x1b" not in good


def test_less_severe_records_are_left_out() -> None:
    stream = to("json", "warning")
    logger("x").info("no")
    logging.getLogger("lib").info("no")
    logger("x").error("yes")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["yes"]


def test_records_of_libraries_are_taken_in() -> None:
    stream = to("json", "debug")
    logging.getLogger("lib").warning("%s of %s", 1, 2)
    logging.getLogger("lib").log(25, "between")
    logging.getLogger("lib").critical("worst")
    logging.getLogger("lib").info("%d", "not a number")
    logging.getLogger("httpx").info("HTTP Request: GET https://host/?x=1")
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(r["room"], r["level"], r["event"]) for r in found] == [
        ("lib", "warning", "1 of 2"),
        ("lib", "info", "between"),
        ("lib", "error", "worst"),
        ("lib", "info", "%d"),
    ]


def test_warnings_are_taken_in() -> None:
    stream = to("json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old way", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert "old way" in json.loads(stream.getvalue())["event"]


def test_tracebacks_are_kept_and_masked() -> None:
    for log_format in ("json", "console"):
        stream = to(log_format)
        try:
            raise ValueError("no such key " + SECRETS[0])
        except ValueError:
            logger("x").exception("failed")
            logging.getLogger("lib").exception("failed too")
        text = stream.getvalue()
        assert text.count("ValueError: no such key sk_***") == 2
        assert SECRETS[0] not in text
        if log_format == "json":
            assert [json.loads(line)["level"] for line in text.splitlines()] == ["error", "error"]


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_are_masked_by_their_look(secret: str) -> None:
    stream = to("json")
    logger("x").info(f"said {secret} here", value=secret, deep={"list": [secret, {secret: (secret,)}]})
    text = stream.getvalue()
    for canary in ("hunter2", "Canary", "ann.lee", "zoë", "4155552671", "dXNlcj", "qrstuv", "9RvT4nWs8", "aGFzaA"):
        assert canary not in text
    assert secret not in json.loads(text)["event"]
    assert mask(mask(secret)) == mask(secret)


def test_secrets_are_masked_by_their_key() -> None:
    class Row(msgspec.Struct):
        email: str
        size: int

    stream = to("json")
    logger("x").info(
        "kept",
        password="canary",
        newPassword="canary",
        api_key="canary",
        Authorization="canary",
        set_cookie=["canary"],
        client_secret={"a": "canary"},
        token=12345,
        email="canary",
        firstName="canary",
        date_of_birth="canary",
        headers={"X-Shopify-Hmac-Sha256": "canary", "Accept": "json"},
        row=Row("canary", 3),
        raw=b"canary",
        view=memoryview(b"canary"),
        is_password_set=True,
        tries=3,
    )
    found = json.loads(stream.getvalue())
    assert "canary" not in stream.getvalue()
    assert found["headers"] == {"X-Shopify-Hmac-Sha256": "***", "Accept": "json"}
    assert found["row"] == {"email": "***", "size": 3}
    assert (found["raw"], found["view"], found["is_password_set"], found["tries"]) == (
        "(6 bytes)",
        "(6 bytes)",
        True,
        3,
    )
    assert found["token"] == "***"


def test_ordinary_text_is_left_alone() -> None:
    for text in (
        "GET /api/customers/01890a5d-ac96-774b-bcce-b302099a8057 200 1.5 ms",
        "2026-11-21T04:00:00+00:00",
        "SKU sk-1, 100 % of 3 @ 4.50, a@b",
        "token bucket is empty",
        "https://shop.example/path?page=2&sort=-total",
        "1 + 1 = 2, +12, +123456",
    ):
        assert mask(text) == text


@given(st.text())
def test_masking_never_raises_and_settles(text: str) -> None:
    assert mask(mask(text)) == mask(text)


def test_masking_takes_no_longer_than_its_length() -> None:
    for unit in ("a", "a@", "://", "Key (", "token=", "token ", "+1", "sk_", "bearer ", "a.", "@a.", " ", "=", "\\"):
        text = unit * (100_000 // len(unit))
        start = time.perf_counter()
        mask(text)
        assert time.perf_counter() - start < 0.5, unit


def test_records_from_threads_do_not_mix() -> None:
    stream = to("json")

    def write(name: str) -> None:
        for _ in range(200):
            logger(name).info("x" * 200)

    threads = [threading.Thread(target=write, args=(f"t{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 800
    assert all(json.loads(line)["event"] == "x" * 200 for line in lines)


# --- figures ---


def figures(text: bytes) -> dict[str, float]:
    lines = [line for line in text.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_requests_are_counted_and_timed() -> None:
    before = figures(render())
    for seconds in (0.002, 0.02, 20.0):
        request_done("GET", "/t/{id}", 200, seconds)
    request_done("GET", "/t/{id}", 404, 0.001)
    request_done("BREW", "", 418, 0.001)
    after = figures(render())

    def grew(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert grew('http_requests_total{method="GET",route="/t/{id}",status="200"}') == 3
    assert grew('http_requests_total{method="GET",route="/t/{id}",status="404"}') == 1
    assert grew('http_requests_total{method="other",route="(unmatched)",status="418"}') == 1
    assert grew('http_request_seconds_count{route="/t/{id}"}') == 4
    assert grew('http_request_seconds_sum{route="/t/{id}"}') == pytest.approx(20.023)
    assert grew('http_request_seconds_bucket{le="0.0025",route="/t/{id}"}') == 2
    assert grew('http_request_seconds_bucket{le="10.0",route="/t/{id}"}') == 3


async def test_while_a_loop_runs_requests_are_gathered_and_written_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    route = 'http_request_seconds_count{route="/gathered"}'

    def written() -> float:
        return figures(generate_latest(telemetry.registry)).get(route, 0.0)

    telemetry.write()
    monkeypatch.setattr(telemetry, "WRITE_EVERY_S", 0.02)
    for _ in range(3):
        request_done("GET", "/gathered", 200, 0.002)
    request_done("GET", "/gathered", 500, 0.002)
    assert written() == 0
    await asyncio.sleep(0.1)
    assert written() == 4
    request_done("GET", "/gathered", 200, 0.002)
    assert figures(render())[route] == 5, "who asks gets all"
    await asyncio.sleep(0.1)
    assert written() == 5


def test_jobs_drains_queues_and_pools_have_figures() -> None:
    before = figures(render())
    telemetry.job_done("imports.run", "done", 2.0)
    telemetry.job_done("imports.run", "done", 2.0)
    telemetry.drained("inbox", 100)
    telemetry.queue_depth("inbox", 7)
    telemetry.db_pool(size=5, idle=3, limit=10)
    after = figures(render())
    done = 'jobs_total{kind="imports.run",outcome="done"}'
    assert after[done] - before.get(done, 0.0) == 2
    assert after['job_seconds_bucket{kind="imports.run",le="5.0"}'] >= 2
    assert after['drain_rows_total{drain="inbox"}'] - before.get('drain_rows_total{drain="inbox"}', 0.0) == 100
    assert after['queue_depth{queue="inbox"}'] == 7
    assert (after['db_pool_connections{state="used"}'], after['db_pool_connections{state="idle"}']) == (2, 3)
    assert after["db_pool_limit"] == 10
    assert after["process_resident_memory_bytes"] > 1_000_000


def test_names_that_we_did_not_choose_cannot_grow_the_figures() -> None:
    program = """
from supover.kit import telemetry
for i in range(2 * telemetry.SERIES_LIMIT):
    telemetry.request_done("GET", f"/made/up/{i}", 200, 0.001)
    telemetry.request_done(f"METHOD{i}", "/one", 200, 0.001)
text = telemetry.render().decode()
print(text.count("http_requests_total{"), 'http_requests_total{method="other",route="(other)",status="200"}' in text)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    series, has_other = done.stdout.split()
    assert int(series) <= telemetry.SERIES_LIMIT + 1
    assert has_other == "True"


def test_processes_that_share_a_folder_are_added_up(tmp_path: Path) -> None:
    program = """
import os, sys
from supover.kit import telemetry
telemetry.request_done("GET", "/t", 200, 0.01)
telemetry.job_done("k", "done", 1.0)
telemetry.db_pool(size=4, idle=1, limit=10)
telemetry.queue_depth("q", int(sys.argv[1]))
if sys.argv[1] == "3":
    sys.stdout.buffer.write(telemetry.render())
    for name in os.listdir(os.environ["PROMETHEUS_MULTIPROC_DIR"]):
        pid = int(name.rsplit("_", 1)[1].removesuffix(".db"))
        if pid != os.getpid():
            telemetry.forget_process(pid)
    sys.stdout.buffer.write(b"#--\\n" + telemetry.render())
"""
    environ = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    said = [
        subprocess.run([sys.executable, "-c", program, number], capture_output=True, env=environ, check=True).stdout
        for number in ("1", "2", "3")
    ]
    all_three, gauges_of_one = [figures(part) for part in said[2].split(b"#--\n")]
    assert all_three['http_requests_total{method="GET",route="/t",status="200"}'] == 3
    assert all_three['http_request_seconds_count{route="/t"}'] == 3
    assert all_three['jobs_total{kind="k",outcome="done"}'] == 3
    assert all_three['db_pool_connections{state="used"}'] == 9
    assert all_three['queue_depth{queue="q"}'] == 3
    assert gauges_of_one['jobs_total{kind="k",outcome="done"}'] == 3
    assert gauges_of_one['db_pool_connections{state="used"}'] == 3
