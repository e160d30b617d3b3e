"""The search itself: what it suggests for which ranges, what it learns, which trials it gives up."""

import math
import statistics

import pytest

from localaws.services.sagemaker.tuning.search import Plan, Search, Suggestion
from localaws.services.sagemaker.tuning.space import SpaceError, grid_size, read_space


def continuous(low: str, high: str, scale: str | None = None, name: str = "lr") -> dict:
    given = {"Name": name, "MinValue": low, "MaxValue": high}
    return {"ContinuousParameterRanges": [{**given, **({"ScalingType": scale} if scale else {})}]}


def integers(low: str, high: str, scale: str = "Linear") -> dict:
    return {"IntegerParameterRanges": [{"Name": "n", "MinValue": low, "MaxValue": high, "ScalingType": scale}]}


def search(ranges: dict, strategy: str = "Random", trials: int = 200, maximize: bool = True, **plan) -> Search:
    return Search(read_space(ranges), Plan(strategy, maximize, trials, plan.pop("seed", 1), **plan), "study")


def suggested(ranges: dict, name: str) -> list[str]:
    study = search(ranges)
    return [study.suggest().hyperparameters[name] for _ in range(200)]


@pytest.mark.parametrize(
    ("low", "high", "scale", "middle"),
    [
        ("0.0001", "1", "Linear", 0.5),
        ("0.0001", "1", "Logarithmic", 0.01),
        ("0.0001", "1", "Auto", 0.01),
        ("0.0001", "1", None, 0.01),
        ("0.5", "1.5", "Auto", 1.0),
        ("-1", "1", "Auto", 0.0),
        ("0", "0.9999", "ReverseLogarithmic", 0.99),
    ],
)
def test_half_of_the_values_lie_below_the_middle_of_the_scale_and_none_outside(low, high, scale, middle):
    values = [float(text) for text in suggested(continuous(low, high, scale), "lr")]

    assert float(low) <= min(values) <= max(values) <= float(high)
    assert 70 < sum(value < middle for value in values) < 130


@pytest.mark.parametrize(("scale", "middle"), [("Linear", 500), ("Logarithmic", 32)])
def test_integers_stay_integers_on_both_scales(scale, middle):
    values = [int(text) for text in suggested(integers("1", "1000", scale), "n")]

    assert 1 <= min(values) <= max(values) <= 1000
    assert 70 < sum(value < middle for value in values) < 130


def test_categories_keep_their_texts():
    ranges = {"CategoricalParameterRanges": [{"Name": "batch", "Values": ["16", "032", "resnet50"]}]}

    assert set(suggested(ranges, "batch")) == {"16", "032", "resnet50"}
    assert grid_size(read_space(ranges)) == 3


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({}, "at least one range"),
        (continuous("1", "1"), "less than its MaxValue"),
        (continuous("a", "1"), "must be numbers"),
        (continuous("0", "nan"), "less than its MaxValue"),
        (integers("1", "2.5"), "must be integers"),
        (continuous("0", "1", "Logarithmic"), "values greater than 0"),
        (continuous("0", "1", "ReverseLogarithmic"), "0<=x<1.0"),
        (integers("0", "1", "ReverseLogarithmic"), "only for continuous"),
        (continuous("0", "1", "Cubic"), "there are Linear, Logarithmic"),
        ({"CategoricalParameterRanges": [{"Name": "a", "Values": ["x", "x"]}]}, "each only once"),
        ({**continuous("0", "1", name="n"), **integers("0", "1")}, "more than one range"),
    ],
)
def test_ranges_that_cannot_be_searched_are_named(ranges, message):
    with pytest.raises(SpaceError, match=message):
        read_space(ranges)


def loss(suggestion: Suggestion) -> float:
    """Least at lr=0.001."""
    return (math.log10(float(suggestion.hyperparameters["lr"])) + 3) ** 2


