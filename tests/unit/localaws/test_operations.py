"""The table of operations is true: of the code that answers, of the server's refusals, of the document."""

import functools
import importlib
import re

import pytest
from botocore.exceptions import ClientError
from botocore.session import Session
from moto.core.responses import BaseResponse
from moto.core.utils import camelcase_to_underscores

from localaws.context import REPOSITORY
from localaws.operations import DEFAULTS, OPERATIONS, REFUSED, RUNS, SERVICES, level, refuses, table
from localaws.services import SERVICE_MODULES
from tests.unit.localaws.sagemaker_helpers import ROLE


@functools.cache  # EC2's model alone takes a second to read
def operations_of(service: str) -> dict[str, str]:
    """A service's operations by the name of the method that answers each."""
    names = Session().get_service_model(service).operation_names
    return {camelcase_to_underscores(name): name for name in names}


def own_responses() -> list[type]:
    """This project's own classes among those that answer requests."""
    for name in SERVICE_MODULES:
        importlib.import_module(f"localaws.services.{name}")
    waiting, found = [BaseResponse], []
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        found += [kind] if kind.__module__.startswith("localaws.") else []
    return found


def test_the_document_shows_the_table():
    document = (REPOSITORY / "docs" / "LOCALAWS.md").read_text()
    shown = re.search(r"<!-- operations:.*?-->\n(.*)\n<!-- /operations -->", document, re.S)
    assert shown is not None
    assert shown[1] == table(), "print it again: python -m localaws operations"


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_of_the_table_exists(service):
    assert set(OPERATIONS[service]) <= set(Session().get_service_model(service).operation_names)


def test_what_this_project_answers_itself_is_in_the_table():
    untold = []
    for kind in own_responses():
        service = kind().service_name
        service = {"awslambda": "lambda"}.get(service, service)
        names = operations_of(service)
        mine = {names[method] for method in vars(kind) if method in names}
        untold += [f"{service} {name}" for name in mine if level(service, name) == REFUSED]
    assert untold == []


def test_nothing_of_sagemaker_runs_by_moto_alone():
    """moto's own jobs are complete at once and its endpoints answer anything: none of that may be reached."""
    from localaws.services.sagemaker.api import LocalSageMaker

    names = operations_of("sagemaker")
    offered = {method for method, name in names.items() if level("sagemaker", name) != REFUSED}
    by_moto = {
        method for method in offered if not getattr(LocalSageMaker, method, None).__module__.startswith("localaws.")
    }
    assert by_moto == set()


def test_a_service_that_only_has_a_default_refuses_no_operation_by_surprise():
    assert not refuses("iam")
    assert level("iam", "CreateRole") != REFUSED
    assert level("sqs", "CreateQueue") == REFUSED


@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        (
            "sagemaker",
            "create_processing_job",
            {
                "ProcessingJobName": "x",
                "ProcessingResources": {
                    "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
                },
                "AppSpecification": {"ImageUri": "i"},
                "RoleArn": ROLE,
            },
        ),
        ("sagemaker", "stop_pipeline_execution", {"PipelineExecutionArn": "arn:x", "ClientRequestToken": "x" * 32}),
        ("sagemaker-runtime", "invoke_endpoint_async", {"EndpointName": "x", "InputLocation": "s3://b/k"}),
        ("lambda", "create_event_source_mapping", {"FunctionName": "f", "EventSourceArn": "arn:aws:sqs:r:1:q"}),
        ("ssm", "start_session", {"Target": "i-1"}),
    ],
)
def test_the_server_refuses_by_the_table(localaws, service, call, arguments):
    name = operations_of(service)[call]
    assert level(service, name) == REFUSED
    with pytest.raises(ClientError) as caught:
        getattr(localaws.client(service), call)(**arguments)
    assert caught.value.response["Error"]["Code"] == "UnknownOperationException"
    assert f"{service} {name}" in caught.value.response["Error"]["Message"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_every_default_is_one_of_the_levels():
    assert set(DEFAULTS) == set(SERVICES)
    assert RUNS not in DEFAULTS.values(), "what runs is named"
