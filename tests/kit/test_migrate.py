import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from supover.kit import migrate
from supover.kit.migrate import MigrationError

GROUND = """
    create schema data;
    create schema fence;
    create schema ext;
    create function fence.current_workspace() returns uuid language sql stable
        return nullif(current_setting('app.workspace', true), '')::uuid;
    create function fence.across() returns bigint language sql stable security definer
        begin atomic select 1::bigint; end;
    create table data."order" (workspace_id uuid not null, id integer, note text, primary key (workspace_id, id));
    create table data.fact (workspace_id uuid not null, what text not null);
    comment on table data.fact is 'append only: what happened.';
    create table data.rate (currency text primary key);
    comment on table data.rate is 'global: the same for everybody.';
"""
ONE, OTHER = UUID(int=1), UUID(int=2)


@pytest.fixture
async def empty(database: str, owner: "asyncpg.Connection[asyncpg.Record]") -> AsyncGenerator[str]:
    """The owner's URL of a database in which nothing was made."""
    name = f"empty_{uuid4().hex}"
    await owner.execute(f"create database {name} template template0 strategy file_copy")
    yield "/".join((database.partition("@/")[0] + "@", name)) + "?" + database.partition("?")[2]
    await owner.execute(f"drop database {name} with (force)")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write(tmp_path, "0001_kit_ground", GROUND)
    return tmp_path


def write(folder: Path, name: str, sql: str) -> None:
    (folder / f"{name}.sql").write_text(sql)


async def ask(dsn: str, sql: str, *, workspace: UUID | None = None, role: str = "") -> list[tuple[object, ...]]:
    """Runs one statement as the owner, or as the application's role within a workspace."""
    settings = {"search_path": "fence, ext"} | ({"role": role} if role else {})
    con = await asyncpg.connect(dsn, server_settings=settings)
    try:
        if workspace:
            await con.execute("select set_config('app.workspace', $1, false)", str(workspace))
        return [tuple(row) for row in await con.fetch(sql)]
    finally:
        await con.close()


async def as_app(dsn: str, sql: str, workspace: UUID | None = ONE) -> list[tuple[object, ...]]:
    return await ask(dsn, sql, workspace=workspace, role="supover_app")


async def refusal(dsn: str, files: Path) -> str:
    with pytest.raises(MigrationError) as caught:
        await migrate.run(dsn, files)
    return str(caught.value)


async def test_files_are_applied_once_and_in_order(empty: str, files: Path) -> None:
    write(files, "0002_orders_more", 'alter table data."order" add column total numeric;')
    assert await migrate.pending(empty, files) == ["0001_kit_ground", "0002_orders_more"]
    assert await migrate.run(empty, files) == ["0001_kit_ground", "0002_orders_more"]
    assert await migrate.run(empty, files) == []
    write(files, "0003_orders_most", 'alter table data."order" add column tax numeric;')
    assert await migrate.pending(empty, files) == ["0003_orders_most"]
    assert await migrate.run(empty, files) == ["0003_orders_most"]
    assert await ask(empty, "select version, name from data.migration order by version") == [
        (1, "0001_kit_ground"),
        (2, "0002_orders_more"),
        (3, "0003_orders_most"),
    ]


async def test_a_file_changed_after_it_was_applied_is_named(empty: str, files: Path) -> None:
    await migrate.run(empty, files)
    write(files, "0001_kit_ground", GROUND + "create table data.more (workspace_id uuid);")
    assert await refusal(empty, files) == (
        "0001_kit_ground.sql was changed after it was applied: add a new migration instead."
    )


async def test_line_ends_of_another_platform_change_nothing(empty: str, files: Path) -> None:
    await migrate.run(empty, files)
    (files / "0001_kit_ground.sql").write_bytes(GROUND.replace("\n", "\r\n").encode())
    assert await migrate.run(empty, files) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("0001_orders_more", "0001_orders_more.sql: 0001_kit_ground.sql has the same number."),
        ("2_orders", "2_orders.sql: a migration is named NNNN_room_what.sql."),
    ],
)
async def test_a_file_numbered_wrongly_is_named_and_nothing_runs(empty: str, files: Path, name: str, said: str) -> None:
    write(files, name, "select 1;")
    assert await refusal(empty, files) == said
    assert await ask(empty, "select to_regnamespace('data') is null") == [(True,)]