def last_losses(strategy: str, seed: int, maximize: bool) -> float:
    """The mean loss of the last ten of 30 trials, two at a time."""
    study = search(continuous("0.00001", "1"), strategy, 30, maximize, seed=seed)
    running, losses = [study.suggest()], []
    for _ in range(29):
        running.append(study.suggest())
        suggestion = running.pop(0)
        losses.append(loss(suggestion))
        study.close(suggestion, -losses[-1] if maximize else losses[-1])
    return statistics.fmean(losses[-10:])


@pytest.mark.parametrize("maximize", [True, False])
def test_bayesian_search_finds_its_way_where_random_search_does_not(maximize):
    bayesian, random = (
        statistics.fmean(last_losses(strategy, seed, maximize) for seed in range(5))
        for strategy in ("Bayesian", "Random")
    )

    assert bayesian < random / 2


def test_what_an_earlier_search_found_is_where_this_one_begins():
    study = search(continuous("0.00001", "1"), "Bayesian", 4)
    for step in range(40):
        lr = 10 ** (-5 + step / 8)
        assert study.learn({"lr": str(lr), "static": "x"}, -((math.log10(lr) + 3) ** 2))

    assert statistics.fmean(loss(study.suggest()) for _ in range(4)) < 1


@pytest.mark.parametrize("values", [{"lr": "2"}, {"lr": "many"}, {"other": "0.1"}])
def test_results_from_outside_the_ranges_teach_nothing(values):
    assert not search(continuous("0.00001", "1"), "Bayesian").learn(values, 1.0)


def reported(study: Search, *values: float) -> list[bool]:
    """A trial that reports these values and ends: after which of them it would have gone on."""
    suggestion = study.suggest()
    verdicts = [study.is_worth_finishing(suggestion, [value]) for value in values]
    study.close(suggestion, values[-1], stopped=not all(verdicts))
    return verdicts


@pytest.mark.parametrize("maximize", [True, False])
def test_the_median_rule_holds_a_value_against_running_averages_up_to_the_same_epoch(maximize):
    study = search(continuous("0.00001", "1"), maximize=maximize, early_stopping=True)
    sign = 1 if maximize else -1
    assert reported(study, *(sign * value for value in (0.2, 0.4, 0.6))) == [True] * 3  # averages 0.2 0.3 0.4
    assert reported(study, *(sign * value for value in (0.4, 0.8, 0.9))) == [True] * 3  # averages 0.4 0.6 0.7
    # The medians are now 0.3, 0.45 and 0.55; nothing is known of a fourth epoch.
    verdicts = reported(study, *(sign * value for value in (0.31, 0.44, 0.56, 0.1)))

    assert verdicts == [True, False, True, True]


def test_of_values_that_come_together_the_last_decides():
    study = search(continuous("0.00001", "1"), early_stopping=True)
    reported(study, 0.5, 0.6, 0.7)  # averages 0.5 0.55 0.6

    assert study.is_worth_finishing(study.suggest(), [0.1, 0.2, 0.61])
    assert not study.is_worth_finishing(study.suggest(), [0.9, 0.9, 0.59])


def test_without_early_stopping_every_trial_is_finished():
    study = search(continuous("0.00001", "1"))
    reported(study, 0.9, 0.9)

    assert reported(study, 0.1, 0.1) == [True, True]


def test_hyperband_lets_a_third_go_on_and_none_beyond_the_most():
    """Ever worse trials: each meets a rung at which all before it were better."""
    study = search(continuous("0.00001", "1"), "Hyperband", 30, resources=(1, 9))
    finished = [all(reported(study, *[1 / rank] * 9)) for rank in range(1, 31)]

    assert finished[0]
    assert 1 <= sum(finished) <= 15
    assert reported(study, *[2.0] * 10) == [True] * 9 + [False]


def test_a_trial_that_gave_nothing_does_not_disturb_the_search():
    study = search(continuous("0.00001", "1"), "Bayesian", 9)
    for value in (1.0, None, 2.0, None, 3.0, 1.0):
        study.close(study.suggest(), value)

    assert float(study.suggest().hyperparameters["lr"]) > 0
