"""SageMaker's operations on endpoints."""

import shutil
import threading
from dataclasses import replace
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.models import sagemaker_backends

from localaws.context import ACCOUNT_ID, context
from localaws.services.sagemaker import limits
from localaws.services.sagemaker.endpoints.container import Serverless, Variant
from localaws.services.sagemaker.endpoints.endpoint import HostedEndpoint
from localaws.services.sagemaker.endpoints.shift import ROLLING, UpdatePolicy, UpdatePolicyError
from localaws.services.sagemaker.endpoints.update import EndpointDeployment
from localaws.services.sagemaker.metadata import NO_CONFIG, NO_MODEL, containers_of
from localaws.services.sagemaker.records import InvalidRequest, Operations, now

NO_ENDPOINT = 'Could not find endpoint "{arn}".'


class EndpointOperations(Operations):
    def create_endpoint(self) -> ActionResult:
        request = self.request
        name = request["EndpointName"]
        if name in self.table("endpoint"):
            arn = self.table("endpoint")[name].arn
            raise InvalidRequest(f'Cannot create already existing endpoint "{arn}".')
        deployment = self._deployment(request["EndpointConfigName"])
        _check_policy(request.get("DeploymentConfig"), deployment, deployment)
        limits.require_endpoint(self.region, limits.of_variants(deployment.variants))
        endpoint = self.table("endpoint")[name] = HostedEndpoint(name, self.region, request, deployment)
        endpoint.deploy(deployment, "Creating")
        return ActionResult({"EndpointArn": endpoint.arn})

    def describe_endpoint(self) -> ActionResult:
        return ActionResult(self._endpoint().describe())

    def list_endpoints(self) -> ActionResult:
        def summary(endpoint: HostedEndpoint) -> dict[str, Any]:
            described = endpoint.describe()
            names = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
            return {name: described[name] for name in names}

        return ActionResult(self.page(self.table("endpoint").values(), "Endpoints", summary))

    def update_endpoint(self) -> ActionResult:
        request = self.request
        endpoint = self._endpoint_in_service()
        policy = request.get("DeploymentConfig") or (
            endpoint.last_policy if request.get("RetainDeploymentConfig") else None
        )
        deployment = self._deployment(request["EndpointConfigName"])
        _check_kind(endpoint.deployment, deployment)
        if request.get("RetainAllVariantProperties"):
            excluded = {each["VariantPropertyType"] for each in request.get("ExcludeRetainedVariantProperties") or []}
            deployment = _retaining(deployment, endpoint.deployment, excluded)
        _check_policy(policy, endpoint.deployment, deployment)
        limits.require_endpoint(self.region, limits.of_variants(deployment.variants))  # while the old fleet serves
        endpoint.last_policy = policy
        endpoint.deploy(deployment, "Updating", policy)
        return ActionResult({"EndpointArn": endpoint.arn})

    def update_endpoint_weights_and_capacities(self) -> ActionResult:
        endpoint = self._endpoint_in_service()
        variants = {variant.name: variant for variant in endpoint.deployment.variants}
        for wanted in self.request["DesiredWeightsAndCapacities"]:
            name = wanted["VariantName"]
            if name not in variants:
                raise InvalidRequest(
                    f'The variant name(s) "{name}" is/are not present within endpoint configuration '
                    f'"{endpoint.deployment.config_name}".'
                )
            if variants[name].serverless and ("DesiredInstanceCount" in wanted or "ServerlessUpdateConfig" in wanted):
                raise InvalidRequest(f'The variant "{name}" is serverless: it has no instances that could be counted.')
            count = wanted.get("DesiredInstanceCount", variants[name].count)
            if count < 1:
                raise InvalidRequest("DesiredInstanceCount must be at least 1.")
            weight = wanted.get("DesiredWeight", variants[name].weight)
            variants[name] = replace(variants[name], count=count, weight=weight)
        endpoint.scale(tuple(variants.values()))
        return ActionResult({"EndpointArn": endpoint.arn})

    def delete_endpoint(self) -> ActionResult:
        endpoint = self._endpoint()
        if endpoint.status != "Deleting":
            endpoint.delete()
        return EmptyResult()

    def _endpoint(self) -> HostedEndpoint:
        return self.find("endpoint", self.request["EndpointName"], NO_ENDPOINT)

    def _endpoint_in_service(self) -> HostedEndpoint:
        endpoint = self._endpoint()
        if endpoint.status in ("Creating", "Updating", "Deleting"):
            raise InvalidRequest(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        if endpoint.status not in ("InService", "UpdateRollbackFailed"):
            raise InvalidRequest(f'Cannot update endpoint "{endpoint.arn}" in the status {endpoint.status}.')
        return endpoint

    def _deployment(self, config_name: str) -> EndpointDeployment:
        """The deployment that a configuration describes now."""
        config = self.find("endpoint-config", config_name, NO_CONFIG)
        variants = []
        for asked in config.request["ProductionVariants"]:
            model = self.find("model", asked["ModelName"], NO_MODEL)
            container = containers_of(model.request)[0]
            variants.append(
                Variant(
                    name=asked["VariantName"],
                    image=container.get("Image", ""),
                    model_data_url=container["ModelDataUrl"],
                    environment=container.get("Environment") or {},
                    isolated=bool(model.request.get("EnableNetworkIsolation")),
                    count=asked.get("InitialInstanceCount", 1),
                    weight=asked["InitialVariantWeight"],
                    instance_type=asked.get("InstanceType") or "",
                    role_arn=model.request.get("ExecutionRoleArn") or "",
                    serverless=_serverless(asked.get("ServerlessConfig")),
                )
            )
        return EndpointDeployment(config_name, tuple(variants), now())


def _serverless(config: dict[str, Any] | None) -> Serverless | None:
    return Serverless(config["MemorySizeInMB"], config["MaxConcurrency"]) if config else None


def _check_kind(old: EndpointDeployment, new: EndpointDeployment) -> None:
    """Raise ValidationException for an update of instances to serverless.

    Source: "Feature exclusions" of serverless inference in the SageMaker developer guide. The reverse is allowed.
    """
    becomes = [each.name for each in new.variants if each.serverless]
    if becomes and not any(each.serverless for each in old.variants):
        raise InvalidRequest(
            f"The endpoint has instances, and the variant {becomes[0]} of the new configuration is serverless: an "
            "instance-based endpoint cannot be converted to a serverless one. Create a new endpoint."
        )


def _check_policy(config: dict[str, Any] | None, old: EndpointDeployment, new: EndpointDeployment) -> None:
    """Raise ValidationException for a deployment configuration that does not fit the endpoint.

    Sources: "Exclusions" of the deployment guardrails in the SageMaker developer guide, and the descriptions of the
    sizes in botocore's service model. The words are not documented.
    """
    if not config:
        return
    try:
        policy = UpdatePolicy.of(config)
        for variant in new.variants:
            policy.require_size(1 if variant.serverless else variant.count)
    except UpdatePolicyError as error:
        raise InvalidRequest(str(error)) from None
    names = [sorted(each.name for each in deployment.variants) for deployment in (old, new)]
    if names[0] != names[1]:
        raise InvalidRequest(
            f"The new endpoint configuration must have the same variant names as the old one: {', '.join(names[0])}."
        )
    if policy.kind == ROLLING and (len(new.variants) > 1 or any(each.serverless for each in new.variants)):
        raise InvalidRequest("A rolling deployment supports no serverless and no multi-variant endpoints.")


def _retaining(new: EndpointDeployment, old: EndpointDeployment, excluded: set[str]) -> EndpointDeployment:
    """The new deployment with the counts and weights of the old one's variants, except those excluded."""
    before = {variant.name: variant for variant in old.variants}
    variants = []
    for variant in new.variants:
        kept: dict[str, Any] = {}
        if variant.name in before:
            if "DesiredInstanceCount" not in excluded:
                kept["count"] = before[variant.name].count
            if "DesiredWeight" not in excluded:
                kept["weight"] = before[variant.name].weight
        variants.append(replace(variant, **kept))
    return replace(new, variants=tuple(variants))


def all_endpoints() -> list[HostedEndpoint]:
    """The endpoints of every region in use."""
    return [endpoint for backend in sagemaker_backends[ACCOUNT_ID].values() for endpoint in backend.endpoints.values()]


def restore() -> None:
    shutil.rmtree(context().home / "endpoints", ignore_errors=True)  # files of fleets that are no more
    for endpoint in all_endpoints():
        endpoint.resume()


def stop() -> None:
    threads = [threading.Thread(target=endpoint.suspend) for endpoint in all_endpoints()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
