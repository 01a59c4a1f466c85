"""What can be set from outside, said once: name, type, bounds, default and meaning stand beside each other.

A value comes from a flag, else from the environment, else from `supover.toml`, else from its default. A secret may
stand in a file that `SUPOVER_<NAME>_FILE` (in the file `<name>_file`) names. Nothing is guessed: an unknown name
or a value of another type is an error that names the setting.
"""

import difflib
import os
import re
import secrets
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID

import msgspec
from msgspec import Meta

PREFIX: Final = "SUPOVER_"
FILE_NAME: Final = "supover.toml"
LEAST_SECRET: Final = 32
MOST_WORKERS: Final = 4
"""Unless more are asked for: beyond, the database is what limits, and each has its own connections to it."""

# Read by the Makefile, by kit/embedded and by the tests, not here.
TOOLING: Final = frozenset({"SUPOVER_SKIP_ASSETS", "SUPOVER_POSTGRES_BIN", "SUPOVER_POSTGRES_USER"})
TOOLING_PREFIX: Final = "SUPOVER_TEST_"

# Kubernetes puts these into every pod beside a service called "supover"; they are nobody's mistake.
KUBERNETES: Final = re.compile(r"SUPOVER_(?:SERVICE_(?:HOST|PORT)(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)")

SECRET: Final = {"secret": True}

# What an address may show after its question mark.
HARMLESS: Final = frozenset({"host", "port", "dbname", "sslmode", "application_name", "endpoint", "region", "style"})

Network = IPv4Network | IPv6Network


class SettingsError(ValueError):
    """A setting cannot be taken as it is."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set. `load` makes one; its paths are absolute and its derived values filled in."""

    data_dir: Annotated[
        Path,
        Meta(
            description="Folder of the embedded database, stored files and the generated key. Run as root, the database "
            "lies in /var/lib/supover, and DATA_DIR/postgres is a link to it."
        ),
    ]
    database_url: Annotated[
        str | None,
        Meta(description="PostgreSQL 16 or newer, as the owner. Unset: a database of our own starts.", extra=SECRET),
    ] = None
    app_database_url: Annotated[
        str | None,
        Meta(
            description="The same database, signed in as the role without ownership. Unset: the owner becomes it.",
            extra=SECRET,
        ),
    ] = None
    host: Annotated[str, Meta(description="Address to listen on.", min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(description="Port to listen on.", ge=1, le=65535)] = 8000
    public_url: Annotated[
        str, Meta(description="Where people and channels reach this server, without a path. Unset: http://HOST:PORT.")
    ]
    demo: Annotated[bool, Meta(description="Fill an empty database with demo data.")] = True
    workers: Annotated[
        int,
        Meta(
            description="Processes that answer requests, about 100 MB each. Unset: one a core, 4 at most.", ge=1, le=64
        ),
    ]
    secret_key: Annotated[
        str | None,
        Meta(
            description="Seals stored secrets and signs links; 32 characters or more. Several, newest first, "
            "separated by commas or white space: the first seals, all open. Unset: made once in DATA_DIR/secret.key.",
            extra=SECRET,
        ),
    ] = None
    log_format: Annotated[
        Literal["console", "json"], Meta(description="How log records look. Unset: console on a terminal, else json.")
    ]
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least severe records that are written.")
    ] = "info"
    pool_size: Annotated[int, Meta(description="Database connections a process that answers.", ge=1, le=1000)] = 10
    worker_pool_size: Annotated[
        int, Meta(description="Database connections a process that works off jobs.", ge=3, le=1000)
    ] = 6
    max_in_flight: Annotated[
        int, Meta(description="Requests that a process works on at a time; it turns others away with 503.", ge=1)
    ] = 256
    statement_timeout_s: Annotated[int, Meta(description="Seconds after which a statement ends.", ge=1, le=3600)] = 30
    job_concurrency: Annotated[int, Meta(description="Jobs that one worker runs at a time.", ge=1, le=100)] = 4
    trusted_proxies: Annotated[
        tuple[Network, ...],
        Meta(description="Networks (CIDR) whose X-Forwarded-* is believed. Empty: nobody's; comma-separated."),
    ] = ()
    session_hours: Annotated[int, Meta(description="Hours until staff have to sign in again.", ge=1, le=8760)] = 12
    metrics_token: Annotated[
        str | None, Meta(description="Bearer token that /metrics asks for. Unset: asks for none.", extra=SECRET)
    ] = None
    storage_url: Annotated[
        str,
        Meta(
            description="Where uploads and exports are kept: file:///FOLDER or s3://KEY:SECRET@BUCKET/PREFIX. "
            "Unset: DATA_DIR/storage.",
            extra=SECRET,
        ),
    ]
    allow_private_hosts: Annotated[
        bool, Meta(description="Let our requests reach private addresses, plain http and any port: development only.")
    ] = False
    rate_limit_per_minute: Annotated[
        int, Meta(description="Requests a minute of one API key made through the API.", ge=1)
    ] = 600
    upload_max_bytes: Annotated[int, Meta(description="Largest file taken for an import, in bytes.", ge=1)] = 2 << 30
    body_max_bytes: Annotated[int, Meta(description="Largest JSON body, in bytes.", ge=1024)] = 1 << 20
    workspace: Annotated[
        UUID | None,
        Meta(
            description="Id of the workspace that a command is for unless `--workspace` says another. "
            "Unset: the only one there is."
        ),
    ] = None

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={_masked(getattr(self, name)) if name in SECRETS else getattr(self, name)!r}" for name in FIELDS
        )
        return f"Settings({shown})"


