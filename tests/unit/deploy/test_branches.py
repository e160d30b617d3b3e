"""The places where the code depends on the environment. Each place needs a reason in this file, or the test fails.

Rehearsals do not run the AWS side of such a branch. So there must be few branches. They may depend on the address of
AWS and on the account, not on what the command does.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT

REASONS = {
    "Makefile: DRESS": "the local AWS of a dress rehearsal has its own port and home",
    "Makefile: LOCALAWS_PORT": "the same",
    "Makefile: export LOCALAWS_HOME": "the same",
    "deploy/commands/up.py: steps": "a rehearsal starts the local AWS first; AWS is always running",
    "deploy/console.py: make": "a command to paste names ENV and REHEARSE only if they are not the default",
    "deploy/environment.py: Environment.__str__": "the same",
    "deploy/environment.py: Environment.asks_before_destroy": "ENV=local is destroyed without confirmation: its "
    "data is a rehearsal's. REHEARSE=1 asks, like AWS",
    "deploy/environment.py: Environment.homes_in_account": "dress rehearsals share one local AWS",
    "deploy/environment.py: Environment.is_dress_rehearsal": "the two other properties use it",
    "deploy/environment.py: Environment.patience_seconds": "a local AWS does not restart by itself; only a "
    "wait differs",
    "deploy/environment.py: Environment.poll_seconds": "the local AWS has no request limits; only a wait differs",
    "deploy/environment.py: Environment.require_access": "the text that names the account",
    "deploy/environment.py: Environment.require_own_local_aws": "AWS is always running and belongs to no checkout",
    "deploy/environment.py: current": "this function reads ENV and REHEARSE and replaces the caller's keys",
    "deploy/environment.py: point_at_local_aws": "it makes clients reach only the local AWS",
    "deploy/function.py: connect": "a *.localhost name is this machine, whatever its resolver says, and has no TLS",
    "deploy/guarded_server.py: GuardedServer.__init__": "the own name of the proxy does not depend on the function",
    "deploy/environment.py: Environment.require_rehearsal": "AWS has no state on this machine to delete or to save",
    "deploy/terraform.py: Stack._rehearsal_variables": "Terraform gets the rehearsal's account and the "
    "way it addresses buckets",
    "deploy/commands/permissions.py: main": "AWS does not record which permissions were used",
    "deploy/terraform.py: Stack._require": "see Environment.asks_before_destroy",
    "deploy/commands/status.py: image_lines": "on AWS no image has a replacement",
    "deploy/commands/status.py: chaos_lines": "AWS makes no faults on demand",
    "deploy/load/requests.py: questions": "the same, for the connections of a load test",
    "deploy/api_key.py: command": "the shell of a rehearsal must name the local AWS and its keys",
    "deploy/function.py: curl_line": "the keys of the local AWS are known; the caller's AWS keys are in the shell",
    "deploy/function.py: credentials_hint": "the hint how a shell gets the caller's keys",
}

ATTRIBUTES = {"is_local", "is_aws", "rehearsed", "is_dress_rehearsal", "asks_before_destroy"}
NAMES = {"local", "aws"}
VARIABLES = {"ENV", "REHEARSE"}


def asks(node: ast.AST) -> bool:
    """Whether an expression depends on the environment."""
    match node:
        case ast.Attribute(attr=attr):
            return attr in ATTRIBUTES
        case ast.Compare(left=left, comparators=others):
            sides = [left, *others]
            sides += [item for side in sides if isinstance(side, ast.Tuple | ast.Set | ast.List) for item in side.elts]
            return any(isinstance(side, ast.Constant) and side.value in NAMES for side in sides)
        case ast.MatchValue(value=ast.Constant(value=value)):
            return value in NAMES
        case ast.Constant(value=str() as value):
            return value in VARIABLES or "localhost" in value
    return False


def places(tree: ast.AST, name: str = "") -> Iterator[str]:
    """The qualified names of the functions that depend on the environment, or "" for the module."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from places(node, f"{name}.{node.name}".lstrip("."))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        else:
            if asks(node):
                yield name
            yield from places(node, name)


def in_makefile(text: str) -> Iterator[str]:
    for line in text.splitlines():
        before_comment = line.partition("##")[0]
        if re.search(r"\$[({](if|or|and|filter|filter-out|findstring)\b.*\b(ENV|REHEARSE|DRESS)\b", before_comment):
            yield re.split(r"\s*[:?]?=|:", before_comment)[0].strip()
        elif re.match(r"ifn?(eq|def)\b.*\b(ENV|REHEARSE|DRESS)\b", line):
            yield line.strip()


def found() -> set[str]:
    sources = sorted([*(ROOT / "deploy").rglob("*.py"), *(ROOT / "payloads").rglob("*.py")])
    asking = {f"Makefile: {name}" for name in in_makefile((ROOT / "Makefile").read_text())}
    for path in sources:
        asking |= {f"{path.relative_to(ROOT)}: {name}" for name in places(ast.parse(path.read_text()))}
    return asking


def test_every_branch_on_the_environment_has_a_reason():
    assert found() - REASONS.keys() == set(), "give a reason here, or do the same everywhere"


def test_every_reason_has_a_branch():
    assert REASONS.keys() - found() - {"deploy/build/package.py: serving_members"} == set()


@pytest.mark.parametrize(
    "line",
    [
        "time.sleep(1 if env.is_local else 5)",
        'if env.name == "local": pass',
        'if "aws" != name: pass',
        'if name in ("local", "test"): pass',
        'x = os.environ.get("ENV", "local")',
        'x = os.environ["REHEARSE"]',
        'match name:\n    case "aws": pass',
        "y = 1 if env.rehearsed else 2",
    ],
)
def test_every_form_of_a_branch_is_found(line: str):
    assert list(places(ast.parse(f"def f():\n    {line.replace(chr(10), chr(10) + '    ')}"))) != []


def test_terraform_depends_on_a_rehearsal_only_through_variables():
    """The stack is the same everywhere: it names neither the local AWS's address nor its account."""
    files = [path for path in (ROOT / "terraform").rglob("*.tf*") if path.suffix in (".tf", ".tftpl")]
    assert files
    # 127.0.0.1:9000 is the loopback address inside a container, on AWS too (docs/adr/0013).
    named = re.compile(r"localhost|127\.0\.0\.1(?!:9000)|\b4566\b|123456789012|LOCALAWS|REHEARSE")
    assert [str(path) for path in files if ".terraform" not in path.parts and named.search(path.read_text())] == []
