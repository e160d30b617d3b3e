"""What an image costs to decode, from its header alone: pixels, times channels, times passes over them.

A file of a few bytes can take minutes and gigabytes: a JPEG of many scans, a WebP or PNG of one colour, a picture of
one column. `work` reads the header and refuses such a file before Pillow sees it. Standard library only.

The unit of work is one channel of one pixel of an uncompressed picture, about 6 ns on the processors of 2025. The
weights are measured with Pillow 12.3 and 13.0 from the bytes to 224 x 224 pixels, transparency included.
"""

import math
import re
import struct
from collections.abc import Iterator

from classifier.contract import MAX_PIXELS, ApiError, sniff

MAX_WORK = 4 * MAX_PIXELS + MAX_PIXELS // 5  # about 1.3 s; the largest interlaced PNG in RGB, or JPEG in 14 scans
LIGHT_WORK = 80_000_000  # up to here an image is ordinary: a JPEG of 24 megapixels, a PNG of 20

ROW_WORK = 16  # a row has its own pointer and call, so 1 x 50,000,000 pixels are not 50 megapixels of work
SAMPLES_PER_WORK = 5  # in a progressive JPEG, values of one component in one scan; an empty scan costs as much
ARITHMETIC = 4  # times the work of Huffman codes
# Of a pixel: libwebp decodes to RGBA on a canvas, and Pillow copies it twice.
WEBP_WORK, WEBP_LOSSLESS_WORK, WEBP_ALPHA_WORK = 6, 7, 12
TRANSPARENT_WORK = 8  # of a pixel in RGBA: it is converted and laid over white
PNG_WORK = {0: 3, 2: 3, 3: 4, 4: TRANSPARENT_WORK, 6: TRANSPARENT_WORK}  # by the colour type; 0 is grey, 3 a palette
MAX_SEGMENTS = 1000  # before the pixels of a JPEG; a profile or comment of 4 MiB takes 64
MAX_CHUNKS, CHUNK_BYTES = 4096, 4096  # of a PNG: that many, and one more for each 4 KiB of the file