class SettingDoc(msgspec.Struct, frozen=True):
    """One line of the reference. `env` and `toml` are its names there; `default` and `type` are for reading."""

    name: str
    env: str
    toml: str
    type: str
    default: str
    doc: str
    secret: bool


class SettingShown(msgspec.Struct, frozen=True):
    """A setting as it stands, without its secret, and where it came from."""

    name: str
    value: str
    origin: str


class _Field(msgspec.Struct, frozen=True):
    """A field of `Settings` as its annotation says it; `type` still has the bounds."""

    name: str
    type: Any
    bare: Any
    default: object
    doc: str
    secret: bool

    @property
    def env(self) -> str:
        return PREFIX + self.name.upper()


def _fields() -> dict[str, _Field]:
    hints = get_type_hints(Settings, include_extras=True)
    found: dict[str, _Field] = {}
    for field in msgspec.structs.fields(Settings):
        bare, meta = get_args(hints[field.name])
        assert isinstance(meta, Meta)
        found[field.name] = _Field(
            name=field.name,
            type=hints[field.name],
            bare=bare,
            default=field.default,
            doc=meta.description or "",
            secret=bool(meta.extra and meta.extra.get("secret")),
        )
    return found


FIELDS: Final = _fields()
SECRETS: Final = frozenset(name for name, field in FIELDS.items() if field.secret)
DERIVED: Final = {
    "data_dir": ".supover",
    "public_url": "http://HOST:PORT",
    "workers": "one a core, 4 at most",
    "log_format": "console on a terminal, else json",
    "storage_url": "DATA_DIR/storage",
}


def load(environ: Mapping[str, str] = os.environ, cwd: Path | None = None, **flags: object) -> Settings:
    """The settings in force. A flag that is None was not given. Raises SettingsError; writes nothing."""
    return load_with_origins(environ, cwd, **flags)[0]


def load_with_origins(
    environ: Mapping[str, str] = os.environ, cwd: Path | None = None, **flags: object
) -> tuple[Settings, dict[str, str]]:
    """As `load`, and where each value came from, by the setting's name."""
    cwd = (cwd or Path.cwd()).absolute()
    values: dict[str, object] = {}
    origins = dict.fromkeys(FIELDS, "default")
    for source in (_from_file(cwd / FILE_NAME), _from_environment(environ, cwd), _from_flags(flags)):
        for name, (value, origin) in source.items():
            values[name], origins[name] = value, origin
    _check(values, origins)
    return _complete(values, cwd), origins


def describe() -> list[SettingDoc]:
    """The reference of all settings, in the order of `Settings`."""
    return [
        SettingDoc(
            name=field.name,
            env=field.env,
            toml=field.name,
            type=_type_name(field.bare),
            default=_default_shown(field),
            doc=field.doc,
            secret=field.secret,
        )
        for field in FIELDS.values()
    ]


def show(settings: Settings, origins: Mapping[str, str]) -> list[SettingShown]:
    """Every setting as it stands, for people: of a secret only that it is set, of an address all but its password."""
    return [
        SettingShown(
            name=name,
            value=_masked(value) if name in SECRETS else _shown(value),
            origin=origins.get(name, "default"),
        )
        for name, value in ((name, cast("object", getattr(settings, name))) for name in FIELDS)
    ]


