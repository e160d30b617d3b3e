"""Reserved concurrency, which the fleet keeps to, and provisioned concurrency, whose environments it keeps ready.

Source: "Configuring provisioned concurrency" in the Lambda developer guide. What AWS does when an alias with
provisioned concurrency moves to another version is done here, too: until the new version's environments are ready the
alias routes everything to the old one, by a weight that AWS sets and takes away by itself.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError
from moto.awslambda.models import LambdaAlias

from localaws import state
from localaws.account_limits import CONCURRENT, account_limits, unreserved_minimum
from localaws.services.lambda_.environment import Revision
from localaws.services.lambda_.fleet import FunctionFleet
from localaws.services.lambda_.function import UntypedRefusal
from localaws.services.lambda_.names import LATEST
from localaws.services.lambda_.versions import LocalStorage

ALIAS_WEIGHTED = "Alias with weights can not be used with Provisioned Concurrency"
ALIAS_INVALID = "Invalid alias configuration for Provisioned Concurrency"
VERSION_TAKEN = "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
VERSION_OF_ALIAS = "Version is pointed by a Provisioned Concurrency alias"
NOT_QUALIFIED = "The function resource provided must be an alias or a published version."
UNPUBLISHED = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
OVER_RESERVED = (
    "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
)
PROVISIONED = "ConcurrentExecutions"  # what these messages call provisioned concurrency
# [LS] test_function_concurrency_limits and test_provisioned_concurrency_limits.
TOO_MUCH = "Specified {what} for function is greater than account's unreserved concurrency [{unreserved}]."
TOO_LITTLE_LEFT = (
    "Specified {what} for function decreases account's UnreservedConcurrentExecution below its minimum value of "
    "[{minimum}]."
)
REQUESTED, MODIFIED = "RequestedProvisionedConcurrentExecutions", "LastModified"


class ProvisionedConfigNotFound(LambdaClientError):
    code = 404

    def __init__(self) -> None:
        super().__init__(
            "ProvisionedConcurrencyConfigNotFoundException",
            "No Provisioned Concurrency Config found for this function",
        )


class ProvisionedConflict(LambdaClientError):
    code = 409

    def __init__(self, message: str):
        super().__init__("ResourceConflictException", message)


class Concurrency:
    """The concurrency of one region's functions."""

    def __init__(self, functions: LocalStorage, fleet: Callable[[], FunctionFleet]):
        """`fleet` gives this process's environments; a snapshot holds its name and not the environments."""
        self._functions = functions
        self._fleet = fleet
        self._provisioned: dict[tuple[str, str], dict[str, Any]] = {}  # by function and qualifier
        # The version that an alias still serves while the environments of its new version start.
        self._moving: dict[tuple[str, str], str] = {}

    # --- reserved ---

    def check_reserved(self, name: str, reserved: int) -> None:
        """Refuse to reserve less than what is provisioned, or more than what the account has to reserve.

        Raises InvalidParameterValueException.
        """
        held = sum(config[REQUESTED] for config in self.of(name).values())
        if reserved < held:
            raise InvalidParameterValueException(
                f"ReservedConcurrentExecutions {reserved} should not be lower than function's total "
                f"provisioned concurrency [{held}]."
            )
        self._require_left(name, reserved, "ReservedConcurrentExecutions")

    def unreserved(self, without: str | None = None) -> int:
        """What the account has for requests on demand to functions without reserved concurrency: its limit without what
        is reserved, and without what is provisioned for the others. The function `without` does not count."""
        functions = [each for each in self._functions.latest() if each.function_name != without]
        held = (self._held(each.function_name, each.reserved_concurrency) for each in functions)
        return account_limits().value("lambda", CONCURRENT) - sum(held)

    def _held(self, name: str, reserved: int | None) -> int:
        return sum(config[REQUESTED] for config in self.of(name).values()) if reserved is None else reserved

    def _require_left(self, name: str, held: int, what: str) -> None:
        """Raise InvalidParameterValueException if too little is left when a function holds so much."""
        minimum = unreserved_minimum(account_limits().value("lambda", CONCURRENT))
        unreserved = self.unreserved(without=name)
        if held > unreserved and what == PROVISIONED:
            raise UntypedRefusal(TOO_MUCH.format(what=what, unreserved=unreserved))
        if held > 0 and unreserved - held < minimum:
            raise UntypedRefusal(TOO_LITTLE_LEFT.format(what=what, minimum=minimum))

    # --- provisioned ---

    def of(self, name: str) -> dict[str, dict[str, Any]]:
        """The configurations of a function, by qualifier."""
        return {qualifier: config for (owner, qualifier), config in self._provisioned.items() if owner == name}

    def requested(self, name: str, qualifier: str) -> int:
        """How many environments a configuration asks for; 0 without a configuration."""
        return self._provisioned.get((name, qualifier), {}).get(REQUESTED, 0)

    def put(self, function_name: str, qualifier: str, requested: int) -> dict[str, Any]:
        name, qualifier = self._qualified(function_name, qualifier, UNPUBLISHED)
        self._check_alone(name, qualifier)
        others = sum(config[REQUESTED] for other, config in self.of(name).items() if other != qualifier)
        reserved = self._functions.find(name).reserved_concurrency
        if reserved is not None and others + requested > reserved:
            raise InvalidParameterValueException(OVER_RESERVED)
        if reserved is None:
            self._require_left(name, others + requested, PROVISIONED)
        before = self._provisioned.get((name, qualifier), {}).get(REQUESTED)
        modified = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
        self._provisioned[name, qualifier] = {REQUESTED: requested, MODIFIED: modified}
        self._provision(name, qualifier)
        answer = self.describe(name, qualifier)
        # A change is in progress when it is answered, even if nothing has to be started for it.
        return {**answer, "Status": "IN_PROGRESS"} if before != requested else answer

    def get(self, function_name: str, qualifier: str) -> dict[str, Any]:
        name, qualifier = self._qualified(function_name, qualifier)
        if (name, qualifier) not in self._provisioned:
            raise ProvisionedConfigNotFound
        return self.describe(name, qualifier)

    def delete(self, function_name: str, qualifier: str) -> None:
        self._drop(*self._qualified(function_name, qualifier))

    def describe_all(self, function_name: str) -> list[dict[str, Any]]:
        function = self._functions.find(function_name)
        name, arn = function.function_name, function.function_arn
        return [{**self.describe(name, qualifier), "FunctionArn": f"{arn}:{qualifier}"} for qualifier in self.of(name)]

    def describe(self, name: str, qualifier: str) -> dict[str, Any]:
        """A configuration with what has become of it: the status is that of the processes."""
        config = self._provisioned[name, qualifier]
        status, allocated, failure = self._fleet().provisioned(self._key(name), qualifier)
        described = {
            REQUESTED: config[REQUESTED],
            "AvailableProvisionedConcurrentExecutions": allocated,
            "AllocatedProvisionedConcurrentExecutions": allocated,
            "Status": status,
            MODIFIED: config[MODIFIED],
        }
        return {**described, "StatusReason": failure} if failure else described

    def forget(self, name: str, qualifier: str | None) -> None:
        """Drop a qualifier's configuration, or all configurations of a function; their environments end."""
        for each in self.of(name):
            if qualifier in (None, each):
                self._drop(name, each)

    def restore(self) -> None:
        """Start what the configurations ask for, after a start of the local AWS."""
        for name, qualifier in list(self._provisioned):
            self._provision(name, qualifier)

    # --- an alias that moves ---

    def check_alias(self, name: str, qualifier: str, version: str | None, routing: dict[str, Any] | None) -> None:
        """Refuse an update of an alias as AWS does. Raises InvalidParameterValueException."""
        alias = self._functions.find_alias(name, qualifier)
        if alias is None or (name, qualifier) not in self._provisioned:
            return
        target = version or alias.function_version
        moves = target != alias.function_version
        if target == LATEST:
            raise InvalidParameterValueException(UNPUBLISHED)
        if (routing or {}).get("AdditionalVersionWeights") and moves:
            raise InvalidParameterValueException(ALIAS_INVALID)
        if moves and (name, target) in self._provisioned:
            raise InvalidParameterValueException(VERSION_TAKEN)

    def follow_alias(self, name: str, alias: LambdaAlias, before: str, routing: dict[str, Any] | None) -> None:
        """Provision an alias as its update says. `before` is the version that it pointed to."""
        key = (name, alias.name)
        if key not in self._provisioned:
            return
        serving, target = self._moving.get(key, before), alias.function_version
        if target != before:
            self._moving.pop(key, None)
            alias.routing_config = None
            if target != serving:
                self._moving[key] = serving
                alias.routing_config = {"AdditionalVersionWeights": {serving: 1.0}}
            self._provision(*key, keep_until_ready=True)
        elif routing is not None:
            self._moving.pop(key, None)
            self._provision(*key)

    # --- within ---

    def _key(self, name: str) -> tuple[str, str]:
        """How the fleet names a function."""
        return self._functions.region_name, name

    def _provision(self, name: str, qualifier: str, keep_until_ready: bool = False) -> None:
        """Have the fleet keep ready what a qualifier's configuration says."""
        self._fleet().provision(
            self._key(name),
            qualifier,
            self._wanted(name, qualifier),
            keep_until_ready,
            lambda: self._settled(name, qualifier),
        )

    def _drop(self, name: str, qualifier: str) -> None:
        """Forget a configuration, if there is one, and end its environments."""
        if self._provisioned.pop((name, qualifier), None) is not None:
            self._settled(name, qualifier)
            self._fleet().unprovision(self._key(name), qualifier)

    def _wanted(self, name: str, qualifier: str) -> dict[Revision, int]:
        """How many environments of which revision a configuration means: an alias with weights shares them out."""
        requested = self._provisioned[name, qualifier][REQUESTED]
        alias = self._functions.find_alias(name, qualifier)
        weights = {} if alias is None or (name, qualifier) in self._moving else weights_of(alias)
        shares = {version: round(requested * weight) for version, weight in weights.items()}
        main = alias.function_version if alias else qualifier
        shares[main] = shares.get(main, 0) + requested - sum(shares.values())
        return {self._functions.find(name, version).revision(): count for version, count in shares.items() if count}

    def _settled(self, name: str, qualifier: str) -> None:
        """All environments are ready: an alias that has moved serves its new version from now on."""
        moved = self._moving.pop((name, qualifier), None) is not None
        if moved and (alias := self._functions.find_alias(name, qualifier)):
            alias.routing_config = None
        state.touch()

    def _check_alone(self, name: str, qualifier: str) -> None:
        """Refuse what AWS refuses of an alias and the version that it points to."""
        alias = self._functions.find_alias(name, qualifier)
        if alias is not None and alias.routing_config:
            raise InvalidParameterValueException(ALIAS_WEIGHTED)
        if alias is not None and (name, alias.function_version) in self._provisioned:
            raise ProvisionedConflict(VERSION_TAKEN)
        for other in self.of(name):
            pointing = self._functions.find_alias(name, other)
            if pointing is not None and alias is None and pointing.function_version == qualifier:
                raise ProvisionedConflict(VERSION_OF_ALIAS)

    def _qualified(self, function_name: str, qualifier: str, unpublished: str = NOT_QUALIFIED) -> tuple[str, str]:
        """Function and qualifier, which must exist and stand for published code."""
        name, qualifier = self._functions.split(function_name, qualifier)
        if qualifier == LATEST:
            raise InvalidParameterValueException(unpublished)
        self._functions.target(name, qualifier)
        if self._functions.find(name, qualifier).version == LATEST:
            raise InvalidParameterValueException(unpublished)
        return name, qualifier


def weights_of(alias: LambdaAlias) -> dict[str, float]:
    """The versions that an alias routes to in addition to its own, each with its share of the requests."""
    return (alias.routing_config or {}).get("AdditionalVersionWeights") or {}
