"""Results: one JSON file per bench in bench/results, and the tables made from them.

docs/BENCHMARKS.md has every row. The README has the few that IN_README names.
"""

import json
import string
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from bench import machine
from bench.harness import Comparison

FOLDER = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "docs" / "BENCHMARKS.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- bench: made by `make bench` from bench/results -->", "<!-- /bench -->"

# The README shows the headline of these comparisons, which are chosen by hand.
IN_README = (
    "Start of the function",
    "Endpoint over HTTP, efficientnet-lite0",
    "Endpoint under Ray Serve, efficientnet-lite0",
    "Training to the end, EfficientNet-Lite0, 15 epochs",
    "Fine-tuning, EfficientNet-Lite0",
)


def save(name: str, comparisons: Iterable[Comparison], folder: Path = FOLDER) -> None:
    """Write <name>.json: the date, the machine, and every comparison with all its values.

    Existing comparisons with other names are kept, because a bench can be run in parts. So are those of other machines:
    each machine has its own row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    now = datetime.now(UTC).strftime("%Y-%m-%d")
    made = [{**each.to_json(), "measured": now, "machine": machine.describe()} for each in comparisons]
    before = json.loads(path.read_text())["comparisons"] if path.exists() else []
    content = {"name": name, "comparisons": list({_identity(each): each for each in [*before, *made]}.values())}
    path.write_text(json.dumps(content, indent=2) + "\n")


def _identity(comparison: dict) -> tuple:
    """What is measured, and the machine's hardware. Libraries and Python may change."""
    on = comparison["machine"]
    return comparison["what"], on["cpu"], on["cores"], *on["flags"]


def table(folder: Path = FOLDER) -> str:
    """All results in Markdown: one row per candidate, then the notes and the machines.

    If there are several machines, each has a letter, and each row names its machine.
    """
    comparisons = read(folder)
    machines = sorted({machine.in_words(comparison["machine"]) for comparison in comparisons})
    letters = dict(zip(machines, string.ascii_uppercase, strict=False)) if len(machines) > 1 else {}
    head = "| | measured | against | ratio of the best rounds | median (worst to best round) | promised |"
    lines = [f"{head} machine |" if letters else head, f"|---|---|---|---|---|---|{'---|' if letters else ''}"]
    notes = []
    for comparison in comparisons:
        mark = ""
        if comparison["note"]:
            if comparison["note"] not in notes:
                notes.append(comparison["note"])
            mark = f" [{notes.index(comparison['note']) + 1}]"
        on = f" {letters[machine.in_words(comparison['machine'])]} |" if letters else ""
        lines += [f"{row}{on}" for row in _rows(comparison, mark)]
    lines += [""] + [f"[{number}] {note}\n" for number, note in enumerate(notes, 1)]
    named = [f"{letters[each]}: {each}" for each in machines] if letters else machines
    dates = sorted({comparison["measured"] for comparison in comparisons})
    if comparisons:
        lines.append(
            f"Measured {', '.join(dates)} on {'; '.join(named)}. All values: [bench/results](../bench/results)."
        )
    return "\n".join(lines)


def summary(folder: Path = FOLDER, names: Iterable[str] = IN_README) -> str:
    """The headlines of the named comparisons in Markdown. A comparison that was not measured has no row. One that was
    measured on several machines has the latest row."""
    measured = {each["what"]: each for each in sorted(read(folder), key=lambda each: each["measured"])}
    lines = ["| | measured | baseline | ratio | promised |", "|---|---|---|---|---|"]
    for name in names:
        if comparison := measured.get(name):
            ratio = _number(comparison["candidates"][comparison["headline"]]["ratio"]["of_best"])
            candidate, baseline = (_measured(comparison, comparison[each]) for each in ("headline", "baseline"))
            lines.append(f"| {name} | {candidate} | {baseline} | {ratio} | {_promised(comparison)} |")
    return "\n".join(lines)


def read(folder: Path = FOLDER) -> list[dict]:
    """Every comparison that is kept, in the order of the files."""
    return [each for path in sorted(folder.glob("*.json")) for each in json.loads(path.read_text())["comparisons"]]


def update_documents(folder: Path = FOLDER) -> None:
    """Write the tables into docs/BENCHMARKS.md and the README. Raises ValueError if one of them lacks the markers."""
    write_between_markers(BENCHMARKS, table(folder))
    write_between_markers(README, summary(folder))


def write_between_markers(document: Path, text: str) -> None:
    """Replace what is between the markers of a document. Raises ValueError if it lacks them."""
    before, _, rest = document.read_text().partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{document} lacks the line {BEGIN} or {END}.")
    document.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def _rows(comparison: dict, mark: str) -> list[str]:
    """One for each candidate, in bold the headline."""
    baseline = comparison["baseline"]
    rows = []
    for name, measured in comparison["candidates"].items():
        if name == baseline:
            continue
        ratio, headline = measured["ratio"], name == comparison["headline"]
        of_best = _number(ratio["of_best"])
        promised = _promised(comparison) if headline else ""
        rows.append(
            f"| {comparison['what']}{mark} | {_measured(comparison, name)} | {_measured(comparison, baseline)} "
            f"| {f'**{of_best}**' if headline else of_best} "
            f"| {_number(ratio['median'])} ({_number(ratio['low'])} to {_number(ratio['high'])}) | {promised} |"
        )
    return rows


def _measured(comparison: dict, candidate: str) -> str:
    return f"{candidate}: {_number(comparison['candidates'][candidate]['median'])} {comparison['unit']}"


def _promised(comparison: dict) -> str:
    return f"{comparison['target']:g}" if comparison["target"] else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
