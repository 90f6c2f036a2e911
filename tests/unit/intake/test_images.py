"""Pictures: what customers' phones write is taken, nothing but pixels is kept, and nothing harmful is decoded."""

import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, PngImagePlugin

from services.intake.images import MAX_EDGE, NotAnImage, cleaned

RED, BLUE = (220, 30, 30), (30, 30, 220)
PLACE = "31.2304N 121.4737E 13800138000"


def two_halves(size: tuple[int, int] = (80, 40), mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, RED)
    ImageDraw.Draw(image).rectangle((size[0] // 2, 0, *size), fill=BLUE)
    return image.convert(mode)


def written(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def read(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def is_near(pixel: object, colour: tuple[int, int, int]) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(one - other) < 40 for one, other in zip(pixel, colour, strict=True))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_every_kind_of_picture_that_phones_take_is_taken(kind: str) -> None:
    picture = cleaned(written(two_halves(), kind))
    image = read(picture.data)
    assert (image.format, image.size, (picture.width, picture.height)) == ("JPEG", (80, 40), (80, 40))
    assert is_near(image.getpixel((5, 20)), RED)
    assert is_near(image.getpixel((75, 20)), BLUE)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_every_mode_of_colour_is_taken(mode: str) -> None:
    kind = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    assert read(cleaned(written(two_halves(mode=mode), kind)).data).mode == "RGB"


def test_sixteen_bits_of_grey_stay_grey() -> None:
    grey = Image.new("I;16", (20, 20), 32768)
    assert is_near(read(cleaned(written(grey, "PNG")).data).getpixel((10, 10)), (127, 127, 127))


def test_what_is_transparent_becomes_white() -> None:
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert is_near(read(cleaned(written(clear, "PNG")).data).getpixel((10, 10)), (255, 255, 255))


def test_a_picture_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    image = read(cleaned(written(two_halves(), "JPEG", exif=exif)).data)
    assert image.size == (40, 80)
    assert is_near(image.getpixel((20, 5)), RED)
    assert is_near(image.getpixel((20, 75)), BLUE)


def test_place_camera_and_comments_are_gone() -> None:
    exif = Image.Exif()
    exif[0x010F] = PLACE
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "N", (31.0, 13.0, 49.0)
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", PLACE)
    text.add_itxt("XML:com.adobe.xmp", PLACE)
    hidden = PLACE.encode()
    sent = [
        written(two_halves(), "JPEG", exif=exif, comment=hidden, xmp=hidden),
        written(two_halves(), "WEBP", exif=exif, xmp=hidden),
        written(two_halves(), "HEIF", exif=exif.tobytes(), xmp=hidden),
        written(two_halves(), "PNG", exif=exif, pnginfo=text),
        written(two_halves(), "JPEG") + hidden,
    ]
    for data in sent:
        assert hidden in data
        kept = cleaned(data).data
        assert hidden not in kept
        image = read(kept)
        assert not image.getexif()
        assert not {"comment", "xmp", "exif", "icc_profile"} & set(image.info)


def test_of_an_animation_the_first_frame_is_kept() -> None:
    frames = [Image.new("RGB", (30, 30), colour) for colour in (RED, BLUE, BLUE)]
    for kind in ("WEBP", "PNG", "MPO"):
        image = read(cleaned(written(frames[0], kind, save_all=True, append_images=frames[1:])).data)
        assert is_near(image.getpixel((10, 10)), RED), kind


def test_a_large_picture_is_scaled_down() -> None:
    picture = cleaned(written(two_halves((6000, 1000)), "JPEG"))
    assert (picture.width, picture.height) == (MAX_EDGE, MAX_EDGE // 6)


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is that large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(NotAnImage, match="million pixels"):
        cleaned(png_claiming(60_000, 60_000))


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "ICO", "PDF"])
def test_other_kinds_are_refused_whatever_they_are_called(kind: str) -> None:
    with pytest.raises(NotAnImage, match="JPEG, PNG, WebP or HEIC"):
        cleaned(written(two_halves(), kind))


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"<svg/>", "牛奶".encode(), b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(NotAnImage):
        cleaned(data)


SAMPLES = [written(two_halves(), kind) for kind in ("JPEG", "PNG", "WEBP", "HEIF")]


@settings(max_examples=150)
@given(st.sampled_from(SAMPLES), st.data())
def test_a_broken_picture_is_refused_or_repaired_but_never_harms(sample: bytes, data: st.DataObject) -> None:
    broken = bytearray(sample[: data.draw(st.integers(0, len(sample)))])
    for _ in range(data.draw(st.integers(0, 6))):
        if broken:
            broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        picture = cleaned(bytes(broken))
    except NotAnImage:
        return
    assert max(picture.width, picture.height) <= MAX_EDGE
