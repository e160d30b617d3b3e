"""InvokeEndpoint, over a connection that is kept: what of boto3 this function needs, in a tenth of its start.

Credentials, region and address come from the environment, as Lambda and the SDKs name them. There are no retries: they
would spend the caller's time unseen and make a busy endpoint busier.
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
# What a kept connection ends with that the other side has closed meanwhile.
DEAD = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


class ServiceError(Exception):
    """The service refused or failed. `original_*` are the container's, where it was the container (ModelError)."""

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
    """Safe to use from several threads: each request has a connection of its own while it lasts."""

    def __init__(self, environ: Mapping[str, str]):
        """Raises ValueError where a variable is missing or wrong."""
        self._environ = environ
        self._region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""
        if not self._region:
            raise ValueError("AWS_REGION is not set")
        self._credentials()  # missing ones are said at the start
        suffix = "amazonaws.com.cn" if self._region.startswith("cn-") else "amazonaws.com"
        address = environ.get("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME") or environ.get("AWS_ENDPOINT_URL")
        parts = urlsplit(address or f"https://runtime.sagemaker.{self._region}.{suffix}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"AWS_ENDPOINT_URL is {address!r}, which is no address")
        self._host, self._port, self._netloc = parts.hostname, parts.port, parts.netloc
        self._tls = _tls(environ.get("AWS_CA_BUNDLE")) if parts.scheme == "https" else None
        self._kept: list[http.client.HTTPConnection] = []

    def invoke(self, endpoint: str, body: bytes, headers: Mapping[str, str], seconds: float) -> bytes:
        """The endpoint's answer. Raises ServiceError, OSError or HTTPException.

        `seconds` limits each step, the connecting and each read, not their sum.
        """
        connection = self._kept.pop() if self._kept else None
        if connection is not None:
            try:
                return self._exchange(connection, endpoint, body, headers, seconds)
            except DEAD:
                # It died unnoticed while Lambda held the environment frozen. Asking again on a new one costs no wait
                # and changes nothing there; a second failure is reported.
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
            self._credentials(),
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

    def _credentials(self) -> Credentials:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            if not self._environ.get(name):
                raise ValueError(f"{name} is not set")
        return Credentials(
            self._environ["AWS_ACCESS_KEY_ID"],
            self._environ["AWS_SECRET_ACCESS_KEY"],
            self._environ.get("AWS_SESSION_TOKEN") or None,
        )


def _tls(authorities: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authorities)


def from_environment() -> RuntimeClient:
    return RuntimeClient(os.environ)
