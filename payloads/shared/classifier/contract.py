"""What crosses between the caller, the Lambda function and the endpoint.

Standard library only, Python 3.11 to 3.14. Three parties read it: the function answers callers by it, the
endpoint's handlers answer the function by it, and the tests check both against it.

To the endpoint     the image's bytes as the body, `Content-Type` one of MEDIA_TYPES, and, where the caller
                    asked for one, `X-Amzn-SageMaker-Custom-Attributes: top_k=3`. Or `application/json`:
                    `{"image": "<base64>", "top_k": 3}`.
From the endpoint   200 and, the likeliest first, `{"predictions": [{"label": "beagle", "probability": 0.93},
                    ...], "model": {"name": ..., "architecture": ..., "created": ..., "classes": 133}}`;
                    or a 4xx of ERRORS and `{"error": {"code": ..., "message": ...}}`; or the same shape with 503
                    and the code `overloaded` if it has more requests than it takes, which the function turns into
                    429. Any other 503 is a model that does not run.
To the caller       the same two shapes with a `request_id`: beside `predictions`, and inside `error`.
"""

import base64
import json
from dataclasses import dataclass

JSON_TYPE = "application/json"
MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp")
ACCEPTED = "image/jpeg, image/png or image/webp, or JSON as application/json"
# Declared types that say "some image", or nothing: the bytes decide.
OCTET_STREAMS = ("application/octet-stream", "binary/octet-stream")  # the second is S3's default
OPEN_TYPES = ("", "image/jpg", "image/*", "application/x-image", *OCTET_STREAMS)

# Lambda takes events of 6 MiB, in which a binary body stands as base64 (4/3 of its size): 4.5 MiB less the
# event's own fields. 4 MiB leaves room for those whichever way the image comes.
MAX_IMAGE_BYTES = 4 * 1024 * 1024
# Checked from the image's header, before it is decoded: 50 megapixels are 150 MB of RGB.
MAX_PIXELS = 50_000_000

DEFAULT_TOP_K = 5
TOP_K_ATTRIBUTE = "top_k"
CUSTOM_ATTRIBUTES_HEADER = "X-Amzn-SageMaker-Custom-Attributes"

# Every code an answer's error may carry, with the HTTP status that goes with it.
ERRORS = {
    "invalid_request": 400,  # no body, broken JSON, base64 that is none, fields missing or of the wrong type
    "invalid_top_k": 400,  # not a whole number from 1 to the number of classes
    "not_found": 404,  # a path other than /
    "method_not_allowed": 405,
    "image_too_large": 413,  # more than MAX_IMAGE_BYTES
    "unsupported_media_type": 415,  # declared as something other than MEDIA_TYPES
    "undecodable_image": 422,  # whatever it is declared as, the bytes are no image, or cannot be decoded
    "too_many_pixels": 422,  # more than MAX_PIXELS, or the same ones too often
    "url_not_allowed": 422,  # scheme, port, credentials or address that the function does not fetch
    "url_unreachable": 422,  # name unknown, connection refused, answered with something other than 200
    "throttled": 429,  # the endpoint has more requests than it takes; comes with Retry-After
    "internal_error": 500,  # a defect in the function itself
    "model_failed": 502,  # the endpoint answered with a failure, or with something that is no answer
    "endpoint_unavailable": 502,  # no endpoint, no permission to call it, or no connection to it
    "overloaded": 503,  # the endpoint's own word for having more requests than it takes; its callers get `throttled`
    "endpoint_timeout": 504,
    "url_timeout": 504,  # the address to fetch from was too slow
}


class ApiError(Exception):
    """A failure that the caller is told of: `code` is one of ERRORS, `status` follows from it."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.status = ERRORS[code]
        self.message = message

    def to_dict(self, request_id: str | None = None) -> dict:
        """`{"error": {"code", "message"}}`, with the `request_id` where there is one."""
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
    """Refuse with 415 a declared type that cannot be one of ours, before any byte is read."""
    declared = media_type(content_type)
    if declared not in MEDIA_TYPES and declared not in OPEN_TYPES:
        raise ApiError("unsupported_media_type", f"{declared} is not accepted; send {ACCEPTED}.")


def check_image(data: bytes, content_type: str | None = None) -> str:
    """The media type of `data`, by its bytes: a PNG that calls itself a JPEG is a PNG.

    Raises ApiError 400 for no bytes, 413 for too many, 415 where the declared type is not ours, 422 where the bytes
    are not.
    Nothing is decoded.
    """
    check_declared_type(content_type)
    if not data:
        raise ApiError("invalid_request", "There is no image in the request.")
    if len(data) > MAX_IMAGE_BYTES:
        raise ApiError("image_too_large", f"{len(data):,} bytes; at most {MAX_IMAGE_BYTES:,} are taken.")
    actual = sniff(data)
    if actual is None:
        raise ApiError("undecodable_image", f"These bytes are no image that is taken; send {ACCEPTED}.")
    return actual


# --- the request ---


@dataclass(frozen=True)
class JsonRequest:
    """A request given as JSON: one of `image` (decoded bytes) and `url`; `top_k` None where not asked for."""

    image: bytes | None
    url: str | None
    top_k: int | None


def read_json_request(body: bytes | str, *, fields: tuple[str, ...] = ("image", "url")) -> JsonRequest:
    """Parse `{"image": base64}` or `{"url": text}`, each with an optional `top_k`.

    `fields` are the ones that this party takes: the endpoint takes only `("image",)`. Raises ApiError 400;
    whether the bytes are an image, and not too large, is for check_image to say.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):  # ValueError: broken JSON, broken UTF-8, a number of 5,000 digits
        raise ApiError("invalid_request", "The body is not valid JSON.") from None
    return json_request(value, fields=fields)


