"""The web addresses of customers' pictures."""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID

import msgspec
from litestar import Request
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import FromPath

from supover.customers import avatars, queries
from supover.customers.model import Avatar, AvatarNotFound
from supover.kit import images, storage, uploads
from supover.kit.api import Caller, Door, Handler, IfMatch, Raw, Routes, Sent
from supover.kit.db import Reader, Tx
from supover.kit.problems import Invalid, TooLarge, UnsupportedMediaType
from supover.settings import Settings

AnyRequest = Request[Any, Any, Any]

routes = Routes("avatars")

RAW: Final = frozenset({"image/png", "image/jpeg", "image/webp", "application/octet-stream"})
# What follows the address of a picture in a cache's eyes: ask again each time whether it is still this one.
CACHED: Final = {"Cache-Control": "private, no-cache"}


class NoPicture(UnsupportedMediaType):
    """A picture is sent as image/png, image/jpeg or image/webp, or as multipart/form-data in the field `file`."""


class PictureTooLarge(TooLarge):
    """A picture may have 2 MiB."""


def _storage(request: AnyRequest) -> storage.Storage:
    return storage.of(cast("Settings", request.app.state.settings).storage_url)


@routes.get("/api/customers/{id:uuid}/avatar", name="find", media=images.MEDIA_TYPE)
async def find_avatar(db: Reader, request: AnyRequest, id: UUID) -> Raw:
    """Send a customer's picture.

    A WebP within 512 × 512 pixels. With its ETag in If-None-Match 304 while it is still the same.
    """
    await queries.exists(db, id, "/avatar")
    key = await avatars.key(db, id)
    if key is None:
        raise AvatarNotFound
    headers = {**CACHED, "ETag": avatars.etag(key)}
    known = request.headers.get("if-none-match", "")
    if known == "*" or headers["ETag"] in {one.strip().removeprefix("W/") for one in known.split(",")}:
        return Raw(b"", images.MEDIA_TYPE, 304, headers)
    data = b"".join([block async for block in _storage(request).get(key)])
    return Raw(data, images.MEDIA_TYPE, headers={**headers, "Content-Disposition": f'attachment; filename="{id}.webp"'})


async def put_avatar(request: AnyRequest, id: FromPath[UUID], if_match: IfMatch = None) -> Avatar:
    """Give a customer a picture.

    The PNG, JPEG or WebP itself as the body, or `multipart/form-data` with the field `file`; at most 2 MiB, 40 megapixels
    as a JPEG and 16 as another, and not animated. It is turned upright, fitted into 512 × 512 pixels and encoded anew:
    nothing of what was beside the pixels is kept.
    """
    door: Door = request.app.state.door
    caller = cast("Caller", request.scope["user"])
    if unknown := sorted(request.query_params):
        raise Invalid.at(unknown[0][:100], "unknown", "is not a parameter here")
    async with door.database.reader(caller.workspace_id) as db:
        await queries.exists(db, id, "/avatar")
    # Received, decoded and kept before anything is held in the database.
    picture = await images.drawn(await _received(request), side=avatars.SIDE)
    keep = _storage(request)
    key = await avatars.keep(keep, picture)
    is_needed = False
    try:
        async with door.database.tx(caller.workspace_id, actor=caller.actor, actor_name=caller.name) as tx:
            await avatars.put(tx, id, key, if_match)
            await door.audit(tx, "avatars.put", id, request)
            # Whether a commit that breaks off has happened nobody knows: then the file stays.
            is_needed = True
    finally:
        if not is_needed:
            await keep.delete(key)
    body = msgspec.json.encode(Avatar(f"/api/customers/{id}/avatar", picture.width, picture.height))
    return cast("Avatar", Sent(body, 200, {"ETag": avatars.etag(key)}, "application/json"))


async def _received(request: AnyRequest) -> bytes:
    kind, _ = request.content_type
    if kind == "multipart/form-data":
        with tempfile.TemporaryDirectory(prefix="supover-avatar-") as folder:
            file = Path(folder) / "upload"
            await uploads.receive(request, file, texts=(), max_bytes=avatars.MAX_BYTES)
            return await asyncio.to_thread(file.read_bytes)
    if kind not in RAW:
        raise NoPicture
    data = bytearray()
    async for block in request.stream():
        data += block
        if len(data) > avatars.MAX_BYTES:
            raise PictureTooLarge
    return bytes(data)


@dataclass
class _WithPicture(Operation):
    """The picture is read as a stream, so Litestar does not know of it."""

    def __post_init__(self) -> None:
        picture = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        form = Schema(type=OpenAPIType.OBJECT, required=["file"], properties={"file": picture})
        content = {kind: OpenAPIMediaType(schema=picture) for kind in sorted(RAW) if kind.startswith("image/")}
        content["multipart/form-data"] = OpenAPIMediaType(schema=form)
        self.request_body = RequestBody(content=content, required=True)


routes.handlers.append(
    Handler(
        "/api/customers/{id:uuid}/avatar",
        http_method="PUT",
        operation_id="avatars.put",
        status_code=200,
        summary="Give a customer a picture",
        description=" ".join((put_avatar.__doc__ or "").split("\n\n", 1)[1].split()),
        tags=["Avatars"],
        opt={"operation": "avatars.put"},
        # `_received` counts what comes.
        request_max_body_size=None,
        operation_class=_WithPicture,
    )(put_avatar)
)


@routes.delete("/api/customers/{id:uuid}/avatar", name="delete")
async def remove_avatar(tx: Tx, id: UUID, if_match: IfMatch = None) -> None:
    """Remove a customer's picture."""
    await avatars.remove(tx, id, if_match)
