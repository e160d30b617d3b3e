"""InvokeEndpoint: from the client to a hosting container and back, without a stop in moto."""

import contextlib
import http.client
import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from localaws import errors
from localaws.context import ACCOUNT_ID
from localaws.services.sagemaker.endpoints import usage
from localaws.services.sagemaker.endpoints.container import HostingInstance
from localaws.services.sagemaker.endpoints.endpoint import HostedEndpoint
from localaws.services.sagemaker.endpoints.fleet import INVOCATION_SECONDS
from localaws.services.sagemaker.endpoints.serverless import NotReady, ServerlessFleet, StartFailed, TooManyRequests
from localaws.services.sagemaker.endpoints.traffic import Fleet
from localaws.services.sagemaker.records import table_of

MAX_BODY_BYTES = 25 * 1024 * 1024
MAX_SERVERLESS_BYTES = 4 * 1024 * 1024  # "Invoke a serverless endpoint" in the SageMaker developer guide: 4 MB
_PATH = re.compile(r"^/endpoints/([^/]+)/invocations$")
_REGION = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/")
_CUSTOM = "X-Amzn-SageMaker-Custom-Attributes"
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. "
    "Review the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)

Answer = tuple[int, dict[str, str], bytes]


def matches(environ: dict[str, Any]) -> bool:
    signed_for = errors.service_of(environ) == "sagemaker-runtime"
    return signed_for and environ["REQUEST_METHOD"] == "POST" and bool(_PATH.match(environ["PATH_INFO"]))


def application(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
    status, headers, body = _invoke(environ)
    start_response(errors.status_line(status), [*headers.items(), ("Content-Length", str(len(body)))])
    return [body]


def _invoke(environ: dict[str, Any]) -> Answer:
    began = time.monotonic()
    name = _PATH.match(environ["PATH_INFO"]).group(1)
    region = _REGION.search(environ["HTTP_AUTHORIZATION"]).group(1)
    body = environ["wsgi.input"].read()
    if len(body) > MAX_BODY_BYTES:
        return _refused("ValidationError", f"The body has {len(body)} bytes; at most {MAX_BODY_BYTES} are taken.")
    endpoint = table_of("endpoint", region).get(name)
    if endpoint is None or endpoint.deployment is None:
        return _refused("ValidationError", f"Endpoint {name} of account {ACCOUNT_ID} not found.")
    target = environ.get("HTTP_X_AMZN_SAGEMAKER_TARGET_VARIANT")
    fleet = endpoint.traffic.choose(target)
    if fleet is None and target is not None and endpoint.fleets:
        return _refused("ValidationError", f"Endpoint {name} has no variant {target} in service.")
    if isinstance(fleet, ServerlessFleet) and len(body) > MAX_SERVERLESS_BYTES:
        words = f"The body has {len(body)} bytes; a serverless endpoint takes at most {MAX_SERVERLESS_BYTES}."
        return _refused("ValidationError", words)
    try:
        return _serve(endpoint, fleet, target, EndpointRequest(name, region, body, _request_headers(environ), began))
    except TooManyRequests:  # the words are not documented; those of an instance's throttling have no message at all
        return _refused("ThrottlingException", "Rate exceeded")
    except NotReady:
        words = "The resources of the serverless variant are still being provisioned. Wait and try the request again."
        return _refused("ModelNotReadyException", words, 429)


@dataclass(frozen=True)
class EndpointRequest:
    """One request to an endpoint; `began` is when it arrived, on the monotonic clock."""

    endpoint: str
    region: str
    body: bytes
    headers: dict[str, str]
    began: float


def _serve(endpoint: HostedEndpoint, fleet: Fleet | None, target: str | None, request: EndpointRequest) -> Answer:
    """The answer of a fleet, and its metrics. Raises TooManyRequests and NotReady."""
    handed_over = time.monotonic()
    answer, setup = _ask(fleet, request) if fleet else (None, 0.0)
    while answer is None and not endpoint.traffic.holds(fleet) and (fleet := endpoint.traffic.choose(target)):
        answer, setup = _ask(fleet, request)  # an update has ended the other between the choice and the request
    if fleet is not None:
        end, status = time.monotonic(), answer[0] if answer else 503
        variant = (request.region, request.endpoint, fleet.variant.name, fleet.config)
        if isinstance(fleet, ServerlessFleet):
            usage.answered_serverless(*variant, status, end - handed_over - setup, end - request.began, setup)
        else:
            usage.answered(*variant, fleet.healthy_count, status, end - handed_over, end - request.began)
    if answer is None:
        words = f"Endpoint {request.endpoint} has no healthy instance at the moment."
        return _refused("ServiceUnavailable", words, 503)
    return answer if answer[0] == 200 else _model_error(answer, fleet, request.endpoint, request.region)


def _ask(fleet: Fleet, request: EndpointRequest) -> tuple[Answer | None, float]:
    """A container's own answer, with status 0 where it gave none, and the seconds of a cold start before it. The answer
    is None where no instance could be reached.

    An instance that refuses the connection has not seen the request, so another one gets it. One that ends in the
    middle may have acted on it: that is an error, as on AWS. Raises TooManyRequests and NotReady.
    """
    tried: set[str] = set()
    variant = fleet.variant.name
    while True:
        try:
            with fleet.instance(tried) as instance:
                if instance is None:
                    return None, 0.0
                if isinstance(fleet, ServerlessFleet):
                    usage.asked_serverless(request.region, request.endpoint, variant, fleet.utilization)
                else:
                    usage.asked(request.region, request.endpoint, variant, instance.in_flight)
                with contextlib.suppress(ConnectionRefusedError):
                    return _exchange(instance, variant, request.body, request.headers), instance.setup_seconds
                tried.add(instance.id)
        except StartFailed as failure:
            words = f"The container did not start. Its last words: {failure}"
            return (0, {"log-stream": variant}, words.encode()), 0.0


def _exchange(instance: HostingInstance, variant: str, body: bytes, headers: dict[str, str]) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=INVOCATION_SECONDS)
    log_stream = {"log-stream": f"{variant}/{instance.id}"}
    try:
        with contextlib.closing(connection):
            connection.request("POST", "/invocations", body, headers)
            answer = connection.getresponse()
            content = answer.read()
    except ConnectionRefusedError:
        raise
    except TimeoutError:
        return 0, log_stream, _TIMED_OUT.encode()
    except (OSError, http.client.HTTPException):
        return 0, log_stream, b"The container closed the connection without an answer."
    if answer.status != 200:
        return answer.status, log_stream, content
    given = {
        "Content-Type": answer.headers.get("Content-Type", "application/octet-stream"),
        "x-Amzn-Invoked-Production-Variant": variant,
        _CUSTOM: answer.headers.get(_CUSTOM),
    }
    return 200, {name: value for name, value in given.items() if value is not None}, content


