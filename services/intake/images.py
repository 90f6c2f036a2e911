"""Pictures as customers send them, made harmless: decoded to see that they are pictures, and written anew.

Nothing of the original file is kept but its pixels: no EXIF, no place, no comment, no profile, no second picture. What
the name or the content type claims plays no part.
"""

import io
import struct
import zlib

import pillow_heif
from PIL import Image, ImageOps

from services.intake.model import Picture

MAX_PIXELS = 50_000_000
# A longer edge is scaled down to this: enough to read a label on, and bounded in memory and in the database.
MAX_EDGE = 3000
MEDIA_TYPE = "image/jpeg"
_QUALITY = 88
_FORMATS = ("JPEG", "PNG", "WEBP", "HEIF")
# What decoders raise for broken files, as they have been seen to do.
_BROKEN = (
    OSError, ValueError, SyntaxError, EOFError, LookupError, ArithmeticError, TypeError, AttributeError, RuntimeError,
    MemoryError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip

# The size is looked at before anything is decoded, against our own limit.
Image.MAX_IMAGE_PIXELS = None
pillow_heif.register_heif_opener()


class NotAnImage(Exception):
    """The bytes can't be taken; the message says why, in words for the customer's program."""


def cleaned(data: bytes) -> Picture:
    """The picture, upright, at most MAX_EDGE pixels long; of an animation the first frame.

    Takes tens of milliseconds to a few seconds and up to 8 bytes a pixel: not for the event loop. Raises NotAnImage.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise NotAnImage(f"must have at most {MAX_PIXELS // 1_000_000} million pixels")
            # A JPEG can be decoded at a half, a quarter …: less work and memory for the same result.
            image.draft("RGB", (MAX_EDGE, MAX_EDGE))
            image.thumbnail((MAX_EDGE, MAX_EDGE), reducing_gap=3.0)
            upright = ImageOps.exif_transpose(image)
            # A fresh picture: the old one's would be written along with its comments.
            fresh = _on_white(_eight_bits(upright))
    except _BROKEN as error:
        raise NotAnImage("must be a JPEG, PNG, WebP or HEIC picture") from error
    written = io.BytesIO()
    fresh.save(written, "JPEG", quality=_QUALITY, optimize=False)
    return Picture(written.getvalue(), fresh.width, fresh.height)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Sixteen bits of grey scaled to eight: converting alone would cut everything above 255 to white."""
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda grey: grey * (1 / 257)).convert("L")
    return image


def _on_white(image: Image.Image) -> Image.Image:
    fresh = Image.new("RGB", image.size, "white")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        fresh.paste(clear, mask=clear.getchannel("A"))
    else:
        fresh.paste(image.convert("RGB"))
    return fresh
