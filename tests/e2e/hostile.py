"""About 500 hostile requests, always the same ones, each with the answers that are allowed.

`bodies()` needs only the function URL. `urls(host)` makes the function download from other addresses. `answer_to` has
the answers of a hostile server at some of these addresses.
"""

import base64
import functools
import ipaddress
import json
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from PIL import Image

from tests.unit.classifier.pictures import encoded, noisy_square

SEED = 20261122
PHOTO = encoded(noisy_square((200, 40, 40), 1, side=96))
KINDS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
REFUSED = frozenset({400, 404, 405, 413, 415, 422})
EITHER_WAY = REFUSED | {200}  # odd, but it may be an image


@dataclass(frozen=True)
class Case:
    name: str
    body: bytes
    content_type: str | None = None
    method: str = "POST"
    path: str = "/"
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    expected: frozenset[int] = REFUSED


def bodies() -> Iterator[Case]:
    """All cases except URLs to download."""
    chance = random.Random(SEED)  # noqa: S311 to be repeated, not to be secret
    yield from _broken_images(chance)
    yield from _no_images(chance)
    yield from _bombs()
    yield from _odd_metadata(chance)
    yield from _json(chance)
    yield from _top_k()
    yield from _requests()


def urls(host: str) -> Iterator[Case]:
    """`host:port` is the only server that the function may download from. It answers with `answer_to`."""
    for number, url in enumerate([*_private(), *_malformed(host)]):
        yield _fetch(f"url {number} {url[:60]}", url)
    for name in HOSTILE_ANSWERS:
        yield _fetch(f"server {name}", f"http://{host}/{name}")
    for number, url in enumerate(_private()):
        yield _fetch(f"redirect {number} to {url}", f"http://{host}/redirect?{url}")


def _fetch(name: str, url: str) -> Case:
    return Case(name, json.dumps({"url": url}).encode(), "application/json")


# ---- images -----------------------------------------------------------------------------------------------------


