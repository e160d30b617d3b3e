"""Lambda: functions that run. moto keeps them; here they get environments, and Invoke reaches them.

Versions, policies, concurrency and function URLs are in modules of their own and come together in
`LocalLambdaBackend`.
"""

import random
import shutil
import threading
import uuid
from typing import Any

from moto.awslambda import urls
from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError
from moto.awslambda.models import LambdaAlias, LambdaBackend, lambda_backends

from localaws import logs, state
from localaws.context import ACCOUNT_ID, context
from localaws.services.lambda_.concurrency import Concurrency, weights_of
from localaws.services.lambda_.environment import Outcome, code_directory
from localaws.services.lambda_.fleet import FunctionFleet, Throttled
from localaws.services.lambda_.operations import URL_PATHS
from localaws.services.lambda_.permissions import Permissions
from localaws.services.lambda_.runtime_api import Invocation
from localaws.services.lambda_.urls import Urls
from localaws.services.lambda_.usage import UsageWatch
from localaws.services.lambda_.versions import LocalFunction, LocalStorage

_fleet: FunctionFleet | None = None


class VersionInUse(LambdaClientError):
    code = 409

    def __init__(self, aliases: list[str]):
        names = ", ".join(aliases)
        super().__init__(
            "ResourceConflictException",
            f"Unable to delete version because the following aliases reference it: [{names}]",
        )


