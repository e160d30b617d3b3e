"""The body of a dashboard, checked as PutDashboard does.

Source: "Dashboard body structure and syntax" in the CloudWatch API reference. Widgets have a type, a place in a grid of
24 columns, and properties by their type.
"""

import json
from collections.abc import Iterator
from typing import Any

TYPES = ("metric", "text", "log", "alarm", "explorer", "custom")
LIMITS = {"x": (0, 23), "y": (0, 10_000), "width": (1, 24), "height": (1, 1_000)}
REQUIRED = {"text": ("markdown",), "log": ("query", "region"), "alarm": ("alarms",), "custom": ("endpoint",)}
MOST_WIDGETS = 500
MOST_METRICS = 500  # of a widget

Fault = tuple[str, str]  # where, and what is wrong


def faults(body: str) -> list[dict[str, str]]:
    """The validation messages of a body, in AWS's form; [] for a valid one."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return [{"dataPath": "", "message": "The dashboard body is not valid JSON"}]
    return [{"dataPath": where, "message": what} for where, what in _of_body(parsed)]


def _of_body(body: Any) -> Iterator[Fault]:
    if not isinstance(body, dict):
        yield "", "should be object"
        return
    widgets = body.get("widgets")
    if widgets is None:
        yield "", "should have required property 'widgets'"
    elif not isinstance(widgets, list):
        yield "/widgets", "should be array"
    elif len(widgets) > MOST_WIDGETS:
        yield "/widgets", f"should NOT have more than {MOST_WIDGETS} items"
    else:
        for number, widget in enumerate(widgets):
            yield from _of_widget(widget, f"/widgets/{number}")


def _of_widget(widget: Any, where: str) -> Iterator[Fault]:
    if not isinstance(widget, dict):
        yield where, "should be object"
        return
    kind, properties = widget.get("type"), widget.get("properties")
    if kind not in TYPES:
        yield f"{where}/type", f"should be equal to one of the allowed values: {', '.join(TYPES)}"
        return
    for name, (least, most) in LIMITS.items():
        value = widget.get(name, least)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            yield f"{where}/{name}", f"should be an integer from {least} to {most}"
    if not isinstance(properties, dict):
        yield where, "should have required property 'properties'"
        return
    for name in REQUIRED.get(kind, ()):
        if name not in properties:
            yield f"{where}/properties", f"should have required property '{name}'"
    if kind == "metric":
        yield from _of_metrics(properties, f"{where}/properties")


def _of_metrics(properties: dict[str, Any], where: str) -> Iterator[Fault]:
    """A graph needs metrics or an alarm as annotation, and the region of its metrics."""
    metrics = properties.get("metrics")
    if metrics is None:
        if "alarms" not in (properties.get("annotations") or {}):
            yield where, "should have required property 'metrics'"
        return
    if "region" not in properties:
        yield where, "should have required property 'region'"
    if not isinstance(metrics, list) or len(metrics) > MOST_METRICS:
        yield f"{where}/metrics", f"should be an array of at most {MOST_METRICS} items"
        return
    for number, row in enumerate(metrics):
        if not isinstance(row, list) or not row:
            yield f"{where}/metrics/{number}", "should be array"
            continue
        names = row[:-1] if isinstance(row[-1], dict) else row
        is_expression = not names and "expression" in row[-1]
        if not is_expression and (len(names) % 2 or not all(isinstance(name, str) for name in names)):
            yield f"{where}/metrics/{number}", "should be a namespace, a name, and pairs of dimensions"
