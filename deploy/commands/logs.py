"""`make logs`: print the logs of the last training job, the endpoint, the function or the instance."""

from __future__ import annotations

from classifier.contract import REQUEST_ID
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


def of_request(deployment: Deployment, request_id: str) -> list[tuple[str, str]]:
    """The lines that the function and the endpoint wrote about one request, as (log group, line), the oldest first."""
    logs, found = deployment.client("logs"), []
    for output in ("function_log_group", "endpoint_log_group"):
        if group := deployment.outputs.get(output):
            pages = logs.get_paginator("filter_log_events").paginate(
                logGroupName=group, filterPattern=f'"{request_id}"'
            )
            found += [(event["timestamp"], group, event["message"]) for page in pages for event in page["events"]]
    return [(group, line.rstrip("\n")) for _, group, line in sorted(found, key=lambda each: each[0])]


def show_request(deployment: Deployment, request_id: str) -> None:
    """Print these lines. Raises Failure if there are none, or if the identifier is not one."""
    if not REQUEST_ID.fullmatch(request_id):
        raise Failure(f"REQUEST={request_id} is not a request_id. Each answer and each error of the URL has one.")
    lines = of_request(deployment, request_id)
    for group, line in lines:
        console.out.print(f"{group}  {line}", markup=False)
    if not lines:
        raise Failure(f"No line has the request_id {request_id}. CloudWatch may need some seconds for a new line.")


def main() -> None:
    parser = console.Parser(description="Print logs.")
    parser.add_argument("--what", choices=WHAT, default="train")
    parser.add_argument("--job", help="a training job's name; default: the last one")
    parser.add_argument("--request", help="a request_id: its lines of the function and of the endpoint")
    parser.add_argument("--follow", action="store_true", help="print new lines until Ctrl-C")
    arguments = parser.parse_args()
    deployment = Stack(environment.current()).require_deployment()
    if arguments.request:
        show_request(deployment, arguments.request)
        return
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
