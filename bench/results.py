"""Results: a JSON file for each bench in bench/results, and the README's table, which is made from them."""

import json
import string
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from bench import machine
from bench.harness import Comparison

FOLDER = Path(__file__).parent / "results"
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- bench: made by `make bench` from bench/results -->", "<!-- /bench -->"


def save(name: str, comparisons: Iterable[Comparison], folder: Path = FOLDER) -> None:
    """Write <name>.json: when, on which machine, and every comparison with all its values.

    Comparisons of another name that stand there already are kept: a bench can be run in parts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    now = datetime.now(UTC).strftime("%Y-%m-%d")
    made = {each.what: {**each.to_json(), "measured": now, "machine": machine.describe()} for each in comparisons}
    before = {each["what"]: each for each in json.loads(path.read_text())["comparisons"]} if path.exists() else {}
    content = {"name": name, "comparisons": list((before | made).values())}
    path.write_text(json.dumps(content, indent=2) + "\n")


def table(folder: Path = FOLDER) -> str:
    """The README's table, in Markdown: one row a candidate, and the machines below it; several have letters."""
    files = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    comparisons = [comparison for file in files for comparison in file["comparisons"]]
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
            f"Measured {' and '.join(dates)} on {'; '.join(named)}. All values: [bench/results](bench/results)."
        )
    return "\n".join(lines)


def update_readme(folder: Path = FOLDER, readme: Path = README) -> None:
    """Put the table between its marks. Raises ValueError where README has none."""
    before, _, rest = readme.read_text().partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{readme} lacks the line {BEGIN} or {END}.")
    readme.write_text(f"{before}{BEGIN}\n{table(folder)}\n{END}{after}")


def _rows(comparison: dict, mark: str) -> list[str]:
    """One for each candidate, in bold the headline."""
    unit, baseline = comparison["unit"], comparison["baseline"]
    base = f"{baseline}: {_number(comparison['candidates'][baseline]['median'])} {unit}"
    rows = []
    for name, measured in comparison["candidates"].items():
        if name == baseline:
            continue
        ratio, headline = measured["ratio"], name == comparison["headline"]
        of_best = _number(ratio["of_best"])
        promised = f"{comparison['target']:g}" if headline and comparison["target"] else ""
        rows.append(
            f"| {comparison['what']}{mark} | {name}: {_number(measured['median'])} {unit} | {base} "
            f"| {f'**{of_best}**' if headline else of_best} "
            f"| {_number(ratio['median'])} ({_number(ratio['low'])} to {_number(ratio['high'])}) | {promised} |"
        )
    return rows


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
