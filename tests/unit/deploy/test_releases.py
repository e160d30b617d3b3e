from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from classifier import artifact

from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.sagemaker import promotion, releases
from deploy.sagemaker.promotion import Checked
from deploy.sagemaker.releases import Release, Releases
from tests.unit.classifier.test_artifact import CARD

BUCKET = "pawprint-test"


def put_model(account, run: str) -> None:
    account.client("s3").put_object(Bucket=BUCKET, Key=f"models/{run}/output/model.tar.gz", Body=b"x")


def test_written_releases_are_read_back(account):
    written = Releases("b", {"b": Release("s3://x/b", 3), "a": Release("s3://x/a")})

    releases.write(account.deployment, written)

    assert releases.read(account.deployment) == written
    assert written.previous() == "a"


def test_nothing_promoted_yet_is_none_with_and_without_a_bucket(account):
    assert releases.read(account.deployment) is None
    assert releases.read(Deployment(account.env, {})) is None
    assert releases.read(account.deployed(artifacts_bucket="no-such-bucket")) is None


def test_the_newest_model_is_the_default_and_a_run_is_found_by_name(account):
    put_model(account, "run-1")
    assert promotion.find_model(account.deployment, None) == f"s3://{BUCKET}/models/run-1/output/model.tar.gz"

    put_model(account, "run-2")

    assert "run-2" in promotion.find_model(account.deployment, "run-2")


def test_an_unknown_run_is_refused_with_the_known_ones(account):
    put_model(account, "run-1")

    with pytest.raises(Failure, match=r"run nonsense does not exist.*run-1"):
        promotion.find_model(account.deployment, "nonsense")


def test_without_a_model_the_message_names_the_training_command(account):
    with pytest.raises(Failure, match="make train"):
        promotion.find_model(account.deployment, None)


def test_a_release_is_named_after_its_run_and_its_bytes():
    uri = f"s3://{BUCKET}/models/pawprint-train-20261122-160501/output/model.tar.gz"

    assert promotion.release_id(uri, "0123456789abcdef") == "pawprint-train-20261122-160501-01234567"
    assert promotion.release_id("s3://b/my model.v2.tar.gz", "abcdef0123") == "my-model-abcdef01"
    assert len(promotion.release_id(f"s3://b/models/{'x' * 90}/output/model.tar.gz", "abcdef0123")) <= 45


def test_a_promoted_archive_is_copied_to_releases_by_content(account):
    s3, key = account.client("s3"), "models/run-1/output/model.tar.gz"
    etag = s3.put_object(Bucket=BUCKET, Key=key, Body=b"model")["ETag"].strip('"')
    checked = Checked(f"s3://{BUCKET}/{key}", etag, card=CARD, sha256="ab")

    promotion.publish(account.deployment, checked)
    promotion.publish(account.deployment, checked)  # it is there

    assert promotion.published(account.deployment, checked) == f"s3://{BUCKET}/releases/ab/model.tar.gz"
    assert s3.get_object(Bucket=BUCKET, Key="releases/ab/model.tar.gz")["Body"].read() == b"model"


def test_an_archive_that_changes_after_its_check_is_not_published(account):
    s3, key = account.client("s3"), "models/run-1/output/model.tar.gz"
    etag = s3.put_object(Bucket=BUCKET, Key=key, Body=b"model")["ETag"].strip('"')
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"another")

    with pytest.raises(Failure, match=r"changed while it was checked\. Nothing was changed"):
        promotion.publish(account.deployment, Checked(f"s3://{BUCKET}/{key}", etag, card=CARD, sha256="ab"))
    assert account.stored("releases/") == []


# The files of an artifact of version 0.1 (commit 71564c4), and its card.
OLD_FILES = ("graph.xml", "graph.bin", "weights.safetensors", "config.yaml", "code/inference.py", "code/serve_app.py")
OLD_PACKAGE = ("code/classifier/__init__.py", "code/classifier/graph.py", "code/classifier/artifact.py")
OLD_CARD = {
    "name": "pawprint-train-20261101-080000",
    "architecture": "efficientnet-lite0",
    "classes": ["cat", "dog"],
    "labels": ["cat", "dog"],
    "input_size": 224,
    "mean": [127.0, 127.0, 127.0],
    "std": [128.0, 128.0, 128.0],
    "precision": "fp32",
    "created": "2026-11-01T08:00:00Z",
    "metrics": {"test_accuracy": 0.96},
    "data_sha256": None,
    "code_sha256": "0",
    "libraries": {"torch": "2.14.1"},
    "precision_reason": "asked for",
    "precision_accuracy": {},
}


def test_an_artifact_of_version_0_1_is_complete_and_refused_with_the_way_out(account, tmp_path: Path):
    """Its serving code cannot run in AWS's image, so it must not be promoted. It is valid otherwise."""
    folder, files = tmp_path / "model", {}
    for name in (*OLD_FILES, *OLD_PACKAGE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
        files[name] = hashlib.sha256(name.encode()).hexdigest()
    (folder / "model.json").write_text(json.dumps(OLD_CARD | {"files": files}))
    artifact.pack(folder, tmp_path / "model.tar.gz")
    assert artifact.validate(tmp_path / "model.tar.gz").classes == ("cat", "dog")
    account.client("s3").upload_file(str(tmp_path / "model.tar.gz"), BUCKET, "models/old/output/model.tar.gz")

    with pytest.raises(Failure, match=r"a version before 0\.2.*Train it again: make train\nNothing was changed"):
        promotion.check_archive(account.deployment, f"s3://{BUCKET}/models/old/output/model.tar.gz")
