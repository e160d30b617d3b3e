"""Where the code still asks whether it runs in a rehearsal: each place has a reason here, or fails.

What only AWS's side of such a branch does is what nobody has seen run. So there are to be few, and those that stand
are to be about where AWS is and whose account it is, not about what is done there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT

REASONS = {
    "Makefile: DRESS": "the local AWS of a dress rehearsal has a port and a home of its own",
    "Makefile: LOCALAWS_PORT": "the same",
    "Makefile: export LOCALAWS_HOME": "the same",
    "deploy/commands/up.py: steps": "a rehearsal starts the local AWS first; AWS runs already",
    "deploy/console.py: make": "a command to be pasted names ENV and REHEARSE only if they are not the default",
    "deploy/environment.py: Environment.__str__": "the same",
    "deploy/environment.py: Environment.asks_before_destroy": "nobody is asked before ENV=local is destroyed: its "
    "data are a rehearsal's. REHEARSE=1 asks, as AWS does",
    "deploy/environment.py: Environment.is_dress_rehearsal": "what the two others here ask",
    "deploy/environment.py: Environment.patience_seconds": "a local AWS does not come back by itself; only a "
    "wait differs",
    "deploy/environment.py: Environment.poll_seconds": "the local AWS has no request limits; only a wait differs",
    "deploy/environment.py: Environment.require_access": "the words for whose account it is",
    "deploy/environment.py: Environment.require_own_local_aws": "AWS runs already, and is nobody's checkout",
    "deploy/environment.py: current": "this is where ENV and REHEARSE are read, and the caller's keys replaced",
    "deploy/environment.py: point_at_local_aws": "what reaches the local AWS and nothing else",
    "deploy/function.py: connect": "a *.localhost name is this machine, whatever its resolver says, and has no TLS",
    "deploy/signing_proxy.py: SigningProxy.__init__": "the proxy's own name on this machine, wherever the function is",
    "deploy/commands/local_reset.py: main": "AWS has no state on this machine that could be emptied",
    "deploy/terraform.py: Stack._inputs": "Terraform gets the rehearsal's account and the way it addresses buckets",
    "deploy/commands/destroy.py: confirm_destroy": "see Environment.asks_before_destroy",
    "deploy/commands/status.py: image_rows": "on AWS nothing stands in for an image",
    "deploy/function.py: curl_line": "the keys of the local AWS are known; those of AWS are the caller's, in the shell",
    "deploy/function.py: credentials_hint": "the hint at how a shell gets the caller's keys",
}

ATTRIBUTES = {"is_local", "is_aws", "rehearsed", "is_dress_rehearsal", "asks_before_destroy"}
NAMES = {"local", "aws"}
VARIABLES = {"ENV", "REHEARSE"}


def asks(node: ast.AST) -> bool:
    """Whether an expression asks where the code runs."""
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
    """The qualified names of the functions, or "" for the module, in which something asks."""
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


def test_every_reason_is_of_a_branch_that_is_still_there():
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
def test_a_branch_is_found_however_it_is_written(line: str):
    assert list(places(ast.parse(f"def f():\n    {line.replace(chr(10), chr(10) + '    ')}"))) != []


def test_terraform_knows_no_rehearsal_but_by_its_variables():
    """The stack is the same everywhere: it names neither the local AWS's address nor its account."""
    files = [path for path in (ROOT / "terraform").rglob("*.tf*") if path.suffix in (".tf", ".tftpl")]
    assert files
    # 127.0.0.1:9000 is a container's own loopback, on AWS as here (docs/adr/0013).
    named = re.compile(r"localhost|127\.0\.0\.1(?!:9000)|\b4566\b|123456789012|LOCALAWS|REHEARSE")
    assert [str(path) for path in files if ".terraform" not in path.parts and named.search(path.read_text())] == []
