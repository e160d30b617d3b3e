"""Tuning jobs for the tests: programs of a few lines that print a metric, and the requests around them."""

from typing import Any

from tests.unit.localaws.sagemaker_helpers import ROLE, SageMaker, tar_gz, unique

METRIC = [{"Name": "score", "Regex": r"\bscore=([0-9.]+)"}]
# The best is lr=0.01, with a score of 10.
PARABOLA = """
import argparse, math, os, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--batch", type=int, default=16)
arguments = parser.parse_args()
score = 10 - (math.log10(arguments.lr) + 2) ** 2
print(f"score={score / 2:.6f}")
print(f"score={score:.6f}")
pathlib.Path(os.environ["SM_MODEL_DIR"], "lr").write_text(str(arguments.lr))
"""
LR = {"Name": "lr", "MinValue": "0.0001", "MaxValue": "1", "ScalingType": "Logarithmic"}


class Tuning(SageMaker):
    """Tuning jobs on one server."""

    def request(
        self, program: str, jobs: int | None = 3, parallel: int = 1, strategy: str = "Random", **config: Any
    ) -> dict[str, Any]:
        """A request for a tuning job; `config` replaces parts of its configuration."""
        name = unique("tune")
        limits = {"MaxParallelTrainingJobs": parallel, **({"MaxNumberOfTrainingJobs": jobs} if jobs else {})}
        return {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobConfig": {
                "Strategy": strategy,
                "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
                "ResourceLimits": limits,
                "ParameterRanges": {"ContinuousParameterRanges": [LR]},
                **config,
            },
            "TrainingJobDefinition": {
                "AlgorithmSpecification": {
                    "TrainingImage": "training:1",
                    "TrainingInputMode": "File",
                    "MetricDefinitions": METRIC,
                },
                "StaticHyperParameters": {
                    "sagemaker_program": "train.py",
                    "sagemaker_submit_directory": self.put(f"code/{name}.tar.gz", tar_gz({"train.py": program})),
                },
                "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/out"},
                "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
                "StoppingCondition": {"MaxRuntimeInSeconds": 900},
                "RoleArn": ROLE,
            },
        }

    def tune(self, program: str, *arguments: Any, **config: Any) -> str:
        """Start a tuning job; the arguments are those of `request`."""
        return self.start(self.request(program, *arguments, **config))

    def start(self, request: dict[str, Any]) -> str:
        self.api.create_hyper_parameter_tuning_job(**request)
        return request["HyperParameterTuningJobName"]

    def described(self, name: str) -> dict[str, Any]:
        return self.api.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)

    def tuned(self, name: str) -> dict[str, Any]:
        """The tuning job's description once it has ended."""

        def ended() -> dict[str, Any] | None:
            found = self.described(name)
            return found if found["HyperParameterTuningJobStatus"] not in ("InProgress", "Stopping") else None

        return self.until(ended, f"{name} ends")

    def trials(self, name: str, **arguments: Any) -> list[dict[str, Any]]:
        """The summaries of its training jobs, in the order they were started."""
        listed = self.api.list_training_jobs_for_hyper_parameter_tuning_job
        return listed(HyperParameterTuningJobName=name, **arguments)["TrainingJobSummaries"]
