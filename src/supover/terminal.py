"""What every command of the command line needs: the database, the workspace, and answers on standard output.

A command is a plain typer function that hands its async part to `run`:

    @app.command("list")
    def list_keys(workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
        async def act() -> Sequence[ApiKey]:
            async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace)) as reader:
                return await queries.search_keys(reader, ...)

        terminal.show(terminal.run(act), json=json)

Standard output gets the answer and nothing else, standard error whatever went wrong. Exit codes: 0 done, 1 an error,
2 used wrongly (an unknown option, a value that cannot be taken), 130 interrupted.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, cast
from uuid import UUID

import asyncpg
import msgspec

from supover.kit.db import Database
from supover.kit.problems import Conflict, FieldError, Invalid, NotFound, Problem, Unavailable
from supover.settings import Settings, SettingsError, load

if TYPE_CHECKING:
    import typer

ERROR: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130

T = TypeVar("T")


class NoDatabase(Unavailable):
    """There is no database to talk to."""


class NoSuchWorkspace(NotFound):
    """No such workspace here."""


class WhichWorkspace(Conflict):
    """There are several workspaces."""


# --- the database ----------------------------------------------------------------------------------------------------


def database_url(settings: Settings) -> str:
    """The owner's address of the database: as set, else of the server that runs here. Raises NoDatabase."""
    if settings.database_url is not None:
        return settings.database_url
    path = settings.data_dir / "local.json"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, Any]).get("databaseUrl")
    except FileNotFoundError:
        found = None
    except (OSError, msgspec.MsgspecError) as error:
        raise NoDatabase(f"{path} cannot be read: {error}.") from None
    if not isinstance(found, str):
        raise NoDatabase(f"Run `make serve` here first ({path} is not there yet), or set SUPOVER_DATABASE_URL.")
    return found


