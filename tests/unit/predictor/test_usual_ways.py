"""Every usual way to send an image: forms, curl without a header, data URIs, gateways, S3, and several at once."""

import base64
import ipaddress
import json
import shutil
import subprocess
from http.server import BaseHTTPRequestHandler

import pytest
from classifier.contract import MAX_IMAGE_BYTES, ApiError, decode_base64
from predictor.questions import MAX_IMAGES
from predictor.urls import Policy
from predictor_support import ANSWER, JPEG, PNG, PREDICTIONS, Context, http_event, image_event, json_event, respond

FORM = "application/x-www-form-urlencoded"
ENCODED = base64.b64encode(JPEG).decode()


def ask(predictor, event) -> tuple[int, dict]:
    response = predictor.answer(event, Context())
    return response["statusCode"], json.loads(response["body"])


def multipart(*parts: tuple[str, bytes], boundary="abc") -> dict:
    """An event with parts of (headers, content)."""
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
        for head, content in parts
    )
    return image_event(body + f"--{boundary}--\r\n".encode(), f'multipart/form-data; boundary="{boundary}"')


def test_a_form_with_a_file_and_top_k_is_answered(predictor, fake_endpoint):
    event = multipart(('name="top_k"', b"2"), ('name="file"; filename="a;b.jpg"\r\nContent-Type: image/jpeg', JPEG))
    assert ask(predictor, event) == (200, {**ANSWER, "request_id": "4d7f-request"})
    assert fake_endpoint.received[0].body == JPEG
    assert fake_endpoint.received[0].headers["x-amzn-sagemaker-custom-attributes"].endswith(",top_k=2")


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
@pytest.mark.parametrize(
    "options", [["-F", "file=@{}"], ["-F", "image=@{};type=image/jpeg", "-F", "top_k=1"], ["--data-binary", "@{}"]]
)
def test_what_curl_sends_is_answered(predictor, fake_endpoint, serve, tmp_path, options):
    """With curl itself, whose request becomes the event of a function URL."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"]))
        response = predictor.answer(http_event(headers=dict(handler.headers), body=body, encoded=True), Context())
        respond(handler, response["statusCode"], {}, response["body"].encode())

    (tmp_path / "dog.jpg").write_bytes(JPEG)
    server = serve(answer)
    argv = ["curl", "-sS", *(each.format(tmp_path / "dog.jpg") for each in options), server.url]
    said = subprocess.run(argv, capture_output=True, check=True, timeout=60).stdout
    assert json.loads(said)["predictions"] == PREDICTIONS
    assert fake_endpoint.received[0].body == JPEG


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"image": ENCODED}),
        f"image={ENCODED.replace('+', '%2B')}",
        ENCODED,
        f"data:image/jpeg;base64,{ENCODED}",
    ],
)
def test_text_that_curl_declares_as_a_form_is_read(predictor, fake_endpoint, body):
    assert ask(predictor, http_event(headers={"content-type": FORM}, body=body.encode(), encoded=True))[0] == 200
    assert fake_endpoint.received[0].body == JPEG


@pytest.mark.parametrize(
    "event",
    [
        multipart(("name=x", b"text")),
        multipart(('name="top_k"', b"many"), ('name="file"; filename="a"', JPEG)),
        image_event(b"--abc\r\nContent-Disposition: form-data\r\n\r\ncut", "multipart/form-data; boundary=abc"),
        image_event(b"x", "multipart/form-data"),
        multipart(*[('name="file"; filename="a"', JPEG)] * (MAX_IMAGES + 1)),
        multipart(*[("name=x", b"")] * 101),
        image_event(b"hello", FORM),
        image_event(b"url=", FORM),
    ],
    ids=["no file", "top_k", "cut", "no boundary", "too many files", "too many parts", "text", "no address"],
)
def test_a_form_that_is_wrong_is_refused_and_does_not_reach_the_endpoint(predictor, fake_endpoint, event):
    status, answer = ask(predictor, event)
    assert 400 <= status < 500 and answer["error"]["message"].endswith((".", "dog.jpg"))
    assert fake_endpoint.received == []


@pytest.mark.parametrize(
    "text",
    [
        ENCODED,
        base64.urlsafe_b64encode(JPEG).decode().rstrip("="),
        f"data:image/jpeg;base64,{ENCODED}",
        f"DATA:image/jpeg;charset=x;base64,{ENCODED.replace('+', '%2B').replace('/', '%2F')}",
        "\n".join(ENCODED[at : at + 76] for at in range(0, len(ENCODED), 76)),
    ],
    ids=["standard", "for addresses, unpadded", "data uri", "escaped data uri", "in lines"],
)
def test_base64_is_read_in_every_form(predictor, fake_endpoint, text):
    assert decode_base64(text) == JPEG
    assert ask(predictor, json_event({"image": text}))[0] == 200
    if text.lower().startswith("data:"):
        assert ask(predictor, json_event({"url": text}))[0] == 200
    assert {received.body for received in fake_endpoint.received} == {JPEG}


@pytest.mark.parametrize("text", ["?", "a", "data:image/jpeg,abc", "data:image/jpeg;base64", "é"])
def test_text_that_is_not_base64_is_refused(text):
    with pytest.raises(ApiError, match="base64"):
        decode_base64(text)


def event_1(method="POST", path="/", body=JPEG, **context) -> dict:
    """An event of API Gateway's REST API."""
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": {"Content-Type": "image/jpeg"},
        "multiValueHeaders": {"Content-Type": ["image/jpeg"]},
        "queryStringParameters": {"top_k": "2"},
        "multiValueQueryStringParameters": {"top_k": ["2"]},
        "requestContext": {"stage": "prod", "apiId": "a", "httpMethod": method, **context},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


