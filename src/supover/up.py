"""`supover up`: everything in one process tree, and the process commands beside it.

`up` starts PostgreSQL, then the server and the worker as programs of their own (by exec, not fork: a fork would
inherit the database's lock), starts again what ends, and stops them all when it is told to. None of them outlives it.
"""

import asyncio
import errno
import fcntl
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from types import FrameType
from typing import Final, NoReturn

import msgspec

from supover import settings as configuration
from supover.kit import clock, embedded, migrate, tether
from supover.settings import Settings

COMMAND: Final = (sys.executable, "-m", "supover.cli")
STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TICK_S: Final = 0.1
BACKOFF_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
STEADY_S: Final = 60.0  # a program that ran so long may start again at once
HOPELESS: Final = 5  # so often a server may end before it was ever ready
PORT_PATIENCE_S: Final = 3.0  # the last server's children may just be ending
STOP_PROGRAMS_S: Final = 5.5  # and PostgreSQL after them: 10 seconds in all
STOP_POSTGRES_S: Final = 3.0
LOOK_S: Final = 1.0
ROOT: Final = Path(__file__).parents[2]
HEADERS_S: Final = 10  # so long may a request's headers take to come
HEADERS_BYTES: Final = 65_536


class UpError(Exception):
    """The house cannot be started as things are."""


class Local(msgspec.Struct, frozen=True, rename="camel"):
    """What outside programs read in DATA_DIR/local.json while `up` runs."""

    url: str
    api_key: str
    email: str
    password: str
    database_url: str
    workspace_id: str


class _Stop(KeyboardInterrupt):
    """A signal told us to stop; asyncio lets this kind of exception pass."""


# ---- up -------------------------------------------------------------------------------------------------------------


def up(*, port: int | None = None, host: str | None = None) -> None:
    """Runs the house until a signal stops it. Ends with 1 when another one runs on the same data or port."""
    settings = configuration.load(port=port, host=host)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        with _one_per_data_dir(settings), _stopped_by_signals():
            _free(settings)
            _House(settings).run()
    except _Stop as stop:
        _say(f"Stopped by {stop}.")


class _Program:
    """A program of the house that is started again, later each time, when it ends."""

    def __init__(self, name: str, env: Mapping[str, str]) -> None:
        self.name = name
        self.endings = 0
        self._env = env
        self._child: tether.Child | None = None
        self._started = 0.0
        self._again = 0.0

    def tend(self) -> None:
        """Starts it, or starts it again when its pause is over."""
        now = clock.monotonic_s()
        if self._child is None:
            if now >= self._again:
                self._started = now
                self._child = tether.Child([*COMMAND, self.name], farewell=signal.SIGTERM, env=self._env)
        elif (status := self._child.ended()) is not None:
            self._child = None
            self.endings = 1 if now - self._started > STEADY_S else self.endings + 1
            pause_s = BACKOFF_S[min(self.endings, len(BACKOFF_S)) - 1]
            self._again = now + pause_s
            _say(f"The {self.name} process ended with {status}; it starts again in {pause_s:g} s.")

    def stop(self, until: float) -> None:
        """Waits for its end, which `ask` began, until then; ends it by force after that."""
        if self._child is not None and not self._child.wait(max(0.0, until - clock.monotonic_s())):
            self._child.force()
            self._child.wait(1)

    def ask(self) -> None:
        """Asks it to stop."""
        if self._child is not None:
            self._child.ask()


class _Screens:
    """Style and script, made anew when who works on them in a checkout has changed them."""

    def __init__(self) -> None:
        self._build = ROOT / "hatch_build.py"
        self._sources = ROOT / "src/supover/web"
        self._at = self._changed()
        self._look = 0.0

    def tend(self) -> None:
        """Makes them, if anything has changed. Nothing ends because that fails; what is wrong is told."""
        now = clock.monotonic_s()
        if not self._at or now < self._look:
            return
        self._look = now + LOOK_S
        if (at := self._changed()) != self._at:
            self._at = at
            made = subprocess.run([sys.executable, str(self._build)], capture_output=True, text=True)
            _say("The screens were made anew." if made.returncode == 0 else made.stderr.strip()[-2000:])

    def _changed(self) -> int:
        if not (ROOT / "node_modules").is_dir() or not self._build.is_file():
            return 0
        files = (file for kind in ("css", "js", "html", "py") for file in self._sources.rglob(f"*.{kind}"))
        return max((file.stat().st_mtime_ns for file in files), default=0)


