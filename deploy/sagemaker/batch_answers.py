"""The answers of a batch transform job: its outputs in S3, and in its log why an image has none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from deploy import console
from deploy.deployment import Deployment
from deploy.log_tail import LogTail
from deploy.predictions import Answered, read_answer, trust_of
from deploy.sagemaker import batch

AT_ONCE = 16
SAID = re.compile(r"\[sagemaker logs\]: (?P<place>.*?): (?P<text>.*)")
HEADS = ("", "Message:")


def read(deployment: Deployment, job: str, given: batch.BatchInput, ended: dict) -> Iterator[Answered]:
    """An answer for each image of a job that has ended, in the order of their names."""
    bucket, prefix = deployment.artifacts_bucket, f"batch/{job}/output/"
    s3 = deployment.client("s3", max_pool_connections=AT_ONCE)
    reasons: dict[str, str] = {}
    if ended["TransformJobStatus"] != "Completed":
        reasons = why(deployment, job)
    place = given.uri.removeprefix("s3://")
    unknown = ended.get("FailureReason") or f"The job is {ended['TransformJobStatus']}"

    def one(name: str) -> Answered:
        try:
            content = s3.get_object(Bucket=bucket, Key=f"{prefix}{name}.out")["Body"].read()
        except s3.exceptions.NoSuchKey:
            return Answered(f"{given.shown}{name}", [], reasons.get(f"{place}{name}", unknown))
        return Answered(f"{given.shown}{name}", *read_answer(200, content), trust_of(content))

    with ThreadPoolExecutor(AT_ONCE) as pool, console.progress() as bar:
        yield from bar.track(pool.map(one, given.names), total=len(given.names), description="reading")


def why(deployment: Deployment, job: str) -> dict[str, str]:
    """For each image without an output (bucket/key), what the container said, or else what SageMaker said."""
    tail = LogTail(lambda: deployment.client("logs"), deployment.batch_log_group, f"{job}/")
    found: dict[str, str] = {}
    for stream, line in tail.poll():
        if stream.endswith("/data-log") and (said := SAID.search(line)) and said["text"].strip() not in HEADS:
            found[said["place"]] = _message(said["text"])
    return found


def _message(text: str) -> str:
    """The message of an error of the contract, or the text."""
    try:
        return json.loads(text)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return text


def hand_over(deployment: Deployment, job: str, output: str) -> None:
    """Copy the outputs of a job to another place in S3. Raises Failure."""
    s3, bucket, prefix = deployment.client("s3"), deployment.artifacts_bucket, f"batch/{job}/output/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    names = tuple(item["Key"].removeprefix(prefix) for page in pages for item in page.get("Contents", []))
    target = output if urlsplit(output).path.endswith("/") else f"{output}/"
    batch.copy(s3, bucket, prefix, names, target)
    console.note(f"{len(names):,} outputs: {target}")
