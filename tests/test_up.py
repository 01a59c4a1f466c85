import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg
import pytest

COMMAND = (sys.executable, "-m", "supover.cli")

pytestmark = pytest.mark.timeout(180)


class House(NamedTuple):
    """A running `supover up`."""

    process: "subprocess.Popen[str]"
    local: dict[str, str]
    env: dict[str, str]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(claim: Callable[[], bool], within_s: float) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if claim():
            return True
        time.sleep(0.05)
    return claim()


def is_ready(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"{url}/health/ready", timeout=2
        ) as answer:
            return answer.status == 200
    except OSError:
        return False


def family(pid: int) -> dict[int, str]:
    """The processes below this one, by id, with their command lines."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(folder.name)] = int(fields[1])
    below: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in {pid, *below}} - below:
        below |= more
    found: dict[int, str] = {}
    for child in below:
        try:
            found[child] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ").strip()
        except OSError:
            continue
    return found


def one(house: House, words: str) -> int:
    """The first process of the house whose command line holds these words; the lowest id is the parent."""
    return min(pid for pid, line in family(house.process.pid).items() if words in line)


def environment(pid: int) -> dict[str, str]:
    """What a process was started with."""
    words = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@contextmanager
def house(data_dir: Path, port: int) -> Generator[House]:
    env = {**os.environ, "SUPOVER_DATA_DIR": str(data_dir), "SUPOVER_PORT": str(port), "SUPOVER_DEMO": "0"}
    words = [*COMMAND, "up"]
    with subprocess.Popen(words, env=env, cwd=data_dir.parent, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert until((data_dir / "local.json").exists, 60)
            local = json.loads((data_dir / "local.json").read_text())
            assert until(lambda: is_ready(local["url"]), 60)
            yield House(process, local, env)
        finally:
            process.kill()


README: Final = Path(__file__).parents[1] / "README.md"


def pasted(house: House, folder: Path) -> dict[str, Any]:
    """What the README's "Five minutes with curl" answer to somebody who pastes them whole."""
    [script] = re.findall(r"## Five minutes with curl\n\n```bash\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    script = script.replace(".venv/bin/python", sys.executable)
    done = subprocess.run(["bash", "-e"], input=script, env=house.env, cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    answers: list[Any] = []
    rest = done.stdout
    while rest:
        answer, end = json.JSONDecoder().raw_decode(rest)
        answers.append(answer)
        rest = rest[end:].lstrip()
    return dict(zip(("best", "order", "why", "found"), answers, strict=True))


async def test_the_house_stands_up_again_heals_and_goes_down(data_dir: Path) -> None:
    port = free_port()
    with house(data_dir, port) as killed:
        left = family(killed.process.pid)
        assert len(left) > 3
        killed.process.kill()
        killed.process.wait()
    with house(data_dir, port) as up:
        assert [line for pid, line in left.items() if not gone(pid)] == []
        assert up.local == killed.local
        assert sorted(up.local) == ["apiKey", "databaseUrl", "email", "password", "url", "workspaceId"]
        assert up.local["url"] == f"http://127.0.0.1:{port}"
        assert stat.S_IMODE((data_dir / "local.json").stat().st_mode) == 0o600
        con = await asyncpg.connect(up.local["databaseUrl"])
        assert await con.fetchval("select count(*) > 0 from data.migration") is True
        await con.close()

        app_url = environment(one(up, "supover.cli serve"))["SUPOVER_APP_DATABASE_URL"]
        assert app_url.startswith("postgresql://supover_app:")
        con = await asyncpg.connect(app_url)
        for way_out in ("set role none", "reset role", "reset session authorization"):
            await con.execute(way_out)
            assert await con.fetchval("select current_user || ' ' || session_user") == "supover_app supover_app"
        for refused in ("set role supover", "set session authorization supover", "select * from data.staff",
                        "select pg_read_file('/etc/passwd')", "select * from pg_authid", "create role another"):  # fmt: skip
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await con.execute(refused)
        await con.close()

        told = pasted(up, data_dir.parent)
        assert (told["order"]["number"], told["order"]["deliveredAt"]) == ("#1001", "2026-03-04T16:20:00Z")
        assert told["why"]["explanation"] == ["The email grace@hopper.example is this customer's."]
        assert [one["id"] for one in told["found"]["data"]] == [told["order"]["customerId"]]

        second = subprocess.run([*COMMAND, "up"], env=up.env, cwd=data_dir.parent, capture_output=True, text=True)  # noqa: ASYNC221
        assert second.returncode == 1
        assert (
            second.stderr == f"supover: {data_dir} is in use: process {up.process.pid} serves it at {up.local['url']}\n"
        )

        other = {**up.env, "SUPOVER_DATA_DIR": str(data_dir.with_name("other"))}
        third = subprocess.run([*COMMAND, "up"], env=other, cwd=data_dir.parent, capture_output=True, text=True)  # noqa: ASYNC221
        assert third.returncode == 1
        assert third.stderr.startswith(f"supover: 127.0.0.1:{port} cannot be listened on (Address already in use); ")
        assert "SUPOVER_PORT" in third.stderr

        for words in ("supover.cli serve", "supover.cli worker", "/bin/postgres"):
            victim = one(up, words)
            os.kill(victim, signal.SIGKILL)
            assert until(lambda victim=victim: gone(victim), 5)
            assert until(lambda words=words: any(words in line for line in family(up.process.pid).values()), 30)
            assert until(lambda: is_ready(up.local["url"]), 30)

        members = family(up.process.pid)
        start = time.monotonic()
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(12) == 0
        assert time.monotonic() - start < 10
        assert [line for pid, line in members.items() if not gone(pid)] == []
        assert not (data_dir / "local.json").exists()
        said = up.process.stdout.read() if up.process.stdout else ""
        for word in (
            up.local["url"],
            up.local["apiKey"],
            up.local["email"],
            up.local["password"],
            "Stopped by SIGTERM.",
        ):
            assert word in said