def _request_headers(environ: dict[str, Any]) -> dict[str, str]:
    """The headers a container gets: the body's type, what is accepted, and SageMaker's own."""
    headers = {
        "Content-Type": environ.get("CONTENT_TYPE"),
        "Accept": environ.get("HTTP_ACCEPT"),
        _CUSTOM: environ.get("HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES"),
        "X-Amzn-SageMaker-Inference-Id": environ.get("HTTP_X_AMZN_SAGEMAKER_INFERENCE_ID"),
        "X-Amzn-SageMaker-Session-Id": environ.get("HTTP_X_AMZN_SAGEMAKER_SESSION_ID"),
    }
    return {name: value for name, value in headers.items() if value}


def _model_error(answer: Answer, fleet: Fleet | None, endpoint: str, region: str) -> Answer:
    """SageMaker's wrapping of what a container answered: 424 with the original status and message in it."""
    status, headers, body = answer
    original = body.decode("utf-8", "replace")
    side = "client" if 400 <= status < 500 else "server"
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    told = {
        "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if side == "client" else "SERVER_ERROR_FROM_MODEL",
        "LogStreamArn": f"arn:aws:logs:{region}:{ACCOUNT_ID}:log-group:{group}",
        "Message": f'Received {side} error ({status}) from primary with message "{original}". '
        f"See the log group {group}, stream {headers['log-stream']}, for more information.",
        "OriginalMessage": original,
        "OriginalStatusCode": status,
    }
    named = {"Content-Type": "application/json", "X-Amzn-Errortype": "ModelError"}
    return 424, named, json.dumps(told).encode()


def _refused(code: str, message: str, status: int = 400) -> Answer:
    return errors.answer("sagemaker-runtime", code, message, status)
