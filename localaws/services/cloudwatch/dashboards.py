"""The body of a dashboard, checked as PutDashboard does.

Source: "Dashboard body structure and syntax" in the CloudWatch API reference. Widgets have a type, a place in a grid of
24 columns, and properties by their type. The words are those that users reported from AWS (aws-eda-slurm-cluster #116,
guidance-for-automating-network-monitoring #7).
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
    except (ValueError, RecursionError):
        return [{"dataPath": "", "message": "The dashboard body is not valid JSON"}]
    return [{"dataPath": where, "message": what} for where, what in _of_body(parsed)]


def _of_body(body: Any) -> Iterator[Fault]:
    if not isinstance(body, dict):
        yield "", "Should be object"
        return
    widgets = body.get("widgets")
    if widgets is None:
        yield "", "Should have required property 'widgets'"
    elif not isinstance(widgets, list):
        yield "/widgets", "Should be array"
    elif len(widgets) > MOST_WIDGETS:
        yield "/widgets", f"Should NOT have more than {MOST_WIDGETS} items"
    else:
        for number, widget in enumerate(widgets):
            yield from _of_widget(widget, f"/widgets/{number}")


def _of_widget(widget: Any, where: str) -> Iterator[Fault]:
    if not isinstance(widget, dict):
        yield where, "Should be object"
        return
    kind, properties = widget.get("type"), widget.get("properties")
    if kind not in TYPES:
        yield f"{where}/type", f"Should be equal to one of the allowed values: {', '.join(TYPES)}"
        return
    for name, (least, most) in LIMITS.items():
        value = widget.get(name, least)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            yield f"{where}/{name}", f"Should be an integer from {least} to {most}"
    if not isinstance(properties, dict):
        yield where, "Should have required property 'properties'"
        return
    for name in REQUIRED.get(kind, ()):
        if name not in properties:
            yield f"{where}/properties", f"Should have required property '{name}'"
    if kind == "alarm" and properties.get("alarms") == []:
        yield f"{where}/properties/alarms", "Should NOT have less than 1 items"
    if kind == "metric":
        yield from _of_metrics(properties, f"{where}/properties")


def _of_metrics(properties: dict[str, Any], where: str) -> Iterator[Fault]:
    """A graph needs metrics or an alarm as annotation, and the region of its metrics."""
    metrics, alarms = properties.get("metrics"), (properties.get("annotations") or {}).get("alarms")
    if alarms is None and (metrics is None or "region" not in properties):
        if metrics is None:
            yield where, "Should have required property 'metrics'"
        yield where, "The metric widget should have specified a region and a data source or an alarm annotation"
    if metrics is None:
        return
    if not isinstance(metrics, list) or len(metrics) > MOST_METRICS:
        yield f"{where}/metrics", f"Should be an array of at most {MOST_METRICS} items"
        return
    for number, row in enumerate(metrics):
        if not isinstance(row, list) or not row:
            yield f"{where}/metrics/{number}", "Should be array"
            continue
        names = row[:-1] if isinstance(row[-1], dict) else row
        is_expression = not names and "expression" in row[-1]
        if not is_expression and (len(names) % 2 or not all(isinstance(name, str) for name in names)):
            yield f"{where}/metrics/{number}", "Should be a namespace, a name, and pairs of dimensions"
