import os
import stat
import threading
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supover import settings
from supover.settings import Settings, SettingsError, describe, load, load_with_origins, master_keys, show

KEY = "k" * 32
CANARY = "hunter2canary"


def refusal(folder: Path, environ: dict[str, str] | None = None, toml: str = "", **flags: object) -> str:
    (folder / "supover.toml").write_text(toml)
    with pytest.raises(SettingsError) as caught:
        load(environ or {}, folder, **flags)
    return str(caught.value)


def test_without_anything_set_the_defaults_hold(tmp_path: Path) -> None:
    found = load({}, tmp_path)
    assert found.data_dir == tmp_path / ".supover"
    assert (found.host, found.port, found.public_url) == ("127.0.0.1", 8000, "http://127.0.0.1:8000")
    assert (found.database_url, found.secret_key, found.metrics_token) == (None, None, None)
    assert (found.demo, found.trusted_proxies) == (True, ())
    assert (found.upload_max_bytes, found.body_max_bytes) == (2147483648, 1048576)
    assert found.storage_url == (tmp_path / ".supover" / "storage").as_uri()


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 2), (4, 4), (64, 4)])
def test_unless_told_one_process_a_core_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, workers: int
) -> None:
    monkeypatch.setattr(settings, "cores", lambda: cores)
    assert load({}, tmp_path).workers == workers
    assert load({"SUPOVER_WORKERS": "7"}, tmp_path).workers == 7


def test_flags_win_over_environment_over_file_over_default(tmp_path: Path) -> None:
    (tmp_path / "supover.toml").write_text('port = 1\nhost = "file"\nworkers = 2\n')
    found, origins = load_with_origins({"SUPOVER_PORT": "2", "SUPOVER_HOST": "env"}, tmp_path, port=3, demo=None)
    assert (found.port, found.host, found.workers, found.demo) == (3, "env", 2, True)
    assert origins["port"] == "flag --port"
    assert origins["host"] == "environment SUPOVER_HOST"
    assert origins["workers"] == str(tmp_path / "supover.toml")
    assert origins["demo"] == "default"


