"""Convert an image's bytes to the pixels for the network. Needs Pillow and NumPy.

Training and the endpoint both use `decode`, so they get the same pixels and refuse the same files. An image has three
bounds: its work by its header (`budget`), the work of all threads at once, and the processor's seconds. The last is for
files that no header betrays.
"""

import contextlib
import io
import re
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from classifier.contract import MAX_PIXELS, ApiError
from classifier.images import budget
from classifier.images.in_flight import InFlight

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_SECONDS = 10.0  # of a thread's processor time for one image, so that a busy machine refuses no image
IN_FLIGHT = InFlight(2 * budget.MAX_WORK)  # less than 1.5 GB
SMALL_WORK = 4_000_000  # a megapixel; so small an image need not wait for others

_ORIENTATION_TAG = 0x0112
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_PADDINGS = (bytes(64), b"\xaa" * 64)  # bits that a decoder could mistake for pixels, and others
_UPRIGHT = {  # EXIF orientation -> the transposition that turns the picture upright; none for 1 and wrong values
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class GivenUp(Exception):
    """Nobody waits for the image any more."""


def decode(
    data: bytes,
    size: int,
    stop: Callable[[], bool] | None = None,
    seconds: float = MAX_SECONDS,
    work: int | None = None,
) -> np.ndarray:
    """The image in `data` as uint8 RGB of shape [size, size, 3].

    The image is turned upright by its EXIF orientation, its shorter side is scaled to `size`, and its centre is
    cropped. Transparent pixels become white. `work` is that of the data, if it is already computed. Raises ApiError
    `too_many_pixels`, before any pixel is decoded, or after `seconds` of the processor's time, or `undecodable_image`.
    Raises GivenUp soon after `stop()` is true.
    """
    return np.asarray(middle(decode_whole(data, size, stop, seconds, work), size))


def middle(image: Image.Image, size: int) -> Image.Image:
    """The centre of an image whose shorter side is scaled to `size`: [size, size]."""
    return ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)


def decode_whole(
    data: bytes,
    size: int,
    stop: Callable[[], bool] | None = None,
    seconds: float = MAX_SECONDS,
    work: int | None = None,
) -> Image.Image:
    """The whole image in `data`, upright and RGB, not cropped like that of `decode`. Raises the same exceptions.

    Large JPEGs are decoded at a reduced size, with both sides at least twice `size`.
    """
    work = budget.work(data) if work is None else work
    with contextlib.nullcontext() if work <= SMALL_WORK else IN_FLIGHT.hold(work):
        until = time.thread_time() + seconds
        try:
            return _decoded(data, size, stop, until)
        except (ApiError, GivenUp):
            raise
        except Image.DecompressionBombError:
            raise ApiError("too_many_pixels", f"The image has more than {MAX_PIXELS:,} pixels.") from None
        except Exception as error:  # Pillow's plugins raise almost anything on broken files: SyntaxError, struct.error
            raise ApiError("undecodable_image", f"The image cannot be decoded: {_reason(error)}.") from None


class _Watched:
    """A file whose reader can be stopped at each of its blocks (64 KiB)."""

    def __init__(self, file: io.BytesIO, stop: Callable[[], bool] | None, until: float):
        self._file, self._stop, self._until = file, stop, until

    def read(self, size: int = -1) -> bytes:
        if self._stop is not None and self._stop():
            raise GivenUp
        if time.thread_time() > self._until:
            raise ApiError("too_many_pixels", "The image takes too long to decode.")
        return self._file.read(size)

    def __getattr__(self, name: str):
        return getattr(self._file, name)


def _decoded(data: bytes, size: int, stop: Callable[[], bool] | None, until: float) -> Image.Image:
    def pixels(data: bytes) -> Image.Image:
        image = Image.open(file := io.BytesIO(data), formats=FORMATS)
        watched: Any = _Watched(file, stop, until)
        image.fp = watched  # not before: a header is many small reads
        image.draft("RGB", (2 * size, 2 * size))  # JPEG only: decoded at 1/2, 1/4 or 1/8 if that is still large enough
        return _to_rgb(_upright(image))

    try:
        return pixels(data)
    except OSError as error:
        if not data.startswith(_JPEG_START) or _JPEG_END in data[-64:]:
            raise
        whole = _without_its_end(data, pixels)
        if whole is None:
            raise error
        return whole


def _without_its_end(data: bytes, pixels: Callable[[bytes], Image.Image]) -> Image.Image | None:
    """A JPEG that lacks its end marker, which some programs write and every browser shows. None if it lacks more.

    It is whole if the bits after its last byte do not change a pixel.
    """
    try:
        one, other = (pixels(data + padding + _JPEG_END) for padding in _PADDINGS)
    except OSError:
        return None
    return one if one.tobytes() == other.tobytes() else None


def _upright(image: Image.Image) -> Image.Image:
    try:
        if not budget.is_small_directory(_exif(image)):
            return image
        orientation = image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # broken EXIF with intact pixels, which many cameras and editors write
        return image
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _exif(image: Image.Image) -> bytes:
    """The TIFF directory of the image's EXIF, as Pillow finds it. A PNG may have it in a text, in hexadecimal.

    That of a JPEG is part of its header, which `budget` has checked.
    """
    if image.format in ("JPEG", "MPO"):
        return b""
    if image.format == "PNG":
        image.load()  # these chunks may be after the pixels
    data = image.info.get("exif")
    if data is None and "Raw profile type exif" in image.info:
        data = bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[3:]))
    return re.sub(rb"^(Exif\0\0){1,2}", b"", data or b"")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I;16":  # 16 bits of grey, which Pillow's conversion clips to white
        high = np.asarray(image).view(np.uint8)[:, 1::2] if sys.byteorder == "little" else np.asarray(image) >> 8
        return Image.fromarray(np.ascontiguousarray(high, dtype=np.uint8)).convert("RGB")
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image, dtype=np.uint32) >> 8).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        image.load()
        return image if image.mode == "RGB" else image.convert("RGB")  # a copy of 50 megapixels is 200 MB
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is not a JPEG, PNG or WebP file"
    return str(error).rstrip(".") or type(error).__name__
