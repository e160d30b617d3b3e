"""From an image's bytes to the pixels that the network sees. Needs Pillow and NumPy.

Training computes its features with `decode` and the endpoint serves with it, so that both see the same picture.
"""

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from classifier.contract import MAX_PIXELS, ApiError

FORMATS = ("JPEG", "PNG", "WEBP")
# A progressive JPEG is a pile of scans, each of which goes over every pixel: photographs have up to a dozen, and in
# the bytes of one image there is room for 40,000, which take minutes. As much work is allowed as 20 of the largest.
MAX_SCANNED_PIXELS = 20 * MAX_PIXELS

_ORIENTATION_TAG = 0x0112
_START_OF_SCAN = b"\xff\xda"  # within a scan's data 0xff is followed by 0x00
_UPRIGHT = {  # EXIF orientation -> what turns the picture upright; 1 and nonsense: as it is
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(data: bytes, size: int) -> np.ndarray:
    """The image in `data` as uint8 RGB of shape [size, size, 3].

    Turned upright by its EXIF orientation, the shorter side scaled to `size`, the middle cut out; what is
    transparent is white. Raises ApiError `too_many_pixels`, before any pixel is decoded, or `undecodable_image`.
    """
    return np.asarray(middle(decode_whole(data, size), size))


def middle(image: Image.Image, size: int) -> Image.Image:
    """The middle of an image, its shorter side scaled to `size`: [size, size]."""
    return ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)


def decode_whole(data: bytes, size: int) -> Image.Image:
    """The whole image in `data`, upright and RGB, where `decode` cuts out the middle; raises what `decode` raises.

    Large JPEGs come smaller than they are, with both sides still at least twice `size`.
    """
    try:
        image = _open(data)
        image.draft("RGB", (2 * size, 2 * size))  # JPEG only: decoded at 1/2, 1/4 or 1/8 where that is still enough
        return _to_rgb(_upright(image))
    except ApiError:
        raise
    except Exception as error:  # Pillow's plugins raise almost anything on broken files: SyntaxError, struct.error ...
        raise ApiError("undecodable_image", f"The image cannot be decoded: {_reason(error)}.") from None


def _open(data: bytes) -> Image.Image:
    """The image, none of its pixels decoded yet. Raises ApiError `too_many_pixels` or what Pillow raises."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise ApiError("too_many_pixels", f"The image has more than {MAX_PIXELS:,} pixels.") from None
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ApiError("too_many_pixels", f"The image has {width} x {height} pixels; at most {MAX_PIXELS:,} are taken.")
    if image.format == "JPEG" and data.count(_START_OF_SCAN) * width * height > MAX_SCANNED_PIXELS:
        raise ApiError("too_many_pixels", "The image goes over its pixels too often; save it as a baseline JPEG.")
    return image


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # broken EXIF beside good pixels: many cameras and editors write it
        return image
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow's own conversion clips to white
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
