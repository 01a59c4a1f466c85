"""Brings a database to this release's schema: numbered SQL files forward, then the second fence of views.

A file is `NNNN_room_what.sql` and runs in one transaction together with the fence that fits it, so that every state
others see is whole. When its first line is `-- no transaction`, its statements, each ending with a semicolon at a
line's end, run one by one (for `create index concurrently`). Such a file may stop half-way: it must bear a second run.
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg
import msgspec

from supover.kit import embedded
from supover.kit.db import APP_ROLE

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+")
NO_TRANSACTION: Final = "-- no transaction"
LOCK_KEY: Final = 0x5375_706F_7665_72  # "Supover"
LOCK_TIMEOUT_S: Final = 5.0
BACKOFF_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0)


class MigrationError(Exception):
    """The database cannot be brought to this release's schema."""


class Migration(msgspec.Struct, frozen=True):
    """One file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """The same on every platform, whatever ends its lines."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def in_transaction(self) -> bool:
        """False when its first line says so."""
        return self.sql.partition("\n")[0].strip() != NO_TRANSACTION


class Applied(msgspec.Struct, frozen=True):
    """One row of data.migration."""

    version: int
    name: str
    checksum: str


# ---- migrations -----------------------------------------------------------------------------------------------------


def folder() -> Path:
    """Where the files stand: in the installed package, or beside `src` in a checkout."""
    installed = Path(str(resources.files("supover"))) / "migrations"
    return installed if installed.is_dir() else Path(__file__).resolve().parents[3] / "migrations"


def read(where: Path) -> list[Migration]:
    """The files in order; numbers may be left out. Raises MigrationError naming the file that is wrong."""
    found: list[Migration] = []
    for path in sorted(where.glob("*.sql")):
        match = NAME.fullmatch(path.stem)
        if match is None:
            raise MigrationError(f"{path.name}: a migration is named NNNN_room_what.sql.")
        version = int(match[1])
        if found and version == found[-1].version:
            raise MigrationError(f"{path.name}: {found[-1].name}.sql has the same number.")
        found.append(Migration(version, path.stem, path.read_text("utf-8").replace("\r\n", "\n")))
    if not found:
        raise MigrationError(f"There are no migrations in {where}.")
    return found


REBASE_THERE: Final = "select to_regprocedure('fence.event_log_rebase()') is not null"
REBASE: Final = "select fence.event_log_rebase()"


async def run(owner_dsn: str, where: Path | None = None, *, lock_timeout_s: float = LOCK_TIMEOUT_S) -> list[str]:
    """Applies what is missing and makes the fence fit; returns the names of the files applied.

    Runs that start at the same time wait for each other. A statement that waits longer than `lock_timeout_s` for
    somebody else's lock is tried again later, so that a migration never holds up those who queue behind it for long.
    """
    files = read(where or folder())
    con: Connection = await asyncpg.connect(owner_dsn, server_settings={"application_name": "supover migrate"})
    try:
        await _alone(con)
        pending = check(files, await applied(con))
        for migration in pending:
            await _patiently(con, migration, lock_timeout_s)
        if not pending and await _fence_stands(con) is False:
            await _patiently(con, None, lock_timeout_s)
        if await con.fetchval(REBASE_THERE):
            await con.execute(REBASE)
        return [migration.name for migration in pending]
    finally:
        await con.close()


async def pending(owner_dsn: str, where: Path | None = None) -> list[str]:
    """The names of the files that `run` would apply. Raises MigrationError as it would."""
    con: Connection = await asyncpg.connect(owner_dsn)
    try:
        return [migration.name for migration in check(read(where or folder()), await applied(con))]
    finally:
        await con.close()


