"""The contract between the caller, the Lambda function and the endpoint.

Standard library only, Python 3.11 to 3.14. The function uses it to answer callers, the endpoint's handlers use it to
answer the function, and the tests check both against it.

To the endpoint     the image's bytes as the body, `Content-Type` one of MEDIA_TYPES, and
                    `X-Amzn-SageMaker-Custom-Attributes: request_id=4f0c…,top_k=3,explain=1`, each part if there is one;
                    the request_id is for the endpoint's log. Or `application/json`:
                    `{"image": "<base64>", "top_k": 3, "explain": true}`.
From the endpoint   200 and, the most probable first, `{"predictions": [{"label": "beagle", "probability": 0.93},
                    ...], "model": {"name": ..., "architecture": ..., "created": ..., "classes": 133},
                    "known": true, "distance": 0.71, "explanation": {"label": "beagle", "heat": [[0.1, ...], ...]}}`.
                    The last three are absent if the model cannot give them; see below.
                    Or a 4xx of ERRORS and `{"error": {"code": ..., "message": ...}}`; or the same shape with 503
                    and the code `overloaded` if it has too many requests. The function turns that into 429.
                    Any other 503 means that the model does not run.
To the caller       the same two shapes with a `request_id`: next to `predictions`, and inside `error`. For several
                    images, `{"results": [{"predictions": ...} or {"error": ...}, ...], "model", "request_id"}`.

`distance` is from 0. The distance 1 is the limit, which 95 % of the validation photographs did not exceed. `known` is
whether the picture is within it. If not, it is not one of the classes, whatever the probabilities are. Models without
training photographs, such as the bootstrap model, and models of earlier versions have neither field. `explanation` is
in the answer if the request has `explain`, and the network can be explained. `heat` has rows of numbers from 0 to 1:
how much each part of the picture speaks for `label`, the first prediction. The rows cover the square in the middle of
the upright picture, which is what the model sees.
"""

import base64
import json
import re
from dataclasses import dataclass
from urllib.parse import unquote

JSON_TYPE = "application/json"
MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp")
ACCEPTED = "image/jpeg, image/png or image/webp, or JSON as application/json"
# Declared types without information about the format, so the bytes decide.
OCTET_STREAMS = ("application/octet-stream", "binary/octet-stream")  # the second is S3's default
OPEN_TYPES = ("", "image/jpg", "image/*", "application/x-image", *OCTET_STREAMS)

# Lambda accepts events of 6 MiB. A binary body is base64 in the event (4/3 of its size), which leaves 4.5 MiB less the
# event's own fields. 4 MiB leaves room for these fields in every form of request.
MAX_IMAGE_BYTES = 4 * 1024 * 1024
# An image that the endpoint gets from a batch transform job or from an upload in S3. A phone's photographs have 2 to
# 12 MB. A batch transform job may have 100 MB in all of its concurrent requests.
MAX_STORED_BYTES = 20 * 1024 * 1024
# Read from the image's header before the image is decoded. 50 megapixels are 150 MB of RGB.
MAX_PIXELS = 50_000_000

_URL_SAFE = str.maketrans("-_", "+/")

DEFAULT_TOP_K = 5
TOP_K_ATTRIBUTE = "top_k"
REQUEST_ID_ATTRIBUTE = "request_id"
REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")  # a UUID, as Lambda's; whatever else a caller sends stays out of the log
EXPLAIN_ATTRIBUTE = "explain"
MAX_HEAT = 64  # rows and columns of a heat map in an answer
CUSTOM_ATTRIBUTES_HEADER = "X-Amzn-SageMaker-Custom-Attributes"

# Every code of an error in an answer, with its HTTP status.
ERRORS = {
    "invalid_request": 400,  # no body, broken JSON, broken base64, fields missing or of the wrong type
    "invalid_top_k": 400,  # not a whole number from 1 to the number of classes
    "unauthorized": 401,  # no API key, or a wrong one, if the address needs one
    "not_found": 404,  # a path other than /
    "method_not_allowed": 405,
    "image_too_large": 413,  # more than MAX_IMAGE_BYTES, or MAX_STORED_BYTES
    "unsupported_media_type": 415,  # declared as something other than MEDIA_TYPES
    "undecodable_image": 422,  # the bytes are not an image or cannot be decoded, whatever the declared type
    "too_many_pixels": 422,  # more than MAX_PIXELS, or too many scans of the same pixels
    "url_not_allowed": 422,  # a scheme, port, credentials or address that is not allowed
    "url_unreachable": 422,  # unknown name, refused connection, or a status other than 200
    "throttled": 429,  # the endpoint has too many requests; the answer has Retry-After
    "too_many_requests": 429,  # one caller has asked too often; the answer has Retry-After
    "internal_error": 500,  # a bug in the function
    "model_failed": 502,  # the endpoint answered with a failure, or with an answer that is not valid
    "endpoint_unavailable": 502,  # no endpoint, no permission to call it, or no connection to it
    "overloaded": 503,  # the endpoint has too many requests; the function answers its callers `throttled`
    "endpoint_timeout": 504,
    "url_timeout": 504,  # the download from the URL was too slow
}


