"""`supover doctor`: looks at everything that running needs, changes nothing, and says what is wrong."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from supover import __version__, up
from supover import settings as configuration
from supover.kit import embedded, migrate, storage
from supover.kit.db import APP_ROLE
from supover.kit.storage import StorageUnavailable
from supover.settings import Settings, SettingsError

LEAST_FREE_BYTES: Final = 1 << 30
SIGN_IN: Final = (
    f"the application signs in as the owner and becomes {APP_ROLE}, which an injected statement can undo: "
    f"give {APP_ROLE} a password and set SUPOVER_APP_DATABASE_URL"
)
LEAST_POSTGRES: Final = 160_000
PRIVATE: Final = ("local.json", "first_run.json", "secret.key", "postgres/password", "postgres/app_password")


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at; with `warning` it works, and would be better otherwise."""

    name: str
    ok: bool
    said: str
    warning: bool = False


def doctor(*, json: bool) -> None:
    """Prints every finding; ends with 1 when something is wrong."""
    findings = examine()
    up.show(findings, [f"{_mark(one)}  {one.name:10}  {one.said}" for one in findings], json=json)
    if not all(one.ok for one in findings):
        raise SystemExit(1)


def _mark(one: Finding) -> str:
    return "BAD " if not one.ok else "WARN" if one.warning else "ok  "


def examine() -> list[Finding]:
    """Everything that can be looked at; only the settings when those cannot be read."""
    python = ".".join(map(str, sys.version_info[:3]))
    found = [Finding("version", sys.version_info >= (3, 11), f"Supover {__version__} on Python {python}")]
    try:
        settings, origins = configuration.load_with_origins()
    except SettingsError as error:
        return [*found, Finding("settings", False, str(error))]
    given = [name for name, origin in origins.items() if origin != "default"]
    found.append(Finding("settings", True, f"given: {', '.join(given) or 'none, all defaults'}"))
    looks: Sequence[Callable[[Settings], Iterator[Finding]]] = (_folder, _storage, _secrets, _database, _port, _assets)
    return found + [finding for look in looks for finding in look(settings)]


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    if not folder.exists():
        yield Finding("data", True, f"{folder} is not there yet; `supover up` makes it")
        return
    yield Finding("data", os.access(folder, os.W_OK | os.X_OK), f"{folder}, to be read and written")
    free = shutil.disk_usage(folder).free
    yield Finding("disk", free >= LEAST_FREE_BYTES, f"{free / (1 << 30):.1f} GiB free there, 1 GiB needed")


def _storage(settings: Settings) -> Iterator[Finding]:
    try:
        yield Finding("storage", True, asyncio.run(storage.of(settings.storage_url).look()))
    except (ValueError, StorageUnavailable) as error:
        yield Finding("storage", False, str(error))


def _secrets(settings: Settings) -> Iterator[Finding]:
    present = [path for name in PRIVATE if (path := settings.data_dir / name).exists()]
    loose = [path for path in present if path.stat().st_mode & 0o077]
    yield Finding("secrets", not loose, f"others may read {loose[0]}: run chmod 600" if loose else "nobody else's")


def _database(settings: Settings) -> Iterator[Finding]:
    if settings.database_url is None:
        try:
            program = embedded.programs() / "postgres"
            said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        except (embedded.EmbeddedError, OSError, subprocess.CalledProcessError) as error:
            yield Finding("postgres", False, str(error))
            return
        yield Finding("postgres", True, f"{said}, our own")
        if not (settings.data_dir / "postgres" / "data" / "PG_VERSION").exists():
            yield Finding("database", True, "not made yet; `supover up` makes it")
            return
    try:
        with embedded.database(settings.data_dir, settings.database_url) as owner_url:
            own = settings.database_url is None
            app_url = embedded.place(settings.data_dir).app_dsn() if own else settings.app_database_url
            yield from asyncio.run(_asked(owner_url, app_url))
            if app_url is None and not own:
                yield Finding("sign-in", True, SIGN_IN, warning=True)
    except embedded.EmbeddedError as error:
        yield Finding("database", False, str(error))


async def _asked(owner_url: str, app_url: str | None) -> list[Finding]:
    try:
        con = await asyncpg.connect(owner_url, timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return [Finding("database", False, f"cannot be reached: {type(error).__name__}: {error}")]
    try:
        number = int(await con.fetchval("show server_version_num"))
        encoding = await con.fetchval("show server_encoding")
        good = number >= LEAST_POSTGRES and encoding == "UTF8"
        found = [
            Finding(
                "database", good, f"PostgreSQL {number // 10_000}.{number % 10_000}, {encoding}; 16 and UTF8 needed"
            )
        ]
        try:
            waiting = await migrate.pending(owner_url)
        except migrate.MigrationError as error:
            return [*found, Finding("schema", False, str(error))]
        said = f"{len(waiting)} migrations wait: run `supover migrate`" if waiting else "of this release"
        found.append(Finding("schema", not waiting, said))
    finally:
        await con.close()
    return found if waiting else [*found, await _fence(owner_url, app_url)]


TOO_MUCH: Final = """
    select current_user::text, usesuper or has_schema_privilege('data', 'usage') as too_much
      from pg_user where usename = current_user
    union all
    select current_user::text, has_schema_privilege('data', 'usage')
     where not exists (select 1 from pg_user where usename = current_user)"""


async def _fence(owner_url: str, app_url: str | None) -> Finding:
    """Whether the application works as somebody who cannot reach behind the fence."""
    settings = {} if app_url else {"role": APP_ROLE}
    try:
        con = await asyncpg.connect(app_url or owner_url, timeout=10, server_settings=settings)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return Finding("fence", False, f"the application cannot sign in: {type(error).__name__}: {error}")
    try:
        who, too_much = tuple(await con.fetchrow(TOO_MUCH) or ("nobody", True))
    finally:
        await con.close()
    return Finding(
        "fence", not too_much, f"the application is {who}, {'and may reach' if too_much else 'kept from'} the tables"
    )


def _port(settings: Settings) -> Iterator[Finding]:
    url = up.local_url(settings)
    if up.is_ready(url):
        yield Finding("port", True, f"{url} answers and is ready")
    elif (error := up.taken(settings)) is not None:
        yield Finding("port", False, f"{settings.host}:{settings.port}: {error.strerror}; set SUPOVER_PORT to another")
    else:
        yield Finding("port", True, f"{settings.host}:{settings.port} is free")


def _assets(settings: Settings) -> Iterator[Finding]:
    del settings
    page = Path(str(files("supover"))) / "static" / "swagger" / "swagger-ui-bundle.js"
    yield Finding("assets", True, "there" if page.exists() else "installed without; /docs shows the document alone")
