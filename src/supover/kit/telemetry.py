"""What the program says about itself: log records, one line each and without secrets, and figures for Prometheus.

Log with `logger("orders").info("order taken in", order_id=...)`; the request's id and workspace are added by `bound`.
Secrets and personal data are masked by the name of the key and by the look of the value, in messages, values and
tracebacks alike; the masks are a net below the rule that neither is logged.

With PROMETHEUS_MULTIPROC_DIR set before this module is imported, the figures of all processes that share that folder
are added up, so that any of them can answer for all.
"""

import asyncio
import atexit
import logging
import os
import re
import sys
from bisect import bisect_left
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, Literal, TextIO, cast

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.processors import TimeStamper, format_exc_info
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

# --- log ---

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
VALUE_LENGTH: Final = 4_000
TRACE_LENGTH: Final = 20_000
DEPTH: Final = 5

# A libraries' chatter at a level where it would tell addresses and headers.
QUIET: Final = ("asyncio", "hpack", "httpcore", "httpx", "urllib3")


def configure(log_format: Literal["console", "json"], level: str = "info", stream: TextIO | None = None) -> None:
    """Sends every record of this program and its libraries to the stream (standard error), one line each.

    Tracebacks follow their record's line on the console; in JSON they are its field `exception`. May be called again.
    """
    out = stream or sys.stderr
    renderer = _console(out.isatty()) if log_format == "console" else _json
    structlog.configure(
        processors=[
            merge_contextvars,
            _level,
            TimeStamper(fmt="iso", utc=True, key="at"),
            format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=LEVELS[level], handlers=[_Forwarded()], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def logger(room: str) -> FilteringBoundLogger:
    """The log of a room or module."""
    return cast("FilteringBoundLogger", structlog.get_logger(room=room))


@contextmanager
def bound(**values: object) -> Generator[None]:
    """Adds the values (request_id, workspace_id, job_id) to every record written below, in this task and its children."""
    with bound_contextvars(**values):
        yield


class _Forwarded(logging.Handler):
    """Takes the records of libraries, which use logging, into ours."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        known = max((level for level in LEVELS.values() if level <= record.levelno), default=logging.DEBUG)
        logger(record.name).log(known, text, exc_info=record.exc_info)


def _level(_: WrappedLogger, method: str, event: EventDict) -> EventDict:
    event["level"] = {"warn": "warning", "exception": "error", "fatal": "critical"}.get(method, method)
    return event


def _json(_: WrappedLogger, __: str, event: EventDict) -> str:
    head = {key: event.pop(key) for key in ("at", "level", "room", "event") if key in event}
    return msgspec.json.encode({**head, **event}, enc_hook=str).decode()


def _console(has_colours: bool) -> Callable[[WrappedLogger, str, EventDict], str]:
    shades = {"debug": "2", "warning": "33", "error": "31", "critical": "31;1"} if has_colours else {}

    def render(_: WrappedLogger, __: str, event: EventDict) -> str:
        at, level = str(event.pop("at"))[11:23], str(event.pop("level"))
        room, said = event.pop("room", ""), event.pop("event", "")
        trace = event.pop("exception", "")
        line = f"{at} {level:<8}{_on_one_line(f'{room}: {said}' if room else str(said))}"
        line += "".join(f" {key}={_on_one_line(_quoted(value))}" for key, value in event.items())
        if trace:
            line += "\n" + "\n".join(_on_one_line(part) for part in str(trace).splitlines())
        return f"\x1b[{shades[level]}m{line}\x1b[0m" if level in shades else line

    return render


def _quoted(value: object) -> str:
    text = str(value)
    return f'"{text}"' if not text or " " in text else text


def _on_one_line(text: str) -> str:
    # A line break or an escape sequence in a value must not make a record look like two, or like another.
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text])


# --- masks ---

MASK: Final = "***"

_SECRET_KEY: Final = re.compile(
    r"passw|passphrase|pwd|secret|token|authori[sz]ation|cookie|credential|signature|hmac|api_?key|private_?key"
    r"|master_?key|sealed|csrf"
)
_PERSONAL_KEYS: Final = frozenset(
    {
        "email",
        "phone",
        "firstname",
        "lastname",
        "fullname",
        "customername",
        "recipientname",
        "dateofbirth",
        "line1",
        "line2",
        "address",
        "recipient",
    }
)
_MASKS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    # What PostgreSQL tells about a row that it refuses: Key (workspace_id, email)=(…, ann@example.com) already exists.
    (re.compile(r"(Key \([^\n]{1,300}?\)=\()[^\n]{0,4000}"), rf"\1{MASK})"),
    (re.compile(r"(Failing row contains \()[^\n]{0,4000}"), rf"\1{MASK})"),
    (re.compile(r"(://)[^\s/\"'<>]{1,300}@"), rf"\1{MASK}@"),
    (re.compile(r"(?i)\b(bearer|basic)(\s{1,4})[A-Za-z0-9._~+/=-]{6,}"), rf"\1\2{MASK}"),
    (
        re.compile(
            r"(?i)((?:passw(?:or)?d|secret|token|authorization|api_?key|signature|hmac|cookie)[\"']?\s{0,4}[:=]\s{0,4}"
            r"[\"']?)(?!bearer\b|basic\b)[^\s\"',;&}]{1,4000}"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?i)([?&](?:key|code|sig|auth|state|access)=)[^\s\"'&]{1,4000}"), rf"\1{MASK}"),
    (
        re.compile(
            r"\b(sk_|shp(?:at|ca|pa|ss|ua|tka)_|whsec_|shippo_(?:live|test)_|c[ks]_|EZ[AT]K|gh[pousr]_|AKIA|xox[abp]-)"
            r"[A-Za-z0-9_-]{8,}"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"\$argon2[a-z]{1,2}\$[^\s\"']{1,400}"), MASK),
    (re.compile(r"[^\s@\"'<>(),;:=\[\]{}/]{1,64}@[A-Za-z0-9\u0080-\uffff](?:[\w.-]{0,252}\.)[\w-]{2,63}"), "(email)"),
    (re.compile(r"(?<![\w+.])\+[1-9]\d{6,14}(?!\d)"), "(phone)"),
)

# Without any of these no mask can find anything, and most values are short and harmless.
_SUSPECT: Final = re.compile(r"[@+=:$_]|Failing|EZ[AT]K|AKIA|xox|[Bb][Ee][Aa]|[Bb][Aa][Ss]")


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Masks secrets and personal data in a record, by key and by look; a structlog processor."""
    return {
        key: value if key in {"at", "level"} else mask(str(value)) if key == "exception" else _masked(key, value, DEPTH)
        for key, value in event.items()
    }


def mask(text: str) -> str:
    """The text without what looks like a secret, an email address or a phone number."""
    text = text[:TRACE_LENGTH]
    if not _SUSPECT.search(text):
        return text
    for pattern, put in _MASKS:
        text = pattern.sub(put, text)
    return text


def _masked(key: str, value: object, depth: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if _is_private(key[:100]):
        return MASK
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        return mask(value[:VALUE_LENGTH])
    if isinstance(value, bytes | bytearray | memoryview):
        return f"({len(cast('bytes', value))} bytes)"
    if depth and isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value)
        return {mask(str(name)): _masked(str(name), below, depth - 1) for name, below in items.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_masked(key, below, depth - 1) for below in cast("list[object]", value)]
    if depth and isinstance(value, msgspec.Struct):
        return {name: _masked(name, getattr(value, name), depth - 1) for name in value.__struct_fields__}
    return mask(str(value)[:VALUE_LENGTH])


@lru_cache(4_096)
def _is_private(key: str) -> bool:
    folded = key.lower()
    return bool(_SECRET_KEY.search(folded)) or folded.replace("_", "").replace("-", "") in _PERSONAL_KEYS


# --- figures ---

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
IS_SHARED: Final = "PROMETHEUS_MULTIPROC_DIR" in os.environ
SERIES_LIMIT: Final = 5_000

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REQUEST_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
JOB_BUCKETS_S: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0)

registry: Final = CollectorRegistry()
if not IS_SHARED:
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)


