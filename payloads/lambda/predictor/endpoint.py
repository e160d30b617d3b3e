"""Call the SageMaker endpoint once per image, and translate its failures into those of the contract."""

import http.client

from classifier.contract import (
    CUSTOM_ATTRIBUTES_HEADER,
    JSON_TYPE,
    ApiError,
    is_overloaded,
    read_answer,
    read_error,
    to_custom_attributes,
)

from predictor.deadline import Deadline
from predictor.sagemaker_runtime import ServiceError, from_environment

TOO_SLOW = "The model took too long to answer."
BUSY = "The model is busy; try again shortly."
THROTTLED = {"ThrottlingException", "Throttling", "TooManyRequestsException", "ModelNotReadyException"}
NOT_ALLOWED = {
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "UnrecognizedClientException",
}


class Endpoint:
    """One endpoint with a client, which keeps its connection between requests."""

    log_field = "endpoint_ms"

    def __init__(self, name: str):
        self._name = name
        self._client = from_environment()

    def predict(
        self,
        image: bytes,
        content_type: str,
        top_k: int | None,
        deadline: Deadline,
        request_id: str,
        *,
        explain: bool = False,
    ) -> dict:
        """`{"predictions": [...], "model": {...}}` and what else the model can give. The endpoint's log gets the
        `request_id` too.

        Raises ApiError: the 4xx of the contract that the model reported, 429 if it is throttled, 502 if it failed or is
        unavailable, 504 after the deadline.
        """
        headers = {"Content-Type": content_type, "Accept": JSON_TYPE}
        if attributes := to_custom_attributes(top_k, request_id, explain=explain):
            headers[CUSTOM_ATTRIBUTES_HEADER] = attributes
        try:
            answer = self._invoke(image, headers, deadline)
        except ServiceError as error:
            raise _from_service(error) from error
        except TimeoutError as error:
            raise ApiError("endpoint_timeout", TOO_SLOW) from error
        except (OSError, http.client.HTTPException) as error:
            raise ApiError("endpoint_unavailable", "The model could not be reached.") from error
        return read_answer(answer)

    def _invoke(self, image: bytes, headers: dict, deadline: Deadline) -> bytes:
        """The endpoint's answer, at the second attempt if the first one met an instance that was lost.

        A prediction changes nothing, so it may be made twice. One that was throttled or timed out is not repeated: that
        would add load to an endpoint that has too much. The deadline covers each call as a whole, because a socket's
        timeout applies to each step.
        """
        try:
            return deadline.run(self._client.invoke, self._name, image, headers, deadline.left())
        except ServiceError as error:
            if not _is_lost(error):
                raise
        return deadline.run(self._client.invoke, self._name, image, headers, deadline.left())


def _is_lost(error: ServiceError) -> bool:
    """Whether the instance ended in the middle of the request (status 0 without a time-out), or the service failed."""
    if error.code == "ModelError":
        return error.original_status == 0 and "timed out" not in error.original_message
    return error.code == "InternalFailure" or error.status == 500


def _from_service(error: ServiceError) -> ApiError:
    """The caller's error for a refusal by the service. It does not reveal accounts and roles."""
    if error.code == "ModelError":
        return _from_model(error.original_status, error.original_message)
    if error.code in THROTTLED or error.status == 429:
        return ApiError("throttled", BUSY)
    if error.code in NOT_ALLOWED:
        return ApiError("endpoint_unavailable", "The function is not allowed to call the endpoint.")
    if error.code in ("ValidationError", "ValidationException") and "not found" in error.message.lower():
        return ApiError("endpoint_unavailable", "The model is asleep, or is being started. Try again later.")
    return ApiError("endpoint_unavailable", "The endpoint is not available; try again later.")


def _failed() -> ApiError:
    return ApiError("model_failed", "The model failed on this request.")


def _from_model(status: int, message: str) -> ApiError:
    """The error for the container's answer, which SageMaker forwards in a ModelError."""
    if status == 0:  # SageMaker's status if the container did not answer, within its 60 s or at all
        return ApiError("endpoint_timeout", TOO_SLOW) if "timed out" in message else _failed()
    if is_overloaded(status, message):
        return ApiError("throttled", BUSY)
    return read_error(status, message) or _failed()
