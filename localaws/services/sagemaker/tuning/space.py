"""The hyperparameters that a tuning job may vary: its ranges, read and checked, and what a search makes of them.

Values are texts here, as SageMaker writes them, except where a search asks for its own form of them.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna

LINEAR, LOGARITHMIC, REVERSE, AUTO = SCALES = ("Linear", "Logarithmic", "ReverseLogarithmic", "Auto")
# A range that spans as much is searched on a logarithmic scale where the request leaves the scale to SageMaker.
AUTO_LOGARITHMIC = 100.0


class SpaceError(Exception):
    """The ranges of a request that cannot be searched; the message says which and why."""


@dataclass(frozen=True)
class Numeric:
    """A continuous range, or with `whole` one of integers; both ends belong to it."""

    name: str
    low: float
    high: float
    scale: str
    whole: bool

    def distribution(self) -> "optuna.distributions.BaseDistribution":
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.scale == REVERSE:  # a logarithmic search of the distance to 1
            return FloatDistribution(1 - self.high, 1 - self.low, log=True)
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.scale == LOGARITHMIC)
        return FloatDistribution(self.low, self.high, log=self.scale == LOGARITHMIC)

    def write(self, searched: float) -> str:
        if self.whole:
            return str(int(searched))
        value = 1 - searched if self.scale == REVERSE else searched
        return repr(min(max(float(value), self.low), self.high))

    def read(self, text: str) -> float | int:
        """What the search calls a value of an earlier job. Raises ValueError for one outside the range."""
        value = int(text) if self.whole else float(text)
        if not self.low <= value <= self.high:
            raise ValueError(f"{text} is not from {self.low} to {self.high}")
        return 1 - value if self.scale == REVERSE else value


@dataclass(frozen=True)
class Categorical:
    """One of several texts."""

    name: str
    values: tuple[str, ...]

    def distribution(self) -> "optuna.distributions.BaseDistribution":
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)

    def write(self, searched: str) -> str:
        return searched

    def read(self, text: str) -> str:
        if text not in self.values:
            raise ValueError(f"{text} is none of {', '.join(self.values)}")
        return text


Space = dict[str, Numeric | Categorical]


def read_space(ranges: dict[str, Any]) -> Space:
    """The `ParameterRanges` of a request, by name. Raises SpaceError."""
    parameters: list[Numeric | Categorical] = []
    for kind, whole in (("ContinuousParameterRanges", False), ("IntegerParameterRanges", True)):
        parameters += [_numeric(each, whole) for each in ranges.get(kind) or []]
    for each in ranges.get("CategoricalParameterRanges") or []:
        if len(set(each["Values"])) != len(each["Values"]) or not each["Values"]:
            raise SpaceError(f"The values of the hyperparameter {each['Name']} must be given, and each only once.")
        parameters.append(Categorical(each["Name"], tuple(each["Values"])))
    space = {parameter.name: parameter for parameter in parameters}
    if len(space) != len(parameters):
        raise SpaceError("A hyperparameter has more than one range.")
    if not space:
        raise SpaceError("There is no hyperparameter to tune: give at least one range.")
    return space


def _numeric(given: dict[str, str], whole: bool) -> Numeric:
    name, scale = given["Name"], given.get("ScalingType", AUTO)
    try:
        low, high = (int(given[end]) if whole else float(given[end]) for end in ("MinValue", "MaxValue"))
    except ValueError:
        kind = "integers" if whole else "numbers"
        raise SpaceError(f"MinValue and MaxValue of the hyperparameter {name} must be {kind}.") from None
    if scale not in SCALES:
        raise SpaceError(f"The scaling type of {name} is {scale}; there are {', '.join(SCALES)}.")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise SpaceError(f"MinValue of the hyperparameter {name} must be less than its MaxValue.")
    if scale == AUTO:
        scale = LOGARITHMIC if low > 0 and high / low >= AUTO_LOGARITHMIC else LINEAR
    if scale == LOGARITHMIC and low <= 0:
        raise SpaceError(f"Logarithmic scaling of {name} works only for ranges that have only values greater than 0.")
    if scale == REVERSE and whole:
        raise SpaceError(f"Reverse logarithmic scaling of {name} works only for continuous ranges.")
    if scale == REVERSE and not (low >= 0 and high < 1):
        raise SpaceError(f"Reverse logarithmic scaling of {name} works only for ranges within 0<=x<1.0.")
    return Numeric(name, low, high, scale, whole)


def grid_size(space: Space) -> int:
    """How many combinations a grid has. Raises SpaceError for ranges that are not categorical."""
    if not all(isinstance(parameter, Categorical) for parameter in space.values()):
        raise SpaceError("Grid search takes only categorical ranges.")
    return math.prod(len(parameter.values) for parameter in space.values())
