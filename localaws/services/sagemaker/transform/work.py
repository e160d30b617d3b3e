"""The work on one object: read it, ask the containers, upload what they answer."""

import contextlib
import http.client
import json
import threading
from collections.abc import Generator
from typing import Any
from urllib.parse import urlparse

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError

from localaws.services.sagemaker.endpoints.container import HostingInstance
from localaws.services.sagemaker.endpoints.fleet import InstanceFleet
from localaws.services.sagemaker.transform.data_log import DataLog
from localaws.services.sagemaker.transform.payloads import TooLarge, TransformPlan

# ModelClientConfig in the API reference.
TIMEOUT_SECONDS = 600
RETRIES = 3
ADVICE_SECONDS = 5.0
CLIENT_ERROR, ALGORITHM_ERROR = "ClientError", "AlgorithmError"


def advised(instance: HostingInstance) -> dict[str, Any]:
    """What a container says at /execution-parameters; {} if it has no such path.

    Source: "Use your own inference code with batch transform" in the SageMaker developer guide.
    """
    connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=ADVICE_SECONDS)
    try:
        with contextlib.closing(connection):
            connection.request("GET", "/execution-parameters")
            answer = connection.getresponse()
            found = json.loads(answer.read()) if answer.status == 200 else {}
            return found if isinstance(found, dict) else {}
    except (OSError, ValueError, http.client.HTTPException):
        return {}


class Failed(Exception):
    """An object cannot be transformed: whose fault it is, and the words for the log."""

    def __init__(self, kind: str, what: str, message: str = ""):
        super().__init__(what)
        self.kind, self.what, self.message = kind, what, message


class Work:
    """Transforms the objects of one job, from several threads."""

    def __init__(self, request: dict[str, Any], plan: TransformPlan, fleet: InstanceFleet, s3: Any, data_log: DataLog):
        self._plan, self._fleet, self._s3, self._log = plan, fleet, s3, data_log
        self._output = urlparse(request["TransformOutput"]["S3OutputPath"])
        client = request.get("ModelClientConfig") or {}
        self._seconds = client.get("InvocationsTimeoutInSeconds", TIMEOUT_SECONDS)
        self._tries = 1 + client.get("InvocationsMaxRetries", RETRIES)
        self._headers = {
            "Content-Type": request["TransformInput"].get("ContentType"),
            "Accept": request["TransformOutput"].get("Accept"),
        }
        self._busy: dict[str, int] = {}
        self._lock = threading.Lock()

    def transform(self, bucket: str, key: str, name: str) -> str | None:
        """Write the output of one object. Gives ClientError or AlgorithmError if it has none."""
        last = ""
        try:
            with self._instance() as instance:
                last = instance.id
                content = self._read(bucket, key)
                answers = [self._ask(instance, body) for body in self._plan.requests(content)]
            self._write(f"{self._output.path.strip('/')}/{name}.out".lstrip("/"), self._plan.together(answers))
        except TooLarge as error:
            return self._fail(last, f"{bucket}/{key}", Failed(CLIENT_ERROR, "ClientError: 413", str(error)))
        except Failed as failed:
            return self._fail(last, f"{bucket}/{key}", failed)
        return None

    def _fail(self, instance: str, place: str, failed: Failed) -> str:
        self._log.failed(instance or "no-instance", place, failed.what, failed.message)
        return failed.kind

    @contextlib.contextmanager
    def _instance(self) -> Generator[HostingInstance]:
        """An instance that has fewer requests than MaxConcurrentTransforms. Raises Failed if none is healthy."""
        with contextlib.ExitStack() as stack:
            with self._lock:
                full = {each for each, count in self._busy.items() if count >= self._plan.concurrent}
                instance = stack.enter_context(self._fleet.instance(full))
                if instance is None:
                    raise Failed(ALGORITHM_ERROR, "Unable to get response from algorithm")
                self._busy[instance.id] = self._busy.get(instance.id, 0) + 1
            try:
                yield instance
            finally:
                with self._lock:
                    self._busy[instance.id] -= 1

    def _read(self, bucket: str, key: str) -> bytes:
        try:
            return self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except (ClientError, BotoCoreError) as error:
            raise Failed(CLIENT_ERROR, "ClientError: Unable to read the object", str(error)) from error

    def _write(self, key: str, content: bytes) -> None:
        try:
            self._s3.put_object(Bucket=self._output.netloc, Key=key, Body=content)
        except (ClientError, BotoCoreError, S3UploadFailedError) as error:
            raise Failed(CLIENT_ERROR, "ClientError: Unable to write the output", str(error)) from error

    def _ask(self, instance: HostingInstance, body: bytes) -> bytes:
        """A container's answer. A failure of the container is tried again, a refusal of the request is not."""
        status, answer = 0, b""
        for _ in range(self._tries):
            status, answer = self._exchange(instance, body)
            if 0 < status < 500:
                break
        if status == 200:
            return answer
        text = answer.decode("utf-8", "replace")
        if status == 0:
            raise Failed(ALGORITHM_ERROR, "Unable to get response from algorithm", text)
        if status < 500:
            raise Failed(CLIENT_ERROR, f"ClientError: {status}", text)
        raise Failed(ALGORITHM_ERROR, f"Bad HTTP status received from algorithm: {status}", text)

    def _exchange(self, instance: HostingInstance, body: bytes) -> tuple[int, bytes]:
        """(status, body) of an answer; the status is 0 without one."""
        headers = {name: value for name, value in self._headers.items() if value}
        try:
            connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=self._seconds)
            with contextlib.closing(connection):
                connection.request("POST", "/invocations", body, headers)
                answer = connection.getresponse()
                return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error).encode()
