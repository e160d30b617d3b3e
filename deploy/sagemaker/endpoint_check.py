"""The check at the end of `apply` and `promote`: the endpoint's configuration and one prediction."""

from __future__ import annotations

import json
import time

from botocore.exceptions import ClientError, ReadTimeoutError

from deploy import console, own_model
from deploy.console import Failure
from deploy.deployment import IN_FUNCTION, Deployment
from deploy.function import grey_image

START_SECONDS = 240  # a container of an endpoint may take as long to become healthy


def require_service(deployment: Deployment, release: str) -> None:
    """Raise Failure unless the applied release is live and answers: on the endpoint, or in the function."""
    require_configuration(deployment)
    if deployment.endpoint_kind == IN_FUNCTION:
        own_model.ask_once(deployment, release, deployment.function_alias)
    else:
        ask_once(deployment, release)


def require_configuration(deployment: Deployment) -> None:
    """Raise Failure unless the endpoint runs the configuration that was applied, or the function the model.

    The Terraform provider treats an endpoint that rolled back as a success (its issues 46663 and 39099).
    """
    if deployment.endpoint_kind == IN_FUNCTION:
        own_model.require_configuration(deployment)
        return
    live = _created(deployment)
    if live["EndpointStatus"] != "InService" or live["EndpointConfigName"] != deployment.endpoint_config_name:
        raise Failure(
            f"The endpoint {deployment.endpoint_name} is {live['EndpointStatus']} on the configuration "
            f"{live['EndpointConfigName']}, not on {deployment.endpoint_config_name}: "
            f"{live.get('FailureReason') or 'SageMaker reports no reason'}. {its_log()}"
        )


def _created(deployment: Deployment) -> dict:
    """The endpoint's description. Waits while its container starts, as after a restart of the local AWS."""
    sagemaker = deployment.client("sagemaker")
    deadline = time.monotonic() + START_SECONDS
    while True:
        live = sagemaker.describe_endpoint(EndpointName=deployment.endpoint_name)
        if live["EndpointStatus"] != "Creating" or time.monotonic() > deadline:
            return live
        time.sleep(deployment.env.poll_seconds(5))


def ask_once(deployment: Deployment, release: str) -> None:
    """Request one prediction from the endpoint. Raise Failure if there is no prediction.

    The health check of AWS's serving image succeeds without a running replica, so the endpoint can be in service with a
    model that cannot load or answer.
    """
    try:
        answer = _invoke(deployment, grey_image())
        json.loads(answer)["predictions"][0]["label"]
    except (ClientError, ReadTimeoutError, ValueError, LookupError, TypeError) as error:
        raise Failure(f"{release} is in service but does not answer a test image: {error}\n{its_log()}") from error


def _invoke(deployment: Deployment, image: bytes) -> bytes:
    """The endpoint's answer. Waits for a serverless container that is still starting."""
    runtime = deployment.client("sagemaker-runtime")
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            answer = runtime.invoke_endpoint(
                EndpointName=deployment.endpoint_name, ContentType="image/jpeg", Body=image
            )
            return answer["Body"].read()
        except ClientError as error:
            starting = error.response["Error"]["Code"] == "ModelNotReadyException"
            if not starting or time.monotonic() > deadline:
                raise
            time.sleep(deployment.env.poll_seconds(5))


def its_log() -> str:
    return f"Its log: {console.make('logs WHAT=endpoint')}"
