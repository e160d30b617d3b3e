"""`make train`: train in SageMaker and follow the job until it ends. On a new version of a dataset, compare the model
with the live one."""

from __future__ import annotations

from deploy import console, environment, options
from deploy.evaluation import new_version
from deploy.sagemaker import jobs, resume
from deploy.sagemaker.training import submit, summary
from deploy.terraform import Stack


def main() -> None:
    arguments = options.training()
    deployment = Stack(environment.current()).require_deployment()
    if arguments.resume:
        name = resume.start_again(deployment, arguments.resume)
    else:
        name = arguments.run or submit(deployment, arguments)
    job = jobs.follow(deployment, name)
    console.done(summary(job))
    new_version.show(deployment, job)


if __name__ == "__main__":
    console.run(main)
