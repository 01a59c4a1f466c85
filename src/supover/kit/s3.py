"""Files in a bucket of S3, or of whatever speaks its protocol.

`s3://KEY:SECRET@BUCKET/PREFIX?endpoint=https://HOST:PORT&region=REGION&style=path`: key and secret percent-encoded; without them
they are looked for as Amazon's own tools do (environment, profile, the machine's role). Without an endpoint it is
Amazon's. `style` is path, or virtual where the bucket's name is a part of the host's; unset, path for an endpoint given.

botocore does the signing, the retries and the certificates. It blocks, so each call has a thread.
"""

import functools
import logging
import re
import tempfile
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
import structlog

from supover.kit.storage import BLOCK, KEY, FileGone, FileTooLarge, StorageUnavailable, in_thread, new_key

T = TypeVar("T")

PART: Final = 8 << 20
MOST_PARTS: Final = 9_000
"""S3 takes 10,000 of them."""
CONNECT_S: Final = 5
READ_S: Final = 30
TRIES: Final = 4
"""How often a request is made that finds no answer or a passing one, and how often a download is taken up again."""
_GONE: Final = frozenset({"NoSuchKey", "404", "NotFound"})
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]", re.ASCII | re.IGNORECASE)

_log: Final = structlog.get_logger(__name__)


class Place(msgspec.Struct, frozen=True):
    """Where the files are, and who asks for them."""

    bucket: str
    prefix: str
    endpoint: str | None
    region: str | None
    style: str
    key: str | None
    secret: str | None

    def __repr__(self) -> str:
        return f"Place(s3://{self.bucket}/{self.prefix})"


class _Body(Protocol):
    def read(self, amount: int) -> bytes: ...
    def close(self) -> None: ...


class _Client(Protocol):
    """What is used of botocore's client, which has no types."""

    def put_object(self, **asked: object) -> Mapping[str, Any]: ...
    def get_object(self, **asked: object) -> Mapping[str, Any]: ...
    def head_object(self, **asked: object) -> Mapping[str, Any]: ...
    def head_bucket(self, **asked: object) -> Mapping[str, Any]: ...
    def delete_object(self, **asked: object) -> Mapping[str, Any]: ...
    def create_multipart_upload(self, **asked: object) -> Mapping[str, Any]: ...
    def upload_part(self, **asked: object) -> Mapping[str, Any]: ...
    def complete_multipart_upload(self, **asked: object) -> Mapping[str, Any]: ...
    def abort_multipart_upload(self, **asked: object) -> Mapping[str, Any]: ...
    def list_multipart_uploads(self, **asked: object) -> Mapping[str, Any]: ...


def place(url: str) -> Place:
    """What an address says. Raises ValueError, which shows nothing of it."""
    try:
        parts = urlsplit(url)
        asked = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        port = parts.port
    except ValueError:
        raise _wrong("it cannot be read; key and secret have to be percent-encoded") from None
    given = dict(asked)
    if unknown := given.keys() - {"endpoint", "region", "style"}:
        raise _wrong(f"{min(unknown)} is not known behind the ?; endpoint, region and style are")
    bucket = parts.netloc.rpartition("@")[2]
    if not _BUCKET.fullmatch(bucket) or port is not None or parts.fragment:
        raise _wrong("expected s3://KEY:SECRET@BUCKET/PREFIX")
    endpoint = given.get("endpoint")
    if endpoint is not None:
        where = urlsplit(endpoint)
        if where.scheme not in {"http", "https"} or not where.hostname or where.username or where.query:
            raise _wrong("endpoint is https://HOST or http://HOST:PORT")
    style = given.get("style", "path" if endpoint else "auto")
    if style not in {"path", "virtual", "auto"}:
        raise _wrong("style is path or virtual")
    if (parts.username is None) != (parts.password is None):
        raise _wrong("a key needs its secret")
    key, secret = (unquote(text) if text else None for text in (parts.username, parts.password))
    prefix = unquote(parts.path).strip("/")
    return Place(bucket, f"{prefix}/" if prefix else "", endpoint, given.get("region"), style, key, secret)


def _wrong(said: str) -> ValueError:
    return ValueError(f"SUPOVER_STORAGE_URL: {said}")


_making: Final = threading.Lock()


