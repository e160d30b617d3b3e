"""`make dashboard`: charts of the last minutes below the screen of `make status`."""

from __future__ import annotations

import pytest

from deploy.commands import dashboard
from deploy.terraform import Stack
from deploy.watching import charts, parts, traffic
from deploy.watching.parts import Part
from deploy.watching.traffic import ObservedTraffic

NOW = 1_700_000_040.0  # in the middle of a minute


def test_a_bar_is_a_minute_and_the_highest_value_is_the_full_height():
    series = [(NOW - 180, 4.0), (NOW - 60, 0.0), (NOW, 8.0), (NOW + 1, 2.0)]
    assert charts.bars(series, NOW, 5) == "·▅·▁█"
    assert charts.bars([(NOW - 3600, 1.0)], NOW, 3) == "···"
    assert charts.bars([(NOW, 0.0)], NOW, 2) == "·▁"


def test_only_series_with_values_are_shown_in_their_unit():
    found = list(charts.rows(ObservedTraffic({"model_us": [(NOW - 60, 80_000.0), (NOW, 40_000.0)]}), NOW, 2))
    assert found == [("of the model, 99 % within", "█▅", "40 ms, at most 80")]


def test_without_a_terminal_one_frame_is_printed(account, monkeypatch: pytest.MonkeyPatch, capsys):
    history = ObservedTraffic({"invocations": [(NOW, 12.0)]})
    monkeypatch.setattr(traffic, "read", lambda _, minutes: history)
    monkeypatch.setattr(parts, "all_parts", lambda _: iter([Part("endpoint", "InService", "", instances=3)]))
    monkeypatch.setattr(Stack, "require_deployment", lambda _: account.deployed(release="run-1"))
    monkeypatch.setattr(dashboard.time, "time", lambda: NOW)

    dashboard.main()

    printed = capsys.readouterr().out
    assert "endpoint InService" in printed
    assert "The last 30 minutes" in printed
    assert "12 a minute, at most 12" in printed
    assert "3, at most 3" in printed, "the number of instances"
