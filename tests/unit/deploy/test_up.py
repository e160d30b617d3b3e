"""`make up`: its steps, the box at its end, and its messages if a step fails or is interrupted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import console
from deploy.commands import up
from deploy.console import Failure
from deploy.steps import Interrupted, Step, StepFailed, Steps
from tests.conftest import ROOT
from tests.unit.deploy.conftest import OUTPUTS

ANSWER = {
    "predictions": [
        {"label": "7", "probability": 0.9712},
        {"label": "[b]1", "probability": 0.02},
        {"label": "2", "probability": 0.005},
        {"label": "3", "probability": 0.001},
    ]
}


class Deployed:
    """A deployed stack."""

    def __init__(self, account):
        self.account = account

    def require_deployment(self):
        return self.account.deployment


@pytest.fixture
def go(account, monkeypatch, capsys):
    """Run `make up` with these programs as its steps. Returns its output."""

    def run(*programs: str, answer: tuple[int, bytes] = (200, json.dumps(ANSWER).encode()), arguments=()) -> str:
        made = [Step(f"Step {n}", [sys.executable, "-c", program], f"step-{n}") for n, program in enumerate(programs)]
        monkeypatch.setattr(up, "steps", lambda *_: made)
        monkeypatch.setattr(up, "Stack", lambda _: Deployed(account))
        monkeypatch.setattr(up, "ask", lambda *_: answer)
        monkeypatch.setattr(sys, "argv", ["up", *arguments])
        up.main()
        return capsys.readouterr().out

    return run


def test_it_ends_with_the_url_the_answer_and_the_next_commands(go):
    lines = go("print('many\\n' * 500)", "print('✓ done')").splitlines()

    assert len(lines) <= 25
    assert "logs/up-" in lines[0]
    assert lines[1].startswith("✓ Step 0 (") and lines[2].startswith("✓ Step 1 (") and lines[2].endswith(": done")
    text = "\n".join(lines)
    assert lines[3].startswith("╭─ pawprint answers ─")
    assert OUTPUTS["function_url"] in text, "the URL is on one line"
    assert "97.1%" in text and "[b]1" in text
    assert "0.1%" not in text, "the table is small"
    for target in ("make page", "make report", "make data DATA=", "make destroy"):
        assert target in text
    assert lines[-2].startswith("╰")
    assert lines[-1].startswith("curl ") and lines[-1].endswith(OUTPUTS["function_url"])


def test_the_log_is_in_the_environments_home(go, account):
    go("print('a word of the first step')")

    [log] = (account.env.home / "logs").iterdir()
    assert "a word of the first step" in log.read_text()


def test_after_a_failed_step_nothing_else_runs_and_the_exit_status_is_its_own(go, tmp_path: Path):
    with pytest.raises(StepFailed, match="make step-0") as failure:
        go("raise SystemExit(3)", f"open({str(tmp_path / 'ran')!r}, 'w')")

    assert failure.value.code == 3
    assert not (tmp_path / "ran").exists()


def test_the_exit_status_of_a_failure_is_the_commands(monkeypatch):
    def fails() -> None:
        raise StepFailed(3, "no")

    with pytest.raises(SystemExit) as ended:
        console.run(fails)
    assert ended.value.code == 3


def test_an_interruption_prints_what_stays_and_how_to_continue(go, monkeypatch, capsys):
    def interrupted(*_: object) -> None:
        raise Interrupted

    monkeypatch.setattr(Steps, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        go("pass")

    said = capsys.readouterr().err
    assert "Interrupted during: Step 0" in said
    assert "make up" in said and "make destroy" in said


@pytest.mark.parametrize("answer", [(502, b'{"error": {"code": "model_failed"}}'), (200, b"<html>"), (200, b"[]")])
def test_an_answer_that_is_not_a_prediction_is_shown_and_fails(go, answer):
    with pytest.raises(Failure, match=f"status {answer[0]}(?s:.*)make logs WHAT=lambda") as failure:
        go("pass", answer=answer)

    assert answer[1].decode() in str(failure.value)


def test_a_wrong_training_option_is_reported_before_anything_runs(go, tmp_path: Path):
    with pytest.raises(Failure, match="EPOCHS"):
        go(f"open({str(tmp_path / 'ran')!r}, 'w')", arguments=["--epochs", "many"])

    assert not (tmp_path / "ran").exists()


def test_for_a_given_dataset_the_prediction_is_for_a_test_photograph(tmp_path: Path):
    for name in ("test/cat/b.jpg", "test/cat/a.jpg", "train/cat/0.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert up.example(str(tmp_path)) == tmp_path / "test" / "cat" / "a.jpg"


def test_the_steps_are_the_commands_of_the_make_targets(account):
    made = up.steps(account.env, "my photos", ["--epochs", "3"])

    assert [step.target for step in made] == ["local-up", "apply", "data DATA=my photos", "train", "promote"]
    assert [step.command[2] for step in made] == [
        "localaws",
        *(f"deploy.commands.{name}" for name in ("apply", "data", "train", "promote")),
    ]
    assert made[2].command[3:] == ["my photos"] and made[3].command[3:] == ["--epochs", "3"]
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"-m {step.command[2]}" in makefile for step in made), "each step is the command of its make target"


def test_make_passes_the_variables_on():
    line = ["make", "-n", "up", "PYTHON=true", "V=1", "FINE_TUNE=1"]
    printed = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    [command] = [each for each in printed.splitlines() if "deploy.commands.up" in each]
    assert "--verbose" in command and "--fine-tune" in command and '"$DATA"' in command
