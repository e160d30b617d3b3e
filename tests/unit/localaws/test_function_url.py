"""Function URLs as HTTP clients meet them."""

import base64
import http.client
import io
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from deploy.deployment import Deployment
from deploy.environment import Environment
from deploy.function import Signer, curl_line
from deploy.signing_proxy import SigningProxy
from localaws.services.lambda_.function_url import FORBIDDEN

CODE = """
import base64, json
def handler(event, context):
    if event["rawPath"] == "/raise":
        raise ValueError("no")
    if event["rawPath"] == "/image":
        body = base64.b64encode(bytes(range(256))).decode()
        return {"statusCode": 200, "headers": {"Content-Type": "image/png"}, "body": body, "isBase64Encoded": True}
    if event["rawPath"] == "/plain":
        return {"breed": "beagle"}
    if event["rawPath"] == "/odd":
        return {"statusCode": 200, "body": {"not": "text"}}
    return {"statusCode": 201, "cookies": ["a=1", "b=2"], "body": json.dumps(event),
            "headers": {"Content-Type": "application/json", "Access-Control-Allow-Origin": "https://own"}}
"""
BODY = bytes(range(256)) * 16


TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}],
}


class Url:
    """A function with a URL on its alias `live`."""

    def __init__(self, server, name: str, auth_type: str = "AWS_IAM", **settings):
        self.server = server
        self.name = name
        self.client = server.client("lambda")
        iam = server.client("iam")
        try:
            role = iam.create_role(RoleName="url", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
            logs = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
            iam.attach_role_policy(RoleName="url", PolicyArn=logs)
        except iam.exceptions.EntityAlreadyExistsException:
            role = iam.get_role(RoleName="url")["Role"]["Arn"]
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as package:
            package.writestr("handler.py", CODE)
        self.client.create_function(
            FunctionName=name,
            Role=role,
            Runtime="python3.13",
            Handler="handler.handler",
            Code={"ZipFile": archive.getvalue()},
            Timeout=30,
            Publish=True,
        )
        self.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
        made = self.client.create_function_url_config(
            FunctionName=name, Qualifier="live", AuthType=auth_type, **settings
        )
        self.host = urlsplit(made["FunctionUrl"]).netloc
        self.id = self.host.partition(".")[0]
        self.url = made["FunctionUrl"]

    def ask(
        self,
        method: str = "POST",
        path: str = "/",
        body: bytes = BODY,
        keys: tuple[str, ...] = (),
        by_path: bool = False,
        **headers: str,
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Send a request, signed where keys are given: access key, secret key and, for temporary ones, the token."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {
            "Host": f"127.0.0.1:{self.server.port}" if by_path else self.host,
            "Content-Type": "image/jpeg",
            **names,
        }
        target = f"/lambda-url/{self.id}{path}" if by_path else path
        if keys:
            request = AWSRequest(method, f"http://{sent['Host']}{target}", sent, body)
            SigV4Auth(Credentials(*keys), "lambda", "us-east-1").add_auth(request)
            sent = dict(request.headers)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            connection.request(method, target, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def open(self, *parts: str) -> None:
        """Add the public statements that AWS demands, or one of them."""
        if "url" in parts:
            self._grant("url", "lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE")
        if "invoke" in parts:
            self._grant("invoke", "lambda:InvokeFunction", InvokedViaFunctionUrl=True)

    def _grant(self, sid: str, action: str, **condition) -> None:
        arguments = {"StatementId": sid, "Action": action, "Principal": "*", "Qualifier": "live"}
        self.client.add_permission(FunctionName=self.name, **arguments, **condition)


TEST_KEYS = ("test", "test")
BOTH = ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction")


@pytest.fixture(scope="module")
def closed(localaws) -> Iterator[Url]:
    """A URL with AWS_IAM."""
    yield Url(localaws, "closed")


@pytest.fixture(scope="module")
def public(localaws) -> Iterator[Url]:
    """A URL with NONE, opened, with CORS."""
    cors = {
        "AllowOrigins": ["https://page.example"],
        "AllowMethods": ["POST"],
        "AllowHeaders": ["content-type"],
        "MaxAge": 300,
    }
    url = Url(localaws, "public", "NONE", Cors=cors)
    url.open("url", "invoke")
    yield url


def test_a_signed_request_is_served_and_its_caller_named(closed):
    status, headers, body = closed.ask(keys=TEST_KEYS)
    event = json.loads(body)
    assert status == 201
    assert base64.b64decode(event["body"]) == BODY
    assert event["requestContext"]["authorizer"]["iam"]["accessKey"] == "test"
    assert headers.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_a_request_without_a_signature_is_forbidden(closed):
    status, headers, body = closed.ask()
    assert (status, json.loads(body)) == (403, {"Message": FORBIDDEN})
    assert (headers["Content-Type"], headers["x-amzn-ErrorType"]) == ("application/json", "AccessDeniedException")


@pytest.mark.parametrize("keys", [("test", "wrong"), ("AKIANOBODYKNOWSTHIS0", "x")])
def test_a_wrong_signature_is_forbidden(closed, keys):
    assert closed.ask(keys=keys)[0] == 403


def test_the_keys_of_a_user_and_of_an_assumed_role_are_known(closed, localaws):
    iam, sts = localaws.client("iam"), localaws.client("sts")
    iam.create_user(UserName="caller")
    key = iam.create_access_key(UserName="caller")["AccessKey"]
    iam.put_user_policy(UserName="caller", PolicyName="call", PolicyDocument=policy(*BOTH))
    iam.put_role_policy(RoleName="url", PolicyName="call", PolicyDocument=policy(*BOTH))
    status, _, body = closed.ask(keys=(key["AccessKeyId"], key["SecretAccessKey"]))
    assert status == 201
    assert json.loads(body)["requestContext"]["authorizer"]["iam"]["userArn"].endswith(":user/caller")
    iam.update_access_key(UserName="caller", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert closed.ask(keys=(key["AccessKeyId"], key["SecretAccessKey"]))[0] == 403
    role = sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/url", RoleSessionName="session")["Credentials"]
    assert closed.ask(keys=(role["AccessKeyId"], role["SecretAccessKey"], role["SessionToken"]))[0] == 201
    assert closed.ask(keys=(role["AccessKeyId"], role["SecretAccessKey"]))[0] == 403


class User:
    """A user of IAM with a key."""

    def __init__(self, localaws, name: str):
        self.iam = localaws.client("iam")
        self.name = name
        self.iam.create_user(UserName=name)
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        self.keys = (key["AccessKeyId"], key["SecretAccessKey"])
        self.arn = f"arn:aws:iam::123456789012:user/{name}"

    def may(self, *actions: str, **more) -> None:
        self.iam.put_user_policy(UserName=self.name, PolicyName="own", PolicyDocument=policy(*actions, **more))


def policy(*actions: str, effect: str = "Allow", resource: str = "*", condition: dict | None = None) -> str:
    statement = {"Effect": effect, "Action": list(actions), "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Condition": condition or {}}]})


