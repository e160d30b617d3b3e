"""The API of Application Auto Scaling.

Target tracking, step scaling and scheduled actions run, for provisioned concurrency and for endpoints' instances. For
other resources, policies are stored.
"""

import json
from typing import Any

from moto.applicationautoscaling import urls
from moto.applicationautoscaling.models import applicationautoscaling_backends
from moto.applicationautoscaling.responses import (
    ApplicationAutoScalingResponse,
    _build_policy,
    _build_scheduled_action,
    _build_target,
)
from moto.cloudwatch.models import Alarm, cloudwatch_backends
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult

from localaws.context import ACCOUNT_ID
from localaws.paging import InvalidToken, page
from localaws.services.autoscaling import managed_alarms, scheduler
from localaws.services.autoscaling.backend import LocalAutoscalingBackend
from localaws.services.cloudwatch import alarms, evaluation

POLICY_PREFIX = "arn:aws:autoscaling:"
PAGE = 50


class InvalidNextToken(JsonRESTError):
    def __init__(self) -> None:
        super().__init__("InvalidNextTokenException", "The next token supplied was invalid.")


class LocalAutoscalingResponse(ApplicationAutoScalingResponse):
    """One request to the API."""

    def register_scalable_target(self) -> str:
        answer = super().register_scalable_target()
        backend = self.applicationautoscaling_backend
        target = backend.targets[self._get_param("ScalableDimension")][self._get_param("ResourceId")]
        backend.tags_of(target.arn).update(self._get_param("Tags") or {})
        backend.changes.keep_limits(target)
        return answer

    def put_scaling_policy(self) -> ActionResult:
        super().put_scaling_policy()
        names = ("ServiceNamespace", "ResourceId", "ScalableDimension", "PolicyName")
        policy = self.applicationautoscaling_backend.policies["\t".join(self._get_param(name) for name in names)]
        return ActionResult({"PolicyARN": policy.policy_arn, "Alarms": self._alarms(policy)})

    def describe_scalable_targets(self) -> ActionResult:
        asked = {name: self._get_param(name) for name in ("ServiceNamespace", "ScalableDimension")}
        groups, names = self.applicationautoscaling_backend.targets.values(), self._get_param("ResourceIds")
        described = [
            _build_target(each) for group in groups for each in group.values() if not names or each.resource_id in names
        ]
        return self._page("ScalableTargets", [each for each in described if _fits(each, asked)])

    def describe_scheduled_actions(self) -> ActionResult:
        asked = {name: self._get_param(name) for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
        names = self._get_param("ScheduledActionNames")
        described = [
            _build_scheduled_action(each)
            for each in self.applicationautoscaling_backend.scheduled_actions
            if not names or each.scheduled_action_name in names
        ]
        return self._page("ScheduledActions", [each for each in described if _fits(each, asked)])

    def describe_scaling_policies(self) -> ActionResult:
        asked = {name: self._get_param(name) for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
        names = self._get_param("PolicyNames")
        described = [
            {**_build_policy(each), "Alarms": self._alarms(each)}
            for each in self.applicationautoscaling_backend.policies.values()
            if not names or each.policy_name in names
        ]
        return self._page("ScalingPolicies", [each for each in described if _fits(each, asked)])

    def describe_scaling_activities(self) -> ActionResult:
        changes = self.applicationautoscaling_backend.changes
        changes.observe()
        asked = {name: self._get_param(name) for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
        all_of_them = self._get_bool_param("IncludeNotScaledActivities", False)
        described = [each.describe() for each in changes.activities if all_of_them or each.not_scaled is None]
        return self._page("ScalingActivities", [each for each in described if _fits(each, asked)])

    def put_scheduled_action(self) -> str:
        backend, asked = self.applicationautoscaling_backend, json.loads(self.body)
        backend.registered(asked["ServiceNamespace"], asked["ResourceId"], asked["ScalableDimension"])
        known = self._scheduled()
        scheduler.check(asked, known)
        answer = super().put_scheduled_action()
        if known is None:
            scheduler.name_arn(self._scheduled())
        return answer

    def list_tags_for_resource(self) -> ActionResult:
        return ActionResult({"Tags": self._tags()})

    def tag_resource(self) -> ActionResult:
        self._tags().update(self._get_param("Tags"))
        return ActionResult({})

    def untag_resource(self) -> ActionResult:
        for key in self._get_param("TagKeys"):
            self._tags().pop(key, None)
        return ActionResult({})

    def _tags(self) -> dict[str, str]:
        return self.applicationautoscaling_backend.tags_of(self._get_param("ResourceARN"))

    def _scheduled(self) -> Any | None:
        """The scheduled action that the request names, if there is one."""
        found = self.applicationautoscaling_backend.describe_scheduled_actions(
            [self._get_param("ScheduledActionName")],
            self._get_param("ServiceNamespace"),
            self._get_param("ResourceId"),
            self._get_param("ScalableDimension"),
        )
        return found[0] if found else None

    def _alarms(self, policy: Any) -> list[dict[str, str]]:
        """The alarms of a policy: its own, or for a step policy those of others that name it."""
        found = policy.alarms
        if policy.policy_type == "StepScaling":
            found = managed_alarms.naming(cloudwatch_backends[self.current_account][self.region], policy.policy_arn)
        return [{"AlarmName": each.name, "AlarmARN": each.alarm_arn} for each in found]

    def _page(self, name: str, found: list[dict[str, Any]]) -> ActionResult:
        size = self._get_int_param("MaxResults") or PAGE
        try:
            shown, following = page(found, self._get_param("NextToken"), size)
        except InvalidToken:
            raise InvalidNextToken from None
        return ActionResult({name: shown, **({"NextToken": following} if following else {})})


def _fits(described: dict[str, Any], asked: dict[str, Any]) -> bool:
    return all(value in (None, described[name]) for name, value in asked.items())


def _alarmed(arn: str, alarm: Alarm, verdict: alarms.Verdict) -> None:
    applicationautoscaling_backends[ACCOUNT_ID][arn.split(":")[3]].alarmed(arn, alarm, verdict)


def _tick(since: float, now: float) -> None:
    for backend in list(applicationautoscaling_backends[ACCOUNT_ID].values()):
        backend.changes.observe()
        backend.follow_resources()
        scheduler.run_due(backend, since, now)


def install() -> None:
    applicationautoscaling_backends.backend = LocalAutoscalingBackend
    urls.url_paths = dict.fromkeys(urls.url_paths, LocalAutoscalingResponse.dispatch)
    evaluation.on_alarm(POLICY_PREFIX, _alarmed)
    evaluation.before_alarms(_tick)