class _Durations(Histogram):
    """A histogram that takes many at once."""

    def add(self, total_s: float, buckets: list[int]) -> None:
        """Counts as many in each bucket as `buckets` says."""
        cast("Any", self._sum).inc(total_s)
        for bucket, count in zip(cast("list[Any]", self._buckets), buckets, strict=True):
            if count:
                bucket.inc(count)


_requests: Final = Counter("http_requests", "Requests answered.", ["method", "route", "status"], registry=registry)
_request_s: Final = _Durations(
    "http_request_seconds", "Seconds to answer.", ["route"], registry=registry, buckets=REQUEST_BUCKETS_S
)
_jobs: Final = Counter("jobs", "Jobs run, by how they ended.", ["kind", "outcome"], registry=registry)
_job_s: Final = Histogram("job_seconds", "Seconds a job ran.", ["kind"], registry=registry, buckets=JOB_BUCKETS_S)
_drained: Final = Counter("drain_rows", "Rows worked off by a drain.", ["drain"], registry=registry)
_depth: Final = Gauge(
    "queue_depth", "Rows that wait in a queue.", ["queue"], registry=registry, multiprocess_mode="mostrecent"
)
_pool: Final = Gauge(
    "db_pool_connections",
    "Database connections of this process, by whether they are in use.",
    ["state"],
    registry=registry,
    multiprocess_mode="livesum",
)
_pool_limit: Final = Gauge(
    "db_pool_limit", "Most database connections.", registry=registry, multiprocess_mode="livesum"
)

