"""The second fence: what the application's role can see and do when a statement forgets its workspace."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supover.kit import ids, migrate
from supover.kit.db import Database
from tests.house.conftest import APP, BIG, EMPTY, OTHER, connected

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

THIS: Final = Path(__file__).read_text("utf-8")
ENTER = "select set_config('app.workspace', $1, false)"


async def enter(con: "Connection", workspace: UUID | None) -> None:
    await con.execute(ENTER, "" if workspace is None else str(workspace))


async def tenant_tables(con: "Connection") -> list[migrate.Table]:
    found = [migrate.Table(row[0], tuple(row[1]), row[2]) for row in await con.fetch(migrate.TABLES)]
    return [table for table in found if table.fenced]


# --- the role --------------------------------------------------------------------------------------------------------


async def test_the_applications_role_owns_nothing_and_is_nobody_special(owner: "Connection") -> None:
    role = await owner.fetchrow(
        "select rolsuper, rolcreatedb, rolcreaterole, rolcanlogin, rolreplication, rolbypassrls from pg_roles"
        " where rolname = 'supover_app'"
    )
    assert role is not None
    assert not any(role)
    # The temporary tables of its sessions, through which many rows come in, end with them.
    owned = """
        select d.classid::regclass::text, d.objid
          from pg_shdepend d
          left join pg_class c on d.classid = 'pg_class'::regclass and c.oid = d.objid
          left join pg_type t on d.classid = 'pg_type'::regclass and t.oid = d.objid
          left join pg_namespace n on n.oid = coalesce(c.relnamespace, t.typnamespace)
         where d.refobjid = 'supover_app'::regrole and d.deptype = 'o' and coalesce(n.nspname, '') !~ '^pg_(toast_)?temp'
           and d.dbid in (0, (select oid from pg_database where datname = current_database()))"""
    assert await owner.fetch(owned) == []
    assert await owner.fetchval("select count(*) from pg_auth_members where member = 'supover_app'::regrole") == 0


async def test_the_applications_role_has_no_right_on_the_tables(owner: "Connection", database: str) -> None:
    for schema, right, has in (
        ("data", "usage", False),
        ("data", "create", False),
        ("fence", "usage", True),
        ("fence", "create", False),
        ("ext", "create", False),
        ("public", "create", False),
    ):
        asked = "select has_schema_privilege('supover_app', $1::text, $2::text)"
        assert await owner.fetchval(asked, schema, right) is has, (schema, right)
    granted = await owner.fetch(
        """select c.relname, p.name
             from pg_class c,
                  unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) as p (name)
            where c.relnamespace = 'data'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
              and has_table_privilege('supover_app', c.oid, p.name)"""
    )
    assert [tuple(row) for row in granted] == []
    async with connected(database, **APP) as con:
        await enter(con, BIG)
        for sql in (
            "select 1 from data.customer",
            "insert into data.workspace default values",
            "delete from data.audit_log",
            "truncate data.customer",
            "create table fence.mine (id integer)",
            "create view fence.mine as select 1",
            "alter view fence.customer set (check_option = none)",
            "create or replace function fence.current_workspace() returns uuid language sql return null",
            "drop view fence.customer",
            "comment on schema fence is ''",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await con.execute(sql)


async def test_what_the_role_cannot_do_to_the_server(database: str) -> None:
    async with connected(database, **APP) as con:
        for sql in (
            "copy (select 1) to program 'true'",
            "copy (select 1) to '/tmp/x'",
            "select pg_read_file('PG_VERSION')",
            "select lo_import('/etc/passwd')",
            "create extension dblink",
            "create role somebody",
            "alter system set log_statement = 'none'",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await con.execute(sql)


async def test_leaving_the_role_is_refused_to_who_signs_in_as_it_and_only_to_them(
    database: str, owner: "Connection"
) -> None:
    """A pool on the owner's URL could leave the role by `set role none`, so statements are constants; a pool that signs
    in as the role (SUPOVER_APP_DATABASE_URL) cannot."""
    async with connected(database, **APP) as con:
        await con.execute("reset role")
        assert await con.fetchval("select current_user") == "supover_app", "the role is the session's default"
        await con.execute("reset all")
        assert await con.fetchval("select current_user") == "supover_app"
        await con.execute("set role none")
        assert await con.fetchval("select current_user") == await con.fetchval("select session_user") != "supover_app"
    name = f"login_{uuid4().hex}"
    await owner.execute(f"create role {name} login password 'open sesame'")
    await owner.execute(f"grant supover_app to {name}")
    boss = await owner.fetchval("select session_user")
    try:
        con = await asyncpg.connect(database, user=name, password="open sesame", server_settings=APP)
        try:
            for sql in ("set role none", "reset role"):
                await con.execute(sql)
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await con.execute("select 1 from data.customer")
            for sql in (f"set role {boss}", f"set session authorization {boss}"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await con.execute(sql)
        finally:
            await con.close()
    finally:
        await owner.execute(f"drop role {name}")


# --- the views -------------------------------------------------------------------------------------------------------

VIEW = """
    select pg_get_viewdef(c.oid), c.reloptions, pg_relation_is_updatable(c.oid, false),
           array(select quote_ident(attname) from pg_attribute where attrelid = c.oid and attnum > 0 order by attnum),
           array(select right_ from unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'trigger', 'references']) as right_
                  where has_table_privilege('supover_app', c.oid, right_)),
           array(select a.grantee::regrole::text from aclexplode(c.relacl) a where a.grantee <> c.relowner group by 1)
      from pg_class c where c.relnamespace = 'fence'::regnamespace and c.relkind = 'v' and quote_ident(c.relname) = $1"""
UPDATABLE = 8 + 16 + 4  # insert, delete, update


async def test_every_tenant_table_has_its_view_and_no_other_has_one(owner: "Connection") -> None:
    tables = await tenant_tables(owner)
    views = {row[0] for row in await owner.fetch(migrate.VIEWS)}
    assert views == {table.name for table in tables}
    assert len(tables) >= 20
    for table in tables:
        assert table.columns[0] == "workspace_id", f"{table.name}: workspace_id comes first"
        row = await owner.fetchrow(VIEW, table.name)
        assert row is not None
        definition, options, updatable, columns, rights, grantees = row
        where = " ".join(definition.partition("WHERE")[2].split())
        assert re.fullmatch(
            r"\(workspace_id = \( SELECT (fence\.)?current_workspace\(\) AS current_workspace\)\);", where
        ), f"{table.name}: {where}"
        assert f"FROM data.{table.name}" in definition
        assert "check_option=cascaded" in options, table.name
        assert updatable == UPDATABLE, table.name
        assert tuple(columns) == table.columns, table.name
        expected = ["select", "insert"] if table.append_only else ["select", "insert", "update", "delete"]
        assert rights == expected, table.name
        assert grantees == ["supover_app"], table.name


COLUMNS = """
    select quote_ident(attname) from pg_attribute
     where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = '' and attidentity = '' order by attnum"""


async def test_another_workspace_can_neither_be_written_nor_read(filled: str) -> None:
    async with connected(filled, **APP) as con:
        await enter(con, BIG)
        async with connected(filled) as owner:
            tables = await tenant_tables(owner)
            own = {
                t.name: await owner.fetchval(f"select count(*) from data.{t.name} where workspace_id = $1", BIG)
                for t in tables
            }
            for table in tables:
                name = table.name
                assert own[name] > 0, f"{name} has no row in tests/house/filled.sql"
                assert await con.fetchval(f"select count(*) from {name}") == own[name]
                assert await con.fetchval(f"select count(*) from {name} where workspace_id = $1", OTHER) == 0
                columns = [row[0] for row in await owner.fetch(COLUMNS, f"data.{name}")]
                rest = ", ".join(columns[1:])
                new = ", ".join("gen_random_uuid()" if column == "id" else column for column in columns[1:])
                # Into the shop that is nobody's, so that nothing but the fence can refuse.
                with pytest.raises(asyncpg.WithCheckOptionViolationError):
                    await con.execute(
                        f"insert into {name} (workspace_id{rest and ', '}{rest})"
                        f" select $1{rest and ', '}{new} from {name} limit 1",
                        EMPTY,
                    )
                if table.append_only:
                    for sql in (f"update {name} set workspace_id = workspace_id", f"delete from {name}"):
                        with pytest.raises(asyncpg.InsufficientPrivilegeError):
                            await con.execute(sql)
                    continue
                with pytest.raises(asyncpg.WithCheckOptionViolationError):
                    await con.execute(f"update {name} set workspace_id = $1", EMPTY)
                for sql in (
                    f"update {name} set workspace_id = workspace_id where workspace_id = $1",
                    f"delete from {name} where workspace_id = $1",
                ):
                    assert (await con.execute(sql, OTHER)).endswith(" 0")
            after = {
                t.name: await owner.fetchval(f"select count(*) from data.{t.name} where workspace_id = $1", BIG)
                for t in tables
            }
            assert after == own


async def test_no_setting_is_no_rows(filled: str) -> None:
    async with connected(filled, **APP) as con, connected(filled) as owner:
        tables = await tenant_tables(owner)
        for setting in (None, "", str(EMPTY)):
            if setting is not None:
                await con.execute(ENTER, setting)
            for table in tables:
                assert await con.fetchval(f"select count(*) from {table.name}") == 0, table.name
                if not table.append_only:
                    assert await con.execute(f"delete from {table.name}") == "DELETE 0"
        await con.execute(ENTER, "everybody")
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await con.fetchval("select count(*) from customer")


async def test_nothing_is_added_without_a_setting(filled: str) -> None:
    async with connected(filled, **APP) as con:
        with pytest.raises(asyncpg.WithCheckOptionViolationError):
            await con.execute("insert into customer_stale (workspace_id, customer_id) values ($1, $1)", BIG)
        with pytest.raises(asyncpg.NotNullViolationError):
            await con.execute("insert into customer_stale (workspace_id, customer_id) values (null, $1)", BIG)


async def test_copy_into_a_view_is_refused(filled: str) -> None:
    async with connected(filled, **APP) as con:
        await enter(con, BIG)
        with pytest.raises(asyncpg.WrongObjectTypeError):
            await con.copy_records_to_table(
                "customer_stale", records=[(BIG, BIG)], columns=["workspace_id", "customer_id"]
            )


# --- keys and indexes ------------------------------------------------------------------------------------------------

LEADING = """
    select c.relname || ': ' || i.relname
      from pg_index x
      join pg_class c on c.oid = x.indrelid and c.relnamespace = 'data'::regnamespace
      join pg_class i on i.oid = x.indexrelid
     where coalesce(obj_description(c.oid, 'pg_class'), '') !~ '^(global|local):'
       and coalesce((select a.attname from pg_attribute a where a.attrelid = c.oid and a.attnum = x.indkey[0]), '') <> 'workspace_id'
     order by 1"""
NOT_LEADING: Final = {
    "api_key: api_key_token": "a key is looked up before its workspace is known",
    "invitation: invitation_code": "an invitation is looked up before its workspace is known",
    "membership: membership_staff": "signing in asks which workspaces a person has",
    "channel_connection: channel_connection_id": "a delivery names its connection before its workspace is known",
    "job: job_pkey": "a worker names jobs of all workspaces, and the house's own have none",
    "job: job_singleton": "the claim asks for those of a kind, in all workspaces",
    "job: job_due": "the claim goes over all workspaces, by their ids: those of the house come first",
    "job: job_running": "leases run out in all workspaces",
    "job: job_waiting": "the time of jobs comes in all workspaces",
}


async def test_every_index_of_a_tenant_table_begins_with_the_workspace(owner: "Connection") -> None:
    assert {row[0] for row in await owner.fetch(LEADING)} == set(NOT_LEADING)


CONSTRAINTS = """
    select r.relname || ': ' || c.conname || coalesce(' to ' || f.relname, '')
      from pg_constraint c
      join pg_class r on r.oid = c.conrelid and r.relnamespace = 'data'::regnamespace
      left join pg_class f on f.oid = c.confrelid
     where c.contype in ('p', 'u', 'f', 'x')
       and coalesce(obj_description(r.oid, 'pg_class'), '') !~ '^(global|local):'
       and (not exists (select 1 from pg_attribute a
                         where a.attrelid = r.oid and a.attnum = c.conkey[1] and a.attname = 'workspace_id')
            or c.contype = 'f' and not exists (select 1 from pg_attribute a
                         where a.attrelid = f.oid and a.attnum = c.confkey[1] and a.attname = 'workspace_id'))
     order by 1"""
NOT_TENANT: Final = {
    "job: job_pkey": "the queue is a local table: a worker names jobs of all workspaces",
    "membership: membership_staff_id_fkey to staff": "staff are global",
}


async def test_every_key_of_a_tenant_table_begins_with_the_workspace(owner: "Connection") -> None:
    assert {row[0] for row in await owner.fetch(CONSTRAINTS)} == set(NOT_TENANT)


async def test_every_tenant_table_has_a_primary_key_and_every_foreign_key_an_index(owner: "Connection") -> None:
    without_key = await owner.fetch(
        """select c.relname from pg_class c
            where c.relnamespace = 'data'::regnamespace and c.relkind in ('r', 'p')
              and not exists (select 1 from pg_index x where x.indrelid = c.oid and x.indisprimary)"""
    )
    assert [row[0] for row in without_key] == []
    # Without one, removing or merging the row above reads the whole table below.
    unserved = await owner.fetch(
        """select r.relname || ': ' || c.conname
             from pg_constraint c join pg_class r on r.oid = c.conrelid and r.relnamespace = 'data'::regnamespace
            where c.contype = 'f'
              and not exists (select 1 from pg_index x
                               where x.indrelid = r.oid and (x.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey)"""
    )
    assert {row[0] for row in unserved} == set(UNSERVED_KEYS)


UNSERVED_KEYS: Final = {
    "session: session_workspace_id_fkey": "workspaces are not removed, and sessions are few",
}


# --- what sees across workspaces ------------------------------------------------------------------------------------

FUNCTIONS = """
    select p.proname, p.prosecdef, p.proconfig, p.provolatile::text, p.proowner::regrole::text,
           array(select coalesce(nullif(a.grantee, 0)::regrole::text, 'public') from aclexplode(p.proacl) a
                  where a.grantee <> p.proowner order by 1)
      from pg_proc p where p.pronamespace = 'fence'::regnamespace order by 1"""
PLAIN: Final = {"current_workspace", "currency_digits"}


async def test_what_sees_across_workspaces_stands_in_files_of_its_own_and_is_for_the_application_only(
    owner: "Connection",
) -> None:
    files = "".join(path.read_text("utf-8") for path in sorted(migrate.folder().glob("*_fence_across.sql")))
    named = re.findall(r"^create function fence\.(\w+)", files, re.MULTILINE)
    assert len(named) == len(set(named))
    assert set(re.findall(r"^create or replace function fence\.(\w+)", files, re.MULTILINE)) <= set(named)
    found = {row[0]: row for row in await owner.fetch(FUNCTIONS)}
    assert set(found) == set(named) | PLAIN
    for name, (_, definer, config, _, boss, grantees) in found.items():
        assert definer is (name not in PLAIN), name
        assert grantees == ["supover_app"], name
        assert boss != "supover_app", name
        if definer:
            # What else is set only steers the planner.
            path, *others = config
            assert path == "search_path=data, ext", name
            assert all(other.startswith("enable_") for other in others), name
    elsewhere = "select count(*) from pg_proc where prosecdef and pronamespace <> 'fence'::regnamespace"
    assert await owner.fetchval(elsewhere) == 0


A, B = UUID(int=0xA), UUID(int=0xB)
ANN, BOB, EVE = UUID(int=0xA1), UUID(int=0xA2), UUID(int=0xB1)
PEOPLE: Final = f"""
    insert into data.workspace (workspace_id, name, currency, digits, timezone, counting_statuses)
    select w, 'Shop', 'EUR', 2, 'UTC', '{{delivered}}' from unnest(array['{A}', '{B}']::uuid[]) w;
    insert into data.staff (id, email, name, password_hash)
    values ('{ANN}', 'Ann@house.test', 'Ann', 'x'), ('{BOB}', 'bob@house.test', 'Bob', 'x'), ('{EVE}', 'eve@house.test', 'Eve', 'x');
    insert into data.membership (workspace_id, staff_id, role)
    values ('{A}', '{ANN}', 'owner'), ('{A}', '{BOB}', 'agent'), ('{B}', '{ANN}', 'viewer'), ('{B}', '{EVE}', 'owner');
    insert into data.invitation (workspace_id, id, email, name, role, code_hash, expires_at)
    values ('{A}', '{A}', 'New@house.test', 'New', 'agent', 'codea', 'infinity'),
           ('{B}', '{B}', 'new@house.test', 'New', 'agent', 'codeb', now() - interval '1 minute');
    insert into data.session (id, token_hash, csrf_hash, staff_id, workspace_id, expires_at)
    values ('{ANN}', 'ann', 'c', '{ANN}', '{A}', 'infinity'), ('{BOB}', 'bob', 'c', '{BOB}', '{A}', 'infinity'),
           ('{EVE}', 'eve', 'c', '{EVE}', '{B}', now() - interval '1 minute');
    insert into data.api_key (workspace_id, id, name, prefix, token_hash, scopes, created_by, revoked_at)
    values ('{A}', '{ANN}', 'A', 'sk_', 'keya', '{{admin}}', 'cli', null), ('{A}', '{BOB}', 'A', 'sk_', 'olda', '{{admin}}', 'cli', now()),
           ('{B}', '{EVE}', 'B', 'sk_', 'keyb', '{{admin}}', 'cli', null);
    insert into data.customer (workspace_id, id, source) values ('{B}', '{EVE}', 'MANUAL');
    insert into data.customer_stale (workspace_id, customer_id) values ('{B}', '{EVE}');
    insert into data.segment_stale (workspace_id, customer_id, origin) values ('{B}', '{EVE}', 'live'), ('{B}', '{BOB}', 'live');
    insert into data.segment (workspace_id, id, kind, name, complete, evaluated_on, created_by, created_by_name)
    values ('{A}', '{ANN}', 'manual', 'Old', true, '2026-01-01', 'cli', 'cli'),
           ('{B}', '{EVE}', 'manual', 'New', true, (now() at time zone 'UTC')::date, 'cli', 'cli');
    insert into data.channel_connection (workspace_id, id, platform, shop, name, secret, disconnected_at)
    values ('{A}', '{ANN}', 'SHOPIFY', 'a', 'A', 'sealed', null), ('{B}', '{EVE}', 'SHOPIFY', 'b', 'B', null, now());
    insert into data.inbox_message (workspace_id, id, connection_id, topic, delivery_id, body, body_hash, size, status, due_at)
    values ('{A}', '{ANN}', '{ANN}', 't', '1', 'x', 'h', 1, 'pending', now()),
           ('{B}', '{EVE}', '{EVE}', 't', '1', 'x', 'h', 1, 'pending', 'infinity'),
           ('{B}', '{BOB}', '{EVE}', 't', '2', 'x', 'h', 1, 'dead', now());
    insert into data.idempotency (workspace_id, caller, key, request_hash, created_at)
    values ('{A}', 'x', 'old', 'x', now() - interval '2 days'), ('{B}', 'x', 'new', 'x', now());
    insert into data.job (workspace_id, id, kind, state, worker, lease_until, finished_at)
    values ('{A}', '{ANN}', 'fence.test', 'running', 'w1', 'infinity', null),
           ('{B}', '{EVE}', 'fence.test', 'running', 'w2', now() - interval '1 h', null),
           ('{A}', '{BOB}', 'fence.old', 'done', null, null, now() - interval '9 days'),
           ('{B}', '{B}', 'fence.new', 'done', null, null, now());
"""


class World:
    """Two shops and their people in a transaction that is rolled back; asked as the application's role."""

    def __init__(self, con: "Connection", tables: list[migrate.Table]) -> None:
        self.con = con
        self.tables = tables

    async def rows(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.con.fetch(sql, *args)]

    async def does(self, sql: str, *args: Any) -> set[str]:
        """Runs a statement; the tables that it changed, and in which shop."""
        before = await self._look()
        await self.con.fetch(sql, *args)
        after = await self._look()
        return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}

    async def _look(self) -> dict[str, str]:
        found: dict[str, str] = {}
        await self.con.execute("set local role none")
        for table in self.tables:
            shop = "workspace_id" if "workspace_id" in table.columns else "null::uuid"
            query = f"""select {shop}, md5(string_agg(t::text, '' order by t::text)) from data.{table.name} t
                         where {shop} is null or {shop} in ('{A}', '{B}') group by 1"""
            found.update(
                {
                    f"{table.name} {'B' if shop == B else 'A' if shop == A else ''}".strip(): what
                    for shop, what in await self.con.fetch(query)
                }
            )
        await self.con.execute("set local role supover_app")
        return found


@pytest.fixture
async def world(database: str) -> AsyncGenerator[World]:
    async with connected(database, **APP) as con:
        transaction = con.transaction()
        await transaction.start()
        await con.execute("set local role none")
        await con.execute(PEOPLE)
        tables = [migrate.Table(row[0], tuple(row[1]), row[2]) for row in await con.fetch(migrate.TABLES)]
        await con.execute("set local role supover_app")
        yield World(con, tables)
        await transaction.rollback()


async def test_tokens_lead_to_what_they_were_made_for_and_nowhere_else(world: World) -> None:
    key = "select workspace_id, id from key_by_token($1)"
    assert await world.rows(key, b"keya") == [(A, ANN)]
    assert await world.rows(key, b"keyb") == [(B, EVE)]
    for wrong in (b"olda", b"", b"KEYA", b"ann", None):
        assert await world.rows(key, wrong) == []
    session = "select workspace_id, staff_id, role from session_by_token($1)"
    assert await world.rows(session, b"ann") == [(A, ANN, "owner")]
    for wrong in (b"", b"keya", None):
        assert await world.rows(session, wrong) == []
    assert await world.does("select key_used($1, $2)", A, EVE) == set()
    assert await world.does("select key_used($1, $2)", B, EVE) == {"api_key B"}
    assert await world.does("select key_used($1, $2)", B, EVE) == set()


async def test_an_invitation_is_found_by_its_code_and_its_person_together(world: World) -> None:
    found = "select workspace_id, id from invitation_by_code($1, $2)"
    assert await world.rows(found, b"codea", "new@HOUSE.test") == [(A, A)]
    for code, email in (
        (b"codea", "ann@house.test"),
        (b"codea", ""),
        (b"codea", None),
        (b"codeb", "new@house.test"),
        (b"", "new@house.test"),
    ):
        assert await world.rows(found, code, email) == []


async def test_sessions_open_and_move_among_a_persons_own_shops_only(world: World) -> None:
    opened = "select session_open($1, 'new', 'c', $2, $3, 'infinity', null, null)"
    assert await world.does(opened, uuid4(), BOB, B) == set()
    assert await world.does(opened, uuid4(), EVE, A) == set()
    assert await world.does(opened, uuid4(), BOB, A) == {"session A", "membership A"}
    switched = "select session_switch($1, $2, $3, 'newer', 'c')"
    assert await world.does(switched, A, BOB, B) == set()
    assert await world.does(switched, B, ANN, B) == set()
    assert await world.does(switched, A, ANN, B) == {"session A", "session B", "membership B"}
    assert await world.rows("select workspace_id from session_by_token('newer')") == [(B,)]
    assert await world.rows("select 1 from session_by_token('ann')") == []
    mine = "select workspace_id, id from sessions_of($1, $2)"
    assert await world.rows(mine, A, ANN) == await world.rows(mine, B, ANN) == [(B, ANN)]
    assert await world.rows(mine, B, BOB) == await world.rows(mine, A, EVE) == []
    ended = "select session_end($1, $2, $3)"
    for workspace, staff, of in ((A, ANN, BOB), (B, BOB, BOB), (A, EVE, BOB), (A, BOB, ANN)):
        assert await world.does(ended, workspace, staff, of) == set()
    assert await world.does(ended, A, BOB, BOB) == {"session A"}
    await world.does(opened.replace("'new'", "'again'"), BOB, BOB, A)
    assert await world.does("select session_close($1, $2)", A, ANN) == set()
    assert await world.does("select session_close($1, $2)", B, ANN) == {"session B"}
    assert await world.does("select sessions_close($1, $2)", B, BOB) == set()
    assert await world.does("select sessions_close($1, $2)", A, BOB) == {"session A"}
    # At least the one that was made expired; other tests may have left some in this database too.
    [(expired,)] = await world.rows("select sessions_expire()")
    assert expired >= 1


async def test_a_disabled_person_and_a_former_member_have_no_session(world: World) -> None:
    assert await world.does("select * from staff_disable($1)", BOB) == {"staff", "session A"}
    assert await world.rows("select 1 from session_by_token('bob')") == []
    assert await world.does("select staff_enable($1)", BOB) == {"staff"}
    await enter(world.con, A)
    assert await world.does("delete from membership where staff_id = $1", ANN) == {"membership A"}
    assert await world.rows("select 1 from session_by_token('ann')") == []


async def test_staff_are_seen_and_changed_by_their_own_shops_only(world: World) -> None:
    found = "select id from staff_by_email($1)"
    assert await world.rows(found, "ANN@House.test") == [(ANN,)]
    for wrong in ("", "ann", "%", "ann@house.test ", None):
        assert await world.rows(found, wrong) == []
    theirs = "select workspace_id, role from staff_workspaces($1) order by 1"
    assert await world.rows(theirs, ANN) == [(A, "owner"), (B, "viewer")]
    assert await world.rows(theirs, BOB) == [(A, "agent")]
    members = "select staff_id from members($1)"
    for workspace in (None, B, EMPTY):
        await enter(world.con, workspace)
        assert await world.rows(members, A) == []
    await enter(world.con, A)
    assert await world.rows(members, A) == [(ANN,), (BOB,)]
    changed = "select staff_password($1, $2, 'new')"
    assert await world.does(changed, B, BOB) == set()
    assert await world.does(changed, A, EVE) == set()
    assert await world.does(changed, A, BOB) == {"staff", "session A"}
    added = "select staff_add($1, $2, 'new@house.test', 'New', 'x', 'viewer')"
    assert await world.does(added, A, uuid4()) == {"staff", "membership A"}


async def test_a_second_step_is_changed_from_its_persons_own_shops_only(world: World) -> None:
    begun = "select second_step_begin($1, $2, 'sealed')"
    for workspace, staff in ((B, BOB), (A, EVE), (None, BOB)):
        assert await world.does(begun, workspace, staff) == set()
    assert await world.does(begun, A, BOB) == {"staff"}
    confirmed = "select second_step_confirm($1, $2, $3, 7, array['one'::bytea, 'two'])"
    for workspace, staff, secret in ((B, BOB, b"sealed"), (A, BOB, b"another"), (A, ANN, b"sealed")):
        assert await world.does(confirmed, workspace, staff, secret) == set()
    assert await world.does("select second_step_use($1, 8)", BOB) == set(), "it is not on yet"
    assert await world.does(confirmed, A, BOB, b"sealed") == {"staff"}
    assert await world.does(begun, A, BOB) == await world.does(confirmed, A, BOB, b"sealed") == set(), "it is on"
    for step, changed in ((7, set[str]()), (6, set[str]()), (8, {"staff"}), (8, set[str]())):
        assert await world.does("select second_step_use($1, $2)", BOB, step) == changed
    spent = "select recovery_code_use($1, $2)"
    assert await world.does(spent, ANN, b"one") == await world.does(spent, BOB, b"three") == set()
    assert await world.does(spent, BOB, b"one") == {"staff"}
    assert await world.does(spent, BOB, b"one") == set()
    assert await world.rows("select codes_left from second_step($1)", BOB) == [(1,)]
    renewed = "select recovery_codes_renew($1, $2, array['three'::bytea, 'four'])"
    assert await world.does(renewed, B, BOB) == await world.does(renewed, A, ANN) == set()
    assert await world.does(renewed, A, BOB) == {"staff"}
    assert await world.does(spent, BOB, b"two") == set()
    assert await world.does(spent, BOB, b"three") == {"staff"}
    ended = "select second_step_end($1, $2)"
    assert await world.does(ended, B, BOB) == await world.does(ended, A, ANN) == set()
    assert await world.does(ended, A, BOB) == {"staff"}
    assert await world.rows("select secret, since, codes_left from second_step($1)", BOB) == [(None, None, 0)]


async def test_a_shop_is_never_left_without_an_owner(world: World) -> None:
    assert await world.rows("select staff_disable($1)", ANN) == [(A,)]
    assert await world.does("select staff_disable($1)", ANN) == set()
    assert await world.does("select staff_disable($1)", EVE) == set()


async def test_what_is_asked_of_all_shops_names_shops_only(world: World) -> None:
    stale = {row[0] for row in await world.rows("select workspaces_with_stale_customers()")}
    assert {A, B} & stale == {B}
    marked = {row[0] for row in await world.rows("select workspaces_with_stale_segments()")}
    assert {A, B} & marked == {B}
    aged = {row[0] for row in await world.rows("select workspaces_with_aged_segments(now())")}
    assert {A, B} & aged == {A}
    waiting = {row[0] for row in await world.rows("select workspaces_with_messages()")}
    assert {A, B} & waiting == {A}
    listed = {row[0] for row in await world.rows("select all_workspaces()")}
    assert {A, B} <= listed
    assert {row[0] for row in await world.rows("select workspace_id from workspace_list()")} == listed
    new = uuid4()
    added = "select workspace_add($1, 'New', 'USD', 2::smallint, 'UTC', '{delivered}')"
    assert await world.does(added, new) == set()
    assert (new,) in await world.rows("select all_workspaces()")


async def test_a_worker_touches_the_jobs_that_it_holds_and_no_others(world: World) -> None:
    assert await world.rows("select id from job_claimed('w1', $1)", EVE) == []
    assert await world.rows("select id from job_claimed('w1', $1)", ANN) == [(ANN,)]
    beat = "select id from job_beat('w1', $1, array[interval '1 h', interval '1 h'], array[null, null]::jsonb[])"
    assert await world.does(beat, [ANN, EVE]) == {"job A"}
    ended = """select job_end('w1', $1, array['done', 'done'], array[null, null], array[null, null]::interval[],
                              array[null, null]::jsonb[])"""
    assert await world.does(ended, [ANN, EVE]) == {"job A"}
    assert await world.does("select job_recover('{}')") >= {"job B"}
    claimed = "select id from job_claim('w3', '{fence.test}', array[interval '1 min'], 10, 10)"
    assert await world.does(claimed) == {"job B"}
    assert ("w2",) not in await world.rows("select job_workers()")
    assert await world.does("select job_defer_house($1, 'fence.house', now(), 3)", uuid4()) == {"job"}
    assert await world.rows("select job_pending('{fence.house}')") >= [(1,)]
    assert ("fence.house", "queued", 1) in await world.rows("select kind, state, jobs from job_counts()")
    assert await world.does("select jobs_forget(interval '7 days', 10)") == {"job A"}
    assert await world.does("select idempotency_forget(interval '24 hours', 10)") == {"idempotency A"}
    assert await world.does("select event_log_rebase()") == set()


async def test_what_is_counted_for_all_processes_starts_anew_and_is_forgotten_when_its_period_ends(
    world: World,
) -> None:
    counted = "select subject, taken, left_s from throttle_count($1, $2, $3)"
    minute, over = timedelta(minutes=1), timedelta(seconds=-1)
    assert await world.does(counted, ["b", "a", "c"], [2, 3, -1], [minute, minute, over]) == {"throttle"}
    assert await world.rows(counted, ["a", "b"], [1, -1], [over, over]) == [("a", 4, 60.0), ("b", 1, 60.0)]
    assert await world.rows(counted, ["b", "c"], [-100, 5], [minute, over]) == [("b", 0, 60.0), ("c", 5, -1.0)]
    assert await world.does("select throttle_forget(10)") == {"throttle"}
    assert await world.does("select throttle_forget(10)") == set()
    assert await world.rows(counted, ["a"], [0], [over]) == [("a", 4, 60.0)]


async def test_a_delivery_finds_its_connection_and_no_ended_one(world: World) -> None:
    found = "select workspace_id, shop, secret from channel_by_id($1)"
    assert await world.rows(found, ANN) == [(A, "a", b"sealed")]
    assert await world.rows(found, EVE) == []
    assert await world.rows(found, uuid4()) == []


async def test_learning_sizes_changes_no_row(world: World) -> None:
    assert await world.does("select learn_sizes()") == set()


async def test_learning_how_many_are_compared_changes_no_row(world: World) -> None:
    assert await world.does("select learn_duplicates()") == set()


async def test_learning_sizes_leaves_nothing_beside_the_search_index(world: World, owner: "Connection") -> None:
    await world.does("select learn_sizes()")
    assert await owner.fetchval("select gin_clean_pending_list('data.customer_search')") == 0


EXPORTED = f"""
    insert into data.export_run (workspace_id, id, kind, format, status, asked, file_name, file_key, actor, deleted_at)
    values ('{A}', '{ANN}', 'customers', 'csv', 'completed', '{{}}', 'a.csv', 'exports/a', 'cli', null),
           ('{A}', '{BOB}', 'customers', 'csv', 'running', '{{}}', 'b.csv', null, 'cli', null),
           ('{B}', '{EVE}', 'customers', 'xlsx', 'completed', '{{}}', 'b.xlsx', 'exports/b', 'cli', null),
           ('{B}', '{BOB}', 'customers', 'csv', 'completed', '{{}}', 'c.csv', 'exports/c', 'cli', now())"""


async def test_a_link_finds_its_own_file_and_no_deleted_one(world: World) -> None:
    await world.con.execute("set local role none")
    await world.con.execute(EXPORTED)
    await world.con.execute("set local role supover_app")
    found = "select workspace_id, id, format, file_name from export_of_file($1)"
    assert await world.rows(found, "exports/a") == [(A, ANN, "csv", "a.csv")]
    assert await world.rows(found, "exports/b") == [(B, EVE, "xlsx", "b.xlsx")]
    for wrong in ("exports/c", "exports/", "", "%", None):
        assert await world.rows(found, wrong) == []


SAID = f"""
    insert into data.customer (workspace_id, id, source) values ('{A}', '{EVE}', 'IMPORT'), ('{A}', '{BOB}', 'IMPORT');
    insert into data.consent_entry (workspace_id, id, customer_id, channel, topic, state, opt_in_level, at, received_at, fingerprint, actor,
                                    origin)
    select w, c, c, 'email', 'marketing', 'UNSUBSCRIBED', 'UNKNOWN', now(), now(), 'f', 'cli', 'import'
      from (values ('{A}'::uuid, '{EVE}'::uuid), ('{A}', '{BOB}'), ('{B}', '{EVE}')) as n (w, c)"""


async def test_what_unmade_customers_said_goes_in_ones_own_shop_alone(world: World) -> None:
    await world.con.execute("set local role none")
    await world.con.execute(SAID)
    await world.con.execute("set local role supover_app")
    unmade = "select consent_unmake($1)"
    await enter(world.con, None)
    assert await world.does(unmade, [EVE, BOB]) == set()
    await enter(world.con, A)
    assert await world.does(unmade, [uuid4()]) == set()
    assert await world.does(unmade, [EVE]) == {"consent_entry A"}
    assert await world.rows("select customer_id from consent_entry") == [(BOB,)]
    with pytest.raises(asyncpg.PostgresError):
        await world.con.execute("delete from consent_entry")


YES: Final = f"""
    insert into data.customer (workspace_id, id, source) values ('{A}', '{EVE}', 'IMPORT'), ('{A}', '{BOB}', 'IMPORT');
    insert into data.consent_entry (workspace_id, id, customer_id, channel, topic, state, opt_in_level, at, received_at, fingerprint, actor,
                                    origin)
    select w, id, c, 'email', 'marketing', state, 'UNKNOWN', now(), now(), id::text::bytea, 'cli', origin
      from (values ('{A}'::uuid, '{EVE}'::uuid, '{EVE}'::uuid, 'SUBSCRIBED', 'import'),
                   ('{A}', '{BOB}', '{BOB}', 'UNSUBSCRIBED', 'import'),
                   ('{A}', '{ANN}', '{BOB}', 'SUBSCRIBED', 'live'),
                   ('{B}', '{EVE}', '{EVE}', 'SUBSCRIBED', 'import')) as n (w, id, c, state, origin)"""


async def test_only_what_a_file_said_yes_of_is_unsaid_in_ones_own_shop_alone(world: World) -> None:
    await world.con.execute("set local role none")
    await world.con.execute(YES)
    await world.con.execute("set local role supover_app")
    unsaid = "select consent_unsay($1)"
    await enter(world.con, None)
    assert await world.does(unsaid, [EVE, BOB, ANN]) == set()
    await enter(world.con, A)
    assert await world.does(unsaid, [EVE, BOB, ANN]) == {"consent_entry A"}
    assert await world.rows("select id from consent_entry order by id") == sorted([(BOB,), (ANN,)])


CONCLUDED: Final = f"""
    insert into data.customer_merge (workspace_id, id, primary_id, duplicate_ids, actor, actor_name, primary_created_at)
    select w, '{ANN}', '{EVE}', array['{BOB}'::uuid], 'cli', 'cli', now() from unnest(array['{A}', '{B}']::uuid[]) w;
    insert into data.customer_merge_row (workspace_id, merge_id, kind, former_id, row_id, deed)
    select w, '{ANN}', 'consent_entry', '{BOB}', '{EVE}', 'added' from unnest(array['{A}', '{B}']::uuid[]) w"""


async def test_only_what_a_merge_concluded_is_unsaid_in_ones_own_shop_alone(world: World) -> None:
    await world.con.execute("set local role none")
    await world.con.execute(YES)
    await world.con.execute(CONCLUDED)
    await world.con.execute("set local role supover_app")
    unmerged = "select consent_unmerge($1)"
    await enter(world.con, None)
    assert await world.does(unmerged, ANN) == set()
    await enter(world.con, A)
    assert await world.does(unmerged, uuid4()) == set()
    assert await world.does(unmerged, ANN) == {"consent_entry A"}
    assert await world.rows("select id from consent_entry order by id") == sorted([(BOB,), (ANN,)])


PERSON = f"""
    insert into data.customer (workspace_id, id, source, name) values ('{A}', '{EVE}', 'IMPORT', 'Eve'), ('{A}', '{BOB}', 'IMPORT', 'Bob');
    update data.customer set name = 'Eve' where workspace_id = '{B}' and id = '{EVE}';
    insert into data.customer_note (workspace_id, id, customer_id, note, author, author_name)
    select w, '{EVE}', '{EVE}', 'eve@house.test', 'cli', 'cli' from unnest(array['{A}', '{B}']::uuid[]) w;
    insert into data.saved_view (workspace_id, id, name, query, is_shared, owner, owner_name)
    select w, '{EVE}', 'Hers', 'search=eve@house.test', true, 'cli', 'cli' from unnest(array['{A}', '{B}']::uuid[]) w;
    insert into data.event_log (workspace_id, id, kind, at, customer_id, actor, origin, data)
    select w, '{EVE}', 'IdentityAdded', now(), '{EVE}', 'cli', 'live', '{{"value": "eve@house.test", "identityKind": "email"}}'
      from unnest(array['{A}', '{B}']::uuid[]) w;
    insert into data.audit_log (workspace_id, id, at, actor, action)
    select w, '{EVE}', now(), 'cli', 'x' from unnest(array['{A}', '{B}']::uuid[]) w;
    insert into data.channel_connection (workspace_id, id, platform, shop, name, secret)
    select w, '{EVE}', 'SHOPIFY', 'eve.myshopify.com', 'Eve', 's' from unnest(array['{A}', '{B}']::uuid[]) w on conflict do nothing;
    insert into data.inbox_message (workspace_id, id, connection_id, topic, delivery_id, body, body_hash, size, status, customer_id)
    select w, d::uuid, '{EVE}', 't', d, 'eve@house.test', 'h', 1, 'applied', c::uuid
      from unnest(array['{A}', '{B}']::uuid[]) w, (values ('{UUID(int=0xF1)}', '{EVE}'), ('{UUID(int=0xF2)}', null)) as n (d, c);
    insert into data.export_run (workspace_id, id, kind, format, status, asked, file_name, actor)
    select w, '{EVE}', 'customers', 'csv', 'running', '{{}}', 'x.csv', 'cli' from unnest(array['{A}', '{B}']::uuid[]) w
        on conflict do nothing"""