class ApiError(Exception):
    """A failure that the caller gets as an answer. `code` is one of ERRORS and determines `status`. `retry_after` is
    how many seconds the caller should wait, if that is known."""

    def __init__(self, code: str, message: str, retry_after: int | None = None):
        super().__init__(message)
        self.retry_after = retry_after
        self.code = code
        self.status = ERRORS[code]
        self.message = message

    def to_dict(self, request_id: str | None = None) -> dict:
        """`{"error": {"code", "message"}}`, with the `request_id` if there is one."""
        error = {"code": self.code, "message": self.message}
        if request_id is not None:
            error["request_id"] = request_id
        return {"error": error}


# --- the image ---


def media_type(content_type: str | None) -> str:
    """`Image/JPEG; charset=x` -> `image/jpeg`; a missing header -> ``."""
    return (content_type or "").partition(";")[0].strip().lower()


def sniff(data: bytes) -> str | None:
    """The media type that the first bytes show, one of MEDIA_TYPES, or None."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def check_declared_type(content_type: str | None) -> None:
    """Refuse an unsupported declared type with 415, before any byte is read."""
    declared = media_type(content_type)
    if declared not in MEDIA_TYPES and declared not in OPEN_TYPES:
        raise ApiError("unsupported_media_type", f"{declared} is not accepted; send {ACCEPTED}.")


def check_image(data: bytes, content_type: str | None = None, most: int = MAX_IMAGE_BYTES) -> str:
    """The media type of `data` by its bytes. A PNG that is declared as a JPEG is a PNG.

    Raises ApiError: 400 if `data` is empty, 413 if it has more than `most` bytes, 415 if the declared type is not
    supported, 422 if the bytes are not. Nothing is decoded.
    """
    check_declared_type(content_type)
    if not data:
        raise ApiError("invalid_request", "The request has no image.")
    if len(data) > most:
        raise ApiError("image_too_large", f"The image has {len(data):,} bytes; at most {most:,} are accepted.")
    actual = sniff(data)
    if actual is None:
        raise ApiError("undecodable_image", f"The bytes are not a supported image; send {ACCEPTED}.")
    return actual


# --- the request ---


@dataclass(frozen=True)
class JsonRequest:
    """A request in JSON: either `image` (decoded bytes) or `url`. `top_k` is None if it is not given."""

    image: bytes | None
    url: str | None
    top_k: int | None
    explain: bool = False


def read_json_request(body: bytes | str, *, fields: tuple[str, ...] = ("image", "url")) -> JsonRequest:
    """Parse `{"image": base64}` or `{"url": text}`, each with an optional `top_k` and `explain`.

    `fields` are the accepted ones: the endpoint accepts only `("image",)`. Raises ApiError 400. check_image checks the
    format and the size of the bytes.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):  # ValueError: broken JSON, broken UTF-8, a number of 5,000 digits
        raise ApiError("invalid_request", "The body is not valid JSON.") from None
    return json_request(value, fields=fields)


def json_request(value: object, *, fields: tuple[str, ...] = ("image", "url")) -> JsonRequest:
    """The same for parsed JSON, such as the event of a direct invoke."""
    wanted = " or ".join(f'{{"{field}": …}}' for field in fields)
    if not isinstance(value, dict):
        raise ApiError("invalid_request", f"The JSON is not an object; send {wanted}.")
    given = [field for field in fields if value.get(field) is not None]
    if len(given) != 1:
        raise ApiError("invalid_request", f"Send exactly one of {wanted}.")
    field = given[0]
    if not isinstance(value[field], str):
        raise ApiError("invalid_request", f'"{field}" is not a string.')
    return JsonRequest(
        image=decode_base64(value[field]) if field == "image" else None,
        url=value[field] if field == "url" else None,
        top_k=parse_top_k(value.get("top_k")),
        explain=parse_explain(value.get("explain")),
    )


def decode_base64(text: str) -> bytes:
    """The bytes in base64, also with the alphabet for URLs, without padding, or in a data URI. Raises ApiError 400."""
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().replace(" ", "").endswith(";base64"):
            raise ApiError("invalid_request", '"image" is a data URI without base64; send data:image/jpeg;base64,….')
        text = unquote(text)
    letters = "".join(text.split()).translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except ValueError:
        raise ApiError("invalid_request", '"image" is not valid base64.') from None


def parse_top_k(value: object) -> int | None:
    """A whole number from 1, as a number or as digits. None means "not given". Otherwise raises ApiError 400."""
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 10**9:
        raise ApiError("invalid_top_k", "top_k is not a whole number from 1.")
    return value


def parse_explain(value: object) -> bool:
    """Whether a heat map is wanted: true or 1, as JSON or as text. None means "not given". Otherwise raises 400."""
    given = value.lower() if isinstance(value, str) else value
    if given in (None, False, "", "0", "false"):  # False is 0
        return False
    if given in (True, "1", "true"):
        return True
    raise ApiError("invalid_request", "explain is neither 1 nor 0.")


