"""What a web page gets from the local AWS: nothing but function URLs, and the buckets that name its origin."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from localaws import browser_guard
from tests.unit.localaws.lambda_helpers import package
from tests.unit.predictor import browser as chromium

FORGED = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"
FORGED_QUERY = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=x%2F20260101%2Fus-east-1%2F{}%2Faws4_request"
FORGED_QUERY += "&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=0"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
RUN = "Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=1&ImageId=ami-12345678"
PAGE = {"Origin": "https://page.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
UPLOAD = (
    b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nx.html\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.html"\r\nContent-Type: text/html\r\n\r\n'
    b"<script>1</script>\r\n--b--\r\n"
)


class Answer:
    def __init__(self, response: http.client.HTTPResponse):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode(errors="replace")


@pytest.fixture
def ask(localaws):
    def send(method: str, path: str, headers: dict[str, str], body: bytes | str | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", localaws.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    return send


@pytest.fixture
def bucket(localaws, request: pytest.FixtureRequest) -> str:
    name = f"pages-{abs(hash(request.node.name))}"
    s3 = localaws.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="x.html", Body=b"<script>1</script>", ContentType="text/html", ACL="public-read")
    return name


def raw(port: int, *lines: str) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:4566", "127.0.0.1.evil.example", "localhost.evil.example", "evil-localhost",
     "a.lambda-url.us-east-1.evil.example", "10.0.0.1", "", "localhost@evil.example", "s3.amazonaws.com"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/_localaws/health", "/lambda-url/abc/"])
def test_a_host_that_is_not_this_machine_is_refused(localaws, host, path):
    answer = raw(localaws.port, f"GET {path} HTTP/1.1", f"Host: {host}")
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"answers to 127.0.0.1, localhost" in answer


def test_a_whole_address_in_the_request_line_counts_as_the_host(localaws):
    answer = raw(localaws.port, "GET http://evil.example/_localaws/health HTTP/1.1", "Host: 127.0.0.1")
    assert answer.startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:{port}", "localhost:{port}", "LOCALHOST", "b.localhost:{port}"]
)
def test_the_names_of_this_machine_are_answered(localaws, host):
    host = host.format(port=localaws.port)
    assert b" 200 " in raw(localaws.port, "GET /_localaws/health HTTP/1.1", f"Host: {host}")[:20]


@pytest.mark.parametrize("service", ["ec2", "sagemaker", "lambda", "ssm", "iam"])
@pytest.mark.parametrize(
    "page", [PAGE, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "same-origin"}]
)
def test_a_page_cannot_call_the_api_even_with_a_signature(ask, service, page):
    answer = ask("POST", "/", {**page, **FORM, "Authorization": FORGED.format(service)}, RUN)
    assert (answer.status, "A web page sent this request" in answer.text) == (403, True)
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_preflight_gets_no_consent(ask, bucket):
    asked = {**PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    for path in ("/", f"/{bucket}/x.html", "/2015-03-31/functions"):
        answer = ask("OPTIONS", path, asked)
        assert answer.status == 403
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("kind", [*browser_guard._FORMS, None])
@pytest.mark.parametrize("path", ["/", "/2015-03-31/functions", f"/?{FORGED_QUERY.format('ec2')}", "/ec2_us-east-1/"])
def test_a_form_of_an_old_browser_gets_nothing(ask, kind, path):
    """It sends neither Origin nor Sec-Fetch-Site. What it cannot send is the Authorization header."""
    headers = {"User-Agent": "Mozilla/5.0", **({"Content-Type": kind} if kind else {})}
    answer = ask("POST", path, headers, RUN)
    assert answer.status == 403
    assert "signature" in answer.text


@pytest.mark.parametrize("authorization", ["Basic eDp5", "Bearer x", "AWS4-HMAC-SHA256", ""])
def test_what_a_browser_can_put_into_authorization_is_not_a_signature(ask, authorization):
    assert ask("POST", "/", {**FORM, "Authorization": authorization}, RUN).status == 403


def test_an_address_alone_runs_nothing(ask, localaws):
    """A picture's address or a link in a mail: a browser sends it without saying that a page has it."""
    before = localaws.client("ec2").describe_instances()["Reservations"]
    for path in (f"/?{RUN}&{FORGED_QUERY.format('ec2')}", f"/?{RUN}", f"/ec2_us-east-1/?{RUN}"):
        answer = ask("GET", path, {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"})
        assert "RunInstancesResponse" not in answer.text
    assert localaws.client("ec2").describe_instances()["Reservations"] == before


def test_the_path_of_an_unsigned_request_selects_no_service():
    """moto reads service and region from it, for its own requests."""
    from localaws.server import Dispatcher

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/ec2_us-east-1/", "HTTP_HOST": "127.0.0.1"}
    assert Dispatcher().infer_service_region_host(environ, environ["PATH_INFO"]) is None


@pytest.mark.parametrize("page", [{}, PAGE])
@pytest.mark.parametrize("query", ["", f"?{FORGED_QUERY.format('s3')}"])
def test_a_browser_form_stores_no_object(ask, localaws, bucket, page, query):
    headers = {**page, "Content-Type": "multipart/form-data; boundary=b"}
    answer = ask("POST", f"/{bucket}{query}", headers, UPLOAD.replace(b"x.html", b"y.html"))
    assert answer.status == 403
    listed = localaws.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    assert [each["Key"] for each in listed] == ["x.html"]


def test_an_object_is_nothing_that_a_browser_runs(ask, bucket):
    answer = ask("GET", f"/{bucket}/x.html", {"Sec-Fetch-Site": "none"})
    assert (answer.status, answer.text) == (200, "<script>1</script>")
    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_link_to_an_object_can_be_followed_but_it_is_not_a_picture_in_a_page(ask, localaws, bucket):
    address = localaws.client("s3").generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "x.html"})
    path = address.partition(f":{localaws.port}")[2]
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert ask("GET", path, followed).status == 200
    assert ask("GET", path, {**followed, "Sec-Fetch-Dest": "iframe"}).status == 403
    assert ask("GET", path, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}).status == 403


