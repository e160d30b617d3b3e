"""Train an image classifier on one instance with many threads: data from S3, artifact to S3.

    python train_ec2.py --run dogs-1 --dataset s3://bucket/datasets/dogs \\
        --serving s3://bucket/payloads/inference/abc.tar.gz --output s3://bucket/models/dogs-1/output/ \\
        --threads 8 --workers 8

The training is that of a SageMaker job (`classifier.job`) and writes the same two archives, model.tar.gz and
output.tar.gz. If threads or workers are not given, autotuning chooses them in some seconds. The cache of images and the
checkpoint of the run are under --home. If an interrupted run is started again under the same name, it continues.

If a run fails, the last line on stderr is the reason.
"""

import argparse
import re
import signal
import sys
from pathlib import Path

from classifier.settings import add_arguments, from_arguments


def main() -> int:
    signal.signal(signal.SIGTERM, stop)
    arguments = parse()

    print("loading PyTorch and OpenVINO", flush=True)
    from classifier import job  # imports torch, so after the arguments were parsed
    from storage import StorageError

    try:
        train(arguments)
    except (*job.EXPECTED_ERRORS, StorageError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train an image classifier with data from S3.")
    parser.add_argument("--run", type=run_name, required=True, help="name of the run and the model")
    parser.add_argument("--dataset", required=True, help="s3:// prefix of train/, valid/ and test/")
    parser.add_argument("--serving", required=True, help="s3:// address of the serving code, inference.tar.gz")
    parser.add_argument("--output", required=True, help="s3:// prefix for model.tar.gz and output.tar.gz")
    parser.add_argument("--weights", help="s3:// addresses of state dicts of backbones, with commas")
    parser.add_argument(
        "--home", type=Path, default=Path("opt/pawprint"), help="folder for runs and the cache (%(default)s)"
    )
    parser.add_argument("--instance-type", help="type of this instance, for the cost in the report")
    add_arguments(parser)
    parser.set_defaults(autotune=True)
    return parser.parse_args()


def train(arguments: argparse.Namespace) -> None:
    """Download, train, upload. The model is uploaded last: if model.tar.gz exists, the run is complete."""
    import housekeeping
    from classifier import artifact, job
    from storage import Storage

    storage = Storage()
    storage.check_bucket(arguments.output)  # before hours of training, not after
    folder = arguments.home / "runs" / arguments.run
    housekeeping.begin(folder)
    housekeeping.prune(arguments.home)
    weights = None
    if arguments.weights:
        weights = folder / "weights"
        for address in arguments.weights.split(","):
            storage.fetch(address, weights / address.rpartition("/")[2])
    places = job.Places(
        splits=storage.fetch_dataset(arguments.dataset, folder / "data", arguments.home / "cache"),
        serving=storage.fetch(arguments.serving, folder / "inference.tar.gz"),
        model=folder / "model",
        output=folder / "output",
        weights=weights,
        checkpoints=folder / "checkpoints",
        origin=arguments.dataset,
    )
    machine = job.Machine(arguments.threads, arguments.workers, autotune=arguments.autotune)
    job.run(arguments.run, places, from_arguments(arguments), machine, job.TrainingInstances(arguments.instance_type))

    for name, source in (("output.tar.gz", places.output), ("model.tar.gz", places.model)):
        artifact.pack(source, folder / name)
        uri = f"{arguments.output.rstrip('/')}/{name}"
        storage.put(folder / name, uri)
        print(f"uploaded {uri}", flush=True)
    housekeeping.finish(folder)


def run_name(text: str) -> str:
    """The name of a run. It has the form of a SageMaker job name, because it names a folder and a prefix in S3."""
    if not re.fullmatch(r"[A-Za-z0-9](-?[A-Za-z0-9]){0,62}", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a run name: use letters, digits and single hyphens, at most 63"
        )
    return text


def stop(signum: int, frame: object) -> None:
    """The instance stops or the command was cancelled. The last checkpoint is complete, so end at once."""
    print("stopped by SIGTERM; to continue, start the run again under the same name", file=sys.stderr, flush=True)
    sys.exit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
