"""How each service words that a request breaks its model, and under which code.

Sources: answers of AWS recorded in LocalStack's snapshots (8b9a79f0, tests/aws/services), called [LS] below, and issue
threads that quote AWS. SURPRISES.md names the words for which no source was found.
"""

from dataclasses import dataclass
from typing import Any

from localaws import errors, rules
from localaws.errors import protocol_of
from localaws.requests import ApiRequest, Unreadable, form_name, read
from localaws.validation import NULL, Breach, Member, breaches, compiled

NOT_WELL_FORMED = "The XML you provided was not well-formed or did not validate against our published schema"
# [LS] lambda: the one enum whose refusal has another code and other words.
RUNTIMES = ("CreateFunction", "UpdateFunctionConfiguration")


@dataclass(frozen=True)
class Refused:
    """An error of a service."""

    code: str
    message: str
    status: int = 400
    query_code: str = ""  # what a client in query mode gets, as CloudWatch's SDKs are


# The code for a request that breaks the model.
CODES = {
    "application-autoscaling": "ValidationException",
    "budgets": "InvalidParameterException",
    "cloudformation": "ValidationError",
    "cloudwatch": "ValidationException",  # [LS] with ValidationError in the query protocol and in query mode
    "ecr": "InvalidParameterException",  # jenkins-x/jx #1344
    "events": "ValidationException",
    "freetier": "ValidationException",
    "iam": "ValidationError",  # [LS]
    "kms": "ValidationException",  # [LS]
    "lambda": "ValidationException",  # [LS]
    "logs": "InvalidParameterException",  # [LS]
    "sagemaker": "ValidationException",  # aws/amazon-sagemaker-examples #2236
    "sagemaker-runtime": "ValidationError",  # aws/amazon-sagemaker-examples #293
    "service-quotas": "ValidationException",
    "sns": "ValidationError",
    "ssm": "ValidationException",  # ministryofjustice/cloud-platform-infrastructure #3906
    "sts": "ValidationError",  # [LS]
}
# [LS] logs: the newer half of the API has the usual code.
NEWER_LOGS = ("Delivery", "Integration", "LookupTable", "ScheduledQuery", "Transformer", "LogAnomalyDetector")


def refusal(service: str, environ: dict[str, Any]) -> errors.Answer | None:
    """The answer of a service that refuses a request by its model or by a documented rule; None if it does not."""
    protocol = protocol_of(service, environ)
    try:
        request = read(service, environ)
        member = None if request is None else compiled(request.operation)
        found = [] if request is None or member is None else list(breaches(member, request.params))
    except Unreadable as error:
        return _answer(service, protocol, _unreadable(service, protocol, error))
    except RecursionError:  # of shapes that contain themselves
        error = Unreadable("json", "The request is nested too deeply.")
        return _answer(service, protocol, _unreadable(service, protocol, error))
    environ["localaws.request"] = request  # for the gate after this one
    if request is None:
        return None
    if found:
        return _answer(service, protocol, words(request, found))
    broken = rules.broken(service, request.operation.name, request.params)
    return None if broken is None else _answer(service, protocol, Refused(*broken))


def _answer(service: str, protocol: str, refused: Refused) -> errors.Answer:
    code = refused.query_code if refused.query_code and protocol == "query" else refused.code
    status, headers, body = errors.answer(service, code, refused.message, refused.status, protocol)
    if refused.query_code and protocol != "query":
        headers["x-amzn-query-error"] = f"{refused.query_code};Sender"
    return status, headers, body


def words(request: ApiRequest, found: list[Breach]) -> Refused:
    """The refusal of a request with these breaches, of which there is at least one."""
    if request.service == "s3":
        return _by_s3(found[0])
    if request.service == "ec2":
        return _by_ec2(found[0])
    if request.service == "ecr":
        return _by_ecr(found[0])
    if request.service == "lambda" and request.operation.name in RUNTIMES:
        runtime = [each for each in found if each.path == ("Runtime",)]
        if found == runtime:
            constraint = runtime[0].constraint.words
            told = f"Value {runtime[0].value} at 'runtime' failed to satisfy constraint: {constraint} or be a valid ARN"
            return Refused("InvalidParameterValueException", told)
    code = CODES[request.service]
    if request.service == "logs" and any(each in request.operation.name for each in NEWER_LOGS):
        code = "ValidationException"
    # Quoted from SageMaker with the length first, from other services with the pattern first.
    if request.service != "sagemaker":
        found = sorted(found, key=lambda each: (found.index(_first_of(found, each)), each.constraint.kind != "pattern"))
    plural = "s" if len(found) > 1 else ""
    told = "; ".join(_sentence(request.service, each) for each in found)
    message = f"{len(found)} validation error{plural} detected: {told}"
    return Refused(code, message, query_code="ValidationError" if request.service == "cloudwatch" else "")


