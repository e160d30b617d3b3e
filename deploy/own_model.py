"""The release inside of the function (`endpoint.kind = "in-function"`): which one is live, and whether it answers.

Lambda publishes a version with the address of the model, and moves the alias to it. Nothing starts before a request
comes. So the new version is asked first, as `$LATEST`, while the alias is still on the old one.
"""

from __future__ import annotations

import base64
import json

from botocore.exceptions import ClientError, ReadTimeoutError

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.function import grey_image

LATEST = "$LATEST"
READ_SECONDS = 120  # a start of up to 10 seconds, then a start with the function's own timeout


def live_url(deployment: Deployment) -> str:
    """The address of the model that the alias loads."""
    configuration = deployment.client("lambda").get_function_configuration(
        FunctionName=deployment.function_name, Qualifier=deployment.function_alias
    )
    return configuration.get("Environment", {}).get("Variables", {}).get("MODEL_DATA_URL", "")


def require_configuration(deployment: Deployment) -> None:
    """Raise Failure unless the alias loads the model that was applied."""
    live = live_url(deployment)
    if live != deployment.model_data_url:
        raise Failure(
            f"The alias {deployment.function_alias} of {deployment.function_name} loads {live or 'no model'}, not "
            f"{deployment.model_data_url}. {its_log()}"
        )


def ask_once(deployment: Deployment, release: str, qualifier: str) -> None:
    """Request one prediction from a version of the function. Raise Failure if there is no prediction."""
    question = json.dumps({"image": base64.b64encode(grey_image()).decode()}).encode()
    client = deployment.client("lambda", read_timeout=READ_SECONDS)
    try:
        answer = client.invoke(FunctionName=deployment.function_name, Qualifier=qualifier, Payload=question)
        told = json.loads(answer["Payload"].read())
    except (ClientError, ReadTimeoutError, ValueError) as error:
        raise Failure(f"{release} does not answer a test image: {error}\n{its_log()}") from error
    try:
        told["predictions"][0]["label"]
    except (LookupError, TypeError):
        reason = told.get("errorMessage") or told.get("error") or told if isinstance(told, dict) else told
        raise Failure(f"{release} does not answer a test image: {reason}\n{its_log()}") from None


def its_log() -> str:
    return f"Its log: {console.make('logs WHAT=lambda')}"
