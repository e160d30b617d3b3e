"""Rules that AWS documents or enforces, and that its service models do not state: a table for each service.

A rule is a function of the request's parameters alone. A rule that depends on what exists is in its service's module.
[LS] is an answer of AWS that is recorded in LocalStack's snapshots.
`NOT_QUOTED` marks words for which no quotation of AWS was found.
"""

import base64
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

NOT_QUOTED = "not quoted anywhere: the rule is documented, the words are ours"

Params = dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """`check` gives the error's message for parameters that break the rule, else None."""

    operations: tuple[str, ...]
    code: str
    check: Callable[[Params], str | None]
    source: str
    status: int = 400


def broken(service: str, operation: str, params: Params) -> tuple[str, str, int, str] | None:
    """Code, message, status and query code for the first rule that a request breaks."""
    for rule in RULES.get(service, {}).get(operation, ()):
        if message := rule.check(params):
            return rule.code, message, rule.status, "ValidationError" if service == "cloudwatch" else ""
    return None


# --- EC2 ---

EC2_TEXT = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")
EC2_SET = "less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
RANGES = ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")


def _group_description(params: Params) -> str | None:
    text = params.get("Description") or ""
    return (
        None
        if EC2_TEXT.fullmatch(text)
        else f"Invalid security group description. Valid descriptions are strings {EC2_SET}"
    )


def _group_name(params: Params) -> str | None:
    name = params.get("GroupName") or ""
    if name.lower().startswith("sg-"):
        return f"Value ({name}) for parameter GroupName is invalid. Group names may not be in the format sg-*."
    return (
        None
        if EC2_TEXT.fullmatch(name)
        else f"Invalid security group name. Valid names are non-empty strings {EC2_SET}"
    )


def _rule_descriptions(params: Params) -> str | None:
    if all(EC2_TEXT.fullmatch(text) for text in _descriptions(params)):
        return None
    return f"Invalid rule description. Valid descriptions are strings {EC2_SET}"


def _descriptions(params: Params) -> Iterator[str]:
    for permission in params.get("IpPermissions") or []:
        for kind in RANGES:
            yield from ((each or {}).get("Description") or "" for each in permission.get(kind) or [])
    for named in ("SecurityGroupRuleDescriptions", "SecurityGroupRules"):
        for each in params.get(named) or []:
            yield (each.get("SecurityGroupRule") or each).get("Description") or ""


INSTANCE_ID, IMAGE_ID = re.compile(r"i-([0-9a-f]{8}|[0-9a-f]{17})"), re.compile(r"(ami-|resolve:ssm:).+")


def _instance_ids(params: Params) -> str | None:
    given = [*(params.get("InstanceIds") or []), *filter(None, [params.get("InstanceId")])]
    wrong = next((each for each in given if not INSTANCE_ID.fullmatch(each)), None)
    return None if wrong is None else f'Invalid id: "{wrong}"'


def _image_id(params: Params) -> str | None:
    given = params.get("ImageId") or "ami-"
    return None if given == "ami-" or IMAGE_ID.fullmatch(given) else f'Invalid id: "{given}" (expecting "ami-...")'


EC2 = (
    Rule(
        (
            "DescribeInstances",
            "DescribeInstanceStatus",
            "StartInstances",
            "StopInstances",
            "RebootInstances",
            "TerminateInstances",
            "GetConsoleOutput",
        ),
        "InvalidInstanceID.Malformed",
        _instance_ids,
        "oliverlloyd/jmeter-ec2 #36",
    ),
    Rule(("RunInstances",), "InvalidAMIID.Malformed", _image_id, "hashicorp/terraform #22172"),
    Rule(
        ("CreateSecurityGroup",),
        "InvalidParameterValue",
        _group_description,
        "AWS's message in terraform runs; the set also in botocore's model of CreateSecurityGroup",
    ),
    Rule(
        ("CreateSecurityGroup",),
        "InvalidParameterValue",
        _group_name,
        "AWS's message for sg-* in deployment logs; that for the set as Eucalyptus, which follows EC2, has it",
    ),
    Rule(
        (
            "AuthorizeSecurityGroupIngress",
            "AuthorizeSecurityGroupEgress",
            "UpdateSecurityGroupRuleDescriptionsIngress",
            "UpdateSecurityGroupRuleDescriptionsEgress",
            "ModifySecurityGroupRules",
        ),
        "InvalidParameterValue",
        _rule_descriptions,
        "AWS's message as many runs of terraform and of the CLI show it; cfn-lint #173",
    ),
)

# --- S3 ---

