"""Open the SageMaker notebook instance: start it if it is stopped, then give the URL that lets its holder in.

python -m deploy.notebook
"""

from __future__ import annotations

import os
import sys
import time
import webbrowser

from deploy import console, environment
from deploy.console import Failure
from deploy.environment import Environment
from deploy.stack import Stack

START_TIMEOUT = 900  # seconds; AWS takes about 5 minutes


def start(env: Environment, outputs: dict) -> None:
    """Start the instance unless it runs, and wait until it is in service.

    Raises Failure with SageMaker's reason where it fails, and after START_TIMEOUT.
    """
    sagemaker = env.client("sagemaker", outputs["region"])
    name = outputs["notebook_name"]
    deadline = time.monotonic() + START_TIMEOUT
    started, shown = False, None
    while time.monotonic() < deadline:
        notebook = sagemaker.describe_notebook_instance(NotebookInstanceName=name)
        status = notebook["NotebookInstanceStatus"]
        if status == "InService":
            return
        if status == "Failed" and started:
            reason = notebook.get("FailureReason", "no reason was given")
            raise Failure(f"The notebook instance {name} failed: {reason}\nIts log: {log_hint(outputs)}")
        if status in ("Stopped", "Failed") and not started:
            sagemaker.start_notebook_instance(NotebookInstanceName=name)
            started = True
        if status != shown:
            shown = status
            console.step(f"The notebook instance {name} is {status}; waiting until it is in service")
        time.sleep(env.poll_seconds(5))
    raise Failure(f"The notebook instance {name} was not in service within {START_TIMEOUT // 60} minutes.")


def log_hint(outputs: dict) -> str:
    """Where the output of its lifecycle script and of its server can be read."""
    return f"CloudWatch Logs, group /aws/sagemaker/NotebookInstances, streams {outputs['notebook_name']}/…"


def has_browser() -> bool:
    """Whether a person sits here with a graphical browser: a browser of the terminal cannot show JupyterLab."""
    graphical = sys.platform == "darwin" or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return sys.stdout.isatty() and graphical


def main() -> None:
    env = environment.current()
    outputs = Stack(env).require_outputs()
    start(env, outputs)
    sagemaker = env.client("sagemaker", outputs["region"])
    answer = sagemaker.create_presigned_notebook_instance_url(NotebookInstanceName=outputs["notebook_name"])
    url = answer["AuthorizedUrl"]
    console.done("JupyterLab runs. Whoever has this URL is let in; open train_and_deploy.ipynb there.")
    print(url)
    if has_browser():
        webbrowser.open(url)


if __name__ == "__main__":
    console.run(main)
