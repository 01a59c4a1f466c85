"""The files that pages refer to: style, script, fonts and drawings, as the build has laid them down."""

import gzip
from functools import lru_cache
from typing import Any, Final

from litestar import Request, get
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from supover.kit import problems
from supover.web.rendering import STATIC, changed

TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
}
# An address changes with what stands there, so nobody has to ask again.
FOREVER: Final = "public, max-age=31536000, immutable"
PERMISSIONS: Final = {"web.asset": "public"}


@lru_cache(maxsize=64)
def _load(name: str, at: int) -> tuple[bytes, bytes | None] | None:
    """A file as it was made then, and packed where that helps."""
    if not at or "/" in name or name.startswith("."):
        return None
    body = (STATIC / name).read_bytes()
    return body, None if name.endswith(".woff2") else gzip.compress(body, 9, mtime=0)


@get("/assets/{name:str}", include_in_schema=False, opt={"operation": "web.asset"})
async def asset(request: Request[Any, Any, Any], name: FromPath[str]) -> ASGIResponse:
    """Send one of the screens' files."""
    kind = TYPES.get(name.rpartition(".")[2])
    found = _load(name, changed(name)) if kind else None
    if found is None or kind is None:
        raise problems.NotFound
    body, packed = found
    headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
    if packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return ASGIResponse(body=packed, media_type=kind, headers={**headers, "Content-Encoding": "gzip"})
    return ASGIResponse(body=body, media_type=kind, headers=headers)


handlers: Final = [asset]
