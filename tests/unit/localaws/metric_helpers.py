"""Numbers of the local CloudWatch, as a client reads them."""

from datetime import UTC, datetime, timedelta


def statistic(server, namespace: str, name: str, kind: str, dimensions: dict[str, str]) -> float | None:
    """One statistic of a metric over the last hour and the minute that runs; None without any value."""
    now = datetime.now(UTC)
    answer = server.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=7200,
        Statistics=[kind],
    )
    points = [point[kind] for point in answer["Datapoints"]]
    if kind == "Sum" and points:
        return sum(points)
    return max(points, default=None)


def total(function, name: str, kind: str = "Sum", **dimensions: str) -> float | None:
    """A number of AWS/Lambda for a function."""
    return statistic(function.server, "AWS/Lambda", name, kind, {"FunctionName": function.name, **dimensions})


def totals(function, *names: str, **dimensions: str) -> dict[str, float | None]:
    return {name: total(function, name, **dimensions) for name in names}
