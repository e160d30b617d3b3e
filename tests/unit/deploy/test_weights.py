"""The weights of backbones that a job does not have: which, where they go, and what is refused before that."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest
import torch
from classifier.network.model import load_backbone, packaged_weights
from safetensors.torch import save_file

from deploy import options, weights
from deploy.console import Failure
from tests.unit.deploy.conftest import OUTPUTS


def given(**values: object) -> argparse.Namespace:
    return argparse.Namespace(**{"arch": None, "preset": None, "weights": None, "resolution": None} | values)


def test_a_job_with_the_default_network_gets_no_weights(account):
    assert weights.upload(account.deployment, given()) == []
    assert weights.upload(account.deployment, given(arch="resnet18")) == []


def test_weights_go_to_one_folder_named_after_their_contents_and_only_once(account, capsys):
    def upload() -> list[str]:
        return weights.upload(account.deployment, given(preset="fast"))

    addresses = upload()
    assert [address.rpartition("/")[2] for address in addresses] == ["efficientnet-lite1.pth", "efficientnet-lite2.pth"]
    assert len({address.rpartition("/")[0] for address in addresses}) == 1
    key = addresses[0].removeprefix(f"s3://{OUTPUTS['artifacts_bucket']}/")
    assert key.startswith("payloads/")  # a prefix that both training roles may read
    body = account.client("s3").get_object(Bucket=OUTPUTS["artifacts_bucket"], Key=key)["Body"].read()
    assert body == packaged_weights("efficientnet-lite1").read_bytes()
    assert "uploaded the weights of efficientnet-lite1 (22 MB)" in capsys.readouterr().out
    assert upload() == addresses
    assert "uploaded" not in capsys.readouterr().out
    alone = weights.upload(account.deployment, given(arch="efficientnet-lite1"))
    assert alone[0].rpartition("/")[0] != addresses[0].rpartition("/")[0]  # a channel is a whole folder


def refused(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["train", *arguments])
    with pytest.raises(Failure) as failure:
        options.training()
    return str(failure.value)


def test_own_weights_are_loaded_before_anything_is_sent(monkeypatch, tmp_path: Path):
    state = load_backbone().network.state_dict()
    own = tmp_path / "own.safetensors"
    save_file({f"module.{name}": value for name, value in state.items()}, own)
    monkeypatch.setattr(sys, "argv", ["train", "--weights", str(own)])
    assert weights.needed(options.training()) == {"efficientnet-lite0": own}

    assert "not those of efficientnet-lite1" in refused(
        monkeypatch, "--weights", str(own), "--arch", "efficientnet-lite1"
    )
    torch.save({"optimizer": {"lr": 1.0}}, tmp_path / "other.pth")
    assert "not a state dict" in refused(monkeypatch, "--weights", str(tmp_path / "other.pth"))
    assert "do not exist" in refused(monkeypatch, "--weights", str(tmp_path / "none.pth"))


def test_a_preset_excludes_what_it_chooses(monkeypatch):
    for name, value in (("arch", "efficientnet-lite1"), ("resolution", "160"), ("weights", "own.pth")):
        said = refused(monkeypatch, "--preset", "best", f"--{name}", value)
        assert f"leave out {name.upper()}" in said
