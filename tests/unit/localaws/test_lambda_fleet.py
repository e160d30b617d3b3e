"""The fleet of Lambda environments, in this process, with real ones."""

import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from localaws.context import Context, set_context
from localaws.services.lambda_.environment import Revision, unpack
from localaws.services.lambda_.fleet import FunctionFleet, Throttled
from localaws.services.lambda_.runtime_api import Invocation
from localaws.supervisor import Supervisor

CODE = """
import os, pathlib, time
def handler(event, context):
    if "here" in event:
        pathlib.Path(event["here"]).touch()
        while not pathlib.Path(event["until"]).exists():
            time.sleep(0.01)
    return os.getpid()
"""


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    made = Context(home=tmp_path, port=1, supervisor=Supervisor(tmp_path))
    set_context(made)
    yield made
    made.supervisor.stop_all()
    set_context(None)


@pytest.fixture
def revision(ctx: Context) -> Revision:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("handler.py", CODE)
    made = Revision("us-east-1", "f", "1", "handler.handler", "python3.13", 128, 30, (), "0" * 64, "/aws/lambda/f")
    unpack(archive.getvalue(), made.task_root)
    return made


@pytest.fixture
def fleet(ctx: Context) -> Iterator[Callable[..., FunctionFleet]]:
    made: list[FunctionFleet] = []

    def make(**settings: float) -> FunctionFleet:
        made.append(FunctionFleet(**settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def invoke(fleet: FunctionFleet, revision: Revision, **event: str) -> int:
    outcome = fleet.invoke(revision, Invocation("the-id", json.dumps(event).encode(), "arn", "trace"))
    assert outcome.function_error is None, outcome.payload
    return int(outcome.payload)


def test_an_idle_environment_ends_after_a_while(fleet, revision, ctx, wait_until):
    short = fleet(idle_seconds=0.2)
    invoke(short, revision)
    wait_until(lambda: not ctx.supervisor.children("lambda/f"), "the idle environment has ended")
    invoke(short, revision)


def test_requests_over_the_limit_wait_for_their_turn(fleet, revision, tmp_path, wait_until):
    narrow = fleet(unreserved_limit=1)
    here, until = tmp_path / "here", tmp_path / "until"
    with ThreadPoolExecutor() as pool:
        first = pool.submit(invoke, narrow, revision, here=str(here), until=str(until))
        wait_until(here.exists, "the first request is being served")
        second = pool.submit(invoke, narrow, revision)
        until.touch()
        assert first.result() == second.result()


def test_an_environment_that_died_while_it_was_idle_is_replaced(fleet, revision, ctx):
    kept = fleet()
    pid = invoke(kept, revision)
    (child,) = ctx.supervisor.children("lambda/f")
    assert child.pid == pid
    ctx.supervisor.stop(child)
    assert invoke(kept, revision) != pid


def test_another_revision_has_another_environment(fleet, revision):
    kept = fleet()
    other = Revision(**{**vars(revision), "variables": (("A", "1"),)})
    assert invoke(kept, revision) != invoke(kept, other)


def test_retired_environments_end(fleet, revision, ctx, wait_until):
    kept = fleet()
    invoke(kept, revision)
    kept.retire("us-east-1", "f", "2")
    assert ctx.supervisor.children("lambda/f")
    kept.retire("us-east-1", "f", "1")
    assert not ctx.supervisor.children("lambda/f")


def test_a_closed_fleet_has_no_process_left(fleet, revision, ctx):
    kept = fleet()
    invoke(kept, revision)
    kept.close()
    assert not ctx.supervisor.children()


def test_an_archive_cannot_write_outside_of_its_directory(tmp_path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("../../outside.py", "")
        package.writestr("/absolute.py", "")
    unpack(archive.getvalue(), tmp_path / "code" / "root")
    assert sorted(path.name for path in (tmp_path / "code" / "root").rglob("*.py")) == ["absolute.py", "outside.py"]
    assert not list(tmp_path.glob("*.py"))


def test_functions_without_reserved_concurrency_share_what_the_account_has(fleet, revision, tmp_path, wait_until):
    shared = fleet()
    other = replace(revision, name="other")
    shutil.copytree(revision.task_root, other.task_root)
    here, until = tmp_path / "here", tmp_path / "until"

    def ask(asked: Revision, reserved: int | None = None, wait: bool = False, **event: str) -> None:
        shared.invoke(asked, Invocation("the-id", json.dumps(event).encode(), "arn", "trace"), reserved, wait, pool=1)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(ask, revision, here=str(here), until=str(until))
        wait_until(here.exists, "the first request is being served")
        with pytest.raises(Throttled) as refused:
            ask(other)
        assert refused.value.reason == "ConcurrentInvocationLimitExceeded"
        ask(other, reserved=1)  # has its own
        waiting = pool.submit(ask, other, wait=True)
        until.touch()
        first.result()
        waiting.result()
    ask(other)
