"""Train an image classifier: SageMaker's script mode, or any machine.

    python train.py --train photos/train --valid photos/valid --test photos/test \\
        --serving build/inference.tar.gz --model-dir model --output-data-dir output

In a training job SageMaker sets the folders (channels `train`, `valid`, `test`, `serving`, and optionally `weights` for
the backbone) and passes the hyperparameters as arguments. With 20 breeds of dogs, 2,400 photographs, two cores need
half a minute for a test accuracy of 0.95.

On several instances or GPUs, torchrun starts the processes (a job enables that with the hyperparameter
`sagemaker_torch_distributed_enabled`). They share the work of every batch, so the result is that of one process.

If a run fails, its own last line on stderr is the reason.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from classifier.settings import add_arguments, from_arguments

CHANNELS = ("train", "valid", "test", "serving")


def main() -> int:
    signal.signal(signal.SIGTERM, stop)
    parser = TrainingParser(description="Train an image classifier.")
    add_arguments(parser)
    add_folders(parser)
    arguments = fill_from_sagemaker(parser.parse_args())
    missing = [name for name in CHANNELS if getattr(arguments, name) is None]
    if missing:
        options = ", ".join(f"--{name}" for name in missing)
        parser.error(f"missing {options} (in a training job: the channel of that name).")
    hosts = json.loads(os.environ.get("SM_HOSTS", "[]"))
    if len(hosts) > 1 and "WORLD_SIZE" not in os.environ:
        parser.error(
            f"{len(hosts)} instances would each train the same model. Let torchrun start this program "
            "(hyperparameter sagemaker_torch_distributed_enabled=true), or set the instance count to 1."
        )
    if interface := os.environ.get("SM_NETWORK_INTERFACE_NAME"):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)  # by default gloo uses the host's name
        os.environ.setdefault("NCCL_SOCKET_IFNAME", interface)

    from classifier import job  # imports torch, so after the arguments were parsed

    places = job.Places(
        splits={"train": arguments.train, "valid": arguments.valid, "test": arguments.test},
        serving=arguments.serving,
        model=arguments.model_dir,
        output=arguments.output_data_dir,
        weights=arguments.weights,
        checkpoints=arguments.checkpoint_dir,
        origin=os.environ.get("DATASET_URI"),
    )
    processors = int(os.environ.get("SM_NUM_CPUS") or 0) or None
    machine = job.Machine(arguments.threads, arguments.workers, processors, arguments.autotune)
    instance = job.TrainingInstances(os.environ.get("SM_CURRENT_INSTANCE_TYPE"), max(len(hosts), 1))
    try:
        job.run(arguments.name, places, from_arguments(arguments), machine, instance)
    except job.EXPECTED_ERRORS as error:
        kind = next(base.__name__ for base in type(error).__mro__ if base.__module__ == "builtins")
        print(f"{type(error).__name__} ({kind}): {error}", file=sys.stderr)
        return 1
    return 0


class TrainingParser(argparse.ArgumentParser):
    """SageMaker's toolkit quotes the output in a job's FailureReason from the first line that names a built-in
    exception (sagemaker_training/process.py, watch). Without one, the reason would be empty. So every last line here
    names one."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error (ValueError): {message}\n")


def add_folders(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("folders (in a training job SageMaker sets them)")
    for split in ("train", "valid", "test"):
        group.add_argument(f"--{split}", type=Path, help=f"class folders of the {split} split")
    group.add_argument("--serving", type=Path, help="the serving code, inference.tar.gz, or its folder")
    group.add_argument("--weights", type=Path, help="state dict of the backbone, or its folder")
    group.add_argument("--model-dir", type=Path, help="folder for the model artifact (model)")
    group.add_argument("--output-data-dir", type=Path, help="folder for metrics.json and report.html (output)")
    group.add_argument("--checkpoint-dir", type=Path, help="folder to resume from and to save every epoch to")
    group.add_argument("--name", help="name of this run, for the model's card")


def fill_from_sagemaker(arguments: argparse.Namespace) -> argparse.Namespace:
    """Fill in missing arguments from the environment of a training job."""
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    found = {
        name: Path(os.environ[variable])
        for name, variable in {
            **{channel: f"SM_CHANNEL_{channel.upper()}" for channel in (*CHANNELS, "weights")},
            "model_dir": "SM_MODEL_DIR",
            "output_data_dir": "SM_OUTPUT_DATA_DIR",
        }.items()
        if variable in os.environ
    }
    # SageMaker makes /opt/ml/checkpoints next to /opt/ml/model, and copies it to S3 if the job has a checkpoint config.
    beside = found["model_dir"].parent / "checkpoints" if "model_dir" in found else None
    if beside and beside.is_dir():
        found["checkpoint_dir"] = beside
    defaults = {
        "model_dir": Path("model"),
        "output_data_dir": Path("output"),
        "name": os.environ.get("TRAINING_JOB_NAME", "local"),
    }
    return argparse.Namespace(**vars(arguments) | defaults | found | given)


def stop(signum: int, frame: object) -> None:
    """StopTrainingJob, a spot interruption or a shutdown. The saved checkpoint is complete, so end at once."""
    print("stopped by SIGTERM; the last checkpoint, if there is one, is complete", file=sys.stderr, flush=True)
    sys.exit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