def _broken_images(chance: random.Random) -> Iterator[Case]:
    for content_type, kind in KINDS.items():
        whole = encoded(noisy_square((10, 90, 200), 3, side=128), kind)
        for part in range(18):
            length = max(12, len(whole) * part // 20)
            yield Case(f"{kind} cut off at {length}", whole[:length], content_type)
        for number in range(20):
            changed = bytearray(whole)
            for _ in range(1 + number):
                changed[chance.randrange(16, len(changed))] = chance.randrange(256)
            yield Case(f"{kind} with {1 + number} wrong bytes", bytes(changed), content_type, expected=EITHER_WAY)
        for length in (1, 100, 10_000, 1_000_000):
            yield Case(
                f"{kind}'s first bytes and {length} random ones", whole[:12] + chance.randbytes(length), content_type
            )
        for length in (100_000, 4_000_000):
            yield Case(f"{kind} and {length} bytes behind it", whole + bytes(length), content_type, expected=EITHER_WAY)


def _no_images(chance: random.Random) -> Iterator[Case]:
    zipped = b"PK\x03\x04" + bytes(60)
    contents = {
        "text": b"hello",
        "html": b"<!doctype html><img src=x onerror=alert(1)>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "billion laughs": b'<!DOCTYPE l [<!ENTITY a "lol"><!ENTITY b "&a;&a;">]><l>&b;</l>',
        "pdf": b"%PDF-1.7\n",
        "zip": zipped,
        "gzip": b"\x1f\x8b\x08" + bytes(40),
        "gif": encoded(Image.new("RGB", (8, 8)), "GIF"),
        "bmp": encoded(Image.new("RGB", (8, 8)), "BMP"),
        "tiff": encoded(Image.new("RGB", (8, 8)), "TIFF"),
        "ico": encoded(Image.new("RGB", (16, 16)), "ICO"),
        "avif": b"\0\0\0\x1cftypavif" + bytes(40),
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (r) file\n",
        "pickle": b"\x80\x04\x95cposix\nsystem\n(Vid\ntR.",
        "elf": b"\x7fELF" + bytes(60),
        "random": chance.randbytes(5000),
        "nothing": b"",
        "a nul": b"\0",
    }
    types = ("image/jpeg", "application/octet-stream", "text/plain", "multipart/form-data; boundary=x", None)
    for name, content in contents.items():
        for content_type in types:
            yield Case(f"{name} as {content_type}", content, content_type)
    for content_type in ("image/svg+xml", "image/gif", "IMAGE/TIFF", "image/", "/", "a" * 3000, "image/jpegx", "*/*"):
        yield Case(f"a photo as {content_type[:20]}", PHOTO, content_type)


def _bombs() -> Iterator[Case]:
    yield Case("an image just too large", PHOTO.ljust(4 * 1024 * 1024 + 1, b"\0"), "image/jpeg")
    yield Case("more than a function takes", PHOTO.ljust(7_000_000, b"\0"), "image/jpeg")
    yield Case("twenty megabytes", PHOTO.ljust(20_000_000, b"\0"), "image/jpeg")
    for width, height in ((100_000, 100_000), (2**31 - 1, 2**31 - 1), (50_000_001, 1), (1, 50_000_001), (0, 0), (0, 9)):
        yield Case(f"PNG of {width} x {height}", png(width, height, b""), "image/png")
    yield Case("PNG of 900 megapixels of nothing", png(30_000, 30_000, deflated(30_000 * 3750 + 30_000)), "image/png")
    yield Case("PNG with too little in it", png(4000, 4000, deflated(100)), "image/png")
    yield Case("PNG with too much in it", png(4, 4, deflated(60_000_000)), "image/png", expected=EITHER_WAY)
    for name in (b"zTXt", b"iCCP", b"iTXt"):
        head = {b"zTXt": b"a\0\0", b"iCCP": b"a\0\0", b"iTXt": b"a\0\1\0\0\0"}[name]
        bomb = chunk(name, head + deflated(60_000_000))
        image = png(4, 4, zlib.compress(bytes(20)), before=bomb)
        yield Case(f"PNG with 60 megabytes in {name.decode()}", image, "image/png", expected=EITHER_WAY)
    for width, height in ((65_535, 65_535), (65_535, 1000)):
        yield Case(f"JPEG of {width} x {height}", jpeg_of(width, height), "image/jpeg")
    progressive = encoded(Image.new("L", (6000, 6000)), progressive=True)
    scan = progressive[progressive.rfind(b"\xff\xda") : -2]
    room = (4_000_000 - len(progressive)) // len(scan)
    yield Case("JPEG of endless scans", progressive[:-2] + room * scan + b"\xff\xd9", "image/jpeg")
    yield Case("WebP of 16383 x 16383", webp_of(16_383, 16_383), "image/webp")
    frames = [Image.new("RGB", (600, 600), (number, 0, 0)) for number in range(60)]
    for kind, content_type in (("WEBP", "image/webp"), ("PNG", "image/png")):
        moving = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        yield Case(f"{kind} of 60 frames", moving, content_type, expected=EITHER_WAY)
    flat = encoded(Image.new("RGB", (7000, 7000)), "PNG")
    yield Case("PNG of 49 megapixels, which are allowed", flat, "image/png", expected=frozenset({200}))


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, content: bytes, before: bytes = b"") -> bytes:
    """A PNG with one bit per pixel and these dimensions in its header."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + chunk(b"IDAT", content) + chunk(b"IEND", b"")


@functools.cache
def deflated(size: int) -> bytes:
    """Compressed zeros, a thousandth of their size."""
    packer, packed = zlib.compressobj(9), []
    for _ in range(size // 1_000_000):
        packed.append(packer.compress(bytes(1_000_000)))
    packed.append(packer.compress(bytes(size % 1_000_000)))
    return b"".join(packed) + packer.flush()


def jpeg_of(width: int, height: int) -> bytes:
    start = PHOTO.index(b"\xff\xc0") + 5
    return PHOTO[:start] + struct.pack(">HH", height, width) + PHOTO[start + 4 :]


def webp_of(width: int, height: int) -> bytes:
    whole = bytearray(encoded(Image.new("RGB", (64, 64)), "WEBP"))
    start = whole.index(b"\x9d\x01\x2a") + 3
    whole[start : start + 4] = struct.pack("<HH", width, height)
    return bytes(whole)


def _odd_metadata(chance: random.Random) -> Iterator[Case]:
    head = b"Exif\0\0"
    blocks = {f"orientation {value}": exif(3, value) for value in (0, 1, 5, 8, 9, 255, 65_535)}
    blocks |= {f"orientation of type {kind}": exif(kind, 6) for kind in (1, 2, 4, 5, 7, 12, 99)}
    blocks["a directory that is its own next"] = head + b"II*\0\x08\0\0\0\0\0\x08\0\0\0"
    blocks["a directory beyond the end"] = head + b"II*\0\xff\xff\xff\x7f"
    blocks["65,535 entries"] = head + b"II*\0\x08\0\0\0\xff\xff" + bytes(500)
    blocks["a value beyond the end"] = head + b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x0112, 2, 2**31, 2**31)
    blocks["an Exif directory in itself"] = head + b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x8769, 4, 1, 8)
    blocks["neither of the byte orders"] = head + b"XX*\0" + bytes(20)
    blocks["nothing"] = head
    for number in range(8):
        blocks[f"random bytes {number}"] = head + b"MM\0*" + chance.randbytes(200)
    for name, block in blocks.items():
        yield Case(f"EXIF with {name}", with_segment(0xE1, block), "image/jpeg", expected=EITHER_WAY)
    for number in range(8):
        segment = with_segment(0xE0 + number, chance.randbytes(60_000))
        yield Case(f"JPEG with random APP{number}", segment, "image/jpeg", expected=EITHER_WAY)
    many = PHOTO[:2] + 60 * PHOTO[2:20] + PHOTO[2:]
    yield Case("JPEG with its first segment 60 times", many, "image/jpeg", expected=EITHER_WAY)


def exif(kind: int, value: int) -> bytes:
    entry = struct.pack("<HHI", 0x0112, kind, 1) + struct.pack("<I", value)
    return b"Exif\0\0II*\0\x08\0\0\0\x01\0" + entry + bytes(4)


def with_segment(marker: int, content: bytes) -> bytes:
    return PHOTO[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content + PHOTO[2:]


# ---- JSON, parameters, requests ---------------------------------------------------------------------------------


def _json(chance: random.Random) -> Iterator[Case]:
    image = base64.b64encode(PHOTO).decode()
    garbage = base64.b64encode(chance.randbytes(600)).decode()
    texts = ["", " ", "{", "}", "[]", "null", "true", "0", '"x"', "{}", "{]", "NaN", "[1,", '{"a"}', "\ufeff{}", "//"]
    texts += ["[" * 100_000, '{"image":' * 50_000, "[" * 3000 + "]" * 3000, '{"image": ' + "9" * 6000 + "}", "1e999999"]
    values = ["1", "[]", "{}", "true", "null", '""', "1e400", '["x"]', "-0", "NaN"]
    texts += [f'{{"image": {value}}}' for value in values]
    texts += [f'{{"url": {value}}}' for value in values]
    odd = ["%", "=", "====", "a", "aaa=a", "á", "\\ud800", "\\u0000", image + "!", "-_-_", garbage]
    texts += [f'{{"image": "{value}"}}' for value in odd]
    texts += [f'{{"image": "{image}", "url": "https://x/"}}']
    texts += [f'{{"IMAGE": "{image}"}}', f'{{"img": "{image}"}}', f'[{{"image": "{image}"}}]', f'"{image}"']
    texts += [f'{{"image": "{image}", "image": {value}}}' for value in ("5", "null")] + [f'{{"__proto__": "{image}"}}']
    texts += [f'{{"image": "{image}"}} {{"image": "{image}"}}', f'{{"image": "{image}"', f"{{'image': '{image}'}}"]
    for text in (image.rstrip("="), f"data:image/jpeg;base64,{image}"):  # usual forms, with an answer
        document = f'{{"image": "{text}"}}'.encode()
        yield Case(f"JSON {document[:30]!r}", document, "application/json", expected=frozenset({200}))
    for number, text in enumerate(texts):
        yield Case(f"JSON {number} {text[:30]!r}", text.encode("utf-8", "surrogatepass"), "application/json")
    no_text = [b'{"image": "\xff\xfe"}', b"\xff\xfe{\0}\0", b"\x80", b'{"url": "\xc3\x28"}', b"\0" * 99]
    for number, data in enumerate(no_text):
        yield Case(f"JSON {number} that is not UTF-8", data, "application/json")
    large = base64.b64encode(PHOTO.ljust(4 * 1024 * 1024 + 1, b"\0")).decode()
    yield Case("JSON with an image that is too large", json.dumps({"image": large}).encode(), "application/json")
    yield Case("a photo that calls itself JSON", PHOTO, "application/json; charset=utf-8")


def _top_k() -> Iterator[Case]:
    image = base64.b64encode(PHOTO).decode()
    values = ["0", "-1", "1.5", "1e1", "true", "[]", "{}", '"all"', '"0x5"', '""', '" 5"', "1001", "9" * 30]
    values += ["false", "-0", '"٣"', "5.0", '"5\\u0000"', "[5]", f'"{"9" * 30}"']
    for value in values:
        text = f'{{"image": "{image}", "top_k": {value}}}'
        yield Case(f"top_k {value[:20]} in JSON", text.encode(), "application/json")
    values = [
        "0",
        "-1",
        "1.5",
        "all",
        "%00",
        "5%0A",
        "1001",
        "9" * 30,
        "%D9%A3",
        "0x5",
        "5%20",
        "NaN",
        "5%2C5",
        "5%3B6",
    ]
    for value in values:
        yield Case(f"top_k {value[:20]} in the query", PHOTO, "image/jpeg", query=f"top_k={value}")


def _requests() -> Iterator[Case]:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "PROPFIND"):
        yield Case(f"{method}", PHOTO, "image/jpeg", method=method)
    paths = ["/predict", "/%2e%2e/%2e%2e/etc/passwd", "/.env", "/%00", "/a%0d%0aSet-Cookie:%20x"]
    for path in [*paths, "/" + "a" * 3000]:
        yield Case(f"POST {path[:30]}", PHOTO, "image/jpeg", path=path)
        yield Case(f"GET {path[:30]}", b"", method="GET", path=path)
    for name, value in {
        "X-Amzn-SageMaker-Custom-Attributes": "top_k=0",
        "X-Forwarded-For": "127.0.0.1",
        "X-HTTP-Method-Override": "GET",
        "Content-Encoding": "gzip",
        "Cookie": "a" * 4000,
    }.items():
        yield Case(f"garbage with {name}", b"garbage", "image/jpeg", headers={name: value})


# ---- URLs -------------------------------------------------------------------------------------------------------


def _private() -> list[str]:
    """Addresses that must not be reachable from outside, in spellings that have passed the checks of other programs."""
    found = []
    for text in ("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"):  # noqa: S104
        number = int(ipaddress.IPv4Address(text))
        octal = ".".join(f"0{int(part):o}" for part in text.split("."))
        spellings = [
            text,
            str(number),
            hex(number),
            f"0{number:o}",
            octal,
            f"[2002:{number >> 16:x}:{number % 65536:x}::]",
        ]
        spellings += [f"[{prefix}{text}]" for prefix in ("::ffff:", "::", "64:ff9b::")]
        spellings.append(f"[2002:{number >> 16:x}:{number % 65536:x}::]")
        found += [f"http://{spelling}/" for spelling in spellings]
    more = ["[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[ff02::1]", "[fe80::1%25eth0]", "127.1", "0x7f.1", "localhost"]
    more += ["LOCALHOST.", "①②⑦.⓪.⓪.①", "224.0.0.1", "255.255.255.255"]
    return [*found, *(f"http://{host}/" for host in more)]


def _malformed(host: str) -> list[str]:
    found = ["", "x", "//", "http", "http:", "http://", "http:///", "https://:443/", "http://[", "http://[::1"]
    found += ["http://]/"]
    found += ["file:///etc/passwd", "ftp://example.com/", "gopher://127.0.0.1:6379/_x", "data:image/png;base64,AAAA"]
    found += ["jar:x"]
    found += ["javascript:alert(1)", "s3://bucket/key", "dict://x/", "ldap://x/", "HTTP+UNIX://x/", "\u0000http://x/"]
    found += [f"http://{host}:99999/", f"http://{host}@127.0.0.1/", f"http://127.0.0.1#@{host}/"]
    found += [f"http://user:pw@{host}/"]
    found += [f"http://127.0.0.1\\@{host}/", f"http://{host}\\@127.0.0.1/", f" http://{host}/"]
    found += [f"http://{host}/\r\nX: y"]
    found += ["http://8.8.8.8:22/", "http://8.8.8.8:0/", "http://8.8.8.8:-1/", "http://8.8.8.8:65536/"]
    found += ["http://8.8.8.8:٣/"]
    found += ["https://no-such-host.invalid/", "https://" + "a" * 300 + ".example/", "https://a..b/", "https://-/"]
    found += ["https://%/"]
    found += ["http://x/" + "a" * 9000, "https://xn--/", "https://\ud800/", "https://a b/", "https://a\tb/"]
    found += ["https://*/"]
    return found


LENGTH = b"Content-Length: %d\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"
PACKED = zlib.compress(bytes(3_000_000))
# path -> the bytes sent before the connection is closed
HOSTILE_ANSWERS = {
    "nothing": b"",
    "no-http": b"hello\r\n",
    "half-a-status": b"HTTP/1.1 2",
    "status-of-letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "status-99999": b"HTTP/1.1 99999 OK\r\n\r\n",
    "no-headers": b"HTTP/1.1 200 OK\r\n\r\n",
    "a-header-without-end": OK + b"X: " + b"a" * 100_000,
    "5000-headers": OK + b"".join(b"X-%d: y\r\n" % number for number in range(5000)) + b"\r\n",
    "headers-of-garbage": b"HTTP/1.1 200 OK\r\n\xff\xfe\x00:\x80\r\n\r\n",
    "empty": OK + LENGTH % 0,
    "html": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + LENGTH % 4 + b"<p/>",
    "garbage": OK + LENGTH % 7 + b"garbage",
    "gif": OK + LENGTH % 6 + b"GIF89a",
    "cut-off": OK + LENGTH % len(PHOTO) + PHOTO[:300],
    "cut-photo": OK + LENGTH % 300 + PHOTO[:300],
    "announced-as-huge": OK + LENGTH % 10**15,
    "announced-as-negative": OK + b"Content-Length: -5\r\n\r\n" + b"garbage",
    "announced-in-words": OK + b"Content-Length: many\r\n\r\n" + b"garbage",
    "too-large": OK + b"\r\n" + PHOTO.ljust(5_000_000, b"\0"),
    "gzip-bomb": OK + b"Content-Encoding: gzip\r\n" + LENGTH % len(PACKED) + PACKED,
    "brotli": OK + b"Content-Encoding: br\r\n" + LENGTH % 4 + b"aaaa",
    "bad-chunks": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc",
    "a-huge-chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffff\r\nabc",
    "endless-chunk-size": OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 100_000,
    "no-content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "partial": b"HTTP/1.1 206 Partial Content\r\nContent-Type: image/jpeg\r\n" + LENGTH % len(PHOTO) + PHOTO,
    "not-modified": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "forbidden": b"HTTP/1.1 403 Forbidden\r\n" + LENGTH % 0,
    "not-found": b"HTTP/1.1 404 Not Found\r\n" + LENGTH % 0,
    "broken": b"HTTP/1.1 500 Internal Server Error\r\n" + LENGTH % 0,
    "switching": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "a-thousand-times-continue": b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    "bomb": OK + LENGTH % len(png(100_000, 100_000, b"")) + png(100_000, 100_000, b""),
    "round-and-round": b"HTTP/1.1 302 Found\r\nLocation: /round-and-round\r\n" + LENGTH % 0,
    "nowhere": b"HTTP/1.1 302 Found\r\nLocation: \r\n" + LENGTH % 0,
    "without-location": b"HTTP/1.1 302 Found\r\n" + LENGTH % 0,
    "to-a-file": b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n" + LENGTH % 0,
    "to-garbage": b"HTTP/1.1 302 Found\r\nLocation: http://[\xff\r\n" + LENGTH % 0,
    "to-a-password": b"HTTP/1.1 302 Found\r\nLocation: http://user:pw@8.8.8.8/\r\n" + LENGTH % 0,
}


def answer_to(target: str) -> bytes:
    """The bytes that a hostile server sends for a request's target."""
    path, _, query = target.lstrip("/").partition("?")
    if path == "redirect":
        return b"HTTP/1.1 302 Found\r\nLocation: " + query.encode() + b"\r\n" + LENGTH % 0
    return HOSTILE_ANSWERS[path]