def test_a_caller_needs_both_permissions_on_this_function(closed, localaws):
    user = User(localaws, "needs-both")
    alias = "arn:aws:lambda:us-east-1:123456789012:function:closed:live"

    def status() -> int:
        return closed.ask(keys=user.keys)[0]

    assert json.loads(closed.ask(keys=user.keys)[2]) == {"Message": FORBIDDEN}, "nothing is allowed yet"
    for action in BOTH:
        user.may(action)
        assert status() == 403, f"{action} alone is not enough"
    user.may(*BOTH, resource=alias.replace("closed", "other"))
    assert status() == 403
    user.may(*BOTH, resource=alias)
    assert status() == 201
    user.may("lambda:invokefunction*", resource=alias[:-4] + "*")
    assert status() == 201
    user.may(*BOTH, condition={"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}})
    assert status() == 403
    user.may(*BOTH, condition={"Bool": {"lambda:InvokedViaFunctionUrl": "true"}})
    assert status() == 201


def test_permissions_come_from_groups_attached_policies_and_the_function_itself(closed, localaws):
    user = User(localaws, "from-elsewhere")
    iam = user.iam
    arn = iam.create_policy(PolicyName="urls", PolicyDocument=policy(BOTH[0]))["Policy"]["Arn"]
    iam.create_group(GroupName="callers")
    iam.add_user_to_group(GroupName="callers", UserName=user.name)
    iam.attach_group_policy(GroupName="callers", PolicyArn=arn)
    assert closed.ask(keys=user.keys)[0] == 403
    grant = {"StatementId": "user", "Action": BOTH[1], "Principal": user.arn, "Qualifier": "live"}
    closed.client.add_permission(FunctionName="closed", **grant)
    assert closed.ask(keys=user.keys)[0] == 201
    user.may(BOTH[1], effect="Deny")
    assert closed.ask(keys=user.keys)[0] == 403, "a denial wins"
    closed.client.remove_permission(FunctionName="closed", StatementId="user", Qualifier="live")


def test_a_condition_that_is_not_understood_lets_nobody_in(closed, localaws):
    user = User(localaws, "odd-condition")
    user.may(*BOTH, condition={"StringNotEquals": {"aws:OddKey": "x"}})
    assert closed.ask(keys=user.keys)[0] == 403
    assert "the condition key aws:oddkey is not understood here" in (localaws.home / "server.log").read_text()


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, 201),
        ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, 403),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}, "Bool": {"aws:SecureTransport": "true"}}, 201),
        ({"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "127.0.0.1"]}}, 403),
        ({"StringEquals": {"aws:username": "keys", "aws:PrincipalTag/team": "dogs"}}, 201),
        ({"StringEquals": {"aws:PrincipalTag/team": "cats"}}, 403),
        ({"Null": {"aws:SourceVpce": "true"}}, 201),
    ],
)
def test_conditions_are_tried_on_the_request(closed, keys, condition, status):
    keys.may(*BOTH, condition=condition)
    assert closed.ask(keys=keys.keys)[0] == status


