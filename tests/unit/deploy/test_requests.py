"""What the command line sends: curl lines, signed requests, training settings."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from deploy import predict, train, url
from deploy.console import Failure


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "my dog's.jpg"
    path.write_bytes(b"jpeg")
    return path


def test_the_curl_line_is_signed_where_the_url_asks_for_it_and_plain_where_not(account, photograph: Path):
    line = url.curl_line(account.env, account.outputs, photograph)
    assert "--aws-sigv4 aws:amz:us-east-1:lambda" in line
    assert f"@{photograph}" in shlex.split(line)
    assert "Content-Type: image/jpeg" in line

    public = url.curl_line(account.env, {**account.outputs, "predictor_auth_type": "NONE"}, photograph)
    assert "sigv4" not in public


def test_a_url_is_sent_as_json_and_a_file_as_its_bytes(photograph: Path):
    assert predict.payload("https://example.com/a.jpg") == (
        json.dumps({"url": "https://example.com/a.jpg"}).encode(),
        "application/json",
    )
    assert predict.payload(str(photograph)) == (b"jpeg", "image/jpeg")


def test_a_missing_file_is_named():
    with pytest.raises(Failure, match=r"no file /nowhere/dog\.jpg"):
        predict.payload("/nowhere/dog.jpg")


def test_only_options_that_were_given_become_hyperparameters(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["train", "--epochs", "3", "--arch", "resnet50", "--fine-tune"])

    assert train.hyperparameters(train.parse()) == {"epochs": "3", "arch": "resnet50", "fine-tune": "True"}
    monkeypatch.setattr(sys, "argv", ["train"])
    assert train.hyperparameters(train.parse()) == {}


def test_resuming_takes_no_settings_but_the_jobs_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["train", "--resume", "pawprint-train-1"])
    assert train.parse().resume == "pawprint-train-1"

    monkeypatch.setattr(sys, "argv", ["train", "--resume", "pawprint-train-1", "--lr", "0.1", "--fine-tune"])
    with pytest.raises(Failure, match="leave out fine_tune, lr"):
        train.parse()
