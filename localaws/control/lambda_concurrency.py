"""Reserved concurrency, which the fleet keeps to, and provisioned concurrency, which is only stored for now."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError
from moto.awslambda.models import LambdaAlias

ALIAS_WEIGHTED = "An alias that routes to two versions cannot have Provisioned Concurrency."


class ProvisionedConfigNotFound(LambdaClientError):
    code = 404

    def __init__(self) -> None:
        super().__init__(
            "ProvisionedConcurrencyConfigNotFoundException",
            "No Provisioned Concurrency Config found for this function",
        )


class Concurrency:
    """The part of the Lambda backend that keeps concurrency; `provisioned` is keyed by function and qualifier."""

    provisioned: dict[tuple[str, str], dict[str, Any]]

    def put_function_concurrency(self, function_name: str, reserved_concurrency: int) -> int:
        name, _ = self.split(function_name)
        held = sum(config["RequestedProvisionedConcurrentExecutions"] for _, config in self.provisioned_of(name))
        if reserved_concurrency < held:
            raise InvalidParameterValueException(
                f"ReservedConcurrentExecutions {reserved_concurrency} should not be lower than function's total "
                f"provisioned concurrency [{held}]."
            )
        return super().put_function_concurrency(name, reserved_concurrency)

    def provisioned_of(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        """The qualifiers of a function that have provisioned concurrency, each with its configuration."""
        return [(qualifier, config) for (owner, qualifier), config in self.provisioned.items() if owner == name]

    def put_provisioned_concurrency(self, function_name: str, qualifier: str, requested: int) -> dict[str, Any]:
        name, qualifier = self._qualified(function_name, qualifier)
        aliases = {alias.name: alias for alias in self.list_aliases(name)}
        if qualifier in aliases and aliases[qualifier].routing_config:
            raise InvalidParameterValueException(ALIAS_WEIGHTED)
        others = sum(
            config["RequestedProvisionedConcurrentExecutions"]
            for other, config in self.provisioned_of(name)
            if other != qualifier
        )
        reserved = self.get_function(name).reserved_concurrency
        if reserved is not None and others + requested > reserved:
            raise InvalidParameterValueException(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for "
                "function"
            )
        self.provisioned[name, qualifier] = {
            "RequestedProvisionedConcurrentExecutions": requested,
            "AvailableProvisionedConcurrentExecutions": requested,
            "AllocatedProvisionedConcurrentExecutions": requested,
            "Status": "READY",
            "LastModified": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
        }
        return self.provisioned[name, qualifier]

    def get_provisioned_concurrency(self, function_name: str, qualifier: str) -> dict[str, Any]:
        key = self._qualified(function_name, qualifier)
        if key not in self.provisioned:
            raise ProvisionedConfigNotFound
        return self.provisioned[key]

    def delete_provisioned_concurrency(self, function_name: str, qualifier: str) -> None:
        self.provisioned.pop(self._qualified(function_name, qualifier), None)

    def update_alias(
        self, name: str, function_name: str, function_version: Any, description: Any, routing_config: Any
    ) -> LambdaAlias:
        weighted = (routing_config or {}).get("AdditionalVersionWeights")
        if weighted and (self.split(function_name)[0], name) in self.provisioned:
            raise InvalidParameterValueException(ALIAS_WEIGHTED)
        return super().update_alias(name, function_name, function_version, description, routing_config)

    def _qualified(self, function_name: str, qualifier: str) -> tuple[str, str]:
        """Function and qualifier, which must exist and stand for published code."""
        name, qualifier = self.split(function_name, qualifier)
        if self.get_function(name, qualifier).version == "$LATEST":
            raise InvalidParameterValueException(
                "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
            )
        return name, qualifier


class ConcurrencyOperations:
    """The operations on provisioned concurrency; moto has those on reserved concurrency."""

    def put_provisioned_concurrency_config(self) -> tuple:
        requested = self.json_body["ProvisionedConcurrentExecutions"]
        config = self.backend.put_provisioned_concurrency(self._function, self.qualifier, requested)
        return 202, {"status": 202}, json.dumps(config)

    def get_provisioned_concurrency_config(self) -> str:
        return json.dumps(self.backend.get_provisioned_concurrency(self._function, self.qualifier))

    def delete_provisioned_concurrency_config(self) -> tuple:
        self.backend.delete_provisioned_concurrency(self._function, self.qualifier)
        return 204, {"status": 204}, ""

    def list_provisioned_concurrency_configs(self) -> str:
        function = self.backend.get_function(self._function)
        configs = [
            {**config, "FunctionArn": f"{function.function_arn}:{qualifier}"}
            for qualifier, config in self.backend.provisioned_of(function.function_name)
        ]
        return json.dumps({"ProvisionedConcurrencyConfigs": configs})

    @property
    def _function(self) -> str:
        return unquote(self.path.split("/")[-2])
