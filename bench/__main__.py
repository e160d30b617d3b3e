"""Run the benches, save their results, and update docs/BENCHMARKS.md and the README.

    python -m bench [--only NAME[,NAME]] [--repeats N] [--quick]

A bench is a module of this package with `run(options)`, which yields its comparisons. Each comparison is saved at once,
so an interruption loses only one. `--only training/feature-pass` runs one part of a bench.
"""

from __future__ import annotations

import argparse
import importlib
import sys

from bench import results
from bench.harness import BenchError
from bench.options import Options

BENCHES = ("training", "serving", "processors", "photographs", "lambda_function", "uploading", "capacity")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description="Measure speed as ratios to baselines in the same run.")
    parser.add_argument("--only", help=f"benches, of {', '.join(BENCHES)}; for one part: NAME/PART")
    parser.add_argument("--repeats", type=int, help="rounds of each comparison (default: its own)")
    parser.add_argument("--quick", action="store_true", help="small and rough, to test the bench; saves nothing")
    arguments = parser.parse_args()
    chosen = (
        [each.partition("/") for each in arguments.only.split(",")]
        if arguments.only
        else [(n, "", "") for n in BENCHES]
    )
    if unknown := [name for name, _, _ in chosen if name not in BENCHES]:
        parser.error(f"the bench {unknown[0]} does not exist; use one of {', '.join(BENCHES)}")
    try:
        for name, _, part in chosen:
            options = Options(part or None, arguments.repeats, arguments.quick)
            for comparison in importlib.import_module(f"bench.{name}").run(options):
                if not arguments.quick:
                    results.save(name, [comparison])
                    results.update_documents()
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
