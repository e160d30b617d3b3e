"""The function's entry point, `handler.handler`. It reads the environment variables once, at the start.

    ENDPOINT_NAME        the SageMaker endpoint to call (required, unless MODEL_DATA_URL is set)
    MODEL_DATA_URL       the archive of the model to load into the function itself (the package of that kind only)
    URL_ALLOW_HTTP       "true" to fetch {"url"} over http as well as https; default "false"
    URL_ALLOW_NETWORKS   comma-separated networks (10.0.0.0/8) that are allowed although they are not public
    UPLOADS              s3://bucket/prefix/ for photographs that are larger than a request may be; default: no uploads
    CAPTURE              s3://bucket/prefix/ for a sample of the images and their answers; default: none are kept
    CAPTURE_PERCENT      the share of the images that CAPTURE keeps, above 0, up to 100
    API_KEY_SHA256       the SHA-256 of the key that a POST must have in x-api-key; default: no key
    REQUESTS_A_MINUTE    of each caller in this environment; default: no limit
    LOG_LEVEL            DEBUG, INFO (default: a line per request), WARNING or ERROR (failures only)

A wrong value fails the start of the function, which a deployment notices, and not the first request.
"""

import ipaddress
import os
from collections.abc import Mapping

from predictor.callers import CallerLimit, KeyCheck
from predictor.capture import Capture
from predictor.endpoint import Endpoint
from predictor.log import LEVELS
from predictor.service import ClassifyingModel, Predictor
from predictor.uploads import Uploads
from predictor.urls import Policy


def from_environment(environ: Mapping[str, str]) -> Predictor:
    """The predictor for these variables. Raises ValueError, which names the wrong variable."""
    return Predictor(
        _model(environ),
        Policy(
            allow_http=_one_of(environ, "URL_ALLOW_HTTP", ("false", "true"), default="false") == "true",
            allow_networks=_networks(environ, "URL_ALLOW_NETWORKS"),
        ),
        log_level=_one_of(environ, "LOG_LEVEL", LEVELS, default="INFO"),
        # Empty is wrong and not "no key": the address would be open.
        key=KeyCheck(environ["API_KEY_SHA256"]) if "API_KEY_SHA256" in environ else None,
        limit=CallerLimit(_count(environ, "REQUESTS_A_MINUTE")) if environ.get("REQUESTS_A_MINUTE") else None,
        uploads=Uploads(environ["UPLOADS"]) if environ.get("UPLOADS") else None,
        capture=Capture(environ["CAPTURE"], _percent(environ)) if environ.get("CAPTURE") else None,
    )


def _model(environ: Mapping[str, str]) -> ClassifyingModel:
    if environ.get("MODEL_DATA_URL"):
        import own_model  # with OpenVINO and NumPy, which only this package has

        return own_model.from_environment(environ)
    return Endpoint(_required(environ, "ENDPOINT_NAME"))


def _required(environ: Mapping[str, str], name: str) -> str:
    if not environ.get(name):
        raise ValueError(f"{name} is not set")
    return environ[name]


def _count(environ: Mapping[str, str], name: str) -> int:
    value = environ[name]
    if not (value.isascii() and value.isdigit() and int(value[:9]) > 0):
        raise ValueError(f"{name} is {value!r}, not a whole number from 1")
    return int(value[:9])


def _percent(environ: Mapping[str, str]) -> float:
    value = _required(environ, "CAPTURE_PERCENT")
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"CAPTURE_PERCENT is {value!r}, not a number") from None


def _one_of(environ: Mapping[str, str], name: str, allowed: tuple[str, ...], *, default: str) -> str:
    value = environ.get(name) or default
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}, not one of {', '.join(allowed)}")
    return value


def _networks(environ: Mapping[str, str], name: str) -> tuple:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in environ.get(name, "").split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


_predictor = from_environment(os.environ)


def handler(event, context):
    """The handler that Lambda calls; see Predictor.answer."""
    return _predictor.answer(event, context)