def top_k_for(requested: int | None, classes: int) -> int:
    """The number of predictions in the answer. The default is DEFAULT_TOP_K, or all if there are fewer.

    Raises ApiError 400 if there are fewer classes than requested, because a short answer would look incomplete.
    """
    if requested is None:
        return min(DEFAULT_TOP_K, classes)
    if not 1 <= requested <= classes:
        raise ApiError("invalid_top_k", f"top_k is {requested}, but the model has {classes} classes.")
    return requested


def to_custom_attributes(top_k: int | None, request_id: str | None = None, *, explain: bool = False) -> str | None:
    """The value of CUSTOM_ATTRIBUTES_HEADER. None if the header is not needed."""
    values = {REQUEST_ID_ATTRIBUTE: request_id, TOP_K_ATTRIBUTE: top_k, EXPLAIN_ATTRIBUTE: 1 if explain else None}
    return ",".join(f"{name}={value}" for name, value in values.items() if value is not None) or None


def from_custom_attributes(header: str | None) -> int | None:
    """The `top_k` in `a=1,top_k=3` (or split by `;`), None if it is absent. Raises ApiError 400 if it is wrong."""
    return parse_top_k(_attributes(header).get(TOP_K_ATTRIBUTE))


def explain_in_custom_attributes(header: str | None) -> bool:
    """Whether a heat map is wanted. Raises ApiError 400 if the attribute `explain` is wrong."""
    return parse_explain(_attributes(header).get(EXPLAIN_ATTRIBUTE))


def request_id_of(header: str | None) -> str | None:
    """The `request_id` in the same header; None if it is absent, or not one of REQUEST_ID."""
    found = _attributes(header).get(REQUEST_ID_ATTRIBUTE, "")
    return found if REQUEST_ID.fullmatch(found) else None


def _attributes(header: str | None) -> dict[str, str]:
    """Of a name that is given twice, the first counts."""
    parts = (each.partition("=") for each in (header or "").replace(";", ",").split(","))
    return {name.strip(): value.strip() for name, _, value in reversed(list(parts))}


# --- the endpoint's answer ---


def read_answer(body: bytes | str) -> dict:
    """Check the endpoint's answer, `{"predictions": [...], "model": {...}}` and what else the model can give.

    Raises ApiError 502 if it is not valid. Other fields are left out.
    """
    more = {}
    try:
        answer = json.loads(body)
        predictions, model = answer["predictions"], answer["model"]
        well_formed = (
            isinstance(predictions, list)
            and bool(predictions)
            and all(isinstance(p["label"], str) and _is_probability(p["probability"]) for p in predictions)
            and isinstance(model, dict)
        )
        checks = {"known": _is_bool, "distance": _is_distance, "explanation": _is_explanation}
        more = {name: answer[name] for name in checks if answer.get(name) is not None}
        well_formed = well_formed and all(checks[name](value) for name, value in more.items())
    except (ValueError, RecursionError, KeyError, TypeError):
        well_formed = False
    if not well_formed:
        raise ApiError("model_failed", "The endpoint's answer is not a prediction.")
    ranked = sorted(predictions, key=lambda prediction: -prediction["probability"])
    return {"predictions": ranked, "model": model, **more}


def _is_probability(value: object) -> bool:
    return _is_distance(value) and value <= 1  # ty: ignore[unsupported-operator] a distance is a number


def _is_distance(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_explanation(value: object) -> bool:
    """Whether the value is `{"label": text, "heat": rows of numbers from 0 to 1}`, with rows of one length."""
    if not isinstance(value, dict) or not isinstance(value.get("label"), str):
        return False
    rows = value.get("heat")
    return (
        isinstance(rows, list)
        and 0 < len(rows) <= MAX_HEAT
        and all(isinstance(row, list) and 0 < len(row) == len(rows[0]) <= MAX_HEAT for row in rows)
        and all(_is_probability(each) for row in rows for each in row)
    )


def read_error(status: int, body: bytes | str) -> ApiError | None:
    """The caller's mistake that the endpoint reported. None if it reported none, so the model failed.

    Only a 4xx counts whose code is in ERRORS with the same status.
    """
    error = _reported(status, body)
    return error if error and 400 <= status < 500 else None


def is_overloaded(status: int, body: bytes | str) -> bool:
    """Whether our own code in the endpoint refused the request because its line is full.

    The status 503 is not enough. Ray Serve answers a plain-text 503 if it has no replica, and AWS's adapter answers 503
    if it does not reach Ray. Those models do not work, and a retry does not help.
    """
    error = _reported(status, body)
    return error is not None and error.code == "overloaded"


def _reported(status: int, body: bytes | str) -> ApiError | None:
    """The error of this contract in an answer of the endpoint. None if its code does not have the status `status`."""
    try:
        error = json.loads(body)["error"]
        code, message = error["code"], error["message"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    known = isinstance(code, str) and isinstance(message, str) and ERRORS.get(code) == status
    return ApiError(code, message) if known else None
