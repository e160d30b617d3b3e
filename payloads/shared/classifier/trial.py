"""Which way of using this machine is the fastest: found by trying, some seconds before a run of minutes or hours.

What is tried are the dataset's own images, decoded and computed as the run itself does it. The candidates take turns,
several times over, and the median of each counts: on a machine that does other things too, one moment is not like the
next. Those close to the best count as equal, and the first of them in the list is taken.

What may be chosen leaves the model as it is, but for the order in which numbers are added up, and for `bf16` in
fine-tuning, whose gradients carry eight bits instead of 24. The other rows show what they would cost.
"""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

ROUNDS = 3
SECONDS = 0.4  # that one measurement should take
FEW = 8  # images, for the first look at a candidate
MOST = 2048  # images, for one measurement
EQUAL = 0.05  # candidates this close to the best are as good: machines are noisier than that


class TrialError(Exception):
    """A candidate cannot be measured; the message says why."""


@dataclass(frozen=True)
class Candidate:
    """One way: `threads` compute while `workers` decode. The layout of images in memory is a graph's own affair."""

    runtime: str  # openvino | torch
    threads: int
    workers: int
    precision: str = "fp32"
    memory_format: str | None = None  # contiguous | channels_last
    choosable: bool = True  # False: tried for comparison


@dataclass(frozen=True)
class Result:
    """Images per second of each round."""

    candidate: Candidate
    rates: tuple[float, ...]

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


@dataclass(frozen=True)
class Trial:
    """What was tried, in its order, and what of it was taken."""

    results: tuple[Result, ...]
    chosen: Result
    seconds: float

    def records(self) -> list[dict]:
        """For metrics.json: the candidates with `images_per_second`, its `lowest` and `highest`, and `chosen`."""
        return [
            {name: value for name, value in asdict(result.candidate).items() if name != "choosable"}
            | {
                "images_per_second": round(result.rate, 1),
                "lowest": round(min(result.rates), 1),
                "highest": round(max(result.rates), 1),
                "chosen": result is self.chosen,
            }
            for result in self.results
        ]

    def __str__(self) -> str:
        """The table, the fastest first, and why the choice is the choice."""
        lines = ["  runtime   precision  memory format  threads  workers  images/s   lowest-highest"]
        for result in sorted(self.results, key=lambda result: -result.rate):
            way = result.candidate
            note = "<- chosen" if result is self.chosen else "" if way.choosable else "(to compare)"
            spread = f"{min(result.rates):.1f}-{max(result.rates):.1f}"
            lines.append(
                f"  {way.runtime:<8}  {way.precision:<9}  {way.memory_format or '-':<13}  {way.threads:>7}  "
                f"{way.workers:>7}  {result.rate:>8.1f}  {spread:>15}  {note}".rstrip()
            )
        return "\n".join([*lines, self.reason()])

    def reason(self) -> str:
        best = max(self._choosable(), key=lambda result: result.rate)
        others = [result for result in self._choosable() if result is not self.chosen]
        if not others:
            why = "the only one to choose from"
        elif best is self.chosen:
            second = max(result.rate for result in others)
            why = f"the fastest, {self.chosen.rate / second:.2f} times the next"
        else:
            why = f"within {EQUAL:.0%} of the fastest, which is no difference, and the plainer one"
        if compared := [result for result in self.results if not result.candidate.choosable]:
            fastest = max(compared, key=lambda result: result.rate)
            why += f"; {self.chosen.rate / fastest.rate:.1f} times {fastest.candidate.runtime}"
        return f"chosen: {describe(self.chosen.candidate)}: {why}"

    def _choosable(self) -> list[Result]:
        return [result for result in self.results if result.candidate.choosable]


def describe(way: Candidate) -> str:
    words = [way.runtime, way.precision, way.memory_format, count(way.threads, "thread"), count(way.workers, "worker")]
    return ", ".join(word for word in words if word)


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def processors() -> int:
    """That this process may use: of a container or under `taskset`, fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def sizes(most: int, given: int | None, parts: Sequence[int]) -> list[int]:
    """Numbers of threads or workers worth trying, the largest first: `most` divided by each part; or the given one."""
    return [given] if given else sorted({max(1, most // part) for part in parts}, reverse=True)


def spread_over(way: Candidate, most: int, threads: int | None, workers: int | None) -> list[Candidate]:
    """The candidate with other numbers of threads (half the processors are often all there really are: the others are
    their hyper-threads) and workers (decoding takes a fraction of the time of computing)."""
    return [
        replace(way, threads=t, workers=w)
        for t in sizes(most, threads, (1, 2))
        for w in sizes(most, workers, (1, 2, 4))
    ]


def run(
    first: Sequence[Candidate],
    then: Callable[[Candidate], Sequence[Candidate]],
    measure: Callable[[Candidate, int], float],
    *,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Trial:
    """Compare the `first` candidates, then what `then` makes of the best of them, with it, and choose.

    `measure(candidate, images)` gives the seconds they took. What it cannot measure (TrialError) is left out. Raises
    TrialError where nothing that may be chosen could be measured.
    """
    began = clock()
    results = compare(first, measure, seconds)
    best = choose(results)
    others = [way for way in then(best.candidate) if way != best.candidate]
    if others:
        again = compare([best.candidate, *others], measure, seconds)
        results = [result for result in results if result is not best] + again
    return Trial(tuple(results), choose(results), clock() - began)


def compare(
    candidates: Sequence[Candidate], measure: Callable[[Candidate, int], float], seconds: float = SECONDS
) -> list[Result]:
    """Measure all in turn, ROUNDS times, each over as many images as take about `seconds`."""
    images = {}
    for way in candidates:
        try:
            images[way] = min(MOST, max(FEW, round(FEW / measure(way, FEW) * seconds)))
        except TrialError as error:
            print(f"  not tried: {describe(way)}: {error}", flush=True)
    rates: dict[Candidate, list[float]] = {way: [] for way in images}
    for _ in range(ROUNDS):
        for way, number in images.items():
            rates[way].append(number / measure(way, number))
    return [Result(way, tuple(values)) for way, values in rates.items()]


def choose(results: Sequence[Result]) -> Result:
    """The first of those that are as fast as the fastest. Raises TrialError where none may be chosen."""
    allowed = [result for result in results if result.candidate.choosable]
    if not allowed:
        raise TrialError("nothing that could be chosen could be measured")
    best = max(result.rate for result in allowed)
    return next(result for result in allowed if result.rate >= best * (1 - EQUAL))
