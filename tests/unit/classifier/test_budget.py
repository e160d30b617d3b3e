"""The work of decoding an image, from its header alone. Hostile files are refused before Pillow opens them."""

import io
import struct
import threading
import zlib

import numpy as np
import pytest
from classifier.contract import MAX_PIXELS, ApiError
from classifier.images import budget, decoding
from classifier.images.decoding import GivenUp, decode
from classifier.images.in_flight import InFlight
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.unit.classifier.pictures import encoded, noisy_square

WAIT = 30  # seconds until a test fails
PHOTO = noisy_square((200, 40, 40), 1, side=640)


def png(width: int, height: int, colours: int = 2, depth: int = 8, interlaced: int = 0, *more: bytes) -> bytes:
    """A PNG of this header, with nearly no data."""
    header = struct.pack(">LLBBBBB", width, height, depth, colours, 0, 0, interlaced)
    chunks = [chunk(b"IHDR", header), *more, chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def lossless_webp(width: int, height: int, alpha: bool) -> bytes:
    data = b"\x2f" + struct.pack("<L", width - 1 | height - 1 << 14 | alpha << 28) + bytes(8)
    return b"RIFF" + struct.pack("<L", len(data) + 12) + b"WEBPVP8L" + struct.pack("<L", len(data)) + data


def extended_webp(width: int, height: int, flags: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<L", 22) + b"WEBPVP8X" + struct.pack("<LL", 10, flags) + sides


def with_scans(count: int, size=(3000, 3000), **options) -> bytes:
    """A progressive JPEG that repeats its last scan."""
    whole = encoded(Image.new("L", size, 128), progressive=True, **options)
    return whole[:-2] + count * whole[whole.rfind(b"\xff\xda") : -2] + whole[-2:]


def as_mpo(first: bytes) -> bytes:
    """The picture as the first of two in one file, as stereo cameras and phones write it."""
    file = io.BytesIO()
    PHOTO.save(file, "MPO", save_all=True, append_images=[PHOTO])
    head = file.getvalue()
    at = head.index(b"\xff\xe2")
    return first[:2] + head[at : at + 2 + struct.unpack_from(">H", head, at + 2)[0]] + first[2:] + first


def with_exif(entries: int, values: int) -> bytes:
    """EXIF whose entries all name the same `values` bytes."""
    table = b"".join(struct.pack("<HHLL", 0x9000 + each, 7, values, 8) for each in range(entries))
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", entries) + table + bytes(4)


def with_segment(jpeg: bytes, marker: int, data: bytes, times: int = 1) -> bytes:
    return jpeg[:2] + (struct.pack(">HH", marker, 2 + len(data)) + data) * times + jpeg[2:]


def refusal(data: bytes) -> str:
    with pytest.raises(ApiError) as refused:
        budget.work(data)
    return refused.value.code


@pytest.mark.parametrize(
    "data",
    [
        with_scans(400),
        as_mpo(with_scans(400)),
        lossless_webp(7000, 7000, alpha=True),
        extended_webp(7000, 7000, flags=0x10),
        extended_webp(7000, 7000, flags=0x02),
        png(1, MAX_PIXELS),
        png(7000, 7000, colours=6, depth=16),
        png(7000, 7000, 2, 8, 1, chunk(b"tRNS", bytes(6))),
        png(7000, 7000, 0, 8, 0, chunk(b"tRNS", bytes(2))),
        png(10_000, 10_000),
        lossless_webp(16_383, 16_383, alpha=False),
    ],
    ids=[
        "scans",
        "scans in an mpo",
        "transparent webp",
        "webp with an alpha channel",
        "animated webp",
        "a column",
        "16 bits and alpha",
        "a transparent colour, interlaced",
        "a transparent shade",
        "pixels",
        "pixels of a webp",
    ],
)
def test_a_file_with_too_much_work_is_refused_by_its_header(data):
    assert refusal(data) == "too_many_pixels"


@pytest.mark.parametrize(
    "data",
    [
        png(1, 1, 2, 8, 0, chunk(b"teXt", b"") * 10_000),
        with_segment(encoded(PHOTO), 0xFFE5, b"", times=2000),
        with_segment(encoded(PHOTO), 0xFFE1, with_exif(entries=2000, values=20_000)),
        with_segment(encoded(PHOTO), 0xFFE2, b"MPF\0" + with_exif(entries=2000, values=20_000)[6:]),
        b"RIFF\x04\0\0\0WEBPVP8X",
        b"\xff\xd8\xff\xc0\0\x11",
    ],
    ids=["chunks", "segments", "exif", "mpo index", "cut webp", "cut jpeg"],
)
def test_a_file_with_endless_or_broken_headers_is_refused(data):
    assert refusal(data) == "undecodable_image"


@pytest.mark.parametrize(
    "data",
    [
        png(7000, 7000, interlaced=1),
        png(7000, 7000, colours=3),
        png(5000, 4000, colours=6),
        lossless_webp(4000, 4000, alpha=True),
        lossless_webp(6000, 4000, alpha=False),
        encoded(Image.new("RGB", (6000, 4000)), progressive=True, subsampling=0),
        encoded(PHOTO, "WEBP"),
        encoded(PHOTO, "MPO", save_all=True, append_images=[PHOTO] * 3),
        with_segment(encoded(PHOTO), 0xFFE1, b"Exif\0\0II*\0\x08\0\0\0"),
        encoded(PHOTO) + b"\xff\xda" * 100_000,
    ],
    ids=["interlaced", "palette", "transparent", "transparent webp", "webp", "24 MP", "lossy", "mpo", "exif", "video"],
)
def test_what_cameras_and_editors_write_is_within_the_budget(data):
    assert budget.work(data) <= budget.MAX_WORK


def test_a_photograph_of_a_phone_is_light_and_a_large_transparent_picture_is_not():
    assert budget.work(encoded(Image.new("RGB", (4000, 3000)))) < budget.LIGHT_WORK < budget.work(png(4000, 4000, 6))


SMALL = noisy_square((1, 2, 3), 1)
FILES = [
    encoded(SMALL, progressive=True),
    encoded(SMALL, "MPO", save_all=True, append_images=[SMALL]),
    encoded(SMALL, "PNG"),
    encoded(SMALL.convert("RGBA"), "WEBP", lossless=True, exif=with_exif(3, 9)),
    encoded(SMALL, "WEBP", save_all=True, append_images=[SMALL.rotate(90)]),
]
CHANGES = st.dictionaries(st.integers(2, 200), st.sampled_from([0, 1, 127, 255]) | st.integers(0, 255), max_size=4)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, on broken EXIF
@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from(FILES), CHANGES)
def test_any_change_of_a_header_is_answered_by_pixels_or_a_refusal(file, changes):
    data = bytearray(file)
    for at, value in changes.items():
        data[at] = value
    try:
        assert decode(bytes(data), 32).shape == (32, 32, 3)
    except ApiError as error:
        assert error.status == 422


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "RGB", "I;16"])
@pytest.mark.parametrize("size", [(640, 480), (3, 700), (700, 3)])
def test_the_bound_on_work_changes_no_pixel(mode, size):
    """The decoder that reads in small steps gives what Pillow gives for the whole file."""
    image = PHOTO.resize(size).convert("L").convert(mode) if mode == "I;16" else PHOTO.resize(size).convert(mode)
    data = encoded(image, "PNG")
    plain = Image.open(io.BytesIO(data))
    if mode == "I;16":
        plain = Image.fromarray((np.asarray(plain, np.uint32) >> 8).astype(np.uint8))
    if plain.has_transparency_data:
        plain = Image.alpha_composite(Image.new("RGBA", size, "white"), plain.convert("RGBA"))
    np.testing.assert_array_equal(decode(data, 96), decoding.middle(plain.convert("RGB"), 96))


