"""`make logs`: print the logs of the last training job, the endpoint, the function or the instance."""

from __future__ import annotations

from rich.markup import escape

from deploy import console, environment
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.follow import Follow
from deploy.log_tail import LogTail
from deploy.sagemaker import jobs
from deploy.terraform import Stack

WHAT = ("train", "endpoint", "lambda", "ec2")


def source(deployment: Deployment, what: str, job: str | None) -> tuple[str, str]:
    """The log group and stream prefix of one kind of log."""
    if what == "train":
        name = job or jobs.last(deployment)
        if not name:
            raise Failure(f"No training job has run yet. Start one: {console.make('train')}")
        return deployment.training_log_group, f"{name}/"
    groups = {"endpoint": "endpoint_log_group", "lambda": "function_log_group", "ec2": "ec2_log_group"}
    return getattr(deployment, groups[what]), ""


def main() -> None:
    parser = console.Parser(description="Print logs.")
    parser.add_argument("--what", choices=WHAT, default="train")
    parser.add_argument("--job", help="a training job's name; default: the last one")
    parser.add_argument("--follow", action="store_true", help="print new lines until Ctrl-C")
    arguments = parser.parse_args()
    deployment = Stack(environment.current()).require_deployment()
    group, prefix = source(deployment, arguments.what, arguments.job)
    console.step(f"{group} {prefix}")
    command = f"logs WHAT={arguments.what} FOLLOW=1" + (f" JOB={arguments.job}" if arguments.job else "")
    following = Follow(deployment, "The program", console.make(command))
    tail = LogTail(lambda: following.client("logs"), group, prefix)
    shown = None

    def look() -> bool | None:
        nonlocal shown
        for stream, line in tail.poll():
            if stream != shown:
                console.out.rule(escape(stream), align="left", style="dim")
                shown = stream
            console.out.print(line, markup=False)
        return None if arguments.follow else True

    following.until(look, seconds=1)


if __name__ == "__main__":
    console.run(main)
