"""Classify images in S3 by a SageMaker batch transform job: its input, the job, and following it until it ends.

The job runs the current release in the endpoint's image (terraform/modules/batch). Its role reads `batch/` and
`datasets/` of the artifacts bucket and writes below `batch/`. Images from elsewhere are copied to `batch/<job>/input/`
first, with the caller's permissions.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from classifier.contract import JSON_TYPE, MAX_STORED_BYTES

from deploy import console, datasets, predictions
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.follow import Follow
from deploy.sagemaker import jobs

AT_ONCE = 4  # requests to each instance; times MAX_STORED_BYTES it must be within the 100 MB of CreateTransformJob
IMAGE_TYPE = "application/x-image"  # the bytes decide
READABLE = ("batch/", "datasets/")  # prefixes that the role of the jobs can read


@dataclass(frozen=True)
class BatchInput:
    """The images of a job: their address, which ends with a slash, and their names below it. `shown` is the address
    that the user gave, which also ends with a slash."""

    uri: str
    names: tuple[str, ...]
    shown: str


def prepare(deployment: Deployment, wanted: str, job: str) -> BatchInput:
    """The images of a folder or of an s3:// prefix where the job can read them. Raises Failure if there are none."""
    target = f"batch/{job}/input/"
    if wanted.startswith("s3://"):
        return _stored(deployment, wanted, target)
    folder = Path(wanted)
    if not folder.is_dir():
        raise Failure(f"{wanted} is not a folder. INPUT is a folder, or s3://bucket/prefix/.")
    paths = predictions.images_below(folder)
    if not paths:
        raise Failure(f"{wanted} has no image.")
    console.step(f"Uploading {len(paths):,} images")
    files = {f"{target}{path.relative_to(folder).as_posix()}": path for path in paths}
    datasets.mirror(deployment, target, files)
    uri = f"s3://{deployment.artifacts_bucket}/{target}"
    return BatchInput(uri, tuple(key.removeprefix(target) for key in files), f"{wanted.rstrip('/')}/")


def _stored(deployment: Deployment, wanted: str, target: str) -> BatchInput:
    bucket, prefix = urlsplit(wanted).netloc, wanted.removeprefix("s3://").partition("/")[2]
    prefix = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    s3 = deployment.client("s3", max_pool_connections=16)
    try:
        keys = sorted(_keys(s3, bucket, prefix))
    except s3.exceptions.ClientError as error:
        raise Failure(f"{wanted} cannot be read: {error}.") from None
    images = [key for key in keys if predictions.is_image(key.rpartition("/")[2])]
    if not images:
        raise Failure(f"{wanted} has no image.")
    predictions.tell_left_out(key.rpartition("/")[2] for key in keys if key not in set(images))
    names = tuple(key.removeprefix(prefix) for key in images)
    shown = f"s3://{bucket}/{prefix}"
    in_place = bucket == deployment.artifacts_bucket and prefix.startswith(READABLE) and len(images) == len(keys)
    if in_place:
        return BatchInput(shown, names, shown)
    console.step(f"Copying {len(images):,} images to s3://{deployment.artifacts_bucket}/{target}")
    copy(s3, bucket, prefix, names, f"s3://{deployment.artifacts_bucket}/{target}")
    return BatchInput(f"s3://{deployment.artifacts_bucket}/{target}", names, shown)


