"""Assumptions about AWS's answers: errors that this program and the function take apart."""

from __future__ import annotations

from typing import Any

from deploy.deployment import Deployment
from deploy.verify.assumption import Assumption, Observation, refusal

NOWHERE = "pawprint-verify-does-not-exist"


def error_of(service: str, operation: str, code: str, words: str = "", **request: Any):
    """A check that a call is refused with a code, and a message that has these words."""

    def look(deployment: Deployment) -> Observation:
        client = deployment.client(service)
        found, message = refusal(lambda: getattr(client, operation)(**request))
        return Observation(found == code and words.lower() in message.lower(), f"{found or 'no error'}: {message}")

    return look


def bad_token(deployment: Deployment) -> Observation:
    """Each service's code for a token of a page that no listing gave."""
    calls = {
        "sagemaker": ("list_training_jobs", {"NextToken": "x"}, "ValidationException"),
        "ssm": ("list_commands", {"NextToken": "x"}, "InvalidNextToken"),
        "lambda": ("list_functions", {"Marker": "x"}, "InvalidParameterValueException"),
        "application-autoscaling": (
            "describe_scalable_targets",
            {"ServiceNamespace": "sagemaker", "NextToken": "x"},
            "InvalidNextTokenException",
        ),
    }
    seen, holds = [], True
    for service, (operation, request, code) in calls.items():
        client = deployment.client(service)
        found, message = refusal(lambda client=client, o=operation, r=request: getattr(client, o)(**r))
        holds = holds and found == code
        seen.append(f"{service}: {found or 'no error'}: {message}")
    return Observation(holds, "; ".join(seen))


ANSWERS = (
    Assumption(
        "missing-endpoint",
        "InvokeEndpoint of an endpoint that does not exist is a ValidationError whose message has the words not found",
        f"aws sagemaker-runtime invoke-endpoint --endpoint-name {NOWHERE} --body x --region {{region}} /dev/null",
        error_of(
            "sagemaker-runtime", "invoke_endpoint", "ValidationError", "not found", EndpointName=NOWHERE, Body=b"x"
        ),
    ),
    Assumption(
        "missing-job",
        "DescribeTrainingJob of a job that does not exist is a ValidationException",
        f"aws sagemaker describe-training-job --training-job-name {NOWHERE} --region {{region}}",
        error_of("sagemaker", "describe_training_job", "ValidationException", "not found", TrainingJobName=NOWHERE),
    ),
    Assumption(
        "missing-function",
        "GetFunction of a function that does not exist is a ResourceNotFoundException",
        f"aws lambda get-function --function-name {NOWHERE} --region {{region}}",
        error_of("lambda", "get_function", "ResourceNotFoundException", "not found", FunctionName=NOWHERE),
    ),
    Assumption(
        "tokens",
        "A token that no listing gave is refused with the code that each service's model has, and by SageMaker with "
        "ValidationException",
        "aws ssm list-commands --starting-token x --region {region}",
        bad_token,
    ),
)
