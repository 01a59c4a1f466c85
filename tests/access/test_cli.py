import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from pyotp.totp import TOTP
from typer.testing import CliRunner, Result

from supover import terminal
from supover.access import cli
from supover.kit import clock, ids
from supover.kit.problems import Invalid, Problem
from tests.access.places import PASSWORD, Client, Place

app = typer.Typer()
app.add_typer(cli.workspaces, name="workspaces")
app.add_typer(cli.staff, name="staff")
app.add_typer(cli.keys, name="keys")


class Cli:
    """The command line, in a thread of its own as it starts an event loop of its own."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def run(self, *args: str, code: int = 0, stdin: str | None = None) -> Result:
        environ = {"SUPOVER_DATABASE_URL": self.url}
        result = await asyncio.to_thread(CliRunner().invoke, app, list(args), input=stdin, env=environ)
        assert result.exit_code == code, (args, result.output, result.exception)
        if code:
            assert result.stdout == ""
            assert result.stderr != ""
        return result

    async def json(self, *args: str, stdin: str | None = None) -> Any:
        return json.loads((await self.run(*args, "--json", stdin=stdin)).stdout)


@pytest.fixture
def supover(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return Cli(database)


async def test_a_workspace_is_made_with_a_key_that_may_do_everything(supover: Cli, client: Client) -> None:
    made = await supover.json(
        "workspaces", "create", "--name", "CLI shop", "--currency", "gbp", "--timezone", "Europe/London"
    )
    assert list(made) == ["id", "apiKey", "name", "currency", "timezone"]
    answer = await client.as_key(made["apiKey"], "GET", "/api/workspace")
    assert (answer.status_code, answer.json()["id"], answer.json()["currency"]) == (200, made["id"], "GBP")
    assert not [name for name in answer.headers if name.startswith("ratelimit")]
    entry = (await client.as_key(made["apiKey"], "GET", "/api/audit")).json()["data"][0]
    assert (entry["action"], entry["actor"], entry["subjectId"]) == ("access.create_workspace", "cli", made["id"])
    assert made["apiKey"] not in json.dumps(entry)
    assert made["id"] in [workspace["id"] for workspace in await supover.json("workspaces", "list")]
    assert made["id"] in (await supover.run("workspaces", "list")).stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("workspaces", "create", "--name", "x", "--currency", "ZZZ"), "supover: currency: must be an ISO 4217 code"),
        (("workspaces", "create", "--name", " ", "--currency", "EUR"), "supover: name: cannot be empty"),
        (("workspaces", "create", "--currency", "EUR"), "--name"),
        (("workspaces", "create", "--name", "x", "--currency", "EUR", "--timezone", "Mars"), "supover: timezone:"),
        (("staff", "add", "a@shop.example", "--name", "A", "--role", "root"), "supover: role: must be one of owner"),
        (
            ("keys", "create", "--name", "x", "--scope", "admin", "--expires", "soon"),
            "supover: expires: must be a time",
        ),
        (("keys", "revoke", "not-an-id"), "UUID"),
        (("keys", "list", "--workspace", "x"), "supover: --workspace: 'x' is not the id of a workspace"),
    ],
)
async def test_wrong_use_ends_with_2_and_names_the_option(supover: Cli, args: tuple[str, ...], said: str) -> None:
    assert said in (await supover.run(*args, code=2)).stderr


async def test_staff_are_added_listed_changed_and_removed(supover: Cli, place: Place, client: Client) -> None:
    here = ("--workspace", str(place.workspace.id))
    email = f"{ids.new().hex}@shop.example"
    boss = await supover.json(
        *("staff", "add", f"boss-{email}", "--name", "Boss", "--role", "owner", "--password-stdin", *here),
        stdin=f"{PASSWORD}\n",
    )
    assert boss["temporaryPassword"] is None
    added = await supover.json("staff", "add", email, "--name", "Ann", "--role", "agent", *here)
    assert (await client.sign_in(email, added["temporaryPassword"])).status_code == 200
    listed = await supover.json("staff", "list", *here)
    assert [(m["name"], m["role"]) for m in listed] == [("Ann", "agent"), ("Boss", "owner")]
    assert (await supover.json("staff", "role", email, "viewer", *here))["role"] == "viewer"
    refused = await supover.run("staff", "role", f"boss-{email}", "viewer", *here, code=1)
    assert refused.stderr == "supover: A workspace needs an owner who can sign in\n"
    reset = await supover.json("staff", "reset-password", email, *here)
    assert (await client.sign_in(email, added["temporaryPassword"])).status_code == 401
    assert (await client.sign_in(email, reset["temporaryPassword"])).status_code == 200
    assert (await supover.json("staff", "disable", email))["disabled"] is True
    assert (await client.sign_in(email, reset["temporaryPassword"])).status_code == 401
    assert (await supover.json("staff", "disable", email, "--undo"))["disabled"] is False
    assert (await client.sign_in(email, reset["temporaryPassword"])).status_code == 200
    assert (await supover.json("staff", "remove", email, *here))["removed"] is True
    assert "staff in this workspace" in (await supover.run("staff", "remove", email, *here, code=1)).stderr
    actions = [e["action"] for e in (await client.as_key(place.key, "GET", "/api/audit")).json()["data"]]
    assert [a.removeprefix("access.") for a in actions if "sign_in" not in a] == [
        "remove_staff",
        "enable_staff",
        "disable_staff",
        "reset_password",
        "change_staff",
        "add_staff",
        "add_staff",
    ]


async def test_who_has_lost_their_app_is_let_in_by_the_operator(supover: Cli, place: Place, client: Client) -> None:
    here = ("--workspace", str(place.workspace.id))
    member = await place.staff("agent")
    await client.sign_in(member.email)
    app = TOTP((await client.post("/api/session/second-step")).json()["setupKey"])
    code = app.generate_otp(int(clock.now().timestamp()) // 30)
    assert (await client.put("/api/session/second-step", json={"code": code})).status_code == 200
    assert (await client.sign_in(member.email)).status_code == 401
    assert (await supover.json("staff", "reset-second-step", member.email, *here))["reset"] is True
    assert (await client.sign_in(member.email)).status_code == 200
    assert (await supover.json("staff", "reset-second-step", member.email, *here))["reset"] is False


async def test_a_weak_password_is_refused_and_nobody_is_added(supover: Cli, place: Place) -> None:
    args = ("staff", "add", "weak@shop.example", "--name", "W", "--role", "agent", "--password-stdin")
    refused = await supover.run(*args, "--workspace", str(place.workspace.id), code=2, stdin="short\n")
    assert refused.stderr == "supover: password: must have 12 to 200 characters\n"
    assert await supover.json("staff", "list", "--workspace", str(place.workspace.id)) == []


async def test_keys_are_made_listed_and_revoked(supover: Cli, place: Place, client: Client) -> None:
    here = ("--workspace", str(place.workspace.id))
    made = await supover.json(
        *("keys", "create", "--name", "Till", "--scope", "orders:write", "--scope", "customers:read"),
        *("--expires", "2099-01-01T00:00:00Z", "--rate-limit", "9", *here),
    )
    assert (made["scopes"], made["rateLimit"]) == (["customers:read", "orders:write"], 9)
    answer = await client.as_key(made["apiKey"], "GET", "/api/workspace")
    assert (answer.status_code, answer.headers["ratelimit-limit"]) == (200, "9")
    assert [key["name"] for key in await supover.json("keys", "list", *here)] == ["Till", "First key"]
    assert (await supover.json("keys", "revoke", made["id"], *here))["revokedAt"] is not None
    assert [key["name"] for key in await supover.json("keys", "list", *here)] == ["First key"]
    assert len(await supover.json("keys", "list", "--all", *here)) == 2
    refused = await supover.run("keys", "revoke", str(ids.new()), *here, code=1)
    assert refused.stderr == "supover: No API key with this id in this workspace\n"


async def test_among_several_workspaces_one_must_be_named(supover: Cli, place: Place) -> None:
    await supover.json("workspaces", "create", "--name", "Another", "--currency", "EUR")
    refused = await supover.run("keys", "list", code=1)
    assert "Choose one by --workspace ID" in refused.stderr
    refused = await supover.run("keys", "list", "--workspace", str(ids.new()), code=1)
    assert "supover workspaces list" in refused.stderr
    del place


async def test_the_environment_names_a_workspace_and_an_option_another(
    supover: Cli, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = (await supover.json("workspaces", "create", "--name", "Another", "--currency", "EUR"))["id"]
    monkeypatch.setenv("SUPOVER_WORKSPACE", str(place.workspace.id))
    await supover.json("keys", "create", "--name", "Till", "--scope", "orders:read")
    assert [key["name"] for key in await supover.json("keys", "list")] == ["Till", "First key"]
    assert [key["name"] for key in await supover.json("keys", "list", "--workspace", other)] == ["First key"]
    monkeypatch.setenv("SUPOVER_WORKSPACE", "the first")
    refused = await supover.run("keys", "list", code=2)
    assert refused.stderr.startswith("supover: SUPOVER_WORKSPACE: ")


@pytest.mark.parametrize("command", ["workspaces", "staff", "keys"])
async def test_help_explains_every_command_and_option(supover: Cli, command: str) -> None:
    for sub in [None, *[c.name for c in getattr(cli, command).registered_commands]]:
        shown = (await supover.run(*([command, sub] if sub else [command]), "--help")).stdout
        assert "Usage:" in shown


def test_without_a_database_it_says_what_to_do(tmp_path: Path) -> None:
    script = "from supover.access import cli; cli.keys(['list'])"
    environ = {key: value for key, value in os.environ.items() if not key.startswith("SUPOVER_")}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )

    result = run()
    assert (result.returncode, result.stdout) == (1, "")
    assert "Run `make serve` here first" in result.stderr
    (tmp_path / ".supover").mkdir()
    (tmp_path / ".supover" / "local.json").write_text('{"databaseUrl": "postgresql://nobody@127.0.0.1:1/none"}')
    result = run()
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("supover: There is no database to talk to: It does not let us in:")
    (tmp_path / ".supover" / "local.json").write_text("{")
    assert "cannot be read" in run().stderr
    (tmp_path / "supover.toml").write_text("prot = 1\n")
    result = run()
    assert (result.returncode, result.stdout) == (2, "")
    assert "is port meant?" in result.stderr


async def test_the_address_in_local_json_is_used(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Place
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".supover").mkdir()
    (tmp_path / ".supover" / "local.json").write_text(json.dumps({"databaseUrl": database, "url": "x"}))
    async with terminal.database(size=1) as db:
        assert await terminal.workspace(db, str(place.workspace.id)) == place.workspace.id


def test_importing_the_commands_imports_nothing_heavy() -> None:
    script = "import sys, supover.access.cli; print([m for m in ('litestar', 'asyncpg', 'argon2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- the terminal ----------------------------------------------------------------------------------------------------------


def test_a_table_is_made_of_structs_and_a_name_cannot_break_out_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show([{"id": 1, "name": "A\x1b[2J\nB"}, {"id": 22, "name": None}])
    assert capsys.readouterr().out == "id  name\n--  -------\n1   A�[2J�B\n22\n"
    terminal.show([])
    terminal.show(None)
    assert capsys.readouterr().out == ""
    terminal.show({"flag": True, "tags": ["a", "b"], "more": {"x": 1}})
    assert capsys.readouterr().out == 'flag  yes\ntags  a, b\nmore  {"x":1}\n'
    terminal.show("plain")
    assert capsys.readouterr().out == "plain\n"
    terminal.show([{"a": 1}], json=True)
    assert json.loads(capsys.readouterr().out) == [{"a": 1}]


@pytest.mark.parametrize(
    ("problem", "code", "said"),
    [
        (Invalid.at("/name", "x", "is wrong"), 2, "supover: name: is wrong\n"),
        (Invalid([], "All of it."), 2, "supover: All of it.\n"),
        (Problem("Detail."), 1, "supover: Something went wrong: Detail.\n"),
        ("plain", 1, "supover: plain\n"),
    ],
)
def test_a_failure_is_said_on_standard_error(
    capsys: pytest.CaptureFixture[str], problem: Problem | str, code: int, said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        terminal.fail(problem)
    assert ended.value.code == code
    assert capsys.readouterr() == ("", said)


def test_interrupted_and_unreachable_are_no_traces(capsys: pytest.CaptureFixture[str]) -> None:
    async def interrupted() -> None:
        raise KeyboardInterrupt

    async def unreachable() -> None:
        raise ConnectionRefusedError("refused\nmore")

    for act, code, said in (
        (interrupted, 130, "supover: interrupted\n"),
        (unreachable, 1, "supover: ConnectionRefusedError: refused\n"),
    ):
        with pytest.raises(SystemExit) as ended:
            terminal.run(act)
        assert ended.value.code == code
        assert capsys.readouterr().err == said
