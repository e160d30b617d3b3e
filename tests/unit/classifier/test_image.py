"""Decoding images from cameras, editors and attackers."""

import io
import struct
import zlib

import numpy as np
import pytest
from classifier.contract import MAX_PIXELS, ApiError
from classifier.images.decoding import decode, decode_whole
from PIL import Image

from tests.unit.classifier.pictures import encoded, noisy_square


def halves(left="red", right="blue", size=(64, 64), mode="RGB") -> Image.Image:
    image = Image.new(mode, size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def png_header(width: int, height: int) -> bytes:
    """A PNG with a size in its header and nearly no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_every_accepted_format_becomes_rgb_of_the_requested_size(kind):
    pixels = decode(encoded(halves(), kind), 32)
    assert (pixels.shape, pixels.dtype) == ((32, 32, 3), np.uint8)
    assert pixels[16, 4, 0] > 200 > 60 > pixels[16, 4, 2]
    assert pixels[16, 28, 2] > 200 > 60 > pixels[16, 28, 0]


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK"])
def test_other_colour_modes_are_converted(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert decode(encoded(halves("white", "black").convert(mode), kind), 32).shape == (32, 32, 3)


def test_a_rotated_photograph_is_turned_upright():
    lying = halves("red", "blue").rotate(
        90
    )  # a camera in this position writes orientation 6: rotate clockwise for display
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = decode(encoded(lying, "PNG", exif=exif), 32)
    np.testing.assert_array_equal(upright, decode(encoded(halves("red", "blue"), "PNG"), 32))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])  # in JPEGs, Pillow itself ignores such EXIF
@pytest.mark.parametrize("exif", [b"Exif\x00\x00no TIFF header", b"Exif\x00\x00II*\x00"], ids=["no header", "cut"])
def test_broken_exif_with_good_pixels_does_no_harm(kind, exif):
    np.testing.assert_array_equal(decode(encoded(halves(), kind, exif=exif), 32), decode(encoded(halves(), kind), 32))


def test_transparent_pixels_become_white():
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    assert decode(encoded(image, "PNG"), 32).min() == 255


def test_sixteen_bits_of_grey_keep_their_shades():
    image = Image.fromarray(np.full((40, 40), 0x8000, dtype=np.uint16))
    assert set(decode(encoded(image, "PNG"), 32).ravel()) == {0x80}


def test_the_centre_of_a_wide_picture_is_used():
    image = Image.new("RGB", (400, 100), "black")
    image.paste("white", (150, 0, 250, 100))
    assert decode(encoded(image, "PNG"), 50).min() > 230


def test_a_large_jpeg_decoded_small_looks_like_the_same_decoded_in_full():
    data = encoded(noisy_square((200, 40, 40), 1, side=1600), "JPEG", quality=95)
    in_full = np.asarray(Image.open(io.BytesIO(data)).resize((100, 100), Image.Resampling.BICUBIC))
    assert np.abs(decode(data, 100).astype(int) - in_full).mean() < 2


def test_the_whole_picture_keeps_its_shape_and_enough_pixels():
    assert decode_whole(encoded(halves(size=(4000, 2000))), 224).size == (1000, 500)


def test_a_huge_picture_is_refused_before_it_is_decoded():
    with pytest.raises(ApiError, match="at most 50,000,000 are accepted") as refused:
        decode(png_header(100_000, 100_000), 32)
    assert refused.value.code == "too_many_pixels"


def test_a_jpeg_of_endless_scans_is_refused_before_it_is_decoded():
    """A scan of a hundred bytes processes every pixel. As many as fit into the file would take minutes."""
    whole = encoded(Image.new("L", (7000, 7000), 128), progressive=True)
    decode(whole, 32)
    scan = whole[whole.rfind(b"\xff\xda") : -2]
    with pytest.raises(ApiError) as refused:
        decode(whole[:-2] + 30_000 * scan + whole[-2:], 32)
    assert refused.value.code == "too_many_pixels"


def test_the_limit_of_pixels_is_exact():
    side = 1000
    with pytest.raises(ApiError) as refused:
        decode(png_header(side, MAX_PIXELS // side + 1), 32)
    assert refused.value.code == "too_many_pixels"
    with pytest.raises(ApiError) as refused:
        decode(png_header(side, MAX_PIXELS // side), 32)
    assert refused.value.code == "undecodable_image"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an image",
        b"\xff\xd8\xff",
        encoded(halves(), "JPEG")[:300],
        encoded(noisy_square((1, 2, 3), 1), "PNG")[:-400],
        encoded(halves(), "GIF"),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
    ids=["empty", "text", "three bytes", "cut jpeg", "cut png", "gif", "svg"],
)
def test_an_undecodable_image_is_reported(data):
    with pytest.raises(ApiError) as refused:
        decode(data, 32)
    assert (refused.value.code, refused.value.status) == ("undecodable_image", 422)
