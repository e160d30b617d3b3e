from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from pathlib import Path

import pytest

from deploy import console, environment, terraform
from deploy.console import Failure


@pytest.fixture(autouse=True)
def restored_environment(monkeypatch: pytest.MonkeyPatch):
    """`current()` writes to os.environ, so restore everything afterwards."""
    monkeypatch.setattr(os, "environ", os.environ.copy())


@pytest.mark.parametrize("asked", [{"ENV": "local"}, {"ENV": "aws", "REHEARSE": "1"}, {"ENV": "aws", "REHEARSE": "0"}])
def test_a_rehearsal_never_sees_the_callers_credentials_profile_or_endpoints(tmp_path: Path, asked: dict):
    os.environ.update(
        asked,
        PAWPRINT_HOME=str(tmp_path),
        AWS_PROFILE="production",
        AWS_ACCESS_KEY_ID="AKIAREAL",
        AWS_SESSION_TOKEN="real",
        AWS_ENDPOINT_URL="https://sts.amazonaws.com",
        AWS_ENDPOINT_URL_S3="https://s3.amazonaws.com",
        AWS_WEB_IDENTITY_TOKEN_FILE="/run/token",
        AWS_REGION="eu-west-1",
    )

    env = environment.current()

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
    assert env.rehearsed
    assert env.tfvars.stem == asked["ENV"], "the settings are those of ENV"
    assert env.client("s3", "us-east-1").meta.endpoint_url.startswith("http://127.0.0.1:")


def test_aws_keeps_the_callers_credentials(tmp_path: Path):
    os.environ.update(ENV="aws", PAWPRINT_HOME=str(tmp_path), AWS_PROFILE="production")
    os.environ.pop("REHEARSE", None)

    env = environment.current()

    assert os.environ["AWS_PROFILE"] == "production"
    assert not env.rehearsed
    assert (env.poll_seconds(5), str(env)) == (5, "ENV=aws")


def test_the_three_homes_share_neither_a_state_nor_a_local_aws(tmp_path: Path):
    os.environ.update(PAWPRINT_HOME=str(tmp_path))
    os.environ.pop("LOCALAWS_PORT", None)
    homes, servers = [], []
    for asked in ({"ENV": "local", "REHEARSE": ""}, {"ENV": "aws", "REHEARSE": "1"}, {"ENV": "aws", "REHEARSE": ""}):
        os.environ.update(asked)
        for name in ("LOCALAWS_HOME", "LOCALAWS_PORT", "AWS_ENDPOINT_URL"):
            os.environ.pop(name, None)
        homes.append(environment.current().home)
        servers.append((os.environ.get("LOCALAWS_HOME"), os.environ.get("AWS_ENDPOINT_URL")))

    assert homes == [tmp_path / "local", tmp_path / "aws-rehearsal", tmp_path / "aws"]
    assert servers == [
        (str(tmp_path / "localaws"), "http://127.0.0.1:4566"),
        (str(tmp_path / "aws-rehearsal" / "localaws"), "http://127.0.0.1:4567"),
        (None, None),
    ]


@pytest.mark.parametrize("asked", ["ENV=local", "ENV=aws REHEARSE=1"])
def test_local_up_starts_the_local_aws_that_the_commands_look_for(tmp_path: Path, asked: str):
    """The Makefile sets the home and the port of the local AWS, `deploy.environment` those of all commands. They must
    agree."""
    rule = "show:; @echo $$LOCALAWS_HOME http://127.0.0.1:$$LOCALAWS_PORT"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LOCALAWS", "MAKE", "REHEARSE"))}
    clean["PAWPRINT_HOME"] = str(tmp_path)
    argv = ["make", "--no-print-directory", f"--eval={rule}", "show", *asked.split()]
    said = subprocess.run(argv, cwd=environment.ROOT, env=clean, capture_output=True, text=True, check=True).stdout

    os.environ.clear()
    os.environ.update(clean, **dict(part.split("=") for part in asked.split()))
    environment.current()

    assert said.split() == [os.environ["LOCALAWS_HOME"], os.environ["AWS_ENDPOINT_URL"]]


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "4566 ", "\u0664\u0665"])
def test_a_port_that_is_none_is_named(tmp_path: Path, port: str):
    os.environ.update(ENV="local", PAWPRINT_HOME=str(tmp_path), LOCALAWS_PORT=port)
    with pytest.raises(Failure, match=r"LOCALAWS_PORT is .* from 1 to 65535"):
        environment.current()


