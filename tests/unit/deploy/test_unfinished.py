"""The record of an apply that did not finish, and the words about it."""

from __future__ import annotations

import pytest

from deploy import unfinished


def test_an_apply_is_unfinished_until_it_ends(account):
    assert not unfinished.exists(account.env)
    unfinished.begin(account.env)
    assert unfinished.exists(account.env)
    unfinished.end(account.env)
    assert not unfinished.exists(account.env)


def test_an_interruption_before_the_first_change_changed_nothing(account, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(KeyboardInterrupt), unfinished.explained(account.env, "apply"):
        raise KeyboardInterrupt
    assert "Nothing was changed. To start again: make apply" in capsys.readouterr().err


def test_an_interruption_between_changes_names_both_ways(account, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(KeyboardInterrupt), unfinished.explained(account.env, "apply"):
        unfinished.begin(account.env)
        raise KeyboardInterrupt
    said = capsys.readouterr().err
    assert "To continue: make apply" in said and "make destroy" in said
