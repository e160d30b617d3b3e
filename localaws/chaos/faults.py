"""The errors that each service has for throttling, for its own failures and for being unavailable.

Codes that a service's model declares come first, with the model's status. The others are those of "Common Errors" in
the API references of AWS, of "Error responses" of S3 and of "Error codes" of EC2. The codes for throttling are also
those that botocore's `_retry.json` retries.
"""

from typing import Any

from moto.core.utils import get_service_model

from localaws import errors
from localaws.errors import protocol_of

# By fault: the codes that a model may declare, the one that counts first.
DECLARED = {
    "throttle": ("ThrottlingException", "TooManyRequestsException"),
    "error": (
        *("InternalServerException", "InternalServerError", "InternalServiceException", "InternalFailure"),
        *("ServiceException", "ServiceFailureException", "KMSInternalException", "ServerException"),
    ),
    "unavailable": ("ServiceUnavailable", "ServiceUnavailableException"),
}
STATUS = {"throttle": 400, "error": 500, "unavailable": 503}
COMMON = {"throttle": "ThrottlingException", "error": "InternalFailure", "unavailable": "ServiceUnavailable"}
WORDS = {
    "throttle": "Rate exceeded",
    "error": "The request processing has failed because of an unknown error, exception or failure.",
    "unavailable": "The request has failed due to a temporary failure of the server.",
}
OWN = {
    ("s3", "throttle"): ("SlowDown", "Please reduce your request rate.", 503),
    ("s3", "error"): ("InternalError", "We encountered an internal error. Please try again.", 500),
    ("s3", "unavailable"): ("ServiceUnavailable", "Service is unable to handle request.", 503),
    ("ec2", "throttle"): ("RequestLimitExceeded", "Request limit exceeded.", 503),
    ("ec2", "error"): ("InternalError", "An internal error has occurred.", 500),
    ("ec2", "unavailable"): ("Unavailable", "The server is overloaded and can't handle the request.", 503),
}
QUERY_THROTTLING = "Throttling"  # the code of services that speak the query protocol, as botocore retries it


def answer(service: str, fault: str, environ: dict[str, Any]) -> errors.Answer:
    """The answer of a service to a request, for `throttle`, `error` or `unavailable`."""
    protocol = protocol_of(service, environ)
    code, words, status = error_of(service, fault, protocol)
    status, headers, body = errors.answer(service, code, words, status, protocol)
    if service == "cloudwatch" and protocol != "query":  # for clients in its query mode
        query, side = QUERY_THROTTLING if fault == "throttle" else code, "Sender" if status < 500 else "Receiver"
        headers["x-amzn-query-error"] = f"{query};{side}"
    return status, headers, body


def error_of(service: str, fault: str, protocol: str) -> tuple[str, str, int]:
    """Code, message and status."""
    if own := OWN.get((service, fault)):
        return own
    model = get_service_model(service)
    for name in DECLARED[fault]:
        shape = next((each for each in model.error_shapes if each.name == name), None)
        if shape is not None:
            stated = shape.metadata.get("error", {}).get("httpStatusCode")
            return shape.error_code, WORDS[fault], stated or STATUS[fault]
    if fault == "throttle" and protocol == "query":
        return QUERY_THROTTLING, WORDS[fault], STATUS[fault]
    return COMMON[fault], WORDS[fault], STATUS[fault]
