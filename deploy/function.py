"""Send a picture to the function URL and print the JSON answer.

The request is the one that `make curl` prints. It is signed with the caller's credentials if the URL requires AWS_IAM.
"""

from __future__ import annotations

import http.client
import io
import json
import mimetypes
import shlex
import socket
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from classifier.contract import JSON_TYPE, MAX_IMAGE_BYTES

from deploy import api_key, environment
from deploy.console import Failure
from deploy.deployment import Deployment

# The header of temporary credentials. A user's own credentials need no header: curl would sign an empty one without
# sending it, and AWS rejects that (IncompleteSignature). It is one word, "-HName: value", because zsh does not split
# expanded variables.
IF_TEMPORARY = '${AWS_SESSION_TOKEN:+"-HX-Amz-Security-Token: $AWS_SESSION_TOKEN"}'


UPLOAD_SECONDS = 60  # for each read and write


class LoopbackConnection(http.client.HTTPConnection):
    """HTTP to a `*.localhost` name. By RFC 6761 it is this machine, even if the system's resolver disagrees."""

    def connect(self) -> None:
        self.sock = socket.create_connection(("127.0.0.1", self.port), self.timeout)


def connect(url: str, timeout: float = 60) -> http.client.HTTPConnection:
    """A connection to the host of the function URL. The first request opens it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    kind = LoopbackConnection if host.endswith(".localhost") else http.client.HTTPSConnection
    return kind(host, parts.port, timeout=timeout)


class Signer:
    """Signs requests to the function URL, or to another service, with the caller's credentials (Signature Version 4).

    Raises Failure if there are no credentials. Temporary credentials are renewed when they expire.
    """

    def __init__(self, region: str, service: str = "lambda"):
        import boto3

        self._region, self._service = region, service
        self._credentials = boto3.Session().get_credentials()
        if self._credentials is None:
            raise Failure("The URL requires a signed request, and AWS credentials are missing. Log in first.")

    def sign(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
        """The headers plus the date, the signature and the token of temporary credentials."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        request = AWSRequest(method=method, url=url, data=body, headers=headers)
        SigV4Auth(self._credentials.get_frozen_credentials(), self._service, self._region).add_auth(request)
        return dict(request.headers.items())


class KeyHolder:
    """Adds the API key of the function URL to requests. Raises Failure if there is no key."""

    def __init__(self, deployment: Deployment):
        self._key = api_key.read(deployment)

    def sign(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
        """The headers plus the key."""
        return {**headers, api_key.HEADER: self._key}


def signer(deployment: Deployment) -> Signer | KeyHolder | None:
    """What authenticates requests to the function URL. None if the URL is public."""
    if deployment.predictor_auth_type == api_key.KEY:
        return KeyHolder(deployment)
    return Signer(deployment.region) if deployment.predictor_auth_type == "AWS_IAM" else None


def ask(
    deployment: Deployment, body: bytes, content_type: str, query: str = "", signing: Signer | KeyHolder | None = None
) -> tuple[int, bytes]:
    """Ask about an image, or send JSON. Returns the status and the body.

    `signing` is the signer for the URL, if the caller sends several requests. An image that is larger than a request
    may be is uploaded first, if the deployment takes uploads.
    """
    if len(body) > MAX_IMAGE_BYTES and deployment.outputs.get("predictor_uploads"):
        status, answer = _post(deployment, "upload-url", json.dumps({"bytes": len(body)}).encode(), JSON_TYPE, signing)
        if status != 200:
            return status, answer
        offer = json.loads(answer)
        _upload(offer["upload"], body)
        body, content_type = json.dumps(offer["image"]).encode(), JSON_TYPE
    return _post(deployment, query, body, content_type, signing)


def _upload(offer: dict, body: bytes) -> None:
    """Send the image to the address that the function gave. Raises Failure."""
    parts = urlsplit(offer["url"])
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=UPLOAD_SECONDS)
    try:
        connection.request(offer["method"], f"{parts.path}?{parts.query}", body=body, headers=offer["headers"])
        response = connection.getresponse()
        if response.status != 200:
            raise Failure(f"The upload to {parts.hostname} failed with status {response.status}.")
    except OSError as error:
        raise Failure(f"The upload to {parts.hostname} failed: {error}") from error
    finally:
        connection.close()


def _post(
    deployment: Deployment, target: str, body: bytes, content_type: str, signing: Signer | KeyHolder | None
) -> tuple[int, bytes]:
    """Send a POST request to the function URL; `target` is a path or a query. Returns the status and the body."""
    url = deployment.function_url + target
    headers = {"Content-Type": content_type}
    if signing := signing or signer(deployment):
        headers = signing.sign("POST", url, body, headers)
    parts = urlsplit(url)
    connection = connect(url)
    try:
        connection.request("POST", f"{parts.path or '/'}?{parts.query}".rstrip("?"), body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    except OSError as error:
        deployment.env.require_own_local_aws()
        raise Failure(f"{deployment.function_url} does not answer: {error}") from error
    finally:
        connection.close()


def sample_image() -> Path:
    """One handwritten digit of the sample data, as a file."""
    from deploy.sample_data import write_sample

    kept = environment.BUILD / "sample-digit.png"
    if not kept.is_file():
        with tempfile.TemporaryDirectory() as folder:
            write_sample(Path(folder))
            found = sorted((Path(folder) / "test").rglob("*.*"))[0]
            kept.parent.mkdir(exist_ok=True)
            kept.write_bytes(found.read_bytes())
    return kept


def payload(image: str | None) -> tuple[bytes, str]:
    """The request's body and content type for a file or a URL. Raises Failure if the file does not exist."""
    if image and image.startswith(("http://", "https://")):
        return json.dumps({"url": image}).encode(), "application/json"
    path = Path(image) if image else sample_image()
    if not path.is_file():
        raise Failure(f"The file {path} does not exist.")
    return path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def curl_line(deployment: Deployment, image: Path) -> str:
    """A curl command to paste into a shell. It signs the request if the URL requires AWS_IAM."""
    parts = ["curl -sS"]
    if deployment.predictor_auth_type == "AWS_IAM":
        parts.append(f"--aws-sigv4 aws:amz:{deployment.region}:lambda")
        if deployment.env.rehearsed:
            parts.append("--user test:test")
        else:
            parts += ['--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"', IF_TEMPORARY]
    if deployment.predictor_auth_type == api_key.KEY:
        parts.append(f'-H "{api_key.HEADER}: ${api_key.VARIABLE}"')
    _, content_type = payload(str(image))
    shown = image.relative_to(Path.cwd()) if image.is_relative_to(Path.cwd()) else image
    parts += [
        f"-H 'Content-Type: {content_type}'",
        f"--data-binary {shlex.quote(f'@{shown}')}",
        deployment.function_url,
    ]
    return " ".join(parts)


def credentials_hint(deployment: Deployment) -> str | None:
    """The shell command that exports the credentials for the curl command. None if it needs none."""
    if deployment.predictor_auth_type == api_key.KEY:
        return f"# the command reads the key from the environment: {api_key.command(deployment)}"
    if deployment.env.rehearsed or deployment.predictor_auth_type != "AWS_IAM":
        return None
    export = 'eval "$(aws configure export-credentials --format env)"'
    return f"# the command reads your credentials from the environment: {export}"


def grey_image() -> bytes:
    """A grey JPEG of 64 x 64 pixels, to see whether a model answers at all."""
    from PIL import Image

    image = io.BytesIO()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(image, format="JPEG")
    return image.getvalue()
