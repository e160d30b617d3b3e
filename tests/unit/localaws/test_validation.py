"""Requests that break a service's model are refused before anything else sees them; all others pass.

The requests are generated from the models: for every operation that the local AWS answers, a small valid one, and one
for each constraint that it can break. They are written by botocore's serializers, in every protocol of the service.
"""

import functools
import io
import json
import zipfile
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.serialize import create_serializer
from moto.core.utils import get_service_model
from werkzeug.test import EnvironBuilder

from localaws import refusals, rules
from localaws.conformance.generate import mutants, sendable, unwritten, value_for
from localaws.operations import REFUSED, SERVICES, level
from localaws.validation import Breach, breaches, compiled
from tests.unit.localaws.sagemaker_helpers import ROLE, unique

SIGNED = "AWS4-HMAC-SHA256 Credential=test/20261125/us-east-1/{}/aws4_request"

LIKE_OTHERS = ("ListDirectoryBuckets",)  # the same path as ListBuckets, at another address


def answered(service: str) -> list[str]:
    """The operations that the local AWS answers, without those that no request can be told to be for."""
    model = get_service_model(service)
    names = [name for name in model.operation_names if not model.operation_model(name).deprecated]
    return [name for name in names if level(service, name) != REFUSED and name not in LIKE_OTHERS]


def environ_of(service: str, operation: str, params: dict[str, Any], protocol: str) -> dict[str, Any]:
    """The request that botocore writes, as the server gets it."""
    model = get_service_model(service)
    written = create_serializer(protocol, include_validation=False).serialize_to_request(
        params, model.operation_model(operation)
    )
    body = written.get("body") or b""
    headers = {**written["headers"], "Authorization": SIGNED.format(service)}
    if protocol == "ec2" or protocol == "query":
        body = {name: str(value) for name, value in body.items()}
    elif isinstance(body, str):
        body = body.encode()
    path, _, query = written["url_path"].partition("?")
    return EnvironBuilder(
        path=path,
        method=written["method"],
        query_string="&".join(filter(None, (query, urlencode(written.get("query_string") or {}, doseq=True)))),
        headers=headers,
        data=body,
    ).get_environ()


def protocols(service: str) -> list[str]:
    model = get_service_model(service)
    return model.metadata.get("protocols", [model.protocol])


CASES = [(service, protocol) for service in SERVICES for protocol in protocols(service)]


# --- the model alone ---


@pytest.mark.parametrize("service", SERVICES)
def test_valid_parameters_have_no_failure(service: str):
    for name in answered(service):
        member = compiled(get_service_model(service).operation_model(name))
        for all_members in (False, True):
            found = [] if member is None else list(breaches(member, value_for(member, all_members)))
            assert found == [], (name, found)


@pytest.mark.parametrize("service", SERVICES)
def test_each_constraint_that_is_broken_is_found(service: str):
    for name in answered(service):
        member = compiled(get_service_model(service).operation_model(name))
        if member is None:
            continue
        for kind, where, params in mutants(member, value_for(member, True)):
            found: list[Breach] = list(breaches(member, params))
            assert any(each.constraint.kind == kind and each.path[0] == where for each in found), (name, where, kind)


# Examples of AWS's own that AWS refuses: placeholders and a blank.
FAULTY_EXAMPLES = {
    "ModifySpotFleetRequest": "'NoTermination ' is not in the enum",
    "CreateCustomKeyStore": "a cluster's id has no 1",
    "UpdateCustomKeyStore": "the same",
    "UpdateEventSourceMapping": "1234xCy789012 is not a UUID",
}


def test_the_documented_examples_are_accepted():
    """botocore ships the requests of AWS's API references."""
    loader, accepted = Loader(), 0
    for service in SERVICES:
        model = get_service_model(service)
        if service not in loader.list_available_services("examples-1"):
            continue
        for name, examples in loader.load_service_model(service, "examples-1")["examples"].items():
            member = compiled(model.operation_model(name)) if name in model.operation_names else None
            for params in [each.get("input", {}) for each in examples if member and name not in FAULTY_EXAMPLES]:
                assert list(breaches(member, params)) == [], (service, name)
                assert rules.broken(service, name, params) is None, (service, name)
                accepted += 1
    assert accepted > 300


