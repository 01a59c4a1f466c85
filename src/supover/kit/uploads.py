"""Forms with one file (multipart/form-data), received as a stream: the file onto the disk, the texts into a dictionary."""

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import msgspec
from litestar import Request
from multipart import MultipartError, MultipartSegment, PushMultipartParser  # pyright: ignore[reportMissingTypeStubs]

from supover.kit.problems import FieldError, Invalid, Malformed, TooLarge, UnsupportedMediaType
from supover.kit.storage import FileTooLarge

BLOCK: Final = 1 << 18
MOST_TEXT: Final = 1 << 16
MOST_PARTS: Final = 32
AROUND: Final = 1 << 20
"""What the form may weigh beside its file."""


class NotMultipart(UnsupportedMediaType):
    """The file must be sent as multipart/form-data, in the field `file`."""


class FormUnreadable(Malformed):
    """The form cannot be read."""


class FormTooLarge(TooLarge):
    """The form is larger than is taken here."""


class Upload(msgspec.Struct, frozen=True):
    """What was received: the file's name as its sender calls it, and the form's texts."""

    name: str
    texts: dict[str, str]


async def receive(
    request: "Request[Any, Any, Any]",
    place: Path,
    *,
    texts: Collection[str],
    max_bytes: int,
    told: dict[str, str] | None = None,
) -> Upload:
    """Writes the field `file` to this place and reads the fields of text; none but these may be sent, each once.

    `told` takes the texts as far as they came, of a form that is refused, too. Memory stays at a few blocks, and the disk is
    written in a thread. Raises NotMultipart, FormUnreadable, FormTooLarge, FileTooLarge, or Invalid naming the field.
    """
    kind, options = request.content_type
    if kind != "multipart/form-data":
        raise NotMultipart
    if not options.get("boundary"):
        raise FormUnreadable("Its Content-Type names no boundary.")
    announced = request.headers.get("content-length", "")
    most = max_bytes + AROUND
    weight = int(announced) if announced.isdecimal() else 0
    with place.open("wb") as file:
        form = _Form(file, texts, max_bytes)
        received = 0
        try:
            with PushMultipartParser(options["boundary"], max_segment_count=MOST_PARTS) as parser:
                async for chunk in request.stream():
                    received += len(chunk)
                    for at in range(0, len(chunk), BLOCK):
                        if not parser.closed:
                            for part in parser.parse(chunk[at : at + BLOCK]):
                                form.take(part)
                        if len(form.pending) >= BLOCK:
                            await asyncio.to_thread(form.flush)
                    if max(weight, received) > most:
                        raise FormTooLarge(f"A file may have {max_bytes:,} bytes.")
        except MultipartError as error:
            raise FormUnreadable(f"It is no complete multipart/form-data: {error}.") from None
        finally:
            if told is not None:
                told.update(form.texts())
        await asyncio.to_thread(form.flush)
    return form.whole()


class _Form:
    def __init__(self, file: BinaryIO, names: Collection[str], max_bytes: int) -> None:
        self.pending = bytearray()
        self._file = file
        self._names = names
        self._max_bytes = max_bytes
        self._size = 0
        self._name: str | None = None
        self._texts: dict[str, bytearray] = {}
        self._into: bytearray | None = None

    def take(self, part: object) -> None:
        """The beginning of a field, or some of its bytes."""
        if isinstance(part, MultipartSegment):
            self._begin(part)
        elif part is None:
            return
        elif self._into is None:
            block = cast("bytes | bytearray", part)
            self._size += len(block)
            if self._size > self._max_bytes:
                raise FileTooLarge(f"It has more than {self._max_bytes:,} bytes.")
            self.pending += block
        else:
            self._into += cast("bytes | bytearray", part)
            if len(self._into) > MOST_TEXT:
                name = next(n for n, text in self._texts.items() if text is self._into)
                raise Invalid.at(f"/{name}", "length", f"has more than {MOST_TEXT:,} bytes")

    def _begin(self, part: MultipartSegment) -> None:
        name = str(part.name)[:100]  # pyright: ignore[reportUnknownMemberType,reportUnknownArgumentType]
        if name == "file":
            if self._name is not None:
                raise Invalid.at("/file", "twice", "one file is expected")
            if not part.filename:
                raise Invalid.at("/file", "required", "a file is expected")
            if "\0" in part.filename:
                raise Invalid.at("/file", "nul", "a file's name cannot hold the character NUL")
            self._name, self._into = part.filename, None
            return
        pointer = "/" + name.replace("\0", "\ufffd")
        if name not in self._names:
            raise Invalid.at(pointer, "unknown", "is not a field here")
        if part.filename is not None:
            raise Invalid.at(pointer, "type", "is a text, not a file")
        if name in self._texts:
            raise Invalid.at(pointer, "twice", "is there twice")
        self._into = self._texts[name] = bytearray()

    def flush(self) -> None:
        """Writes what waits to the disk."""
        self._file.write(self.pending)
        self.pending.clear()

    def texts(self) -> dict[str, str]:
        """The texts as far as they came; what is no UTF-8 has marks in its place."""
        return {name: data.decode(errors="replace") for name, data in self._texts.items()}

    def whole(self) -> Upload:
        """What was received, once all of it is."""
        if self._name is None:
            raise Invalid.at("/file", "required", "a file is expected")
        texts: dict[str, str] = {}
        errors: list[FieldError] = []
        for name, data in self._texts.items():
            try:
                texts[name] = data.decode()
            except UnicodeDecodeError:
                errors.append(FieldError(f"/{name}", "encoding", "is not UTF-8"))
            else:
                if "\0" in texts[name]:
                    errors.append(FieldError(f"/{name}", "nul", "text cannot hold the character NUL"))
        if errors:
            raise Invalid(errors)
        return Upload(self._name, texts)
