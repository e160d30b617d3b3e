"""The SageMaker endpoint, asked once per image; its failures, turned into the contract's."""

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
    """One endpoint. Its client is made with it, and keeps the connection between requests."""

    def __init__(self, name: str):
        self._name = name
        self._client = from_environment()

    def predict(self, image: bytes, content_type: str, top_k: int | None, deadline: Deadline) -> dict:
        """`{"predictions": [...], "model": {...}}`.

        Raises ApiError: the 4xx of the contract that the model reported, 429 where it is throttled, 502 where
        it failed or is unavailable, 504 where the deadline came first.
        """
        headers = {"Content-Type": content_type, "Accept": JSON_TYPE}
        if top_k is not None:
            headers[CUSTOM_ATTRIBUTES_HEADER] = to_custom_attributes(top_k)
        try:
            # Under the deadline as a whole: a socket's own timeout is for each step.
            answer = deadline.run(self._client.invoke, self._name, image, headers, deadline.left())
        except ServiceError as error:
            raise _from_service(error) from error
        except TimeoutError as error:
            raise ApiError("endpoint_timeout", TOO_SLOW) from error
        except (OSError, http.client.HTTPException) as error:
            raise ApiError("endpoint_unavailable", "The model could not be reached.") from error
        return read_answer(answer)


def _from_service(error: ServiceError) -> ApiError:
    """What a refusal by the service means to the caller, who learns nothing of accounts and roles."""
    if error.code == "ModelError":
        return _from_model(error.original_status, error.original_message)
    if error.code in THROTTLED or error.status == 429:
        return ApiError("throttled", BUSY)
    if error.code in NOT_ALLOWED:
        return ApiError("endpoint_unavailable", "The function may not call the endpoint.")
    if error.code in ("ValidationError", "ValidationException") and "not found" in error.message.lower():
        return ApiError("endpoint_unavailable", "The endpoint does not exist, or is being created.")
    return ApiError("endpoint_unavailable", "The endpoint is not available; try again later.")


def _failed() -> ApiError:
    return ApiError("model_failed", "The model failed on this request.")


def _from_model(status: int, message: str) -> ApiError:
    """What the container answered, as SageMaker passes it on in a ModelError."""
    if status == 0:  # SageMaker's way to say that the container did not answer, in its 60 s or ever
        return ApiError("endpoint_timeout", TOO_SLOW) if "timed out" in message else _failed()
    if is_overloaded(status, message):
        return ApiError("throttled", BUSY)
    return read_error(status, message) or _failed()
