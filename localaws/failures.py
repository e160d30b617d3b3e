"""What a client is told when an exception ended its request.

An operation that is *stored* is moto's. moto meets requests there that it was not written for, and it fails over them
in many ways: a KeyError, a TypeError, an IndexError. AWS may take such a request, so the answer must not be an error
that AWS has for a wrong one. It must not be a failure of the server (500) either: clients repeat a request after such a
failure, Terraform for minutes. So it is refused in words, with the code of everything else that is not run here.

The rest are failures: of an operation that *runs*, and those that may have passed when the request comes again.
"""

from typing import Any

from localaws import errors
from localaws.operations import STORED, level
from localaws.requests import ApiRequest

CHANGED = "changed size during iteration"  # what Python says of a table that another thread changes
TOKENS = ("NextToken", "nextToken", "Marker", "PaginationToken")


def answer(service: str, environ: dict[str, Any], error: Exception) -> errors.Answer:
    """The answer to a request that an exception of moto ended."""
    request: ApiRequest | None = environ.get("localaws.request")
    if isinstance(error, KeyError) and error.args == (region := errors.region_of(environ),):
        words = f"AWS has no {service} in a region {region!r}. Correct the region of the client, such as us-east-1."
        return errors.answer(service, errors.NOT_RUN, words, 400, errors.protocol_of(service, environ))
    passing = isinstance(error, OSError | MemoryError) or CHANGED in str(error)
    if request is None or passing or level(service, request.operation.name) != STORED:
        return internal(service, environ, error)
    protocol = errors.protocol_of(service, environ)
    if code := _code_for_token(request, error):
        return errors.answer(service, code, "The specified token is not valid.", 400, protocol)
    return errors.not_run(service, request.operation.name, error, protocol)


def internal(service: str, environ: dict[str, Any], error: Exception) -> errors.Answer:
    """The answer if the local AWS has failed."""
    message = f"The local AWS failed: {type(error).__name__}: {error}. Its log has the details."
    return errors.answer(service, "InternalFailure", message, 500, errors.protocol_of(service, environ))


def _code_for_token(request: ApiRequest, error: Exception) -> str | None:
    """The code for a token that was never given out, if the model has one. moto takes a token for a number or a key."""
    if not isinstance(error, ValueError | LookupError) or not any(request.params.get(name) for name in TOKENS):
        return None
    declared = [shape.metadata.get("error", {}).get("code", shape.name) for shape in request.operation.error_shapes]
    return next((code for code in declared if code.startswith(("InvalidNextToken", "InvalidPaginationToken"))), None)
