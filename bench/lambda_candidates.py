"""The measurements of the bench of the function: process starts, and requests to a separate local AWS."""

from __future__ import annotations

import http.client
import io
import os
import statistics
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from bench.own_aws import PATIENCE, OwnAws, until
from deploy.build.package import LAMBDA_MODULES, payload_members

ROOT = Path(__file__).parents[1]
FUNCTION = ROOT / "payloads" / "lambda"
CONTRACT = ROOT / "payloads" / "shared" / "classifier"
STARTS = 5

PROGRAMS = {
    "boto3": "import boto3; boto3.client('sagemaker-runtime')",
    "function": f"import sys; sys.path[:0] = [{str(FUNCTION)!r}, {str(CONTRACT.parent)!r}]; import handler",
}
# The value that Lambda sets.
ENVIRONMENT = {
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "ENDPOINT_NAME": "bench",
}

ANSWER = {"predictions": [{"label": "beagle", "probability": 1.0}], "model": {"name": "bench"}}
MODEL = f"""
import json
def model_fn(folder): return None
def input_fn(body, content_type, context): return body
def predict_fn(body, model): return {ANSWER!r}
def output_fn(prediction, accept): return json.dumps(prediction), "application/json"
"""
IMAGE = b"\xff\xd8\xff\xe0" + bytes(100_000)
ROLE = "arn:aws:iam::123456789012:role/bench"


def process_start(what: str) -> Callable[[], float]:
    """Measure the median time of some starts, in ms."""

    def measure() -> float:
        times = []
        for _ in range(STARTS):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", PROGRAMS[what]], env={**os.environ, **ENVIRONMENT}, check=True)
            times.append((time.perf_counter() - began) * 1000)
        return statistics.median(times)

    return measure


class Asking:
    """A local AWS with an endpoint and a function in front of it. Each call measures the median answer time, in ms."""

    def __init__(self, through: str, requests: int):
        sys.path[:0] = [str(FUNCTION)]
        self._requests = requests
        self._aws = OwnAws()
        try:
            self._endpoint()
            path = "/endpoints/bench/invocations"
            self._host, self._path, self._service = f"127.0.0.1:{self._aws.port}", path, "sagemaker"
            if through == "function":
                self._host, self._path, self._service = self._function(), "/", "lambda"
            self._connection = http.client.HTTPConnection("127.0.0.1", self._aws.port, timeout=PATIENCE)
            self._ask()
        except BaseException:
            self.close()
            raise

    def __call__(self) -> dict:
        times = sorted(self._ask() for _ in range(self._requests))
        return {"value": statistics.median(times), "p90_ms": times[int(0.9 * len(times))]}

    def close(self) -> None:
        self._aws.close()

    def _ask(self) -> float:
        from predictor.signature import Credentials, signed  # the function's own module

        headers = {"Host": self._host, "Content-Type": "image/jpeg", "Accept": "application/json"}
        keys, now = Credentials("test", "test"), datetime.now(UTC)
        sent = signed("POST", self._path, headers, IMAGE, keys, "us-east-1", self._service, now)
        began = time.perf_counter()
        self._connection.request("POST", self._path, IMAGE, sent)
        answer = self._connection.getresponse()
        body = answer.read()
        took = (time.perf_counter() - began) * 1000
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {body[:500]!r}")
        return took

    def _endpoint(self) -> None:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            member = tarfile.TarInfo("code/inference.py")
            member.size = len(MODEL)
            tar.addfile(member, io.BytesIO(MODEL.encode()))
        s3, sagemaker = self._aws.client("s3"), self._aws.client("sagemaker")
        s3.create_bucket(Bucket="bench")
        s3.put_object(Bucket="bench", Key="model.tar.gz", Body=archive.getvalue())
        container = {"Image": "bench", "ModelDataUrl": "s3://bench/model.tar.gz"}
        sagemaker.create_model(ModelName="bench", PrimaryContainer=container, ExecutionRoleArn=ROLE)
        variant = {
            "VariantName": "main",
            "ModelName": "bench",
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
        }
        sagemaker.create_endpoint_config(EndpointConfigName="bench", ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName="bench", EndpointConfigName="bench")
        until(lambda: sagemaker.describe_endpoint(EndpointName="bench")["EndpointStatus"] == "InService", "in service")

    def _function(self) -> str:
        """Create the function with one provisioned environment. Returns the host of its URL."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as package:
            for name, path in payload_members("lambda", only=LAMBDA_MODULES):
                package.write(path, name)
        client, named = self._aws.client("lambda"), {"FunctionName": "bench"}
        self._aws.client("iam").create_role(RoleName="bench", AssumeRolePolicyDocument="{}")
        client.create_function(
            **named,
            Role=ROLE,
            Runtime="python3.13",
            Handler="handler.handler",
            Code={"ZipFile": archive.getvalue()},
            Environment={"Variables": {"ENDPOINT_NAME": "bench"}},
            Timeout=30,
            Publish=True,
        )
        client.create_alias(**named, Name="live", FunctionVersion="1")
        live = {**named, "Qualifier": "live"}
        client.put_provisioned_concurrency_config(**live, ProvisionedConcurrentExecutions=1)
        until(lambda: client.get_provisioned_concurrency_config(**live)["Status"] == "READY", "it is warm")
        return urlsplit(client.create_function_url_config(**live, AuthType="AWS_IAM")["FunctionUrl"]).netloc
