"""What may import what. Each rule says why; a new exception belongs into a table here, with its reason."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

# The modules by which a service of the local AWS lets others in.
DOORS = {
    "cloudwatch.alarms": "autoscaling's policies are alarms",
    "cloudwatch.evaluation": "the clock of the alarms calls autoscaling and the endpoints",
    "cloudwatch.expressions": "autoscaling's policies watch metrics and expressions",
    "cloudwatch.metrics": "every service records what it does",
    "ec2.instance": "SSM finds the instances that its commands are for",
    "ec2.machine": "SSM runs its commands in an instance",
    "iam.authorization": "the gate: who asks, and the policies of resources that count",
    "iam.conditions": "the values of a request that policies may ask for",
    "iam.evaluation": "whether policies allow a call, and which statement decides",
    "iam.identities": "the policies of a caller, from moto's IAM",
    "iam.patterns": "wildcards in names and resources",
    "iam.policies": "a policy document, parsed",
    "iam.service_roles": "what a service does for a role, and the credentials of its processes",
    "iam.sigv4": "whether a signature is valid",
    "s3.api": "training jobs read whole prefixes, without a client",
    "sagemaker.endpoints.endpoint": "autoscaling changes the number of instances",
    "sagemaker.records": "autoscaling finds endpoints by name",
}
# What deploy uses of the local AWS, with the reason. The modules of scaling are pure (ADR 27).
FOR_DEPLOY = {
    "__main__": "snapshots ask whether a local AWS runs",
    "archives": "snapshots are unpacked as safely as models",
    "files": "snapshots and their journal are whole or not there",
    "state": "the versions of the state that this checkout reads",
    "account_limits": "names of quotas",
    "images": "the environments that stand in for AWS's images",
    "services.autoscaling.decision": "the capacity simulation decides as the local AWS does",
    "services.autoscaling.policies": "the capacity simulation reads policies as the local AWS does",
    "services.autoscaling.schedules": "the capacity simulation runs scheduled actions",
    "services.cloudwatch.alarms": "the capacity simulation judges alarms as the local AWS does",
}
# Each folder of payloads is a packaging root: its modules are at the top in the archive.
PAYLOADS = ("train", "inference", "lambda", "in_function", "ec2", "notebook")


def module_name(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, in full: `from a.b import c` is a.b.c if that is a module, else a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for each in node.names:
                whole = f"{node.module}.{each.name}"
                yield whole if is_module(whole) else node.module


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def importers(folder: str, *forbidden: str) -> list[str]:
    """`file imports module` for each import from one of the forbidden packages."""
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(folder)
        for name in imports(path)
        if name.split(".")[0] in forbidden
    ]


def test_the_local_aws_imports_nothing_of_the_project():
    own = {path.stem for payload in PAYLOADS for path in (ROOT / "payloads" / payload).glob("*.py")}
    assert importers("localaws", "deploy", "classifier", "bench", "tests", "tools", "payloads", "predictor", *own) == []


def test_payloads_import_nothing_of_what_stays_here():
    assert importers("payloads", "deploy", "localaws", "bench", "tests", "tools") == []


def test_deploy_imports_nothing_of_what_only_development_needs():
    assert importers("deploy", "bench", "tests", "tools") == []


def test_deploy_uses_of_the_local_aws_what_the_table_names():
    found = {
        name.removeprefix("localaws.") for path in files("deploy") for name in imports(path) if "localaws." in name
    }
    assert found == set(FOR_DEPLOY)


def test_what_decides_about_scaling_needs_no_aws_and_no_server():
    """A simulation of AWS settings must neither start moto nor be able to change the state of the local AWS."""
    modules = [f"localaws.{name}" for name in FOR_DEPLOY if name.startswith("services.")]
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    own = {name for name in loaded.split() if name.startswith("localaws.services.")}
    assert own == {"localaws.services.autoscaling", "localaws.services.cloudwatch", *modules} | {
        f"localaws.services.cloudwatch.{name}" for name in ("expressions", "metrics")
    }
    assert not {"moto", "botocore", "werkzeug", "localaws.state", "localaws.server"} & set(loaded.split())


def shipped_with_the_function() -> list[Path]:
    return [*files("payloads/lambda"), ROOT / "payloads" / "shared" / "classifier" / "contract.py"]


@pytest.mark.parametrize("path", shipped_with_the_function(), ids=lambda path: path.name)
def test_the_function_needs_the_standard_library_only(path: Path):
    own = {"predictor", "handler"}
    if path.name == "handler.py":
        own.add("own_model")  # imported late, by the package that has it
    for name in imports(path):
        top = name.split(".")[0]
        assert top in sys.stdlib_module_names or top in own or name == "classifier.contract", name


def test_a_command_is_imported_by_nothing():
    found = [
        f"{path.relative_to(ROOT)} imports {name}"
        for folder in ("deploy", "localaws", "payloads", "bench", "tools")
        for path in files(folder)
        for name in imports(path)
        if name.startswith("deploy.commands")
    ]
    assert found == []


def service_of(name: str) -> str:
    parts = name.split(".")
    return parts[2] if parts[:2] == ["localaws", "services"] and len(parts) > 2 else ""


def between_services() -> dict[str, set[str]]:
    """The doors that are used, each with the modules that use it."""
    found: dict[str, set[str]] = {}
    for path in files("localaws/services"):
        own = module_name(path, ROOT)
        for name in imports(path):
            if service_of(name) and service_of(name) != service_of(own):
                found.setdefault(name.removeprefix("localaws.services."), set()).add(own)
    return found


def test_services_meet_at_doors_only():
    through = between_services()
    assert {door: through[door] for door in through.keys() - DOORS.keys()} == {}
    assert DOORS.keys() - through.keys() == set(), "a door that nobody uses"


def test_what_all_services_share_knows_none_of_them():
    found = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in [*(ROOT / "localaws").glob("*.py"), *files("localaws/images")]
        for name in imports(path)
        if service_of(name)
    ]
    assert found == []


@pytest.mark.parametrize("folder", ["deploy", "localaws", "payloads/shared", "payloads/lambda", "bench", "tools"])
def test_no_module_imports_itself_by_a_detour(folder: str):
    """Imports at the top of modules; those inside of functions are late on purpose."""
    root = ROOT / folder if folder.startswith("payloads") else ROOT
    graph: dict[str, set[str]] = {}
    for path in files(folder):
        tree = ast.parse(path.read_text())
        top = {
            name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.module
            for name in (node.module, *(f"{node.module}.{each.name}" for each in node.names))
        }
        graph[module_name(path, root)] = top
    graph = {name: {each for each in wanted if each in graph and each != name} for name, wanted in graph.items()}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for each in sorted(graph[name]):
                visit(each, (*trail, name))
            done.add(name)

    done: set[str] = set()
    for name in sorted(graph):
        visit(name, ())