async def test_a_person_is_erased_in_ones_own_shop_alone(world: World) -> None:
    await world.con.execute("set local role none")
    await world.con.execute(PERSON)
    await world.con.execute("set local role supover_app")
    needle, harmless = ["%eve@house.test%"], ["identityKind"]
    asked: list[tuple[str, tuple[Any, ...], str]] = [
        ("select personal_facts($1, '{}', $2, '{}', $3)", ([EVE], needle, harmless), "event_log"),
        ("select personal_messages($1, '{}', $2, '{}')", ([EVE], needle), "inbox_message"),
        (
            "select personal_mentions('saved_view', '{query}', '{\"query\": \"masked\"}', $1, '{}', '{}', false)",
            (needle,),
            "saved_view",
        ),
        ("select personal_erase('customer_note', 'customer_id', $1, null, '{}', '{}')", ([EVE],), "customer_note"),
        ("select personal_erase('customer', 'id', $1, '{\"name\": \"null\"}', '{}', '{}')", ([EVE],), "customer"),
        ("select personal_exports_end()", (), "export_run"),
        ("select audit_forget($1, 10)", (UUID(int=2**128 - 1),), "audit_log"),
    ]
    for sql, args, table in asked:
        await enter(world.con, None)
        assert await world.does(sql, *args) == set(), sql
        await enter(world.con, A)
        assert await world.does(sql, *args) == {f"{table} A"}, sql
    assert await world.does("select personal_messages_of($1)", EVE) == set(), "all were forgotten"
    assert await world.rows("select personal_rows('customer', 'id', $1, '{id,name}')", [EVE, BOB]) == [
        (f'{{"id": "{BOB}", "name": "Bob"}}',), (f'{{"id": "{EVE}", "name": null}}',)
    ]  # fmt: skip
    assert await world.rows("select (personal_set('customer', '{\"name\": \"null\"}'))[1]") == [("name = null",)]
    with pytest.raises(asyncpg.PostgresError):
        await world.con.execute("select personal_may_go('audit_log')")


async def test_working_in_what_is_pending_changes_no_row(world: World) -> None:
    assert await world.does("select search_catch_up()") == set()


async def test_trusted_rows_need_no_parent_and_still_no_other_shop(database: str) -> None:
    """Only until they are checked again, or the transaction ends; and the fence stands all the while."""
    add = "insert into address (workspace_id, id, customer_id, type, match_key) values ($1, $2, $3, 'BOTH', '')"
    role = "select current_setting('session_replication_role')"
    async with connected(database, **APP) as con:
        await enter(con, A)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await con.execute("set session_replication_role = 'replica'")
        transaction = con.transaction()
        await transaction.start()
        assert await con.fetchval("select trust_references()") is True
        await con.execute(add, A, uuid4(), uuid4())
        with pytest.raises(asyncpg.WithCheckOptionViolationError):
            async with con.transaction():
                await con.execute(add, B, uuid4(), uuid4())
        await con.fetchval("select check_references()")
        assert await con.fetchval(role) == "origin"
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            async with con.transaction():
                await con.execute(add, A, uuid4(), uuid4())
        await con.fetchval("select trust_references()")
        await transaction.rollback()
        assert await con.fetchval(role) == "origin"
        transaction = con.transaction()
        await transaction.start()
        await con.fetchval("select trust_references()")
        await transaction.commit()
        assert await con.fetchval(role) == "origin"


async def test_every_function_that_sees_across_workspaces_is_asked_above(owner: "Connection") -> None:
    names = [row[0] for row in await owner.fetch(FUNCTIONS) if row[1]]
    assert [name for name in names if not re.search(rf"\b{name}\(", THIS)] == []


# --- connections that two shops use in turn ---------------------------------------------------------------------------

STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from([A, B, None]),
        st.sampled_from(["read", "write", "fail", "cancel", "savepoint"]),
        st.integers(0, 3),
    ),
    min_size=2,
    max_size=25,
)
MINE = "select workspace_id from customer_stale union all select current_workspace()"
ADD = "insert into customer_stale (workspace_id, customer_id) values ($1, $2)"


@given(steps=STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_connections_that_shops_share_never_mix_them_up(
    steps: list[tuple[UUID | None, str, int]], narrow: Database
) -> None:
    """Any interleaving of reads, writes, failures and cancellations on two connections sees one shop at a time."""

    async def step(shop: UUID | None, what: str, pauses: int) -> None:
        for _ in range(pauses):
            await asyncio.sleep(0)
        if shop is None:
            async with narrow.across() as con:
                assert [row[0] for row in await con.fetch(MINE)] == [None]
            return
        if what == "read":
            async with narrow.reader(shop, search=pauses > 1) as db:
                assert set(await db.column(MINE.replace("union", "where $1::uuid is not null union"))) == {shop}
            return
        async with narrow.tx(shop) as tx:
            await tx.run(ADD, ids.new())
            await asyncio.sleep(0)
            assert set(await tx.column(MINE.replace("union", "where $1::uuid is not null union"))) == {shop}
            if what == "savepoint":
                with contextlib.suppress(asyncpg.PostgresError):
                    async with tx.savepoint():
                        await tx.value("select 1 / 0 where $1::uuid is not null")
                assert set(await tx.column(MINE.replace("union", "where $1::uuid is not null union"))) == {shop}
            if what == "fail":
                await tx.value("select 1 / 0 where $1::uuid is not null")
            if what == "cancel":
                await asyncio.sleep(60)

    async def guarded(*given: Any) -> None:
        if given[1] == "cancel":
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(step(*given), 0.005)
            return
        with contextlib.suppress(asyncpg.DivisionByZeroError):
            await step(*given)

    await asyncio.gather(*(guarded(*one) for one in steps))
    assert narrow.in_use()[0] == 0


@pytest.fixture(scope="module")
async def narrow(database: str) -> AsyncGenerator[Database]:
    found = await Database.open(database, size=2)
    yield found
    await found.close()