@pytest.fixture(scope="module")
def keys(localaws) -> User:
    user = User(localaws, "keys")
    user.iam.tag_user(UserName="keys", Tags=[{"Key": "team", "Value": "dogs"}])
    return user


def test_a_boundary_and_a_session_policy_limit_a_role(closed, localaws):
    iam, sts = localaws.client("iam"), localaws.client("sts")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = iam.create_role(RoleName="limited", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName="limited", PolicyName="call", PolicyDocument=policy(*BOTH))

    def status(**session: str) -> int:
        given = sts.assume_role(RoleArn=role, RoleSessionName="session", **session)["Credentials"]
        return closed.ask(keys=(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]))[0]

    assert status() == 201
    assert status(Policy=policy(BOTH[0])) == 403
    assert status(Policy=policy("lambda:*")) == 201
    boundary = iam.create_policy(PolicyName="limits", PolicyDocument=policy("s3:*"))["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName="limited", PermissionsBoundary=boundary)
    assert status() == 403
    iam.delete_role_permissions_boundary(RoleName="limited")
    orphaned = sts.assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    iam.delete_role_policy(RoleName="limited", PolicyName="call")
    iam.delete_role(RoleName="limited")
    keys = (orphaned["AccessKeyId"], orphaned["SecretAccessKey"], orphaned["SessionToken"])
    assert closed.ask(keys=keys)[0] == 403, "a session of a role that is gone"


@pytest.mark.parametrize("minutes", [-20, 20])
def test_an_old_date_or_one_to_come_is_forbidden(closed, minutes):
    sent = {"Host": closed.host, "Content-Type": "image/jpeg"}
    request = AWSRequest("POST", f"http://{closed.host}/", sent, BODY)
    signer = SigV4Auth(Credentials(*TEST_KEYS), "lambda", "us-east-1")
    with pytest.MonkeyPatch.context() as patch:
        moment = datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=minutes)
        patch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: moment)
        signer.add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", closed.server.port, timeout=60)
    connection.request("POST", "/", BODY, dict(request.headers))
    answer = connection.getresponse()
    said = json.loads(answer.read())["message"]
    connection.close()
    assert answer.status == 403
    assert ("expired" if minutes < 0 else "not yet current") in said


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize("name", ["host", "path"])
def test_curl_signs_and_is_served(closed, localaws, tmp_path, name):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(BODY)
    address = closed.url if name == "host" else f"{localaws.url}/lambda-url/{closed.id}/"
    argv = ["curl", "-sS", "--fail", "--aws-sigv4", "aws:amz:us-east-1:lambda", "--user", "test:test"]
    argv += ["--data-binary", f"@{photo}", "-H", "Content-Type: image/jpeg", address]
    answer = subprocess.run(argv, capture_output=True, text=True, timeout=60, env={"PATH": os.environ["PATH"]})
    assert answer.returncode == 0, answer.stderr
    assert base64.b64decode(json.loads(answer.stdout)["body"]) == BODY


