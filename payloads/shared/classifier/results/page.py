"""A run's report as one HTML page: nothing in it is fetched from elsewhere, and no script is needed or could run.

`render` makes it from what metrics.json holds and some pictures. Whatever comes from outside (names of classes and
files, settings, the machine's own words) is escaped; the page's own policy forbids scripts and every address beside.
"""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from classifier import prices
from classifier.results import charts, evaluation
from classifier.results.charts import name

PAIRS = 15  # confused pairs of classes that are listed
WORST = 20  # classes that are shown at once
MOST_CLASSES = 1000  # in the page at all: a larger table makes no page for a person
STYLE = Path(__file__).with_name("report.css")

Content = Mapping[str, Any]


def render(content: Content, pictures: Sequence[Image.Image]) -> str:
    """The page. `content` is that of metrics.json, `pictures` are those of its mistakes, in the same order."""
    sections = (
        _findings(content),
        _figures(content),
        _curves(content),
        _confusion(content),
        _classes(content),
        _mistakes(content, pictures),
        _making(content),
    )
    title = escape(content["name"])
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title><style>{STYLE.read_text()}</style></head>"
        f"<body><main>{_header(content)}{''.join(sections)}</main></body></html>\n"
    )


def _header(content: Content) -> str:
    trained = "all of its parameters trained" if content["settings"]["fine_tune"] else "frozen, with a new head"
    images = ", ".join(f"{count:,} {split}" for split, count in content["images"].items())
    created = content["created"].replace("T", " ").replace("Z", " UTC")
    return (
        f"<header><h1>{name(content['name'])}</h1><p>{name(content['architecture'])}, {trained} · "
        f"{len(content['classes'])} classes · {images} images · {escape(created)}</p></header>"
    )


def _findings(content: Content) -> str:
    boxes = []
    for finding in content["findings"]:
        examples = "".join(f"<li>{name(example)}</li>" for example in finding["examples"])
        kind = "stop" if finding["stops"] else "warn"
        then = " The figures below are better than the model is." if finding["stops"] else ""
        boxes.append(f'<div class="box {kind}"><b>{escape(finding["title"])}.</b>{then}<ul>{examples}</ul></div>')
    return "".join(boxes)


def _figures(content: Content) -> str:
    metrics, images = content["metrics"], content["images"]
    low, high = evaluation.interval(metrics["test_accuracy"], images["test"])
    scores = _scores(content)
    macro = sum(score.f1 for score in scores) / len(scores)
    seconds = sum(content["seconds"].values())
    cost = content["cost"]
    figures = (
        ("test accuracy", f"{metrics['test_accuracy']:.1%}", f"{low:.1%} to {high:.1%} is the 95% interval"),
        ("validation accuracy", f"{metrics['valid_accuracy']:.1%}", f"loss {metrics['valid_loss']:.3f}"),
        ("mean F1 of the classes", f"{macro:.3f}", f"the worst: {_worst(scores)}"),
        (
            "time",
            escape(prices.duration(seconds)),
            f"{len(content['history'])} epoch{'' if len(content['history']) == 1 else 's'}",
        ),
        ("cost", escape(prices.dollars(cost["usd"])) if cost["usd"] is not None else "not known", _cost_words(content)),
    )
    tiles = "".join(
        f"<div><dt>{title}</dt><dd>{value}</dd><small>{more}</small></div>" for title, value, more in figures
    )
    return f'<dl class="figures">{tiles}</dl>'


def _worst(scores: list[evaluation.ClassScore]) -> str:
    worst = min(scores, key=lambda score: score.rank)
    return f"{name(worst.name)} {worst.f1:.2f}"


def _cost_words(content: Content) -> str:
    instance = content["instance"]
    if instance["type"] is None:
        return "the run was not told its instance type"
    return name(f"{instance['count']} x {instance['type']}" if instance["count"] > 1 else instance["type"])


