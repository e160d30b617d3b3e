"""Take out of an image file what says more than its picture: the place and the time, the camera, texts, previews.

The pixels, the colour profile and the orientation stay, and the bytes of the pixels are not changed. Standard library
only. Sources: ITU-T T.81 annex B (JPEG), the PNG specification, "WebP container specification", and Exif 2.32 for the
orientation.
"""

import struct
import zlib

ORIENTATION = 0x0112  # the tag in Exif
PNG_START = b"\x89PNG\r\n\x1a\n"
# Ancillary chunks that change how the pixels look. Chunks whose name begins with a capital letter are critical.
PNG_KEPT = (b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"cICP", b"bKGD", b"pHYs")
WEBP_DROPPED = (b"EXIF", b"XMP ")
WEBP_FLAGS = 0x08 | 0x04  # of VP8X: there is Exif, there is XMP


def without_metadata(image: bytes, content_type: str) -> bytes:
    """The image without metadata. `content_type` is that of its bytes. Raises ValueError if its parts are not found."""
    strip = {"image/jpeg": _jpeg, "image/png": _png, "image/webp": _webp}[content_type]
    try:
        return strip(image)
    except (IndexError, struct.error):
        raise ValueError("the parts of the image cannot be found") from None


def _jpeg(data: bytes) -> bytes:
    """Up to the first end of image, because other pictures may follow (MPO)."""
    parts, at, orientation = [], 2, 1
    while True:
        if data[at] != 0xFF:
            raise ValueError("the parts of the image cannot be found")
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == 0xD9:
            parts.append(b"\xff\xd9")
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # without a length
            parts.append(data[at : at + 2])
            at += 2
            continue
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        segment = data[at:end]
        if segment[4:10] == b"Exif\0\0":
            orientation = _orientation(segment[10:])
        if _is_kept(marker, segment[4:]):
            parts.append(segment)
        at = end
        if marker == 0xDA:
            end = _end_of_scan(data, at)
            parts.append(data[at:end])
            at = end
            if at == len(data):  # cut off; decoders show what there is
                break
    exif = b"Exif\0\0" + _tiff(orientation)
    turned = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif if orientation != 1 else b""
    return b"\xff\xd8" + turned + b"".join(parts)


def _is_kept(marker: int, content: bytes) -> bool:
    """Of the application segments, JFIF, the colour profile and Adobe's colour transform. No comments."""
    if marker == 0xE2:
        return content.startswith(b"ICC_PROFILE\0")
    return marker in (0xE0, 0xEE) or not (0xE1 <= marker <= 0xEF or marker == 0xFE)


def _end_of_scan(data: bytes, at: int) -> int:
    """Where the compressed data end: at the next marker that is neither a stuffed byte nor a restart."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        if data[at + 1] not in (0x00, *range(0xD0, 0xD8)):
            return at
        at += 2
    return len(data)


def _png(data: bytes) -> bytes:
    kept, at, orientation = [], len(PNG_START), 1
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if kind == b"eXIf":
            orientation = _orientation(data[at + 8 : at + 8 + length])
        elif kind[:1].isupper() or kind in PNG_KEPT:
            kept.append(data[at:end])
        at = end
        if kind == b"IEND":  # what follows is not part of the image
            break
    if orientation != 1:
        kept.insert(1, _png_chunk(b"eXIf", _tiff(orientation)))  # after IHDR
    return PNG_START + b"".join(kept)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _webp(data: bytes) -> bytes:
    kept, at, orientation = [], 12, 1
    end_of_file = min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    while at + 8 <= end_of_file:
        kind, length = struct.unpack_from("<4sI", data, at)
        chunk = data[at : at + 8 + length + length % 2]
        if kind == b"EXIF":
            orientation = _orientation(chunk[8 : 8 + length].removeprefix(b"Exif\0\0"))
        if kind == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & ~WEBP_FLAGS]) + chunk[9:]
        if kind not in WEBP_DROPPED:
            kept.append(chunk)
        at += 8 + length + length % 2
    if orientation != 1 and kept and kept[0].startswith(b"VP8X"):
        kept[0] = kept[0][:8] + bytes([kept[0][8] | 0x08]) + kept[0][9:]
        tiff = _tiff(orientation)
        kept.append(b"EXIF" + struct.pack("<I", len(tiff)) + tiff)
    content = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def _tiff(orientation: int) -> bytes:
    """Exif with the orientation alone."""
    return b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, ORIENTATION, 3, 1, orientation, 0, 0)


def _orientation(tiff: bytes) -> int:
    """From 1 (upright) to 8. 1 if there is none, or it cannot be read."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, first)
        for entry in range(first + 2, first + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
            if tag == ORIENTATION:
                return value if kind == 3 and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
