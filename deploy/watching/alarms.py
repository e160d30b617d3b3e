"""The alarms of a deployment, and what to do if one is on."""

from __future__ import annotations

from dataclasses import dataclass

from deploy import console
from deploy.deployment import Deployment

ON, UNKNOWN = "ALARM", "INSUFFICIENT_DATA"

# The end of an alarm's name -> what to do. They are those of terraform/modules/monitoring and modules/endpoint.
ADVICE = {
    "server-errors": "logs WHAT=endpoint",
    "endpoint-slow": "load-test",
    "endpoint-errors": "logs WHAT=endpoint",
    "failed-requests": "logs WHAT=lambda",
    "function-errors": "logs WHAT=lambda",
    "function-throttles": "load-test",
    "spillover": "load-test",
    "model-latency": "load-test",
    "drift": "review",
    "no-metrics": "logs WHAT=endpoint",
}


@dataclass(frozen=True)
class AlarmState:
    """An alarm: its state, and CloudWatch's reason for it."""

    name: str
    state: str
    reason: str
    description: str

    @property
    def is_on(self) -> bool:
        return self.state == ON

    @property
    def advice(self) -> str:
        """The command that shows more."""
        found = next((target for end, target in ADVICE.items() if self.name.endswith(end)), "logs WHAT=lambda")
        return console.make(found)


def read(deployment: Deployment) -> list[AlarmState]:
    """The alarms of the stack, by name; [] for a stack of a version without this output. Raises ClientError."""
    if not (names := deployment.outputs.get("alarm_names")):
        return []
    answer = deployment.client("cloudwatch").describe_alarms(AlarmNames=names)
    return sorted(
        (
            AlarmState(
                each["AlarmName"], each["StateValue"], each.get("StateReason", ""), each.get("AlarmDescription", "")
            )
            for each in answer["MetricAlarms"]
        ),
        key=lambda alarm: alarm.name,
    )
