"""What `make promote` says of an update of the endpoint that SageMaker rolled back."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.sagemaker import update_watch
from deploy.sagemaker.update_watch import UpdateWatch

REASON = "Threshold Crossed: 1 out of the last 1 datapoint [1] was greater than the threshold (0.05)."


class Endpoint:
    """SageMaker and CloudWatch for one endpoint: the alarm is on in the first `rings` answers."""

    def __init__(self, rings: int):
        self.rings = rings
        self.asked = 0
        self.twice = threading.Event()

    def describe_endpoint(self, **_) -> dict[str, Any]:
        new = {"VariantName": "primary", "VariantStatus": [{"Status": "Baking"}]}
        return {
            "ProductionVariants": [{"VariantName": "primary"}],
            "PendingDeploymentSummary": {"EndpointConfigName": "new", "ProductionVariants": [new]},
            "LastDeploymentConfig": {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]}},
        }

    def describe_alarms(self, **_) -> dict[str, Any]:
        self.asked += 1
        if self.asked == 2:
            self.twice.set()
        state = "ALARM" if self.asked <= self.rings else "OK"
        return {"MetricAlarms": [{"AlarmName": "errors", "StateValue": state, "StateReason": REASON}]}

    def get_metric_statistics(self, **asked) -> dict[str, Any]:
        of_new = any(each["Name"] == "EndpointConfigName" for each in asked["Dimensions"])
        count = (5 if of_new else 40) if asked["MetricName"] == "Invocations" else 4
        return {"Datapoints": [{"Sum": count}, {"Sum": 1}]}


@pytest.fixture
def watch(account, monkeypatch):
    """Makes the watch of an endpoint whose alarm is on in the first `rings` answers."""
    monkeypatch.setattr(type(account.env), "poll_seconds", lambda _env, _on_aws: 0.01)

    def made(rings: int, kind: str = "instances") -> tuple[UpdateWatch, Endpoint]:
        endpoint = Endpoint(rings)
        monkeypatch.setattr(Deployment, "client", lambda _deployment, _service: endpoint)
        return UpdateWatch(account.deployed(endpoint_name="pawprint", endpoint_kind=kind)), endpoint

    return made


def test_a_rollback_is_explained_by_its_alarm_and_the_requests_of_the_new_fleet(watch, capsys):
    watched, endpoint = watch(rings=1)
    with watched:
        assert endpoint.twice.wait(60), "the alarm was seen, and then that it is off again"
    words = watched.explanation()
    assert f"The alarm errors rolled it back. {REASON}" in words
    assert "had 41 requests" in words
    assert "had 6 of them, and answered 5 of these with a server error" in words
    assert "The alarms watch the new instances." in capsys.readouterr().out


def test_an_alarm_of_the_live_release_does_not_stop_the_one_that_repairs_it(watch):
    watched, endpoint = watch(rings=2)
    renewed = []
    watched.require_quiet(lambda: renewed.append(endpoint.asked) or 0)
    assert renewed == [1]
    assert endpoint.asked == 3


def test_an_alarm_that_stays_on_stops_the_update_before_it_begins(watch, monkeypatch):
    monkeypatch.setattr(update_watch, "QUIET_SECONDS", 0)
    watched, _ = watch(rings=100)
    with pytest.raises(Failure, match="alarm errors stays on"):
        watched.require_quiet(lambda: 0)


def test_a_function_with_the_model_itself_has_no_fleet_to_watch(watch):
    watched, endpoint = watch(rings=100, kind="in-function")
    with watched:
        watched.require_quiet(lambda: 1)
    assert watched.explanation() == ""
    assert endpoint.asked == 0