def json_request(value: object, *, fields: tuple[str, ...] = ("image", "url")) -> JsonRequest:
    """The same, from JSON that is already parsed: what a direct invoke of the function carries."""
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
        image=_decode_base64(value[field]) if field == "image" else None,
        url=value[field] if field == "url" else None,
        top_k=parse_top_k(value.get("top_k")),
    )


def _decode_base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        hint = ' (leave out everything up to the comma of "data:…,")' if text.startswith("data:") else ""
        raise ApiError("invalid_request", f'"image" is not valid base64{hint}.') from None


def parse_top_k(value: object) -> int | None:
    """A whole number from 1, as a number or as digits; None is "not asked for". Else ApiError 400."""
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 10**9:
        raise ApiError("invalid_top_k", "top_k is not a whole number from 1.")
    return value


def top_k_for(requested: int | None, classes: int) -> int:
    """How many predictions to answer. Not asked for: DEFAULT_TOP_K, or all where there are fewer.

    Asked for more than there are: ApiError 400; an answer shorter than asked would look like a lost one.
    """
    if requested is None:
        return min(DEFAULT_TOP_K, classes)
    if not 1 <= requested <= classes:
        raise ApiError("invalid_top_k", f"top_k is {requested}, but the model has {classes} classes.")
    return requested


def to_custom_attributes(top_k: int | None) -> str | None:
    """The value of CUSTOM_ATTRIBUTES_HEADER, or None where there is nothing to say."""
    return None if top_k is None else f"{TOP_K_ATTRIBUTE}={top_k}"


def from_custom_attributes(header: str | None) -> int | None:
    """The `top_k` in `a=1,top_k=3` (or split by `;`), None where it is absent; else ApiError 400."""
    for attribute in (header or "").replace(";", ",").split(","):
        name, _, value = attribute.partition("=")
        if name.strip() == TOP_K_ATTRIBUTE:
            return parse_top_k(value.strip())
    return None


# --- the endpoint's answer ---


def read_answer(body: bytes | str) -> dict:
    """The endpoint's answer, checked: `{"predictions": [...], "model": {...}}`; else ApiError 502."""
    try:
        answer = json.loads(body)
        predictions, model = answer["predictions"], answer["model"]
        well_formed = (
            isinstance(predictions, list)
            and bool(predictions)
            and all(isinstance(p["label"], str) and _is_probability(p["probability"]) for p in predictions)
            and isinstance(model, dict)
        )
    except (ValueError, RecursionError, KeyError, TypeError):
        well_formed = False
    if not well_formed:
        raise ApiError("model_failed", "The endpoint's answer is not a prediction.")
    ranked = sorted(predictions, key=lambda prediction: -prediction["probability"])
    return {"predictions": ranked, "model": model}


def _is_probability(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def read_error(status: int, body: bytes | str) -> ApiError | None:
    """The caller's mistake that the endpoint reported; None where it reported none, so the model failed.

    Only a 4xx with a code of ERRORS whose own status is that 4xx is believed.
    """
    error = _reported(status, body)
    return error if error and 400 <= status < 500 else None


def is_overloaded(status: int, body: bytes | str) -> bool:
    """Whether our own code in the endpoint refused because its line is full.

    A 503 alone does not say so: Ray Serve answers a plain-text 503 when it has no replica, and AWS's adapter answers
    one of its own when it does not reach Ray. Those models are dead, and trying again does not help.
    """
    error = _reported(status, body)
    return error is not None and error.code == "overloaded"


def _reported(status: int, body: bytes | str) -> ApiError | None:
    """The error of this contract that an answer of the endpoint holds; None if its code is not one of `status`."""
    try:
        error = json.loads(body)["error"]
        code, message = error["code"], error["message"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    known = isinstance(code, str) and isinstance(message, str) and ERRORS.get(code) == status
    return ApiError(code, message) if known else None
