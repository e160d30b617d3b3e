"""Train on the EC2 instance, over SSM: no open port, no key.

    python -m deploy.train_ec2 [--data NAME|DIR] [--epochs N] [--arch NAME] [--threads N] [--workers N]
    python -m deploy.train_ec2 --run NAME

Starts the instance if it is stopped, prepares it if its first boot did not finish that, sends one shell script, and
streams what it prints. The run needs no watcher: it goes on when the connection is lost or the command is left, and the
instance stops itself. With --run, a run in progress is watched, one that was interrupted is started again from its
checkpoint.
"""

from __future__ import annotations

import argparse

from classifier.settings import AUGMENTATIONS, MOST_UNITS, PRECISIONS

from deploy import console, data, ec2_command, ec2_instance, ec2_runs, ec2_watch, environment, jobs
from deploy.console import Failure
from deploy.environment import Environment
from deploy.stack import Stack
from deploy.upload import upload


def start(env: Environment, outputs: dict, arguments: argparse.Namespace) -> tuple[str, str]:
    """Send a new run to the instance; returns its name and the command's id."""
    ec2_runs.require_free(env, outputs, ec2_runs.commands(env, outputs))
    payloads = upload(env, outputs)
    dataset = data.resolve(env, outputs, arguments.data)
    ec2_instance.wake(env, outputs)
    ec2_instance.ensure_prepared(env, outputs, payloads["ec2"])
    run = jobs.new_name(outputs["name"], "ec2")
    console.step(f"Training {run} on {outputs['ec2_instance_type']}")
    script = ec2_runs.script(run, outputs, payloads, dataset, arguments)
    return run, ec2_command.send(env, outputs, script.splitlines(), arguments.max_minutes * 60, run)


def follow(env: Environment, outputs: dict, run: str, command: str, *, from_middle: bool = False) -> None:
    """Stream the run to its end. Ctrl-C leaves it running. Raises Failure with the reason if it failed."""
    again = console.make(f"train-ec2 RUN={run}")
    try:
        result = ec2_watch.Watch(env, outputs, command).to_end(again, with_progress=not from_middle)
    except KeyboardInterrupt:
        raise Failure(
            f"Stopped watching; {run} goes on. To watch it again: {again}. "
            f"To end it: aws ssm cancel-command --command-id {command}"
        ) from None
    if result["Status"] != "Success":
        raise Failure(f"{run} {ec2_command.ending(result)}\nTo go on from its last epoch: {again}")


def finish(env: Environment, outputs: dict, run: str, command: str) -> None:
    known = ec2_runs.commands(env, outputs)
    sent = next(each for each in known if each.id == command)
    launched = ec2_instance.describe(env, outputs)["LaunchTime"]
    console.done(
        f"{run} is trained: {ec2_runs.model_of(env, outputs, run)}\n"
        f"  {ec2_instance.cost(outputs, ec2_runs.billed_from(known, sent, launched), launched)}\n"
        f"  Its report: {console.make(f'report JOB={run}')}\n  Put the model behind the URL: {console.make('promote')}"
    )


def parse() -> argparse.Namespace:
    parser = console.Parser(description="Train on the EC2 instance.")
    parser.add_argument("--data", help="a dataset's name or a folder; default: the last one uploaded, or the sample")
    parser.add_argument("--epochs", type=number(10_000))
    parser.add_argument("--arch")
    parser.add_argument("--batch", dest="batch_size", type=number(100_000))
    parser.add_argument("--lr", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--augment", choices=AUGMENTATIONS)
    parser.add_argument("--precision", choices=PRECISIONS)
    parser.add_argument("--threads", type=number(MOST_UNITS), help="that compute; default: found by autotuning")
    parser.add_argument("--workers", type=number(MOST_UNITS), help="that decode images; default: found by autotuning")
    parser.add_argument("--fine-tune", action="store_true")
    parser.add_argument("--max-minutes", type=number(48 * 60), default=120, help="for the run; SSM allows 48 hours")
    parser.add_argument("--run", help="a run to watch, or to start again where it was interrupted")
    arguments = parser.parse_args()
    changed = [name for name, value in vars(arguments).items() if name != "run" and value != parser.get_default(name)]
    if arguments.run and changed:
        parser.error(f"--run takes everything from the run itself; leave out {', '.join(map(str.upper, changed))}.")
    return arguments


def number(most: int):
    """An argument's type: a whole number from 1 to `most`."""

    def convert(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {most:,}")
        return int(text)

    return convert


def main() -> None:
    arguments = parse()
    env = environment.current()
    outputs = Stack(env).require_outputs()
    run, ran_already = arguments.run, False
    if run and (model := ec2_runs.model_of(env, outputs, run)):
        console.done(
            f"{run} is trained already: {model}\n  Put it behind the URL: {console.make(f'promote MODEL={run}')}"
        )
        return
    if run:
        command, ran_already = ec2_runs.go_on(env, outputs, ec2_runs.commands(env, outputs), run)
    else:
        run, command = start(env, outputs, arguments)
    follow(env, outputs, run, command, from_middle=ran_already)
    finish(env, outputs, run, command)


if __name__ == "__main__":
    console.run(main)
