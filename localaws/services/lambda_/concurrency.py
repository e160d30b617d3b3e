"""Reserved concurrency, which the fleet keeps to, and provisioned concurrency, whose environments it keeps ready.

Source: "Configuring provisioned concurrency" in the Lambda developer guide. What AWS does when an alias with
provisioned concurrency moves to another version is done here, too: until the new version's environments are ready the
alias routes everything to the old one, by a weight that AWS sets and takes away by itself.
"""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError
from moto.awslambda.models import LambdaAlias

from localaws import state
from localaws.services.lambda_.environment import Revision
from localaws.services.lambda_.fleet import FunctionFleet

ALIAS_WEIGHTED = "Alias with weights can not be used with Provisioned Concurrency"
ALIAS_INVALID = "Invalid alias configuration for Provisioned Concurrency"
VERSION_TAKEN = "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
VERSION_OF_ALIAS = "Version is pointed by a Provisioned Concurrency alias"
UNPUBLISHED = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
OVER_RESERVED = (
    "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
)
REQUESTED, MODIFIED = "RequestedProvisionedConcurrentExecutions", "LastModified"


class ProvisionedConfigNotFound(LambdaClientError):
    code = 404

    def __init__(self) -> None:
        super().__init__(
            "ProvisionedConcurrencyConfigNotFoundException",
            "No Provisioned Concurrency Config found for this function",
        )