# --- through the protocols ---


@pytest.mark.parametrize(("service", "protocol"), CASES)
def test_a_valid_request_passes(service: str, protocol: str):
    for name in answered(service):
        member = compiled(get_service_model(service).operation_model(name))
        params = {} if member is None else value_for(member)
        refused = refusals.refusal(service, environ_of(service, name, params, protocol))
        by_rule = refused is not None and b"Malformed</Code>" in refused[2]  # identifiers have a form beyond the model
        assert refused is None or by_rule, (name, params, refused)


@pytest.mark.parametrize(("service", "protocol"), CASES)
def test_each_broken_constraint_is_refused(service: str, protocol: str):
    tried = 0
    for name in answered(service):
        member = compiled(get_service_model(service).operation_model(name))
        if member is None:
            continue
        for kind, where, params in mutants(member, value_for(member)):
            unsaid = protocol in ("ec2", "query") and unwritten(params)
            if sendable(member, kind, where, params) and not unsaid:
                refused = refusals.refusal(service, environ_of(service, name, params, protocol))
                assert refused is not None, (name, where, kind)
                assert refused[0] == 400, refused
                tried += 1
    assert tried or service in ("sagemaker-runtime", "freetier")  # their operations have no constraint to break


# --- what is never read ---


class Untouchable(io.RawIOBase):
    def readinto(self, _buffer: Any) -> int:
        raise AssertionError("the payload was read")


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("s3", "PutObject", {"Bucket": "bucket", "Key": "a/b", "Body": b"x"}),
        ("s3", "UploadPart", {"Bucket": "bucket", "Key": "a", "UploadId": "u", "PartNumber": 1, "Body": b"x"}),
        ("lambda", "Invoke", {"FunctionName": "a", "Payload": b"{}"}),
        ("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "a", "Body": b"x"}),
    ],
)
def test_a_payload_is_left_unread(service: str, operation: str, params: dict[str, Any]):
    environ = environ_of(service, operation, params, protocols(service)[0])
    environ["wsgi.input"] = Untouchable()
    assert refusals.refusal(service, environ) is None


def test_a_body_in_chunks_of_aws_is_left_to_s3():
    params = {"Bucket": "bucket", "Delete": {"Objects": [{"Key": "a"}]}}
    environ = environ_of("s3", "DeleteObjects", params, "rest-xml")
    environ |= {"HTTP_CONTENT_ENCODING": "aws-chunked", "wsgi.input": Untouchable()}
    assert refusals.refusal("s3", environ) is None


def test_the_body_is_there_for_the_next_reader():
    environ = environ_of("sagemaker", "DescribeTrainingJob", {"TrainingJobName": "a"}, "json")
    assert refusals.refusal("sagemaker", environ) is None
    assert json.loads(environ["wsgi.input"].read()) == {"TrainingJobName": "a"}


# --- through the server, in AWS's words ---


@pytest.fixture
def ask(localaws):
    """Call an operation without botocore's own checks: the service's error, or None."""

    def call(service: str, operation: str, params: dict[str, Any]) -> dict[str, Any] | None:
        try:
            client(service)._make_api_call(operation, params)
        except ClientError as error:
            return {**error.response["Error"], "Status": error.response["ResponseMetadata"]["HTTPStatusCode"]}
        return None

    @functools.cache
    def client(service: str):
        config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        return boto3.session.Session().client(
            service,
            region_name="us-east-1",
            endpoint_url=localaws.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=config,
        )

    return call


def training_job(**changes: Any) -> dict[str, Any]:
    job = {
        "TrainingJobName": unique("job"),
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": "image:1", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **changes,
    }
    return {name: value for name, value in job.items() if value is not None}