def load_balancer(multi: bool = False, **fields) -> dict:
    """An event of an Application Load Balancer, with or without multi-value headers."""
    event = {**event_1(), "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:x"}}}
    for name in (
        "resource",
        *(("headers", "queryStringParameters") if multi else ("multiValueHeaders", "multiValueQueryStringParameters")),
    ):
        del event[name]
    return {**event, **fields}


GATEWAY_2 = image_event(JPEG, path="/prod/predict", query={"top_k": "2"})
GATEWAY_2["requestContext"] |= {"stage": "prod", "domainName": "a.execute-api.us-east-1.amazonaws.com"}


@pytest.mark.parametrize(
    "event",
    [event_1(), event_1(path="/predict"), GATEWAY_2, load_balancer(), load_balancer(multi=True)],
    ids=["REST API", "route of a REST API", "HTTP API", "load balancer", "load balancer, multi-value"],
)
def test_a_gateway_and_a_load_balancer_are_answered(predictor, fake_endpoint, event):
    assert ask(predictor, event) == (200, {**ANSWER, "request_id": "4d7f-request"})
    assert fake_endpoint.received[0].body == JPEG
    assert fake_endpoint.received[0].headers["x-amzn-sagemaker-custom-attributes"].endswith(",top_k=2")


def test_a_load_balancer_gets_the_answer_in_its_form(predictor):
    single, multi = (predictor.answer(load_balancer(multi), Context()) for multi in (False, True))
    assert (single["statusDescription"], single["isBase64Encoded"]) == ("200 OK", False)
    assert single["headers"]["content-type"] == "application/json"
    assert multi["multiValueHeaders"]["content-type"] == ["application/json"] and "headers" not in multi
    failed = predictor.answer(load_balancer(body=""), Context())
    assert (failed["statusCode"], failed["statusDescription"]) == (400, "400 Bad Request")
    assert predictor.answer(load_balancer(httpMethod="GET"), Context())["headers"]["content-type"].startswith(
        "text/html"
    )


def test_a_function_url_keeps_its_form_and_its_paths(predictor):
    assert "statusDescription" not in predictor.answer(image_event(JPEG), Context())
    assert ask(predictor, image_event(JPEG, path="/predict"))[0] == 404


@pytest.mark.parametrize("encoding", ["", "aws-chunked", "AWS-Chunked", "identity", "aws-chunked,identity"])
def test_an_object_of_s3_with_the_encoding_of_its_upload_is_classified(make_predictor, serve, encoding):
    server = serve(
        lambda handler: respond(handler, 200, {"content-type": "image/jpeg", "content-encoding": encoding}, JPEG)
    )
    loopback = Policy(allow_http=True, allow_networks=(ipaddress.ip_network("127.0.0.0/8"),))
    assert ask(make_predictor(loopback), json_event({"url": server.url}))[0] == 200