def _keys(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (item["Key"] for item in page.get("Contents", []) if not item["Key"].endswith("/"))


def copy(s3: Any, bucket: str, prefix: str, names: tuple[str, ...], target: str) -> None:
    """Copy objects below a prefix to another one, within S3. Raises Failure."""
    to_bucket, to_prefix = urlsplit(target).netloc, urlsplit(target).path.lstrip("/")

    def one(name: str) -> None:
        source = {"Bucket": bucket, "Key": f"{prefix}{name}"}
        s3.copy_object(Bucket=to_bucket, Key=f"{to_prefix}{name}", CopySource=source)

    with ThreadPoolExecutor(16) as pool, console.progress() as bar:
        try:
            for _ in bar.track(pool.map(one, names), total=len(names), description="copying"):
                pass
        except s3.exceptions.ClientError as error:
            pool.shutdown(wait=False, cancel_futures=True)
            raise Failure(f"The objects cannot be copied to {target}: {error}.") from None


def output_of(deployment: Deployment, job: str) -> str:
    return f"s3://{deployment.artifacts_bucket}/batch/{job}/output/"


def submit(deployment: Deployment, job: str, given: BatchInput, instances: int) -> None:
    """Create the transform job."""
    key = deployment.outputs.get("kms_key_arn")
    deployment.client("sagemaker").create_transform_job(
        TransformJobName=job,
        ModelName=deployment.batch_model_name,
        MaxConcurrentTransforms=AT_ONCE,
        MaxPayloadInMB=MAX_STORED_BYTES // 2**20,
        BatchStrategy="SingleRecord",
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": given.uri}},
            "ContentType": IMAGE_TYPE,
        },
        TransformOutput={
            "S3OutputPath": output_of(deployment, job).rstrip("/"),
            "Accept": JSON_TYPE,
            **({"KmsKeyId": key} if key else {}),
        },
        TransformResources={
            "InstanceType": deployment.batch_instance_type,
            "InstanceCount": instances,
            **({"VolumeKmsKeyId": key} if key else {}),
        },
        Tags=[{"Key": "project", "Value": deployment.name}],
    )


def follow(deployment: Deployment, job: str) -> dict:
    """Show a job's status and the number of its answers until it ends. Returns its description.

    Raises Failure if there is no such job. Ctrl-C leaves the job running.
    """
    end = f"aws sagemaker stop-transform-job --transform-job-name {job}"
    following = Follow(deployment, job, console.make(f"predict-batch RUN={job}"), end=end)
    description = describe(deployment, job)
    total = len(images_of(deployment, description).names)
    shown: tuple[str, int] | None = None

    def look() -> dict | None:
        nonlocal shown
        found = following.client("sagemaker").describe_transform_job(TransformJobName=job)
        prefix = f"batch/{job}/output/"
        answered = sum(1 for _ in _keys(following.client("s3"), deployment.artifacts_bucket, prefix))
        if shown != (found["TransformJobStatus"], answered):
            shown = found["TransformJobStatus"], answered
            console.step(f"{shown[0]}: {answered:,} of {total:,} images have an answer")
        return None if found["TransformJobStatus"] in jobs.UNFINISHED else found

    return following.until(look, seconds=5)


def describe(deployment: Deployment, job: str) -> dict:
    """A transform job's description. Raises Failure if the job does not exist."""
    sagemaker = deployment.client("sagemaker")
    try:
        return sagemaker.describe_transform_job(TransformJobName=job)
    except sagemaker.exceptions.ClientError as error:
        if error.response["Error"]["Code"] in ("ResourceNotFound", "ValidationException"):
            raise Failure(f"There is no transform job {job}.") from error
        raise


def images_of(deployment: Deployment, description: dict) -> BatchInput:
    """The images that a job was given, as its bucket has them now."""
    uri = description["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
    bucket, prefix = urlsplit(uri).netloc, urlsplit(uri).path.lstrip("/")
    keys = sorted(_keys(deployment.client("s3"), bucket, prefix))
    return BatchInput(uri, tuple(key.removeprefix(prefix) for key in keys), uri)


def all_jobs(deployment: Deployment) -> dict[str, str]:
    """The names of this deployment's transform jobs, with the status of each."""
    listed = deployment.client("sagemaker").get_paginator("list_transform_jobs")
    pages = listed.paginate(NameContains=f"{deployment.name}-batch-")
    found = {
        job["TransformJobName"]: job["TransformJobStatus"] for page in pages for job in page["TransformJobSummaries"]
    }
    return {name: status for name, status in found.items() if jobs.belongs(deployment.name, name)}


def stop_all(deployment: Deployment) -> None:
    """Stop this deployment's unfinished transform jobs, and wait until they have stopped."""
    sagemaker = deployment.client("sagemaker")
    running = [name for name, status in all_jobs(deployment).items() if status in jobs.UNFINISHED]
    for name in running:
        console.step(f"Stopping the transform job {name}")
        sagemaker.stop_transform_job(TransformJobName=name)
    delay = int(deployment.env.poll_seconds(15)) or 1
    for name in running:
        waiter = sagemaker.get_waiter("transform_job_completed_or_stopped")
        waiter.wait(TransformJobName=name, WaiterConfig={"Delay": delay})
