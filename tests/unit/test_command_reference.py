"""docs/COMMANDS.md, and the reader that makes it from the Makefile and the parsers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools import command_reference
from tools.command_reference import BEGIN, END, ReferenceError, read_targets, reference, updated, variables

MAKEFILE = """\
run_options = $(foreach each,DATA:data \\
	SEED:seed,$(call option,$(word 1,$(each)))) $(if $(FINE_TUNE),--fine-tune)

##@ First
one: setup $(if $(X),y) ## Do one thing
	@echo $(call nothing)
##@ Second
two: setup ## Do two things: DATA= SEED=; default: none
	@$(PY) -m deploy.commands.train $(run_options) \\
		$(call option,INSTANCES,instances)
three: ## Do three: really
	@$(PY) -m deploy.commands.report $(call argument,$(if $(RUN),RUN,JOB))
"""


def test_the_reference_is_up_to_date():
    assert updated() == (ROOT / "docs" / "COMMANDS.md").read_text(), "Write it again: make docs"


def test_every_variable_of_a_recipe_is_read():
    """A variable that a recipe passes in a form that the reader does not know would be missing without a word."""
    makefile = (ROOT / "Makefile").read_text()
    for target in read_targets(makefile):
        passed = set(re.findall(r"\$\(call (?:option|argument),(\w+)", target.recipe))
        passed |= set(re.findall(r"\$\(if \$\((\w+)\),--", target.recipe))
        assert passed <= {each.name.removesuffix("=1") for each in variables(target)}, target.name


@pytest.mark.parametrize("variable", ["ALLOW_DUPLICATES", "PRICE_PER_HOUR", "CONFIRM", "REHEARSE", "PAWPRINT_HOME"])
def test_a_variable_that_is_listed_by_hand_is_in_the_code(variable):
    assert f"| `{variable}" in (ROOT / "docs" / "COMMANDS.md").read_text()
    code = [path for folder in ("deploy", "payloads/shared") for path in (ROOT / folder).rglob("*.py")]
    assert any(f'"{variable}"' in path.read_text() for path in code)


def test_targets_have_their_section_and_the_description_without_its_variables():
    targets = read_targets(MAKEFILE)
    assert [(each.section, each.name, each.summary) for each in targets] == [
        ("First", "one", "Do one thing"),
        ("Second", "two", "Do two things"),
        ("Second", "three", "Do three: really"),
    ]


def test_a_variable_has_the_help_and_the_default_of_the_command_that_reads_it():
    one, two, three = read_targets(MAKEFILE)
    assert variables(one) == []
    by_name = {each.name: each.text for each in variables(two)}
    assert set(by_name) == {"DATA", "SEED", "FINE_TUNE=1", "INSTANCES"}
    assert by_name["SEED"].endswith("default: 0")
    assert by_name["INSTANCES"] == "instances that share the job (1)"
    assert [each.name for each in variables(three)] == ["RUN or JOB"]
    assert "| `RUN` or `JOB` |" in reference(MAKEFILE)


@pytest.mark.parametrize(
    "recipe",
    [
        "@$(PY) -m deploy.commands.train $(call option,X,no-such-option)",
        "@$(PY) -m deploy.commands.train $(call argument,X)",
        "@$(PY) -m deploy.setup $(call option,X,x)",
        "@echo $(call option,X,x)",
    ],
)
def test_a_variable_that_no_parser_reads_is_an_error(recipe, monkeypatch):
    monkeypatch.setattr("deploy.setup.main", lambda: None)
    with pytest.raises(ReferenceError):
        reference(f"##@ A\nbroken: ## Break: X=\n\t{recipe}\n")


def test_check_fails_until_the_reference_is_written_and_writes_nothing(tmp_path: Path, monkeypatch, capsys):
    document, makefile = tmp_path / "COMMANDS.md", tmp_path / "Makefile"
    makefile.write_text(MAKEFILE)
    document.write_text(f"# Commands\n\n{BEGIN}\n{END}\n\nThe end.\n")
    monkeypatch.setattr(command_reference, "DOCUMENT", document)
    monkeypatch.setattr(command_reference, "MAKEFILE", makefile)
    before = document.read_text()
    assert command_reference.main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err
    assert document.read_text() == before

    assert command_reference.main([]) == 0
    assert "### make two" in document.read_text()
    assert document.read_text().endswith(f"{END}\n\nThe end.\n")
    assert command_reference.main(["--check"]) == 0

    document.write_text("# Commands\n")
    assert command_reference.main(["--check"]) == 1
    assert BEGIN in capsys.readouterr().err
