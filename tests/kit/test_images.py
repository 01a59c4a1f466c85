"""Pictures: what they are drawn from, and what they are not."""

from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from supover.kit import images
from supover.kit.images import NotAPicture, PictureUnreadable


def encoded(image: Image.Image, kind: str, **more: Any) -> bytes:
    out = BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


async def redrawn(data: bytes, side: int = 512) -> Image.Image:
    found = await images.drawn(data, side=side)
    image = Image.open(BytesIO(found.data))
    assert (image.format, image.size) == ("WEBP", (found.width, found.height))
    return image


def near(image: Image.Image, at: tuple[int, int], colour: tuple[int, ...]) -> bool:
    found = image.convert("RGBA" if len(colour) == 4 else "RGB").getpixel(at)
    assert isinstance(found, tuple)
    return all(abs(a - b) <= 6 for a, b in zip(found, colour, strict=True))


@pytest.mark.parametrize(
    ("size", "becomes"),
    [
        ((1024, 512), (512, 256)),
        ((100, 900), (57, 512)),
        ((512, 512), (512, 512)),
        ((1, 1), (1, 1)),
        ((8000, 1), (512, 1)),
    ],
)
async def test_a_picture_fits_into_the_square_and_is_never_enlarged(
    size: tuple[int, int], becomes: tuple[int, int]
) -> None:
    assert (await redrawn(encoded(Image.new("RGB", size), "PNG"))).size == becomes


@pytest.mark.parametrize(
    ("mode", "colour", "shown"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 128, (128, 128, 128)),
        ("LA", (128, 255), (128, 128, 128, 255)),
        ("P", 0, (0, 0, 0)),
        ("RGB", (10, 20, 200), (10, 20, 200)),
        ("RGBA", (10, 20, 200, 255), (10, 20, 200, 255)),
        ("I;16", 32768, (128, 128, 128)),
    ],
)
async def test_every_kind_of_pixel_is_drawn(mode: str, colour: Any, shown: tuple[int, ...]) -> None:
    assert near(await redrawn(encoded(Image.new(mode, (9, 9), colour), "PNG")), (4, 4), shown)


async def test_a_print_jpeg_is_drawn_in_the_colours_of_screens() -> None:
    assert near(await redrawn(encoded(Image.new("CMYK", (9, 9), (0, 255, 255, 0)), "JPEG")), (4, 4), (254, 0, 0))


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [
        (1, (0, 0)),
        (2, (1, 0)),
        (3, (1, 1)),
        (4, (0, 1)),
        (5, (0, 0)),
        (6, (1, 0)),
        (7, (1, 1)),
        (8, (0, 1)),
        (9, (0, 0)),
    ],
)
async def test_it_is_turned_as_the_camera_was_held(orientation: int, corner: tuple[int, int]) -> None:
    image = Image.new("RGB", (80, 40), "white")
    image.paste((255, 0, 0), (0, 0, 40, 20))
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("JPEG", "WEBP", "PNG"):
        found = await redrawn(encoded(image, kind, exif=exif))
        assert found.size == ((40, 80) if orientation in (5, 6, 7, 8) else (80, 40))
        reds = [at for at in ((0, 0), (1, 0), (0, 1), (1, 1)) if near(found, _inside(found, at), (254, 0, 0))]
        assert reds == [corner], kind


def _inside(image: Image.Image, corner: tuple[int, int]) -> tuple[int, int]:
    x, y = corner
    return (image.width - 6 if x else 5), (image.height - 6 if y else 5)


async def test_a_large_jpeg_is_taken_where_a_large_png_is_not() -> None:
    large = Image.new("L", (5000, 4000))
    assert (await redrawn(encoded(large, "JPEG"))).size == (512, 410)
    with pytest.raises(PictureUnreadable, match="5000 × 4000"):
        await images.drawn(encoded(large, "PNG"), side=512)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
async def test_an_animation_is_no_picture(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(PictureUnreadable, match="animated"):
        await images.drawn(data, side=512)


async def test_a_telephones_second_picture_is_left_out() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert near(await redrawn(data), (4, 4), (254, 0, 0))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_however_it_is_cut_or_broken_it_is_said_so(kind: str) -> None:
    whole = encoded(Image.effect_noise((64, 64), 90), kind)
    for cut in range(0, len(whole), max(1, len(whole) // 60)):
        broken = bytearray(whole)
        broken[cut] ^= 0xFF
        for data in (whole[:cut], bytes(broken)):
            # Some bytes do not matter, or only for the colours.
            with suppress(NotAPicture, PictureUnreadable):
                await images.drawn(data, side=32)


async def test_text_that_unpacks_to_much_is_not_unpacked() -> None:
    from PIL import PngImagePlugin

    notes = PngImagePlugin.PngInfo()
    notes.add_text("note", "x" * (40 << 20), zip=True)
    data = encoded(Image.new("L", (4, 4)), "PNG", pnginfo=notes)
    assert len(data) < 100_000
    with pytest.raises(PictureUnreadable):
        await images.drawn(data, side=512)
