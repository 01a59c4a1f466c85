import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supover.kit import clock, crypto, storage
from supover.kit.crypto import MissingSecret
from supover.kit.storage import (
    FileGone,
    FileStorage,
    FileTooLarge,
    LinkRefused,
    key_of_link,
    link_token,
    of,
)

KEY = f"imports/{'0' * 31}2"
SECRET = "s" * 32

# Ways out of a folder, and names that are something else to some system.
TRAVERSALS = [
    "",
    ".",
    "..",
    "/",
    "../secret",
    "../../etc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "..\\secret",
    "C:\\secret",
    "\\\\host\\share",
    "file:///etc/passwd",
    "~/.ssh/id_rsa",
    "%2e%2e/secret",
    "%2e%2e%2fsecret",
    "..%2fsecret",
    "..%c0%afsecret",
    "..%252fsecret",
    "....//secret",
    "..;/secret",
    "．．/secret",
    "..／secret",
    f".parts/{'0' * 31}3",
    "imports/..",
    f"imports/../.parts/{'0' * 31}3",
    f"imports/../{KEY}",
    f"../files/{KEY}",
    f"./{KEY}",
    f"/{KEY}",
    f"{KEY}/",
    f"{KEY}/..",
    f"{KEY}\0",
    f"{KEY}\0.png",
    f"{KEY}\n",
    f" {KEY}",
    KEY.upper(),
    KEY.replace("2", "A"),
    KEY.replace("/", "\\"),
    KEY.replace("/", "//"),
    KEY.replace("0", "٠"),
    KEY.replace("/", ""),
    KEY + "0",
    KEY[:-1],
    f"{'0' * 32}/{'0' * 31}2",
    "secret",
    "CON",
    "a" * 10_000,
    "\ud800",
]


async def stream(*chunks: bytes) -> AsyncGenerator[bytes]:
    for chunk in chunks:
        yield chunk


async def whole(files: FileStorage, key: str) -> bytes:
    return b"".join([chunk async for chunk in files.get(key)])


def everything(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "chunks",
    [(), (b"",), (b"a",), (b"ab", b"", b"c" * 700_000, b"d"), tuple(os.urandom(1_000) for _ in range(900))],
    ids=["nothing", "empty", "one", "several", "many"],
)
async def test_what_is_put_can_be_got(tmp_path: Path, chunks: tuple[bytes, ...]) -> None:
    files, expected = FileStorage(tmp_path / "files"), b"".join(chunks)
    key = await files.put("imports", stream(*chunks), max_bytes=1_000_000)
    assert await whole(files, key) == expected
    assert await files.size(key) == len(expected)
    async with files.local(key) as path:
        assert path.read_bytes() == expected
    assert key.startswith("imports/")


async def test_large_files_come_back_in_pieces(tmp_path: Path) -> None:
    files = FileStorage(tmp_path)
    key = await files.put("imports", stream(b"x" * 1_000_000), max_bytes=1_000_000)
    assert [len(chunk) async for chunk in files.get(key)] == [262144, 262144, 262144, 213568]


async def test_no_two_files_have_one_key(tmp_path: Path) -> None:
    files = FileStorage(tmp_path)
    keys = await asyncio.gather(*(files.put("imports", stream(b"x"), max_bytes=1) for _ in range(50)))
    assert len(set(keys)) == 50
    assert len(everything(tmp_path)) == 50