def _curves(content: Content) -> str:
    history = content["history"]
    if not history:
        return ""
    epochs = [epoch["epoch"] for epoch in history]
    best = min(history, key=lambda epoch: epoch["valid_loss"])["epoch"]
    loss = {"training": [e["train_loss"] for e in history], "validation": [e["valid_loss"] for e in history]}
    accuracy = {"validation": [e["valid_accuracy"] for e in history]}
    rows = "".join(
        f"<tr><td>{e['epoch']}</td><td>{e['train_loss']:.4f}</td><td>{e['valid_loss']:.4f}</td>"
        f"<td>{e['valid_accuracy']:.4f}</td><td>{e['seconds']:.2f}</td></tr>"
        for e in history
    )
    return (
        '<section><h2>Training</h2><div class="pair">'
        f"{charts.curves('Loss', epochs, loss, best)}"
        f"{charts.curves('Validation accuracy', epochs, accuracy, best, percent=True)}</div>"
        f"<p>The dotted line is the epoch with the lowest validation loss, {best}: a model is chosen by that, never by "
        "the test images.</p><details><summary>All epochs</summary><div class='wide'><table class='numbers'>"
        "<tr><th>epoch</th><th>training loss</th><th>validation loss</th><th>validation accuracy</th><th>seconds</th>"
        f"</tr>{rows}</table></div></details></section>"
    )


def _confusion(content: Content) -> str:
    matrix, labels = np.array(content["confusion"]), content["labels"]
    wrong = matrix - np.diag(matrix.diagonal())
    flat = [int(place) for place in np.argsort(-wrong, axis=None, kind="stable")[:PAIRS] if wrong.flat[place] > 0]
    rows = "".join(_pair_row(matrix, labels, *divmod(place, len(labels))) for place in flat)
    pairs = (
        "<h3>Most often confused</h3><div class='wide'><table><tr><th>is</th><th>was taken for</th><th>images</th>"
        f"<th class='held'>of the class</th></tr>{rows}</table></div>"
        if rows
        else "<p>No test image was taken for a class it is not of.</p>"
    )
    return f"<section><h2>What was taken for what</h2>{charts.confusion(matrix, labels)}{pairs}</section>"


def _pair_row(matrix: np.ndarray, labels: Sequence[str], true: int, predicted: int) -> str:
    count, images = int(matrix[true, predicted]), int(matrix[true].sum())
    return (
        f"<tr><td>{name(labels[true])}</td><td>{name(labels[predicted])}</td><td>{count}</td>"
        f'<td class="held">{count / images:.0%} of {images}</td></tr>'
    )


def _scores(content: Content) -> list[evaluation.ClassScore]:
    return evaluation.by_class(np.array(content["confusion"]), tuple(content["labels"]))


def _classes(content: Content) -> str:
    scores = sorted(_scores(content), key=lambda score: score.rank)
    rows = [_class_row(score) for score in scores[:MOST_CLASSES]]
    head = "<tr><th>class</th><th>images</th><th>precision</th><th>recall</th><th>F1</th></tr>"
    shown = f"<div class='wide'><table class='classes'>{head}{''.join(rows[:WORST])}</table></div>"
    rest = rows[WORST:]
    if rest:
        shown += (
            f"<details><summary>The other {len(rest)}</summary><div class='wide'><table class='classes'>{head}"
            f"{''.join(rest)}</table></div></details>"
        )
    if len(scores) > MOST_CLASSES:
        shown += f"<p>{len(scores) - MOST_CLASSES:,} more stand in metrics.json.</p>"
    return (
        f"<section><h2>Classes, the worst first</h2>{shown}<p>Precision: of the test images taken for the class, those "
        "that are of it. Recall: of its own test images, those that were taken for it. F1: the harmonic mean of both."
        "</p></section>"
    )


def _class_row(score: evaluation.ClassScore) -> str:
    precision = "none" if score.precision is None else f"{score.precision:.2f}"
    bar = f'<span class="bar"><i style="width:{score.f1:.0%}"></i></span>'
    return (
        f"<tr><td>{name(score.name)}</td><td>{score.images}</td><td>{precision}</td><td>{score.recall:.2f}</td>"
        f"<td>{score.f1:.2f} {bar}</td></tr>"
    )