def test_every_setting_is_taken_from_every_source(tmp_path: Path) -> None:
    values = {
        "data_dir": ("var", '"var"', tmp_path / "var"),
        "database_url": ("postgresql://a@h/d", '"postgresql://a@h/d"', "postgresql://a@h/d"),
        "app_database_url": ("postgres://b@h/d", '"postgres://b@h/d"', "postgres://b@h/d"),
        "host": ("0.0.0.0", '"0.0.0.0"', "0.0.0.0"),
        "port": ("80", "80", 80),
        "public_url": ("https://shop.example/", '"https://shop.example"', "https://shop.example"),
        "demo": ("0", "false", False),
        "workers": ("4", "4", 4),
        "secret_key": (KEY, f'"{KEY}"', KEY),
        "log_format": ("console", '"console"', "console"),
        "log_level": ("debug", '"debug"', "debug"),
        "pool_size": ("5", "5", 5),
        "worker_pool_size": ("5", "5", 5),
        "statement_timeout_s": ("5", "5", 5),
        "job_concurrency": ("5", "5", 5),
        "trusted_proxies": (
            "10.0.0.0/8, ::1",
            '["10.0.0.0/8", "::1"]',
            (ip_network("10.0.0.0/8"), ip_network("::1/128")),
        ),
        "session_hours": ("5", "5", 5),
        "metrics_token": ("t", '"t"', "t"),
        "storage_url": ("file:///s", '"file:///s"', "file:///s"),
        "allow_private_hosts": ("yes", "true", True),
        "rate_limit_per_minute": ("5", "5", 5),
        "upload_max_bytes": ("5", "5", 5),
        "max_in_flight": ("50", "50", 50),
        "body_max_bytes": ("5000", "5000", 5000),
        "workspace": (str(UUID(int=7)), f'"{UUID(int=7)}"', UUID(int=7)),
    }
    assert set(values) == set(settings.FIELDS)
    expected = {name: value for name, (_, _, value) in values.items()}
    from_environment = load({f"SUPOVER_{name.upper()}": text for name, (text, _, _) in values.items()}, tmp_path)
    assert msgspec.structs.asdict(from_environment) == expected
    from_flags = load({}, tmp_path, **expected)
    assert msgspec.structs.asdict(from_flags) == expected
    (tmp_path / "supover.toml").write_text("".join(f"{name} = {toml}\n" for name, (_, toml, _) in values.items()))
    assert msgspec.structs.asdict(load({}, tmp_path)) == expected


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"SUPOVER_PROT": "1"}, "SUPOVER_PROT: there is no such setting; is SUPOVER_PORT meant?"),
        ({"SUPOVER_": "1"}, "SUPOVER_: there is no such setting"),
        ({"SUPOVER_PORT": "eighty"}, "SUPOVER_PORT: expected `int`, got `str`"),
        ({"SUPOVER_PORT": "0"}, "SUPOVER_PORT: expected `int` >= 1"),
        ({"SUPOVER_PORT": "65536"}, "SUPOVER_PORT: expected `int` <= 65535"),
        # The inbox's drain holds two connections, and one more claims jobs.
        ({"SUPOVER_WORKER_POOL_SIZE": "2"}, "SUPOVER_WORKER_POOL_SIZE: expected `int` >= 3"),
        ({"SUPOVER_DEMO": "maybe"}, "SUPOVER_DEMO: expected 1 or 0, true or false, yes or no, on or off"),
        ({"SUPOVER_LOG_FORMAT": "xml"}, "SUPOVER_LOG_FORMAT: invalid enum value 'xml'"),
        ({"SUPOVER_TRUSTED_PROXIES": "10.0.0.1/8"}, "SUPOVER_TRUSTED_PROXIES: 10.0.0.1/8 has host bits set"),
        ({"SUPOVER_TRUSTED_PROXIES": "me"}, "SUPOVER_TRUSTED_PROXIES: 'me' does not appear to be"),
        ({"SUPOVER_PUBLIC_URL": "shop.example"}, "SUPOVER_PUBLIC_URL: expected https://HOST"),
        ({"SUPOVER_PUBLIC_URL": "https://shop.example/app"}, "SUPOVER_PUBLIC_URL: expected https://HOST"),
        ({"SUPOVER_PUBLIC_URL": "http://h:99999"}, "SUPOVER_PUBLIC_URL: expected https://HOST"),
        ({"SUPOVER_DATABASE_URL": f"mysql://{CANARY}"}, "SUPOVER_DATABASE_URL: expected postgresql://"),
        ({"SUPOVER_APP_DATABASE_URL": "postgresql://h/d"}, "SUPOVER_APP_DATABASE_URL: needs SUPOVER_DATABASE_URL"),
        ({"SUPOVER_SECRET_KEY": CANARY}, "SUPOVER_SECRET_KEY: each key needs 32 characters or more"),
        ({"SUPOVER_SECRET_KEY": f"{KEY},{CANARY}"}, "SUPOVER_SECRET_KEY: each key needs 32 characters or more"),
        ({"SUPOVER_PORT_FILE": "/x"}, "SUPOVER_PORT_FILE: only secrets can stand in a file; set SUPOVER_PORT"),
        ({"SUPOVER_SECRET_KEY_FILE": "/none"}, "SUPOVER_SECRET_KEY_FILE: /none cannot be read (No such file"),
        (
            {"SUPOVER_SECRET_KEY": KEY, "SUPOVER_SECRET_KEY_FILE": "/none"},
            "SUPOVER_SECRET_KEY and SUPOVER_SECRET_KEY_FILE say the same thing",
        ),
    ],
)
def test_a_bad_environment_is_refused_by_name(tmp_path: Path, environ: dict[str, str], said: str) -> None:
    message = refusal(tmp_path, environ)
    assert message.startswith(said)
    assert CANARY not in message


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("prot = 1", "prot: there is no such setting; is port meant?"),
        ('port = "80"', "port: expected `int`, got `str`"),
        ("port = 0", "port: expected `int` >= 1"),
        ("port = 1.5", "port: expected `int`, got `float`"),
        ("demo = 1", "demo: expected `bool`, got `int`"),
        ("data_dir = 1", "data_dir: expected a path"),
        ('data_dir = ""', "data_dir: expected a path"),
        ("trusted_proxies = 1", "trusted_proxies: expected a list of networks"),
        ("trusted_proxies = [1]", "trusted_proxies: expected a list of networks"),
        ("secret_key = 5", "secret_key: expected a string"),
        ("secret_key_file = 5", "secret_key_file: expected a path as a string"),
        ('secret_key = "short"', "secret_key: each key needs 32 characters or more"),
        ('port_file = "x"', "port_file: only secrets can stand in a file; set port"),
        ('database_url = "x"', "database_url: expected postgresql://"),
        (f'secret_key = "{KEY}"\nsecret_key_file = "x"', "secret_key and secret_key_file say the same thing"),
        ("port = ", "Invalid value"),
        ("[server]\nport = 1", "server: there is no such setting"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, toml: str, said: str) -> None:
    assert refusal(tmp_path, toml=toml).startswith(f"{tmp_path / 'supover.toml'}: {said}")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "supover.toml").write_bytes(b"host = '\xff'")
    with pytest.raises(SettingsError, match=r"supover\.toml: cannot be read"):
        load({}, tmp_path)


def test_bad_flags_are_refused_by_name(tmp_path: Path) -> None:
    assert refusal(tmp_path, prot=1) == "--prot: there is no such setting"
    assert refusal(tmp_path, port="x").startswith("--port: expected `int`")
    assert refusal(tmp_path, port=1.5).startswith("--port: expected `int`")
    assert refusal(tmp_path, public_url="x").startswith("--public-url: expected https://HOST")


def test_secrets_come_from_files(tmp_path: Path) -> None:
    for name, text in (("key", KEY), ("url", "postgresql://u:p@h/d"), ("token", "tok")):
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "supover.toml").write_text('metrics_token_file = "token"\n')
    found, origins = load_with_origins(
        {"SUPOVER_SECRET_KEY_FILE": str(tmp_path / "key"), "SUPOVER_DATABASE_URL_FILE": "url"}, tmp_path
    )
    assert (found.secret_key, found.database_url, found.metrics_token) == (KEY, "postgresql://u:p@h/d", "tok")
    assert origins["secret_key"] == f"file {tmp_path / 'key'}"
    (tmp_path / "key").write_text(" \n")
    with pytest.raises(SettingsError, match=r"SUPOVER_SECRET_KEY_FILE: .* is empty"):
        load({"SUPOVER_SECRET_KEY_FILE": str(tmp_path / "key")}, tmp_path)


def test_tooling_empty_and_kubernetes_variables_are_left_alone(tmp_path: Path) -> None:
    found = load(
        {
            "SUPOVER_SKIP_ASSETS": "1",
            "SUPOVER_POSTGRES_BIN": "/x",
            "SUPOVER_POSTGRES_USER": "me",
            "SUPOVER_TEST_ANYTHING": "1",
            "SUPOVER_SECRET_KEY": "",
            "SUPOVER_PORT": "tcp://10.0.0.1:8000",
            "SUPOVER_SERVICE_HOST": "10.0.0.1",
            "SUPOVER_SERVICE_PORT_HTTP": "8000",
            "SUPOVER_PORT_8000_TCP": "tcp://10.0.0.1:8000",
            "SUPOVER_PORT_8000_TCP_ADDR": "10.0.0.1",
            "HOME": "/root",
        },
        tmp_path,
    )
    assert (found.port, found.secret_key) == (8000, None)


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:8000"), ("::", "http://[::1]:8000"), ("::1", "http://[::1]:8000")],
)
def test_the_public_url_is_one_that_can_be_visited(tmp_path: Path, host: str, url: str) -> None:
    assert load({"SUPOVER_HOST": host}, tmp_path).public_url == url


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    environ = {
        "SUPOVER_SECRET_KEY": CANARY * 4,
        "SUPOVER_METRICS_TOKEN": CANARY,
        "SUPOVER_DATABASE_URL": f"postgresql://me:{CANARY}@[::1]:5/db?password={CANARY}&host=/tmp",
        "SUPOVER_APP_DATABASE_URL": f"postgres://h/db?sslpassword={CANARY}#{CANARY}",
        "SUPOVER_STORAGE_URL": f"s3://me:{CANARY}@bucket/in?endpoint=https://h:9000&region=x&token={CANARY}",
    }
    found, origins = load_with_origins(environ, tmp_path)
    lines = {line.name: line for line in show(found, origins)}
    assert CANARY not in repr(found) + str(lines)
    assert lines["database_url"].value == "postgresql://me:***@[::1]:5/db?password=***&host=/tmp"
    assert lines["app_database_url"].value == "postgres://h/db?sslpassword=***"
    assert lines["storage_url"].value == "s3://me:***@bucket/in?endpoint=https://h:9000&region=x&token=***"
    assert lines["secret_key"].value == lines["metrics_token"].value == "(set)"
    assert lines["secret_key"].origin == "environment SUPOVER_SECRET_KEY"
    assert lines["trusted_proxies"].value == ""
    assert list(lines) == list(settings.FIELDS)


@given(st.text(), st.text())
def test_no_database_address_shows_its_password(password: str, rest: str) -> None:
    hidden = quote(f"{CANARY}{password}", safe="")
    found = Settings(
        data_dir=Path("x"),
        public_url="",
        workers=1,
        log_format="json",
        storage_url="",
        database_url=f"postgresql://me:{hidden}@host/{rest}",
    )
    assert CANARY not in repr(found)


def test_the_reference_documents_every_setting() -> None:
    docs = describe()
    assert [doc.name for doc in docs] == list(settings.FIELDS)
    assert all(doc.doc.endswith(".") and doc.type and doc.env == f"SUPOVER_{doc.name.upper()}" for doc in docs)
    assert {doc.name for doc in docs if doc.secret} == {
        "database_url",
        "app_database_url",
        "secret_key",
        "metrics_token",
        "storage_url",
    }
    by_name = {doc.name: doc for doc in docs}
    assert (by_name["port"].type, by_name["port"].default) == ("integer", "8000")
    assert (by_name["log_level"].type, by_name["log_level"].default) == ("debug | info | warning | error", "info")
    assert (by_name["demo"].type, by_name["demo"].default) == ("boolean", "true")
    assert (by_name["trusted_proxies"].type, by_name["trusted_proxies"].default) == ("list of networks", "")


def test_the_key_is_made_once_and_kept(tmp_path: Path) -> None:
    found = load({}, tmp_path)
    assert not found.data_dir.exists()
    (key,) = master_keys(found)
    assert len(key) == 64
    assert master_keys(found) == (key,)
    assert stat.S_IMODE((found.data_dir / "secret.key").stat().st_mode) == 0o600
    assert [entry.name for entry in found.data_dir.iterdir()] == ["secret.key"]


def test_processes_that_start_together_agree_on_the_key(tmp_path: Path) -> None:
    found = load({}, tmp_path)
    gate = threading.Barrier(16)
    keys: list[tuple[str, ...]] = []

    def ask() -> None:
        gate.wait()
        keys.append(master_keys(found))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 16
    assert len(set(keys)) == 1


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    found = load({}, tmp_path)
    master_keys(found)
    path = found.data_dir / "secret.key"
    path.chmod(0o644)
    with pytest.raises(SettingsError, match=f"run chmod 600 {path}"):
        master_keys(found)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(SettingsError, match="each key needs 32 characters"):
        master_keys(found)
    path.write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        master_keys(found)


def test_several_keys_are_kept_in_order(tmp_path: Path) -> None:
    found = load({"SUPOVER_SECRET_KEY": f"{'n' * 40}, {'o' * 40}"}, tmp_path)
    assert master_keys(found) == ("n" * 40, "o" * 40)
    assert not found.data_dir.exists()


def test_loading_reads_the_real_environment_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("SUPOVER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SUPOVER_PORT", "8123")
    monkeypatch.chdir(tmp_path)
    assert load().port == 8123
    assert load().data_dir == tmp_path / ".supover"
