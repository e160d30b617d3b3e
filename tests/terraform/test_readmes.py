"""The configurations that an outside user copies: the examples in the modules' READMEs, and terraform/examples."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy import terraform_checks
from tests.conftest import ROOT
from tools.terraform_docs import read_blocks

TERRAFORM = ROOT / "terraform"
MODULES = sorted(path for path in (TERRAFORM / "modules").iterdir() if path.is_dir())
EXAMPLES = sorted(path for path in (TERRAFORM / "examples").iterdir() if path.is_dir())
LOCK = ".terraform.lock.hcl"
CONSTRAINTS = re.compile(r'required_version = .+|source  = "hashicorp/aws"\n +version = .+')


def terraform(folder: Path, data: Path, *arguments: str) -> subprocess.CompletedProcess:
    """`terraform ARGUMENTS` in a folder; it must succeed. `data` is its cache, so that the folder stays as it is."""
    environment = terraform_checks.environment() | {"TF_DATA_DIR": str(data)}
    result = subprocess.run(
        ["terraform", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stderr or result.stdout[-4000:]
    return result


def validate(folder: Path, data: Path) -> None:
    shutil.copy(TERRAFORM / LOCK, folder / LOCK)
    terraform(folder, data, "init", "-backend=false", "-input=false", "-no-color")
    terraform(folder, data, "validate", "-no-color")


def usage(module: Path) -> str:
    """The example in a module's README. It names the checkout `pawprint`, as a user may have it."""
    [example] = re.findall(r"^```hcl\n(.+?)^```", (module / "README.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    return example


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_the_example_in_a_readme_gives_every_input_of_its_module(module):
    given = re.findall(r"^  (\w+) +=", usage(module), flags=re.MULTILINE)
    inputs = {block.name for block in read_blocks((module / "variables.tf").read_text()) if block.kind == "variable"}
    assert set(given) - {"source"} == inputs


def test_the_examples_in_the_readmes_are_valid_together(tmp_path):
    (tmp_path / "main.tf").write_text("\n".join(usage(module) for module in MODULES))
    (tmp_path / "build").mkdir()
    (tmp_path / "pawprint").mkdir()
    for name in ("terraform", "payloads"):
        (tmp_path / "pawprint" / name).symlink_to(ROOT / name)
    # The archive is read while the example is validated, and only `make package` builds it.
    (tmp_path / "pawprint" / "build").symlink_to(TERRAFORM / "tests" / "fixtures" / "build")
    validate(tmp_path, tmp_path / "data")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_valid_as_a_configuration_of_its_own(example, tmp_path):
    folder = tmp_path / "terraform" / "examples" / example.name
    shutil.copytree(example, folder, ignore=shutil.ignore_patterns(".terraform*"))
    (tmp_path / "terraform" / "modules").symlink_to(TERRAFORM / "modules")
    (tmp_path / "build").symlink_to(TERRAFORM / "tests" / "fixtures" / "build")
    validate(folder, tmp_path / "data")


@pytest.mark.parametrize("folder", [*MODULES, *EXAMPLES], ids=lambda path: path.name)
def test_versions_are_those_of_the_root(folder):
    [name] = [path for path in folder.glob("*.tf") if "required_version" in path.read_text()]
    assert CONSTRAINTS.findall(name.read_text()) == CONSTRAINTS.findall((TERRAFORM / "terraform.tf").read_text())


def test_the_predictor_example_plans_a_closed_url_that_may_ask_the_given_endpoint_only(tmp_path):
    # Terraform installs the modules of every test in the folder, so the plan is made where the tests are.
    terraform(TERRAFORM, tmp_path, "init", "-backend=false", "-input=false")
    planned = terraform(TERRAFORM, tmp_path, "test", "-json", "-verbose", "-filter=tests/example_predictor.tftest.hcl")
    events = [json.loads(line) for line in planned.stdout.splitlines()]
    [plan] = [event["test_plan"] for event in events if event["type"] == "test_plan"]
    resources = {change["type"]: change["change"]["after"] for change in plan["resource_changes"]}

    assert resources["aws_lambda_function_url"]["authorization_type"] == "AWS_IAM"
    assert not {"aws_lambda_permission", "aws_cloudformation_stack"} & resources.keys()
    asked = [
        statement["Resource"]
        for statement in json.loads(resources["aws_iam_role_policy"]["policy"])["Statement"]
        if "sagemaker:InvokeEndpoint" in statement["Action"]
    ]
    assert asked == [["arn:aws:sagemaker:eu-west-1:123456789012:endpoint/somebody-elses"]]
