"""Five hundred hostile requests: each is refused, none breaks anything, none leaves anything behind."""

import base64
import json
import random
import tracemalloc
from collections.abc import Iterator

from predictor_support import JPEG, PNG, Context, http_event, image_event, json_event

HOSTS = [
    *("127.0.0.1", "localhost", "0.0.0.0", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "[::]"),  # noqa: S104
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[2002:7f00:1::]", "[fe80::1%25eth0]", "[fd00::1]", "169.254.169.254"),
    *("[fd00:ec2::254]", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "224.0.0.1", "255.255.255.255", "0"),
    *("a" * 300, ".", "..", "%31%32%37.0.0.1", "127。0。0。1", "①②⑦.⓪.⓪.①"),
]
SCHEMES = ["http", "https", "ftp", "file", "gopher", "data", "javascript", "HTTP", "//", ""]
PORTS = ["", ":22", ":25", ":0", ":65536", ":-1", ":x"]
NAMES = ["image", "url", "top_k", "Image", "images", "", "\0"]
VALUES = [None, 0, -1, 1e400, True, [], {}, [[]], "", " ", "====", "data:image/png;base64,AAAA", "\ud800", "A" * 5]


def urls(draw: random.Random) -> Iterator[dict]:
    while True:
        host, scheme, port = draw.choice(HOSTS), draw.choice(SCHEMES), draw.choice(PORTS)
        login = draw.choice(["", "", "user:pass@", "8.8.8.8@", "@"])
        separator = draw.choice(["://", ":", ":/", "://\\", "://\t"]) if scheme not in ("//", "") else ""
        url = f"{scheme}{separator}{login}{host}{port}{draw.choice(['', '/', '/?a=b#c', '/a b', '/%00', '/../..'])}"
        yield draw.choice([json_event({"url": url}), {"url": url}])


def values(draw: random.Random) -> Iterator[dict]:
    while True:
        body = {draw.choice(NAMES): draw.choice(VALUES) for _ in range(draw.randrange(4))}
        yield draw.choice([json_event(body), json_event(json.dumps(body)[: draw.randrange(20)]), body])


def bodies(draw: random.Random) -> Iterator[dict]:
    """Bytes that are not an image, and bytes with a wrong declared type."""
    while True:
        content = draw.choice(
            [b"", b"\0" * 100, draw.randbytes(200), b"GIF89a" + bytes(50), b"<svg/>", b"%PDF-1.7", b"PK"]
        )
        kind = draw.choice(["image/jpeg", "image/png", "text/html", "image/svg+xml", "application/json", "", "a" * 500])
        yield image_event(content, kind)


def odd(draw: random.Random) -> Iterator[dict]:
    """Broken encodings with odd declared types, and image types that are refused unread."""
    types = ["text/plain", "image/gif", "image/tiff", "application/x-tar", "multipart/form-data; boundary=x"]
    while True:
        yield draw.choice(
            [
                image_event(draw.choice([JPEG, PNG]), draw.choice(types)),
                http_event(headers={"content-type": "image/jpeg"}, body="not base64!"),
                {**image_event(JPEG), "body": "not base64!"},
                {**image_event(JPEG), "body": 5},
                image_event(JPEG, query={"top_k": draw.choice(["0", "-1", "x", "9" * 30, "1.5", "٣"])}),
                json_event("[" * draw.randrange(1, 50_000)),
                json_event({"image": base64.b64encode(JPEG).decode(), "url": "https://example.org/"}),
                http_event(draw.choice(["PUT", "DELETE", "TRACE", "OPTIONS"])),
                http_event("POST", draw.choice(["/../etc/passwd", "/%2e%2e", "//", "/admin" * 1000])),
            ]
        )


def test_five_hundred_hostile_requests_are_refused_and_leave_nothing_behind(predictor, fake_endpoint, capsys):
    draw = random.Random(20261122)  # noqa: S311 the same events each time
    kinds = [each(draw) for each in (urls, values, bodies, odd)]
    events = [next(kinds[number % len(kinds)]) for number in range(500)]
    events += [image_event(b"\xff\xd8\xff" + bytes(4 * 1024 * 1024)), image_event(bytes(5 * 1024 * 1024))]
    statuses = []
    tracemalloc.start()
    before = 0
    for _ in range(2):  # the first round fills caches, which may stay
        for event in events:
            statuses.append((predictor.answer(event, Context())["statusCode"], event))
        before = before or tracemalloc.get_traced_memory()[0]
        capsys.readouterr()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    wrong = [(status, str(event)[:300]) for status, event in statuses if not 400 <= status < 500]
    assert wrong == []
    assert grown < 200_000, "bytes that stayed"
    assert fake_endpoint.received == [], "none of it reaches the model"
