"""The choice among ways to use a machine, with fake measurements, processes and clocks."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
from classifier.machine import autotune, plan
from classifier.machine.autotune import AutotuneError, Candidate, Result
from classifier.machine.autotune_process import Bench
from classifier.machine.plan import Machine
from classifier.settings import Settings

GRAPH = Candidate("openvino", 2, 2)
BACKBONE = SimpleNamespace(size=224)  # all that a choice of threads asks of it
EAGER = Candidate("torch", 2, 2, memory_format="contiguous", choosable=False)


class Made:
    """Returns measurements from a table of images per second, and records the candidates."""

    def __init__(self, rates: dict[Candidate, float | list[float]]):
        self.rates = {way: rate if isinstance(rate, list) else [rate] for way, rate in rates.items()}
        self.asked: list[Candidate] = []

    def __call__(self, way: Candidate, images: int) -> float:
        self.asked.append(way)
        if way not in self.rates:
            raise AutotuneError("no such thing")
        rates = self.rates[way]
        return images / rates[(self.asked.count(way) - 1) % len(rates)]


def test_the_fastest_is_chosen_by_its_median():
    slow, fast = GRAPH, replace(GRAPH, workers=1)
    lucky_once = replace(GRAPH, threads=1)
    made = Made({slow: 100, fast: 150, lucky_once: [90, 400, 110, 95]})
    results = autotune.compare([slow, fast, lucky_once], made)
    assert autotune.choose(results).candidate == fast
    assert [round(result.rate) for result in results] == [100, 150, 110]


def test_the_candidates_take_turns():
    others = [replace(GRAPH, workers=number) for number in (1, 4)]
    made = Made(dict.fromkeys([GRAPH, *others], 100.0))
    autotune.compare([GRAPH, *others], made)
    assert made.asked == [GRAPH, *others] * (1 + autotune.ROUNDS)  # the first measurement finds the number of images


def test_equal_speed_within_the_noise_keeps_the_first():
    results = [Result(GRAPH, (100.0,)), Result(replace(GRAPH, threads=1), (104.0,))]
    assert autotune.choose(results).candidate == GRAPH
    results[1] = Result(results[1].candidate, (106.0,))
    assert autotune.choose(results).candidate.threads == 1


def test_a_candidate_for_comparison_is_never_chosen():
    assert autotune.choose([Result(GRAPH, (10.0,)), Result(EAGER, (99.0,))]).candidate == GRAPH
    with pytest.raises(AutotuneError, match="no choosable candidate"):
        autotune.choose([Result(EAGER, (99.0,))])


def test_a_slow_candidate_is_measured_once_and_a_broken_one_never(capsys):
    broken = replace(GRAPH, precision="int4")
    results = autotune.compare([GRAPH, EAGER, broken], Made({GRAPH: 200, EAGER: 20}))
    assert [(result.candidate, len(result.rates)) for result in results] == [(GRAPH, autotune.ROUNDS), (EAGER, 1)]
    assert "not tried: openvino, int4, 2 threads, 2 workers: no such thing" in capsys.readouterr().out


def test_every_measurement_takes_about_as_long():
    taken: list[int] = []

    def measure(way: Candidate, images: int) -> float:
        taken.append(images)
        return images / 500

    autotune.compare([GRAPH], measure, seconds=0.4)
    assert taken == [autotune.FEW, 200, 200, 200]


def test_if_the_time_is_up_there_is_one_round():
    made, now = Made({GRAPH: 1.0}), [0.0]

    def clock() -> float:
        now[0] += autotune.MOST_SECONDS
        return now[0]

    found = autotune.run([GRAPH], lambda best: [], made, clock=clock)
    assert len(found.chosen.rates) == 1


def test_the_best_of_the_first_is_varied_and_is_in_the_table_once():
    slow = replace(GRAPH, precision="fp32", choosable=False)
    quick = replace(GRAPH, precision="int8")
    made = Made({slow: 100, quick: 300, EAGER: 30, replace(quick, workers=1): 330, replace(quick, threads=1): 200})

    def then(best: Candidate) -> list[Candidate]:
        assert best == quick
        return [best, replace(best, workers=1), replace(best, threads=1)]

    found = autotune.run([quick, slow, EAGER], then, made)
    assert found.chosen.candidate == replace(quick, workers=1)
    assert len(found.results) == len({result.candidate for result in found.results}) == 5


def test_the_table_can_be_read():
    results = (
        Result(GRAPH, (200.0, 210.0, 190.0)),
        Result(replace(GRAPH, threads=1), (120.0, 121.0)),
        Result(EAGER, (20.0,)),
    )
    assert str(autotune.Autotuned(results, results[0], 8.0)).splitlines() == [
        "  runtime   precision  memory format  threads  workers  images/s   lowest-highest",
        "  openvino  fp32       -                    2        2     200.0      190.0-210.0  <- chosen",
        "  openvino  fp32       -                    1        2     120.5      120.0-121.0",
        "  torch     fp32       contiguous           2        2      20.0       tried once  (to compare)",
        "chosen: openvino, fp32, 2 threads, 2 workers: 1.66 times as fast as the next; "
        "10.0 times torch, fp32, contiguous, 2 threads, 2 workers",
    ]


def test_the_record_is_json_with_one_choice():
    results = (Result(GRAPH, (200.0, 210.0, 190.0)), Result(EAGER, (20.0,)))
    records = json.loads(json.dumps(autotune.Autotuned(results, results[0], 8.0).records()))
    assert records[0] == {
        "runtime": "openvino",
        "threads": 2,
        "workers": 2,
        "precision": "fp32",
        "memory_format": None,
        "images_per_second": 200.0,
        "lowest": 190.0,
        "highest": 210.0,
        "chosen": True,
    }
    assert [record["chosen"] for record in records] == [True, False]


# ---- candidates -----------------------------------------------------------------------------------------------


def numbers(candidates: list[Candidate]) -> set[tuple[int, int]]:
    return {(way.threads, way.workers) for way in candidates}


def test_given_threads_and_workers_are_not_varied():
    assert numbers(autotune.spread_over(GRAPH, 16, None, None)) == {(t, w) for t in (16, 8) for w in (16, 8, 4)}
    assert numbers(autotune.spread_over(GRAPH, 16, 3, None)) == {(3, w) for w in (16, 8, 4)}
    assert numbers(autotune.spread_over(GRAPH, 16, None, 5)) == {(16, 5), (8, 5)}
    assert numbers(autotune.spread_over(GRAPH, 1, None, None)) == {(1, 1)}


def test_bf16_is_tried_only_if_the_processor_multiplies_in_it():
    best = Candidate("torch", 4, 4, memory_format="channels_last")
    with_it = plan.other_fine_tuning(best, 4, None, {"fma", "avx512_bf16"})
    assert {way.precision for way in with_it} == {"fp32", "bf16"}
    assert {way.precision for way in plan.other_fine_tuning(best, 4, None, {"fma", "avx512f"})} == {"fp32"}
    assert {way.memory_format for way in with_it} == {"channels_last", "contiguous"}


# ---- autotuning in a run ---------------------------------------------------------------------------------------


@pytest.fixture
def tried(monkeypatch):
    """Autotuning that takes no time. Counts the calls."""
    results = (Result(replace(GRAPH, workers=1), (200.0,)), Result(EAGER, (20.0,)))
    made: list[None] = []

    def instead(*_) -> autotune.Autotuned:
        made.append(None)
        return autotune.Autotuned(results, results[0], 0.1)

    monkeypatch.setattr(plan, "_tried", instead)
    return made


def test_a_resumed_run_keeps_its_choice_unless_the_machine_differs(tried, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(autotune, "processors", lambda: 2)
    first = plan.fitted(Machine(autotune=True), {}, BACKBONE, None, Settings(), tmp_path)
    assert first[0].workers == 1 and [record["chosen"] for record in first[1]] == [True, False]
    assert plan.fitted(Machine(autotune=True), {}, BACKBONE, None, Settings(), tmp_path) == first
    assert "using the earlier choice of autotuning: openvino" in capsys.readouterr().out
    assert len(tried) == 1
    monkeypatch.setattr(autotune, "processors", lambda: 8)
    plan.fitted(Machine(autotune=True), {}, BACKBONE, None, Settings(), tmp_path)
    assert len(tried) == 2
    (tmp_path / plan.MEMO).write_text("{cut o")
    plan.fitted(Machine(autotune=True), {}, BACKBONE, None, Settings(), tmp_path)
    assert len(tried) == 3


def test_with_given_threads_and_workers_nothing_is_tried(tried):
    given = Machine(threads=3, workers=4, autotune=True)
    assert plan.fitted(given, {}, None, None, Settings(), None) == (given, [])
    assert not tried


def test_autotuning_that_fails_does_not_end_the_run(monkeypatch, capsys):
    def fails(*_):
        raise AutotuneError("no choosable candidate could be measured")

    monkeypatch.setattr(plan, "_tried", fails)
    assert plan.fitted(Machine(autotune=True), {}, BACKBONE, None, Settings(), None) == (Machine(autotune=True), [])
    assert "not autotuned: no choosable candidate could be" in capsys.readouterr().out


# ---- the process ----------------------------------------------------------------------------------------------


class Odd:
    """A measurement in a separate process."""

    def __init__(self, seconds: float):
        self.taken = seconds

    def seconds(self, way: Candidate, images: int) -> float:
        print("output of the process has no effect")
        if way.workers == 13:
            raise ValueError("13 is not\na number")
        if way.workers == 99:
            os._exit(7)
        return self.taken * images


def test_the_end_of_a_process_is_an_error_of_one_candidate():
    with Bench(Odd, 0.5) as bench:
        assert bench.seconds(GRAPH, 4) == 2.0
        with pytest.raises(AutotuneError, match="ValueError: 13 is not a number"):
            bench.seconds(replace(GRAPH, workers=13), 4)
        assert bench.seconds(GRAPH, 8) == 4.0
        with pytest.raises(AutotuneError, match="its process ended with status 7"):
            bench.seconds(replace(GRAPH, workers=99), 4)
        with pytest.raises(AutotuneError, match="its process ended"):
            bench.seconds(GRAPH, 4)