NAME = "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
PATTERN = "Member must satisfy regular expression pattern: "
FAULTY = [
    (
        {"TrainingJobName": "my_job"},
        "1 validation error detected: Value 'my_job' at 'trainingJobName' failed to satisfy constraint: "
        f"{PATTERN}{NAME}",
    ),
    (
        {"TrainingJobName": "a" * 64},
        f"2 validation errors detected: Value '{'a' * 64}' at 'trainingJobName' failed to satisfy constraint: "
        f"Member must have length less than or equal to 63; Value '{'a' * 64}' at 'trainingJobName' failed to satisfy "
        f"constraint: {PATTERN}{NAME}",
    ),
    (
        {"TrainingJobName": None},
        "1 validation error detected: Value null at 'trainingJobName' failed to satisfy constraint: "
        "Member must not be null",
    ),
    (
        {"RoleArn": "admin-of-everything-here"},
        "1 validation error detected: Value 'admin-of-everything-here' at 'roleArn' failed to satisfy constraint: "
        + PATTERN
        + r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
    ),
    (
        {"StoppingCondition": {"MaxRuntimeInSeconds": 0}},
        "1 validation error detected: Value '0' at 'stoppingCondition.maxRuntimeInSeconds' failed to satisfy "
        "constraint: Member must have value greater than or equal to 1",
    ),
    (
        {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": -1, "VolumeSizeInGB": 5}},
        "1 validation error detected: Value '-1' at 'resourceConfig.instanceCount' failed to satisfy constraint: "
        "Member must have value greater than or equal to 0",
    ),
    (
        {"OutputDataConfig": {"S3OutputPath": "bucket/output"}},
        "1 validation error detected: Value 'bucket/output' at 'outputDataConfig.s3OutputPath' failed to satisfy "
        f"constraint: {PATTERN}(https|s3)://([^/]+)/?(.*)",
    ),
    (
        {"OutputDataConfig": {}},
        "1 validation error detected: Value null at 'outputDataConfig.s3OutputPath' failed to satisfy constraint: "
        "Member must not be null",
    ),
    (
        {"AlgorithmSpecification": {"TrainingImage": "image:1", "TrainingInputMode": "Stream"}},
        "1 validation error detected: Value 'Stream' at 'algorithmSpecification.trainingInputMode' failed to satisfy "
        "constraint: Member must satisfy enum value set: [Pipe, File, FastFile]",
    ),
    (
        {"InputDataConfig": [{"ChannelName": "train data", "DataSource": {}}]},
        "1 validation error detected: Value 'train data' at 'inputDataConfig.1.member.channelName' failed to satisfy "
        rf"constraint: {PATTERN}[A-Za-z0-9\.\-_]+",
    ),
    (
        {"InputDataConfig": [{"ChannelName": "a"}]},
        "1 validation error detected: Value null at 'inputDataConfig.1.member.dataSource' failed to satisfy "
        "constraint: Member must not be null",
    ),
    (
        {"HyperParameters": {"a": "x" * 2501}},
        f"1 validation error detected: Value '{{a={'x' * 2501}}}' at 'hyperParameters' failed to satisfy constraint: "
        "Map value must satisfy constraint: [Member must have length less than or equal to 2500, Member must have "
        f"length greater than or equal to 0, {PATTERN}.*]",
    ),
    (
        {"Environment": {"A B": "x"}},
        "1 validation error detected: Value '{A B=x}' at 'environment' failed to satisfy constraint: Map keys must "
        "satisfy constraint: [Member must have length less than or equal to 512, Member must have length greater "
        "than or equal to 0, "
        f"{PATTERN}[a-zA-Z_][a-zA-Z0-9_]*]",
    ),
    (
        {"Tags": [{"Key": "a"}]},
        "1 validation error detected: Value null at 'tags.1.member.value' failed to satisfy constraint: "
        "Member must not be null",
    ),
    (
        {"VpcConfig": {"SecurityGroupIds": ["sg 1"], "Subnets": ["subnet-1"]}},
        "1 validation error detected: Value '[sg 1]' at 'vpcConfig.securityGroupIds' failed to satisfy constraint: "
        f"Member must satisfy constraint: [Member must have length less than or equal to 32, Member must have length "
        f"greater than or equal to 0, {PATTERN}[-0-9a-zA-Z]+]",
    ),
    (
        {"EnableManagedSpotTraining": True, "StoppingCondition": {"MaxRuntimeInSeconds": 60}},
        "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds",
    ),
    (
        {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}},
        "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true",
    ),
]


