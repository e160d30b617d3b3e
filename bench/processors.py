"""Serving on processors with other instructions: precisions of the graph, and the trial of streams at the start.

    make bench ONLY=processors              all of it, some minutes on two cores
    make bench ONLY=processors/precision    a part: precision, streams or start

A limited processor is this one with some of its instructions left out: ONEDNN_MAX_CPU_ISA limits OpenVINO and PyTorch,
ATEN_CPU_CAPABILITY the rest of PyTorch. Its caches, memory and clock stay those of this processor, so only the ratios
within a row mean anything. The model and the photographs are those of `bench.serving`.
"""

from collections.abc import Iterator

from bench import serving
from bench.harness import BenchmarkCandidate, Comparison, compare, photographs
from bench.options import Options

HERE = "bench.processors_candidates"
ARCH = "efficientnet-lite0"
# oneDNN's names: https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html
LIMITS = {
    "all instructions": {},
    "AVX-512 without VNNI": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "ATEN_CPU_CAPABILITY": "avx512"},
    "AVX2 only": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
}
LIMITED = "Limited processors are this one with ONEDNN_MAX_CPU_ISA; compare within a row only."


def run(options: Options) -> Iterator[Comparison]:
    photos = photographs()
    seconds = 0.5 if options.quick else 2.0
    if options.wants("precision"):
        for name, limit in LIMITS.items():
            yield precision(name, limit, photos, seconds, options)
    if options.wants("streams") or options.wants("start"):
        model = str(serving.trained(ARCH, photos))
        for name, limit in LIMITS.items() if options.wants("streams") else ():
            yield streams(name, limit, model, seconds, options)
        if options.wants("start"):
            yield start(model, options)


def precision(name: str, limit: dict, photos: str, seconds: float, options: Options) -> Comparison:
    """The network alone: eager PyTorch, and the graph in each precision that the processor has instructions for."""
    given = {"photos": photos, "seconds": seconds}
    candidates = [
        BenchmarkCandidate("eager PyTorch, fp32", f"{HERE}:eager", {"seconds": seconds}, limit),
        BenchmarkCandidate("graph, fp32", f"{HERE}:alone", {**given, "precision": "fp32"}, limit),
    ]
    if not limit:
        candidates.append(BenchmarkCandidate("graph, bf16", f"{HERE}:alone", {**given, "precision": "bf16"}))
    candidates.append(BenchmarkCandidate("graph, int8", f"{HERE}:alone", {**given, "precision": "int8"}, limit))
    return compare(
        f"Precision, EfficientNet-Lite0, {name}",
        candidates,
        unit="images/s",
        repeats=options.rounds(5),
        note=f"The network without decoding and HTTP; eager PyTorch computes one image at a time. {LIMITED}",
    )


def streams(name: str, limit: dict, model: str, seconds: float, options: Options) -> Comparison:
    """The served graph with OpenVINO's own number of streams, and with the one that the trial chooses."""
    given = {"model": model, "seconds": seconds}
    return compare(
        f"Trial of streams, EfficientNet-Lite0 in int8, {name}",
        [
            BenchmarkCandidate("OpenVINO's own", f"{HERE}:served", {**given, "trial": False}, limit),
            BenchmarkCandidate("by trial", f"{HERE}:served", {**given, "trial": True}, limit),
        ],
        unit="images/s",
        repeats=options.rounds(7),
        note=f"The graph as the endpoint runs it, without decoding and HTTP. {LIMITED}",
    )


def start(model: str, options: Options) -> Comparison:
    """What the trial adds to the start of an endpoint."""
    return compare(
        "Loading of the model, EfficientNet-Lite0 in int8",
        [
            BenchmarkCandidate("without a trial", f"{HERE}:loading", {"model": model, "trial": False}),
            BenchmarkCandidate("with the trial", f"{HERE}:loading", {"model": model, "trial": True}),
        ],
        unit="s",
        repeats=options.rounds(5),
        higher_is_better=False,
        note="From the files to a compiled graph that has computed an image, in a running process.",
    )