class _House:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._local = settings.data_dir / "local.json"
        self._postgres: embedded.Server | None = None
        self._postgres_again = 0.0
        self._postgres_endings = 0
        self._programs: list[_Program] = []

    def run(self) -> NoReturn:
        """Starts all, tends it, and stops all whatever ends this."""
        self._local.unlink(missing_ok=True)  # its appearance says that this run wrote it
        try:
            owner_url = self._database()
            local = self._furnish(owner_url)
            _write(self._local, local)
            env = self._environment()
            self._programs = [_Program("serve", env), _Program("worker", env)]
            self._tend(local)
        finally:
            for number in STOPPING:
                signal.signal(number, signal.SIG_IGN)  # one is enough; the rest must not leave half of it running
            self._stop()

    def _database(self) -> str:
        if self._settings.database_url is not None:
            return self._settings.database_url
        self._postgres = embedded.Server(embedded.place(self._settings.data_dir))
        self._postgres.start()
        return self._postgres.place.dsn()

    def _furnish(self, owner_url: str) -> Local:
        """Migrates, and puts in what a first run needs."""
        from supover.demo import commands as demo

        if applied := asyncio.run(migrate.run(owner_url)):
            _say(f"The database schema is up to date ({applied[-1]}).")
        if self._postgres is not None:
            app_url = asyncio.run(embedded.let_app_in(self._postgres.place))
            self._settings = msgspec.structs.replace(self._settings, database_url=owner_url, app_database_url=app_url)
        first = asyncio.run(demo.first_run(owner_url, self._settings, tell=_say))
        return Local(
            url=local_url(self._settings),
            api_key=first.api_key,
            email=first.email,
            password=first.password,
            database_url=owner_url,
            workspace_id=str(first.workspace_id),
        )

    def _environment(self) -> dict[str, str]:
        env = dict(os.environ)
        env["SUPOVER_DATA_DIR"] = str(self._settings.data_dir)
        env["SUPOVER_HOST"] = self._settings.host
        env["SUPOVER_PORT"] = str(self._settings.port)
        if self._postgres is not None:
            env["SUPOVER_DATABASE_URL"] = self._settings.database_url or ""
            env["SUPOVER_APP_DATABASE_URL"] = self._settings.app_database_url or ""
        return env | _shared_figures(self._settings)

    def _tend(self, local: Local) -> NoReturn:
        ready = False
        screens = _Screens()
        while True:
            self._tend_postgres()
            screens.tend()
            for program in self._programs:
                program.tend()
            if not ready:
                ready = is_ready(local.url)
                if ready:
                    _announce(local, self._local)
                elif self._programs[0].endings >= HOPELESS:
                    raise UpError("the server does not start: what it said is above")
            sleep(TICK_S)

    def _tend_postgres(self) -> None:
        if self._postgres is None or self._postgres.running() or clock.monotonic_s() < self._postgres_again:
            return
        _say("PostgreSQL ended; it starts again.")
        try:
            self._postgres.start()
            self._postgres_endings = 0
            _say("PostgreSQL runs again.")
        except embedded.EmbeddedError as error:
            pause_s = BACKOFF_S[min(self._postgres_endings, len(BACKOFF_S) - 1)]
            self._postgres_endings += 1
            self._postgres_again = clock.monotonic_s() + pause_s
            _say(f"{error} The next try is in {pause_s:g} s.")

    def _stop(self) -> None:
        until = clock.monotonic_s() + STOP_PROGRAMS_S
        for program in self._programs:
            program.ask()
        for program in self._programs:
            program.stop(until)
        if self._postgres is not None:
            self._postgres.stop(STOP_POSTGRES_S)
        self._local.unlink(missing_ok=True)


