"""The second fence: what the application's role can see and do when a statement forgets its workspace."""

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supover.kit import ids, migrate
from supover.kit.db import Database
from tests.house.conftest import APP, BIG, EMPTY, OTHER, connected

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

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
    owned = "select count(*) from pg_shdepend where refobjid = 'supover_app'::regrole and deptype = 'o'"
    assert await owner.fetchval(owned) == 0
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
            own = {t.name: await owner.fetchval(f"select count(*) from data.{t.name} where workspace_id = $1", BIG) for t in tables}
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
            after = {t.name: await owner.fetchval(f"select count(*) from data.{t.name} where workspace_id = $1", BIG) for t in tables}
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
            await con.copy_records_to_table("customer_stale", records=[(BIG, BIG)], columns=["workspace_id", "customer_id"])


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
    "membership: membership_staff": "signing in asks which workspaces a person has",
    "job: job_pkey": "a worker names jobs of all workspaces, and the house's own have none",
    "job: job_due": "the claim goes over all workspaces, by their ids: those of the house come first",
    "job: job_running": "leases run out in all workspaces",
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


async def test_what_sees_across_workspaces_stands_in_one_file_and_is_for_the_application_only(
    owner: "Connection",
) -> None:
    file = next(migrate.folder().glob("*_fence_across.sql")).read_text("utf-8")
    named = re.findall(r"^create (?:or replace )?function fence\.(\w+)", file, re.MULTILINE)
    assert len(named) == len(set(named))
    found = {row[0]: row for row in await owner.fetch(FUNCTIONS)}
    assert set(found) == set(named) | PLAIN
    for name, (_, definer, config, _, boss, grantees) in found.items():
        assert definer is (name not in PLAIN), name
        assert grantees == ["supover_app"], name
        assert boss != "supover_app", name
        if definer:
            assert config == ["search_path=data, ext"], name
    elsewhere = "select count(*) from pg_proc where prosecdef and pronamespace <> 'fence'::regnamespace"
    assert await owner.fetchval(elsewhere) == 0
