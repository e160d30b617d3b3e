"""Hyperparameters in the form of a training job: always with a value, always as text."""

import argparse

import pytest
from classifier.settings import Settings, add_arguments, from_arguments


def parsed(*arguments: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return from_arguments(parser.parse_args(arguments))


def test_without_arguments_the_settings_are_the_defaults():
    assert parsed() == Settings()


def test_every_setting_can_be_given():
    assert parsed(
        *("--arch", "resnet50", "--fine-tune", "True", "--epochs", "3", "--patience", "2", "--batch-size", "16"),
        *("--lr", "0.01", "--weight-decay", "0", "--dropout", "0.5", "--augment", "flip", "--seed", "7"),
        *("--precision", "int8"),
    ) == Settings("resnet50", True, 3, 2, 16, 0.01, 0.0, 0.5, "flip", 7, "int8")


@pytest.mark.parametrize(
    ("given", "expected"),
    [(["--fine-tune"], True), (["--fine-tune", "True"], True), (["--fine-tune", "false"], False), ([], False)],
)
def test_a_switch_may_come_with_a_value(given, expected):
    assert parsed(*given).fine_tune is expected


@pytest.mark.parametrize(
    "wrong",
    [
        ["--epochs", "0"],
        ["--epochs", "2.5"],
        ["--batch-size", "-4"],
        ["--lr", "0"],
        ["--lr", "nan"],
        ["--lr", "fast"],
        ["--dropout", "1"],
        ["--augment", "rotate"],
        ["--fine-tune", "maybe"],
        ["--threads", "0"],
        ["--learning-rate", "1"],
    ],
    ids=" ".join,
)
def test_a_wrong_value_is_refused_and_named(wrong, capsys):
    with pytest.raises(SystemExit):
        parsed(*wrong)
    assert wrong[0] in capsys.readouterr().err
