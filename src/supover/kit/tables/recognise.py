"""What kind of table a file holds, told by its first bytes and never by its name, and its facts."""

import codecs
import hashlib
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Final, Protocol

from supover.kit.problems import worded
from supover.kit.tables import objects, parquet, sheets
from supover.kit.tables.model import Format, TableFacts, TableUnreadable
from supover.kit.tables.opening import BLOCK, GZIP, opened, seekable
from supover.kit.tables.rows import Guess

SAVE: Final = worded("Save the table as CSV or XLSX and send that.")

_MAGIC: Final = (
    (b"\x89PNG", worded("a picture (PNG)")),
    (b"\xff\xd8\xff", worded("a picture (JPEG)")),
    (b"GIF8", worded("a picture (GIF)")),
    (b"RIFF", worded("a picture, sound or film")),
    (b"II*\x00", worded("a picture (TIFF)")),
    (b"MM\x00*", worded("a picture (TIFF)")),
    (b"%PDF", worded("a PDF")),
    (b"{\\rtf", worded("a text document (RTF)")),
    (b"MZ", worded("a program")),
    (b"\x7fELF", worded("a program")),
    (b"\xcf\xfa\xed\xfe", worded("a program")),
    (b"Rar!", worded("a RAR archive")),
    (b"7z\xbc\xaf\x27\x1c", worded("a 7-Zip archive")),
    (b"BZh", worded("a bzip2 archive")),
    (b"\xfd7zXZ", worded("an xz archive")),
    (b"\x28\xb5\x2f\xfd", worded("a Zstandard archive")),
    (b"SQLite format 3\x00", worded("a database (SQLite)")),
    (b"ARROW1", worded("an Arrow file")),
    (b"Obj\x01", worded("an Avro file")),
)
"""How files begin that people send by mistake."""

_CDF: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MARKUP: Final = re.compile(rb"\s*<(?:!doctype|html|head|body|\?xml|svg|table|script)", re.IGNORECASE)
_OBJECT: Final = re.compile(rb'\s*\{\s*["}]')
_ARRAY: Final = re.compile(rb"\s*\[\s*[\[{\]\"\d-]")
_CONTROL: Final = bytes({*range(1, 9), *range(14, 27), 28, 29, 30, 31, 127})
_TEXT: Final = bytes(n for n in range(256) if n not in _CONTROL)
_SAMPLE: Final = 1 << 16


def facts(path: Path) -> TableFacts:
    """Reads the whole file, block by block: its fingerprint as it lies there, its lines, its encoding, its format.

    Takes as long as the disk does: call it in a thread. Raises TableUnreadable with a sentence about what it is instead.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        is_zipped = file.read(2) == GZIP
        file.seek(0)
        while is_zipped and (chunk := file.read(BLOCK)):
            digest.update(chunk)
    with opened(path) as file:
        blocks = _blocks(file, None if is_zipped else digest)
        first = next(blocks, b"")
        format = _format(first)
        if format in ("csv", "jsonl"):
            lines, encoding = _looked_over(first, blocks)
        else:
            lines, encoding = 0, "utf-8-sig"
            for _ in blocks:
                pass
    if format == "jsonl" and objects.ARRAY.match(_text(first[:_SAMPLE])):
        lines = objects.count(path, encoding)
    elif format in ("xlsx", "parquet"):
        with seekable(path) as whole:
            lines = sheets.count(whole) if format == "xlsx" else parquet.count(whole)
    return TableFacts(digest.digest(), lines, encoding, format)


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...


def _blocks(file: IO[bytes], digest: _Digest | None) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        if digest is not None:
            digest.update(block)
        yield block


def _looked_over(first: bytes, blocks: Iterator[bytes]) -> tuple[int, str]:
    guess, lines, last = Guess(), 0, b"\n"
    for block in chain([first], blocks):
        guess.see(block)
        lines += block.count(b"\n")
        last = block[-2:].rstrip(b"\0")[-1:] if guess.is_sure else block[-1:]
    return lines + (last != b"\n"), guess.encoding()


def _format(first: bytes) -> Format:
    """What a file is that begins so. Raises TableUnreadable."""
    if not first:
        raise TableUnreadable("The file is empty: it has no header row.")
    if first.startswith(b"PK\x03\x04"):
        return "xlsx"
    if first.startswith(b"PAR1"):
        return "parquet"
    if first.startswith(b"PAR"):
        raise TableUnreadable("The Parquet file is encrypted: save it without a key.")
    if first.startswith(b"PK\x05\x06"):
        raise TableUnreadable("It is an empty zip archive.")
    if first.startswith(GZIP):
        raise TableUnreadable("It is zipped twice: unzip it once.")
    if first.startswith(_CDF):
        raise TableUnreadable(_old_office(first))
    for magic, what in _MAGIC:
        if first.startswith(magic) and not _is_word(magic, first):
            raise TableUnreadable(f"It is {what}, and no table. {SAVE}")
    if first.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise TableUnreadable("It is text in UTF-32: save it as UTF-8.")
    sample = _text(first[:_SAMPLE])
    if _MARKUP.match(sample):
        raise TableUnreadable(f"It is a web page or XML, and no table. {SAVE}")
    nuls = sample.count(b"\0")
    if nuls > len(sample) // 8:
        if max(sample[::2].count(b"\0"), sample[1::2].count(b"\0")) > len(sample) // 4:
            raise TableUnreadable("It seems to be UTF-16 or UTF-32 without the mark that says so: save it as UTF-8.")
        raise TableUnreadable(f"It is no text. {SAVE}")
    if len(sample.translate(None, _TEXT)) > 16 + len(sample) // 50:
        raise TableUnreadable(f"It is no text. {SAVE}")
    return "jsonl" if _OBJECT.match(sample) or _ARRAY.match(sample) else "csv"


def _is_word(magic: bytes, first: bytes) -> bool:
    """Whether what looks like another kind of file is the first word of a table: `MZ`, `Rar!` and `BZh` can be."""
    return magic.isalnum() and len(first[:200].translate(None, _TEXT)) == 0 and b"\0" not in first[:200]


def _text(sample: bytes) -> bytes:
    """The beginning as UTF-8, without a mark."""
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return sample[: len(sample) // 2 * 2].decode("utf-16", "replace").encode("utf-8", "replace")
    return sample.removeprefix(codecs.BOM_UTF8)


def _old_office(first: bytes) -> str:
    if "EncryptedPackage".encode("utf-16-le") in first:
        return "The workbook has a password: save it without one."
    return f"It is a file of an old Office (.xls or .doc). {SAVE}"