@functools.lru_cache(maxsize=4)
def _client(where: Place) -> _Client:
    # Making one takes a tenth of a second and reads files; threads share it.
    import botocore.session  # pyright: ignore[reportMissingTypeStubs]
    from botocore.config import Config  # pyright: ignore[reportMissingTypeStubs]

    # Its debug records hold signed headers and session tokens.
    logging.getLogger("botocore").setLevel(logging.INFO)
    session: Any = botocore.session.Session()
    found: Any = session.create_client(
        "s3",
        endpoint_url=where.endpoint,
        region_name=where.region or ("us-east-1" if where.endpoint else None),
        aws_access_key_id=where.key,
        aws_secret_access_key=where.secret,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": where.style},
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            retries={"mode": "standard", "total_max_attempts": TRIES},
            max_pool_connections=32,
            # What speaks S3's protocol often knows no checksum but those of the first years.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    return cast("_Client", found)


class S3Storage:
    """A bucket, or what stands in one behind a prefix. Needs the rights to get, put, delete and list, and to abort uploads."""

    def __init__(self, where: Place) -> None:
        self._where = where

    async def put(self, kind: str, blocks: AsyncIterable[bytes], *, max_bytes: int) -> str:
        """Keeps a stream, whole or not at all, whatever it breaks off by; returns its key. Raises FileTooLarge."""
        key = new_key(kind)
        most = max(PART, max_bytes // MOST_PARTS + 1)
        upload = _Upload(self, key)
        pending, size, is_kept = bytearray(), 0, False
        try:
            async for block in blocks:
                size += len(block)
                if size > max_bytes:
                    raise FileTooLarge(f"It has more than {max_bytes:,} bytes.")
                pending += block
                while len(pending) >= most:
                    part = bytes(memoryview(pending)[:most])
                    del pending[:most]
                    await upload.add(part)
            await upload.finish(bytes(pending))
            is_kept = True
        finally:
            if not is_kept:
                await upload.undo()
        return key

    async def get(self, key: str) -> AsyncGenerator[bytes]:
        """The file's bytes, block by block. Raises FileGone at its first step."""
        asked: dict[str, object] = dict(self.asked(key))
        got, tries = 0, TRIES
        while True:
            found = await self.call(functools.partial(_opened, asked))
            body = cast("_Body", found["Body"])
            try:
                while block := await _read(body):
                    got, tries = got + len(block), TRIES
                    yield block
                return
            except _Broken:
                tries -= 1
                if not tries:
                    raise StorageUnavailable("The file's download breaks off again and again.") from None
                # The rest of this same file, which nobody writes to again.
                asked |= {"Range": f"bytes={got}-", "IfMatch": found["ETag"]}
            finally:
                body.close()

    @asynccontextmanager
    async def local(self, key: str) -> AsyncGenerator[Path]:
        """The file as a path on this machine while the block runs, for libraries that seek. Raises FileGone."""
        folder = await in_thread(lambda: tempfile.TemporaryDirectory(prefix="supover-file-"))
        try:
            path = Path(folder.name) / "file"
            with path.open("wb") as copy:
                async for block in self.get(key):
                    await in_thread(lambda block=block: copy.write(block))
            yield path
        finally:
            await in_thread(folder.cleanup)

    async def size(self, key: str) -> int | None:
        """The file's length in bytes, None when there is none."""
        if not KEY.fullmatch(key):
            return None
        try:
            return int((await self.call(lambda client: client.head_object(**self.asked(key))))["ContentLength"])
        except FileGone:
            return None

    async def delete(self, key: str) -> None:
        """Forgets a file; one that is gone already is fine."""
        asked = self.asked(key)
        try:
            await self.call(lambda client: client.delete_object(**asked))
        except FileGone:
            return

    async def sweep(self, before: datetime) -> int:
        """Aborts the uploads that broke off before this time; how many there were."""
        return await self.call(lambda client: self._swept(client, before))

    async def look(self) -> str:
        """Whether files can be kept here, asked without keeping one: what it is. Raises StorageUnavailable saying why not."""
        try:
            await self.call(lambda client: client.head_bucket(Bucket=self._where.bucket))
        except FileGone:
            raise StorageUnavailable(f"there is no bucket {self._where.bucket}") from None
        return f"the bucket {self._where.bucket}, reached and signed in to"

    def _swept(self, client: _Client, before: datetime) -> int:
        gone = 0
        for one in self._uploads(client):
            if one["Initiated"] < before and KEY.fullmatch(str(one["Key"]).removeprefix(self._where.prefix)):
                client.abort_multipart_upload(Bucket=self._where.bucket, Key=one["Key"], UploadId=one["UploadId"])
                gone += 1
        return gone

    def _uploads(self, client: _Client) -> Iterator[Mapping[str, Any]]:
        more: dict[str, object] = {}
        while True:
            page = client.list_multipart_uploads(Bucket=self._where.bucket, Prefix=self._where.prefix, **more)
            yield from page.get("Uploads", ())
            if not page.get("IsTruncated"):
                return
            more = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def asked(self, key: str) -> Mapping[str, object]:
        """How a request names a file. Raises FileGone for what is no key."""
        if not KEY.fullmatch(key):
            raise FileGone
        return {"Bucket": self._where.bucket, "Key": self._where.prefix + key}

    async def call(self, ask: Callable[[_Client], T]) -> T:
        """Asks in a thread. Raises FileGone and StorageUnavailable, neither of which tells an address or a signature."""
        return await in_thread(lambda: self._called(ask))

    def _called(self, ask: Callable[[_Client], T]) -> T:
        from botocore.exceptions import BotoCoreError, ClientError  # pyright: ignore[reportMissingTypeStubs]

        try:
            with _making:
                client = _client(self._where)
            return ask(client)
        except ClientError as error:
            answer = cast("Mapping[str, Mapping[str, Any]]", error.response)  # pyright: ignore[reportUnknownMemberType]
            code = str(answer.get("Error", {}).get("Code", "?"))
            if code in _GONE:
                raise FileGone from None
            raise StorageUnavailable(f"The storage of files answers {re.sub('[^A-Za-z0-9]', '', code)[:40]}.") from None
        except BotoCoreError as error:
            raise StorageUnavailable(f"The storage of files cannot be reached: {type(error).__name__}.") from None


class _Upload:
    """A file on its way: one request where it is small, else part by part."""

    def __init__(self, storage: S3Storage, key: str) -> None:
        self._storage = storage
        self._asked = storage.asked(key)
        self._id: str | None = None
        self._parts: list[dict[str, object]] = []
        self._is_asked_for = False

    async def add(self, data: bytes) -> None:
        if self._id is None:
            await self._storage.call(self._begin)
        number = len(self._parts) + 1
        made = await self._storage.call(
            lambda client: client.upload_part(**self._asked, UploadId=self._id, PartNumber=number, Body=data)
        )
        self._parts.append({"PartNumber": number, "ETag": made["ETag"]})

    def _begin(self, client: _Client) -> None:
        # Noted in the thread: who is cancelled while it works would not learn what there is to abort.
        self._id = str(client.create_multipart_upload(**self._asked)["UploadId"])

    async def finish(self, rest: bytes) -> None:
        if self._id is None:
            self._is_asked_for = True
            await self._storage.call(lambda client: client.put_object(**self._asked, Body=rest))
            return
        if rest:
            await self.add(rest)
        self._is_asked_for = True
        await self._storage.call(
            lambda client: client.complete_multipart_upload(
                **self._asked, UploadId=self._id, MultipartUpload={"Parts": self._parts}
            )
        )

    async def undo(self) -> None:
        """Leaves nothing, as far as the storage can be reached; what is left then is swept."""
        try:
            if self._id is not None:
                await self._storage.call(lambda client: client.abort_multipart_upload(**self._asked, UploadId=self._id))
        except (FileGone, StorageUnavailable) as error:
            _log.warning("storage.upload_left", reason=str(error))
        try:
            # An answer that was lost may have been that it is kept.
            if self._is_asked_for:
                await self._storage.call(lambda client: client.delete_object(**self._asked))
        except (FileGone, StorageUnavailable) as error:
            _log.warning("storage.file_left", reason=str(error))


def _opened(asked: Mapping[str, object], client: _Client) -> Mapping[str, Any]:
    return client.get_object(**asked)


class _Broken(Exception):
    """A download broke off."""


async def _read(body: _Body) -> bytes:
    def read() -> bytes:
        from botocore.exceptions import HTTPClientError, IncompleteReadError  # pyright: ignore[reportMissingTypeStubs]

        try:
            return body.read(BLOCK)
        except (HTTPClientError, IncompleteReadError, OSError) as error:
            raise _Broken from error

    return await in_thread(read)
