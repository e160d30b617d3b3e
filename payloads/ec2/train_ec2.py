"""Train an image classifier on one instance with many threads: data from S3, artifact to S3.

    python train_ec2.py --run dogs-1 --dataset s3://bucket/datasets/dogs \\
        --serving s3://bucket/payloads/inference/abc.tar.gz --output s3://bucket/models/dogs-1/output/ \\
        --threads 8 --workers 8

It is the same training as a SageMaker job's (`classifier.job`) and leaves the same two archives, model.tar.gz and
output.tar.gz. Threads and workers that are not given are autotuned in some seconds. Images are kept in a cache
under --home, and so is the run's checkpoint: started again under the same name, an interrupted run goes on.

Where a run fails, the last line on stderr is the reason.
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
    from classifier import job  # imports torch: not before --help and mistakes in the arguments were dealt with
    from storage import StorageError

    try:
        train(arguments)
    except (*job.EXPECTED_ERRORS, StorageError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train an image classifier with data from S3.")
    parser.add_argument("--run", type=run_name, required=True, help="name of the run, and of the model")
    parser.add_argument("--dataset", required=True, help="s3:// prefix that holds train/, valid/ and test/")
    parser.add_argument("--serving", required=True, help="s3:// address of the serving code, inference.tar.gz")
    parser.add_argument("--output", required=True, help="s3:// prefix that receives model.tar.gz and output.tar.gz")
    parser.add_argument("--weights", help="s3:// address of a state dict of the backbone")
    parser.add_argument("--home", type=Path, default=Path("opt/pawprint"), help="for runs and the cache (%(default)s)")
    parser.add_argument("--instance-type", help="that this is, for the report and the cost in it")
    add_arguments(parser)
    parser.set_defaults(autotune=True)
    return parser.parse_args()


def train(arguments: argparse.Namespace) -> None:
    """Fetch, train, upload. The model goes last: where there is a model.tar.gz, the run is complete."""
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
        weights = storage.fetch(arguments.weights, folder / "weights" / arguments.weights.rpartition("/")[2])
    places = job.Places(
        splits=storage.fetch_dataset(arguments.dataset, folder / "data", arguments.home / "cache"),
        serving=storage.fetch(arguments.serving, folder / "inference.tar.gz"),
        model=folder / "model",
        output=folder / "output",
        weights=weights,
        checkpoints=folder / "checkpoints",
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
    """It names a folder here and a prefix in S3: the form of a SageMaker job's name."""
    if not re.fullmatch(r"[A-Za-z0-9](-?[A-Za-z0-9]){0,62}", text):
        raise argparse.ArgumentTypeError(f"{text!r} must be letters, digits and single hyphens, 63 at most")
    return text


def stop(signum: int, frame: object) -> None:
    """The instance stops or the command was cancelled: the last checkpoint is whole, so just end."""
    print("stopped by SIGTERM; started again under the same name, the run goes on", file=sys.stderr, flush=True)
    sys.exit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
