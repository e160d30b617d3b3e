"""`make notebook`: start the notebook instance if it is stopped, and print the URL that opens it."""

from __future__ import annotations

import os
import sys
import webbrowser

from deploy import console, environment
from deploy.sagemaker.notebook import start
from deploy.terraform import Stack


def has_browser() -> bool:
    """Whether a person sits here with a graphical browser: a browser of the terminal cannot show JupyterLab."""
    graphical = sys.platform == "darwin" or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return sys.stdout.isatty() and graphical


def main() -> None:
    deployment = Stack(environment.current()).require_deployment()
    start(deployment)
    sagemaker = deployment.client("sagemaker")
    answer = sagemaker.create_presigned_notebook_instance_url(NotebookInstanceName=deployment.notebook_name)
    url = answer["AuthorizedUrl"]
    console.done("JupyterLab runs. Whoever has this URL is let in; open train_and_deploy.ipynb there.")
    print(url)
    if has_browser():
        webbrowser.open(url)


if __name__ == "__main__":
    console.run(main)
