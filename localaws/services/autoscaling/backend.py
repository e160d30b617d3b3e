"""The targets and policies of one region, and what the alarms of a policy lead to.

The alarms are CloudWatch's, the numbers come from the traffic, `decision` decides, and `changes` carries it out.
"""

from typing import Any

from moto.applicationautoscaling import urls
from moto.applicationautoscaling.exceptions import AWSValidationException
from moto.applicationautoscaling.models import ApplicationAutoscalingBackend
from moto.cloudwatch.models import Alarm, cloudwatch_backends
from moto.core.exceptions import JsonRESTError

from localaws import clock
from localaws.services.autoscaling import activities, decision, managed_alarms, policies, scalable
from localaws.services.autoscaling.changes import ScalingChanges, limits_of
from localaws.services.autoscaling.decision import (
    AlarmSignal,
    CapacityChange,
    NotScaled,
    Peer,
    ScalingHistory,
    Situation,
)
from localaws.services.cloudwatch import alarms

# The role that AWS creates and uses if a target names none, by service namespace.
SERVICE_ROLES = {
    "lambda": ("lambda", "LambdaConcurrency"),
    "sagemaker": ("sagemaker", "SageMakerEndpoint"),
}
SUSPENSIONS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
MAX_BELOW_MIN = "Maximum capacity cannot be less than minimum capacity"


class ObjectNotFound(JsonRESTError):
    def __init__(self, what: str, namespace: str, resource_id: str, dimension: str, last: str = ""):
        named = f"service namespace: {namespace}, resource ID: {resource_id}, scalable dimension: {dimension}{last}"
        super().__init__("ObjectNotFoundException", f"{what} {named}")


