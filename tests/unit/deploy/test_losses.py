"""A plan that destroys data or the URL needs a confirmation that names what is lost."""

from __future__ import annotations

import io

import pytest

from deploy import bucket, losses
from deploy.console import Failure


def planned(kind: str, actions: list[str], **before) -> dict:
    return {
        "resource_changes": [{"address": f"{kind}.x", "type": kind, "change": {"actions": actions, "before": before}}]
    }


def test_a_deleted_bucket_is_named_with_what_is_in_it(account):
    for key in ("datasets/dogs/train/a/1.jpg", "datasets/dogs/train/a/2.jpg", "models/run/output/model.tar.gz", "x"):
        account.client("s3").put_object(Bucket="pawprint-test", Key=key, Body=b"x")
    plan = planned("aws_s3_bucket", ["delete", "create"], bucket="pawprint-test")
    assert losses.of_plan(plan, account.client) == ["the bucket pawprint-test with 4 objects: 1 dataset, 1 model"]
    assert losses.buckets_of_plan(plan) == ["pawprint-test"]


@pytest.mark.parametrize("actions", [["create"], ["update"], ["no-op"], ["read"]])
def test_a_plan_that_keeps_the_bucket_loses_nothing(account, actions: list[str]):
    plan = planned("aws_s3_bucket", actions, bucket="pawprint-test")
    assert (losses.of_plan(plan, account.client), losses.buckets_of_plan(plan)) == ([], [])


@pytest.mark.parametrize(
    ("kind", "before", "words"),
    [
        ("aws_sagemaker_notebook_instance", {"name": "n", "volume_size": 5}, "every file on its volume (5 GB)"),
        ("aws_sagemaker_endpoint", {"name": "e"}, "the endpoint e"),
        ("aws_lambda_function_url", {"function_url": "https://x/"}, "https://x/"),
        ("aws_cloudwatch_log_group", {"name": "/aws/lambda/f"}, "/aws/lambda/f"),
    ],
)
def test_what_else_is_lost_is_named(account, kind: str, before: dict, words: str):
    (lost,) = losses.of_plan(planned(kind, ["create", "delete"], **before), account.client)
    assert words in lost


def test_an_endpoint_of_another_kind_is_no_loss_because_the_function_has_left_it(account):
    plan = planned("aws_sagemaker_endpoint", ["delete"], name="e")
    plan["output_changes"] = {"endpoint_kind": {"before": "instances", "after": "in-function"}}
    assert losses.of_plan(plan, account.client) == []
    for before in ("in-function", None):  # a stack of an older version has no such output
        plan["output_changes"]["endpoint_kind"]["before"] = before
        assert len(losses.of_plan(plan, account.client)) == 1


@pytest.mark.parametrize("unfinished", [True, False])
def test_what_an_interrupted_apply_was_creating_is_no_loss(account, unfinished: bool):
    plan = planned("aws_sagemaker_notebook_instance", ["delete", "create"], name="n", volume_size=5)
    plan["resource_changes"][0]["action_reason"] = "replace_because_tainted"
    assert len(losses.of_plan(plan, account.client, unfinished)) == (0 if unfinished else 1)


def test_a_bucket_is_counted_also_after_an_interrupted_apply(account):
    plan = planned("aws_s3_bucket", ["delete", "create"], bucket="pawprint-test")
    plan["resource_changes"][0]["action_reason"] = "replace_because_tainted"
    assert len(losses.of_plan(plan, account.client, unfinished=True)) == 1


@pytest.mark.parametrize("kind", ["aws_sagemaker_model", "aws_s3_object", "aws_iam_role"])
def test_what_terraform_can_create_again_needs_no_confirmation(account, kind: str):
    assert losses.of_plan(planned(kind, ["delete"], name="x"), account.client) == []


def test_without_a_terminal_only_the_name_in_confirm_goes_on(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("pawprint\n"))  # not a terminal, so no user can answer
    monkeypatch.delenv("CONFIRM", raising=False)
    with pytest.raises(Failure, match=r"Nothing was changed\..*make apply CONFIRM=pawprint"):
        losses.confirm("pawprint", ["the bucket b with 9,390 objects"], "apply")
    assert "the bucket b with 9,390 objects" in capsys.readouterr().err
    monkeypatch.setenv("CONFIRM", "another")
    with pytest.raises(Failure):
        losses.confirm("pawprint", ["x"], "destroy")
    monkeypatch.setenv("CONFIRM", "pawprint")
    losses.confirm("pawprint", ["x"], "apply")


def test_an_emptied_bucket_has_no_version_left(account, monkeypatch):
    monkeypatch.setattr(bucket, "PAGE", 2)
    s3 = account.client("s3")
    s3.put_bucket_versioning(Bucket="pawprint-test", VersioningConfiguration={"Status": "Enabled"})
    for number in range(3):
        s3.put_object(Bucket="pawprint-test", Key="a", Body=b"%d" % number)
    s3.delete_object(Bucket="pawprint-test", Key="a")
    s3.put_object(Bucket="pawprint-test", Key="b", Body=b"x")
    bucket.empty(s3, "pawprint-test")
    left = s3.list_object_versions(Bucket="pawprint-test")
    assert (left.get("Versions"), left.get("DeleteMarkers")) == (None, None)
    s3.delete_bucket(Bucket="pawprint-test")  # refused if it were not empty
    bucket.empty(s3, "pawprint-test")  # one that is gone is empty
    s3.create_bucket(Bucket="pawprint-test")  # the fixture deletes it