class Concurrency:
    """The part of the Lambda backend that keeps concurrency.

    `provisioned` is keyed by function and qualifier. `moving` has the version that an alias still serves while the
    environments of the one that it points to are being started.
    """

    provisioned: dict[tuple[str, str], dict[str, Any]]
    moving: dict[tuple[str, str], str]
    fleet: FunctionFleet

    # --- reserved ---

    def put_function_concurrency(self, function_name: str, reserved_concurrency: int) -> int:
        name, _ = self.split(function_name)
        held = sum(config[REQUESTED] for _, config in self.provisioned_of(name))
        if reserved_concurrency < held:
            raise InvalidParameterValueException(
                f"ReservedConcurrentExecutions {reserved_concurrency} should not be lower than function's total "
                f"provisioned concurrency [{held}]."
            )
        return super().put_function_concurrency(name, reserved_concurrency)

    # --- provisioned ---

    def provisioned_of(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        """The qualifiers of a function that have provisioned concurrency, each with its configuration."""
        return [(qualifier, config) for (owner, qualifier), config in self.provisioned.items() if owner == name]

    def put_provisioned_concurrency(self, function_name: str, qualifier: str, requested: int) -> dict[str, Any]:
        name, qualifier = self._qualified(function_name, qualifier)
        self._check_alone(name, qualifier)
        others = sum(config[REQUESTED] for other, config in self.provisioned_of(name) if other != qualifier)
        reserved = self.get_function(name).reserved_concurrency
        if reserved is not None and others + requested > reserved:
            raise InvalidParameterValueException(OVER_RESERVED)
        before = self.provisioned.get((name, qualifier), {}).get(REQUESTED)
        modified = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
        self.provisioned[name, qualifier] = {REQUESTED: requested, MODIFIED: modified}
        self.provision(name, qualifier)
        answer = self.describe_provisioned(name, qualifier)
        # A change is in progress when it is answered, even where nothing has to be started for it.
        return {**answer, "Status": "IN_PROGRESS"} if before != requested else answer

    def get_provisioned_concurrency(self, function_name: str, qualifier: str) -> dict[str, Any]:
        name, qualifier = self._qualified(function_name, qualifier)
        if (name, qualifier) not in self.provisioned:
            raise ProvisionedConfigNotFound
        return self.describe_provisioned(name, qualifier)

    def delete_provisioned_concurrency(self, function_name: str, qualifier: str) -> None:
        self.drop_provisioned(*self._qualified(function_name, qualifier))

    def describe_provisioned(self, name: str, qualifier: str) -> dict[str, Any]:
        """A configuration with what has become of it: the status is that of the processes."""
        config = self.provisioned[name, qualifier]
        status, allocated, failure = self.fleet.provisioned((self.region_name, name), qualifier)
        described = {
            REQUESTED: config[REQUESTED],
            "AvailableProvisionedConcurrentExecutions": allocated,
            "AllocatedProvisionedConcurrentExecutions": allocated,
            "Status": status,
            MODIFIED: config[MODIFIED],
        }
        return {**described, "StatusReason": failure} if failure else described

    def provision(self, name: str, qualifier: str, keep_until_ready: bool = False) -> None:
        """Have the fleet keep ready what a qualifier's configuration says."""
        self.fleet.provision(
            (self.region_name, name),
            qualifier,
            self._wanted(name, qualifier),
            keep_until_ready,
            lambda: self._settled(name, qualifier),
        )

    def drop_provisioned(self, name: str, qualifier: str) -> None:
        """Forget a configuration, where there is one, and end its environments."""
        if self.provisioned.pop((name, qualifier), None) is not None:
            self._settled(name, qualifier)
            self.fleet.unprovision((self.region_name, name), qualifier)

    def update_alias(
        self, name: str, function_name: str, function_version: Any, description: Any, routing_config: Any
    ) -> LambdaAlias:
        function, _ = self.split(function_name)
        key = (function, name)
        if key not in self.provisioned:
            return super().update_alias(name, function_name, function_version, description, routing_config)
        alias = self.get_alias(name, function)
        serving = self.moving.get(key, alias.function_version)
        target = function_version or alias.function_version
        weights = (routing_config or {}).get("AdditionalVersionWeights")
        moves = target != alias.function_version
        if target == "$LATEST":
            raise InvalidParameterValueException(UNPUBLISHED)
        if weights and moves:
            raise InvalidParameterValueException(ALIAS_INVALID)
        if moves and (function, target) in self.provisioned:
            raise InvalidParameterValueException(VERSION_TAKEN)
        updated = super().update_alias(name, function_name, function_version, description, routing_config)
        if moves:
            self.moving.pop(key, None)
            updated.routing_config = None
            if target != serving:
                self.moving[key] = serving
                updated.routing_config = {"AdditionalVersionWeights": {serving: 1.0}}
            self.provision(function, name, keep_until_ready=True)
        elif routing_config is not None:
            self.moving.pop(key, None)
            self.provision(function, name)
        return updated

    # --- within ---

    def _wanted(self, name: str, qualifier: str) -> dict[Revision, int]:
        """How many environments of which revision a configuration means: an alias with weights shares them out."""
        requested = self.provisioned[name, qualifier][REQUESTED]
        alias = self._alias(name, qualifier)
        weights = {} if alias is None or (name, qualifier) in self.moving else weights_of(alias)
        shares = {version: round(requested * weight) for version, weight in weights.items()}
        main = alias.function_version if alias else qualifier
        shares[main] = shares.get(main, 0) + requested - sum(shares.values())
        return {self.get_function(name, version).revision(): count for version, count in shares.items() if count}

    def _settled(self, name: str, qualifier: str) -> None:
        """All environments are ready: an alias that has moved serves its new version from now on."""
        if self.moving.pop((name, qualifier), None) is not None and (alias := self._alias(name, qualifier)):
            alias.routing_config = None
        state.touch()

    def _alias(self, name: str, qualifier: str) -> LambdaAlias | None:
        return next((alias for alias in self.list_aliases(name) if alias.name == qualifier), None)

    def _check_alone(self, name: str, qualifier: str) -> None:
        """Refuse what AWS refuses of an alias and the version that it points to."""
        alias = self._alias(name, qualifier)
        if alias is not None and alias.routing_config:
            raise InvalidParameterValueException(ALIAS_WEIGHTED)
        if alias is not None and (name, alias.function_version) in self.provisioned:
            raise InvalidParameterValueException(VERSION_TAKEN)
        for other, _ in self.provisioned_of(name):
            pointing = self._alias(name, other)
            if pointing is not None and alias is None and pointing.function_version == qualifier:
                raise InvalidParameterValueException(VERSION_OF_ALIAS)

    def _qualified(self, function_name: str, qualifier: str) -> tuple[str, str]:
        """Function and qualifier, which must exist and stand for published code."""
        name, qualifier = self.split(function_name, qualifier)
        if self.get_function(name, qualifier).version == "$LATEST":
            raise InvalidParameterValueException(UNPUBLISHED)
        return name, qualifier


def weights_of(alias: LambdaAlias) -> dict[str, float]:
    """The versions that an alias routes to beside its own, each with its share of the requests."""
    return (alias.routing_config or {}).get("AdditionalVersionWeights") or {}


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
        name = function.function_name
        configs = [
            {
                **self.backend.describe_provisioned(name, qualifier),
                "FunctionArn": f"{function.function_arn}:{qualifier}",
            }
            for qualifier, _ in self.backend.provisioned_of(name)
        ]
        return json.dumps({"ProvisionedConcurrencyConfigs": configs})

    @property
    def _function(self) -> str:
        return unquote(self.path.split("/")[-2])
