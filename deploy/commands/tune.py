"""`make tune`: tune hyperparameters in SageMaker and follow the trials until they end."""

from __future__ import annotations

from deploy import console, environment, options
from deploy.sagemaker import trial_report, trials
from deploy.sagemaker.tuning import submit
from deploy.terraform import Stack


def main() -> None:
    arguments = options.tuning()
    deployment = Stack(environment.current()).require_deployment()
    name = arguments.run or submit(deployment, arguments)
    job, tried = trials.follow(deployment, name)
    trial_report.show(deployment.env, job, tried)


if __name__ == "__main__":
    console.run(main)