def test_a_bucket_lets_in_the_pages_that_its_cors_configuration_names(ask, localaws, bucket):
    rule = {"AllowedOrigins": ["http://localhost:3000", "https://*.shop.example"], "AllowedMethods": ["GET"]}
    localaws.client("s3").put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    for origin, method, status in [
        ("http://localhost:3000", "GET", 200),
        ("https://eu.shop.example", "GET", 200),
        ("https://shop.example.evil.example", "GET", 403),
        ("https://page.example", "GET", 403),
        ("http://localhost:3000", "DELETE", 403),
    ]:
        answer = ask(method, f"/{bucket}/x.html", {"Origin": origin, "Sec-Fetch-Site": "cross-site"})
        assert (origin, method, answer.status) == (origin, method, status)
        assert answer.headers.get("Access-Control-Allow-Origin") == (origin if status == 200 else None)
    preflight = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "GET"}
    assert ask("OPTIONS", f"/{bucket}/x.html", preflight).headers["Access-Control-Allow-Origin"] == preflight["Origin"]


def test_a_presigned_upload_needs_no_header(ask, localaws, bucket):
    address = localaws.client("s3").generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "new"})
    assert ask("PUT", address.partition(f":{localaws.port}")[2], {}, b"1").status == 200


def test_a_call_that_sdks_send_without_a_signature_is_answered(localaws):
    role = "arn:aws:iam::123456789012:role/anything"
    answer = localaws.client("sts").assume_role_with_web_identity(
        RoleArn=role, RoleSessionName="session", WebIdentityToken="token"
    )
    assert answer["AssumedRoleUser"]["Arn"].startswith("arn:aws:sts::123456789012:assumed-role/anything/")