@pytest.mark.parametrize(("changes", "message"), FAULTY, ids=lambda value: str(value)[:40])
def test_a_malformed_training_job_is_refused_in_sagemakers_words(changes: dict[str, Any], message: str, ask):
    error = ask("sagemaker", "CreateTrainingJob", training_job(**changes))
    assert error == {"Code": "ValidationException", "Message": message, "Status": 400}


FUNCTION = {"FunctionName": "a", "Role": ROLE, "Runtime": "python3.12", "Handler": "a.b", "Code": {"ZipFile": b"x"}}
ALIAS = {"FunctionName": "a", "Name": "live", "FunctionVersion": "1"}
SET = "less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
ALARM = {
    "AlarmName": "a",
    "ComparisonOperator": "GreaterThanThreshold",
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "MetricName": "a",
    "Namespace": "b",
    "Statistic": "Sum",
    "Period": 60,
}
PERMISSION = {
    "IpProtocol": "tcp",
    "FromPort": 1,
    "ToPort": 1,
    "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "it's"}],
}
TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/a/variant/v",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


def packed(size: int) -> bytes:
    """An archive that holds so many bytes of nothing."""
    buffer = io.BytesIO()
    archive = zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive, archive.open("zeros", "w") as file:
        for _ in range(0, size, 1 << 20):
            file.write(bytes(1 << 20))
    return buffer.getvalue()


