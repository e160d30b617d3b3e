"""An account on the free plan: the settings of `aws` are refused before anything is created, `new-account`'s apply."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from localaws.ports import free_port
from tests.e2e.deployment import Deployment

pytestmark = pytest.mark.soak

NEW = {"ENV": "new-account", "REHEARSE": "1", "LOCALAWS_ACCOUNT": "new"}


@pytest.fixture
def new(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """GIVEN a fresh home and the limits of a new account. Its processes end with the test."""
    made = Deployment(home=tmp_path_factory.mktemp("new").resolve(), port=free_port(), asked=NEW)
    yield made
    made.run("local-down")


def test_the_settings_of_a_new_account_are_applied_serve_and_are_destroyed(new: Deployment):
    new.make("local-up")
    new.make("apply", timeout=3600)
    assert "No changes." in new.make("plan")
    assert json.loads(new.make("predict"))["predictions"][0]["probability"] > 0
    targets = new.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    assert targets["ScalableTargets"] == []

    new.make("destroy", "CONFIRM=pawprint")

    assert new.client("s3").list_buckets()["Buckets"] == []


def test_the_settings_for_aws_are_refused_with_values_that_work(new: Deployment):
    new.asked = {**NEW, "ENV": "aws"}
    new.make("local-up")

    refused = new.run("apply")

    assert refused.returncode != 0
    assert "Nothing was changed" in refused.stdout
    settings = (
        "(ml.t2.medium), and for ml.t* also endpoint.scaling = { min_instances = 1, max_instances = 1 }",
        "Set ec2.instance_type to c7i-flex.large",
        "Set predictor.reserved = null and predictor.provisioned = 0",
    )
    assert [each for each in settings if each not in refused.stdout] == []
    assert new.client("iam").list_roles(PathPrefix="/")["Roles"] == []
