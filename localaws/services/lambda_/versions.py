"""The functions of a region with their versions and aliases, numbered and named as on AWS."""

import copy
from collections import defaultdict
from typing import Any

from moto.awslambda.exceptions import (
    InvalidParameterValueException,
    LambdaClientError,
    UnknownAliasException,
    UnknownFunctionException,
)
from moto.awslambda.models import LambdaAlias, LambdaStorage
from moto.awslambda.utils import make_function_arn

from localaws.services.lambda_ import names
from localaws.services.lambda_.function import LocalFunction, UntypedRefusal, changed
from localaws.services.lambda_.names import LATEST


class AliasExists(LambdaClientError):
    code = 409

    def __init__(self, arn: str):
        super().__init__("ResourceConflictException", f"Alias already exists: {arn}")


class LocalStorage(LambdaStorage):
    """Versions as on AWS: the same code and configuration is the same version, and no number comes twice."""

    def __init__(self, region_name: str, account_id: str):
        super().__init__(region_name, account_id)
        self._aliases = defaultdict(dict)

    def split(self, function_name: str, qualifier: str | None = None) -> tuple[str, str | None]:
        """Name and qualifier of a function that a request names. Raises LambdaClientError, see `names.split`."""
        return names.split(function_name, qualifier, self.region_name, self.account_id)

    def arn(self, name: str, qualifier: str | None = None) -> str:
        """The ARN of a function or of one of its qualifiers, whether it exists or not."""
        arn = make_function_arn(self.region_name, self.account_id, name)
        return f"{arn}:{qualifier}" if qualifier else arn

    def find(self, function_name: str, qualifier: str | None = None) -> LocalFunction:
        """The function or version of a name or an ARN. Raises UnknownFunctionException."""
        name, qualifier = self.split(function_name, qualifier)
        alias = self.find_alias(name, qualifier)
        version = alias.function_version if alias else qualifier
        group = self._functions.get(name)
        if group is not None and version in (None, LATEST):
            return group["latest"]
        found = None if group is None else self._get_version(name, str(version))
        if found is None:
            raise UnknownFunctionException(self.arn(name, qualifier))
        return found

    def exists(self, name: str, qualifier: str | None = None) -> bool:
        """Whether there is a function of that name, with that qualifier if one is given."""
        if name not in self._functions or qualifier in (None, LATEST):
            return name in self._functions
        return bool(self._get_version(name, qualifier) or self.find_alias(name, qualifier))

    def target(self, name: str, qualifier: str | None) -> Any:
        """The function, version or alias itself. Raises UnknownFunctionException or UnknownAliasException."""
        if qualifier and names.is_alias(qualifier):
            return self.get_alias(qualifier, name)
        return self.find(name, qualifier)

    # --- aliases ---

    def get_alias(self, name: str, function_name: str) -> LambdaAlias:
        alias = self.find_alias(function_name, name)
        if alias is None:
            raise UnknownAliasException(self.arn(function_name, name))
        return alias

    def put_alias(
        self, name: str, function_name: str, function_version: str, description: str, routing_config: Any
    ) -> LambdaAlias:
        self._check_routes(function_name, function_version, routing_config)
        if self.find_alias(function_name, name):
            raise AliasExists(self.arn(function_name, name))
        names_of = (self.account_id, self.region_name, name, function_name)
        alias = LambdaAlias(*names_of, function_version, description, _routing(routing_config))
        self._aliases[self.arn(function_name)][name] = alias
        return alias

    def update_alias(
        self, name: str, function_name: str, function_version: Any, description: Any, routing_config: Any
    ) -> LambdaAlias:
        alias = self.get_alias(name, function_name)
        routing = alias.routing_config if routing_config is None else _routing(routing_config)
        self._check_routes(function_name, function_version or alias.function_version, routing)
        alias.update(description, function_version, None)
        alias.routing_config = routing
        changed(alias)
        return alias

    def _check_routes(self, name: str, version: str, routing_config: Any) -> None:
        """Refuse an alias that points to what it may not or cannot point to."""
        weights = (routing_config or {}).get("AdditionalVersionWeights") or {}
        if weights and version == LATEST:
            raise UntypedRefusal("$LATEST is not supported for an alias pointing to more than 1 version")
        if version in weights:
            raise InvalidParameterValueException(
                f"Invalid function version {version}. Function version {version} is already included in routing "
                "configuration."
            )
        for each in (version, *weights):
            if names.is_alias(each):
                raise UnknownFunctionException(self.arn(name, each))
            self.find(name, each)

    def find_alias(self, name: str, qualifier: str | None) -> LambdaAlias | None:
        """The alias that a qualifier of a function names, if it names one."""
        return self._aliases[self.arn(name)].get(qualifier) if name in self._functions else None

    def latest(self) -> list[LocalFunction]:
        """All functions, without their versions."""
        return [group["latest"] for group in list(self._functions.values())]

    def all_versions(self) -> list[LocalFunction]:
        """All functions and their versions."""
        return [each for group in list(self._functions.values()) for each in (group["latest"], *group["versions"])]

    def code_digests(self, name: str) -> set[str]:
        """The hashes of the code of all versions of a function."""
        group = self._functions.get(name, {"latest": None, "versions": []})
        return {each.code_digest for each in [group["latest"], *group["versions"]] if each is not None}

    def publish_version(self, name_or_arn: str, description: str = "") -> LocalFunction:
        function = self.find(self.split(name_or_arn)[0])
        group = self._functions[function.function_name]
        fingerprint = function.fingerprint()
        if group["versions"] and group["versions"][-1].published_as == fingerprint:
            return group["versions"][-1]
        group["published"] = group.get("published", 0) + 1
        version = copy.copy(function)
        version.code = dict(function.code)
        version.set_version(group["published"])
        version.published_as = fingerprint
        version.description = description or function.description
        group["versions"].append(version)
        self._arns[version.function_arn] = version
        changed(version)
        changed(function)
        return version


def _routing(config: dict[str, Any] | None) -> dict[str, Any] | None:
    """A routing configuration; None if it has no weights."""
    return config if config and config.get("AdditionalVersionWeights") else None
