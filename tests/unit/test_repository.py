"""What the repository says about itself agrees: license, versions, pins, and what CI runs."""

from __future__ import annotations

import ast
import fnmatch
import re
import tomllib
from collections import Counter

import pytest
import yaml

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(workflow: dict) -> list[dict]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_license_file_is_the_license_that_the_project_names():
    assert PROJECT["license"] == "Apache-2.0"
    [name] = PROJECT["license-files"]
    text = (ROOT / name).read_text()
    assert "Version 2.0, January 2004" in text
    assert re.search(r"Copyright \d{4} Pawprint contributors", text)


def test_the_changelog_has_a_release_note_for_the_current_version():
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()


def test_pre_commit_runs_the_ruff_of_the_lock():
    locked = re.search(r"^ruff==(\S+)", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)[1]
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    [ruff] = [each for each in repositories if each["repo"].endswith("/ruff-pre-commit")]
    assert ruff["rev"] == f"v{locked}"


def test_ci_runs_commands_of_the_readme_and_nothing_else():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    commands = [step["run"] for step in steps(workflow) if "run" in step]
    assert commands == ["make up", "make test"]
    promised = re.search(r"```sh\n(.+?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)[1]
    assert all(re.search(rf"^{command}\b", promised, flags=re.MULTILINE) for command in commands)


def test_only_an_approved_push_applies():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text())["jobs"]
    applying = [job for job in jobs.values() for step in job["steps"] if "make apply" in step.get("run", "")]
    assert [(job["environment"], job["if"].split(" && ")[0]) for job in applying] == [
        ("aws", "github.event_name == 'push'")
    ]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_and_its_actions_cannot_change(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        extra = set(job.get("permissions", {})) - {"contents"}
        # The token for AWS, and the comment with the plan. A fork's code must get neither.
        assert extra <= ({"id-token", "pull-requests"} if path.name == "deploy.yml" else set())
        assert not extra or "github.event_name == 'push'" in job["if"] or "head.repo.full_name" in job["if"]
    for action in [step["uses"] for step in steps(workflow) if "uses" in step]:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", action), action


def test_dependabot_reads_every_folder_that_constrains_a_provider():
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    [terraform] = [each for each in updates if each["package-ecosystem"] == "terraform"]
    constrained = {
        f"/{path.parent.relative_to(ROOT)}"
        for path in (ROOT / "terraform").rglob("*.tf")
        if ".terraform" not in path.parts and "hashicorp/aws" in path.read_text()
    }
    missed = [
        folder
        for folder in constrained
        if not any(fnmatch.fnmatch(folder, pattern) for pattern in terraform["directories"])
    ]
    assert "/terraform" in constrained
    assert missed == []


def test_every_class_has_a_name_of_its_own():
    names = Counter(
        node.name
        for folder in ("deploy", "localaws", "payloads", "bench", "tools")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []
