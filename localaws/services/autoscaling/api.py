"""Application Auto Scaling: targets, policies, their alarms, and the changes of capacity that these lead to.

Target tracking is carried out, for provisioned concurrency and for endpoints' instances: the alarms are CloudWatch's,
the numbers come from the traffic, and a change goes the way that a caller's would. Of these two, other kinds of policy
are refused; scheduled actions are stored.
"""

import time
import uuid
from typing import Any

from moto.applicationautoscaling import urls
from moto.applicationautoscaling.exceptions import AWSValidationException
from moto.applicationautoscaling.models import ApplicationAutoscalingBackend, applicationautoscaling_backends
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.cloudwatch.models import Alarm, cloudwatch_backends
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult

from localaws import state
from localaws.context import ACCOUNT_ID
from localaws.services.autoscaling import scalable, scaling
from localaws.services.cloudwatch import alarms, api

# The role that AWS makes by itself and uses where a target names none, by service namespace.
SERVICE_ROLES = {
    "lambda": ("lambda", "LambdaConcurrency"),
    "sagemaker": ("sagemaker", "SageMakerEndpoint"),
}
KEPT_ACTIVITIES = 200
POLICY_PREFIX = "arn:aws:autoscaling:"


class LocalAutoscalingBackend(ApplicationAutoscalingBackend):
    """One region's targets and policies. `tags` is keyed by the target's ARN, `cooldowns` by the policy's."""

    def __init__(self, region_name: str, account_id: str):
        super().__init__(region_name, account_id)
        self.tags: dict[str, dict[str, str]] = {}
        self.cooldowns: dict[str, scaling.Cooldown] = {}
        self.activities: list[dict[str, Any]] = []

    def __setstate__(self, kept: dict[str, Any]) -> None:
        vars(self).update({"cooldowns": {}, "activities": [], **kept})  # an older state does not have these

    @property
    def _url_module(self) -> Any:
        return urls

    def register_scalable_target(self, namespace: str, r_id: str, dimension: str, **settings: Any) -> Any:
        registered = self.targets.get(dimension, {}).get(r_id)
        low, high = settings.get("min_capacity"), settings.get("max_capacity")
        if registered is not None:  # what a request leaves out stays as it was registered
            low = registered.min_capacity if low is None else low
            high = registered.max_capacity if high is None else high
        if low is not None and high is not None and low > high:
            raise AWSValidationException("Maximum capacity cannot be less than minimum capacity")
        target = super().register_scalable_target(namespace, r_id, dimension, **settings)
        if target.role_arn is None and namespace in SERVICE_ROLES:
            service, name = SERVICE_ROLES[namespace]
            target.role_arn = (
                f"arn:{self.partition}:iam::{self.account_id}:role/aws-service-role/"
                f"{service}.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_{name}"
            )
        return target

    def deregister_scalable_target(self, namespace: str, r_id: str, dimension: str) -> None:
        target = self.targets.get(dimension, {}).get(r_id)
        super().deregister_scalable_target(namespace, r_id, dimension)
        if target is not None:
            self.tags.pop(target.arn, None)
        for key, policy in list(self.policies.items()):
            if (policy.resource_id, policy.scalable_dimension) == (r_id, dimension):
                self._end(key)

    def put_scaling_policy(
        self, policy_name: str, service_namespace: str, resource_id: str, scalable_dimension: str, **settings: Any
    ) -> Any:
        if resource_id not in self.targets.get(scalable_dimension, {}):
            raise JsonRESTError(
                "ObjectNotFoundException",
                f"No scalable target registered for service namespace: {service_namespace}, resource ID: "
                f"{resource_id}, scalable dimension: {scalable_dimension}",
            )
        if service_namespace in SERVICE_ROLES and settings.get("policy_type") not in (None, "TargetTrackingScaling"):
            raise AWSValidationException("The local AWS carries out policies of the type TargetTrackingScaling.")
        names = (service_namespace, resource_id, scalable_dimension)
        before = self._policy(policy_name, *names)
        policy = super().put_scaling_policy(policy_name, *names, **settings)
        if before is not None:
            policy.policy_arn, policy.alarms = before.policy_arn, before.alarms
        configuration = policy.target_tracking_scaling_policy_configuration
        if configuration is not None and service_namespace in SERVICE_ROLES:
            try:
                metric = scaling.watched(configuration, resource_id)
            except scaling.Unsupported as error:
                self._end("\t".join((*names, policy_name)))
                raise AWSValidationException(str(error)) from None
            self._watch(policy, metric, float(configuration["TargetValue"]))
        return policy

    def delete_scaling_policy(
        self, policy_name: str, service_namespace: str, resource_id: str, scalable_dimension: str
    ) -> None:
        names = (service_namespace, resource_id, scalable_dimension)
        policy = self._policy(policy_name, *names)
        super().delete_scaling_policy(policy_name, *names)
        self.cooldowns.pop(policy.policy_arn, None)

    def tags_of(self, arn: str) -> dict[str, str]:
        """The tags of a scalable target, to be read and changed. Raises ResourceNotFoundException."""
        if not any(target.arn == arn for group in self.targets.values() for target in group.values()):
            raise JsonRESTError("ResourceNotFoundException", f"The specified resource doesn't exist: {arn}")
        return self.tags.setdefault(arn, {})

    # --- scaling ---

    def keep_limits(self, target: Any) -> None:
        """Bring a target that is out of its limits back into them."""
        current = scalable.capacity(self.region_name, target.resource_id)
        if current is None or current == self._limited(target, current):
            return
        limit = "minimum" if current < target.min_capacity else "maximum"
        wanted = self._limited(target, current)
        self._change(target, wanted, f"{limit} capacity was set to {wanted}")

    def alarmed(self, arn: str, alarm: Alarm, verdict: alarms.Verdict) -> None:
        """What a policy does in a minute in which one of its alarms is on."""
        policy = next((each for each in self.policies.values() if arn.startswith(each.policy_arn)), None)
        target = policy and self.targets.get(policy.scalable_dimension, {}).get(policy.resource_id)
        current = target and scalable.capacity(self.region_name, policy.resource_id)
        if not current:
            return
        kind = scaling.HIGH if f"-{scaling.HIGH}-" in alarm.name else scaling.LOW
        suspended = target.suspended_state or {}
        if suspended.get(f"DynamicScaling{'Out' if kind == scaling.HIGH else 'In'}Suspended"):
            return
        if kind == scaling.LOW and self._others_object(policy):
            return
        cooldown, now = self.cooldowns.setdefault(policy.policy_arn, scaling.Cooldown()), time.time()
        configuration = policy.target_tracking_scaling_policy_configuration
        asked = (kind, current, verdict.values, configuration, policy.service_namespace, cooldown, now)
        wanted = self._limited(target, scaling.desired(*asked))
        if wanted == current:
            return
        cause = f"monitor alarm {alarm.name} in state ALARM triggered policy {policy.policy_name}"
        if self._change(target, wanted, cause):
            if wanted > current:
                cooldown.scaled_out, cooldown.scaled_out_to = now, wanted
            else:
                cooldown.scaled_in = now

    def _others_object(self, policy: Any) -> bool:
        """Whether another policy of the target would not have it shrink: then it stays as it is."""
        known = cloudwatch_backends[self.account_id][self.region_name].alarms
        for other in self.policies.values():
            if other is policy or other.resource_id != policy.resource_id:
                continue
            low = [each.name for each in other.alarms if f"-{scaling.LOW}-" in each.name]
            if any(name in known and known[name].state_value != alarms.ALARM for name in low):
                return True
        return False

    def _limited(self, target: Any, wanted: int) -> int:
        return max(int(target.min_capacity), min(int(target.max_capacity), wanted))

    def _change(self, target: Any, wanted: int, cause: str) -> bool:
        """Change a target's capacity, and write down what came of it."""
        refusal = scalable.set_capacity(self.region_name, target.resource_id, wanted)
        now = time.time()
        what = scalable.WHAT[target.service_namespace]
        self.activities.insert(
            0,
            {
                "ActivityId": str(uuid.uuid4()),
                "ServiceNamespace": target.service_namespace,
                "ResourceId": target.resource_id,
                "ScalableDimension": target.scalable_dimension,
                "Description": f"Setting {what} to {wanted}.",
                "Cause": cause,
                "StartTime": now,
                "EndTime": now,
                "StatusCode": "Failed" if refusal else "Successful",
                "StatusMessage": refusal or f"Successfully set {what} to {wanted}.",
            },
        )
        del self.activities[KEPT_ACTIVITIES:]
        state.touch()
        return refusal is None

    # --- policies and their alarms ---

    def _policy(self, policy_name: str, service_namespace: str, resource_id: str, scalable_dimension: str) -> Any:
        return self.policies.get("\t".join((service_namespace, resource_id, scalable_dimension, policy_name)))

    def _watch(self, policy: Any, metric: scaling.Watched, target: float) -> None:
        """Put the two alarms of a policy; those that it has already keep their names."""
        known = cloudwatch_backends[self.account_id][self.region_name]
        named = {scaling.HIGH: None, scaling.LOW: None}
        named |= {kind: each.name for each in policy.alarms for kind in named if f"-{kind}-" in each.name}
        policy.alarms = []
        for kind, name in named.items():
            alarm = known.put_metric_alarm(
                name=name or f"TargetTracking-{policy.resource_id}-{kind}-{uuid.uuid4()}",
                description=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.policy_arn}.",
                alarm_actions=[policy.policy_arn],
                **scaling.alarm_settings(kind, metric, target),
            )
            alarm.state_value = alarms.UNKNOWN
            policy.alarms.append(alarm)

    def _end(self, key: str) -> None:
        policy = self.policies.pop(key)
        policy.delete_alarms(self.account_id, self.region_name)
        self.cooldowns.pop(policy.policy_arn, None)


