"""Find the fastest way to use this machine: some seconds of measurements before a run of minutes or hours.

The measurements decode and compute images of the dataset as the run does. The candidates take turns for several rounds,
except for very slow ones, and the median of each counts, because the load of a machine changes. Candidates close to the
best count as equal, and the first of them in the list is chosen.

The choice does not change the model, with two exceptions: the order of additions, and `bf16` in fine-tuning, whose
gradients have eight bits instead of 24. The other rows are for comparison.
"""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

ROUNDS = 3  # at most
SECONDS = 0.4  # the target for one measurement
FEW = 4  # images for the first measurement of a candidate
MOST = 2048  # images for one measurement
MOST_SECONDS = 20.0  # the target for autotuning
EQUAL = 0.05  # candidates this close to the best count as equal, because measurements vary more than that


class AutotuneError(Exception):
    """A candidate cannot be measured. The message has the reason."""


@dataclass(frozen=True)
class Candidate:
    """One candidate: `threads` compute while `workers` decode. A graph chooses its own memory layout."""

    runtime: str  # openvino | torch
    threads: int
    workers: int
    precision: str = "fp32"
    memory_format: str | None = None  # contiguous | channels_last
    choosable: bool = True  # False: measured for comparison


@dataclass(frozen=True)
class Result:
    """Images per second of each round."""

    candidate: Candidate
    rates: tuple[float, ...]

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


@dataclass(frozen=True)
class Autotuned:
    """The measured candidates in order, and the chosen one."""

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
        """The table, fastest first, and the reason for the choice."""
        lines = ["  runtime   precision  memory format  threads  workers  images/s   lowest-highest"]
        for result in sorted(self.results, key=lambda result: -result.rate):
            way = result.candidate
            note = "<- chosen" if result is self.chosen else "" if way.choosable else "(to compare)"
            spread = f"{min(result.rates):.1f}-{max(result.rates):.1f}" if len(result.rates) > 1 else "tried once"
            lines.append(
                f"  {way.runtime:<8}  {way.precision:<9}  {way.memory_format or '-':<13}  {way.threads:>7}  "
                f"{way.workers:>7}  {result.rate:>8.1f}  {spread:>15}  {note}".rstrip()
            )
        return "\n".join([*lines, self.reason()])

    def reason(self) -> str:
        allowed = [result for result in self.results if result.candidate.choosable]
        others = [result.rate for result in allowed if result is not self.chosen]
        if not others:
            why = "the only candidate"
        elif self.chosen.rate * (1 - EQUAL) > max(others):
            why = f"{self.chosen.rate / max(others):.2f} times as fast as the next"
        else:
            why = f"others are within {EQUAL:.0%}, which counts as equal; it is the first of these"
        if compared := [result for result in self.results if not result.candidate.choosable]:
            fastest = max(compared, key=lambda result: result.rate)
            why += f"; {self.chosen.rate / fastest.rate:.1f} times {describe(fastest.candidate)}"
        return f"chosen: {describe(self.chosen.candidate)}: {why}"


def describe(way: Candidate) -> str:
    words = [way.runtime, way.precision, way.memory_format, count(way.threads, "thread"), count(way.workers, "worker")]
    return ", ".join(word for word in words if word)


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def processors() -> int:
    """The number of processors for this process. In a container or under `taskset` it is lower than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def sizes(most: int, given: int | None, parts: Sequence[int] = (1, 2)) -> list[int]:
    """The numbers of threads or workers to try, largest first: `most` divided by each part, or the given number."""
    return [given] if given else sorted({max(1, most // part) for part in parts}, reverse=True)


def spread_over(way: Candidate, most: int, threads: int | None, workers: int | None) -> list[Candidate]:
    """The candidate with other numbers of threads and workers. Often half of the processors are only hyper-threads.
    Decoding takes a fraction of the time of computing."""
    return [replace(way, threads=t, workers=w) for t in sizes(most, threads) for w in sizes(most, workers, (1, 2, 4))]


def run(
    first: Sequence[Candidate],
    then: Callable[[Candidate], Sequence[Candidate]],
    measure: Callable[[Candidate, int], float],
    *,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Autotuned:
    """Compare the `first` candidates, then the best of them with the candidates that `then` makes of it. Choose one.

    `measure(candidate, images)` returns the seconds. Candidates that it cannot measure (AutotuneError) are left out.
    After MOST_SECONDS no further round starts. Raises AutotuneError if no choosable candidate could be measured.
    """
    began = clock()

    def in_time() -> bool:
        return clock() - began < MOST_SECONDS

    results = compare(first, measure, seconds, in_time)
    best = choose(results)
    others = [way for way in then(best.candidate) if way not in first]
    if others:
        print(f"  so far {describe(best.candidate)}: {best.rate:.0f} images/s; {len(others)} more to try", flush=True)
        again = compare([best.candidate, *others], measure, seconds, in_time)
        results = [result for result in results if result is not best] + again
    return Autotuned(tuple(results), choose(results), clock() - began)


def compare(
    candidates: Sequence[Candidate],
    measure: Callable[[Candidate, int], float],
    seconds: float = SECONDS,
    in_time: Callable[[], bool] = lambda: True,
) -> list[Result]:
    """Measure all candidates in turn, ROUNDS times, each with the number of images that takes about `seconds`. A
    candidate with less than half the speed of the best is not measured again. If the time is up, one round is
    enough."""
    images = {}
    for way in candidates:
        try:
            images[way] = min(MOST, max(FEW, round(FEW / measure(way, FEW) * seconds)))
        except AutotuneError as error:
            print(f"  not tried: {describe(way)}: {error}", flush=True)
    rates: dict[Candidate, list[float]] = {way: [] for way in images}
    running = list(images)
    for number in range(ROUNDS):
        if number and not in_time():
            break
        for way in running:
            rates[way].append(images[way] / measure(way, images[way]))
        best = max((rates[way][-1] for way in running), default=0.0)
        running = [way for way in running if rates[way][-1] > best / 2]
    return [Result(way, tuple(values)) for way, values in rates.items()]


def choose(results: Sequence[Result], equal: float = EQUAL) -> Result:
    """The first of the candidates that are as fast as the fastest, within the share `equal`. Raises AutotuneError if
    none is choosable."""
    allowed = [result for result in results if result.candidate.choosable]
    if not allowed:
        raise AutotuneError("no choosable candidate could be measured")
    best = max(result.rate for result in allowed)
    return next(result for result in allowed if result.rate >= best * (1 - equal))