class LocalAutoscalingBackend(ApplicationAutoscalingBackend):
    """One region. `tags` is keyed by the target's ARN."""

    def __init__(self, region_name: str, account_id: str):
        super().__init__(region_name, account_id)
        self.tags: dict[str, dict[str, str]] = {}
        self.changes = ScalingChanges(region_name)

    @property
    def _url_module(self) -> Any:
        return urls

    # --- targets ---

    def register_scalable_target(self, namespace: str, r_id: str, dimension: str, **settings: Any) -> Any:
        if kind := scalable.burstable(self.region_name, r_id):
            raise AWSValidationException(f"Automatic scaling is not supported for burstable instances such as {kind}.")
        registered = self.targets.get(dimension, {}).get(r_id)
        low, high = settings.get("min_capacity"), settings.get("max_capacity")
        if registered is not None:  # what a request leaves out stays as it was registered
            low = registered.min_capacity if low is None else low
            high = registered.max_capacity if high is None else high
        if low is not None and high is not None and low > high:
            raise AWSValidationException(MAX_BELOW_MIN)
        suspended = (registered.suspended_state if registered else None) or dict.fromkeys(SUSPENSIONS, False)
        settings["suspended_state"] = {**suspended, **(settings.get("suspended_state") or {})}
        target = super().register_scalable_target(namespace, r_id, dimension, **settings)
        if target.role_arn is None and namespace in SERVICE_ROLES:
            service, name = SERVICE_ROLES[namespace]
            target.role_arn = (
                f"arn:{self.partition}:iam::{self.account_id}:role/aws-service-role/"
                f"{service}.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_{name}"
            )
        return target

    def deregister_scalable_target(self, namespace: str, r_id: str, dimension: str) -> None:
        target = self.registered(namespace, r_id, dimension, "found")
        super().deregister_scalable_target(namespace, r_id, dimension)
        self.tags.pop(target.arn, None)
        for policy in self.policies_of(dimension, r_id):
            self.delete_scaling_policy(policy.policy_name, namespace, r_id, dimension)
        self.scheduled_actions = [
            each for each in self.scheduled_actions if (each.scalable_dimension, each.resource_id) != (dimension, r_id)
        ]
        self.changes.forget((dimension, r_id))

    def registered(self, namespace: str, resource_id: str, dimension: str, how: str = "registered") -> Any:
        """A target. Raises ObjectNotFoundException."""
        try:
            return self.targets[dimension][resource_id]
        except KeyError:
            raise ObjectNotFound(f"No scalable target {how} for", namespace, resource_id, dimension) from None

    def delete_scheduled_action(
        self, service_namespace: str, scheduled_action_name: str, resource_id: str, scalable_dimension: str
    ) -> None:
        before = len(self.scheduled_actions)
        super().delete_scheduled_action(service_namespace, scheduled_action_name, resource_id, scalable_dimension)
        if len(self.scheduled_actions) == before:
            names = (service_namespace, resource_id, scalable_dimension)
            last = f", scheduled action name: {scheduled_action_name}"
            raise ObjectNotFound("No scheduled action found for", *names, last)

    def tags_of(self, arn: str) -> dict[str, str]:
        """The tags of a scalable target, to be read and changed. Raises ResourceNotFoundException."""
        if not any(target.arn == arn for group in self.targets.values() for target in group.values()):
            raise JsonRESTError("ResourceNotFoundException", f"The specified resource doesn't exist: {arn}")
        return self.tags.setdefault(arn, {})

    # --- policies ---

    def policies_of(self, dimension: str, resource_id: str) -> list[Any]:
        """The policies of a target."""
        wanted = (dimension, resource_id)
        return [each for each in list(self.policies.values()) if (each.scalable_dimension, each.resource_id) == wanted]

    def put_scaling_policy(
        self, policy_name: str, service_namespace: str, resource_id: str, scalable_dimension: str, **settings: Any
    ) -> Any:
        names = (service_namespace, resource_id, scalable_dimension)
        self.registered(*names)
        before = self.policies.get("\t".join((*names, policy_name)))
        kind = settings.get("policy_type") or (before.policy_type if before else None)
        body = settings.get("policy_body") or (before._policy_body if before else None) or {}
        runs = service_namespace in SERVICE_ROLES
        tracked = self._check(kind, body, names, policy_name) if runs else None
        policy = super().put_scaling_policy(policy_name, *names, **settings)
        if before is not None:
            policy.policy_arn, policy.alarms = before.policy_arn, before.alarms
            policy.creation_time = before.creation_time
        if tracked is not None:
            managed_alarms.put(self._cloudwatch(), policy, policies.tracking_of(body, service_namespace), tracked)
        elif before is not None and before.alarms and runs:  # it has become a step policy
            policy.delete_alarms(self.account_id, self.region_name)
            policy.alarms = []
        return policy

    def delete_scaling_policy(
        self, policy_name: str, service_namespace: str, resource_id: str, scalable_dimension: str
    ) -> None:
        names = (service_namespace, resource_id, scalable_dimension)
        policy = self.policies.get("\t".join((*names, policy_name)))
        if policy is None:
            raise ObjectNotFound("No scaling policy found for", *names, f", policy name: {policy_name}")
        super().delete_scaling_policy(policy_name, service_namespace, resource_id, scalable_dimension)
        managed_alarms.forget(self._cloudwatch(), policy.policy_arn)
        self.changes.history(policy).last.pop(policy.policy_arn, None)

    def _check(self, kind: str | None, body: dict[str, Any], names: tuple[str, ...], policy_name: str) -> Any:
        """Refuse a policy that cannot be carried out; the metric of one that tracks a target."""
        _, resource_id, dimension = names
        try:
            if kind == "StepScaling":
                policies.steps_of(body)
                return None
            if kind != "TargetTrackingScaling":
                raise policies.InvalidPolicy("The local AWS runs TargetTrackingScaling and StepScaling policies.")
            tracked = policies.tracked_by(body, self.region_name, resource_id)
        except policies.InvalidPolicy as error:
            raise AWSValidationException(str(error)) from None
        for other in self.policies_of(dimension, resource_id):
            configuration = other.target_tracking_scaling_policy_configuration
            if configuration is None or other.policy_name == policy_name:
                continue
            if policies.tracked_by(configuration, self.region_name, resource_id) == tracked:
                raise AWSValidationException(
                    "Only one TargetTrackingScaling policy for a given metric specification is allowed."
                )
        return tracked

    def _cloudwatch(self) -> Any:
        return cloudwatch_backends[self.account_id][self.region_name]

    # --- scaling ---

    def alarmed(self, arn: str, alarm: Alarm, verdict: alarms.Verdict) -> None:
        """What a policy does in a period in which one of its alarms is on."""
        policy = next((each for each in self.policies.values() if arn.startswith(each.policy_arn)), None)
        target = policy and self.targets.get(policy.scalable_dimension, {}).get(policy.resource_id)
        if target is None:
            return
        with self.changes.lock:
            self.changes.observe()
            resource = scalable.look(self.region_name, target.resource_id)
            if resource is None:
                return
            rule, history = alarms.rule_of(alarm), self.changes.history(target)
            decided = decision.decide(
                _pure(policy),
                AlarmSignal(verdict.values, rule.threshold, rule.watches_below),
                _situation(target, resource),
                clock.now(),
                history.last.get(policy.policy_arn),
                self._peers(policy, history),
            )
            cause = activities.alarmed(alarm.name, policy.policy_name)
            if isinstance(decided, NotScaled):
                self.changes.note(target, decided, cause)
            elif isinstance(decided, CapacityChange) and self.changes.change(
                target, decided.to, cause, policy.policy_arn
            ):
                history.begin(policy.policy_arn, decided, resource.capacity)

    def follow_resources(self) -> None:
        """Keep the limits that could not be kept at once, and forget the targets whose endpoint was deleted."""
        for target in [each for group in list(self.targets.values()) for each in list(group.values())]:
            if target.service_namespace not in SERVICE_ROLES:
                continue
            if self.changes.has_gone(target):
                self.deregister_scalable_target("sagemaker", target.resource_id, target.scalable_dimension)
            else:
                self.changes.keep_late_limits(target)

    def _peers(self, policy: Any, history: ScalingHistory) -> list[Peer]:
        """The other target tracking policies of a policy's target, with the datapoints of their alarms Low."""
        peers = []
        for other in self.policies_of(policy.scalable_dimension, policy.resource_id):
            if other is policy or other.policy_type != "TargetTrackingScaling":
                continue
            values = managed_alarms.low_values(self._cloudwatch(), other, self.region_name)
            peers.append(Peer(_pure(other), values, history.last.get(other.policy_arn)))
        return peers


def _pure(policy: Any) -> policies.ScalingPolicy:
    if policy.policy_type == "StepScaling":
        return policies.steps_of(policy.step_scaling_policy_configuration)
    return policies.tracking_of(policy.target_tracking_scaling_policy_configuration, policy.service_namespace)


def _situation(target: Any, resource: scalable.ResourceState) -> Situation:
    suspended = target.suspended_state or {}
    return Situation(
        resource.capacity,
        limits_of(target),
        resource.scalable,
        bool(suspended.get("DynamicScalingInSuspended")),
        bool(suspended.get("DynamicScalingOutSuspended")),
    )