def test_hostile_exif_in_a_png_is_ignored():
    """It may be in a text too. Pillow 12 copies the values of each entry."""
    plain = decode(encoded(PHOTO, "PNG"), 32)
    exif = with_exif(entries=2000, values=20_000)
    np.testing.assert_array_equal(decode(encoded(PHOTO, "PNG", exif=exif), 32), plain)


def test_a_picture_without_its_end_marker_is_decoded_and_a_cut_one_is_not():
    whole = encoded(PHOTO, quality=90)
    np.testing.assert_array_equal(decode(whole[:-2], 96), decode(whole, 96))
    for cut in (3, 10, 1000):
        with pytest.raises(ApiError, match="truncated"):
            decode(whole[: -2 - cut], 96)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_decoder_stops_when_nobody_waits(kind):
    """The caller leaves at the fifth step of many."""
    data = encoded(noisy_square((1, 2, 3), 1, side=1600), kind)
    assert len(data) > 5 * 65536
    steps = iter([False] * 4)
    with pytest.raises(GivenUp):
        decode(data, 1600, stop=lambda: next(steps, True))


def test_a_decoder_stops_when_its_time_is_used():
    with pytest.raises(ApiError, match="too long") as refused:
        decode(encoded(PHOTO, "PNG"), 96, seconds=0)
    assert refused.value.code == "too_many_pixels"


def test_threads_wait_until_there_is_room_for_their_image():
    room, entered, leave = InFlight(cap=10), threading.Semaphore(0), threading.Semaphore(0)

    def hold(amount: int) -> None:
        with room.hold(amount):
            entered.release()
            assert leave.acquire(timeout=WAIT)

    large = threading.Thread(target=hold, args=(25,))  # more than the cap, so alone
    large.start()
    assert entered.acquire(timeout=WAIT)
    small = [threading.Thread(target=hold, args=(5,)) for _ in range(3)]
    for thread in small:
        thread.start()
    assert not entered.acquire(timeout=0.05) and room.held == 25
    for _ in range(2):
        leave.release()  # the large one, then one that has entered meanwhile
        assert entered.acquire(timeout=WAIT)
        assert room.held <= 10 or room.held == 25
    for _ in range(3):
        leave.release()
    for thread in (large, *small):
        thread.join(WAIT)
    assert room.held == 0


def test_nothing_is_held_after_a_refused_image():
    for data in (encoded(PHOTO)[:2000], lossless_webp(7000, 7000, alpha=True)):
        with pytest.raises(ApiError):
            decode(data, 32)
    assert decoding.IN_FLIGHT.held == 0


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (encoded(PHOTO, "GIF"), "its format is GIF, not JPEG"),
        (encoded(PHOTO, "BMP"), "its format is BMP, not JPEG"),
        (encoded(PHOTO, "TIFF"), "its format is TIFF, not JPEG"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "its format is HEIC, not JPEG"),
        (b"\0\0\0\x18ftypavif" + bytes(50), "its format is AVIF, not JPEG"),
        (b"text", "not a JPEG, PNG or WebP file"),
    ],
)
def test_another_format_is_named_whatever_the_name_of_the_file(data, name):
    with pytest.raises(ApiError, match=name):
        decode(data, 32)