@asynccontextmanager
async def database(settings: Settings | None = None, *, size: int = 4) -> AsyncGenerator[Database]:
    """The application's door to the database of these settings, else of the settings in force. Raises NoDatabase."""
    settings = settings or load()
    url = settings.app_database_url or database_url(settings)
    try:
        found = await Database.open(
            url,
            size=size,
            statement_timeout_s=settings.statement_timeout_s,
            as_app=settings.app_database_url is None,
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise NoDatabase(f"It does not let us in: {_first_line(error)}. Does `make serve` run?") from None
    try:
        yield found
    finally:
        await found.close()


WORKSPACES: Final = "select workspace_id, name from workspace_list()"


async def workspace(database: Database, wanted: UUID | str | None) -> UUID:
    """The workspace that is wanted, else that of the settings, else the only one.

    Raises Invalid, NoSuchWorkspace, WhichWorkspace.
    """
    wanted = wanted or load().workspace
    try:
        id = UUID(wanted) if isinstance(wanted, str) else wanted
    except ValueError:
        raise Invalid.at("--workspace", "type", f"{wanted!r} is not the id of a workspace") from None
    async with database.across() as con:
        found: dict[UUID, str] = {UUID(str(row[0])): row[1] for row in await con.fetch(WORKSPACES)}
    if id is not None:
        if id not in found:
            raise NoSuchWorkspace(f"No workspace has the id {id}; `supover workspaces list` shows them.")
        return id
    if not found:
        raise NoSuchWorkspace("There is none yet: make one with `supover workspaces create`.")
    if len(found) > 1:
        shown = ", ".join(f"{known} ({name})" for known, name in list(found.items())[:5])
        raise WhichWorkspace(
            f"Choose one by --workspace ID or SUPOVER_WORKSPACE=ID: {shown}{', …' if len(found) > 5 else ''}."
        )
    return next(iter(found))


async def workspaces(database: Database) -> list[UUID]:
    """Every workspace, the oldest first."""
    async with database.across() as con:
        return [UUID(str(row[0])) for row in await con.fetch(WORKSPACES)]


# --- doing it --------------------------------------------------------------------------------------------------------


def run(act: Callable[[], Awaitable[T]], context: "typer.Context | None" = None) -> T:
    """What the async function returns. What it raises that can be explained ends the program by `fail`.

    A command that publishes events gives its `context`: cli.py has put into it what registers those who react.
    """

    async def begin() -> T:
        return await act()

    if context is not None and context.obj is not None:
        context.obj()
    try:
        return asyncio.run(begin())
    except SettingsError as error:
        fail(str(error), USAGE)
    except Problem as problem:
        fail(problem)
    except KeyboardInterrupt:
        fail("interrupted", INTERRUPTED)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        fail(f"{type(error).__name__}: {_first_line(error)}")


def fail(problem: Problem | str, code: int | None = None) -> NoReturn:
    """Says on standard error what went wrong and ends the program: with 2 for values that cannot be taken, else 1."""
    if isinstance(problem, Invalid):
        lines = [
            f"{error.pointer.removeprefix('/') or 'input'}{_place(error)}: {error.message}" for error in problem.errors
        ]
        text = "\n".join(lines or [problem.detail or problem.title()])
    elif isinstance(problem, Problem):
        text = problem.title() + (f": {problem.detail}" if problem.detail else "")
    else:
        text = problem
    sys.stderr.write("".join(f"supover: {line}\n" for line in text.splitlines()))
    raise SystemExit(code or (USAGE if isinstance(problem, Invalid) else ERROR))


def _place(error: FieldError) -> str:
    return "" if error.position is None else f", character {error.position + 1}"


# --- saying it -------------------------------------------------------------------------------------------------------


def show(value: object, *, json: bool = False) -> None:
    """Writes the answer to standard output: one JSON document, or for people a table of structs or lines of one."""
    if json:
        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    elif isinstance(value, str):
        text = value
    elif isinstance(value, Sequence):
        text = _table(cast("Sequence[object]", value))
        if not text:
            note("Nothing found.")
    else:
        text = _lines(value)
    try:
        if text:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has read enough; Python must not complain about it when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def only(value: object, columns: Sequence[str]) -> dict[str, object]:
    """These fields of a struct, by the names that JSON gives them, for a table that fits a screen."""
    fields = _fields(value)
    return {column: fields[column] for column in columns if column in fields}


def note(text: str) -> None:
    """Says something to people, on standard error, that is no part of the answer."""
    sys.stderr.write(text + "\n")


def read_line(prompt: str) -> str:
    """One line of standard input, without its end; typed unseen where that is a terminal."""
    if sys.stdin.isatty():
        import getpass

        return getpass.getpass(prompt)
    return sys.stdin.readline().rstrip("\r\n")


def _table(values: Sequence[object]) -> str:
    if not values:
        return ""
    rows = [_fields(value) for value in values]
    columns = list(rows[0])
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(column), *(len(line[at]) for line in cells)) for at, column in enumerate(columns)]
    lines = [columns, ["-" * width for width in widths], *cells]
    padded = ((cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)


def _lines(value: object) -> str:
    if value is None:
        return ""
    fields = _fields(value)
    width = max(map(len, fields), default=0)
    return "\n".join(f"{name.ljust(width)}  {_cell(found)}".rstrip() for name, found in fields.items())


def _fields(value: object) -> Mapping[str, object]:
    if isinstance(value, msgspec.Struct):
        found = {field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(value)}
        return {name: one for name, one in found.items() if one is not msgspec.UNSET}
    if isinstance(value, Mapping):
        return {str(name): found for name, found in cast("Mapping[object, object]", value).items()}
    return {"value": value}


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds").replace("+00:00", "Z")
    if isinstance(value, str | Path | UUID | int | Decimal | date):
        # A name from outside must not move the cursor or end the line.
        return "".join(letter if letter.isprintable() else "�" for letter in str(value))
    if isinstance(value, Sequence):
        return ", ".join(_cell(one) for one in cast("Sequence[object]", value))
    return msgspec.json.encode(value).decode()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
