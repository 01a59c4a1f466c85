"""The whole house under `kill -9`: worker, server and database die in mid-import and mid-drain; nothing is lost or doubled."""

import csv
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Generator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]
KILLS = int(os.environ.get("SOAK_KILLS", "50"))
ROWS = 7_000  # several chunks, so that a checkpoint is met


class House:
    """`supover up` on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("SUPOVER_")} | {
            "SUPOVER_DATA_DIR": str(folder / "data"),
            "SUPOVER_PORT": str(port),
            "SUPOVER_DEMO": "0",
            "SUPOVER_LOG_LEVEL": "error",
        }
        self.folder = folder
        self.log = (folder / "log").open("ab")
        self.up = subprocess.Popen(
            [sys.executable, "-m", "supover.cli", "up"],
            env=self.env,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.local: dict[str, str] = {}
        self.wait_ready(120)

    def wait_ready(self, patience_s: float) -> None:
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            assert self.up.poll() is None, (self.folder / "log").read_text()[-2000:]
            try:
                self.local = json.loads((self.folder / "data/local.json").read_text())
                if httpx.get(self.local["url"] + "/health/ready", timeout=2).status_code == 200:
                    return
            except (OSError, ValueError, httpx.HTTPError):
                time.sleep(0.05)
        raise AssertionError("The house did not come back: " + (self.folder / "log").read_text()[-2000:])

    def children(self, what: str) -> list[int]:
        """Process ids below `up` whose command line holds the word."""
        parents: dict[int, int] = {}
        words: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                    words[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except (OSError, IndexError):
                    continue

        def below(pid: int) -> bool:
            while pid in parents and pid > 1:
                if pid == self.up.pid:
                    return True
                pid = parents[pid]
            return False

        return [pid for pid, line in words.items() if what in line and pid != self.up.pid and below(pid)]

    def kill(self, what: str) -> bool:
        """kill -9 of one of them; whether there was one."""
        found = self.children(what)
        if not found:
            return False
        try:
            os.kill(random.choice(found), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def cli(self, *words: str, ok: tuple[int, ...] = (0,)) -> Any:
        env = self.env | {"SUPOVER_DATABASE_URL": self.local["databaseUrl"]}
        done = subprocess.run(
            [sys.executable, "-m", "supover.cli", *words],
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode in ok, (done.returncode, done.stderr[-2000:])
        return json.loads(done.stdout) if "--json" in words else done.stdout


@pytest.fixture
def house(tmp_path: Path) -> Generator[House]:
    found = House(tmp_path)
    yield found
    found.up.send_signal(signal.SIGTERM)
    found.up.wait(20)
    found.log.close()


def a_file(folder: Path, turn: int, rnd: random.Random, truth: dict[str, dict[str, Decimal]]) -> Path:
    """Orders of a turn; some again from earlier turns with another total."""
    path = folder / f"orders-{turn}.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["externalId", "placedAt", "status", "total", "currency", "customerExternalId", "email", "name"])
        for n in range(ROWS):
            order = f"o{turn}-{n}" if n % 10 or not turn else f"o{rnd.randrange(turn)}-{rnd.randrange(1, 9)}"
            buyer = f"b{int(order.rsplit('-', 1)[1]) % 211}"
            total = Decimal(rnd.randrange(100, 20_000)) / 100
            truth[buyer][order] = total
            out.writerow(
                [
                    order,
                    f"2026-{1 + n % 10:02}-03T10:00:00Z",
                    "delivered",
                    total,
                    "USD",
                    buyer,
                    f"{buyer}@one.com",
                    "Ann Lee",
                ]
            )
    return path


def send(house: House, method: str, path: str, *, key: str, **what: Any) -> dict[str, Any]:
    """A request that is repeated until it is answered, as a careful program does."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            headers = {"Authorization": f"Bearer {house.local['apiKey']}", "Idempotency-Key": key}
            answer = httpx.request(method, house.local["url"] + path, headers=headers, timeout=10, **what)
        except httpx.HTTPError:
            time.sleep(0.1)
            continue
        if answer.status_code in (409, 503):
            time.sleep(0.1)
            continue
        assert answer.status_code < 300, answer.text
        return answer.json()
    raise AssertionError("no answer in two minutes")


def test_nothing_is_lost_or_doubled_when_everything_dies_at_random(house: House, tmp_path: Path) -> None:
    rnd = random.Random(20)
    truth: dict[str, dict[str, Decimal]] = defaultdict(dict)
    killed: dict[str, int] = defaultdict(int)
    victims = ("worker", "serve", "postgres")
    turn = 0
    while sum(killed.values()) < KILLS:
        file = a_file(tmp_path, turn, rnd, truth)
        run = send(house, "POST", "/api/orders/import", key=str(uuid4()), files={"file": (file.name, file.read_bytes())},
                   data={"source": "MANUAL"})  # fmt: skip
        for n in range(3):
            order = f"api{turn}-{n}"
            buyer = f"b{n}"
            truth[buyer][order] = Decimal("1.00")
            body = {"externalId": order, "source": "MANUAL", "customerExternalId": buyer, "email": f"{buyer}@one.com", "name": "Ann Lee",
                    "status": "delivered", "total": "1.00", "currency": "USD", "placedAt": "2026-05-05T10:00:00Z"}  # fmt: skip
            time.sleep(rnd.uniform(0.01, 0.4))
            victim = victims[(turn * 3 + n) % 3]
            killed[victim] += house.kill(victim)
            send(house, "POST", "/api/orders", key=str(uuid4()), json=body)
        house.wait_ready(60)
        until = time.monotonic() + 180
        while True:
            state = send(house, "GET", f"/api/imports/{run['id']}", key=str(uuid4()))
            if state["status"] not in ("queued", "running") or time.monotonic() > until:
                break
            time.sleep(0.1)
        assert (state["status"], state["failed"]) == ("completed", 0), state
        assert state["created"] + state["updated"] + state["unchanged"] == state["total"]
        turn += 1
    house.cli("worker", "--drain")
    found: dict[str, Any] = {}
    cursor: str | None = ""
    while cursor is not None:
        page = send(house, "GET", f"/api/customers?limit=200{cursor and '&cursor=' + cursor}", key=str(uuid4()))
        found |= {c["externalId"]: c for c in page["data"]}
        cursor = page["nextCursor"]
    assert set(found) == set(truth)
    for buyer, orders in truth.items():
        assert found[buyer]["totalOrders"] == len(orders), buyer
        assert Decimal(found[buyer]["lifetimeValue"]) == sum(orders.values()), buyer
    checked = house.cli("reconcile", "--json", ok=(0, 1))
    assert checked["differences"] == [] and checked["checked"] > 0
    sys.stderr.write(f"killed {dict(killed)} over {turn} imports of {ROWS} rows\n")
