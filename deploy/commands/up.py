"""`make up`: deploy, upload, train, promote and request a prediction. Each step is one line on the screen."""

from __future__ import annotations

import json
import signal
import sys
from datetime import datetime
from pathlib import Path

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from deploy import console, environment, options
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.environment import Environment
from deploy.function import ask, credentials_hint, curl_line, payload, sample_image
from deploy.steps import Interrupted, Step, Steps, ends_like_ctrl_c, shown
from deploy.terraform import Stack

SHOWN_CLASSES = 3


def steps(env: Environment, data: str | None, training: list[str]) -> list[Step]:
    """The steps of `make up`, in order. Each step is the command that its make target runs."""
    start = [Step("Local AWS", module("localaws", "up"), "local-up")]
    photographs = f"data DATA={data}" if data else "data"
    return [
        *(start if env.rehearsed else []),
        Step("Deploy", module("deploy.commands.apply"), "apply"),
        Step("Upload the photographs", module("deploy.commands.data", *([data] if data else [])), photographs),
        Step("Train", module("deploy.commands.train", *training), "train"),
        Step("Promote", module("deploy.commands.promote"), "promote"),
    ]


def module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


def example(data: str | None) -> Path:
    """A photograph of the test split to send, because the model was not trained on it."""
    if not data:
        return sample_image()
    return next(path for path in sorted(Path(data, "test").resolve().glob("*/*")) if path.is_file())


def question(deployment: Deployment, picture: Path) -> dict:
    """Send a picture to the URL and return the answer. Raises Failure if it is not a prediction."""
    body, content_type = payload(str(picture))
    status, answer = ask(deployment, body, content_type)
    try:
        found = json.loads(answer)
        found["predictions"][0]["label"]
    except (ValueError, LookupError, TypeError):
        words = answer.decode(errors="replace")[:500]
        raise Failure(f"The URL answers with status {status}: {words}\n{console.make('logs WHAT=lambda')}") from None
    return found


def box(deployment: Deployment, picture: Path, answer: dict) -> Panel:
    """The URL, a prediction, and the commands to use next."""
    classes = Table("label", "probability", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for each in answer["predictions"][:SHOWN_CLASSES]:
        classes.add_row(Text(str(each["label"])), f"{each['probability']:.1%}")
    following = Table.grid(padding=(0, 3, 0, 0))
    for target, words in (
        ("page", "the same in your browser"),
        ("report", "how accurate the model is"),
        ("data DATA=photos", "your own photographs; then train and promote"),
        ("destroy", "delete everything"),
    ):
        following.add_row(console.make(target), words)
    content = Group(
        Text(deployment.function_url), "", Text(f"Prediction for {shown(picture)}:"), classes, "", following
    )
    return Panel(content, title=f"{deployment.name} answers", title_align="left", expand=False, padding=(0, 1))


def main() -> None:
    arguments, training = options.up()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, ends_like_ctrl_c)
    env = environment.current()
    sequence = Steps(env.home / "logs" / f"up-{datetime.now():%Y%m%d-%H%M%S}.log", arguments.verbose)
    console.out.print(f"  Everything that the steps print: {shown(sequence.log)} (V=1 shows it)", markup=False)
    try:
        for step in steps(env, arguments.data, training):
            sequence.run(step)
    except Interrupted:
        console.warn(
            f"Interrupted during: {step.title}. Earlier steps keep their results; {console.make('up')} continues from "
            f"there. {console.make('destroy')} removes it."
        )
        raise KeyboardInterrupt from None
    deployment = Stack(env).require_deployment()
    picture = example(arguments.data)
    console.show(box(deployment, picture, question(deployment, picture)))
    print(curl_line(deployment, picture))
    if hint := credentials_hint(deployment):
        print(hint)


if __name__ == "__main__":
    console.run(main)
