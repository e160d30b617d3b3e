"""What a POST asks for, in the forms in which people send images.

image/jpeg and other types of images      the bytes
application/json                          {"image": base64 or data URI}, {"url": …}, {"images": […]}, {"urls": […]}
multipart/form-data                       curl -F file=@dog.jpg; several files; fields url, image, top_k and explain
application/x-www-form-urlencoded         curl --data-binary @dog.jpg without a header; JSON; a form with url= or image=
text/plain                                base64, a data URI, or JSON
"""

import json
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from classifier.contract import (
    JSON_TYPE,
    ApiError,
    decode_base64,
    json_request,
    media_type,
    parse_explain,
    parse_top_k,
    sniff,
)

from predictor.events import HttpRequest

MAX_IMAGES = 10  # in one request; Lambda accepts 6 MiB for all of them
MAX_PARTS = 100  # of a form
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


@dataclass(frozen=True)
class Item:
    """One image, as bytes or by its address. `content_type` is what its sender declared."""

    image: bytes | None = None
    url: str | None = None
    content_type: str | None = None


@dataclass(frozen=True)
class Question:
    """The images, the number of predictions, whether the caller asked for a list of answers, and for heat maps."""

    items: tuple[Item, ...]
    top_k: int | None = None
    several: bool = False
    explain: bool = False


def read_question(request: HttpRequest) -> Question:
    """The question of a POST. `top_k` and `explain` may be in the query. Raises ApiError 400."""
    declared = request.headers.get("content-type", "")
    in_query, explain = parse_top_k(request.query.get("top_k")), parse_explain(request.query.get("explain"))
    asked = _read(request.body, declared)
    top_k = in_query if asked.top_k is None else asked.top_k
    return replace(asked, top_k=top_k, explain=asked.explain or explain)


def _read(body: bytes, declared: str) -> Question:
    kind = media_type(declared)
    if kind == JSON_TYPE:
        return from_json(_parsed(body))
    if kind == MULTIPART:
        return _from_fields(_parts(body, declared))
    if kind == FORM and body:  # curl declares every body without a header as a form, so the bytes decide
        return _from_text(body) if sniff(body) is None else Question((Item(image=body),))
    return Question((Item(image=body, content_type=declared),))


def from_json(value: object) -> Question:
    """The question in parsed JSON, such as the event of a direct invoke. Raises ApiError 400."""
    lists = {"images": "image", "urls": "url"}
    given = [name for name in lists if isinstance(value, dict) and value.get(name) is not None]
    if not given or not isinstance(value, dict):
        asked = json_request(value)
        return Question((Item(asked.image, asked.url),), asked.top_k, explain=asked.explain)
    if len(given) > 1 or any(value.get(name) is not None for name in lists.values()):
        raise _invalid('Send exactly one of "image", "url", "images" or "urls".')
    entries = value[given[0]]
    if not isinstance(entries, list) or not entries:
        raise _invalid(f'"{given[0]}" is not a list of strings.')
    _check_count(len(entries))
    asked = [json_request({lists[given[0]]: entry}) for entry in entries]
    return Question(
        tuple(Item(each.image, each.url) for each in asked),
        parse_top_k(value.get("top_k")),
        several=True,
        explain=parse_explain(value.get("explain")),
    )


def _from_text(body: bytes) -> Question:
    """Text that was sent without its type: JSON, a form, base64 or a data URI."""
    text = body.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        return from_json(_parsed(body))
    if text.partition("=")[0] in ("url", "image", "top_k", "explain"):
        try:
            pairs = parse_qsl(text, max_num_fields=MAX_PARTS)
        except ValueError:
            raise _invalid(f"The form has more than {MAX_PARTS} fields.") from None
        return _from_fields([(name, None, None, content.encode()) for name, content in pairs])
    try:
        return Question((Item(image=decode_base64(text)),))
    except ApiError:
        raise ApiError("undecodable_image", "The body is not an image, base64 or JSON.") from None


Part = tuple[str, str | None, str | None, bytes]  # name, file name, declared type, content


def _from_fields(parts: list[Part]) -> Question:
    """Each file is an image. A field `url` or `image` is one too, and `top_k` is the number of predictions."""
    items, top_k, explain = [], None, False
    for name, file_name, declared, content in parts:
        text = content.decode("utf-8", "replace").strip()
        if file_name is not None or media_type(declared).startswith("image/"):
            items.append(Item(image=content, content_type=declared))
        elif name == "top_k":
            top_k = parse_top_k(text)
        elif name == "explain":
            explain = parse_explain(text)
        elif name in ("url", "urls"):
            items.append(Item(url=text))
        elif name in ("image", "images", "file", "data"):
            items.append(Item(image=content if sniff(content) else decode_base64(text)))
    if not items:
        raise _invalid("The form has no file and no field url or image. Send one: curl -F file=@dog.jpg")
    _check_count(len(items))
    return Question(tuple(items), top_k, several=len(items) > 1, explain=explain)


def _parts(body: bytes, declared: str) -> list[Part]:
    """The parts of multipart/form-data (RFC 7578). Raises ApiError 400."""
    boundary = _parameter(declared, "boundary")
    if not boundary or len(boundary) > 70:  # the limit of RFC 2046
        raise _invalid("The form has no boundary. Let the client set the Content-Type: curl -F does.")
    mark = b"--" + boundary.encode("latin-1", "replace")
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise _invalid("The form is cut: its last boundary is missing.")
    if len(pieces) - 2 > MAX_PARTS:
        raise _invalid(f"The form has more than {MAX_PARTS} parts.")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    head, separator, content = piece.partition(b"\r\n\r\n")
    if not separator:
        raise _invalid("A part of the form has no headers.")
    lines = (line.partition(":") for line in head.decode("utf-8", "replace").split("\r\n"))
    headers = {name.strip().lower(): value.strip() for name, _, value in lines}
    disposition = headers.get("content-disposition", "")
    name, file_name = _parameter(disposition, "name") or "", _parameter(disposition, "filename")
    if file_name is None:
        file_name = _parameter(disposition, "filename*")
    if headers.get("content-transfer-encoding", "").lower() == "base64":
        content = decode_base64(content.decode("latin-1"))
    return name, file_name, headers.get("content-type"), content


def _parameter(header: str, name: str) -> str | None:
    """`boundary` of `multipart/form-data; boundary="a b"`. A quoted value may contain semicolons."""
    rest = header.partition(";")[2]
    while rest:
        key, _, rest = rest.partition("=")
        rest = rest.lstrip()
        if rest.startswith('"'):
            value, _, rest = rest[1:].partition('"')
            rest = rest.partition(";")[2]
        else:
            value, _, rest = rest.partition(";")
        if key.strip().lower() == name:
            return value.strip()
    return None


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # ValueError: broken JSON, broken UTF-8, a number of 5,000 digits
        raise _invalid("The body is not valid JSON.") from None


def _check_count(count: int) -> None:
    if count > MAX_IMAGES:
        raise _invalid(f"The request has {count} images; at most {MAX_IMAGES} are accepted.")


def _invalid(message: str) -> ApiError:
    return ApiError("invalid_request", message)