GRANT = re.compile(r'\s*(id|uri|emailAddress)\s*=\s*("[^"]*"|[^"]*)\s*', re.IGNORECASE)


def _grants(params: Params) -> str | None:
    given = [value for name, value in params.items() if name.startswith("Grant") and isinstance(value, str)]
    formed = all(GRANT.fullmatch(each) for value in given for each in value.split(","))
    return None if formed else "Argument format not recognized"


S3 = (
    Rule(
        ("CreateBucket", "PutBucketAcl", "PutObject", "PutObjectAcl", "CopyObject", "CreateMultipartUpload"),
        "InvalidArgument",
        _grants,
        f"API reference of PutObject: each grantee is a type and a value. {NOT_QUOTED}",
    ),
)

# --- SageMaker ---


def _spot(params: Params) -> str | None:
    limits = params.get("StoppingCondition") or {}
    wait, run = limits.get("MaxWaitTimeInSeconds"), limits.get("MaxRuntimeInSeconds")
    if not params.get("EnableManagedSpotTraining"):
        if wait is None:
            return None
        return "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true"
    if wait is None or wait < (run or 0):
        return "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
    return None


def _spot_trials(params: Params) -> str | None:
    definitions = [params.get("TrainingJobDefinition"), *(params.get("TrainingJobDefinitions") or [])]
    return next((told for each in definitions if each and (told := _spot(each))), None)


def _variants(params: Params) -> str | None:
    names = [each.get("VariantName") for each in params.get("ProductionVariants") or []]
    twice = next((name for name in names if names.count(name) > 1), None)
    return None if twice is None else f"Duplicate production variant name: {twice}. Names of variants must be unique."


def _channels(params: Params) -> str | None:
    names = [each.get("ChannelName") for each in params.get("InputDataConfig") or []]
    twice = next((name for name in names if names.count(name) > 1), None)
    return None if twice is None else f"Duplicate channel name: {twice}. Names of channels must be unique."


SAGEMAKER = (
    Rule(
        ("CreateTrainingJob",),
        "ValidationException",
        _spot,
        "Kenza-AI/sagify #111 quotes the first message; the second is of the same form, and the rule is that of "
        "StoppingCondition.MaxWaitTimeInSeconds in botocore's model",
    ),
    Rule(
        ("CreateHyperParameterTuningJob",),
        "ValidationException",
        _spot_trials,
        "aws/amazon-sagemaker-examples #869",
    ),
    Rule(
        ("CreateEndpointConfig",),
        "ValidationException",
        _variants,
        f"mlflow/mlflow #6486: SageMaker refuses a name that is used twice. {NOT_QUOTED}",
    ),
    Rule(("CreateTrainingJob",), "ValidationException", _channels, f"botocore: channels are named. {NOT_QUOTED}"),
)

# --- Lambda ---

ZIP_BYTES, UNZIPPED_BYTES = 52_428_800, 262_144_000
ENVIRONMENT_BYTES = 4096
NAME_LENGTH = 64


def _package(params: Params) -> str | None:
    content = (params.get("Code") or params).get("ZipFile") or ""
    if len(content) * 3 // 4 - content[-2:].count("=") <= ZIP_BYTES:
        return None
    return f"Zipped size must be smaller than {ZIP_BYTES} bytes"


def _unpacked(params: Params) -> str | None:
    content = (params.get("Code") or params).get("ZipFile") or ""
    try:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(content))) as archive:
            size = sum(each.file_size for each in archive.infolist())
    except (ValueError, zipfile.BadZipFile):
        return None  # refused by Lambda itself
    return f"Unzipped size must be smaller than {UNZIPPED_BYTES} bytes" if size >= UNZIPPED_BYTES else None


def _environment(params: Params) -> str | None:
    variables = (params.get("Environment") or {}).get("Variables") or {}
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) <= ENVIRONMENT_BYTES:
        return None
    return (
        "Lambda was unable to configure your environment variables because the environment variables you have provided "
        f"exceeded the 4KB limit. String measured: {measured}"
    )


def _function_name(params: Params) -> str | None:
    given = params.get("FunctionName") or ""
    name = given.rpartition("function:")[2].split(":")[0]
    if len(name) <= NAME_LENGTH:
        return None
    return (
        f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: "
        f"Member must have length less than or equal to {NAME_LENGTH}"
    )