def master_keys(settings: Settings) -> tuple[str, ...]:
    """The keys that seal and sign, newest first, never none.

    Without SUPOVER_SECRET_KEY they are the words of DATA_DIR/secret.key, which is made at the first call (mode 0600,
    whole or not at all, and one for all processes that ask at once). Raises SettingsError when others may read it.
    """
    if settings.secret_key:
        return _keys_in(settings.secret_key, f"{PREFIX}SECRET_KEY")
    path = settings.data_dir / "secret.key"
    if not path.exists():
        _make_key(path)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise SettingsError(f"{path}: others may read this key; run chmod 600 {path}")
    return _keys_in(path.read_text("utf-8"), str(path))


def _keys_in(text: str, origin: str) -> tuple[str, ...]:
    keys = tuple(key for key in re.split(r"[\s,]+", text) if key)
    if not keys:
        raise SettingsError(f"{origin}: is empty; a key of {LEAST_SECRET} characters or more is needed")
    if any(len(key) < LEAST_SECRET for key in keys):
        raise SettingsError(f"{origin}: each key needs {LEAST_SECRET} characters or more")
    return keys


def _make_key(path: Path) -> None:
    # A link of a finished file either appears whole or loses to another process's: no key is ever half-written, and
    # nobody seals with one that is overwritten a moment later.
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".secret.key-", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(part, path)
        except FileExistsError:
            return
    finally:
        part.unlink()


def _from_file(path: Path) -> dict[str, tuple[object, str]]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error})") from None
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: {error}") from None
    found: dict[str, tuple[object, str]] = {}
    for key, value in given.items():
        name, from_file = _known(key, f"{path}: {key}", FIELDS)
        if name in found:
            raise SettingsError(f"{path}: {name} and {name}_file say the same thing; keep one")
        if from_file:
            if not isinstance(value, str):
                raise SettingsError(f"{path}: {key}: expected a path as a string")
            found[name] = _secret_in(path.parent / value, f"{path}: {key}")
        else:
            found[name] = _taken(FIELDS[name], value, f"{path}: {key}", strict=True), f"{path}"
    return found


def _from_environment(environ: Mapping[str, str], cwd: Path) -> dict[str, tuple[object, str]]:
    found: dict[str, tuple[object, str]] = {}
    by_env = {field.env: field for field in FIELDS.values()}
    for key, text in environ.items():
        if not key.startswith(PREFIX) or key in TOOLING or key.startswith(TOOLING_PREFIX) or KUBERNETES.fullmatch(key):
            continue
        env, from_file = _known(key, key, by_env)
        name = by_env[env].name
        # Compose files pass an unset variable on as an empty one.
        if not text.strip() or (name == "port" and text.startswith(("tcp://", "udp://"))):
            continue
        if name in found:
            raise SettingsError(f"{env} and {env}_FILE say the same thing; keep one")
        if from_file:
            found[name] = _secret_in(cwd / text.strip(), key)
        else:
            found[name] = _taken(by_env[env], text, key, strict=False), f"environment {key}"
    return found


def _from_flags(flags: Mapping[str, object]) -> dict[str, tuple[object, str]]:
    found: dict[str, tuple[object, str]] = {}
    for name, value in flags.items():
        flag = "--" + name.replace("_", "-")
        if name not in FIELDS:
            raise SettingsError(f"{flag}: there is no such setting")
        if value is not None:
            found[name] = _taken(FIELDS[name], value, flag, strict=not isinstance(value, str)), f"flag {flag}"
    return found


def _known(key: str, where: str, names: Mapping[str, _Field]) -> tuple[str, bool]:
    if key in names:
        return key, False
    for suffix in ("_FILE", "_file"):
        if key.endswith(suffix) and key.removesuffix(suffix) in names:
            if names[key.removesuffix(suffix)].secret:
                return key.removesuffix(suffix), True
            raise SettingsError(f"{where}: only secrets can stand in a file; set {key.removesuffix(suffix)}")
    near = difflib.get_close_matches(key, names, 1)
    raise SettingsError(f"{where}: there is no such setting" + (f"; is {near[0]} meant?" if near else ""))


def _secret_in(path: Path, where: str) -> tuple[object, str]:
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError(f"{where}: {path} cannot be read ({reason})") from None
    if not text:
        raise SettingsError(f"{where}: {path} is empty")
    return text, f"file {path}"


def _taken(field: _Field, value: object, where: str, *, strict: bool) -> object:
    if isinstance(value, str):
        value = value.strip()
    if field.bare is Path:
        if isinstance(value, str | Path) and str(value):
            return Path(value)
        raise SettingsError(f"{where}: expected a path")
    if get_origin(field.bare) is tuple:
        return _networks(value, where)
    if field.bare is bool and not strict:
        word = str(value).lower()
        if word in {"1", "true", "yes", "on"}:
            return True
        if word in {"0", "false", "no", "off"}:
            return False
        raise SettingsError(f"{where}: expected 1 or 0, true or false, yes or no, on or off")
    try:
        return cast("object", msgspec.convert(value, field.type, strict=strict))
    except msgspec.ValidationError as error:
        expected = str(error) if not field.secret else "expected a string"
        raise SettingsError(f"{where}: {expected[:1].lower()}{expected[1:]}") from None


