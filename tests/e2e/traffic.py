"""Traffic to an endpoint while a test changes it: a fixed rate of requests whatever the answers, and what came back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


@dataclass(frozen=True)
class Outcome:
    """One request: when it was sent (seconds, monotonic), and the error's code, "" for an answer."""

    sent: float
    error: str


class Traffic:
    """Sends `rate` requests per second to an endpoint, from `with` to its end, and notes the stages of its updates."""

    def __init__(self, endpoint: str, image: bytes, rate: float, port: int, region: str):
        self.outcomes: list[Outcome] = []
        self.stages: list[tuple[float, str]] = []  # since when (seconds, monotonic) the endpoint is in a stage
        settings = {"region_name": region, "endpoint_url": f"http://127.0.0.1:{port}"}
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        once = Config(retries={"total_max_attempts": 1}, max_pool_connections=64, read_timeout=120)
        self._runtime = boto3.client("sagemaker-runtime", **settings, **keys, config=once)
        self._sagemaker = boto3.client("sagemaker", **settings, **keys)
        self._endpoint, self._image, self._interval = endpoint, image, 1 / rate
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(64)
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._look)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._pool.shutdown()

    def between(self, start: float, end: float) -> Counter[str]:
        """The outcomes of the requests that were sent in a time, by the error's code."""
        return Counter(each.error for each in list(self.outcomes) if start <= each.sent <= end)

    def _send(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            self._pool.submit(self._ask)
            due += self._interval

    def _ask(self) -> None:
        sent = time.monotonic()
        try:
            asked = {"ContentType": "image/jpeg", "Body": self._image}
            self._runtime.invoke_endpoint(EndpointName=self._endpoint, **asked)["Body"].read()
            error = ""
        except ClientError as refused:
            error = refused.response["Error"]["Code"]
        except BotoCoreError as lost:
            error = type(lost).__name__
        self.outcomes.append(Outcome(sent, error))

    def _look(self) -> None:
        while not self._over.wait(0.25):
            live = self._sagemaker.describe_endpoint(EndpointName=self._endpoint)
            variants = (live.get("PendingDeploymentSummary") or {}).get("ProductionVariants") or [{}]
            stage = (variants[0].get("VariantStatus") or [{}])[0].get("Status") or live["EndpointStatus"]
            if not self.stages or self.stages[-1][1] != stage:
                self.stages.append((time.monotonic(), stage))