def test_no_proxy_is_between_a_command_and_the_local_aws(tmp_path: Path, monkeypatch):
    """Programs read the variable in lower case first."""
    monkeypatch.setenv("no_proxy", "example.com")
    os.environ.update(ENV="local", PAWPRINT_HOME=str(tmp_path), http_proxy="http://127.0.0.1:9")
    environment.current()
    assert urllib.request.proxy_bypass("127.0.0.1") and urllib.request.proxy_bypass("localhost")


def test_targets_of_one_command_run_one_after_the_other(tmp_path: Path):
    """`make -j data train promote` would train before the data are there."""
    rules = [f"--eval={name}:; @echo {name} starts; sleep 0.1; echo {name} ends" for name in ("one", "two")]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    argv = ["make", "-j", "4", "--no-print-directory", *rules, "one", "two"]
    said = subprocess.run(argv, cwd=environment.ROOT, env=clean, capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["one starts", "one ends", "two starts", "two ends"]


def test_a_dress_rehearsal_is_named_in_commands_to_paste(tmp_path: Path):
    os.environ.update(ENV="aws", REHEARSE="1", PAWPRINT_HOME=str(tmp_path), LOCALAWS_PORT="1")

    assert console.make("promote") == "make promote ENV=aws REHEARSE=1"
    with pytest.raises(Failure, match="make local-up ENV=aws REHEARSE=1"):
        environment.current().require_access()


def test_a_dress_rehearsal_asks_before_a_destroy_and_the_rehearsal_does_not(tmp_path: Path):
    os.environ.update(ENV="aws", REHEARSE="1", PAWPRINT_HOME=str(tmp_path))
    assert environment.current().asks_before_destroy
    os.environ.update(ENV="local")
    assert not environment.current().asks_before_destroy


@pytest.mark.parametrize(
    ("asked", "files"),
    [
        ({"ENV": "aws", "REHEARSE": "1"}, ["aws.tfvars", "rehearsal.tfvars.json"]),
        ({"ENV": "aws", "REHEARSE": ""}, ["aws.tfvars"]),
        ({"ENV": "local", "REHEARSE": "1"}, ["local.tfvars"]),
    ],
)
def test_terraform_gets_the_settings_of_aws_and_in_a_rehearsal_the_local_account_behind_them(
    tmp_path: Path, monkeypatch, asked: dict, files: list[str]
):
    os.environ.update(asked, PAWPRINT_HOME=str(tmp_path))
    made = terraform.Stack(environment.current())
    monkeypatch.setattr(made, "init", lambda: None)

    with made._inputs() as arguments:
        given = [Path(file) for file in arguments["var_file"]]

    assert [file.name for file in given] == files
    if len(given) > 1:
        assert json.loads(given[-1].read_text())["allowed_account_ids"] == ["123456789012"]


def test_the_local_settings_name_the_invented_account_only():
    text = (environment.TERRAFORM / "environments" / "local.tfvars").read_text()

    assert 'allowed_account_ids = ["123456789012"]' in text


def test_an_unknown_environment_is_refused_and_the_known_ones_are_named(tmp_path: Path):
    os.environ.update(ENV="staging", PAWPRINT_HOME=str(tmp_path))

    with pytest.raises(Failure, match="Use one of: aws and local"):
        environment.current()
