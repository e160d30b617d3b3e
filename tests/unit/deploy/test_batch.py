"""`make predict-batch`: where the images of a job are, and the answers of a job that has ended."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from deploy import predictions
from deploy.console import Failure
from deploy.sagemaker import batch, batch_answers

BUCKET = "pawprint-test"
JOB = "pawprint-batch-20261129-120000"
LABELS = [{"label": "cat", "probability": 0.75}, {"label": "dog", "probability": 0.25}]


@pytest.fixture
def deployment(account):
    return account.deployed(batch_log_group="/aws/sagemaker/TransformJobs")


def put(account, key: str, body: str = "x") -> None:
    account.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body.encode())


def test_the_images_of_a_folder_are_uploaded_and_the_other_files_named(account, deployment, tmp_path, capsys):
    (tmp_path / "deep").mkdir()
    for name in ("a.jpg", "deep/b.PNG", "notes.txt"):
        (tmp_path / name).write_text("x")
    given = batch.prepare(deployment, str(tmp_path), JOB)
    assert given == batch.BatchInput(f"s3://{BUCKET}/batch/{JOB}/input/", ("a.jpg", "deep/b.PNG"), f"{tmp_path}/")
    assert account.stored("batch/") == [f"batch/{JOB}/input/{name}" for name in given.names]
    assert "images: 1 .txt" in capsys.readouterr().err


def test_images_that_the_role_of_jobs_can_read_stay_where_they_are(account, deployment):
    put(account, "datasets/dogs/test/beagle/a.jpg")
    given = batch.prepare(deployment, f"s3://{BUCKET}/datasets/dogs/test", JOB)
    assert (given.uri, given.names) == (f"s3://{BUCKET}/datasets/dogs/test/", ("beagle/a.jpg",))
    assert account.stored("batch/") == []


@pytest.mark.parametrize("prefix", ["elsewhere/", "datasets/dogs/"])
def test_images_elsewhere_or_among_other_objects_are_copied(account, deployment, prefix):
    put(account, f"{prefix}a.jpg")
    put(account, f"{prefix}dataset.json")
    given = batch.prepare(deployment, f"s3://{BUCKET}/{prefix}", JOB)
    assert (given.uri, given.shown) == (f"s3://{BUCKET}/batch/{JOB}/input/", f"s3://{BUCKET}/{prefix}")
    assert account.stored("batch/") == [f"batch/{JOB}/input/a.jpg"]


@pytest.mark.parametrize("wanted", ["no-such-folder", f"s3://{BUCKET}/nothing/", "s3://no-such-bucket-here/"])
def test_a_place_without_images_is_refused_before_anything_is_uploaded(account, deployment, wanted):
    with pytest.raises(Failure, match=r"is not a folder|has no image|cannot be read"):
        batch.prepare(deployment, wanted, JOB)
    assert account.stored("batch/") == []


def test_an_image_without_an_output_has_the_reason_from_the_log(account, deployment, tmp_path: Path):
    given = batch.BatchInput(f"s3://{BUCKET}/batch/{JOB}/input/", ("a.jpg", "b.jpg", "c.jpg"), "photos/")
    put(account, f"batch/{JOB}/output/a.jpg.out", json.dumps({"predictions": LABELS}))
    place = f"{BUCKET}/batch/{JOB}/input/b.jpg"
    said = [
        "ClientError: 422",
        "",
        "Message:",
        json.dumps({"error": {"code": "x", "message": "It is not an image."}}),
    ]
    logs, stream = (
        account.client("logs"),
        {"logGroupName": deployment.batch_log_group, "logStreamName": f"{JOB}/i-1/data-log"},
    )
    logs.create_log_group(logGroupName=deployment.batch_log_group)
    logs.create_log_stream(**stream)
    lines = [f"2026-11-29T12:00:00.000:[sagemaker logs]: {place}: {line}" for line in said]
    now = round(time.time() * 1000)
    logs.put_log_events(**stream, logEvents=[{"timestamp": now, "message": line} for line in lines])
    ended = {"TransformJobStatus": "Failed", "FailureReason": "ClientError: See job logs for more information"}
    out = tmp_path / "answers.csv"
    assert predictions.show(batch_answers.read(deployment, JOB, given, ended), 1, out) == 2
    assert out.read_text().splitlines() == [
        "image,label,probability,error,known,distance",
        "photos/a.jpg,cat,0.7500,,,",
        "photos/b.jpg,,,It is not an image.,,",
        "photos/c.jpg,,,ClientError: See job logs for more information,,",
    ]
