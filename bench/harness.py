"""Compare several ways to do one task: each in a separate process, in turn, for several rounds.

    candidates = [BenchmarkCandidate("eager", ...), BenchmarkCandidate("graph", ...)]
    compare("feature pass", candidates, unit="images/s", repeats=5)

The thread pools of two runtimes in one process would compete for the processors. So each candidate has a process
(`bench.worker`), which prepares once and then measures on request, one process at a time. Each round measures every
candidate once. A ratio is computed within a round, so a slow phase of the machine affects both.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATHS = os.pathsep.join([str(ROOT), str(ROOT / "payloads" / "shared")])


class BenchError(Exception):
    """A candidate could not be measured. The message has its name and the end of its output."""


def photographs() -> str:
    """The folder of photographs, {train,valid,test}/<class>: PAWPRINT_BENCH_PHOTOS, or the dogs. Raises BenchError."""
    folder = os.environ.get("PAWPRINT_BENCH_PHOTOS", str(ROOT.parent / "shared" / "data" / "dogs"))
    if not Path(folder).is_dir():
        raise BenchError(f"There are no photographs in {folder}; name a folder of them in PAWPRINT_BENCH_PHOTOS.")
    return folder


@dataclass(frozen=True)
class BenchmarkCandidate:
    """One way to do the task. `target` is `module:function`. The function is called once with `arguments` and returns
    the measurement: a function that does the task and returns a number, or a dict with the number as `value` and
    details.
    """

    name: str
    target: str
    arguments: dict = field(default_factory=dict)  # JSON values
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """The measurements of every candidate, in the order of the rounds.

    `target` is the promised ratio for `headline`, the candidate in the README. None: no promise.
    """

    what: str
    unit: str  # "images/s", "s", "MB" ...
    higher_is_better: bool
    baseline: str
    headline: str
    values: dict[str, list[float]]
    details: dict[str, list[dict]]
    target: float | None = None
    note: str = ""  # what a reader needs to judge the figure, such as an extrapolation

    def ratios(self, name: str) -> list[float]:
        """The ratio to the baseline per round; more than 1 is better."""
        pairs = zip(self.values[name], self.values[self.baseline], strict=True)
        return [own / base if self.higher_is_better else base / own for own, base in pairs]

    def ratio_of_best(self, name: str) -> float:
        """The ratio of the best rounds, which other programs on the machine disturbed least."""
        best = max if self.higher_is_better else min
        own, base = best(self.values[name]), best(self.values[self.baseline])
        return own / base if self.higher_is_better else base / own

    def to_json(self) -> dict:
        return {
            "what": self.what,
            "unit": self.unit,
            "higher_is_better": self.higher_is_better,
            "baseline": self.baseline,
            "headline": self.headline,
            "target": self.target,
            "note": self.note,
            "candidates": {
                name: {
                    **summary(values),
                    "ratio": {**summary(self.ratios(name)), "of_best": rounded(self.ratio_of_best(name))},
                    "details": self.details[name],
                }
                for name, values in self.values.items()
            },
        }


def summary(values: Sequence[float]) -> dict:
    return {
        "median": rounded(statistics.median(values)),
        "low": rounded(min(values)),
        "high": rounded(max(values)),
        "values": [rounded(value) for value in values],
    }


def rounded(value: float) -> float:
    return float(f"{value:.4g}")


def compare(
    what: str,
    candidates: Sequence[BenchmarkCandidate],
    *,
    unit: str,
    repeats: int,
    higher_is_better: bool = True,
    target: float | None = None,
    headline: str | None = None,
    note: str = "",
) -> Comparison:
    """Measure the candidates `repeats` times in turn. The first is the baseline. The last is the headline by default.
    Prints each figure at once. Raises BenchError."""
    names = [candidate.name for candidate in candidates]
    values: dict[str, list[float]] = {name: [] for name in names}
    details: dict[str, list[dict]] = {name: [] for name in names}
    width = max(map(len, names))
    print(f"\n{what} ({unit}; {repeats} rounds)", flush=True)
    with ExitStack() as stack:
        workers = {}
        for candidate in candidates:
            print(f"  preparing {candidate.name}", flush=True)
            workers[candidate.name] = stack.enter_context(Worker(candidate))
        for turn in range(1, repeats + 1):
            for name in names:
                measured = workers[name].measure()
                values[name].append(measured.pop("value"))
                if measured:
                    details[name].append(measured)
                print(f"  {turn}/{repeats}  {name:<{width}}  {values[name][-1]:>10.4g} {unit}", flush=True)
    done = Comparison(
        what, unit, higher_is_better, names[0], headline or names[-1], values, details, target=target, note=note
    )
    for name in names[1:]:
        ratio = summary(done.ratios(name))
        print(
            f"  {name}: {ratio['median']:.3g} times {names[0]} ({ratio['low']:.3g} to {ratio['high']:.3g})", flush=True
        )
    return done


class Worker:
    """The process of one candidate. Entering the context prepares it. Raises BenchError if it ends early."""

    def __init__(self, candidate: BenchmarkCandidate):
        self.candidate = candidate

    def __enter__(self) -> Worker:
        self._log = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", self.candidate.target, json.dumps(self.candidate.arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": PATHS} | self.candidate.env,
        )
        try:
            self._answer()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the process's input, so that it cleans up and ends."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def measure(self) -> dict:
        try:
            self._process.stdin.write("measure\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the process has ended, which the missing answer shows
        return self._answer()

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            end = "\n".join(self._log.read().strip().splitlines()[-8:])
            raise BenchError(f"{self.candidate.name} ({self.candidate.target}) could not be measured:\n{end}")
        return json.loads(line)
