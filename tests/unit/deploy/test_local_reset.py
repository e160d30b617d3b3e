"""`make local-reset`: it deletes a rehearsal, but only after a confirmation."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deploy import rehearsal_files
from deploy.commands import local_reset
from deploy.console import Failure
from tests.unit.deploy.conftest import OUTPUTS


@pytest.fixture
def rehearsal(account, monkeypatch) -> Path:
    """A home with the state of a rehearsal and other files; returns the home."""
    monkeypatch.delenv("CONFIRM", raising=False)
    monkeypatch.setattr(sys, "argv", ["local_reset"])
    home = account.env.home.parent
    for name in (
        "localaws/s3/aa/object",
        "local/terraform.tfstate",
        "local/reports/run.html",
        "local/logs/up.log",
        "aws/terraform.tfstate",
        "aws-rehearsal/localaws/s3/object",
        "dev-rehearsal/terraform.tfstate",
        "terraform.rc",
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("12345")
    return home


def left(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}


def test_confirmed_it_deletes_the_rehearsal_and_nothing_else(rehearsal, monkeypatch, capsys):
    monkeypatch.setenv("CONFIRM", "yes")

    local_reset.main()

    assert left(rehearsal) == {
        "local/logs/up.log",
        "aws/terraform.tfstate",
        "aws-rehearsal/localaws/s3/object",
        "dev-rehearsal/terraform.tfstate",
        "terraform.rc",
    }
    assert "3 files, 0.0 MB" in capsys.readouterr().err


@pytest.mark.parametrize("confirm", [None, "", "no", "pawprint"])
def test_without_a_yes_nothing_is_deleted(rehearsal, monkeypatch, confirm):
    if confirm is not None:
        monkeypatch.setenv("CONFIRM", confirm)
    before = left(rehearsal)

    with pytest.raises(Failure, match=r"Nothing was deleted.*make local-reset CONFIRM=yes"):
        local_reset.main()

    assert left(rehearsal) == before


@pytest.mark.parametrize(("typed", "deleted"), [("yes", True), ("y", False), ("", False)])
def test_on_a_terminal_a_person_types_yes(rehearsal, monkeypatch, typed, deleted):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: typed)

    if deleted:
        local_reset.main()
    else:
        with pytest.raises(Failure):
            local_reset.main()

    assert ("localaws/s3/aa/object" in left(rehearsal)) is not deleted


def test_on_aws_there_is_nothing_to_reset(rehearsal, monkeypatch):
    monkeypatch.setenv("ENV", "aws")
    monkeypatch.setenv("CONFIRM", "yes")
    before = left(rehearsal)

    with pytest.raises(Failure, match="make destroy ENV=aws"):
        local_reset.main()

    assert left(rehearsal) == before


def test_the_dress_rehearsals_which_share_a_local_aws_are_deleted_alone(rehearsal, monkeypatch):
    monkeypatch.setenv("ENV", "aws")
    monkeypatch.setenv("REHEARSE", "1")
    monkeypatch.setenv("CONFIRM", "yes")
    before = left(rehearsal)

    local_reset.main()

    assert before - left(rehearsal) == {"aws-rehearsal/localaws/s3/object", "dev-rehearsal/terraform.tfstate"}


def test_a_link_is_deleted_but_not_its_target(rehearsal, monkeypatch, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "mine").touch()
    (rehearsal / "local" / "link").symlink_to(elsewhere)
    monkeypatch.setenv("CONFIRM", "yes")

    local_reset.main()

    assert (elsewhere / "mine").exists()
    assert not (rehearsal / "local" / "link").is_symlink()


def test_an_empty_home_is_reported(account, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["local_reset"])

    local_reset.main()

    assert "nothing to delete" in capsys.readouterr().out


def test_datasets_and_runs_are_counted_while_the_local_aws_answers(account, monkeypatch):
    s3 = account.client("s3")
    for key in (
        "datasets/dogs/train/a.jpg",
        "datasets/dogs/dataset.json",
        "models/one/output/x",
        "models/two/output/x",
    ):
        s3.put_object(Bucket=OUTPUTS["artifacts_bucket"], Key=key)
    monkeypatch.setattr(type(account.env), "require_own_local_aws", lambda _: None)

    class Stack:
        def __init__(self, env):
            pass

        def deployment(self):
            return account.deployment

    monkeypatch.setattr(rehearsal_files, "Stack", Stack)

    assert rehearsal_files.counts(account.env) == "1 dataset, 2 runs"
