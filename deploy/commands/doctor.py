"""`make doctor`: check this machine, the account and the stack before an apply. It only reads."""

from __future__ import annotations

from collections import Counter

from deploy import console, environment
from deploy.doctor import examination
from deploy.doctor.check import Mark, Subject
from deploy.terraform import Stack


def main() -> int:
    parser = console.Parser(description=__doc__)
    parser.add_argument("--details", action="store_true", help="show the figures behind each line")
    options = parser.parse_args()
    env = environment.current()
    counts: Counter[Mark] = Counter()
    for _, found in examination.findings(Subject(env, Stack(env))):
        examination.show(found, options.details)
        counts[found.mark] += 1
    total = sum(counts.values())
    words = ", ".join(f"{counts[mark]} {mark}" for mark in Mark)
    console.out.print(f"\n{total} checks of {env}: {words}")
    return 1 if counts[Mark.BAD] else 0


if __name__ == "__main__":
    console.run(main)
