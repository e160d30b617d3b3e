"""One rule in words: `throttle service=sagemaker operation=Describe* probability=0.3 latency=200ms until=5m seed=7`."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from localaws.operations import SERVICES

# What happens to a request, and what is lost.
REQUEST_FAULTS = ("throttle", "error", "unavailable", "delay")
LOSSES = ("lose-instances", "take-spot", "interrupt-instances")
OF_REQUESTS = ("service", "operation", "probability", "latency", "until", "seed")
OF_LOSSES = ("resource", "share", "after", "every", "until", "seed")
MOST_LATENCY_SECONDS = 60.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_COUNT = re.compile(r"([1-9]\d{0,8})x")
_PATTERN = re.compile(r"[A-Za-z0-9_.*?-]{1,128}")


class RuleError(ValueError):
    """A rule that cannot be used; the message names the part that is wrong and what it may be."""


@dataclass(frozen=True)
class FaultRule:
    """A rule. Durations are in seconds.

    `service` is a name of boto3, or `*`. `operation` and `resource` may have `*` and `?`. `until` ends a rule after a
    time, `times` after a number of faults; None sets no limit. `share` of the machines that match are lost, at least
    one, first `after` a time, then once `every` so often.
    """

    text: str
    fault: str
    service: str = "*"
    operation: str = "*"
    probability: float = 1.0
    latency: float = 0.0
    resource: str = "*"
    share: float = 1.0
    after: float = 0.0
    every: float | None = None
    until: float | None = None
    times: int | None = None
    seed: str = "0"

    @property
    def is_loss(self) -> bool:
        return self.fault in LOSSES

    def is_for(self, service: str, operation: str) -> bool:
        return self.service in ("*", service) and fnmatchcase(operation, self.operation)


def parse(text: str) -> FaultRule:
    """A rule from its words. Raises RuleError."""
    fault, *words = text.split() or [""]
    if fault not in (*REQUEST_FAULTS, *LOSSES):
        known = ", ".join((*REQUEST_FAULTS, *LOSSES))
        raise RuleError(f"A rule begins with what happens: {known}. {fault[:40]!r} is none of them.")
    names = OF_LOSSES if fault in LOSSES else OF_REQUESTS
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if name not in names or not equals or name in given:
            raise RuleError(
                f"{word[:60]!r} is not a part of a rule with {fault}. It takes each of these once: "
                f"{', '.join(f'{each}=' for each in names)}."
            )
        given[name] = value
    read = {name: _READERS[name](name, value) for name, value in given.items()}
    if isinstance(read.get("until"), int):
        read["times"] = read.pop("until")
    rule = FaultRule(" ".join(text.split()), fault, **read)
    if rule.service != "*" and rule.service not in SERVICES:
        raise RuleError(f"service={rule.service} is not a service of the local AWS. It has {', '.join(SERVICES)}.")
    if rule.fault == "delay" and not rule.latency:
        raise RuleError("delay needs the time: latency=200ms.")
    if rule.latency > MOST_LATENCY_SECONDS:
        raise RuleError(f"latency={rule.latency:.0f}s is more than {MOST_LATENCY_SECONDS:.0f} s.")
    return rule


def _pattern(name: str, value: str) -> str:
    if not _PATTERN.fullmatch(value):
        raise RuleError(f"{name}={value[:40]} is not a name. A name has letters, digits, _ . - and the wildcards * ?.")
    return value


def _share(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number <= 1:
        raise RuleError(f"{name}={value[:40]} is not a number above 0 and up to 1.")
    return number


def _duration(name: str, value: str) -> float:
    match = _DURATION.fullmatch(value)
    if not match:
        raise RuleError(f"{name}={value[:40]} is not a time: 200ms, 5s, 2m or 1h.")
    return float(match[1]) * _UNITS[match[2]]


def _until(name: str, value: str) -> float | int:
    """A time in seconds, or, as an integer, a number of faults."""
    if match := _COUNT.fullmatch(value):
        return int(match[1])
    try:
        return _duration(name, value)
    except RuleError:
        raise RuleError(f"until={value[:40]} is neither a time (5m) nor a number of faults (3x).") from None


_READERS = {
    "service": _pattern,
    "operation": _pattern,
    "resource": _pattern,
    "seed": _pattern,
    "probability": _share,
    "share": _share,
    "latency": _duration,
    "after": _duration,
    "every": _duration,
    "until": _until,
}
