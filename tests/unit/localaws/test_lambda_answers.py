"""What Lambda's API answers, as AWS answers it: codes, statuses, members of errors, names, revisions, pages.

The rows are answers of AWS that LocalStack has recorded (8b9a79f0, tests/aws/services/lambda_/*.snapshot.json). The
comment above a group names the recording.
"""

import contextlib
import io
import urllib.request
import zipfile
from collections.abc import Iterator
from urllib.error import HTTPError

import pytest
from botocore.exceptions import ClientError

NAME = "answers"
PREFIX = "arn:aws:lambda:us-east-1:123456789012:function"
MISMATCH = "The derived qualifier from the function name does not match the specified qualifier."
NO_FUNCTION, NO_ALIAS = "Function not found: " + PREFIX, "Cannot find alias arn: " + PREFIX
NO_URL, NO_CONFIG = "Function does not exist", "The function doesn't exist."
GONE = "The resource you requested does not exist."
GRANT = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
RETRIES = {"MaximumRetryAttempts": 1}
ONE = {"ProvisionedConcurrentExecutions": 1}
LATEST = {"Qualifier": "$LATEST"}
PRECONDITION = "PreconditionFailedException"
INVALID, MISSING = "InvalidParameterValueException", "ResourceNotFoundException"


class Functions:
    """A function with the version 1 and the alias `live`, and calls of the API."""

    def __init__(self, server):
        self.client = server.client("lambda")
        iam = server.client("iam")
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName="lambda", AssumeRolePolicyDocument="{}")
        self.code = package("def handler(event, context): return 1")
        self.made = self.create(NAME, Publish=True)
        self.client.create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")

    def create(self, name: str, **more) -> dict:
        role, code = "arn:aws:iam::123456789012:role/lambda", {"ZipFile": self.code}
        settings = {"Runtime": "python3.13", "Role": role, "Handler": "app.handler", "Code": code}
        return self.client.create_function(FunctionName=name, **settings, **more)

    def ask(self, operation: str, **arguments) -> dict:
        return getattr(self.client, operation)(**{"FunctionName": NAME, **arguments})

    def error(self, operation: str, **arguments) -> dict:
        """The error that a call must end with, as the client has it."""
        with pytest.raises(ClientError) as caught:
            self.ask(operation, **arguments)
        return caught.value.response