def _weights(params: Params) -> str | None:
    weights = (params.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    if len(weights) > 1:
        return "Number of items in AdditionalVersionWeights cannot be greater than 1"
    version = params.get("FunctionVersion")
    if version not in weights:
        return None
    return (
        f"Invalid function version {version}. Function version {version} is already included in routing configuration."
    )


LAMBDA = (
    Rule(
        ("CreateAlias", "UpdateAlias"),
        "InvalidParameterValueException",
        _weights,
        "[LS] test_notfound_and_invalid_routingconfigs::routing_config_exc_toomany, routing_config_exc_sameversion",
    ),
    Rule(
        ("CreateFunction",),
        "InvalidParameterValueException",
        _function_name,
        "[LS] the message; the code is that of the other checks of names after the model's",
    ),
    Rule(
        ("CreateFunction", "UpdateFunctionCode"),
        "RequestEntityTooLargeException",
        _package,
        "[LS] lambda: Zipped size must be smaller than 52428800 bytes",
        status=413,
    ),
    Rule(
        ("CreateFunction", "UpdateFunctionCode"),
        "InvalidParameterValueException",
        _unpacked,
        "[LS] lambda: Unzipped size must be smaller than 262144000 bytes. An archive in S3 is not looked into",
    ),
    Rule(
        ("CreateFunction", "UpdateFunctionConfiguration"),
        "InvalidParameterValueException",
        _environment,
        "[LS] test_large_environment_variables_fails",
    ),
)

# --- Application Auto Scaling ---


def _limits(params: Params) -> str | None:
    least, most = params.get("MinCapacity"), params.get("MaxCapacity")
    if least is not None and least < 0:
        return "Minimum capacity must be greater than or equal to 0"
    if most is not None and most < 0:
        return "Maximum capacity must be greater than or equal to 0"
    if least is not None and most is not None and most < least:
        return "Maximum capacity cannot be less than minimum capacity"
    return None


def _instances(params: Params) -> str | None:
    if params.get("ScalableDimension") != "sagemaker:variant:DesiredInstanceCount":
        return None
    for name, limit in (("Minimum", "MinCapacity"), ("Maximum", "MaxCapacity")):
        if params.get(limit) == 0:
            return (
                f"{name} capacity must be greater than or equal to 1 for {params.get('ResourceId')}: only an endpoint "
                "with inference components scales to zero instances"
            )
    return None


AUTOSCALING = (
    Rule(
        ("RegisterScalableTarget",),
        "ValidationException",
        _limits,
        f"API reference of RegisterScalableTarget. {NOT_QUOTED}",
    ),
    Rule(
        ("RegisterScalableTarget",),
        "ValidationException",
        _instances,
        f"SageMaker guide, endpoint-auto-scaling-add-policy and -zero-instances. {NOT_QUOTED}",
    ),
)

# --- CloudWatch ---

DAY, WEEK, HOUR = 86_400, 604_800, 3600


def _period(params: Params) -> str | None:
    periods = [params.get("Period")]
    periods += [(each.get("MetricStat") or {}).get("Period") for each in params.get("Metrics") or []]
    for period in periods:
        if period is not None and period not in (10, 20, 30) and (period % 60 or not period):
            return "Period must be 10, 20, 30 or a multiple of 60"
    return None


def _looks_back(params: Params) -> str | None:
    period, number = params.get("Period"), params.get("EvaluationPeriods")
    if not period or not number:
        return None
    if period < HOUR and period * number > DAY:
        return (
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400) "
            "for alarms using period < 3600"
        )
    if period * number > WEEK:
        return "Metrics cannot be checked across more than a week (EvaluationPeriods * Period must be <= 604800)"
    return None


def _datapoints(params: Params) -> str | None:
    needed, number = params.get("DatapointsToAlarm"), params.get("EvaluationPeriods")
    if needed and number and needed > number:
        return "DatapointsToAlarm must be less than or equal to EvaluationPeriods"
    return None


CLOUDWATCH = (
    Rule(
        ("PutMetricAlarm",), "ValidationException", _period, "AWS's message, as templates that were refused record it"
    ),
    Rule(
        ("PutMetricAlarm",),
        "ValidationException",
        _looks_back,
        "API reference of PutMetricAlarm; AWS's first message as deployments record it, the second of the same form",
    ),
    Rule(("PutMetricAlarm",), "ValidationException", _datapoints, "hashicorp/terraform #24070"),
)


def _by_operation(rules: tuple[Rule, ...]) -> dict[str, list[Rule]]:
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        for operation in rule.operations:
            found.setdefault(operation, []).append(rule)
    return found


RULES: dict[str, dict[str, list[Rule]]] = {
    "application-autoscaling": _by_operation(AUTOSCALING),
    "cloudwatch": _by_operation(CLOUDWATCH),
    "ec2": _by_operation(EC2),
    "lambda": _by_operation(LAMBDA),
    "s3": _by_operation(S3),
    "sagemaker": _by_operation(SAGEMAKER),
}
