from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy import environment
from deploy.console import Failure


@pytest.fixture(autouse=True)
def restored_environment(monkeypatch: pytest.MonkeyPatch):
    """`current()` writes to os.environ, as it must; put everything back afterwards."""
    monkeypatch.setattr(os, "environ", os.environ.copy())


def test_local_never_sees_the_callers_credentials_profile_or_endpoints(tmp_path: Path):
    os.environ.update(
        ENV="local",
        PAWPRINT_HOME=str(tmp_path),
        AWS_PROFILE="production",
        AWS_ACCESS_KEY_ID="AKIAREAL",
        AWS_SESSION_TOKEN="real",
        AWS_ENDPOINT_URL_S3="https://s3.amazonaws.com",
        AWS_WEB_IDENTITY_TOKEN_FILE="/run/token",
    )

    environment.current()

    left = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    assert left.pop("AWS_ENDPOINT_URL").startswith("http://127.0.0.1:")
    assert left == {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def test_aws_keeps_the_callers_credentials(tmp_path: Path):
    os.environ.update(ENV="aws", PAWPRINT_HOME=str(tmp_path), AWS_PROFILE="production")

    env = environment.current()

    assert os.environ["AWS_PROFILE"] == "production"
    assert not env.is_local


def test_the_local_settings_name_the_invented_account_only():
    text = (environment.TERRAFORM / "environments" / "local.tfvars").read_text()

    assert 'allowed_account_ids = ["123456789012"]' in text


def test_an_unknown_environment_is_refused_and_the_known_ones_are_named(tmp_path: Path):
    os.environ.update(ENV="staging", PAWPRINT_HOME=str(tmp_path))

    with pytest.raises(Failure, match="There are aws and local"):
        environment.current()
