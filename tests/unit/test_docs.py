"""What the documents name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDERS = (".", ".github", "docs/**", "terraform", "terraform/modules/*", "terraform/examples/*")
DOCUMENTS = sorted(path for folder in FOLDERS for path in ROOT.glob(f"{folder}/*.md"))
PROMISED_TARGETS = {
    *("help", "setup", "up", "plan", "apply", "destroy", "output", "package", "upload", "data", "train", "train-ec2"),
    *("tune", "promote", "predict", "url", "curl", "report", "notebook", "status", "logs", "local-up", "local-down"),
    *("page", "local-reset", "test", "test-fast", "lint", "fmt", "docs", "clean"),
}


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def test_every_promised_target_is_there_and_described():
    assert makefile_targets() >= PROMISED_TARGETS


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_target_that_a_document_names_exists(document: Path):
    named = {
        word
        for span in re.findall(r"(?:`|^|&& )make ((?:[a-z0-9-]+ ?)+)", document.read_text(), flags=re.MULTILINE)
        for word in span.split()
    }

    assert named <= makefile_targets()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_into_the_project_leads_somewhere(document: Path):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())

    assert [link for link in links if not (document.parent / link).exists()] == []
