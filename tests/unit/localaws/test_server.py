"""The server as a client meets it: starting, stopping, and answering what it does not know."""

import http.client
import io
import json
import logging
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError


def test_up_is_idempotent_and_down_ends_it(own_server):
    assert "answers on" in own_server.command("up").stdout
    assert "already runs" in own_server.command("up").stdout
    assert f"http://127.0.0.1:{own_server.port}" in own_server.command("status").stdout
    assert "stopped" in own_server.command("down").stdout
    assert "does not run" in own_server.command("status").stdout


def test_two_that_start_it_at_once_both_find_it_running(own_server):
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(own_server.command, ["up", "up"])
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    log = (own_server.home / "server.log").read_text()
    assert log.count("the local AWS answers on") == 1


def test_up_says_where_the_server_on_its_state_runs(own_server):
    own_server.start()
    answer = type(own_server)(own_server.home).command("up")
    assert answer.returncode != 0
    assert f"on port {own_server.port}" in answer.stderr and "LOCALAWS_PORT" in answer.stderr


def test_up_names_the_way_out_where_the_port_is_taken(own_server):
    with socket.socket() as other:
        other.bind(("127.0.0.1", own_server.port))
        other.listen()
        answer = own_server.command("serve")
    assert answer.returncode != 0
    assert "LOCALAWS_PORT" in answer.stderr and str(own_server.port) in answer.stderr


def test_the_credentials_of_any_client_reach_the_one_account(localaws):
    assert localaws.client("sts").get_caller_identity()["Account"] == "123456789012"


@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        ("dynamodb", "list_tables", {}),
        ("sqs", "list_queues", {}),
        ("rds", "describe_db_instances", {}),
        ("route53", "list_hosted_zones", {}),
        ("efs", "describe_file_systems", {}),
    ],
)
def test_a_service_that_is_not_there_refuses_at_once_in_its_own_protocol(localaws, service, call, arguments):
    with pytest.raises(ClientError) as caught:
        getattr(localaws.client(service), call)(**arguments)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert caught.value.response["Error"]["Code"] == "UnknownOperationException"


@pytest.mark.parametrize(
    ("service", "call", "arguments", "named"),
    [
        ("kms", "describe_custom_key_stores", {}, "DescribeCustomKeyStores"),  # json
        ("ec2", "describe_fast_launch_images", {}, "describe_fast_launch_images"),  # ec2
        ("iam", "get_context_keys_for_custom_policy", {"PolicyInputList": ["{}"]}, "get_context_keys"),  # query
        ("lambda", "get_runtime_management_config", {"FunctionName": "f"}, "GetRuntimeManagementConfig"),  # rest-json
    ],
)
def test_an_operation_that_moto_lacks_is_refused_by_name_in_the_services_protocol(
    localaws, service, call, arguments, named
):
    with pytest.raises(ClientError) as caught:
        getattr(localaws.client(service), call)(**arguments)
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == ("UnknownOperationException", 400)
    assert f"does not support {service} {named}" in error["Error"]["Message"]


def test_an_error_of_motos_own_comes_as_it_is(localaws):
    with pytest.raises(ClientError) as caught:
        localaws.client("s3").list_bucket_metrics_configurations(Bucket="nobody")
    assert caught.value.response["Error"]["Code"] == "NoSuchBucket"


