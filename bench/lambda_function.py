"""The function: the time that it adds to a direct request to the endpoint, and its start time.

python -m bench --only lambda_function
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.harness import BenchmarkCandidate, Comparison, compare
from bench.options import Options

OVERHEAD_NOTE = (
    "The median of signed requests, one after the other, to a model that answers at once, on the local AWS with one "
    "provisioned environment. Promised: less than 5 ms more than the endpoint."
)
START_NOTE = "A process from its start until the function's module is imported, without Lambda's own part."


def run(options: Options) -> Iterator[Comparison]:
    if options.wants("start"):
        yield start(options)
    if options.wants("overhead"):
        yield overhead(options)


def start(options: Options) -> Comparison:
    """Cold starts: the import of the function's modules, compared with the import of the SDK and its client alone."""
    target = "bench.lambda_candidates:process_start"
    return compare(
        "Start of the function",
        [
            BenchmarkCandidate("boto3 and its client", target, {"what": "boto3"}),
            BenchmarkCandidate("the function", target, {"what": "function"}),
        ],
        unit="ms",
        repeats=options.rounds(9),
        higher_is_better=False,
        target=2,
        note=START_NOTE,
    )


def overhead(options: Options) -> Comparison:
    requests = 30 if options.quick else 300
    target = "bench.lambda_candidates:Asking"
    return compare(
        "An answer through the function",
        [
            BenchmarkCandidate("the endpoint directly", target, {"through": "endpoint", "requests": requests}),
            BenchmarkCandidate("the function's URL", target, {"through": "function", "requests": requests}),
        ],
        unit="ms",
        repeats=options.rounds(5),
        higher_is_better=False,
        note=OVERHEAD_NOTE,
    )
