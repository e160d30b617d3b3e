"""A moto server on a real socket, for the tests of deploy that use AWS."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from deploy import environment
from deploy.deployment import Deployment
from deploy.environment import Environment

OUTPUTS = {
    "name": "pawprint",
    "region": "us-east-1",
    "artifacts_bucket": "pawprint-test",
    "training_log_group": "/aws/sagemaker/TrainingJobs",
    "predictor_auth_type": "AWS_IAM",
    "function_url": "http://abc.lambda-url.us-east-1.localhost:4566/",
}


@dataclass
class Account:
    env: Environment
    outputs: dict

    @property
    def deployment(self) -> Deployment:
        return Deployment(self.env, self.outputs)

    def deployed(self, **outputs: str) -> Deployment:
        """The deployment with additional or changed outputs."""
        return Deployment(self.env, self.outputs | outputs)

    def client(self, service: str):
        return self.env.client(service, "us-east-1")

    def stored(self, prefix: str = "") -> list[str]:
        listed = self.client("s3").list_objects_v2(Bucket=self.outputs["artifacts_bucket"], Prefix=prefix)
        return [item["Key"] for item in listed.get("Contents", [])]


@pytest.fixture(scope="session")
def moto_port() -> Iterator[int]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def account(moto_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    """An empty account with the artifacts bucket. Clients reach it as with `ENV=local`."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID"):
        monkeypatch.setenv(name, "the-callers-own")
    monkeypatch.setenv("PAWPRINT_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAWS_PORT", str(moto_port))
    monkeypatch.setenv("ENV", "local")
    empty(moto_port)
    made = Account(environment.current(), dict(OUTPUTS))
    made.client("s3").create_bucket(Bucket=OUTPUTS["artifacts_bucket"])
    return made


def empty(moto_port: int) -> None:
    """Remove everything that a test before this one made in the account, whether or not it passed."""
    connection = http.client.HTTPConnection("127.0.0.1", moto_port, timeout=60)
    connection.request("POST", "/moto-api/reset")
    assert connection.getresponse().status == 200
    connection.close()