async def test_a_database_of_a_newer_release_is_left_alone(empty: str, files: Path) -> None:
    write(files, "0002_orders_more", "select 1;")
    await migrate.run(empty, files)
    (files / "0002_orders_more.sql").unlink()
    assert await refusal(empty, files) == (
        "0002_orders_more was applied, but has no file here: the database is of a newer release."
    )


async def test_another_file_under_an_applied_number_is_named(empty: str, files: Path) -> None:
    write(files, "0002_orders_more", "select 1;")
    await migrate.run(empty, files)
    (files / "0002_orders_more.sql").rename(files / "0002_orders_less.sql")
    assert await refusal(empty, files) == "0002_orders_less.sql: 0002_orders_more was applied under this number."


async def test_a_number_that_was_skipped_is_named(empty: str, files: Path) -> None:
    write(files, "0002_orders_more", "select 1;")
    await migrate.run(empty, files)
    con = await asyncpg.connect(empty)
    await con.execute("delete from data.migration where version = 1")
    await con.close()
    assert await refusal(empty, files) == "0002_orders_more was applied, but number 0001 before it was not."


async def test_a_folder_without_files_is_an_error(empty: str, tmp_path: Path) -> None:
    assert await refusal(empty, tmp_path) == f"There are no migrations in {tmp_path}."


async def test_a_failing_file_leaves_nothing_and_names_its_line(empty: str, files: Path) -> None:
    await migrate.run(empty, files)
    before = await migrate.dump_schema(empty)
    write(files, "0002_orders_bad", "create table data.half (workspace_id uuid);\nalter table data.nowhere add x int;")
    assert await refusal(empty, files) == '0002_orders_bad.sql: relation "data.nowhere" does not exist'
    write(files, "0002_orders_bad", "create table data.half (workspace_id uuid);\n\nselect wrong from data.half;")
    assert await refusal(empty, files) == '0002_orders_bad.sql: line 3: column "wrong" does not exist'
    assert await migrate.dump_schema(empty) == before
    assert await ask(empty, "select count(*) from data.migration") == [(1,)]


async def test_a_file_may_run_outside_a_transaction(empty: str, files: Path) -> None:
    write(
        files,
        "0002_orders_index",
        "-- no transaction\n"
        'create index concurrently order_note on data."order" (workspace_id, note);\n'
        "-- One more; its comment has a semicolon.\n"
        "do $$ begin perform 1; perform 2; end $$;\n",
    )
    assert await migrate.run(empty, files) == ["0001_kit_ground", "0002_orders_index"]
    valid = "select indisvalid from pg_index where indexrelid = 'data.order_note'::regclass"
    assert await ask(empty, valid) == [(True,)]


async def test_runs_at_the_same_time_apply_each_file_once(empty: str, files: Path) -> None:
    write(files, "0002_orders_index", "-- no transaction\ncreate index concurrently on data.fact (workspace_id);\n")
    runs = await asyncio.gather(*(migrate.run(empty, files) for _ in range(4)))
    assert sorted(runs) == [[], [], [], ["0001_kit_ground", "0002_orders_index"]]


async def test_a_lock_that_somebody_holds_is_waited_for_in_turns(empty: str, files: Path) -> None:
    await migrate.run(empty, files)
    write(files, "0002_orders_more", 'alter table data."order" add column total numeric;')
    holder = await asyncpg.connect(empty)
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute('lock table data."order" in access share mode')
    running = asyncio.create_task(migrate.run(empty, files, lock_timeout_s=0.1))
    await asyncio.sleep(0.3)
    # Between two tries nobody queues behind the migration.
    assert await asyncio.wait_for(ask(empty, 'select count(*) from data."order"'), 1) == [(0,)]
    assert not running.done()
    await transaction.rollback()
    await holder.close()
    assert await running == ["0002_orders_more"]


async def test_the_fence_shows_a_workspace_only_its_own_rows(empty: str, files: Path) -> None:
    await migrate.run(empty, files)
    await as_app(empty, f"insert into \"order\" (workspace_id, id) values ('{ONE}', 1)", ONE)
    await as_app(empty, f"insert into \"order\" (workspace_id, id) values ('{OTHER}', 2)", OTHER)
    assert await as_app(empty, 'select id from "order"', ONE) == [(1,)]
    assert await as_app(empty, 'select id from "order"', OTHER) == [(2,)]
    assert await as_app(empty, 'select id from "order"', None) == []
    assert await as_app(empty, 'update "order" set note = $$mine$$ returning id', OTHER) == [(2,)]
    assert await as_app(empty, 'delete from "order" returning id', OTHER) == [(2,)]
    assert await ask(empty, 'select id, note from data."order"') == [(1, None)]


