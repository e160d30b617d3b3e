"""What is made from AWS's service models: every operation that runs, what it refuses, and the errors that it declares.

The server is one of this module's own, because the listings of a service are checked too.
"""

import json
import re
from collections.abc import Iterator

import pytest
from moto.core.utils import get_service_model

from localaws.conformance import against
from localaws.conformance.answers import read
from localaws.conformance.checks import runs
from localaws.conformance.refusals import read_refusal
from localaws.conformance.run import HEAD, STORIES, run, run_stored
from localaws.conformance.stored import StoredChecks, stored
from localaws.conformance.wire import RawAnswer, Wire
from localaws.context import REPOSITORY
from localaws.operations import SERVICES
from tests.unit.localaws.conftest import Server

DATED = {"date": "Sun, 29 Nov 2026 00:00:00 GMT", "x-amzn-requestid": "a"}
JSON = {**DATED, "content-type": "application/x-amz-json-1.1"}
XML = {**DATED, "content-type": "text/xml"}


@pytest.fixture(scope="module")
def conforming(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("conformance")).start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def documented() -> list[str]:
    return shown("conformance")


def shown(name: str) -> list[str]:
    """A table of the document."""
    document = (REPOSITORY / "docs" / "LOCALAWS.md").read_text()
    found = re.search(rf"<!-- {name}:.*?-->\n(.*)\n<!-- /{name} -->", document, re.S)
    assert found is not None
    return found[1].splitlines()


# The stories of SageMaker train, tune, serve and start a notebook: they wait for their processes.
BY_COST = [pytest.param(each, marks=pytest.mark.slow if each == "sagemaker" else ()) for each in STORIES]


@pytest.mark.parametrize("service", BY_COST)
def test_a_service_conforms_and_the_document_has_its_counts(conforming: Server, service: str, documented: list[str]):
    outcome = run(service, conforming.port)
    assert outcome.faults == (), "\n".join(outcome.faults)
    assert outcome.row() in documented, "print it again: python -m localaws conformance"


def test_each_service_that_runs_something_is_in_the_table(documented: list[str]):
    assert [service for service in SERVICES if runs(service)] == list(STORIES)
    assert documented[:2] == HEAD.splitlines()
    assert [row.split()[1] for row in documented[2:]] == list(STORIES)


# --- what is stored ---

WITH_STORED = [service for service in SERVICES if stored(service)]
QUICK = ("events", "sns", "ssm", "sts")


@pytest.mark.parametrize(
    "service", [pytest.param(each, marks=() if each in QUICK else pytest.mark.slow) for each in WITH_STORED]
)
def test_a_valid_request_to_what_is_stored_is_answered_or_refused_in_words(conforming: Server, service: str):
    outcome = run_stored(service, conforming.port)
    assert outcome.faults == [], "\n".join(outcome.faults)
    assert outcome.answered > 0 or service in ("application-autoscaling", "lambda")  # theirs are about what runs
    if service not in STORIES:  # nothing else is in its account
        assert outcome.row() in shown("stored"), "print it again: python -m localaws conformance"


def test_each_service_with_something_stored_is_in_the_table():
    assert [row.split()[1] for row in shown("stored")[2:]] == WITH_STORED


def test_a_failure_of_a_stored_operation_is_a_fault():
    class Failing(Wire):
        def send(self, service, operation, params, protocol="", tamper=None):
            return RawAnswer(500 if operation == "ListTopics" else 400, XML, b"<ErrorResponse><Error/></ErrorResponse>")

    outcome = StoredChecks("sns", Failing("http://127.0.0.1:1")).run()
    assert outcome.faults
    assert all("sns ListTopics" in fault for fault in outcome.faults)


# --- the checks find what is wrong ---

ALIAS = {"Name": "live", "FunctionVersion": "1"}
TARGET = {
    "ServiceNamespace": "lambda",
    "ResourceId": "a",
    "ScalableDimension": "lambda:function:ProvisionedConcurrency",
}
WHOLE = {**TARGET, "MinCapacity": 1, "MaxCapacity": 2, "RoleARN": "a" * 20, "CreationTime": 1.5}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"Wrong": 1}, ".ScalableTargets[].Wrong is not in the model"),
        ({"SuspendedState": None}, ".ScalableTargets[].SuspendedState is null"),
        ({"MinCapacity": "1"}, ".ScalableTargets[].MinCapacity is not of the type integer: '1'"),
        ({"CreationTime": "2026-11-29"}, ".ScalableTargets[].CreationTime is not of the type timestamp: '2026-11-29'"),
        ({"ServiceNamespace": "none"}, "ScalableTargets.1.member.ServiceNamespace is 'none'"),
    ],
)
def test_a_wrong_member_of_json_is_found(change: dict, fault: str):
    operation = get_service_model("application-autoscaling").operation_model("DescribeScalableTargets")
    right = {"ScalableTargets": [WHOLE]}
    assert read(operation, "json", RawAnswer(200, JSON, json.dumps(right).encode()))[1] == []
    wrong = {"ScalableTargets": [{**WHOLE, **change}]}
    found = read(operation, "json", RawAnswer(200, JSON, json.dumps(wrong).encode()))[1]
    assert len(found) == 1
    assert found[0].startswith(fault)


