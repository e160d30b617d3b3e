"""The check at the end of `apply` and `promote`: the endpoint's configuration and one prediction."""

from __future__ import annotations

import io
import json

from botocore.exceptions import ClientError, ReadTimeoutError

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment


def require_service(deployment: Deployment, release: str) -> None:
    """Raise Failure unless the endpoint runs the applied configuration and answers."""
    require_configuration(deployment)
    ask_once(deployment, release)


def require_configuration(deployment: Deployment) -> None:
    """Raise Failure unless the endpoint runs the configuration that was applied.

    The Terraform provider treats an endpoint that rolled back as a success (its issues 46663 and 39099).
    """
    sagemaker = deployment.client("sagemaker")
    live = sagemaker.describe_endpoint(EndpointName=deployment.endpoint_name)
    if live["EndpointStatus"] != "InService" or live["EndpointConfigName"] != deployment.endpoint_config_name:
        raise Failure(
            f"The endpoint {deployment.endpoint_name} is {live['EndpointStatus']} on the configuration "
            f"{live['EndpointConfigName']}, not on {deployment.endpoint_config_name}: "
            f"{live.get('FailureReason') or 'SageMaker reports no reason'}. {its_log()}"
        )


def ask_once(deployment: Deployment, release: str) -> None:
    """Request one prediction from the endpoint. Raise Failure if there is no prediction.

    The health check of AWS's serving image succeeds without a running replica, so the endpoint can be in service with a
    model that cannot load or answer.
    """
    from PIL import Image

    image = io.BytesIO()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(image, format="JPEG")
    runtime = deployment.client("sagemaker-runtime")
    try:
        answer = runtime.invoke_endpoint(
            EndpointName=deployment.endpoint_name, ContentType="image/jpeg", Body=image.getvalue()
        )
        json.loads(answer["Body"].read())["predictions"][0]["label"]
    except (ClientError, ReadTimeoutError, ValueError, LookupError, TypeError) as error:
        raise Failure(f"{release} is in service but does not answer a test image: {error}\n{its_log()}") from error


def its_log() -> str:
    return f"Its log: {console.make('logs WHAT=endpoint')}"
