"""`make predict-batch`: classify many images by a SageMaker batch transform job, follow it, and write a CSV."""

from __future__ import annotations

from pathlib import Path

from classifier.contract import DEFAULT_TOP_K

from deploy import console, environment, predictions
from deploy.console import Failure
from deploy.costs import expected
from deploy.deployment import Deployment
from deploy.sagemaker import batch, batch_answers, jobs
from deploy.terraform import Stack


def main() -> int:
    parser = console.Parser(description="Classify many images by a SageMaker batch transform job.")
    parser.add_argument("--input", help="a folder, or s3://bucket/prefix/")
    parser.add_argument("--output", help="s3://bucket/prefix/ for a copy of the job's outputs, one for each image")
    parser.add_argument("--out", type=Path, help="the file for the CSV; default: <job>.csv")
    parser.add_argument("--top-k", type=int, choices=range(1, DEFAULT_TOP_K + 1), default=1, help="labels in the CSV")
    parser.add_argument("--instances", type=int, default=1, help="number of instances (default: 1)")
    parser.add_argument("--run", help="a job that was started before, to follow again")
    arguments = parser.parse_args()
    if bool(arguments.input) == bool(arguments.run):
        raise Failure(f"Give the images: {console.make('predict-batch INPUT=folder')}, or RUN= to follow a job again.")
    if arguments.output and not arguments.output.startswith("s3://"):
        raise Failure(f"OUTPUT is {arguments.output}, not an address s3://bucket/prefix/. The CSV has OUT=.")
    deployment = Stack(environment.current()).require_deployment()
    job = arguments.run or jobs.new_name(deployment.name, "batch")
    given = start(deployment, job, arguments.input, arguments.instances) if arguments.input else None
    ended = batch.follow(deployment, job)
    given = given or batch.images_of(deployment, ended)
    answers = batch_answers.read(deployment, job, given, ended)
    failures = predictions.show(answers, arguments.top_k, arguments.out or Path(f"{job}.csv"))
    if arguments.output:
        batch_answers.hand_over(deployment, job, arguments.output)
    if ended["TransformJobStatus"] != "Completed":
        raise Failure(f"The transform job {job} is {ended['TransformJobStatus']}. {ended.get('FailureReason') or ''}")
    return 1 if failures else 0


def start(deployment: Deployment, job: str, wanted: str, instances: int) -> batch.BatchInput:
    """Bring the images to where the job reads them, and create the job."""
    if instances < 1:
        raise Failure(f"INSTANCES is {instances}. A job has at least 1.")
    given = batch.prepare(deployment, wanted, job)
    expected.announce(expected.of_batch(deployment, len(given.names), instances))
    batch.submit(deployment, job, given, instances)
    console.done(f"{job}: {len(given.names):,} images of {given.shown}")
    return given


if __name__ == "__main__":
    console.run(main)
