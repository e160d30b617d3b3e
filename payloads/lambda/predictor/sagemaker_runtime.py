"""InvokeEndpoint over a persistent connection. It replaces boto3 here and starts in a tenth of the time.

Credentials, region and address come from the environment, as Lambda and the SDKs name them. There are no retries: they
would use up the caller's time and add load to a busy endpoint.
"""

import http.client
import json
import os
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from predictor.signature import Credentials, signed

CONNECT_SECONDS = 2.0
READ_SECONDS = 60.0  # SageMaker's own limit for an answer
# The errors of a kept connection that the server has closed meanwhile.
DEAD = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


class ServiceError(Exception):
    """The service refused or failed. `original_*` are from the container if the container failed (ModelError)."""

    def __init__(self, status: int, headers: http.client.HTTPMessage | Mapping[str, str], body: bytes):
        try:
            told = json.loads(body)
        except ValueError:
            told = {}
        told = told if isinstance(told, dict) else {}
        named = headers.get("x-amzn-errortype") or told.get("__type") or told.get("code") or ""
        self.status = status
        self.code = str(named).partition(":")[0].rpartition("#")[2]
        self.message = str(told.get("message") or told.get("Message") or "")
        self.original_status = told.get("OriginalStatusCode") or 0
        self.original_message = str(told.get("OriginalMessage") or "")
        super().__init__(f"{self.code or status}: {self.message}")


class RuntimeClient:
    """A client for several threads. Each running request has its own connection."""

    def __init__(self, environ: Mapping[str, str]):
        """Raises ValueError if a variable is missing or wrong."""
        self._environ = environ
        self._region = region_of(environ)
        credentials_of(environ)  # fails at the start if they are missing
        suffix = "amazonaws.com.cn" if self._region.startswith("cn-") else "amazonaws.com"
        address = environ.get("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME") or environ.get("AWS_ENDPOINT_URL")
        parts = urlsplit(address or f"https://runtime.sagemaker.{self._region}.{suffix}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"AWS_ENDPOINT_URL is {address!r}, which is not an address")
        self._host, self._port, self._netloc = parts.hostname, parts.port, parts.netloc
        self._tls = _tls(environ.get("AWS_CA_BUNDLE")) if parts.scheme == "https" else None
        self._kept: list[http.client.HTTPConnection] = []

    def invoke(self, endpoint: str, body: bytes, headers: Mapping[str, str], seconds: float) -> bytes:
        """The endpoint's answer. Raises ServiceError, OSError or HTTPException.

        `seconds` limits each step (the connect and each read), not their sum.
        """
        connection = self._kept.pop() if self._kept else None
        if connection is not None:
            try:
                return self._exchange(connection, endpoint, body, headers, seconds)
            except DEAD:
                # The connection ended while Lambda held the environment frozen. A retry on a new one takes no extra
                # wait and is safe. A second failure is raised.
                connection.close()
        return self._exchange(self._connection(seconds), endpoint, body, headers, seconds)

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        endpoint: str,
        body: bytes,
        headers: Mapping[str, str],
        seconds: float,
    ) -> bytes:
        path = f"/endpoints/{quote(endpoint, safe='')}/invocations"
        sent = signed(
            "POST",
            path,
            {"Host": self._netloc, **headers},
            body,
            credentials_of(self._environ),
            self._region,
            "sagemaker",
            datetime.now(UTC),
        )
        try:
            if connection.sock is not None:
                connection.sock.settimeout(min(READ_SECONDS, seconds))
            connection.request("POST", path, body, sent)
            connection.sock.settimeout(min(READ_SECONDS, seconds))
            answer = connection.getresponse()
            content = answer.read()
        except BaseException:
            connection.close()
            raise
        if answer.will_close:
            connection.close()
        else:
            self._kept.append(connection)
        if answer.status != 200:
            raise ServiceError(answer.status, answer.headers, content)
        return content

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        timeout = min(CONNECT_SECONDS, seconds)
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)


def region_of(environ: Mapping[str, str]) -> str:
    """Raises ValueError if it is missing."""
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise ValueError("AWS_REGION is not set")
    return region


def credentials_of(environ: Mapping[str, str]) -> Credentials:
    """Raises ValueError if they are missing."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        if not environ.get(name):
            raise ValueError(f"{name} is not set")
    return Credentials(
        environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], environ.get("AWS_SESSION_TOKEN") or None
    )


def _tls(authorities: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authorities)


def from_environment() -> RuntimeClient:
    return RuntimeClient(os.environ)
