"""The search of a tuning job: which hyperparameters to try next, and which trials are not worth finishing.

Of jobs and processes it knows nothing: it is told what trials report, and says what it would do. The strategies are
Optuna's: a tree-structured Parzen estimator for Bayesian (SageMaker's own is a Gaussian process) and for Hyperband,
which takes Optuna's pruner besides.
"""

import itertools
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localaws.services.sagemaker.tuning.space import Space

if TYPE_CHECKING:
    import optuna

BAYESIAN, RANDOM, GRID, HYPERBAND = STRATEGIES = ("Bayesian", "Random", "Grid", "Hyperband")
REDUCTION = 3  # Hyperband's usual: one trial of three goes on with three times the epochs


@dataclass(frozen=True)
class Plan:
    """How to search. `trials` is how many there will be; `resources` the fewest and the most epochs of Hyperband."""

    strategy: str
    maximize: bool
    trials: int
    seed: int | None = None
    early_stopping: bool = False
    resources: tuple[int, int] = (1, 1)


@dataclass
class Suggestion:
    """Hyperparameters to try, as texts, and what was reported of them, one value an epoch."""

    number: int  # in the study, which counts what it learnt from earlier searches too
    hyperparameters: dict[str, str]
    reported: list[float] = field(default_factory=list)


class Search:
    """One study: not to be used by several threads."""

    def __init__(self, space: Space, plan: Plan, name: str):
        import optuna  # here, so that a local AWS that tunes nothing starts without it

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.plan = plan
        self.space = space
        self._optuna = optuna
        self._distributions = {name: parameter.distribution() for name, parameter in space.items()}
        self._study = optuna.create_study(
            study_name=name,  # Hyperband deals trials out to its brackets by it
            direction="maximize" if plan.maximize else "minimize",
            sampler=self._sampler(),
            pruner=self._pruner(),
        )
        self._open: dict[int, optuna.Trial] = {}
        self._ended: list[Suggestion] = []
        self._grid = self._combinations() if plan.strategy == GRID else None

    def learn(self, hyperparameters: dict[str, str], value: float) -> bool:
        """Take over a result of an earlier search; False where it lies outside the space, which teaches nothing."""
        try:
            parameters = {name: each.read(hyperparameters[name]) for name, each in self.space.items()}
        except (KeyError, ValueError):
            return False
        make = self._optuna.trial.create_trial
        self._study.add_trial(make(params=parameters, distributions=self._distributions, value=value))
        return True

    def suggest(self) -> Suggestion:
        """What to try next. A grid has something to try as often as it has combinations."""
        if self._grid is not None:
            self._study.enqueue_trial(next(self._grid))
        trial = self._study.ask(self._distributions)
        texts = {name: self.space[name].write(value) for name, value in trial.params.items()}
        self._open[trial.number] = trial
        return Suggestion(trial.number, texts)

    def is_worth_finishing(self, suggestion: Suggestion, values: list[float]) -> bool:
        """Take the objectives of one or more epochs; False where the trial should be stopped.

        Of several the last counts: an epoch's value does not count once a later one is known. Early stopping is
        SageMaker's median rule: a value is held against the median, over the trials that ended before, of their
        running averages up to the same epoch.
        """
        trial = self._open[suggestion.number]
        for value in values:
            suggestion.reported.append(value)
            trial.report(value, len(suggestion.reported))
        epoch = len(suggestion.reported)
        if self.plan.strategy == HYPERBAND:
            # A trial that reports its last epoch still has to save its work; one epoch more is one too many.
            return epoch <= self.plan.resources[1] and not trial.should_prune()
        if not self.plan.early_stopping:
            return True
        averages = [statistics.fmean(each.reported[:epoch]) for each in self._ended if len(each.reported) >= epoch]
        return not averages or not self._is_worse(suggestion.reported[-1], statistics.median(averages))

    def close(self, suggestion: Suggestion, value: float | None, stopped: bool = False) -> None:
        """Say how a trial ended: with its objective, stopped before its end, or (None) with nothing."""
        trial = self._open.pop(suggestion.number)
        states = self._optuna.trial.TrialState
        if value is None:
            self._study.tell(trial, state=states.FAIL)
            return
        self._ended.append(suggestion)
        if stopped:
            self._study.tell(trial, state=states.PRUNED)
        else:
            self._study.tell(trial, value)

    def _is_worse(self, value: float, than: float) -> bool:
        return value < than if self.plan.maximize else value > than

    def _sampler(self) -> "optuna.samplers.BaseSampler":
        if self.plan.strategy in (RANDOM, GRID):
            return self._optuna.samplers.RandomSampler(seed=self.plan.seed)
        # A third of the trials at random, then by what they taught: with Optuna's own ten, a search of eight trials
        # would never get beyond chance.
        startup = max(3, min(10, self.plan.trials // 3))
        return self._optuna.samplers.TPESampler(
            seed=self.plan.seed, n_startup_trials=startup, multivariate=True, constant_liar=True
        )

    def _pruner(self) -> "optuna.pruners.BasePruner":
        if self.plan.strategy != HYPERBAND:
            return self._optuna.pruners.NopPruner()
        low, high = self.plan.resources
        return self._optuna.pruners.HyperbandPruner(min_resource=low, max_resource=high, reduction_factor=REDUCTION)

    def _combinations(self) -> Iterator[dict[str, str]]:
        names = list(self.space)
        for values in itertools.product(*(self.space[name].values for name in names)):
            yield dict(zip(names, values, strict=True))