IN_THEIR_WORDS = [
    (
        "ec2",
        "CreateSecurityGroup",
        {"GroupName": "a"},
        "MissingParameter",
        "The request must contain the parameter GroupDescription",
    ),
    (
        "ec2",
        "CreateSecurityGroup",
        {"GroupName": "a", "Description": "the server's group"},
        "InvalidParameterValue",
        f"Invalid security group description. Valid descriptions are strings {SET}",
    ),
    (
        "ec2",
        "StopInstances",
        {"InstanceIds": ["no-instance"]},
        "InvalidInstanceID.Malformed",
        'Invalid id: "no-instance"',
    ),
    (
        "ec2",
        "RunInstances",
        {"ImageId": "{var.ami_id}", "MinCount": 1, "MaxCount": 1},
        "InvalidAMIID.Malformed",
        'Invalid id: "{var.ami_id}" (expecting "ami-...")',
    ),
    (
        "ec2",
        "RunInstances",
        {"ImageId": "ami-0123456789abcdef0", "MinCount": 1, "MaxCount": 1},
        "InvalidAMIID.NotFound",
        "The image id '[ami-0123456789abcdef0]' does not exist",
    ),
    (
        "s3",
        "PutObject",
        {"Bucket": "a-bucket", "Key": "a", "GrantRead": "everybody"},
        "InvalidArgument",
        "Argument format not recognized",
    ),
    (
        "ec2",
        "CreateSecurityGroup",
        {"GroupName": "sg-a", "Description": "a"},
        "InvalidParameterValue",
        "Value (sg-a) for parameter GroupName is invalid. Group names may not be in the format sg-*.",
    ),
    *(
        (
            "ec2",
            f"AuthorizeSecurityGroup{way}",
            {"GroupId": "sg-0123456789abcdef0", "IpPermissions": [PERMISSION]},
            "InvalidParameterValue",
            f"Invalid rule description. Valid descriptions are strings {SET}",
        )
        for way in ("Ingress", "Egress")
    ),
    (
        "lambda",
        "CreateFunction",
        {**FUNCTION, "MemorySize": 64},
        "ValidationException",
        "1 validation error detected: Value '64' at 'memorySize' failed to satisfy constraint: Member must have value "
        "greater than or equal to 128",
    ),
    (
        "lambda",
        "CreateFunction",
        {**FUNCTION, "Architectures": ["arm"]},
        "ValidationException",
        "1 validation error detected: Value '[arm]' at 'architectures' failed to satisfy constraint: Member must "
        "satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
    ),
    (
        "lambda",
        "CreateFunction",
        {**FUNCTION, "Environment": {"Variables": {"AB": "x" * 4096}}},
        "InvalidParameterValueException",
        "Lambda was unable to configure your environment variables because the environment variables you have provided "
        f'exceeded the 4KB limit. String measured: {{"AB":"{"x" * 4096}"}}',
    ),
    (
        "lambda",
        "CreateFunction",
        {**FUNCTION, "Code": {"ZipFile": packed(262_144_000)}},
        "InvalidParameterValueException",
        "Unzipped size must be smaller than 262144000 bytes",
    ),
    (
        "lambda",
        "CreateFunction",
        {**FUNCTION, "Code": {"ZipFile": b"a" * 52_428_801}},
        "RequestEntityTooLargeException",
        "Zipped size must be smaller than 52428800 bytes",
    ),
    (
        "lambda",
        "CreateAlias",
        {**ALIAS, "RoutingConfig": {"AdditionalVersionWeights": {"2": 2}}},
        "ValidationException",
        "1 validation error detected: Value '{2=2.0}' at 'routingConfig.additionalVersionWeights' failed to satisfy "
        "constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must "
        "have value greater than or equal to 0.0, Member must not be null]",
    ),
    (
        "lambda",
        "CreateAlias",
        {**ALIAS, "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.5, "3": 0.2}}},
        "InvalidParameterValueException",
        "Number of items in AdditionalVersionWeights cannot be greater than 1",
    ),
    (
        "lambda",
        "CreateAlias",
        {**ALIAS, "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}},
        "InvalidParameterValueException",
        "Invalid function version 1. Function version 1 is already included in routing configuration.",
    ),
    (
        "logs",
        "GetLogEvents",
        {"logGroupName": "a", "logStreamName": "b", "limit": 10001},
        "InvalidParameterException",
        "1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value "
        "less than or equal to 10000",
    ),
    (
        "kms",
        "GenerateRandom",
        {"NumberOfBytes": 1025},
        "ValidationException",
        "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must have "
        "value less than or equal to 1024",
    ),
    (
        "kms",
        "Encrypt",
        {"KeyId": "a", "Plaintext": b"x" * 4097},
        "ValidationException",
        "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length less "
        "than or equal to 4096",
    ),
    (
        "sts",
        "AssumeRole",
        {"RoleArn": ROLE, "RoleSessionName": "Session1:2"},
        "ValidationError",
        "1 validation error detected: Value 'Session1:2' at 'roleSessionName' failed to satisfy constraint: "
        rf"{PATTERN}[\w+=,.@-]*",
    ),
    (
        "ecr",
        "CreateRepository",
        {"repositoryName": "Organization/repo"},
        "InvalidParameterException",
        "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression "
        r"'[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*''",
    ),
    (
        "ssm",
        "PutParameter",
        {"Name": "a"},
        "ValidationException",
        "1 validation error detected: Value null at 'value' failed to satisfy constraint: Member must not be null",
    ),
    (
        "cloudwatch",
        "PutMetricAlarm",
        {**ALARM, "Period": 45},
        "ValidationError",
        "Period must be 10, 20, 30 or a multiple of 60",
    ),
    (
        "application-autoscaling",
        "RegisterScalableTarget",
        {**TARGET, "MinCapacity": 3, "MaxCapacity": 2},
        "ValidationException",
        "Maximum capacity cannot be less than minimum capacity",
    ),
    (
        "s3",
        "DeleteObjects",
        {"Bucket": "bucket", "Delete": {"Objects": [{"VersionId": "1"}]}},
        "MalformedXML",
        refusals.NOT_WELL_FORMED,
    ),
]


@pytest.mark.parametrize(
    ("service", "operation", "params", "code", "message"),
    IN_THEIR_WORDS,
    ids=[f"{operation}-{message[:60]}" for _, operation, _, _, message in IN_THEIR_WORDS],
)
def test_a_refusal_has_the_services_words(service, operation, params, code, message, ask):
    error = ask(service, operation, params)
    assert (error["Code"], error["Message"]) == (code, message)


@pytest.mark.parametrize("protocol", ["json", "query", "smithy-rpc-v2-cbor"])
def test_cloudwatch_answers_in_the_protocol_that_was_spoken(protocol: str):
    params = {"AlarmName": "a", "StateValue": "INVALID", "StateReason": "b"}
    environ = environ_of("cloudwatch", "SetAlarmState", params, protocol)
    _, headers, body = refusals.refusal("cloudwatch", environ)
    words = b"1 validation error detected: Value 'INVALID' at 'stateValue' failed to satisfy constraint: "
    assert words in body
    code = {"query": b"<Code>ValidationError</Code>"}.get(protocol, b"ValidationException")
    assert code in body
    kinds = {"json": "application/x-amz-json-1.1", "query": "text/xml", "smithy-rpc-v2-cbor": "application/cbor"}
    assert headers["Content-Type"] == kinds[protocol]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1, "NUMBER_VALUE can not be converted to a String"),
        (True, "TRUE_VALUE can not be converted to a String"),
        ({}, "Start of structure or map found where not expected."),
        ([], "Start of list found where not expected"),
    ],
)
def test_a_value_of_another_type_is_not_read(value: Any, message: str):
    environ = environ_of("sagemaker", "DescribeTrainingJob", {"TrainingJobName": "a"}, "json")
    body = json.dumps({"TrainingJobName": value}).encode()
    environ["wsgi.input"] = io.BytesIO(body)
    status, _, answer = refusals.refusal("sagemaker", environ)
    assert (status, json.loads(answer)["__type"], json.loads(answer)["message"]) == (
        400,
        "SerializationException",
        message,
    )


