"""The SageMaker endpoint, asked once per image; its failures, turned into the contract's."""

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    ReadTimeoutError,
)
from classifier.contract import JSON_TYPE, ApiError, read_answer, read_error, to_custom_attributes
from deadline import Deadline

# No retries in botocore: they would spend the caller's time unseen and make a busy endpoint busier. The
# caller gets 429 or 502 at once and decides. The read timeout is SageMaker's own limit; each request's
# deadline, from the function's remaining time, is shorter.
CONFIG = Config(connect_timeout=2, read_timeout=60, retries={"total_max_attempts": 1})

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
    """One endpoint. Making it builds the boto3 client, which keeps its connections between requests."""

    def __init__(self, name: str):
        self._name = name
        self._client = boto3.client("sagemaker-runtime", config=CONFIG)

    def predict(self, image: bytes, content_type: str, top_k: int | None, deadline: Deadline) -> dict:
        """`{"predictions": [...], "model": {...}}`.

        Raises ApiError: the 4xx of the contract that the model reported, 429 where it is throttled, 502 where
        it failed or is unavailable, 504 where the deadline came first.
        """
        request = {
            "EndpointName": self._name,
            "Body": image,
            "ContentType": content_type,
            "Accept": JSON_TYPE,
        }
        if top_k is not None:
            request["CustomAttributes"] = to_custom_attributes(top_k)
        try:
            answer = deadline.run(self._invoke, request)
        except ClientError as error:
            raise _from_service(error) from error
        except (TimeoutError, ReadTimeoutError, ConnectTimeoutError) as error:
            raise ApiError("endpoint_timeout", TOO_SLOW) from error
        except BotoCoreError as error:
            raise ApiError("endpoint_unavailable", "The model could not be reached.") from error
        return read_answer(answer)

    def _invoke(self, request: dict) -> bytes:
        try:
            return self._client.invoke_endpoint(**request)["Body"].read()
        except ConnectionClosedError:
            # A kept connection can die unnoticed while Lambda holds the environment frozen. Asking again on a
            # new one costs no wait and changes nothing there; a second failure is reported.
            return self._client.invoke_endpoint(**request)["Body"].read()


def _from_service(error: ClientError) -> ApiError:
    """What a refusal by the service means to the caller, who learns nothing of accounts and roles."""
    code, message = error.response["Error"].get("Code"), error.response["Error"].get("Message", "")
    if code == "ModelError":
        return _from_model(error.response.get("OriginalStatusCode", 0), error.response.get("OriginalMessage", ""))
    if code in THROTTLED or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 429:
        return ApiError("throttled", BUSY)
    if code in NOT_ALLOWED:
        return ApiError("endpoint_unavailable", "The function may not call the endpoint.")
    if code in ("ValidationError", "ValidationException") and "not found" in message.lower():
        return ApiError("endpoint_unavailable", "The endpoint does not exist, or is being created.")
    return ApiError("endpoint_unavailable", "The endpoint is not available; try again later.")


def _failed() -> ApiError:
    return ApiError("model_failed", "The model failed on this request.")


def _from_model(status: int, message: str) -> ApiError:
    """What the container answered, as SageMaker passes it on in a ModelError."""
    if status == 0:  # SageMaker's way to say that the container did not answer, in its 60 s or ever
        return ApiError("endpoint_timeout", TOO_SLOW) if "timed out" in message else _failed()
    if status == 503:  # its line of requests is full, or it is being stopped
        return ApiError("throttled", BUSY)
    return read_error(status, message) or _failed()
