"""The use of a machine by a run: as given, or the fastest way that autotuning finds."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from classifier.machine import autotune
from classifier.machine.autotune import Autotuned, AutotuneError, Candidate

if TYPE_CHECKING:
    from classifier.dataset.folders import Dataset
    from classifier.network.model import Backbone
    from classifier.network.runtime import ov
    from classifier.settings import Settings

MEMO = "autotune.json"
# Flags of processors that multiply in bfloat16. The others would convert the numbers.
BF16_FLAGS = {"avx512_bf16", "amx_bf16"}


@dataclass(frozen=True)
class Machine:
    """The part of the machine to use. None means all. The last three are for a run that is alone on the machine."""

    threads: int | None = None  # compute threads of each process
    workers: int | None = None  # threads of each process that read and decode images
    processors: int | None = None  # limit for all processes of this training; None: no limit
    autotune: bool = False  # measure and choose the values that are not given
    memory_format: str = "contiguous"  # of fine-tuning
    precision: str = "fp32"  # of the forward and backward passes of fine-tuning; weights and updates are always fp32

    def shared_by(self, processes: int) -> "Machine":
        """One process's part of the machine, if threads and workers were not given."""
        everything = os.cpu_count() or 1
        own = max(1, (self.processors or everything) // processes)
        if own >= everything:
            return self
        return replace(self, threads=self.threads or own, workers=self.workers or own)


def fitted(
    machine: Machine,
    graphs: Mapping[str, "ov.Model"],
    backbone: "Backbone",
    dataset: "Dataset",
    settings: "Settings",
    memo: Path | None,
) -> tuple[Machine, list[dict]]:
    """The fastest use of the machine, and the records of autotuning, which are also printed.

    `graphs` has the graph of the feature pass by precision. Further graphs are measured for comparison.

    If threads and workers are given and there is no other choice, there is no autotuning.

    After an interruption, a run uses its earlier choice from `memo`, if the number of processors is the same. If no
    candidate can be measured, this prints the reason and changes nothing.
    """
    if machine.threads and machine.workers and not settings.fine_tune:
        return machine, []
    processors = machine.processors or autotune.processors()
    about = {
        "processors": processors,
        "threads": machine.threads,
        "workers": machine.workers,
        "architecture": settings.architecture,
        "resolution": backbone.size,
        "fine_tune": settings.fine_tune,
    }
    records = _recall(memo, about)
    if records:
        chosen = next(record for record in records if record["chosen"])
        print(f"using the earlier choice of autotuning: {autotune.describe(_candidate(chosen))}", flush=True)
        return _with(machine, _candidate(chosen)), records
    print(
        f"autotuning {autotune.count(processors, 'processor')} on images of the dataset for some seconds",
        flush=True,
    )
    try:
        found = _tried(machine, processors, graphs, backbone, dataset, settings)
    except AutotuneError as error:
        print(f"not autotuned: {error}; using all processors", flush=True)
        return machine, []
    print(f"autotuning took {found.seconds:.0f} s:\n{found}", flush=True)
    if memo:
        memo.mkdir(parents=True, exist_ok=True)
        (memo / MEMO).write_text(json.dumps({"about": about, "records": found.records()}, indent=2) + "\n")
    return _with(machine, found.chosen.candidate), found.records()


def _tried(
    machine: Machine,
    processors: int,
    graphs: Mapping[str, "ov.Model"],
    backbone: "Backbone",
    dataset: "Dataset",
    settings: "Settings",
) -> Autotuned:
    from safetensors.torch import save_file

    from classifier.machine.autotune_process import Bench, Eager, FineTuning, Graphs, sample
    from classifier.network import graph

    images = sample(dataset.splits["train"])
    threads, workers = machine.threads or processors, machine.workers or processors

    def then(best: Candidate) -> list[Candidate]:
        if settings.fine_tune:
            return other_fine_tuning(best, processors, machine.workers, flags())
        return autotune.spread_over(best, processors, machine.threads, machine.workers)

    with tempfile.TemporaryDirectory(prefix="autotune-") as folder:
        weights = Path(folder) / "weights.safetensors"
        save_file({key: value.contiguous() for key, value in backbone.network.state_dict().items()}, weights)
        if settings.fine_tune:
            first = fine_tuning_candidates(processors, machine.threads, workers)
            with Bench(FineTuning, settings.architecture, weights, images, settings) as bench:
                return autotune.run(first, then, bench.seconds)
        folders = {precision: Path(folder) / precision for precision in graphs}
        for precision, network in graphs.items():
            folders[precision].mkdir()
            graph.save(network, folders[precision])
        with (
            Bench(Graphs, folders, images) as compiled,
            Bench(Eager, settings.architecture, weights, images, backbone.size) as eager,
        ):
            benches = {"openvino": compiled, "torch": eager}
            first = feature_candidates(threads, workers, list(graphs))
            return autotune.run(first, then, lambda way, number: benches[way.runtime].seconds(way, number))


def feature_candidates(threads: int, workers: int, precisions: Sequence[str]) -> list[Candidate]:
    """The graph in the first precision, which is used, and the other graphs for comparison."""
    return [
        *(Candidate("openvino", threads, workers, each, choosable=each == precisions[0]) for each in precisions),
        *(
            Candidate("torch", threads, workers, memory_format=layout, choosable=False)
            for layout in ("channels_last", "contiguous")
        ),
    ]


def fine_tuning_candidates(most: int, threads: int | None, workers: int) -> list[Candidate]:
    """The default with other numbers of threads. If other programs run on the machine, the number of threads matters
    most."""
    return [Candidate("torch", number, workers, memory_format="contiguous") for number in autotune.sizes(most, threads)]


def other_fine_tuning(best: Candidate, most: int, workers: int | None, known: set[str]) -> list[Candidate]:
    """The best candidate with other layouts, workers, and the precisions of a processor with these flags."""
    found = [replace(best, workers=number) for number in autotune.sizes(most, workers)]
    for precision in ("fp32", "bf16") if known & BF16_FLAGS else ("fp32",):
        found += [replace(best, precision=precision, memory_format=each) for each in ("channels_last", "contiguous")]
    return found


def flags() -> set[str]:
    """The processor's flags from Linux. Empty if the system does not list them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next(
        (set(line.partition(":")[2].split()) for line in lines if line.startswith(("flags", "Features"))), set()
    )


def _with(machine: Machine, way: Candidate) -> Machine:
    machine = replace(machine, threads=way.threads, workers=way.workers)
    if way.runtime == "torch":
        machine = replace(machine, memory_format=way.memory_format, precision=way.precision)
    return machine


def _candidate(record: dict) -> Candidate:
    names = ("runtime", "threads", "workers", "precision", "memory_format")
    return Candidate(**{name: record[name] for name in names})


def _recall(memo: Path | None, about: dict) -> list[dict]:
    try:
        kept = json.loads((memo / MEMO).read_text()) if memo else {}
        return kept["records"] if kept.get("about") == about else []
    except (OSError, ValueError, KeyError):
        return []
