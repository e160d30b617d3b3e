"""Run the notebook against the local deployment, and write it with its outputs to docs/NOTEBOOK.md.

    make up && make notebook && python -m tools.render_notebook

The notebook runs where the notebook instance has it, from top to bottom, with keys of the instance's role. The pictures
are in docs/images/notebook.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from unittest import mock

import boto3
import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter

from deploy import environment

ROOT = environment.ROOT
DOCUMENT = ROOT / "docs" / "NOTEBOOK.md"
PICTURES = ROOT / "docs" / "images" / "notebook"
NAME = "train_and_deploy.ipynb"
HEAD = "<!-- Written by `python -m tools.render_notebook` from payloads/notebook/train_and_deploy.ipynb. -->\n\n"
LONGEST_LINE = 160  # characters of an output


def folder_of_the_instance(localaws_home: Path, deployment: str = "pawprint") -> Path:
    """The folder that the start script of the local notebook instance made for this build's notebook."""
    volume = localaws_home / "notebooks" / "us-east-1" / f"{deployment}-notebook" / "home" / "SageMaker"
    key = json.loads((environment.BUILD / "manifest.json").read_text())["notebook"]["key"]
    return volume / f"{deployment}-{Path(key).name.removesuffix('.tar.gz')}"


def keys_of_the_instance(port: int, role: str = "pawprint-notebook") -> dict[str, str]:
    """Temporary keys of the role, as variables. The local AWS's root may assume every role."""
    sts = boto3.client(
        "sts",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 (the local AWS's well-known key, no secret)
    )
    arn = f"arn:aws:iam::{environment.ACCOUNT}:role/{role}"
    keys = sts.assume_role(RoleArn=arn, RoleSessionName="SageMaker", DurationSeconds=12 * 3600)["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }


def execute(folder: Path, port: int) -> nbformat.NotebookNode:
    """Run every cell in order, in a kernel of this environment, as the role of the instance. Returns the notebook with
    its outputs.

    Raises nbclient.exceptions.CellExecutionError for a cell that fails.
    """
    notebook = nbformat.read(folder / NAME, as_version=4)
    client = NotebookClient(notebook, timeout=3600, resources={"metadata": {"path": str(folder)}})
    variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    variables |= {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", **keys_of_the_instance(port)}
    with mock.patch.dict(os.environ, variables, clear=True):
        client.execute()
    return notebook


def render(notebook: nbformat.NotebookNode) -> tuple[str, dict[str, bytes]]:
    """The document, and its pictures by file name."""
    text, resources = MarkdownExporter().from_notebook_node(notebook)
    text = re.sub(r"<style scoped>.*?</style>\s*", "", text, flags=re.DOTALL)  # of pandas; a document has no use for it
    pictures = {}
    for number, (name, picture) in enumerate(resources["outputs"].items(), 1):
        text = text.replace(f"({name})", f"(images/notebook/{number}.png)").replace("![png]", "![The cell's picture]")
        pictures[f"{number}.png"] = picture
    lines = [_shortened(line) if line.startswith("    ") else line for line in text.splitlines()]  # outputs only
    text = re.sub(r"\n{4,}", "\n\n\n", "\n".join(line.rstrip() for line in lines))
    return HEAD + text.strip() + "\n", pictures


def _shortened(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 2]} …"


def main() -> int:
    environment.current().require_own_local_aws()
    notebook = execute(folder_of_the_instance(Path(os.environ["LOCALAWS_HOME"])), int(os.environ["LOCALAWS_PORT"]))
    text, pictures = render(notebook)
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    for name, picture in pictures.items():
        (PICTURES / name).write_bytes(picture)
    DOCUMENT.write_text(text)
    print(f"{DOCUMENT.relative_to(ROOT)}: {len(pictures)} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
