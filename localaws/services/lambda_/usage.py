"""The numbers of AWS/Lambda, from the requests themselves.

Source: "Types of metrics for Lambda functions" in the Lambda developer guide. Each value is recorded under the account,
the function, the function and what was called (`Resource`), and with a weighted alias the version that ran.
"""

from localaws.services.cloudwatch.metrics import Dimensions, store
from localaws.services.lambda_.environment import Outcome
from localaws.services.lambda_.fleet import Turn

NAMESPACE = "AWS/Lambda"
UNITS = {
    "Duration": "Milliseconds",
    "ProvisionedConcurrencyUtilization": "Percent",
    **dict.fromkeys(("Invocations", "Errors", "Throttles", "ConcurrentExecutions"), "Count"),
    **dict.fromkeys(("ProvisionedConcurrentExecutions", "ProvisionedConcurrencyInvocations"), "Count"),
    "ProvisionedConcurrencySpilloverInvocations": "Count",
}


class UsageWatch:
    """Records one request: when it is let in or throttled, and when it has ended."""

    def __init__(self, region: str, name: str, qualifier: str | None, version: str, weighted: bool):
        self._region = region
        self._dimensions = dimension_sets(name, qualifier, version if weighted else None)

    def turn(self, turn: Turn) -> None:
        values = {"ConcurrentExecutions": turn.in_flight}
        if turn.provisioned is not None:
            kind = "Invocations" if turn.provisioned else "SpilloverInvocations"
            values |= {f"ProvisionedConcurrency{kind}": 1, "ProvisionedConcurrentExecutions": turn.provisioned_in_use}
            if turn.allocated:
                # A share of what one qualifier has: there is no such number for the function or the account.
                share = {"ProvisionedConcurrencyUtilization": turn.provisioned_in_use / turn.allocated}
                store.record(self._region, NAMESPACE, self._dimensions[2:], share, UNITS)
        self._record(values)

    def throttled(self) -> None:
        self._record({"Throttles": 1})

    def ended(self, outcome: Outcome) -> None:
        failed = 1 if outcome.function_error else 0
        self._record({"Invocations": 1, "Errors": failed, "Throttles": 0, "Duration": outcome.duration_ms})

    def _record(self, values: dict[str, float]) -> None:
        store.record(self._region, NAMESPACE, self._dimensions, values, UNITS)


def dimension_sets(name: str, qualifier: str | None, version: str | None) -> list[Dimensions]:
    """What a value is recorded under; `version` where a weighted alias has drawn it."""
    function = ("FunctionName", name)
    resource = ("Resource", f"{name}:{qualifier}" if qualifier else name)
    sets: list[Dimensions] = [(), (function,), (function, resource)]
    return [*sets, (("ExecutedVersion", version), function, resource)] if version else sets