class LocalLambdaBackend(Permissions, Concurrency, Urls, LambdaBackend):
    """One region's functions."""

    def __init__(self, region_name: str, account_id: str):
        super().__init__(region_name, account_id)
        self._lambdas = LocalStorage(region_name, account_id)
        self.policies = {}
        self.provisioned = {}
        self.moving = {}
        self.function_urls = {}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        vars(self).update({"moving": {}, **kept})  # a state of before there was any

    @property
    def _url_module(self) -> Any:
        return urls

    @property
    def fleet(self) -> FunctionFleet:
        return fleet()

    def split(self, function_name: str, qualifier: str | None = None) -> tuple[str, str | None]:
        """Name and qualifier from a name or an ARN, which may end in the qualifier."""
        _, name, own = self._lambdas.split_function_arn(
            function_name if ":function:" in function_name else f":function:{function_name}"
        )
        return name, own or qualifier

    def get_function(self, function_name_or_arn: str, qualifier: str | None = None) -> LocalFunction:
        return super().get_function(*self.split(function_name_or_arn, qualifier))

    def create_function(self, spec: dict[str, Any]) -> LocalFunction:
        function = LocalFunction(self.account_id, spec, self.region_name, "$LATEST")
        self._lambdas.put_function(function)
        return self.publish_version(function.function_name) if spec.get("Publish") else function

    def update_function_code(self, function_name: str, qualifier: str | None, body: dict[str, Any]) -> dict[str, Any]:
        function = self.get_function(self.split(function_name)[0])
        if body.get("Architectures"):
            function.architectures = body["Architectures"]
        function.update_function_code(body)
        self._changed(function)
        published = self.publish_version(function.function_name) if body.get("Publish") else function
        return published.get_configuration()

    def update_function_configuration(
        self, function_name: str, qualifier: str | None, body: dict[str, Any]
    ) -> dict[str, Any]:
        function = self.get_function(self.split(function_name)[0])
        function.update_configuration(body)
        self._changed(function)
        return function.get_configuration()

    def delete_function(self, function_name: str, qualifier: str | None = None) -> None:
        name, qualifier = self.split(function_name, qualifier)
        if qualifier == "$LATEST":
            raise InvalidParameterValueException("$LATEST version cannot be deleted without deleting the function.")
        if qualifier:
            version = str(self.get_function(name, qualifier).version)
            users = [alias.name for alias in self.list_aliases(name) if version in _routes(alias)]
            if users:
                raise VersionInUse(users)
        super().delete_function(name, qualifier)
        fleet().retire(self.region_name, name, qualifier)
        self._forget(name, qualifier)
        self.drop_code(name)

    def delete_alias(self, name: str, function_name: str) -> None:
        super().delete_alias(name, function_name)
        self._forget(self.split(function_name)[0], name)

    def run(
        self,
        function_name: str,
        qualifier: str | None,
        payload: bytes,
        client_context: str | None = None,
        wait: bool = False,
    ) -> Outcome:
        """Invoke a function, a version or an alias. Raises Throttled, unless it shall wait for its turn."""
        name, qualifier = self.split(function_name, qualifier)
        latest = self.get_function(name)
        function, weighted = self._routed(name, qualifier)
        watch = UsageWatch(self.region_name, name, qualifier, str(function.version), weighted)
        trace = f"1-{uuid.uuid4().hex[:8]}-{uuid.uuid4().hex[:24]}"
        invocation = Invocation(
            request_id=str(uuid.uuid4()),
            payload=payload,
            function_arn=f"{latest.function_arn}:{qualifier}" if qualifier else latest.function_arn,
            trace_id=f"Root={trace};Parent={uuid.uuid4().hex[:16]};Sampled=0",
            client_context=client_context,
        )
        try:
            outcome = fleet().invoke(function.revision(), invocation, latest.reserved_concurrency, wait, watch.turn)
        except Throttled:
            watch.throttled()
            raise
        watch.ended(outcome)
        return outcome

    def run_later(self, function_name: str, qualifier: str | None, payload: bytes) -> None:
        """An asynchronous invocation: once, as soon as there is a turn; failures are in the function's log."""
        name, qualifier = self.split(function_name, qualifier)
        function = self.get_function(name, qualifier)

        def run() -> None:
            try:
                self.run(name, qualifier, payload, wait=True)
            except Throttled:
                line = "An event was dropped: the function's reserved concurrency is 0."
                logs.append(function.logs_group_name, "[dropped events]", [line], self.region_name)

        threading.Thread(target=run, name=f"event for {name}", daemon=True).start()

    def _routed(self, name: str, qualifier: str | None) -> tuple[LocalFunction, bool]:
        """The version behind a qualifier, and whether it was drawn: an alias with weights draws one."""
        for alias in self.list_aliases(name):
            if alias.name == qualifier and weights_of(alias):
                drawn = route(alias.function_version, weights_of(alias), random.random())  # noqa: S311 not a secret
                return self.get_function(name, drawn), True
        return self.get_function(name, qualifier), False

    def _changed(self, function: LocalFunction) -> None:
        """After an update of $LATEST: environments of the old revision end with the request that they serve."""
        fleet().retire(self.region_name, function.function_name, "$LATEST")
        self.drop_code(function.function_name)

    def _forget(self, name: str, qualifier: str | None) -> None:
        """Drop what hangs on a qualifier, or on the function with all its qualifiers."""
        for owner, each in list(self.provisioned):
            if owner == name and qualifier in (None, each):
                self.drop_provisioned(owner, each)
        for kept in (self.policies, self.function_urls):
            for key in [key for key in kept if key[0] == name and qualifier in (None, key[1])]:
                del kept[key]

    def drop_code(self, name: str) -> None:
        """Remove unpacked code that no version of the function has any more, and no environment still runs."""
        group = self._lambdas._functions.get(name, {"latest": None, "versions": []})
        versions = [each for each in [group["latest"], *group["versions"]] if each is not None]
        digests = {each.code_digest for each in versions} | fleet().code_in_use(self.region_name, name)
        kept = {code_directory(self.region_name, name, digest).name for digest in digests}
        root = context().home / "lambda" / self.region_name / name
        for directory in root.glob("*"):
            if directory.name.partition(".")[0] not in kept:  # after the dot: code that is just being unpacked
                shutil.rmtree(directory, ignore_errors=True)
        if not kept:
            shutil.rmtree(root, ignore_errors=True)


def route(version: str, weights: dict[str, float], point: float) -> str:
    """The version for a request, by a point from 0 to 1: the other versions' shares first, then the alias's own."""
    for other, weight in weights.items():
        point -= weight
        if point < 0:
            return other
    return version


def _routes(alias: LambdaAlias) -> list[str]:
    return [alias.function_version, *weights_of(alias)]


def fleet() -> FunctionFleet:
    """The environments of this process. Only after `install`."""
    assert _fleet is not None
    return _fleet


def _restore() -> None:
    """After a start no environment runs: what the last ones left is removed, what is to be ready is started."""
    root = context().home / "lambda"
    for directory in root.glob("*/*"):
        region, name = directory.parts[-2:]
        if directory.is_dir():
            lambda_backends[ACCOUNT_ID][region].drop_code(name)
    shutil.rmtree(context().home / "lambda-logs", ignore_errors=True)
    for backend in list(lambda_backends[ACCOUNT_ID].values()):
        for name, qualifier in list(backend.provisioned):
            backend.provision(name, qualifier)


def install() -> None:
    global _fleet
    _fleet = FunctionFleet()
    lambda_backends.backend = LocalLambdaBackend
    urls.url_paths = URL_PATHS
    state.register("lambda", restore=_restore, stop=_fleet.close)