def package(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", code)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def functions(localaws) -> Iterator[Functions]:
    made = Functions(localaws)
    yield made
    made.client.delete_function(FunctionName=NAME)


REFUSALS = [
    # test_ops_with_arn_qualifier_mismatch, test_get_function_wrong_region, test_ops_on_nonexisting_*
    ("get_function", {"FunctionName": f"{NAME}:$LATEST", "Qualifier": "1"}, 400, INVALID, MISMATCH),
    ("get_function_configuration", {"FunctionName": f"{NAME}:live", "Qualifier": "1"}, 400, INVALID, MISMATCH),
    (
        "get_function",
        {"FunctionName": PREFIX.replace("us-east-1", "eu-west-1") + ":f"},
        404,
        MISSING,
        "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
    ),
    ("get_function", {"Qualifier": "1221"}, 404, MISSING, f"{NO_FUNCTION}:{NAME}:1221"),
    ("get_function", {"FunctionName": "nothing:$LATEST"}, 404, MISSING, f"{NO_FUNCTION}:nothing:$LATEST"),
    ("get_function_concurrency", {"FunctionName": "nothing"}, 404, MISSING, f"{NO_FUNCTION}:nothing"),
    ("get_function_code_signing_config", {"FunctionName": "nothing"}, 404, MISSING, f"{NO_FUNCTION}:nothing"),
    ("list_versions_by_function", {"FunctionName": "nothing"}, 404, MISSING, f"{NO_FUNCTION}:nothing"),
    ("invoke", {"FunctionName": "nothing"}, 404, MISSING, f"{NO_FUNCTION}:nothing:$LATEST"),
    ("delete_function", LATEST, 400, INVALID, "$LATEST version cannot be deleted without deleting the function."),
    ("delete_function", {"Qualifier": "live"}, 400, INVALID, "Deletion of aliases is not currently supported."),
    ("delete_function", {"FunctionName": "nothing", "Qualifier": "1"}, 404, MISSING, f"{NO_FUNCTION}:nothing"),
    # test_publish_with_wrong_*, test_function_revisions_*
    ("publish_version", {"RevisionId": "x"}, 412, PRECONDITION, "Call the GetFunction/GetAlias API"),
    ("publish_version", {"CodeSha256": "x"}, 400, INVALID, "CodeSHA256 (x) is different from current CodeSHA256"),
    ("update_function_configuration", {"RevisionId": "x"}, 412, PRECONDITION, "GetFunction/GetAlias"),
    (
        "update_function_code",
        {"ZipFile": b"x", "RevisionId": "x"},
        412,
        PRECONDITION,
        "GetFunction/GetAlias",
    ),
    ("update_alias", {"Name": "live", "RevisionId": "x"}, 412, PRECONDITION, "GetFunction/GetAlias"),
    ("add_permission", {**GRANT, "RevisionId": "x"}, 412, PRECONDITION, "Call the GetPolicy API"),
    # test_notfound_and_invalid_routingconfigs, test_non_existent_alias_update, test_alias_lifecycle
    ("create_alias", {"Name": "live", "FunctionVersion": "1"}, 409, "ResourceConflictException", "already exists"),
    ("create_alias", {"Name": "b", "FunctionVersion": "10"}, 404, MISSING, f"{NO_FUNCTION}:{NAME}:10"),
    (
        "create_alias",
        {"Name": "b", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"10": 0.5}}},
        404,
        MISSING,
        f"{NO_FUNCTION}:{NAME}:10",
    ),
    (
        "create_alias",
        {"Name": "b", "FunctionVersion": "$LATEST", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}},
        400,
        INVALID,
        "$LATEST is not supported for an alias pointing to more than 1 version",
    ),
    ("update_alias", {"Name": "nothing"}, 404, MISSING, f"Alias not found: {PREFIX}:{NAME}:nothing"),
    ("get_alias", {"Name": "nothing"}, 404, MISSING, f"{NO_ALIAS}:{NAME}:nothing"),
    ("get_function", {"FunctionName": f"{NAME}:nothing"}, 404, MISSING, f"{NO_FUNCTION}:{NAME}:nothing"),
    # test_permission_exceptions
    ("add_permission", {**GRANT, **LATEST}, 400, INVALID, "We currently do not support adding policies for $LATEST."),
    ("add_permission", {**GRANT, "Principal": "no.example"}, 400, INVALID, "The provided principal was invalid."),
    ("add_permission", {**GRANT, "Qualifier": "nothing"}, 404, MISSING, f"{NO_ALIAS}:{NAME}:nothing"),
    ("add_permission", {**GRANT, "Qualifier": "42"}, 404, MISSING, f"{NO_FUNCTION}:{NAME}:42"),
    ("add_permission", {**GRANT, "Qualifier": "a-$-b"}, 404, MISSING, f"{NO_FUNCTION}:{NAME}:a-$-b"),
    ("get_policy", {"FunctionName": "nothing"}, 404, MISSING, GONE),
    ("get_policy", {"Qualifier": "1"}, 404, MISSING, GONE),
    ("remove_permission", {"StatementId": "s"}, 404, MISSING, "No policy is associated with the given resource."),
    (
        "remove_permission",
        {"FunctionName": "nothing", "StatementId": "s"},
        404,
        MISSING,
        f"No policy found for: {PREFIX}:nothing",
    ),
    # test_url_config_exceptions, test_url_config_list_paging
    ("create_function_url_config", {"FunctionName": "nothing", "AuthType": "NONE"}, 404, MISSING, NO_URL),
    ("create_function_url_config", {"Qualifier": "v1", "AuthType": "NONE"}, 404, MISSING, NO_URL),
    ("get_function_url_config", {"FunctionName": "nothing"}, 404, MISSING, GONE),
    ("get_function_url_config", {"Qualifier": "1"}, 400, "ValidationException", "at 'qualifier' failed to satisfy"),
    ("update_function_url_config", {"FunctionName": "nothing"}, 404, MISSING, NO_URL),
    ("update_function_url_config", {}, 404, MISSING, GONE),
    ("delete_function_url_config", {}, 404, MISSING, GONE),
    ("list_function_url_configs", {"FunctionName": "nothing"}, 404, MISSING, NO_URL),
    # test_provisioned_concurrency_exceptions
    (
        "get_provisioned_concurrency_config",
        {"Qualifier": "1"},
        404,
        "ProvisionedConcurrencyConfigNotFoundException",
        "No Provisioned Concurrency Config found for this function",
    ),
    ("get_provisioned_concurrency_config", {"Qualifier": "nothing"}, 404, MISSING, f"{NO_ALIAS}:{NAME}:nothing"),
    ("get_provisioned_concurrency_config", LATEST, 400, INVALID, "must be an alias or a published version."),
    ("put_provisioned_concurrency_config", {**ONE, **LATEST}, 400, INVALID, "unpublished function versions."),
    ("delete_provisioned_concurrency_config", {"Qualifier": "10"}, 404, MISSING, f"{NO_FUNCTION}:{NAME}:10"),
    ("list_provisioned_concurrency_configs", {"FunctionName": "nothing"}, 404, MISSING, f"{NO_FUNCTION}:nothing"),
    # test_provisioned_concurrency_limits, test_function_concurrency_*
    (
        "put_provisioned_concurrency_config",
        {"ProvisionedConcurrentExecutions": 1001, "Qualifier": "1"},
        400,
        INVALID,
        "is greater than account's unreserved concurrency [1000].",
    ),
    (
        "put_provisioned_concurrency_config",
        {"ProvisionedConcurrentExecutions": 901, "Qualifier": "1"},
        400,
        INVALID,
        "UnreservedConcurrentExecution below its minimum value of [100].",
    ),
    (
        "put_function_concurrency",
        {"FunctionName": f"{PREFIX}:{NAME}:live", "ReservedConcurrentExecutions": 1},
        400,
        INVALID,
        "This operation is permitted on Lambda functions only.",
    ),
    (
        "put_function_concurrency",
        {"FunctionName": "nothing", "ReservedConcurrentExecutions": 1},
        404,
        MISSING,
        f"{NO_FUNCTION}:nothing:$LATEST",
    ),
    # test_lambda_eventinvokeconfig_exceptions
    ("put_function_event_invoke_config", {"FunctionName": "nothing", **RETRIES}, 404, MISSING, NO_CONFIG),
    ("put_function_event_invoke_config", {"Qualifier": "nothing", **RETRIES}, 404, MISSING, NO_CONFIG),
    ("put_function_event_invoke_config", {}, 400, INVALID, "You must specify at least one of error handling or"),
    (
        "put_function_event_invoke_config",
        {"DestinationConfig": {"OnSuccess": {"Destination": f"{PREFIX}:{NAME}"}}},
        400,
        INVALID,
        "You can't specify the function as a destination for itself.",
    ),
    (
        "get_function_event_invoke_config",
        {"FunctionName": "nothing"},
        404,
        MISSING,
        f"The function {PREFIX}:nothing:$LATEST doesn't have an EventInvokeConfig",
    ),
    ("list_function_event_invoke_configs", {"FunctionName": "nothing"}, 404, MISSING, NO_CONFIG),
]


