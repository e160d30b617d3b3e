from __future__ import annotations

import pytest

from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.sagemaker import promotion, releases
from deploy.sagemaker.releases import Release, Releases

BUCKET = "pawprint-test"


def put_model(account, run: str) -> None:
    account.client("s3").put_object(Bucket=BUCKET, Key=f"models/{run}/output/model.tar.gz", Body=b"x")


def test_what_is_written_is_read_again(account):
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

    with pytest.raises(Failure, match=r"no run nonsense.*run-1"):
        promotion.find_model(account.deployment, "nonsense")


def test_without_any_model_the_message_says_how_to_train_one(account):
    with pytest.raises(Failure, match="make train"):
        promotion.find_model(account.deployment, None)


def test_a_release_is_named_after_its_run_and_its_bytes():
    uri = f"s3://{BUCKET}/models/pawprint-train-20261122-160501/output/model.tar.gz"

    assert promotion.release_id(uri, "0123456789abcdef") == "pawprint-train-20261122-160501-01234567"
    assert promotion.release_id("s3://b/my model.v2.tar.gz", "abcdef0123") == "my-model-abcdef01"
    assert len(promotion.release_id(f"s3://b/models/{'x' * 90}/output/model.tar.gz", "abcdef0123")) <= 45
