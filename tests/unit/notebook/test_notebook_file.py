"""The notebook as it is in git: what was written, and nothing of what it once printed."""

import json
import subprocess
import sys

import nbformat
import pytest

from tests.conftest import ROOT

NOTEBOOK = ROOT / "payloads" / "notebook" / "train_and_deploy.ipynb"


@pytest.fixture(scope="module")
def notebook() -> dict:
    return json.loads(NOTEBOOK.read_text())


def test_it_is_a_valid_notebook(notebook):
    nbformat.validate(nbformat.from_dict(notebook))


def test_it_holds_no_outputs_and_no_counts_of_executions(notebook):
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code
    assert {cell["id"]: cell["outputs"] for cell in code if cell["outputs"]} == {}
    assert {cell["id"]: cell["execution_count"] for cell in code if cell["execution_count"] is not None} == {}


def test_it_carries_no_traces_of_the_editor_that_wrote_it(notebook):
    assert [cell["id"] for cell in notebook["cells"] if cell["metadata"]] == []
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert notebook["metadata"]["language_info"] == {"name": "python"}


def test_it_is_formatted():
    command = [sys.executable, "-m", "ruff", "format", "--check", str(NOTEBOOK)]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
