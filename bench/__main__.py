"""Run the benches, keep their results, and bring docs/BENCHMARKS.md and the README up to date.

    python -m bench [--only NAME[,NAME]] [--repeats N] [--quick]

A bench is a module of this package with `run(options)`, which yields its comparisons; it is kept as soon as it is
there, so that an interruption loses one comparison. `--only training/feature-pass` runs one of the parts of a bench.
"""

from __future__ import annotations

import argparse
import importlib
import sys

from bench import results
from bench.harness import BenchError
from bench.options import Options

BENCHES = ("training", "serving", "lambda_function")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench", description="Speed, as ratios to baselines measured in the same run."
    )
    parser.add_argument("--only", help=f"of {', '.join(BENCHES)}; one part of one: NAME/PART")
    parser.add_argument("--repeats", type=int, help="rounds of each comparison (default: its own)")
    parser.add_argument("--quick", action="store_true", help="small and rough, to see that it runs; nothing is kept")
    arguments = parser.parse_args()
    chosen = (
        [each.partition("/") for each in arguments.only.split(",")]
        if arguments.only
        else [(n, "", "") for n in BENCHES]
    )
    if unknown := [name for name, _, _ in chosen if name not in BENCHES]:
        parser.error(f"there is no bench {unknown[0]}; there are {', '.join(BENCHES)}")
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
