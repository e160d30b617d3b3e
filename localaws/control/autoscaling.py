"""Application Auto Scaling: targets and policies, stored, with the tags that moto lacks. Nothing acts on them yet."""

from typing import Any

from moto.applicationautoscaling import urls
from moto.applicationautoscaling.models import ApplicationAutoscalingBackend, applicationautoscaling_backends
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult

# The role that AWS makes by itself and uses where a target names none, by service namespace.
SERVICE_ROLES = {
    "lambda": ("lambda", "LambdaConcurrency"),
    "sagemaker": ("sagemaker", "SageMakerEndpoint"),
}


class LocalAutoscalingBackend(ApplicationAutoscalingBackend):
    """One region's targets and policies. `tags` is keyed by the target's ARN."""

    def __init__(self, region_name: str, account_id: str):
        super().__init__(region_name, account_id)
        self.tags: dict[str, dict[str, str]] = {}

    @property
    def _url_module(self) -> Any:
        return urls

    def register_scalable_target(self, namespace: str, r_id: str, dimension: str, **settings: Any) -> Any:
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

    def tags_of(self, arn: str) -> dict[str, str]:
        """The tags of a scalable target, to be read and changed. Raises ResourceNotFoundException."""
        if not any(target.arn == arn for group in self.targets.values() for target in group.values()):
            raise JsonRESTError("ResourceNotFoundException", f"The specified resource doesn't exist: {arn}")
        return self.tags.setdefault(arn, {})


class LocalAutoscalingResponse(ApplicationAutoScalingResponse):
    """One request to the API."""

    def register_scalable_target(self) -> str:
        answer = super().register_scalable_target()
        backend = self.applicationautoscaling_backend
        target = backend.targets[self._get_param("ScalableDimension")][self._get_param("ResourceId")]
        backend.tags_of(target.arn).update(self._get_param("Tags") or {})
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


def install() -> None:
    applicationautoscaling_backends.backend = LocalAutoscalingBackend
    urls.url_paths = dict.fromkeys(urls.url_paths, LocalAutoscalingResponse.dispatch)