async def test_nobody_else_can_read_the_files(tmp_path: Path) -> None:
    files = FileStorage(tmp_path / "files")
    await files.put("imports", stream(b"x"), max_bytes=1)
    for path in [tmp_path / "files", *(tmp_path / "files").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


async def test_a_file_that_is_too_large_leaves_nothing(tmp_path: Path) -> None:
    files = FileStorage(tmp_path)
    for chunks in ((b"x" * 11,), (b"x" * 5, b"x" * 6), (b"x",) * 11):
        with pytest.raises(FileTooLarge, match="more than 10 bytes"):
            await files.put("imports", stream(*chunks), max_bytes=10)
    assert everything(tmp_path) == []
    await files.put("imports", stream(b"x" * 10), max_bytes=10)


async def test_an_endless_stream_is_cut_off(tmp_path: Path) -> None:
    given_out = 0

    async def endless() -> AsyncGenerator[bytes]:
        nonlocal given_out
        while True:
            given_out += 1
            yield b"x" * 65_536

    with pytest.raises(FileTooLarge):
        await FileStorage(tmp_path).put("imports", endless(), max_bytes=1_000_000)
    assert given_out == 16
    assert everything(tmp_path) == []


async def test_a_stream_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async def broken() -> AsyncGenerator[bytes]:
        yield b"x" * 400_000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await FileStorage(tmp_path).put("imports", broken(), max_bytes=1_000_000)
    assert everything(tmp_path) == []


async def test_who_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    async def slow() -> AsyncGenerator[bytes]:
        while True:
            yield b"x" * 300_000
            await asyncio.sleep(0)

    for wait_s in (0.0, *(0.0002 * 1.3**n for n in range(24))):
        task = asyncio.create_task(FileStorage(tmp_path).put("imports", slow(), max_bytes=1 << 40))
        await asyncio.sleep(wait_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert everything(tmp_path) == []


async def test_who_is_cancelled_at_the_last_step_leaves_nothing_or_a_whole_file(tmp_path: Path) -> None:
    files, kept = FileStorage(tmp_path), 0
    for n in range(40):
        task = asyncio.create_task(files.put("imports", stream(b"x" * 1_000), max_bytes=1_000))
        await asyncio.sleep(0.0002 * n)
        task.cancel()
        try:
            assert await whole(files, await task) == b"x" * 1_000
            kept += 1
        except asyncio.CancelledError:
            pass
    assert len(everything(tmp_path)) == kept


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells which files are open")
async def test_who_is_cancelled_while_reading_leaves_nothing_open(tmp_path: Path) -> None:
    files = FileStorage(tmp_path)
    key = await files.put("imports", stream(b"x" * 5_000_000), max_bytes=5_000_000)
    before = open_files()
    for n in range(40):
        task = asyncio.create_task(whole(files, key))
        await asyncio.sleep(0.0002 * n)
        task.cancel()
        await asyncio.wait([task])
    assert open_files() <= before


async def test_a_file_is_not_there_until_it_is_whole(tmp_path: Path) -> None:
    files, seen = FileStorage(tmp_path), list[list[Path]]()

    async def watched() -> AsyncGenerator[bytes]:
        for _ in range(3):
            seen.append(everything(tmp_path / "imports"))
            yield b"x" * 300_000

    await files.put("imports", watched(), max_bytes=1_000_000)
    assert seen == [[], [], []]
    assert len(everything(tmp_path / "imports")) == 1


async def test_a_deleted_file_is_missing(tmp_path: Path) -> None:
    files = FileStorage(tmp_path)
    key = await files.put("imports", stream(b"x"), max_bytes=1)
    await files.delete(key)
    await files.delete(key)
    assert await files.size(key) is None
    with pytest.raises(FileGone):
        await whole(files, key)
    with pytest.raises(FileGone):
        async with files.local(key):
            pass


@pytest.mark.parametrize("key", TRAVERSALS)
async def test_no_spelling_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    files = FileStorage(tmp_path / "files")
    (tmp_path / "secret").write_bytes(b"secret")
    made = await files.put("imports", stream(b"x"), max_bytes=1)
    (tmp_path / "files" / ".parts" / f"{'0' * 31}3").write_bytes(b"part")
    (tmp_path / "files" / made).rename(tmp_path / "files" / KEY)
    before = everything(tmp_path)
    tries: list[Callable[[], Awaitable[object]]] = [
        lambda: whole(files, key),
        lambda: files.local(key).__aenter__(),
        lambda: files.delete(key),
    ]
    for attempt in tries:
        with pytest.raises(FileGone):
            await attempt()
    with pytest.raises(FileGone):
        link_token(SECRET, key, clock.now())
    assert await files.size(key) is None
    assert everything(tmp_path) == before


@pytest.mark.parametrize("kind", ["", ".", "..", ".parts", "a/b", "../x", "Imports", "imports\n", "a" * 21, "é"])
async def test_a_kind_is_a_word(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ValueError, match="a word"):
        await FileStorage(tmp_path / "files").put(kind, stream(b"x"), max_bytes=1)
    assert not (tmp_path / "files").exists()


async def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    files = FileStorage(tmp_path / "files")
    await files.put("imports", stream(b"x"), max_bytes=1)
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "files" / KEY).symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        await whole(files, KEY)


async def test_leftovers_are_swept(tmp_path: Path) -> None:
    files = FileStorage(tmp_path)
    assert await files.sweep(clock.now()) == 0
    key = await files.put("imports", stream(b"x"), max_bytes=1)
    for name, age_h in (("old", 48), ("new", 1)):
        part = tmp_path / ".parts" / name
        part.write_bytes(b"x")
        at = (clock.now() - timedelta(hours=age_h)).timestamp()
        os.utime(part, (at, at))
    assert await files.sweep(clock.now() - timedelta(hours=24)) == 1
    assert [path.name for path in everything(tmp_path / ".parts")] == ["new"]
    assert await files.size(key) == 1


async def test_the_storage_is_opened_by_its_address(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    for url in (folder.as_uri(), str(folder)):
        key = await of(url).put("imports", stream(b"x"), max_bytes=1)
        assert (folder / key).read_bytes() == b"x"
    for url in ("", "s3://", "file://host/x", "https://x/y"):
        with pytest.raises(ValueError, match="SUPOVER_STORAGE_URL"):
            of(url)


# --- links ---


def test_a_link_is_for_its_file_until_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    token = link_token(SECRET, KEY, now + timedelta(minutes=5))
    for minutes, is_good in ((0, True), (4.99, True), (5, False), (6_000_000, False)):
        monkeypatch.setattr(clock, "now", lambda minutes=minutes: now + timedelta(minutes=minutes))
        if is_good:
            assert key_of_link(SECRET, token) == KEY
        else:
            with pytest.raises(LinkRefused, match="expired"):
                key_of_link(SECRET, token)


def test_a_link_that_was_not_made_here_is_refused() -> None:
    later = clock.now() + timedelta(hours=1)
    token = link_token(SECRET, KEY, later)
    packed, signature = token.split(".")
    other = link_token(SECRET, KEY[:-1] + "3", later)
    forged = [
        "",
        ".",
        packed,
        f"{packed}.",
        f".{signature}",
        f"{other.split('.')[0]}.{signature}",
        f"{packed}.{other.split('.')[1]}",
        f"{packed}=.{signature}",
        f"{packed}\n.{signature}",
        f"{packed}.{signature}=",
        f"{token}.",
        f"{token}.x",
        token.swapcase(),
        f"ü.{signature}",
        f"\ud800.{signature}",
        link_token("t" * 32, KEY, later),
        f"{packed}.{crypto.sign(SECRET, f'{KEY}/{int(later.timestamp())}'.encode(), 'base64url')}",
        "x" * 100_000,
    ]
    for text in forged:
        with pytest.raises(LinkRefused):
            key_of_link(SECRET, text)
    assert key_of_link(SECRET, token) == KEY


def test_every_changed_letter_of_a_link_is_noticed() -> None:
    token = link_token(SECRET, KEY, clock.now() + timedelta(hours=1))
    for at, letter in enumerate(token):
        for other in "aZ0-_.":
            if other != letter:
                with pytest.raises(LinkRefused):
                    key_of_link(SECRET, token[:at] + other + token[at + 1 :])


@given(st.text(st.characters()))
def test_any_text_is_refused_as_a_link(text: str) -> None:
    with pytest.raises(LinkRefused):
        key_of_link(SECRET, text)


def test_without_a_secret_there_are_no_links() -> None:
    token = link_token(SECRET, KEY, clock.now() + timedelta(hours=1))
    with pytest.raises(MissingSecret):
        link_token("", KEY, clock.now())
    with pytest.raises(MissingSecret):
        key_of_link("", token)


def test_the_storage_in_a_folder_is_a_storage(tmp_path: Path) -> None:
    kept: storage.Storage = FileStorage(tmp_path)
    assert kept is not None