@pytest.mark.parametrize("path", ["/", "/no/such/path", "/moto-api/data.json", "/favicon.ico", "/latest/meta-data/"])
def test_a_browser_never_gets_html_either(localaws, path):
    connection = http.client.HTTPConnection("127.0.0.1", localaws.port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().lower()
    connection.close()
    assert b"<html" not in body
    assert "text/html" not in answer.headers.get("Content-Type", "")


def test_a_refused_upload_is_read_to_its_end_so_that_its_answer_arrives(localaws):
    connection = http.client.HTTPConnection("127.0.0.1", localaws.port, timeout=60)
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, x"}
    connection.request("POST", "/", body=b"x" * 20_000_000, headers=headers)
    refused = connection.getresponse()
    refused.read()
    connection.request("GET", "/_localaws/health")
    health = connection.getresponse()
    assert (refused.status, health.status) == (400, 200)
    assert json.loads(health.read())["service"] == "localaws"
    connection.close()


def test_only_this_machine_can_ask(localaws):
    """127.0.0.2 is this machine too, but not where the server listens: a server on 0.0.0.0 would answer."""
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", localaws.port), timeout=3):
        pytest.fail("something answered")


def test_a_length_that_is_no_number_is_a_bad_request(localaws):
    with socket.create_connection(("127.0.0.1", localaws.port), timeout=60) as connection:
        connection.sendall(b"POST /lambda-url/x/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: abc\r\n\r\n")
        answer = connection.recv(4096)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"<html" not in answer.lower()


def signed(service: str, **headers: str) -> dict[str, str]:
    scope = f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, x"
    return {"Authorization": scope, **headers}


def test_a_connection_is_kept_whatever_is_asked(localaws):
    connection = http.client.HTTPConnection("127.0.0.1", localaws.port, timeout=60)
    connection.connect()
    first, large = connection.sock, b"x" * 3_000_000
    target = {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}
    for method, path, body, headers, status in [
        ("POST", "/lambda-url/nobody/", large, {}, 403),
        ("POST", "/endpoints/nobody/invocations", large, signed("sagemaker"), 400),
        ("POST", "/", b"{}", signed("sagemaker", **target), 200),
        ("PUT", "/kept-connections", b"", signed("s3"), 200),
        ("PUT", "/kept-connections/large", large, signed("s3"), 200),
        ("GET", "/kept-connections/large", b"", signed("s3"), 200),
        ("HEAD", "/kept-connections/large", b"", signed("s3"), 200),
        ("DELETE", "/kept-connections/large", b"", signed("s3"), 204),
        ("GET", "/kept-connections/large", b"", signed("s3"), 404),
        ("GET", "/_localaws/health", b"", {}, 200),
    ]:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        got = answer.read()
        assert (answer.status, connection.sock, answer.will_close) == (status, first, False), (method, path)
        if (method, status) == ("GET", 200) and path.endswith("large"):
            assert got == large
        if method == "HEAD":
            assert (got, answer.headers["Content-Length"]) == (b"", str(len(large)))
    connection.close()


def test_an_answer_comes_in_one_part(localaws):
    """The provider's client hung up after the head now and then, where the body came later, and asked once more."""
    with socket.create_connection(("127.0.0.1", localaws.port), timeout=60) as connection:
        for _ in range(20):
            connection.sendall(b"GET /_localaws/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            head, _, body = connection.recv(65_536).partition(b"\r\n\r\n")
            assert b"HTTP/1.1 200 " in head
            assert json.loads(body)["service"] == "localaws"


def test_a_read_that_met_a_change_is_done_again(monkeypatch):
    """moto's tables are Python's, and a request of another thread may add to one while it is listed."""
    from localaws.server import Application

    asked, answers = [], []

    def moto(environ: dict, start_response: Callable) -> list[bytes]:
        asked.append(environ["wsgi.input"].read())
        if len(asked) < 3:
            raise RuntimeError("dictionary changed size during iteration")
        start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
        return [b"{}"]

    application = Application([], dict)
    monkeypatch.setattr(application, "_moto", moto)
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "HTTP_AUTHORIZATION": signed("sagemaker")["Authorization"],
        "HTTP_X_AMZ_TARGET": "SageMaker.ListModels",
        "CONTENT_LENGTH": "9",
        "wsgi.input": io.BytesIO(b'{"a": 1}\n'),
    }
    assert application(environ, lambda status, headers: answers.append(status)) == [b"{}"]
    assert (answers, asked) == (["200 OK"], [b'{"a": 1}\n'] * 3)


NO_TOPIC = KeyError("no such topic")


@pytest.mark.parametrize(
    ("service", "target", "error", "answer"),
    [
        ("kms", "TrentService.ListKeys", NO_TOPIC, ("400 Bad Request", "UnknownOperationException")),
        ("kms", "TrentService.ListKeys", OSError("no space"), ("500 Internal Server Error", "InternalFailure")),
        ("ssm", "AmazonSSM.DescribeParameters", ValueError("not a number"), ("400 Bad Request", "InvalidNextToken")),
        ("sagemaker", "SageMaker.ListEndpoints", NO_TOPIC, ("500 Internal Server Error", "InternalFailure")),
    ],
)
def test_a_request_that_moto_was_not_written_for_is_refused_in_words(monkeypatch, service, target, error, answer):
    """AWS may take it, and clients repeat what got a 500. A failure that may pass, or of what runs, is one."""
    from localaws.server import Application

    def moto(environ: dict, start_response: Callable) -> list[bytes]:
        raise error

    application = Application([], dict)
    monkeypatch.setattr(application, "_moto", moto)
    told: list = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "HTTP_AUTHORIZATION": signed(service)["Authorization"],
        "HTTP_X_AMZ_TARGET": target,
        "CONTENT_LENGTH": "18",
        "wsgi.input": io.BytesIO(b'{"NextToken": "a"}'),
    }
    body = b"".join(application(environ, lambda status, headers: told.append(status)))
    assert (told[0], json.loads(body)["__type"]) == answer
    if answer[1] == "UnknownOperationException":
        assert "does not run kms ListKeys" in json.loads(body)["message"]
        assert "KeyError: 'no such topic'" in json.loads(body)["message"]


def test_a_failure_is_logged_without_the_secrets_of_a_presigned_address(caplog):
    from localaws.server import QuietHandler

    handler = QuietHandler.__new__(QuietHandler)
    handler.client_address = ("127.0.0.1", 1)
    handler.command, handler.path = "PUT", "/bucket/key?X-Amz-Security-Token=secret&X-Amz-Signature=secret"
    with caplog.at_level(logging.INFO):
        handler.log_request(200)
        handler.log_request(503)
    assert "PUT /bucket/key 503" in caplog.text
    assert "secret" not in caplog.text
    assert caplog.text.count("/bucket/key") == 1


@pytest.mark.parametrize(
    ("service", "operation"), [("sagemaker", "list_endpoints"), ("kms", "list_keys"), ("ec2", "describe_vpcs")]
)
def test_a_region_that_aws_does_not_have_is_named(localaws, service, operation):
    with pytest.raises(ClientError, match=r"AWS has no .* in a region 'us-east-9'"):
        getattr(localaws.client(service, "us-east-9"), operation)()


def test_a_fault_of_a_gate_lets_nobody_in():
    from localaws.server import Application

    def gate(service: str, environ: dict, request: object) -> None:
        raise TypeError("a gate that is wrong")

    told: list = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "HTTP_AUTHORIZATION": signed("kms")["Authorization"],
        "HTTP_X_AMZ_TARGET": "TrentService.ListKeys",
        "CONTENT_LENGTH": "2",
        "wsgi.input": io.BytesIO(b"{}"),
    }
    body = b"".join(Application([], dict, [gate])(environ, lambda status, headers: told.append(status)))
    assert told == ["500 Internal Server Error"]
    assert json.loads(body)["__type"] == "InternalFailure"
