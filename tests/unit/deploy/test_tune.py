"""`make tune` on a local AWS: the request, the output about the trials, and the promotion afterwards."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from deploy import console, datasets, environment, options
from deploy.console import Failure
from deploy.datasets import Uploaded
from deploy.deployment import Deployment
from deploy.sagemaker import jobs, promotion, trial_report, trials, tuning
from deploy.sagemaker.trials import Trial
from tests.unit.deploy.conftest import OUTPUTS
from tests.unit.localaws.conftest import Server, until
from tests.unit.localaws.sagemaker_helpers import ROLE, tar_gz
from tests.unit.localaws.tuning_helpers import Tuning

# The accuracy is highest at lr=0.001. The last line is that of a real trainer about its best epoch.
PROGRAM = """
import argparse, math, os, pathlib
parser = argparse.ArgumentParser()
for name in ("lr", "dropout"): parser.add_argument(f"--{name}", type=float, default=0.1)
for name in ("batch-size", "epochs", "arch", "seed", "fine-tune"): parser.add_argument(f"--{name}")
arguments = parser.parse_args()
accuracy = 0.95 - 0.01 * (math.log10(arguments.lr) + 3) ** 2
print("epoch=1 train_loss=0.1 valid_loss=0.2 valid_accuracy=0.5")
print(f"kept valid_loss=0.2 valid_accuracy={accuracy:.6f}")
pathlib.Path(os.environ["SM_MODEL_DIR"], "lr").write_text(str(arguments.lr))
"""


NUMBERS = itertools.count(1)


class Stack:
    """A deployment on a local AWS with a bucket, a dataset and a training program."""

    def __init__(self, server: Server):
        self.aws = Tuning(server, until)
        self.outputs = {
            **OUTPUTS,
            "artifacts_bucket": self.aws.bucket,
            "training_role_arn": ROLE,
            "training_image": "training:1",
            "training_instance_type": "ml.m5.large",
        }
        for split in ("train", "valid", "test"):
            self.aws.put(f"datasets/digits/{split}/0/1.jpg", "photo")
        self.dataset = Uploaded("digits", f"s3://{self.aws.bucket}/datasets/digits")
        self.serving = self.aws.put("payloads/inference/0.tar.gz", "serving")

    @property
    def deployment(self) -> Deployment:
        return Deployment(self.env, self.outputs)

    def payloads(self, program: str) -> dict[str, str]:
        return {
            "train": self.aws.put("payloads/train/0.tar.gz", tar_gz({"train.py": program})),
            "inference": self.serving,
        }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("localaws")).start()
    yield made
    made.close()


@pytest.fixture
def stack(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    made = Stack(server)
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("PAWPRINT_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAWS_PORT", str(server.port))
    monkeypatch.setattr(tuning, "upload", lambda deployment: made.payloads(PROGRAM))
    monkeypatch.setattr(datasets, "resolve", lambda deployment, wanted: made.dataset)
    # Two jobs within a second would have the same name.
    monkeypatch.setattr(jobs, "new_name", lambda stack, kind: f"{stack}-{kind}-{next(NUMBERS)}")
    made.env = environment.current()
    return made


def arguments(*given: str) -> argparse.Namespace:
    before, sys.argv = sys.argv, ["tune", *given]
    try:
        return options.tuning()
    finally:
        sys.argv = before


def run(stack: Stack, *given: str) -> tuple[dict, list[Trial]]:
    """Run a tuning job until it ends."""
    name = tuning.submit(stack.deployment, arguments(*given))
    return trials.follow(stack.deployment, name)


def test_a_tuning_job_from_the_request_to_the_winner(stack, capsys):
    job, tried = run(stack, "--jobs", "4", "--parallel", "2", "--epochs", "7", "--seed", "3")

    config, definition = job["HyperParameterTuningJobConfig"], job["TrainingJobDefinition"]
    assert config["HyperParameterTuningJobObjective"] == {"Type": "Maximize", "MetricName": "valid_accuracy"}
    assert (config["Strategy"], config["TrainingJobEarlyStoppingType"], config["RandomSeed"]) == ("Bayesian", "Auto", 3)
    (lr,) = (each for each in config["ParameterRanges"]["ContinuousParameterRanges"] if each["Name"] == "lr")
    assert lr["ScalingType"] == "Logarithmic"
    assert definition["StaticHyperParameters"]["epochs"] == "7"
    assert [each["ChannelName"] for each in definition["InputDataConfig"]] == ["train", "valid", "test", "serving"]
    lines = [line for line in capsys.readouterr().out.splitlines() if "/4  0." in line]
    assert len(lines) == len(tried) == 4
    assert all(word in lines[0] for word in ("lr=", "batch-size=", "dropout=", " s"))

    trial_report.show(stack.env, job, tried)

    shown = capsys.readouterr().out
    completed = [trial for trial in tried if trial.status == "Completed"]
    winner = max(completed, key=lambda trial: trial.objective)
    assert f"make promote MODEL={winner.name}" in shown
    name = job["HyperParameterTuningJobName"]
    with Image.open(stack.env.home / "tuning" / f"{name}.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 400
    archive = f"s3://{stack.outputs['artifacts_bucket']}/models/{winner.name}/output/model.tar.gz"
    assert promotion.find_model(stack.deployment, name) == archive
    assert promotion.find_model(stack.deployment, winner.name) == archive
    assert promotion.find_model(stack.deployment, None) == archive, "the newest is another trial"


def test_the_type_of_a_warm_start_depends_on_data_and_image(stack):
    first, _ = run(stack, "--jobs", "2")
    parent = first["HyperParameterTuningJobName"]
    same, _ = run(stack, "--jobs", "1", "--warm-start", parent)
    assert same["WarmStartConfig"]["WarmStartType"] == "IdenticalDataAndAlgorithm"

    stack.outputs["training_image"] = "training:2"
    other, _ = run(stack, "--jobs", "1", "--warm-start", parent)
    assert other["WarmStartConfig"]["WarmStartType"] == "TransferLearning"
    with pytest.raises(Failure, match="no tuning job nobody"):
        run(stack, "--warm-start", "nobody")


@pytest.mark.parametrize("strategy", ["Random", "Grid", "Hyperband"])
def test_every_strategy_makes_a_request_that_sagemaker_accepts(stack, strategy):
    wanted = [] if strategy == "Grid" else ["--jobs", "2"]
    job, tried = run(
        stack,
        "--strategy",
        strategy,
        "--epochs",
        "9",
        "--arch",
        "resnet18,resnet34" if strategy == "Grid" else "resnet18",
        *wanted,
    )

    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert len(tried) == (16 if strategy == "Grid" else 2)
    assert job["HyperParameterTuningJobConfig"]["TrainingJobEarlyStoppingType"] == (
        "Off" if strategy == "Hyperband" else "Auto"
    )
    assert ("arch" in tried[0].hyperparameters) == (strategy == "Grid")
    static = job["TrainingJobDefinition"]["StaticHyperParameters"]
    assert static.get("arch") == (None if strategy == "Grid" else "resnet18")


def test_a_failed_tuning_job_is_a_failure_with_its_reason(stack, monkeypatch):
    monkeypatch.setattr(tuning, "upload", lambda deployment: stack.payloads("raise ValueError('no disk')"))

    with pytest.raises(Failure, match="no disk"):
        run(stack, "--jobs", "1")


def test_running_jobs_are_stopped_before_a_destroy(stack, monkeypatch):
    hanging = "import time\nprint('valid_accuracy=0.1', flush=True)\ntime.sleep(1000)\n"
    monkeypatch.setattr(tuning, "upload", lambda deployment: stack.payloads(hanging))
    name = tuning.submit(stack.deployment, arguments("--jobs", "3", "--parallel", "1"))
    until(lambda: stack.aws.trials(name), "a trial runs")

    jobs.stop_all(stack.deployment)

    assert stack.aws.described(name)["HyperParameterTuningJobStatus"] == "Stopped"
    (trial,) = stack.aws.trials(name)
    assert trial["TrainingJobStatus"] == "Stopped"


# ---- without a server -----------------------------------------------------------------------------------------


def test_the_learning_rate_of_a_whole_network_is_searched_lower_than_that_of_a_head():
    head, network = (tuning.search_space(arguments(*given)).ranges["lr"] for given in ([], ["--fine-tune"]))

    assert float(network[0]) < float(head[0])
    assert float(network[1]) < float(head[1])


def test_networks_are_a_category_only_if_there_are_several():
    assert "arch" not in tuning.search_space(arguments("--arch", "resnet50")).categories
    assert tuning.search_space(arguments("--arch", "resnet50,resnet18")).categories["arch"] == ("resnet50", "resnet18")


def test_augmentation_is_a_category_only_if_there_are_several():
    several, one = arguments("--augment", "none,flip"), arguments("--augment", "flip")
    assert tuning.search_space(several).categories["augment"] == ("none", "flip")
    assert "augment" not in tuning.fixed_hyperparameters(several)
    assert tuning.fixed_hyperparameters(one)["augment"] == "flip"
    with pytest.raises(Failure, match=r"AUGMENT: 'rotate' is not one of none, flip, crop"):
        arguments("--augment", "flip,rotate")
    assert tuning.fixed_hyperparameters(arguments("--arch", "resnet50,resnet18", "--epochs", "3")) == {"epochs": "3"}


def test_a_given_value_is_not_searched():
    space = tuning.search_space(arguments("--lr", "0.01", "--batch", "8"))
    assert (list(space.ranges), list(space.categories)) == (["dropout"], [])
    assert tuning.fixed_hyperparameters(arguments("--lr", "0.01")) == {"lr": "0.01"}
    with pytest.raises(Failure, match="nothing to tune"):
        tuning.search_space(arguments("--lr", "0.01", "--batch", "8", "--dropout", "0.1"))


def test_a_grid_has_as_many_trials_as_combinations():
    given = arguments("--strategy", "Grid", "--jobs", "5")
    space = tuning.search_space(given)
    with pytest.raises(Failure, match=f"{space.combinations()} combinations"):
        tuning.number_of_jobs(given, space)

    assert tuning.number_of_jobs(arguments("--strategy", "Grid"), space) == space.combinations() == 8


@pytest.mark.parametrize("stack_name", ["paw", "pawprint", "pawprint-staging", "a-name-of-twenty-chr"])
def test_a_name_keeps_to_the_limit_of_tuning_jobs_and_to_their_form(stack_name):
    name = tuning.new_name(stack_name)

    assert name.startswith(f"{stack_name}-tune-")
    assert len(f"{stack_name}-tune-") + 3 < len(name) <= 32
    assert "--" not in name


def trial(number: int, objective: float | None, status: str = "Completed", lr: str = "0.00123456") -> Trial:
    chosen = {"lr": lr, "batch-size": "64"}
    return Trial(f"paw-tune-1-{number:03d}-0123abcd", number, status, chosen, objective, 24.4, "no\ndisk")


def test_the_line_of_a_trial_shows_how_it_ended():
    assert trials.line(trial(3, 0.95234), 6) == "  3/6  0.9523  batch-size=64  lr=0.00123  24 s"
    assert trials.line(trial(4, 0.5, "Stopped"), 6).endswith("stopped early")
    assert trials.line(trial(5, None, "Failed"), 6).endswith("failed: no disk")
    assert trials.line(trial(6, None), 6).endswith("reported nothing")


def test_the_table_has_the_best_first_and_those_without_a_result_last(capsys):
    found = [trial(1, 0.7), trial(2, None, "Failed"), trial(3, 0.9), trial(4, 0.8, "Stopped")]
    console.out.print(trial_report.table(found, found[2].name))

    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["3", "4", "1", "2"]
    assert "winner" in rows[0]


def test_a_plot_can_be_drawn_of_one_trial_and_of_other_hyperparameters(tmp_path):
    only = trial(1, 0.7)
    other = dataclasses.replace(only, hyperparameters={"depth": "3"})

    assert trial_report.plot([only], only, "valid_accuracy", tmp_path / "one.png").stat().st_size > 10_000
    assert trial_report.plot([other], other, "valid_accuracy", tmp_path / "other.png").stat().st_size > 10_000


def test_the_tuning_job_of_a_trial_is_in_its_name():
    assert trials.tuning_job_of("pawprint-tune-20261122-160501-003-0123abcd") == "pawprint-tune-20261122-160501"
    assert trials.tuning_job_of("pawprint-train-20261122-160501") is None


def test_a_job_gets_the_network_and_the_key_of_the_stack(stack, monkeypatch):
    stack.outputs |= {
        "training_subnet_ids": ["subnet-0a"],
        "training_security_group_ids": ["sg-0a", "sg-0b"],
        "kms_key_arn": "arn:aws:kms:us-east-1:123456789012:key/0f",
        "training_volume_kms_key_arn": None,  # the type has local disks
    }
    given = tuning.training.definition(
        stack.deployment, {"inference": "s3://b/i"}, stack.dataset, options_of(monkeypatch)
    )
    assert given["vpc_config"].subnets == ["subnet-0a"]
    assert given["vpc_config"].security_group_ids == ["sg-0a", "sg-0b"]
    assert given["output_data_config"].kms_key_id == stack.outputs["kms_key_arn"]
    assert not isinstance(given["resource_config"].volume_kms_key_id, str)


def test_a_job_without_them_is_in_the_network_of_sagemaker(stack, monkeypatch):
    given = tuning.training.definition(
        stack.deployment, {"inference": "s3://b/i"}, stack.dataset, options_of(monkeypatch)
    )
    assert "vpc_config" not in given
    assert not isinstance(given["output_data_config"].kms_key_id, str)


def test_weights_are_a_channel_and_the_job_knows_the_address_of_its_photographs(stack, monkeypatch):
    address = "s3://b/payloads/weights/0f/efficientnet-lite1.pth"
    monkeypatch.setattr(tuning.training.weights, "upload", lambda deployment, arguments: [address])
    given = tuning.training.definition(
        stack.deployment, {"inference": "s3://b/i"}, stack.dataset, options_of(monkeypatch)
    )
    channels = {each.channel_name: each.data_source.s3_data_source.s3_uri for each in given["input_data_config"]}
    assert channels["weights"] == "s3://b/payloads/weights/0f/"
    assert given["environment"]["DATASET_URI"] == stack.dataset.uri


def options_of(monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    monkeypatch.setattr(sys, "argv", ["train"])
    return options.training()
