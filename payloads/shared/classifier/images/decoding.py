"""Convert an image's bytes to the pixels for the network. Needs Pillow and NumPy.

Training and the endpoint both use `decode`, so they get the same pixels.
"""

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from classifier.contract import MAX_PIXELS, ApiError

FORMATS = ("JPEG", "PNG", "WEBP")
# A progressive JPEG consists of scans, and each scan covers every pixel. Photographs have up to a dozen. 40,000 scans
# fit into the bytes of one image and take minutes. The limit is the work of 20 scans of the largest image.
MAX_SCANNED_PIXELS = 20 * MAX_PIXELS

_ORIENTATION_TAG = 0x0112
_START_OF_SCAN = b"\xff\xda"  # within a scan's data 0xff is followed by 0x00
_UPRIGHT = {  # EXIF orientation -> the transposition that turns the picture upright; none for 1 and wrong values
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

    The image is turned upright by its EXIF orientation, its shorter side is scaled to `size`, and its centre is
    cropped. Transparent pixels become white. Raises ApiError `too_many_pixels`, before any pixel is decoded, or
    `undecodable_image`.
    """
    return np.asarray(middle(decode_whole(data, size), size))


def middle(image: Image.Image, size: int) -> Image.Image:
    """The centre of an image whose shorter side is scaled to `size`: [size, size]."""
    return ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)


def decode_whole(data: bytes, size: int) -> Image.Image:
    """The whole image in `data`, upright and RGB, not cropped like that of `decode`. Raises the same exceptions.

    Large JPEGs are decoded at a reduced size, with both sides at least twice `size`.
    """
    try:
        image = _open(data)
        image.draft("RGB", (2 * size, 2 * size))  # JPEG only: decoded at 1/2, 1/4 or 1/8 if that is still large enough
        return _to_rgb(_upright(image))
    except ApiError:
        raise
    except Exception as error:  # Pillow's plugins raise almost anything on broken files: SyntaxError, struct.error ...
        raise ApiError("undecodable_image", f"The image cannot be decoded: {_reason(error)}.") from None


def _open(data: bytes) -> Image.Image:
    """The image without decoded pixels. Raises ApiError `too_many_pixels` or Pillow's exceptions."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise ApiError("too_many_pixels", f"The image has more than {MAX_PIXELS:,} pixels.") from None
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ApiError(
            "too_many_pixels", f"The image has {width} x {height} pixels; at most {MAX_PIXELS:,} are accepted."
        )
    if image.format == "JPEG" and data.count(_START_OF_SCAN) * width * height > MAX_SCANNED_PIXELS:
        raise ApiError("too_many_pixels", "The image has too many scans; save it as a baseline JPEG.")
    return image


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # broken EXIF with intact pixels, which many cameras and editors write
        return image
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow's conversion clips to white
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
