"""A bucket that speaks as much of S3's protocol as is asked of it, checks every signature, and fails when it is told to."""

import hashlib
import hmac
import re
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit

KEY = "AKIATEST"
SECRET = "sec/ret+with=signs"
REGION = "eu-test-1"
NAME = "keep"


class Bucket:
    """What is kept, what is on its way, and what is to go wrong: 503, drop, cut, slow or denied, each for one request."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, tuple[str, dict[int, bytes], datetime]] = {}
        self.faults: list[str] = []
        self.asked: list[str] = []
        self.slow_s = 3.0
        self.age = timedelta()
        self.port = 0

    @property
    def url(self) -> str:
        """The address that a setting has."""
        return (
            f"s3://{KEY}:{quote(SECRET, safe='')}@{NAME}/in/here?endpoint=http://127.0.0.1:{self.port}&region={REGION}"
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def log_message(self, format: str, *args: object) -> None:
        del format, args

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>".encode())

    def _ask(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        bucket, parts = self.bucket, urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        bucket.asked.append(f"{self.command} {parts.path}")
        fault = bucket.faults.pop(0) if bucket.faults else ""
        if fault == "slow":
            time.sleep(bucket.slow_s)
        if fault == "drop":
            self.close_connection = True
            self.connection.close()
            return
        if fault in ("503", "403"):
            self._error(int(fault), "SlowDown" if fault == "503" else "AccessDenied")
            return
        if not self._is_signed(body):
            self._error(403, "SignatureDoesNotMatch")
            return
        key = unquote(parts.path).removeprefix(f"/{NAME}").lstrip("/")
        getattr(self, f"_{self.command.lower()}")(key, query, body, fault)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _ask

    def _is_signed(self, body: bytes) -> bool:
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=(.*)/(\d{8})/(.*)/s3/aws4_request, SignedHeaders=(.*), Signature=([0-9a-f]{64})",
            self.headers.get("Authorization", ""),
        )
        if not found or found[1] != KEY or found[3] != REGION:
            return False
        parts, signed = urlsplit(self.path), found[4].split(";")
        query = "&".join(
            f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}"
            for k, v in sorted(parse_qsl(parts.query, keep_blank_values=True))
        )
        payload = self.headers["x-amz-content-sha256"]
        if payload != "UNSIGNED-PAYLOAD" and payload != hashlib.sha256(body).hexdigest():
            return False
        headers = "".join(f"{name}:{self.headers[name].strip()}\n" for name in signed)
        asked = "\n".join((self.command, parts.path, query, headers, ";".join(signed), payload))
        scope = f"{found[2]}/{REGION}/s3/aws4_request"
        text = "\n".join(
            ("AWS4-HMAC-SHA256", self.headers["x-amz-date"], scope, hashlib.sha256(asked.encode()).hexdigest())
        )
        key = b"AWS4" + SECRET.encode()
        for word in (found[2], REGION, "s3", "aws4_request"):
            key = hmac.digest(key, word.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex() == found[5]

    def _get(self, key: str, query: dict[str, str], body: bytes, fault: str) -> None:
        del body
        if not key and "uploads" in query:
            return self._list(query)
        data = self.bucket.objects.get(key)
        if data is None:
            return self._error(404, "NoSuchKey")
        tag, status, extra = f'"{hashlib.md5(data).hexdigest()}"', 200, dict[str, str]()
        if found := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            if self.headers.get("If-Match") != tag:
                return self._error(412, "PreconditionFailed")
            extra["Content_Range"] = f"bytes {found[1]}-{len(data) - 1}/{len(data)}"
            data, status = data[int(found[1]) :], 206
        if fault == "cut":
            self._answer(status, data[: len(data) // 2], ETag=tag, Content_Length=str(len(data)), **extra)
            self.close_connection = True
            return None
        return self._answer(status, data, ETag=tag, **extra)

    def _list(self, query: dict[str, str]) -> None:
        # A page has one.
        found = sorted(
            (key, id, at) for id, (key, _, at) in self.bucket.uploads.items() if key.startswith(query["prefix"])
        )
        after = (query.get("key-marker", ""), query.get("upload-id-marker", ""))
        rest = [one for one in found if one[:2] > after]
        said = "".join(
            f"<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>{at:%Y-%m-%dT%H:%M:%S.000Z}</Initiated></Upload>"
            f"<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{id}</NextUploadIdMarker>"
            for key, id, at in rest[:1]
        )
        more = str(len(rest) > 1).lower()
        self._answer(
            200,
            f"<ListMultipartUploadsResult><IsTruncated>{more}</IsTruncated>{said}</ListMultipartUploadsResult>".encode(),
        )

    def _head(self, key: str, query: dict[str, str], body: bytes, fault: str) -> None:
        del query, body, fault
        if not key:
            self._answer(200)
        elif (data := self.bucket.objects.get(key)) is None:
            self._answer(404)
        else:
            self._answer(200, Content_Length=str(len(data)))

    def _put(self, key: str, query: dict[str, str], body: bytes, fault: str) -> None:
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        if "uploadId" not in query:
            self.bucket.objects[key] = body
        elif query["uploadId"] in self.bucket.uploads:
            self.bucket.uploads[query["uploadId"]][1][int(query["partNumber"])] = body
        else:
            return self._error(404, "NoSuchUpload")
        if fault == "kept, unsaid":
            return self._error(403, "AccessDenied")
        return self._answer(200, ETag=tag)

    def _post(self, key: str, query: dict[str, str], body: bytes, fault: str) -> None:
        if "uploads" in query:
            id = f"upload{len(self.bucket.asked)}"
            self.bucket.uploads[id] = key, {}, datetime.now(UTC) - self.bucket.age
            said = f"<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            return self._answer(200, said.encode())
        _, parts, _ = self.bucket.uploads.pop(query["uploadId"])
        numbers = [int(n) for n in re.findall(rb"<PartNumber>(\d+)</PartNumber>", body)]
        self.bucket.objects[key] = b"".join(parts[n] for n in numbers)
        if fault == "kept, unsaid":
            return self._error(403, "AccessDenied")
        return self._answer(200, b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")

    def _delete(self, key: str, query: dict[str, str], body: bytes, fault: str) -> None:
        del body, fault
        if "uploadId" in query:
            self.bucket.uploads.pop(query["uploadId"], None)
        else:
            self.bucket.objects.pop(key, None)
        self._answer(204)


@contextmanager
def serving() -> Generator[Bucket]:
    """A bucket on this machine while the block runs."""
    bucket = Bucket()
    handler = type("Handler", (_Handler,), {"bucket": bucket})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        bucket.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield bucket
        server.shutdown()
        thread.join()
