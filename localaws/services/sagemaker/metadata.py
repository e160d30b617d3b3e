"""SageMaker's models, endpoint configurations and tags: stored, and put to use by an endpoint."""

import re
from typing import Any
from urllib.parse import unquote, urlparse

from botocore.exceptions import ClientError
from moto.core.responses import ActionResult, EmptyResult

from localaws.services.iam.service_roles import SAGEMAKER, CannotAssume, ServiceRole, no_access_to_model
from localaws.services.sagemaker.records import TABLES, InvalidRequest, NotRunHere, Operations, Record

NO_MODEL = 'Could not find model "{arn}".'
# bucket.s3.region.amazonaws.com, bucket.s3.amazonaws.com, s3.region.amazonaws.com, s3-region.amazonaws.com, …
_S3_HOST = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9.-]+)\.)?s3(?:[.-](?:dualstack\.)?[a-z]{2}(?:-[a-z]+)+-\d)?\.amazonaws\.com(\.cn)?"
)
# What a variant has for instances only, and what a model may not have for a serverless variant.
INSTANCE_MEMBERS = ("InstanceType", "InitialInstanceCount", "InferenceAmiVersion", "AcceleratorType")
EXCLUDED_FROM_SERVERLESS = {"EnableNetworkIsolation": "network isolation", "VpcConfig": "a VPC configuration"}
NO_CONFIG = 'Could not find endpoint configuration "{arn}".'


class MetadataOperations(Operations):
    # --- models ---

    def create_model(self) -> ActionResult:
        request = self.request
        name = request["ModelName"]
        if name in self.table("model"):
            raise InvalidRequest(f'Cannot create already existing model "{self.table("model")[name].arn}".')
        _check_containers(request)
        for container in containers_of(request):
            _check_model_data(container.get("ModelDataUrl"), request.get("ExecutionRoleArn") or "", self.region)
        model = self.table("model")[name] = Record("model", name, self.region, request)
        return ActionResult({"ModelArn": model.arn})

    def describe_model(self) -> ActionResult:
        model = self.find("model", self.request["ModelName"], NO_MODEL)
        defaults = {"EnableNetworkIsolation": False}
        return ActionResult({**defaults, **model.request, "ModelArn": model.arn, "CreationTime": model.created})

    def list_models(self) -> ActionResult:
        def summary(model: Record) -> dict[str, Any]:
            return {"ModelName": model.name, "ModelArn": model.arn, "CreationTime": model.created}

        return ActionResult(self.page(self.table("model").values(), "Models", summary))

    def delete_model(self) -> ActionResult:
        model = self.find("model", self.request["ModelName"], NO_MODEL)
        del self.table("model")[model.name]
        return EmptyResult()

    # --- endpoint configurations ---

    def create_endpoint_config(self) -> ActionResult:
        request = self.request
        name = request["EndpointConfigName"]
        configs = self.table("endpoint-config")
        if name in configs:
            raise InvalidRequest(f'Cannot create already existing endpoint configuration "{configs[name].arn}".')
        for unsupported in ("AsyncInferenceConfig", "ShadowProductionVariants", "ExplainerConfig"):
            if request.get(unsupported):
                raise InvalidRequest(f"The local AWS does not support {unsupported}.")
        if (request.get("DataCaptureConfig") or {}).get("EnableCapture"):
            raise InvalidRequest("The local AWS does not capture data: set DataCaptureConfig.EnableCapture to false.")
        for variant in request["ProductionVariants"]:
            self._check_variant(variant)
        config = configs[name] = Record("endpoint-config", name, self.region, request)
        return ActionResult({"EndpointConfigArn": config.arn})

    def _check_variant(self, variant: dict[str, Any]) -> None:
        self.find("model", variant.get("ModelName", ""), NO_MODEL)
        if "ServerlessConfig" in variant:
            self._check_serverless(variant)
        elif "InstanceType" in variant:
            variant.setdefault("InitialInstanceCount", 1)
        else:
            raise InvalidRequest(
                f"Production variant {variant['VariantName']} has neither an InstanceType nor a ServerlessConfig."
            )
        variant.setdefault("InitialVariantWeight", 1.0)

    def _check_serverless(self, variant: dict[str, Any]) -> None:
        """Raise ValidationException for a serverless variant that breaks a documented rule.

        Sources: ProductionVariantServerlessConfig in the API reference, and "Feature exclusions" of serverless
        inference in the developer guide. The words are not quoted anywhere.
        """
        name, config = variant["VariantName"], variant["ServerlessConfig"]
        if given := [each for each in INSTANCE_MEMBERS if each in variant]:
            raise InvalidRequest(f"Production variant {name} has a ServerlessConfig and {given[0]}: give one of them.")
        if config["MemorySizeInMB"] % 1024:
            raise InvalidRequest(
                f"MemorySizeInMB of production variant {name} is {config['MemorySizeInMB']}. Valid values are 1024, "
                "2048, 3072, 4096, 5120 and 6144."
            )
        if config.get("ProvisionedConcurrency", 0) > config["MaxConcurrency"]:
            raise InvalidRequest(f"ProvisionedConcurrency of production variant {name} is above its MaxConcurrency.")
        if config.get("ProvisionedConcurrency"):
            raise NotRunHere("The local AWS keeps no containers warm for serverless variants: set no concurrency.")
        if len(self.request["ProductionVariants"]) > 1:
            raise InvalidRequest("A serverless endpoint has one production variant.")
        model = self.find("model", variant["ModelName"], NO_MODEL).request
        for member, words in EXCLUDED_FROM_SERVERLESS.items():
            if model.get(member):
                raise InvalidRequest(f"Serverless inference does not support {words}. Model: {variant['ModelName']}.")

    def describe_endpoint_config(self) -> ActionResult:
        config = self.find("endpoint-config", self.request["EndpointConfigName"], NO_CONFIG)
        defaults = {"EnableNetworkIsolation": False}
        described = {"EndpointConfigArn": config.arn, "CreationTime": config.created}
        return ActionResult({**defaults, **config.request, **described})

    def list_endpoint_configs(self) -> ActionResult:
        def summary(config: Record) -> dict[str, Any]:
            return {
                "EndpointConfigName": config.name,
                "EndpointConfigArn": config.arn,
                "CreationTime": config.created,
            }

        return ActionResult(self.page(self.table("endpoint-config").values(), "EndpointConfigs", summary))

    def delete_endpoint_config(self) -> ActionResult:
        config = self.find("endpoint-config", self.request["EndpointConfigName"], NO_CONFIG)
        for endpoint in self.table("endpoint").values():
            if endpoint.is_changing_to(config.name):
                raise InvalidRequest(
                    f'Cannot delete endpoint configuration "{config.arn}" while endpoint {endpoint.name} '
                    "is being created or updated with it."
                )
        del self.table("endpoint-config")[config.name]
        return EmptyResult()

    # --- tags ---

    def list_tags(self) -> ActionResult:
        return ActionResult({"Tags": self._tagged().tags})

    def add_tags(self) -> ActionResult:
        record = self._tagged()
        tags = {tag["Key"]: tag for tag in [*record.tags, *self.request["Tags"]]}
        record.tags = list(tags.values())
        return ActionResult({"Tags": record.tags})

    def delete_tags(self) -> ActionResult:
        record = self._tagged()
        record.tags = [tag for tag in record.tags if tag["Key"] not in self.request["TagKeys"]]
        return EmptyResult()

    def _tagged(self) -> Record:
        arn = self.request["ResourceArn"]
        for kind in TABLES:
            for record in list(self.table(kind).values()):  # another thread may add one meanwhile
                if record.arn == arn:
                    return record
        raise InvalidRequest(f"Could not find a resource with the ARN {arn}.")