def check(files: Sequence[Migration], done: Sequence[Applied]) -> list[Migration]:
    """The files not applied yet. Raises MigrationError when what was applied is not the beginning of the files."""
    for position, was in enumerate(done):
        file = files[position] if position < len(files) else None
        if file is None or file.version > was.version:
            raise MigrationError(f"{was.name} was applied, but has no file here: the database is of a newer release.")
        if file.version < was.version:
            raise MigrationError(f"{was.name} was applied, but number {file.version:04} before it was not.")
        if file.name != was.name:
            raise MigrationError(f"{file.name}.sql: {was.name} was applied under this number.")
        if file.checksum != was.checksum:
            raise MigrationError(f"{file.name}.sql was changed after it was applied: add a new migration instead.")
    return list(files[len(done) :])


KNOWN: Final = "select to_regclass('data.migration') is not null"
APPLIED: Final = "select version, name, checksum from data.migration order by version"


async def applied(con: "Connection") -> list[Applied]:
    """What was applied, in order; nothing in an empty database."""
    if not await con.fetchval(KNOWN):
        return []
    return [Applied(*row) for row in await con.fetch(APPLIED)]


async def _alone(con: "Connection") -> None:
    # Asking again and again, not waiting: a session that waits for a lock holds a snapshot, and another's
    # `create index concurrently` would wait for that.
    while True:
        if await con.fetchval("select pg_try_advisory_lock($1)", LOCK_KEY):
            return
        await asyncio.sleep(0.1)


async def _patiently(con: "Connection", migration: Migration | None, lock_timeout_s: float) -> None:
    name = f"{migration.name}.sql" if migration else "the fence"
    for pause_s in (*BACKOFF_S, None):
        try:
            await _apply(con, migration, lock_timeout_s)
            return
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            if pause_s is None:
                tries = len(BACKOFF_S) + 1
                raise MigrationError(f"{name}: others held a lock that it needs, {tries} times.") from error
            await asyncio.sleep(pause_s)
        except asyncpg.PostgresError as error:
            raise MigrationError(f"{name}: {_explained(error, migration)}") from error


async def _apply(con: "Connection", migration: Migration | None, lock_timeout_s: float) -> None:
    await con.execute("reset all")
    if migration and not migration.in_transaction:
        for statement in re.split(r";[ \t]*$", migration.sql, flags=re.MULTILINE):
            if _says_something(statement):
                await con.execute(statement)
        async with con.transaction():
            await _note(con, migration)
        return
    async with con.transaction():
        await con.execute(f"set local lock_timeout = {int(lock_timeout_s * 1000)}")
        # Views of the fence would refuse `drop column` and `alter type` of the tables below them.
        await _drop_fence(con)
        if migration:
            await con.execute(migration.sql)
            await con.execute(f"set local lock_timeout = {int(lock_timeout_s * 1000)}")
            await _note(con, migration)
        await fence(con)


KEEP: Final = """
    create table if not exists data.migration (
        version integer primary key,
        name text not null,
        checksum text not null,
        applied_at timestamptz not null default now())"""
KEEP_COMMENT: Final = "comment on table data.migration is 'local: the migrations that were applied.'"
NOTE: Final = "insert into data.migration (version, name, checksum) values ($1, $2, $3)"


async def _note(con: "Connection", migration: Migration) -> None:
    if not await con.fetchval(KNOWN):
        await con.execute(KEEP)
        await con.execute(KEEP_COMMENT)
    await con.execute(NOTE, migration.version, migration.name, migration.checksum)


def _says_something(statement: str) -> bool:
    return any(line.strip() and not line.strip().startswith("--") for line in statement.splitlines())


def _explained(error: asyncpg.PostgresError, migration: Migration | None) -> str:
    said = str(error)
    position = getattr(error, "position", None)
    if migration and migration.in_transaction and isinstance(position, str) and position.isdigit():
        line = migration.sql.count("\n", 0, int(position) - 1) + 1
        return f"line {line}: {said}"
    return said


# ---- the fence ------------------------------------------------------------------------------------------------------


class Table(msgspec.Struct, frozen=True):
    """A table of schema data as the catalog has it, its names quoted where SQL wants that."""

    name: str
    columns: tuple[str, ...]
    comment: str

    @property
    def fenced(self) -> bool:
        """Whether it gets a view: the others say that they are global or local."""
        return not self.comment.startswith(("global:", "local:"))

    @property
    def append_only(self) -> bool:
        """Whether rows are only ever added."""
        return "append only" in self.comment


