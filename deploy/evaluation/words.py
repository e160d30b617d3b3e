"""The result of a comparison as tables and sentences."""

from __future__ import annotations

from classifier.results.evaluation import interval
from rich.table import Table
from rich.text import Text

from deploy import console
from deploy.evaluation.comparison import SIGNIFICANCE, ClassChange, PairedResult

SHOWN = 10  # classes


def changed(found: PairedResult) -> list[ClassChange]:
    """The classes that changed most, at most SHOWN of them: the largest losses first, the largest gains last."""
    different = [each for each in found.by_class if each.live != each.candidate]
    most = sorted(different, key=lambda each: -abs(each.candidate - each.live) / each.images)[:SHOWN]
    return [each for each in different if each in most]


def show(found: PairedResult, live: str, candidate: str) -> None:
    """Print the accuracies, the test, and the classes that changed."""
    table = Table("", "accuracy", "95 % interval", "right", "right alone", box=None, padding=(0, 3, 0, 0))
    for name, right, alone in (
        (f"live: {live}", found.live, found.only_live),
        (f"candidate: {candidate}", found.candidate, found.only_candidate),
    ):
        low, high = interval(right / found.images, found.images)
        table.add_row(
            Text(name),
            f"{right / found.images:.2%}",
            f"{low:.1%} to {high:.1%}",
            f"{right:,} of {found.images:,}",
            f"{alone:,}",
        )
    console.show(table)
    console.out.print(f"  {verdict(found)}", markup=False)
    if classes := changed(found):
        console.show(_by_class(classes))
        different = sum(each.live != each.candidate for each in found.by_class)
        if different > len(classes):
            console.out.print(f"  {different - len(classes):,} more classes changed less.")


def verdict(found: PairedResult) -> str:
    """The test in words."""
    if found.only_live == found.only_candidate == 0:
        return "Both models are right on the same images."
    if found.candidate == found.live:
        return f"Both models are right on the same number of images (McNemar's test: p = {digits(found.p_value)})."
    direction = "better" if found.candidate > found.live else "worse"
    difference = (found.candidate - found.live) / found.images
    certain = "significantly " if found.p_value < SIGNIFICANCE else ""
    doubt = "" if certain else ", which may be chance"
    return (
        f"The candidate is {certain}{direction}, by {abs(difference):.2%}{doubt} "
        f"(McNemar's test: p = {digits(found.p_value)})."
    )


def digits(p_value: float) -> str:
    return f"{p_value:.3f}" if p_value >= 0.001 else f"{p_value:.1g}"


def _by_class(classes: list[ClassChange]) -> Table:
    table = Table("class", "images", "live", "candidate", "change", box=None, padding=(0, 3, 0, 0))
    for each in classes:
        table.add_row(
            Text(each.name),
            f"{each.images:,}",
            f"{each.live / each.images:.1%}",
            f"{each.candidate / each.images:.1%}",
            f"{(each.candidate - each.live) / each.images:+.1%}",
        )
    return table