def form(text: str) -> dict[str, Any]:
    environ = environ_of("ec2", "RunInstances", {"MinCount": 1, "MaxCount": 1}, "ec2")
    return {**environ, "wsgi.input": io.BytesIO(f"Action=RunInstances&MinCount=1&MaxCount=1&{text}".encode())}


@pytest.mark.parametrize(
    ("field", "named"),
    [("ImageType=a", "ImageType"), ("BlockDeviceMapping.1.VolumeType=gp3", "VolumeType"), ("item.1=a", "item")],
)
def test_ec2_refuses_a_parameter_that_it_does_not_know(field: str, named: str):
    refused = refusals.refusal("ec2", form(field))
    assert refused is not None
    assert f"<Code>UnknownParameter</Code><Message>The parameter {named} is not recognized</Message>" in (
        refused[2].decode()
    )
    assert refusals.refusal("ec2", form("BlockDeviceMapping.1.Ebs.VolumeType=gp3&Version=2016-11-15")) is None


def test_ec2_names_a_parameter_as_it_is_in_the_form():
    """Two members of one shape have two names: RunInstances has MinCount and Ipv6AddressCount, both Integer."""
    for field in ("Ipv6AddressCount=many", "MinCount=many"):
        refused = refusals.refusal("ec2", form(field))
        assert refused is not None
        assert f"Value (many) for parameter {field.partition('=')[0]} is invalid." in refused[2].decode()


def test_s3_refuses_an_element_that_its_schema_does_not_have():
    environ = environ_of("s3", "DeleteObjects", {"Bucket": "bucket", "Delete": {"Objects": [{"Key": "a"}]}}, "rest-xml")
    assert refusals.refusal("s3", environ) is None
    environ["wsgi.input"] = io.BytesIO(b"<Delete><Object><Key>a</Key><Tags/></Object></Delete>")
    refused = refusals.refusal("s3", environ)
    assert refused is not None
    assert b"<Code>MalformedXML</Code>" in refused[2]


def test_members_that_the_model_does_not_know_are_ignored():
    environ = environ_of("sagemaker", "DescribeTrainingJob", {"TrainingJobName": "a"}, "json")
    environ["wsgi.input"] = io.BytesIO(b'{"TrainingJobName": "a", "Unknown": [1]}')
    assert refusals.refusal("sagemaker", environ) is None