TABLES: Final = """
    select quote_ident(c.relname),
           array(select quote_ident(a.attname) from pg_attribute a
                  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum),
           coalesce(obj_description(c.oid, 'pg_class'), '')
      from pg_class c
     where c.relnamespace = to_regnamespace('data') and c.relkind in ('r', 'p') and not c.relispartition
     order by c.relname collate "C" """
FENCE_MARK: Final = "select obj_description(to_regnamespace('fence'), 'pg_namespace')"
VIEWS: Final = """
    select quote_ident(relname) from pg_class
     where relnamespace = to_regnamespace('fence') and relkind = 'v' order by relname"""


async def fence(con: "Connection") -> None:
    """Makes the views of schema fence and the application role's rights anew, from the catalog; within a transaction.

    Raises MigrationError for a table without workspace_id whose comment does not say why.
    """
    await _drop_fence(con)
    statements = _statements(await _tables(con))
    await con.execute(";\n".join(statements))
    await con.execute(f"comment on schema fence is '{_mark(statements)}'")


async def _fence_stands(con: "Connection") -> bool:
    """Whether the fence is the one that this release makes."""
    return await con.fetchval(FENCE_MARK) == _mark(_statements(await _tables(con)))


async def _drop_fence(con: "Connection") -> None:
    if views := [f"fence.{row[0]}" for row in await con.fetch(VIEWS)]:
        await con.execute(f"drop view {', '.join(views)}")


async def _tables(con: "Connection") -> list[Table]:
    return [Table(row[0], tuple(row[1]), row[2]) for row in await con.fetch(TABLES)]


def _statements(tables: Sequence[Table]) -> list[str]:
    found: list[str] = []
    for table in tables:
        if not table.fenced:
            continue
        if "workspace_id" not in table.columns:
            raise MigrationError(
                f"data.{table.name} has no workspace_id, and its comment begins with neither 'global:' nor 'local:'."
            )
        rights = "select, insert" if table.append_only else "select, insert, update, delete"
        found += [
            # The inner select keeps the planner from looking at the setting's value when it makes a plan to keep.
            f"create view fence.{table.name} with (security_barrier=false) as\n"
            f"    select {', '.join(table.columns)}\n"
            f"      from data.{table.name} where workspace_id = (select fence.current_workspace())\n"
            f"      with check option",
            f"grant {rights} on fence.{table.name} to {APP_ROLE}",
        ]
    return [
        *found,
        f"revoke all on schema data from public, {APP_ROLE}",
        f"revoke all on all tables in schema data from public, {APP_ROLE}",
        f"grant usage on schema fence, ext to {APP_ROLE}",
        "revoke all on all routines in schema fence from public",
        f"grant execute on all routines in schema fence to {APP_ROLE}",
    ]


def _mark(statements: Sequence[str]) -> str:
    digest = hashlib.sha256(";\n".join(statements).encode()).hexdigest()[:16]
    return f"Made by supover migrate: {digest}."


# ---- the schema as a file -------------------------------------------------------------------------------------------


async def dump_schema(dsn: str) -> str:
    """The database's schema as SQL, the same from any two databases with the same migrations."""
    parts = urlsplit(dsn)
    url = urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", "@", 1)))
    process = await asyncio.create_subprocess_exec(
        embedded.programs() / "pg_dump",
        *("--schema-only", "--no-owner", "--dbname", url),
        env={**embedded.ENV, "PGPASSWORD": unquote(parts.password or "")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode != 0:
        raise MigrationError(f"pg_dump: {err.decode(errors='replace').strip()}")
    return _normalised(out.decode())


def _normalised(dump: str) -> str:
    """Without pg_dump's headings, session settings and restriction keys, which differ by release and by run."""
    noise = re.compile(r"--|SET |SELECT pg_catalog\.set_config|\\(un)?restrict ")
    kept = [line.rstrip() for line in dump.splitlines() if not noise.match(line)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip() + "\n"
