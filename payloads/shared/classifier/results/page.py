"""A run's report as one HTML page. The page loads nothing from elsewhere, and contains no script.

`render` makes the page from the content of metrics.json and some pictures. The template is report.html.jinja. It
escapes every value from outside (names of classes and files, settings, the description of the machine). The page's own
content security policy forbids scripts and every other address.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from classifier import prices
from classifier.examination.gallery import Group
from classifier.results import charts, evaluation
from classifier.results.reliability_chart import reliability

TEMPLATE = "report.html.jinja"
CONFUSIONS = 15  # pairs of classes in the list
FIRST_CLASSES = 20  # the page shows these at once
MOST_CLASSES = 1000  # a longer table is of no use to a reader

Content = Mapping[str, Any]


def render(content: Content, pictures: Sequence[Image.Image], suspects: Sequence[Group] = ()) -> str:
    """The page. `content` is that of metrics.json; `pictures` are those of its mistakes, in the same order; `suspects`
    are the photographs to look at."""
    matrix, labels = np.array(content["confusion"]), tuple(content["labels"])
    images = content["images"]["test"]
    scores = sorted(evaluation.by_class(matrix, labels), key=lambda score: score.rank)
    sources = [charts.data_uri(picture, "JPEG", quality=82) for picture in pictures]
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            run=content,
            interval=evaluation.interval(content["metrics"]["test_accuracy"], images),
            scores=scores,
            macro_f1=sum(score.f1 for score in scores) / len(scores),
            first_classes=FIRST_CLASSES,
            most_classes=MOST_CLASSES,
            total_seconds=sum(content["seconds"].values()),
            **_curves(content["history"]),
            confusion_chart=charts.confusion(matrix, labels),
            confusions=_confusions(matrix, labels),
            wrong=images - int(np.trace(matrix)),
            suspects=[
                (group, [charts.data_uri(each.image, "JPEG", quality=80) for each in group.pictures])
                for group in suspects
            ],
            mistakes=list(zip(content["mistakes"], sources, strict=True)) if sources else [],
            reliability_chart=reliability(content["reliability"]) if content.get("reliability") else None,
            settings=content["settings"] | {"lr": content["learning_rate"]},
            machine=_machine(content),
            on_sagemaker=(content["instance"]["type"] or "").startswith("ml."),
            spot_saving=prices.SPOT_SAVING,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "name": charts.name,
        "words": _words,
        "zip": zip,
        "shown": _shown,
        "chance": _chance,
        "duration": prices.duration,
        "dollars": prices.dollars,
    }
    return environment


def _curves(history: Sequence[Mapping[str, Any]]) -> dict[str, Markup | int]:
    if not history:
        return {}
    epochs = [epoch["epoch"] for epoch in history]
    best = min(history, key=lambda epoch: epoch["valid_loss"])["epoch"]
    loss = {"training": [e["train_loss"] for e in history], "validation": [e["valid_loss"] for e in history]}
    accuracy = {"validation": [e["valid_accuracy"] for e in history]}
    return {
        "best_epoch": best,
        "loss_chart": charts.curves("Loss", epochs, loss, best),
        "accuracy_chart": charts.curves("Validation accuracy", epochs, accuracy, best, percent=True),
    }


def _confusions(matrix: np.ndarray, labels: Sequence[str]) -> list[dict[str, str | int]]:
    """The pairs of classes with the most confused images, the most frequent first."""
    wrong = matrix - np.diag(matrix.diagonal())
    places = [
        int(place) for place in np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS] if wrong.flat[place] > 0
    ]
    return [
        {
            "actual": labels[actual],
            "predicted": labels[predicted],
            "count": int(matrix[actual, predicted]),
            "images": int(matrix[actual].sum()),
        }
        for actual, predicted in (divmod(place, len(labels)) for place in places)
    ]


def _machine(content: Content) -> dict[str, Any]:
    instance = content["instance"]
    used = {word: number or "all" for word, number in content["machine"].items()}
    return {
        "instances": f"{instance['count']} x {instance['type'] or 'unknown type'}",
        "processes": instance["processes"],
        **used,
        **content["hardware"],
    }


def _words(key: str) -> str:
    return key.replace("_gb", " (GB)").replace("_", " ")


def _chance(probability: float) -> str:
    """`98%`. No probability of a prediction is 100%, so it is not rounded to that."""
    return "over 99%" if probability > 0.99 else f"{probability:.0%}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(each)}" for key, each in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)
