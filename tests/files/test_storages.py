"""What every storage promises, and what a bucket does when it fails."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from supover.kit import clock, s3, storage
from supover.kit.storage import FileGone, FileTooLarge, Storage, StorageUnavailable
from tests.files.bucket import SECRET, Bucket, serving

KEY = f"imports/{'0' * 31}2"


@pytest.fixture(name="bucket")
def _bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.setattr(s3, "PART", 100_000)
    monkeypatch.setattr(s3, "READ_S", 1)
    monkeypatch.setattr(s3, "TRIES", 2)
    with serving() as bucket:
        yield bucket


@pytest.fixture(name="kept", params=["folder", "bucket"])
def _kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Storage, Callable[[], int]]:
    if request.param == "folder":
        return storage.of(tmp_path.as_uri()), lambda: sum(path.is_file() for path in tmp_path.rglob("*"))
    bucket: Bucket = request.getfixturevalue("bucket")
    return storage.of(bucket.url), lambda: len(bucket.objects) + len(bucket.uploads)


Kept = tuple[Storage, Callable[[], int]]


async def stream(*chunks: bytes) -> AsyncGenerator[bytes]:
    for chunk in chunks:
        yield chunk


async def whole(files: Storage, key: str) -> bytes:
    return b"".join([chunk async for chunk in files.get(key)])


@pytest.mark.parametrize(
    "chunks", [(), (b"a",), (b"ab", b"", b"c" * 700_000, b"d"), tuple(os.urandom(1_000) for _ in range(900))]
)
async def test_what_is_put_is_got(kept: Kept, chunks: tuple[bytes, ...]) -> None:
    files, count = kept
    data = b"".join(chunks)
    key = await files.put("imports", stream(*chunks), max_bytes=len(data))
    assert await whole(files, key) == data
    assert await files.size(key) == len(data)
    async with files.local(key) as path:
        assert path.read_bytes() == data
    assert count() == 1
    await files.delete(key)
    await files.delete(key)
    assert count() == 0
    assert await files.size(key) is None


async def test_what_is_too_large_or_breaks_off_leaves_nothing(kept: Kept) -> None:
    files, count = kept

    async def broken() -> AsyncGenerator[bytes]:
        yield b"x" * 350_000
        raise ConnectionError

    for size in (10, 350_000):
        with pytest.raises(FileTooLarge):
            await files.put("imports", stream(b"x" * size, b"y"), max_bytes=size)
    with pytest.raises(ConnectionError):
        await files.put("imports", broken(), max_bytes=1_000_000)
    assert count() == 0


async def test_who_is_cancelled_leaves_nothing(kept: Kept) -> None:
    files, count = kept
    done = 0
    for n in range(12):
        task = asyncio.create_task(files.put("imports", stream(*[b"x" * 60_000] * 5), max_bytes=1_000_000))
        await asyncio.sleep(0.004 * n)
        task.cancel()
        try:
            assert await files.size(await task) == 300_000
            done += 1
        except asyncio.CancelledError:
            pass
    assert count() == done


@pytest.mark.parametrize(
    "key", ["", "..", "/etc/passwd", f"../{KEY}", f"{KEY}/..", f"{KEY}\0", KEY.upper(), KEY, "\ud800"]
)
async def test_what_was_not_made_here_is_not_there(kept: Kept, key: str) -> None:
    files, _ = kept
    with pytest.raises(FileGone):
        await whole(files, key)
    with pytest.raises(FileGone):
        async with files.local(key):
            pass
    assert await files.size(key) is None


async def test_a_kind_is_a_word(kept: Kept) -> None:
    with pytest.raises(ValueError, match="a word"):
        await kept[0].put("a/b", stream(b"x"), max_bytes=1)


async def test_a_storage_says_that_it_works(kept: Kept) -> None:
    assert await kept[0].look()


# --- a bucket ---------------------------------------------------------------------------------------------------------


async def test_a_passing_failure_is_tried_again(bucket: Bucket) -> None:
    files = storage.of(bucket.url)
    data = os.urandom(250_000)
    for fault in ("503", "drop"):
        bucket.faults = [fault]
        key = await files.put("imports", stream(data), max_bytes=len(data))
        bucket.faults = [fault]
        assert await whole(files, key) == data
        bucket.faults = [fault]
        assert await files.size(key) == len(data)


async def test_a_download_that_breaks_off_is_taken_up_where_it_was(bucket: Bucket) -> None:
    files = storage.of(bucket.url)
    data = os.urandom(900_000)
    key = await files.put("imports", stream(data), max_bytes=len(data))
    bucket.faults = ["cut"]
    assert await whole(files, key) == data


async def test_a_bucket_that_fails_is_said_without_a_secret(bucket: Bucket) -> None:
    files = storage.of(bucket.url)
    key = await files.put("imports", stream(b"x"), max_bytes=1)
    for faults, said in ((["503"] * 2, "SlowDown"), (["403"], "AccessDenied"), (["drop"] * 2, "cannot be reached")):
        bucket.faults = list(faults)
        with pytest.raises(StorageUnavailable, match=said) as caught:
            await whole(files, key)
        assert caught.value.status == 503
        assert SECRET not in repr(caught.value) and "127.0.0.1" not in str(caught.value)


async def test_a_bucket_that_does_not_answer_is_given_up(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "TRIES", 1)
    bucket.faults = ["slow"]
    with pytest.raises(StorageUnavailable, match="Timeout"):
        await storage.of(bucket.url).size(KEY)


@pytest.mark.parametrize("size", [10, 250_000])
async def test_a_file_that_was_kept_unsaid_is_removed(bucket: Bucket, size: int) -> None:
    bucket.faults = ["", "", "", "", "kept, unsaid"] if size > 10 else ["kept, unsaid"]
    with pytest.raises(StorageUnavailable):
        await storage.of(bucket.url).put("imports", stream(b"x" * size), max_bytes=size)
    assert bucket.objects == {}
    assert bucket.uploads == {}


async def test_a_part_that_is_refused_aborts_the_upload(bucket: Bucket) -> None:
    bucket.faults = ["", "", "403"]
    with pytest.raises(StorageUnavailable):
        await storage.of(bucket.url).put("imports", stream(b"x" * 350_000), max_bytes=350_000)
    assert (bucket.objects, bucket.uploads) == ({}, {})


async def test_old_uploads_are_swept_and_no_others(bucket: Bucket) -> None:
    files = storage.of(bucket.url)
    now = clock.now()
    for name, prefix, hours in (
        ("old", "in/here/", 48),
        ("older", "in/here/", 72),
        ("new", "in/here/", 1),
        ("other", "else/", 48),
    ):
        bucket.uploads[name] = f"{prefix}{KEY}", {}, now - timedelta(hours=hours)
    bucket.uploads["foreign"] = "in/here/readme.txt", {}, now - timedelta(hours=48)
    assert await files.sweep(now - timedelta(hours=24)) == 2
    assert set(bucket.uploads) == {"new", "other", "foreign"}


async def test_a_wrong_secret_is_told_by_look(bucket: Bucket) -> None:
    with pytest.raises(StorageUnavailable, match="403"):
        await storage.of(bucket.url.replace("sec", "not")).look()


def test_an_address_says_it_all() -> None:
    found = s3.place("s3://AK:a%2Fb%3D@my.bucket/a/b/?endpoint=https://minio.internal:9000&region=x")
    assert found == s3.Place("my.bucket", "a/b/", "https://minio.internal:9000", "x", "path", "AK", "a/b=")
    assert "a/b=" not in repr(found)
    assert s3.place("s3://bucket") == s3.Place("bucket", "", None, None, "auto", None, None)


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:///x",
        "s3://AK@bucket",
        "s3://AK:S/ECRET@bucket/x",
        "s3://AK:CANARY@bucket:90/x",
        "s3://AK:CANARY@bucket?endpoint=ftp://x",
        "s3://AK:CANARY@bucket?endpoint=http://u:CANARY@x",
        "s3://AK:CANARY@bucket?style=round",
        "s3://AK:CANARY@bucket?password=CANARY",
        "s3://AK:CANARY@bucket#CANARY",
        "s3://AK:CANARY@[bucket",
    ],
)
def test_a_wrong_address_is_told_without_its_secret(url: str) -> None:
    with pytest.raises(ValueError, match="SUPOVER_STORAGE_URL") as caught:
        storage.of(url)
    assert "CANARY" not in str(caught.value)