SHELLS = [shell for shell in ("sh", "dash", "bash", "zsh") if shutil.which(shell)]


@pytest.fixture(scope="module")
def credentials(localaws, closed) -> dict[str, dict[str, str]]:
    """Both kinds of credentials, as the variables that a shell has them in: a user's, and temporary ones."""
    user = User(localaws, "curls")
    user.may(*BOTH)
    localaws.client("iam").put_role_policy(RoleName="url", PolicyName="call", PolicyDocument=policy(*BOTH))
    role = localaws.client("sts").assume_role(RoleArn="arn:aws:iam::123456789012:role/url", RoleSessionName="curls")[
        "Credentials"
    ]
    return {
        "user": dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), user.keys, strict=True)),
        "role": {
            "AWS_ACCESS_KEY_ID": role["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": role["SecretAccessKey"],
            "AWS_SESSION_TOKEN": role["SessionToken"],
        },
    }


def paste(shell: str, line: str, variables: dict[str, str]) -> dict:
    """What a line answers that is pasted into a shell with these variables."""
    environment = {"PATH": os.environ["PATH"], **variables}
    run = subprocess.run([shell, "-c", line], capture_output=True, text=True, timeout=60, env=environment)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("kind", ["user", "role"])
def test_the_line_that_make_curl_prints_works_as_it_stands(closed, credentials, tmp_path, shell, kind):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(BODY)
    outputs = {"predictor_auth_type": "AWS_IAM", "region": "us-east-1", "function_url": closed.url}
    line = curl_line(Deployment(Environment("aws", tmp_path, rehearsed=False), outputs), photo)

    answer = paste(shell, line, credentials[kind])

    assert base64.b64decode(answer["body"]) == BODY
    assert answer["requestContext"]["authorizer"]["iam"]["accessKey"] == credentials[kind]["AWS_ACCESS_KEY_ID"]
    if kind == "user":  # an unset variable and an empty one are the same
        assert "body" in paste(shell, line, {**credentials[kind], "AWS_SESSION_TOKEN": ""})