@pytest.fixture(scope="module")
def function_url(localaws) -> Iterator[str]:
    """A function whose page any origin may read."""
    code = """
def handler(event, context):
    return {"statusCode": 200, "headers": {"Content-Type": "text/html"}, "body": "<title>of the function</title>"}
"""
    functions = localaws.client("lambda")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = localaws.client("iam").create_role(RoleName="asked-by-pages", AssumeRolePolicyDocument=document)["Role"]
    name = "asked-by-pages"
    functions.create_function(
        FunctionName=name, Runtime="python3.12", Role=role["Arn"], Handler="handler.handler",
        Code={"ZipFile": package(code)},
    )  # fmt: skip
    made = functions.create_function_url_config(FunctionName=name, AuthType="NONE", Cors={"AllowOrigins": ["*"]})
    for action in ("InvokeFunctionUrl", "InvokeFunction"):
        more = {"FunctionUrlAuthType": "NONE"} if action.endswith("Url") else {"InvokedViaFunctionUrl": True}
        functions.add_permission(
            FunctionName=name, StatementId=action, Action=f"lambda:{action}", Principal="*", **more
        )
    yield made["FunctionUrl"]
    functions.delete_function(FunctionName=name)


def identifier_of(function_url: str) -> str:
    return function_url.removeprefix("http://").partition(".")[0]


def test_a_function_url_keeps_its_own_rules(ask, function_url):
    for headers in (PAGE, {"Origin": "null", "Content-Type": "text/plain"}):
        answer = ask("POST", f"/lambda-url/{identifier_of(function_url)}/", headers, b"{}")
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
        assert "of the function" in answer.text


@pytest.mark.skipif(chromium.find() is None, reason="there is no Chromium here")
def test_a_hostile_page_in_a_real_browser(localaws, ask, function_url, tmp_path: Path):
    """It stores a page by a form, opens it, and calls the API from there; then it tries the API without the detour."""
    bucket = "attacked-by-a-page"
    s3 = localaws.client("s3")
    s3.create_bucket(Bucket=bucket)
    (tmp_path / "page.html").write_text(
        HOSTILE % {"base": localaws.url, "bucket": bucket, "function": identifier_of(function_url)}
    )
    browser = chromium.Browser(chromium.find(), tmp_path / "profile")
    try:
        page = browser.page(f"file://{tmp_path}/page.html")
        tried = page.until("window.tried")
        assert tried == {"form query": False, "read": False, "fetch": False, "signed": False, "function": True}
        page.js("document.querySelector('form').submit()")
        page.until(f"location.origin === {json.dumps(localaws.url)}")
        assert "AccessDenied" in page.until("document.documentElement.textContent")
        assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
        assert "evil" not in [user["UserName"] for user in localaws.client("iam").list_users()["Users"]]
        # If a page gets into the bucket in another way, the browser does not run it.
        stored = b"<title>shown</title><script>document.title = 'ran'</script>"
        s3.put_object(Bucket=bucket, Key="x.html", ContentType="text/html", ACL="public-read", Body=stored)
        page.open(f"{localaws.url}/{bucket}/x.html")
        assert page.until("document.title") == "shown"
        page.open(function_url)
        assert page.until("document.title") == "of the function"
        page.close()
    finally:
        browser.close()


HOSTILE = """<!doctype html><meta charset="utf-8"><title>a page that the developer visits</title>
<form method="post" enctype="multipart/form-data" action="%(base)s/%(bucket)s">
<input name="key" value="x.html"><input name="acl" value="public-read"><input name="Content-Type" value="text/html">
<input type="file" name="file"></form>
<script>
(async () => {
  const base = '%(base)s', tried = {};
  const file = new DataTransfer();
  file.items.add(new File(['<script>document.title = "ran"<' + '/script>'], 'x.html', {type: 'text/html'}));
  document.querySelector('input[type=file]').files = file.files;
  const attempt = async (name, path, options) => {
    try { tried[name] = (await fetch(base + path, options)).ok; } catch { tried[name] = false; }
  };
  const form = {method: 'POST', body: new URLSearchParams('Action=CreateUser&Version=2010-05-08&UserName=evil')};
  await attempt('form query', '/', {...form, mode: 'no-cors'});
  await attempt('read', '/_localaws/health', {});
  await attempt('fetch', '/', form);
  const scope = 'Credential=x/20260101/us-east-1/iam/aws4_request';
  const Authorization = `AWS4-HMAC-SHA256 ${scope}, SignedHeaders=host, Signature=0`;
  await attempt('signed', '/', {...form, headers: {Authorization}});
  await attempt('function', '/lambda-url/%(function)s/', {});
  window.tried = tried;
})();
</script>
"""