_Bound = tuple[Callable[[], None], Callable[[float], None]]


class _Gathered:
    """Requests of one kind that are not in the figures yet: the shared ones cost a page's worth of work each time."""

    __slots__ = ("buckets", "count", "durations", "requests", "total_s")

    def __init__(self, requests: Counter, durations: _Durations) -> None:
        self.requests = requests
        self.durations = durations
        self.empty()

    def empty(self) -> None:
        self.count, self.total_s, self.buckets = 0, 0.0, [0] * (len(REQUEST_BUCKETS_S) + 1)

    def write(self) -> None:
        self.requests.inc(self.count)
        self.durations.add(self.total_s, self.buckets)
        self.empty()


WRITE_EVERY_S: Final = 1.0

# Looking a child up by its labels costs more than counting; so each is looked up once. The keys are what we name
# ourselves (routes, kinds), and still bounded.
_by_request: Final[dict[tuple[str, str, int], _Gathered]] = {}
_by_job: Final[dict[tuple[str, str], _Bound]] = {}
_unwritten: Final[set[_Gathered]] = set()


def request_done(method: str, route: str, status: int, seconds: float) -> None:
    """Counts a request. The route is its template (/api/customers/{id}), "" where none matched.

    The figures have it within a second, and at once where no event loop runs.
    """
    found = _by_request.get((method, route, status)) or _bind_request(method, route, status)
    found.count += 1
    found.total_s += seconds
    found.buckets[bisect_left(REQUEST_BUCKETS_S, seconds)] += 1
    if found.count == 1:
        _write_soon(found)


def _write_soon(found: _Gathered) -> None:
    is_first = not _unwritten
    _unwritten.add(found)
    if is_first:
        try:
            asyncio.get_running_loop().call_later(WRITE_EVERY_S, write)
        except RuntimeError:
            write()


@atexit.register
def write() -> None:
    """Puts the requests that were counted last into the figures."""
    while _unwritten:
        _unwritten.pop().write()


def job_done(kind: str, outcome: str, seconds: float) -> None:
    """Counts a job that ended: done, failed (it will be tried again), dead, cancelled."""
    bound_ = _by_job.get((kind, outcome))
    if bound_ is None:
        bound_ = (_jobs.labels(kind, outcome).inc, _job_s.labels(kind).observe)
        _by_job[kind, outcome] = bound_
    bound_[0]()
    bound_[1](seconds)


def drained(drain: str, rows: int) -> None:
    """Counts rows that a drain has worked off."""
    _drained.labels(drain).inc(rows)


def queue_depth(queue: str, rows: int) -> None:
    """Says how many rows wait in a queue."""
    _depth.labels(queue).set(rows)


def db_pool(*, size: int, idle: int, limit: int) -> None:
    """Says how the pool of database connections stands."""
    _pool.labels("used").set(size - idle)
    _pool.labels("idle").set(idle)
    _pool_limit.set(limit)


def render() -> bytes:
    """All figures in Prometheus's text format, of every process where they share a folder. Its type is CONTENT_TYPE."""
    write()
    if not IS_SHARED:
        return generate_latest(registry)
    everybodys = CollectorRegistry()
    cast("Callable[[CollectorRegistry], None]", multiprocess.MultiProcessCollector)(everybodys)
    return generate_latest(everybodys)


def forget_process(pid: int) -> None:
    """Takes the gauges of a process that has ended out of the sum; its counts stay. Does nothing when none are shared."""
    if IS_SHARED:
        cast("Callable[[int], None]", multiprocess.mark_process_dead)(pid)


def _bind_request(method: str, route: str, status: int) -> _Gathered:
    if len(_by_request) >= SERIES_LIMIT:
        method, route = "other", "(other)"
    known = method if method in METHODS else "other"
    shown = route or "(unmatched)"
    found = _by_request.get((known, shown, status))
    if found is None:
        found = _Gathered(_requests.labels(known, shown, str(status)), _request_s.labels(shown))
        _by_request[known, shown, status] = found
    if method == known and len(_by_request) < SERIES_LIMIT:
        _by_request[method, route, status] = found
    return found