def local_url(settings: Settings) -> str:
    """Where this machine reaches the server; SUPOVER_PUBLIC_URL is where others do."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


@contextmanager
def _stopped_by_signals() -> Generator[None]:
    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise _Stop(signal.Signals(number).name)

    before = {number: signal.signal(number, stop) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _one_per_data_dir(settings: Settings) -> Generator[None]:
    """Holds the data folder. Raises UpError that says who has it and where that answers."""
    lock = os.open(settings.data_dir / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 200, 0).decode(errors="replace").strip() or "another process"
            raise UpError(f"{settings.data_dir} is in use: {holder}") from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"process {os.getpid()} serves it at {local_url(settings)}".encode(), 0)
        yield
    finally:
        os.close(lock)


def _free(settings: Settings) -> None:
    """Raises UpError when the port is somebody else's."""
    until = clock.monotonic_s() + PORT_PATIENCE_S
    while (error := taken(settings)) is not None:
        if error.errno != errno.EADDRINUSE or clock.monotonic_s() > until:
            said = f"{settings.host}:{settings.port} cannot be listened on ({error.strerror})"
            raise UpError(f"{said}; set SUPOVER_PORT (or SUPOVER_HOST) to another") from None
        sleep(TICK_S)


def taken(settings: Settings) -> OSError | None:
    """Why the port cannot be listened on, or None."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error
    return None


def is_ready(url: str) -> bool:
    """Whether a server answers there and has its database."""
    # Not by urllib, which would ask a proxy.
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=1)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _write(path: Path, local: Local) -> None:
    """Whole or not at all, and for nobody else's eyes."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(local)) + b"\n")
    part.replace(path)


def _announce(local: Local, path: Path) -> None:
    lines = {
        "documentation": f"{local.url}/docs",
        "sign in": f"{local.email} / {local.password}" if local.email else "",
        "API key": local.api_key,
        "database": f"psql '{local.database_url}'",
    }
    _say(f"\nSupover is ready at {local.url}")
    for name, value in lines.items():
        if value:
            _say(f"  {name:14} {value}")
    _say(f"All of this stands in {path}. Ctrl-C stops it.\n")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _shared_figures(settings: Settings) -> dict[str, str]:
    """Lets every process of this run answer for the figures of all; those of the last run are forgotten."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        return {}
    folder = settings.data_dir / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return {"PROMETHEUS_MULTIPROC_DIR": str(folder)}


# ---- serve, migrate -------------------------------------------------------------------------------------------------


def serve(*, port: int | None = None, host: str | None = None) -> None:
    """Runs the API server until a signal stops it; with a database of its own where none is set and none runs."""
    settings = configuration.load(port=port, host=host)
    _free(settings)
    with embedded.database(settings.data_dir, settings.database_url) as owner_url:
        # The server's processes read the settings anew.
        os.environ["SUPOVER_HOST"] = settings.host
        os.environ["SUPOVER_PORT"] = str(settings.port)
        if settings.database_url is None:
            os.environ.update(embedded.environment(settings.data_dir, owner_url))
        if settings.workers > 1:
            os.environ.update(_shared_figures(settings))
        _granian(settings)


def _granian(settings: Settings) -> None:
    from granian.constants import Interfaces, Loops
    from granian.http import HTTP1Settings
    from granian.log import LogLevels
    from granian.server import Server

    tether.tie_forks(signal.SIGTERM)  # its processes would live on when it is killed, and keep the port
    Server(
        "supover.main:create_app",
        factory=True,
        interface=Interfaces.ASGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop=Loops.uvloop,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=HEADERS_S * 1000, max_buffer_size=HEADERS_BYTES),
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        workers_kill_timeout=4,
    ).serve()


class Migrated(msgspec.Struct, frozen=True, rename="camel"):
    """What was applied, or with `--check` would be."""

    applied: tuple[str, ...]
    pending: tuple[str, ...]


def migrate_database(*, check: bool, json: bool) -> None:
    """Brings the database to this release's schema. With `check` changes nothing and ends with 1 when it is behind."""
    settings = configuration.load()
    with embedded.database(settings.data_dir, settings.database_url) as owner_url:
        if check:
            answer = Migrated((), tuple(asyncio.run(migrate.pending(owner_url))))
        else:
            answer = Migrated(tuple(asyncio.run(migrate.run(owner_url))), ())
    lines = [f"applied {name}" for name in answer.applied] + [f"pending {name}" for name in answer.pending]
    show(answer, lines or ["The database is up to date."], json=json)
    if answer.pending:
        raise SystemExit(1)


def show(answer: object, lines: list[str], *, json: bool) -> None:
    """Writes one JSON document, or the lines for people, to standard output."""
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer)).decode() + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
