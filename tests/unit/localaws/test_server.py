"""The server as a client meets it: starting, stopping, and answering what it does not know."""

import http.client
import json
import socket
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
        ("sns", "list_topics", {}),
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
        connection.sendall(b"POST /lambda-url/x/ HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n")
        answer = connection.recv(4096)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"<html" not in answer.lower()


def test_a_connection_to_a_function_url_or_an_endpoint_is_kept(localaws):
    connection = http.client.HTTPConnection("127.0.0.1", localaws.port, timeout=60)
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sagemaker/aws4_request, x"}
    for path, status in [("/lambda-url/nobody/", 404), ("/endpoints/nobody/invocations", 400)] * 2:
        connection.request("POST", path, body=b"x" * 100_000, headers=signed)
        first = connection.sock
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, connection.sock) == (status, first)
        assert not answer.will_close
    connection.request("GET", "/_localaws/health")
    assert connection.getresponse().status == 200
    connection.close()
