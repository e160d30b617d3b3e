"""What becomes of asynchronous invocations: EventInvokeConfig, per function, version and alias. Stored.

Source of the answers: LocalStack's recordings, test_lambda_eventinvokeconfig_exceptions and _lifecycle.
"""

import time
from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError, UnknownEventConfig

from localaws.services.lambda_.names import LATEST
from localaws.services.lambda_.versions import LocalStorage

SETTINGS = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")


class NoFunctionForConfig(LambdaClientError):
    code = 404

    def __init__(self) -> None:
        super().__init__("ResourceNotFoundException", "The function doesn't exist.")


class EventConfigs:
    """The configurations of one region's functions."""

    def __init__(self, functions: LocalStorage):
        self._functions = functions
        self._configs: dict[tuple[str, str], dict[str, Any]] = {}  # by function and qualifier

    def put(self, function_name: str, qualifier: str | None, request: dict[str, Any]) -> dict[str, Any]:
        key = self._existing(function_name, qualifier)
        self._configs[key] = self._checked(key, request)
        return self._configs[key]

    def update(self, function_name: str, qualifier: str | None, request: dict[str, Any]) -> dict[str, Any]:
        key = self._existing(function_name, qualifier)
        before = self._get(key)
        self._configs[key] = self._checked(key, {**before, **request})
        return self._configs[key]

    def get(self, function_name: str, qualifier: str | None) -> dict[str, Any]:
        return self._get(self._key(function_name, qualifier))

    def delete(self, function_name: str, qualifier: str | None) -> None:
        key = self._key(function_name, qualifier)
        self._get(key)
        del self._configs[key]

    def of(self, function_name: str) -> list[dict[str, Any]]:
        name, _ = self._existing(function_name, None)
        return [config for (owner, _), config in sorted(self._configs.items()) if owner == name]

    def forget(self, name: str, qualifier: str | None) -> None:
        """Drop a qualifier's configuration, or all configurations of a function."""
        for key in [key for key in self._configs if key[0] == name and qualifier in (None, key[1])]:
            del self._configs[key]

    def _key(self, function_name: str, qualifier: str | None) -> tuple[str, str]:
        name, qualifier = self._functions.split(function_name, qualifier)
        return name, qualifier or LATEST

    def _existing(self, function_name: str, qualifier: str | None) -> tuple[str, str]:
        key = self._key(function_name, qualifier)
        if not self._functions.exists(*key):
            raise NoFunctionForConfig
        return key

    def _get(self, key: tuple[str, str]) -> dict[str, Any]:
        if key not in self._configs:
            raise UnknownEventConfig(self._functions.arn(*key))
        return self._configs[key]

    def _checked(self, key: tuple[str, str], request: dict[str, Any]) -> dict[str, Any]:
        given = {name: request[name] for name in SETTINGS if request.get(name) is not None}
        if not given:
            raise InvalidParameterValueException(
                "You must specify at least one of error handling or destination setting."
            )
        destinations = given.get("DestinationConfig") or {}
        chosen = {each: destinations.get(each) or {} for each in ("OnSuccess", "OnFailure")}
        for each in chosen.values():
            if each.get("Destination") == self._functions.arn(key[0]):
                raise InvalidParameterValueException("You can't specify the function as a destination for itself.")
        arn = self._functions.arn(*key)
        return {**given, "DestinationConfig": chosen, "FunctionArn": arn, "LastModified": int(time.time())}