def test_a_required_member_that_is_missing_is_found():
    operation = get_service_model("application-autoscaling").operation_model("DescribeScalableTargets")
    without = {name: value for name, value in WHOLE.items() if name != "RoleARN"}
    answer = RawAnswer(200, JSON, json.dumps({"ScalableTargets": [without]}).encode())
    assert read(operation, "json", answer)[1] == ["ScalableTargets.1.member.RoleARN is None: Member must not be null"]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<IsTruncated>yes</IsTruncated>", ".IsTruncated is not true or false: 'yes'"),
        ("<Wrong>a</Wrong>", ".Wrong is not in the model"),
        ("<Marker>a</Marker><Marker>b</Marker>", ".Marker is there 2 times"),
        (
            "<EvaluationResults><item/></EvaluationResults>",
            ".EvaluationResults.item is not in the model, which has member",
        ),
    ],
)
def test_a_wrong_element_of_xml_is_found(body: str, fault: str):
    operation = get_service_model("iam").operation_model("SimulateCustomPolicy")
    text = "<SimulateCustomPolicyResponse><SimulateCustomPolicyResult>{}</SimulateCustomPolicyResult>"
    text += "<ResponseMetadata><RequestId>a</RequestId></ResponseMetadata></SimulateCustomPolicyResponse>"
    assert read(operation, "query", RawAnswer(200, XML, text.format("").encode()))[1] == []
    found = read(operation, "query", RawAnswer(200, XML, text.format(body).encode()))[1]
    assert any(each.startswith(fault) for each in found), found


def test_a_wrong_status_or_header_is_found():
    operation = get_service_model("lambda").operation_model("CreateAlias")
    body = json.dumps(ALIAS).encode()
    headers = {**DATED, "content-type": "application/json"}
    assert read(operation, "rest-json", RawAnswer(201, headers, body))[1] == []
    assert read(operation, "rest-json", RawAnswer(200, headers, body))[1][0].startswith("the status is 200, not 201")
    undated = {name: value for name, value in headers.items() if name != "date"}
    assert read(operation, "rest-json", RawAnswer(201, undated, body))[1] == ["the header date is missing"]


@pytest.mark.parametrize(
    ("status", "headers", "body", "fault"),
    [
        (200, {}, {}, "is not refused: 200 b'{}'"),
        (400, {"x-amzn-errortype": "ResourceNotFoundException"}, {"Message": "a"}, "has the status 400"),
        (404, {"x-amzn-errortype": "ResourceNotFoundException"}, {}, "has no message"),
        (404, {}, {"Message": "a"}, "has no code"),
    ],
)
def test_a_wrong_refusal_is_found(status: int, headers: dict, body: dict, fault: str):
    operation = get_service_model("lambda").operation_model("GetAlias")
    answer = RawAnswer(status, {**DATED, "content-type": "application/json", **headers}, json.dumps(body).encode())
    assert any(each.startswith(fault) for each in read_refusal(operation, "rest-json", answer).faults)


# --- the same requests to AWS ---


class Altered(Wire):
    """Stands for AWS: answers as the local AWS, except to one operation."""

    operation, answer = "", RawAnswer(400, {**DATED, "content-type": "application/x-amz-json-1.1"}, b"{}")

    def send(self, service, operation, params, protocol="", tamper=None):
        usual = super().send(service, operation, params, protocol, tamper)
        return self.answer if operation == self.operation else usual


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("ThrottlingException", "different"),
        ("AccessDeniedException", "not allowed"),
        ("ResourceNotFoundException", "worded otherwise"),
    ],
)
def test_what_aws_answers_in_another_way_is_listed(conforming: Server, code: str, outcome: str):
    logs = conforming.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:  # of other checks: the requests name what does not exist
        logs.delete_log_group(logGroupName=group["logGroupName"])
    aws, local = Altered(conforming.url), Wire(conforming.url)
    aws.operation = "DescribeLogStreams"
    body = json.dumps({"__type": code, "message": "of account 999999999999"}).encode()
    aws.answer = RawAnswer(400, aws.answer.headers, body)

    found = list(against.compare("logs", aws, local, account="999999999999"))

    asked = [each for each in found if each.about == "the smallest valid request"]
    assert {each.operation for each in asked} >= {"DescribeLogGroups", "DescribeLogStreams", "FilterLogEvents"}
    [one] = [each for each in asked if each.operation == "DescribeLogStreams"]
    assert against.outcome(one) == outcome
    assert {against.outcome(each) for each in found if each.operation != "DescribeLogStreams"} == {"same"}
    assert one.aws.message == ("" if outcome == "not allowed" else "of account 123456789012")
    assert ("AWS        400 ThrottlingException" in against.table(found)) is (outcome == "different")
    aws.close()
    local.close()


@pytest.mark.parametrize("service", SERVICES)
def test_aws_is_asked_only_what_reads(service: str):
    asked = {operation for operation, *_ in against.requests(service)}
    assert [each for each in asked if not re.match("Describe|List|Get|Head|Filter", each)] == []