async def test_the_fence_refuses_rows_for_another_workspace(empty: str, files: Path) -> None:
    await migrate.run(empty, files)
    with pytest.raises(asyncpg.WithCheckOptionViolationError):
        await as_app(empty, f"insert into \"order\" (workspace_id, id) values ('{OTHER}', 1)", ONE)
    assert await ask(empty, 'select count(*) from data."order"') == [(0,)]


@pytest.mark.parametrize(
    "sql",
    [
        'select id from data."order"',
        "select currency from data.rate",
        "select version from data.migration",
        "update fact set what = 'never'",
        "delete from fact",
    ],
)
async def test_the_application_has_no_right_behind_the_fence(empty: str, files: Path, sql: str) -> None:
    await migrate.run(empty, files)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await as_app(empty, sql)


async def test_what_is_append_only_can_be_added_to(empty: str, files: Path) -> None:
    await migrate.run(empty, files)
    await as_app(empty, f"insert into fact (workspace_id, what) values ('{ONE}', 'a')")
    assert await as_app(empty, "select what from fact") == [("a",)]


async def test_global_and_local_tables_have_no_view(empty: str, files: Path) -> None:
    await migrate.run(empty, files)
    views = "select viewname from pg_views where schemaname = 'fence' order by 1"
    assert await ask(empty, views) == [("fact",), ("order",)]


async def test_functions_of_the_fence_are_the_applications_alone(empty: str, files: Path) -> None:
    await migrate.run(empty, files)
    assert await as_app(empty, "select fence.across()") == [(1,)]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ask(empty, "select fence.across()", role="pg_monitor")


async def test_a_table_without_workspace_says_why_or_is_refused(empty: str, files: Path) -> None:
    await migrate.run(empty, files)
    write(files, "0002_orders_lost", "create table data.lost (id uuid);")
    assert await refusal(empty, files) == (
        "data.lost has no workspace_id, and its comment begins with neither 'global:' nor 'local:'."
    )
    assert await ask(empty, "select to_regclass('data.lost') is null") == [(True,)]


async def test_a_column_below_a_view_can_be_dropped_and_added(empty: str, files: Path) -> None:
    await migrate.run(empty, files)
    write(files, "0002_orders_less", 'alter table data."order" drop column note, add column number text;')
    await migrate.run(empty, files)
    columns = "select attname from pg_attribute where attrelid = 'fence.order'::regclass and attnum > 0"
    assert await ask(empty, columns) == [("workspace_id",), ("id",), ("number",)]


async def test_a_fence_of_another_release_is_made_anew_without_a_migration(empty: str, files: Path) -> None:
    await migrate.run(empty, files)
    con = await asyncpg.connect(empty)
    await con.execute("drop view fence.fact; comment on schema fence is 'Made by an older release.'")
    await con.close()
    assert await migrate.run(empty, files) == []
    assert await as_app(empty, "select what from fact") == []


async def test_a_partitioned_table_has_one_view(empty: str, files: Path) -> None:
    write(
        files,
        "0002_orders_parts",
        "create table data.part (workspace_id uuid, n integer) partition by hash (workspace_id);"
        "create table data.part_0 partition of data.part for values with (modulus 1, remainder 0);",
    )
    await migrate.run(empty, files)
    views = "select viewname from pg_views where schemaname = 'fence' and viewname like 'part%'"
    assert await ask(empty, views) == [("part",)]


async def test_the_schema_dump_is_the_same_from_two_databases_and_holds_the_fence(empty: str, database: str) -> None:
    await migrate.run(empty)
    dump = await migrate.dump_schema(empty)
    assert dump == await migrate.dump_schema(database)
    assert "CREATE TABLE data.workspace (" in dump
    assert "CREATE VIEW fence.customer " in dump
    assert "restrict" not in dump.splitlines()[0]
    assert "PostgreSQL database dump" not in dump


async def test_a_dump_that_fails_says_why_without_the_password(database: str) -> None:
    with pytest.raises(MigrationError) as caught:
        await migrate.dump_schema(database.replace("@/", "@/no_such_"))
    assert 'database "no_such_' in str(caught.value)
    assert database.partition("@")[0].rpartition(":")[2] not in str(caught.value)


def test_the_release_ships_its_migrations() -> None:
    assert [m.version for m in migrate.read(migrate.folder())][:1] == [1]