_JPEG_MARKER = re.compile(rb"\xff+([^\x00\x01\xd0-\xd7\xff])")  # without those that may be within a scan's data
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_LENGTH = struct.Struct(">H")
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE, _BY_ARITHMETIC = {0xC2, 0xC6, 0xCA, 0xCE}, {*range(0xC9, 0xD0)}
_OTHER_FORMATS = {b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
_HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def work(data: bytes) -> int:
    """The work of decoding a JPEG, PNG or WebP file, or its first picture if it has several (MPO, APNG, animation).

    Raises ApiError: `too_many_pixels` if it has more than MAX_PIXELS or takes more than MAX_WORK, `undecodable_image`
    if the header is not valid.
    """
    try:
        amount = {"image/jpeg": _jpeg, "image/png": _png, "image/webp": _webp, None: _unknown}[sniff(data)](data)
    except (struct.error, IndexError):
        raise _invalid("its header is cut") from None
    if amount > MAX_WORK:
        raise _too_much("The image takes too much work to decode: it has too many scans, channels or rows.")
    return amount


def is_small_directory(tiff: bytes) -> bool:
    """Whether the values of a TIFF directory, in EXIF or in an MPO's index, are together about as long as `tiff`.

    Each of 65,000 entries may name the same megabytes, and Pillow 12 copies them for each.
    """
    order = ">" if tiff.startswith(b"MM") else "<"
    try:
        (start,) = struct.unpack_from(order + "L", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        entries = struct.iter_unpack(order + "HHL4x", tiff[start + 2 : start + 2 + 12 * min(count, len(tiff) // 12)])
        total = sum(min(len(tiff), 16 * values) for _, _, values in entries if values > 1)
    except struct.error:
        return True  # Pillow finds no entries
    return total <= 16 * len(tiff) + 65536


def _jpeg(data: bytes) -> int:
    width = height = samples = segments = 0
    kind, sampling, directories = 0, {}, {"exif": b"", "mp": b""}
    for marker, start, end in _jpeg_segments(data):
        if marker in _FRAMES:
            kind, (height, width, count) = marker, struct.unpack_from(">HHB", data, start + 1)
            _check_pixels(width, height)
            sampling = {data[at]: divmod(data[at + 1], 16) for at in range(start + 6, start + 6 + 3 * count, 3)}
        elif marker == _SCAN:
            components = [data[start + 1 + 2 * index] for index in range(data[start])]
            samples += _samples(width * height, sampling, components)
            if kind not in _PROGRESSIVE and len(components) == len(sampling):
                break  # a baseline picture in one scan, after which the decoder stops
            if samples // SAMPLES_PER_WORK > MAX_WORK:
                break
            segments = 0
        elif marker == 0xE1 and data.startswith(b"Exif\0\0", start):
            directories["exif"] += data[start + 6 : end]
        elif marker == 0xE2 and data.startswith(b"MPF\0", start):
            directories["mp"] = data[start + 4 : end]
        segments += 1
        if segments > MAX_SEGMENTS:
            raise _invalid(f"it has more than {MAX_SEGMENTS:,} segments before its pixels")
    if not all(map(is_small_directory, directories.values())):
        raise _invalid("its EXIF or MPO directory is not valid")
    times = ARITHMETIC if kind in _BY_ARITHMETIC else 1
    return times * samples // SAMPLES_PER_WORK + width * height + ROW_WORK * height


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start and end of its content) of the first picture, as libjpeg finds them: until the end marker."""
    at, search, length_at = 2, _JPEG_MARKER.search, _LENGTH.unpack_from
    while found := search(data, at):
        at = found.end()
        marker = data[at - 1]
        if marker == _END:
            return
        if marker == _START:
            continue
        (length,) = length_at(data, at)
        yield marker, at + 2, at + length
        at += max(2, length)


def _samples(pixels: int, sampling: dict[int, tuple[int, int]], components: list[int]) -> int:
    """The values that a scan covers: a component at half the width and height has a quarter of the pixels."""
    across = max((h for h, _ in sampling.values()), default=1) or 1
    down = max((v for _, v in sampling.values()), default=1) or 1
    return sum(
        math.ceil(pixels * max(1, h) * max(1, v) / (across * down))
        for h, v in map(lambda each: sampling.get(each, (across, down)), components)
    )


def _png(data: bytes) -> int:
    width, height, _, colours, _, _, interlaced = struct.unpack_from(">LLBBBBB", data, 16)
    _check_pixels(width, height)
    at, chunks, transparent = 8, 0, False
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, at)
        transparent |= kind == b"tRNS"
        chunks += 1
        at += 12 + length
    if chunks > MAX_CHUNKS + len(data) // CHUNK_BYTES:
        raise _invalid(f"it consists of {chunks:,} chunks")
    weight = TRANSPARENT_WORK if transparent else PNG_WORK.get(colours, TRANSPARENT_WORK)
    amount = width * height * weight
    return amount + (amount // 3 if interlaced else 0) + ROW_WORK * height


def _webp(data: bytes) -> int:
    """The canvas of an extended file bounds its frames; libwebp refuses a frame that is outside of it."""
    kind, flags = data[12:16], data[20]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        # The second flag is an animation's. A lossless picture with a profile has this form too.
        weight = WEBP_ALPHA_WORK if flags & 0x12 else WEBP_LOSSLESS_WORK
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<L", data, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        weight = WEBP_ALPHA_WORK if bits >> 28 & 1 else WEBP_LOSSLESS_WORK
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
        weight = WEBP_WORK
    else:
        return _unknown(data)
    _check_pixels(width, height)
    return width * height * weight + ROW_WORK * height


def _unknown(data: bytes) -> int:
    """Phones rename HEIC files to .jpg, so the bytes tell the format."""
    other = next((name for start, name in _OTHER_FORMATS.items() if data.startswith(start)), None)
    brand = data[8:12] if data[4:8] == b"ftyp" else b""
    other = other or ("AVIF" if brand.startswith(b"avi") else "HEIC" if brand in _HEIC else None)
    raise _invalid(f"its format is {other}, not JPEG, PNG or WebP" if other else "it is not a JPEG, PNG or WebP file")


def _check_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _too_much(f"The image has {width} x {height} pixels; at most {MAX_PIXELS:,} are accepted.")


def _too_much(message: str) -> ApiError:
    return ApiError("too_many_pixels", message)


def _invalid(reason: str) -> ApiError:
    return ApiError("undecodable_image", f"The image cannot be decoded: {reason}.")
