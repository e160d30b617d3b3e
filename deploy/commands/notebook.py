"""`make notebook`: start the notebook instance if it is stopped, then open its URL or print it."""

from __future__ import annotations

import os
import sys
import webbrowser

from deploy import console, environment
from deploy.sagemaker.notebook import start
from deploy.terraform import Stack


def has_browser() -> bool:
    """Whether a person uses this terminal on a machine with a graphical browser. A text browser cannot show
    JupyterLab."""
    graphical = sys.platform == "darwin" or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return sys.stdout.isatty() and graphical


def main() -> None:
    deployment = Stack(environment.current()).require_deployment()
    start(deployment)
    sagemaker = deployment.client("sagemaker")
    answer = sagemaker.create_presigned_notebook_instance_url(NotebookInstanceName=deployment.notebook_name)
    url = answer["AuthorizedUrl"]
    console.done("JupyterLab is running; open train_and_deploy.ipynb there. Keep the URL secret: it needs no password.")
    print(url)
    if has_browser():
        webbrowser.open(url)


if __name__ == "__main__":
    console.run(main)