def _first_of(found: list[Breach], breach: Breach) -> Breach:
    return next(each for each in found if each.path == breach.path)


def _sentence(service: str, breach: Breach) -> str:
    constraint = breach.constraint.words
    # [LS] lambda: architectures and weights, but not the keys of weights.
    if service == "lambda" and breach.constraint.kind == "nested" and not constraint.startswith("Map keys"):
        constraint = f"{constraint[:-1]}, {NULL}]"
    if breach.value is None:
        value = " null"
    else:
        value = "" if _is_secret(breach.shape) else f" '{_as_java(breach.shape, breach.value)}'"
    return f"Value{value} at '{place(breach.path)}' failed to satisfy constraint: {constraint}"


def place(path: tuple[str, ...]) -> str:
    """The name that Amazon's servers have for a member: each part begins with a small letter."""
    return ".".join(name[:1].lower() + name[1:] for name in path)


def _is_secret(shape: Member) -> bool:
    """Whether a value is left out of messages. [LS] kms: "Value at 'plaintext' failed to satisfy constraint"."""
    return shape.sensitive or any(each is not None and each.sensitive for each in (shape.key, shape.element))


def _as_java(shape: Member, value: Any) -> str:
    """A value as Java's toString gives it. [LS] logs: [MetricTransformation(metricName=m, unit=null)]."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if shape.kind == "list" and shape.element is not None:
        return f"[{', '.join(_as_java(shape.element, each) for each in value)}]"
    if shape.kind == "map" and shape.element is not None:
        return "{" + ", ".join(f"{name}={_as_java(shape.element, each)}" for name, each in value.items()) + "}"
    if shape.members:
        parts = [
            f"{name[:1].lower()}{name[1:]}={_as_java(each, value.get(name))}" for name, each in shape.members.items()
        ]
        return f"{shape.shape.name}({', '.join(parts)})"
    return shape.number(value) if isinstance(value, int | float) else str(value)


def _by_ecr(breach: Breach) -> Refused:
    """jenkins-x/jx #1344: the first breach alone, as "Invalid parameter at 'repositoryName' failed …"."""
    text = breach.constraint.words.replace("Member must", "must")
    lead, pattern, expression = text.partition("regular expression pattern: ")
    if pattern:
        text = f"{lead}regular expression '{expression}'"
    told = f"Invalid parameter at '{place(breach.path)}' failed to satisfy constraint: '{text}'"
    return Refused("InvalidParameterException", told)


def _by_ec2(breach: Breach) -> Refused:
    """[LS] ec2: MissingParameter; Pheric in aws-sdk-go #3095 and others: InvalidParameterValue."""
    name = form_name(breach.shape.shape, breach.name, "ec2")
    if breach.constraint.kind == "required":
        return Refused("MissingParameter", f"The request must contain the parameter {name}")
    told = f"Value ({_as_java(breach.shape, breach.value)}) for parameter {name} is invalid."
    if breach.constraint.kind == "range":
        told += f" Expecting a value {breach.constraint.words.partition('have value ')[2]}."
    return Refused("InvalidParameterValue", told)


def _by_s3(breach: Breach) -> Refused:
    """S3's errors name no constraint: what is wrong in a body is bad XML, what is wrong elsewhere a bad argument."""
    if len(breach.path) > 1:
        return Refused("MalformedXML", NOT_WELL_FORMED)
    if breach.constraint.kind == "required":
        if "location" not in breach.shape.shape.serialization:
            return Refused("MissingRequestBodyError", "Request Body is empty")
        place = breach.shape.shape.serialization
        if place["location"] == "querystring":
            return Refused("InvalidRequest", f"Missing required parameter for this request: '{place['name']}'")
        return Refused("InvalidRequest", f"Missing required header for this request: {breach.name}")
    if breach.name == "StorageClass":
        return Refused("InvalidStorageClass", "The storage class you specified is not valid")
    return Refused("InvalidArgument", f"Invalid value for {breach.shape.shape.serialization.get('name', breach.name)}")


def _unreadable(service: str, protocol: str, error: Unreadable) -> Refused:
    told = str(error)
    if service == "s3":
        if error.kind == "xml":
            return Refused("MalformedXML", NOT_WELL_FORMED)
        if error.name == "max-keys":
            told = "Provided max-keys not an integer or within integer range"
        return Refused("InvalidArgument", told)
    if protocol == "ec2":
        return Refused("UnknownParameter" if error.kind == "unknown" else "InvalidParameterValue", told)
    if protocol == "query":
        return Refused("MalformedInput", told)
    if service == "lambda" and error.kind == "json":
        return Refused("InvalidRequestContentException", f"Could not parse request body into json: {told}")
    return Refused("SerializationException", told)