def containers_of(model: dict[str, Any]) -> list[dict[str, Any]]:
    """A model's containers, whether it was given as one or as several."""
    return [each for each in [model.get("PrimaryContainer"), *(model.get("Containers") or [])] if each]


def _check_containers(model: dict[str, Any]) -> None:
    """Raise NotRunHere for a model that would be served otherwise than it says, here."""
    containers = containers_of(model)
    if len(containers) > 1:
        raise NotRunHere(
            f"The local AWS serves models of one container, and this one has {len(containers)}: it runs no inference "
            "pipelines and does not choose between containers."
        )
    for container in containers:
        if container.get("Mode", "SingleModel") != "SingleModel":
            raise NotRunHere("The local AWS runs no multi-model containers: set Mode to SingleModel.")
        for name in ("ModelPackageName", "ModelDataSource", "AdditionalModelDataSources"):
            if container.get(name):
                raise NotRunHere(f"The local AWS does not support {name}: give the archive as ModelDataUrl.")


def model_location(url: str) -> tuple[str, str] | None:
    """Bucket and key of a model's archive: `s3://bucket/key`, or one of S3's https addresses. None for any other.

    Source: Amazon S3 user guide, "Virtual hosting of general purpose buckets".
    """
    parts = urlparse(url)
    key = unquote(parts.path.lstrip("/"))
    if parts.scheme == "s3":
        return parts.netloc, parts.path.lstrip("/")
    if not (match := _S3_HOST.fullmatch(parts.netloc)):
        return None
    bucket = match["bucket"]
    if bucket is None:
        bucket, _, key = key.partition("/")
    return bucket, key


def _check_model_data(url: str | None, role_arn: str, region: str) -> None:
    """Raise the ValidationException that CreateModel gives if the archive is not there, or not for the role."""
    if url is None:
        raise NotRunHere("The local AWS needs a ModelDataUrl: it serves the code in the model's archive.")
    if (location := model_location(url)) is None:
        raise NotRunHere(f"The local AWS fetches model data from S3 only, and {url} is not an address of S3.")
    bucket, key = location
    try:
        client = ServiceRole(role_arn, SAGEMAKER, "SageMaker", region).client("s3")
        client.head_object(Bucket=bucket, Key=key)
    except (ClientError, CannotAssume) as error:
        if isinstance(error, CannotAssume) or error.response["Error"]["Code"] in ("403", "AccessDenied"):
            raise InvalidRequest(no_access_to_model(url, role_arn, region)) from error
        raise InvalidRequest(f"Could not find model data at {url}.") from error