@pytest.mark.parametrize(
    ("operation", "arguments", "status", "code", "message"),
    REFUSALS,
    ids=[f"{number}-{row[0]}" for number, row in enumerate(REFUSALS)],
)
def test_a_refusal_is_as_aws_words_it(functions, operation, arguments, status, code, message):
    error = functions.error(operation, **arguments)
    assert (error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"]) == (status, code)
    assert message in error["Error"]["Message"]
    untyped = code == "ValidationException" or "$LATEST is not" in message or "nreserved" in message
    assert error.get("Type") == (None if untyped else "User")
    assert ("Message" in error) == (code == MISSING), "only this error of the model has it in capitals"


@pytest.mark.parametrize(
    ("named", "arn", "version"),
    [
        (NAME, "", "$LATEST"),
        (f"{PREFIX}:{NAME}", "", "$LATEST"),
        (f"123456789012:function:{NAME}", "", "$LATEST"),
        (f"function:{NAME}", "", "$LATEST"),
        (f"{NAME}:$LATEST", ":$LATEST", "$LATEST"),
        (f"{NAME}:1", ":1", "1"),
        (f"{PREFIX}:{NAME}:live", ":live", "1"),
    ],
)
def test_a_function_has_many_names_and_answers_with_the_qualifier_that_was_used(functions, named, arn, version):
    configuration = functions.ask("get_function_configuration", FunctionName=named)
    assert (configuration["FunctionArn"], configuration["Version"]) == (f"{PREFIX}:{NAME}{arn}", version)
    assert functions.ask("get_function", FunctionName=named)["Configuration"]["FunctionArn"] == f"{PREFIX}:{NAME}{arn}"
    assert functions.ask("invoke", FunctionName=named)["ExecutedVersion"] == version


def test_a_function_is_pending_when_it_is_made_and_then_active(functions):
    made = functions.made
    assert (made["State"], made["StateReasonCode"], made["Version"]) == ("Pending", "Creating", "1")
    assert made["FunctionArn"] == f"{PREFIX}:{NAME}"
    assert "LastUpdateStatus" not in made
    found = functions.ask("get_function_configuration")
    assert (found["State"], found["LastUpdateStatus"]) == ("Active", "Successful")
    assert found["RevisionId"] != made["RevisionId"]


def test_an_update_is_in_progress_and_each_change_has_its_revision(functions):
    before = functions.ask("get_function_configuration")["RevisionId"]
    answer = functions.ask("update_function_configuration", Description="other", RevisionId=before)
    assert (answer["State"], answer["LastUpdateStatus"]) == ("Active", "InProgress")
    after = functions.ask("get_function_configuration")
    assert after["LastUpdateStatus"] == "Successful"
    assert len({before, answer["RevisionId"], after["RevisionId"]}) == 3
    dry = functions.ask("update_function_code", ZipFile=package("other = 1"), DryRun=True)
    assert dry["CodeSha256"] != after["CodeSha256"]
    assert functions.ask("get_function_configuration")["CodeSha256"] == after["CodeSha256"]
    alias = functions.ask("get_alias", Name="live")
    changed = functions.ask("update_alias", Name="live", Description="d", RevisionId=alias["RevisionId"])
    assert changed["RevisionId"] != alias["RevisionId"]
    functions.ask("add_permission", **GRANT)
    assert functions.ask("get_policy")["RevisionId"] == functions.ask("get_function_configuration")["RevisionId"]
    functions.ask("remove_permission", StatementId="s")


def test_listings_come_in_pages_and_keep_to_their_filters(functions):
    for name in ("a", "b", "c"):
        functions.ask("create_alias", Name=name, FunctionVersion="$LATEST")
    first = functions.ask("list_aliases", MaxItems=2)
    second = functions.ask("list_aliases", MaxItems=2, Marker=first["NextMarker"])
    assert [each["Name"] for each in first["Aliases"] + second["Aliases"]] == ["a", "b", "c", "live"]
    assert "NextMarker" not in second
    assert [each["Name"] for each in functions.ask("list_aliases", FunctionVersion="1")["Aliases"]] == ["live"]
    assert functions.error("list_aliases", Marker="x")["Error"]["Code"] == INVALID
    for name in ("a", "b", "c"):
        functions.ask("delete_alias", Name=name)
    pages = functions.client.get_paginator("list_functions").paginate(
        FunctionVersion="ALL", PaginationConfig={"PageSize": 1}
    )
    listed = [each for page in pages for each in page["Functions"] if each["FunctionName"] == NAME]
    assert [each["FunctionArn"] for each in listed] == [f"{PREFIX}:{NAME}:$LATEST", f"{PREFIX}:{NAME}:1"]
    assert not {"State", "LastUpdateStatus"} & listed[0].keys()


def test_a_configuration_for_events_belongs_to_a_qualifier(functions):
    put = functions.ask("put_function_event_invoke_config", **RETRIES)
    assert put["FunctionArn"] == f"{PREFIX}:{NAME}:$LATEST"
    assert put["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {}}
    functions.ask("put_function_event_invoke_config", Qualifier="live", **RETRIES)
    updated = functions.ask("update_function_event_invoke_config", MaximumEventAgeInSeconds=60)
    assert (updated["MaximumRetryAttempts"], updated["MaximumEventAgeInSeconds"]) == (1, 60)
    listed = functions.ask("list_function_event_invoke_configs")["FunctionEventInvokeConfigs"]
    assert [each["FunctionArn"].rpartition(":")[2] for each in listed] == ["$LATEST", "live"]
    for qualifier in ("$LATEST", "live"):
        functions.ask("delete_function_event_invoke_config", Qualifier=qualifier)


def test_tags_belong_to_functions(functions):
    arn = f"{PREFIX}:{NAME}"
    client = functions.client
    assert client.tag_resource(Resource=arn, Tags={"a": "b"})["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert client.untag_resource(Resource=arn, TagKeys=["a"])["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert client.list_tags(Resource=arn)["Tags"] == {}
    for resource, tags, words in (
        (f"{arn}:live", {"a": "b"}, "Tags on function aliases and versions are not supported."),
        (arn, {str(number): "" for number in range(51)}, "Number of tags exceeds resource tag limit."),
    ):
        with pytest.raises(client.exceptions.InvalidParameterValueException, match=words):
            client.tag_resource(Resource=resource, Tags=tags)


def test_the_address_of_the_code_is_good_for_itself_alone(functions):
    address = functions.ask("get_function")["Code"]["Location"]
    with urllib.request.urlopen(address) as answer:  # noqa: S310 an address of this server
        assert answer.read() == functions.code
    with pytest.raises(HTTPError, match="403"):
        urllib.request.urlopen(address.replace("Expires=", "Expires=9"))  # noqa: S310


def test_a_function_made_by_its_arn_has_its_name(functions):
    made = functions.create(f"{PREFIX}:by-arn")
    assert made["FunctionName"] == "by-arn"
    assert functions.ask("delete_function", FunctionName="by-arn")["ResponseMetadata"]["HTTPStatusCode"] == 204