class LocalAutoscalingResponse(ApplicationAutoScalingResponse):
    """One request to the API."""

    def register_scalable_target(self) -> str:
        answer = super().register_scalable_target()
        backend = self.applicationautoscaling_backend
        target = backend.targets[self._get_param("ScalableDimension")][self._get_param("ResourceId")]
        backend.tags_of(target.arn).update(self._get_param("Tags") or {})
        backend.keep_limits(target)
        return answer

    def describe_scaling_activities(self) -> ActionResult:
        asked = {name: self._get_param(name) for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
        found = [
            each
            for each in self.applicationautoscaling_backend.activities
            if all(value in (None, each[name]) for name, value in asked.items())
        ]
        first, size = int(self._get_param("NextToken") or 0), self._get_int_param("MaxResults") or 50
        more = {"NextToken": str(first + size)} if len(found) > first + size else {}
        return ActionResult({"ScalingActivities": found[first : first + size], **more})

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


def _alarmed(arn: str, alarm: Alarm, verdict: alarms.Verdict) -> None:
    applicationautoscaling_backends[ACCOUNT_ID][arn.split(":")[3]].alarmed(arn, alarm, verdict)


def install() -> None:
    applicationautoscaling_backends.backend = LocalAutoscalingBackend
    urls.url_paths = dict.fromkeys(urls.url_paths, LocalAutoscalingResponse.dispatch)
    api.on_alarm(POLICY_PREFIX, _alarmed)