@pytest.fixture
def s3(serve, monkeypatch):
    """An S3 that has one object and refuses another. It keeps the headers of the requests."""
    asked = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append((handler.path, dict(handler.headers)))
        status = {"/photos/a%20b/d%C3%B6g.jpg": 200, "/photos/secret.jpg": 403}.get(handler.path, 404)
        respond(handler, status, {"content-type": "binary/octet-stream"}, JPEG if status == 200 else b"<Error/>")

    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", serve(answer).url)
    return asked


def test_an_address_of_s3_is_read_with_the_functions_role(predictor, fake_endpoint, s3):
    assert ask(predictor, json_event({"url": "s3://photos/a b/dög.jpg"}))[0] == 200
    assert fake_endpoint.received[0].body == JPEG
    assert "/us-east-1/s3/aws4_request" in s3[0][1]["Authorization"]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("s3://photos/secret.jpg", "url_unreachable"),
        ("s3://photos/none.jpg", "url_unreachable"),
        ("s3://photos", "url_not_allowed"),
        ("s3://photos/", "url_not_allowed"),
        ("s3://../x", "url_not_allowed"),
        ("s3://photos/../secret.jpg", "url_not_allowed"),
        ("s3://Photos:80@x/a.jpg", "url_not_allowed"),
        ("s3://photos/" + "a" * 1025, "url_not_allowed"),
    ],
)
def test_an_object_that_the_function_may_not_read_is_422(predictor, fake_endpoint, s3, url, code):
    status, answer = ask(predictor, json_event({"url": url}))
    assert (status, answer["error"]["code"]) == (422, code)
    assert fake_endpoint.received == []
    assert len(s3) == (code == "url_unreachable")


@pytest.mark.parametrize(
    "event",
    [
        json_event({"images": [ENCODED, base64.b64encode(b"text").decode(), base64.b64encode(PNG).decode()]}),
        multipart(*[('name="file"; filename="a"', data) for data in (JPEG, b"text", PNG)]),
        json_event({"urls": [f"data:;base64,{base64.b64encode(data).decode()}" for data in (JPEG, b"text", PNG)]}),
    ],
    ids=["json", "form", "urls"],
)
def test_several_images_are_answered_in_their_order(predictor, fake_endpoint, event):
    status, answer = ask(predictor, event)
    good, wrong, also_good = answer["results"]
    assert status == 200 and good == also_good == {"predictions": PREDICTIONS}
    assert wrong["error"]["code"] == "undecodable_image"
    assert (answer["model"], answer["request_id"]) == (ANSWER["model"], "4d7f-request")
    assert [received.body for received in fake_endpoint.received] == [JPEG, PNG]


def test_a_direct_invoke_may_have_several_images(predictor):
    assert predictor.answer({"images": [ENCODED] * 2}, Context())["results"] == [{"predictions": PREDICTIONS}] * 2


@pytest.mark.parametrize(
    "value",
    [
        {"images": []},
        {"images": "abc"},
        {"images": [7]},
        {"images": [ENCODED], "image": ENCODED},
        {"images": [ENCODED], "urls": ["https://a.example"]},
        {"images": [ENCODED] * (MAX_IMAGES + 1)},
    ],
    ids=["none", "no list", "no text", "and one", "and addresses", "too many"],
)
def test_a_list_of_images_that_is_wrong_is_400(predictor, fake_endpoint, value):
    assert ask(predictor, json_event(value))[0] == 400
    assert fake_endpoint.received == []


def test_if_no_image_of_several_can_be_answered_the_first_error_is_the_answer(predictor, fake_endpoint):
    fake_endpoint.fails(429, "ThrottlingException")
    assert ask(predictor, json_event({"images": [ENCODED] * 2}))[0] == 429


def test_each_of_several_images_has_the_limit_of_one(predictor, fake_endpoint):
    large = base64.b64encode(JPEG + bytes(MAX_IMAGE_BYTES)).decode()
    _, answer = ask(predictor, json_event({"images": [large, ENCODED]}))
    assert answer["results"][0]["error"]["code"] == "image_too_large"
    assert len(fake_endpoint.received) == 1