def _mistakes(content: Content, pictures: Sequence[Image.Image]) -> str:
    if not pictures:
        return "<section><h2>The worst mistakes</h2><p>None: every test image was taken for what it is.</p></section>"
    wrong = content["images"]["test"] - int(np.trace(np.array(content["confusion"])))
    figures = "".join(
        f'<figure><img alt="{escape(mistake["file"])}" src="{charts.data_uri(picture, "JPEG", quality=82)}">'
        f"<figcaption>taken for <b>{name(mistake['predicted'])}</b>, {mistake['probability']:.0%}<br>"
        f"is {name(mistake['true'])}<small>{name(mistake['file'])}</small></figcaption></figure>"
        for mistake, picture in zip(content["mistakes"], pictures, strict=True)
    )
    return (
        f"<section><h2>The worst mistakes</h2><p>Of {wrong:,} test images that were taken for a wrong class, those of "
        "which the model was surest: what it said, and what it is. Look for wrong labels here first.</p>"
        f'<div class="pictures">{figures}</div></section>'
    )


# ---- how it was made ------------------------------------------------------------------------------------------


def _making(content: Content) -> str:
    instance = content["instance"]
    count = f"{instance['count']} x {instance['type'] or 'unknown type'}"
    used = {word: number or "all" for word, number in content["machine"].items()}
    machine = {"instances": count, "processes": instance["processes"], **used, **content["hardware"]}
    hashes = {"data": content["data_sha256"], "code": content["code_sha256"]}
    on_sagemaker = (instance["type"] or "").startswith("ml.")
    spot = f" Managed spot capacity costs {prices.SPOT_SAVING} less." if on_sagemaker else ""
    settings = content["settings"] | {"lr": content["learning_rate"]}
    return (
        '<section><h2>How it was made</h2><div class="pair">'
        f"<div><h3>Settings</h3>{_table(settings)}<h3>Model</h3>{_table(content['model'])}"
        f"<h3>Versions</h3>{_table(content['libraries'])}</div>"
        f"<div><h3>Machine</h3>{_table(machine)}<h3>Time</h3>{_time(content['seconds'])}</div></div>"
        f"{_autotune(content['autotune'])}<h3>Cost</h3><p>{name(content['cost']['text'])}</p>"
        "<p class='faint'>For the program's own time; starting instances and fetching the data are billed as well."
        f"{spot}</p><h3>SHA-256</h3>{_table(hashes)}</section>"
    )


def _time(phases: Mapping[str, float]) -> str:
    total = sum(phases.values())
    rows = "".join(
        f'<tr><th scope="row">{escape(phase)}</th><td>{seconds:.1f} s</td>'
        f'<td><span class="bar"><i style="width:{seconds / (total or 1):.0%}"></i></span></td></tr>'
        for phase, seconds in phases.items()
    )
    return f'<table class="keys">{rows}<tr><th scope="row">all</th><td>{total:.1f} s</td><td></td></tr></table>'


def _autotune(records: Sequence[Mapping[str, Any]]) -> str:
    """The ways of using the machine that were tried, with what each came to."""
    if not records:
        return ""
    columns = [column for column in records[0] if column != "chosen"]
    head = "".join(f"<th>{name(_words(column))}</th>" for column in columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{name(_shown(record[column]))}</td>' for column in columns)}"
        f"<td>{'chosen' if record['chosen'] else ''}</td></tr>"
        for record in records
    )
    return (
        "<h3>Tried on the machine</h3><div class='wide'><table class='numbers'>"
        f"<tr>{head}<th></th></tr>{rows}</table></div>"
    )


def _table(values: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{name(_words(key))}</th><td>{name(_shown(value))}</td></tr>'
        for key, value in values.items()
        if value is not None
    )
    return f'<table class="keys">{rows}</table>'


def _words(key: str) -> str:
    return key.replace("_gb", " (GB)").replace("_", " ")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(each)}" for key, each in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)