def _networks(value: object, where: str) -> tuple[Network, ...]:
    items: Sequence[object]
    if isinstance(value, str):
        items = [item for item in re.split(r"[\s,]+", value) if item]
    elif isinstance(value, list | tuple):
        items = cast("Sequence[object]", value)
    else:
        raise SettingsError(f"{where}: expected a list of networks such as 10.0.0.0/8")
    found: list[Network] = []
    for item in items:
        if not isinstance(item, str | IPv4Network | IPv6Network):
            raise SettingsError(f"{where}: expected a list of networks such as 10.0.0.0/8")
        try:
            found.append(ip_network(item))
        except ValueError as error:
            raise SettingsError(f"{where}: {error}") from None
    return tuple(found)


def _check(values: Mapping[str, object], origins: Mapping[str, str]) -> None:
    for name in ("database_url", "app_database_url"):
        url = values.get(name)
        if isinstance(url, str) and not url.startswith(("postgres://", "postgresql://")):
            raise SettingsError(f"{_said(name, origins)}: expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    if "app_database_url" in values and "database_url" not in values:
        raise SettingsError(f"{_said('app_database_url', origins)}: needs {PREFIX}DATABASE_URL, the owner's, too")
    if isinstance(keys := values.get("secret_key"), str):
        _keys_in(keys, _said("secret_key", origins))
    if isinstance(url := values.get("public_url"), str) and not _is_origin(url):
        raise SettingsError(f"{_said('public_url', origins)}: expected https://HOST or http://HOST:PORT, no path")


def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return sound and not (parts.username or parts.query or parts.fragment or parts.path.strip("/"))


def _said(name: str, origins: Mapping[str, str]) -> str:
    origin = origins[name].removeprefix("environment ").removeprefix("flag ")
    return origin if origins[name].startswith(("environment ", "flag ")) else f"{origin}: {name}"


def _complete(values: Mapping[str, object], cwd: Path) -> Settings:
    given = dict(values)
    # normpath, not resolve: a link to another disk stays the link that the operator wrote.
    data_dir = Path(os.path.normpath(cwd / cast("Path", given.get("data_dir", DERIVED["data_dir"]))))
    given["data_dir"] = data_dir
    host = cast("str", given.get("host", FIELDS["host"].default))
    port = given.get("port", FIELDS["port"].default)
    given["public_url"] = cast("str", given.get("public_url") or _own_url(host, port)).rstrip("/")
    given.setdefault("workers", min(cores(), MOST_WORKERS))
    given.setdefault("log_format", "console" if sys.stderr.isatty() else "json")
    given.setdefault("storage_url", (data_dir / "storage").as_uri())
    return Settings(**cast("dict[str, Any]", given))


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _own_url(host: str, port: object) -> str:
    # Nobody can visit "every address"; on this machine the loopback answers for it.
    reached = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{reached}:{port}"


def _type_name(bare: object) -> str:
    if get_origin(bare) is Literal:
        return " | ".join(str(choice) for choice in get_args(bare))
    if get_origin(bare) is tuple:
        return "list of networks"
    names: dict[object, str] = {str: "text", int: "integer", bool: "boolean", Path: "path", UUID: "id"}
    return next(names[kind] for kind in (get_args(bare) or (bare,)) if kind in names)


def _default_shown(field: _Field) -> str:
    return DERIVED.get(field.name) or _shown(field.default)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in cast("tuple[object, ...]", value))
    return str(value)


def _masked(value: object) -> str:
    if not isinstance(value, str) or not value:
        return ""
    if value.startswith("file://"):
        return value
    if not value.startswith(("postgres://", "postgresql://", "s3://")):
        return "(set)"
    try:
        parts = urlsplit(value)
        host = (f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or "") + (
            f":{parts.port}" if parts.port else ""
        )
    except ValueError:
        return "(set)"
    who = f"{parts.username}{':***' if parts.password else ''}@" if parts.username else ""
    query = urlencode([(k, v if k in HARMLESS else "***") for k, v in parse_qsl(parts.query)], safe="*/:")
    return urlunsplit((parts.scheme, who + host, parts.path, query, ""))