@pytest.mark.parametrize("kind", ["user", "role"])
@pytest.mark.parametrize(("method", "body", "query"), [("GET", b"", ""), ("POST", BODY, "?top_k=3")])
def test_what_make_page_signs_is_accepted(closed, credentials, monkeypatch, kind, method, body, query):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, credentials[kind].get(name, ""))
    with SigningProxy(closed.url, Signer("us-east-1")) as proxy:
        answer = proxy.forward(method, f"/{query}", body, {"Content-Type": "image/jpeg"})

    assert answer.status == 201
    event = json.loads(answer.body)
    assert base64.b64decode(event.get("body", "")) == body
    assert event["rawQueryString"] == query.removeprefix("?")
    assert event["requestContext"]["authorizer"]["iam"]["accessKey"] == credentials[kind]["AWS_ACCESS_KEY_ID"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_a_header_that_curl_signs_but_does_not_send_is_refused(closed, credentials):
    """As on AWS: curl does so with an empty one (its issue 11007)."""
    line = f"""curl -sS --aws-sigv4 aws:amz:us-east-1:lambda -H 'X-Amz-Security-Token: ' -d x {closed.url} \
        --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" """

    assert "x-amz-security-token" in paste("sh", line, credentials["user"])["message"]


def test_the_path_form_hides_its_own_part(closed):
    status, _, body = closed.ask("GET", "/a%20b?x=1", b"", keys=TEST_KEYS, by_path=True)
    event = json.loads(body)
    assert status == 201
    assert (event["rawPath"], event["rawQueryString"]) == ("/a%20b", "x=1")


@pytest.mark.parametrize(
    ("granted", "status"), [([], 403), (["url"], 403), (["invoke"], 403), (["url", "invoke"], 201)]
)
def test_a_public_url_needs_both_statements(localaws, granted, status):
    url = Url(localaws, f"needs-both-{'-'.join(granted)}", "NONE")
    url.open(*granted)
    assert url.ask()[0] == status


def test_a_public_url_asks_for_no_signature_and_names_no_caller(public):
    status, _, body = public.ask()
    assert status == 201
    assert json.loads(body)["requestContext"]["accountId"] == "anonymous"


def test_text_goes_to_the_function_as_text(public):
    event = json.loads(public.ask(body=b'{"url": "x"}', Content_Type="application/json")[2])
    assert (event["body"], event["isBase64Encoded"]) == ('{"url": "x"}', False)


def test_a_binary_answer_arrives_as_bytes(public):
    status, headers, body = public.ask("GET", "/image", b"")
    assert (status, headers["Content-Type"], body) == (200, "image/png", bytes(range(256)))


def test_the_request_has_the_identifier_of_its_invocation_and_the_headers_that_aws_adds(public, localaws):
    _, headers, body = public.ask(Connection="keep-alive")
    event = json.loads(body)
    assert event["requestContext"]["requestId"] == headers["x-amzn-RequestId"]
    assert event["headers"]["x-amzn-trace-id"] in headers["X-Amzn-Trace-Id"]
    assert "connection" not in event["headers"]
    logs = localaws.client("logs")
    group = f"/aws/lambda/{public.name}"
    found = logs.filter_log_events(logGroupName=group, filterPattern=f'"{headers["x-amzn-RequestId"]}"')["events"]
    assert any(each["message"].startswith("END RequestId") for each in found)


def test_a_result_without_a_status_is_the_body(public):
    status, headers, body = public.ask("GET", "/plain", b"")
    assert (status, headers["Content-Type"], body) == (200, "application/json", b'{"breed":"beagle"}')


@pytest.mark.parametrize("path", ["/raise", "/odd"])
def test_a_function_that_fails_is_a_bad_gateway(public, path):
    status, _, body = public.ask(path=path)
    assert (status, body) == (502, b"Internal Server Error")


@pytest.mark.parametrize("size", [4_900_000, 7_000_000])
def test_a_request_is_too_large_once_its_event_is(public, size):
    status, _, body = public.ask(body=b"\0" * size)
    assert (status, json.loads(body)) == (413, {"Message": "Request Entity Too Large"})


def test_four_megabytes_of_image_arrive(public):
    status, _, body = public.ask(body=b"\0" * (4 << 20))
    assert status == 201
    assert len(base64.b64decode(json.loads(body)["body"])) == 4 << 20


def test_the_url_answers_what_a_browser_asks_before(public):
    headers = {"Origin": "https://page.example", "Access_Control_Request_Method": "POST"}
    status, answer, body = public.ask("OPTIONS", body=b"", **headers)
    assert (status, body) == (200, b"")
    assert answer["Access-Control-Allow-Origin"] == "https://page.example"
    assert answer["Access-Control-Allow-Methods"] == "POST"
    assert answer["Access-Control-Allow-Headers"] == "content-type"
    assert answer["Access-Control-Max-Age"] == "300"


def test_the_url_s_word_on_origins_stands_in_for_the_function_s(public):
    _, headers, _ = public.ask(Origin="https://page.example")
    assert headers.get_all("Access-Control-Allow-Origin") == ["https://page.example"]


def test_an_origin_that_is_not_named_gets_no_leave(public):
    _, headers, _ = public.ask("OPTIONS", body=b"", Origin="https://evil.example", Access_Control_Request_Method="POST")
    assert "Access-Control-Allow-Origin" not in headers


def test_without_cors_settings_the_function_answers_options_itself(closed):
    headers = {"Origin": "https://page.example", "Access_Control_Request_Method": "POST"}
    status, _, body = closed.ask("OPTIONS", body=b"", keys=TEST_KEYS, **headers)
    assert (status, json.loads(body)["requestContext"]["http"]["method"]) == (201, "OPTIONS")


def test_an_empty_cors_setting_takes_it_away(localaws):
    url = Url(localaws, "cors-gone", "NONE", Cors={"AllowOrigins": ["https://page.example"]})
    url.open("url", "invoke")
    url.client.update_function_url_config(FunctionName="cors-gone", Qualifier="live", Cors={})
    assert "Cors" not in url.client.get_function_url_config(FunctionName="cors-gone", Qualifier="live")
    _, headers, _ = url.ask(Origin="https://page.example")
    assert headers.get_all("Access-Control-Allow-Origin") == ["https://own"], "the function's own word counts again"


def test_a_function_without_room_answers_too_many(localaws):
    url = Url(localaws, "no-room")
    url.client.put_function_concurrency(FunctionName="no-room", ReservedConcurrentExecutions=0)
    status, _, body = url.ask(keys=TEST_KEYS)
    assert status == 429
    assert json.loads(body)["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


def test_an_unknown_url_answers_as_one_that_is_forbidden(localaws, closed):
    connection = http.client.HTTPConnection("127.0.0.1", localaws.port, timeout=60)
    connection.request("GET", "/lambda-url/nobody/")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (403, b'{"Message":null}')
    assert answer.headers["x-amzn-ErrorType"] == "AccessDeniedException"
    connection.close()


def test_urls_are_listed_changed_and_deleted_by_qualifier(localaws):
    url = Url(localaws, "listed")
    client = url.client
    client.create_function_url_config(FunctionName="listed", AuthType="NONE")
    listed = client.list_function_url_configs(FunctionName="listed")["FunctionUrlConfigs"]
    assert {each["FunctionArn"].rpartition(":")[2] for each in listed} == {"listed", "live"}
    client.update_function_url_config(FunctionName="listed", Qualifier="live", AuthType="NONE")
    assert client.get_function_url_config(FunctionName="listed", Qualifier="live")["AuthType"] == "NONE"
    with pytest.raises(client.exceptions.ResourceConflictException):
        client.create_function_url_config(FunctionName="listed", Qualifier="live", AuthType="NONE")
    with pytest.raises(ClientError, match="BUFFERED"):
        client.update_function_url_config(FunctionName="listed", Qualifier="live", InvokeMode="RESPONSE_STREAM")
    client.delete_function_url_config(FunctionName="listed", Qualifier="live")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_function_url_config(FunctionName="listed", Qualifier="live")
    assert url.ask(keys=TEST_KEYS)[2] == b'{"Message":null}'


def test_a_url_has_the_same_address_when_it_is_made_again(localaws):
    url = Url(localaws, "same-address")
    url.client.delete_function(FunctionName="same-address")
    assert Url(localaws, "same-address").url == url.url
