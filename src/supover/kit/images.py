"""Pictures that people hand in: decoded with limits, turned upright, drawn anew from their pixels and from nothing else."""

import asyncio
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Final

import msgspec
from PIL import Image, UnidentifiedImageError

from supover.kit.problems import Problem, UnsupportedMediaType

MAX_PIXELS: Final[Mapping[str, int]] = {"PNG": 16_777_216, "WEBP": 16_777_216, "JPEG": 40_000_000}
"""What is taken, and how large: a JPEG is decoded at a part of its size."""
MAX_SIDE: Final = 16_000
QUALITY: Final = 85
MEDIA_TYPE: Final = "image/webp"

_ORIENTATION: Final = 0x0112  # Exif 2.3, table 4: how the camera was held
_UPRIGHT: Final[Mapping[int, Image.Transpose]] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# A picture takes up to 200 MB while it is decoded: more than two at a time wait.
_POOL: Final = ThreadPoolExecutor(2, "images")


class NotAPicture(UnsupportedMediaType):
    """A picture must be a PNG, JPEG or WebP."""


class PictureUnreadable(Problem):
    """The picture cannot be read."""

    status = 422


class Picture(msgspec.Struct, frozen=True):
    """A picture drawn by us, as WebP."""

    data: bytes
    width: int
    height: int


async def drawn(data: bytes, *, side: int) -> Picture:
    """The picture within a square of so many pixels a side, never enlarged; decoded off the event loop.

    What was beside the pixels (EXIF, profiles, comments, anything behind the end) is gone; EXIF's orientation is applied.
    Raises NotAPicture, PictureUnreadable.
    """
    return await asyncio.get_running_loop().run_in_executor(_POOL, _drawn, data, side)


def _drawn(data: bytes, side: int) -> Picture:
    if not _is_picture(data):
        raise NotAPicture
    try:
        with warnings.catch_warnings():
            # Pillow warns of what it finds odd; what it cannot read it raises.
            warnings.simplefilter("ignore")
            return _redrawn(data, side)
    except Problem:
        raise
    except UnidentifiedImageError:
        raise PictureUnreadable("It begins like a picture, and is none.") from None
    except Exception:
        # What a broken file makes a decoder raise is not limited to any kind of exception.
        raise PictureUnreadable("It is cut short or broken.") from None


def _is_picture(data: bytes) -> bool:
    return data.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def _redrawn(data: bytes, side: int) -> Picture:
    with Image.open(BytesIO(data), formats=tuple(MAX_PIXELS)) as image:
        # Telephones put a second picture into a JPEG, which is then called an MPO; it is no animation.
        kind = "JPEG" if image.format == "MPO" else image.format or ""
        width, height = image.size
        if width * height > MAX_PIXELS[kind] or max(width, height) > MAX_SIDE:
            raise PictureUnreadable(f"It has {width} × {height} pixels; {MAX_PIXELS[kind]:,} are the most.")
        if kind != "JPEG" and getattr(image, "n_frames", 1) > 1:
            raise PictureUnreadable("It is animated: send one picture.")
        image.draft("RGB", (2 * side, 2 * side))
        orientation = image.getexif().get(_ORIENTATION)
        flat = _flat(image)
    flat.thumbnail((side, side), Image.Resampling.LANCZOS)
    if orientation in _UPRIGHT:
        flat = flat.transpose(_UPRIGHT[orientation])
    bare = Image.frombytes(flat.mode, flat.size, flat.tobytes())
    out = BytesIO()
    bare.save(out, "WEBP", quality=QUALITY, method=4)
    return Picture(out.getvalue(), *bare.size)


def _flat(image: Image.Image) -> Image.Image:
    """The picture as RGB, or RGBA where anything of it can be seen through."""
    if image.mode.startswith("I"):
        # 16 bits a pixel: the upper eight are what a screen shows.
        shrunk = image.convert("I").point([step / 256 for step in range(65536)], "L")  # pyright: ignore[reportUnknownMemberType]
        return shrunk.convert("RGB")
    wanted = "RGBA" if image.has_transparency_data else "RGB"
    image.load()
    return image if image.mode == wanted else image.convert(wanted)
