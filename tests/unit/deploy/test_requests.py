"""The requests of the command line: curl commands, signed requests, training settings."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

import pytest

from deploy import function, options
from deploy.console import Failure


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "my dog's.jpg"
    path.write_bytes(b"jpeg")
    return path


def test_the_curl_command_is_signed_only_if_the_url_requires_it(account, photograph: Path):
    line = function.curl_line(account.deployment, photograph)
    assert "--aws-sigv4 aws:amz:us-east-1:lambda" in line
    assert f"@{photograph}" in shlex.split(line)
    assert "Content-Type: image/jpeg" in line

    public = function.curl_line(account.deployed(predictor_auth_type="NONE"), photograph)
    assert "sigv4" not in public


def test_a_url_is_sent_as_json_and_a_file_as_its_bytes(photograph: Path):
    assert function.payload("https://example.com/a.jpg") == (
        json.dumps({"url": "https://example.com/a.jpg"}).encode(),
        "application/json",
    )
    assert function.payload(str(photograph)) == (b"jpeg", "image/jpeg")


def test_a_missing_file_is_named():
    with pytest.raises(Failure, match=r"file /nowhere/dog\.jpg does not exist"):
        function.payload("/nowhere/dog.jpg")


PARSERS = {"train": options.training, "tune": options.tuning, "train-ec2": options.training_on_ec2}


def parsed(monkeypatch: pytest.MonkeyPatch, target: str, *given: str) -> argparse.Namespace:
    monkeypatch.setattr(sys, "argv", [target, *given])
    return PARSERS[target]()


@pytest.mark.parametrize("target", PARSERS)
def test_only_options_that_were_given_become_hyperparameters(monkeypatch: pytest.MonkeyPatch, target: str):
    given = parsed(monkeypatch, target, "--epochs", "3", "--arch", "resnet50", "--batch", "8", "--fine-tune")

    expected = {"epochs": "3", "arch": "resnet50", "batch-size": "8", "fine-tune": "True"}
    assert options.hyperparameters(given) == expected
    assert options.hyperparameters(parsed(monkeypatch, target)) == {}


@pytest.mark.parametrize("target", PARSERS)
@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("EPOCHS", "-5"),
        ("EPOCHS", "10001"),
        ("BATCH", "0"),
        ("LR", "nan"),
        ("LR", "0"),
        ("LR", "fast"),
        ("WEIGHT_DECAY", "-1"),
        ("DROPOUT", "1"),
        ("SEED", "18446744073709551616"),
        ("SEED", "-1"),
        ("AUGMENT", "rotate"),
        ("PRECISION", "fp16"),
        ("ARCH", "no such network"),
        ("ARCH", "nonsense"),
        ("MAX_MINUTES", "0"),
        ("MAX_MINUTES", "100000"),
    ],
)
def test_a_wrong_value_is_refused_under_its_make_variable(monkeypatch, target, variable, text):
    with pytest.raises(Failure, match=rf"^{variable}: .*make help"):
        parsed(monkeypatch, target, f"--{variable.lower().replace('_', '-')}={text}")


@pytest.mark.parametrize(
    ("target", "variable", "text"),
    [("train", "INSTANCES", "0"), ("train", "INSTANCES", "101"), ("tune", "JOBS", "0"), ("tune", "PARALLEL", "-1")],
)
def test_numbers_of_instances_and_trials_are_checked(monkeypatch, target, variable, text):
    with pytest.raises(Failure, match=rf"^{variable}: '{text}' is not a whole number from 1 to"):
        parsed(monkeypatch, target, f"--{variable.lower()}={text}")


def test_a_similar_network_name_is_suggested(monkeypatch):
    with pytest.raises(Failure, match=r"There is no network resnet5\. Did you mean resnet50"):
        parsed(monkeypatch, "train", "--arch", "resnet5")
    assert parsed(monkeypatch, "tune", "--arch", "resnet18,efficientnet-lite0").arch == "resnet18,efficientnet-lite0"
    with pytest.raises(Failure, match="There is no network nonsense"):
        parsed(monkeypatch, "tune", "--arch", "resnet18,nonsense")


@pytest.mark.parametrize(("target", "option"), [("train", "--resume"), *((target, "--run") for target in PARSERS)])
def test_an_existing_run_accepts_no_other_settings(monkeypatch, target, option):
    assert vars(parsed(monkeypatch, target, option, "pawprint-1"))[option[2:]] == "pawprint-1"

    with pytest.raises(Failure, match="leave out FINE_TUNE, BATCH, LR"):
        parsed(monkeypatch, target, option, "pawprint-1", "--lr", "0.1", "--fine-tune", "--batch", "8")


def test_up_forwards_the_options_of_train_except_the_dataset(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["up", "--data", "my photos", "--epochs", "3", "--fine-tune", "--verbose"])

    arguments, training = options.up()

    assert (arguments.data, arguments.verbose) == ("my photos", True)
    assert sorted(training) == ["--epochs", "--fine-tune", "3"]
    monkeypatch.setattr(sys, "argv", ["up", "--epochs", "0"])
    with pytest.raises(Failure, match=r"^EPOCHS: "):
        options.up()
