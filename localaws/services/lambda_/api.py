"""Lambda: functions that run. moto keeps them; here they get environments, and Invoke reaches them.

Versions, policies, concurrency and function URLs are in modules of their own; `LocalLambdaBackend` holds one of each.
"""

import copy
import random
import shutil
import threading
import uuid
from typing import Any

from moto.awslambda import urls
from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError, UnknownFunctionException
from moto.awslambda.models import LambdaAlias, LambdaBackend, lambda_backends

from localaws import logs, state
from localaws.account_limits import CONCURRENT, account_limits
from localaws.context import ACCOUNT_ID, context
from localaws.rules import ZIP_BYTES
from localaws.services.iam import authorization
from localaws.services.iam.policies import PolicyDocument
from localaws.services.iam.service_roles import LAMBDA, CannotAssume, ServiceRole
from localaws.services.lambda_.concurrency import Concurrency, weights_of
from localaws.services.lambda_.environment import Outcome, code_directory
from localaws.services.lambda_.event_config import EventConfigs
from localaws.services.lambda_.fleet import FunctionFleet, Throttled
from localaws.services.lambda_.function import UNZIPPED_BYTES, LocalFunction
from localaws.services.lambda_.names import LATEST, is_alias
from localaws.services.lambda_.operations import URL_PATHS
from localaws.services.lambda_.permissions import Permissions
from localaws.services.lambda_.runtime_api import Invocation
from localaws.services.lambda_.urls import Urls
from localaws.services.lambda_.usage import UsageWatch
from localaws.services.lambda_.versions import LocalStorage

TOTAL_CODE_BYTES = 80_530_636_800  # what the code of all versions may take: the Lambda developer guide, quotas

_fleet: FunctionFleet | None = None


class VersionInUse(LambdaClientError):
    code = 409

    def __init__(self, aliases: list[str]):
        names = ", ".join(aliases)
        super().__init__(
            "ResourceConflictException",
            f"Unable to delete version because the following aliases reference it: [{names}]",
        )


class LocalLambdaBackend(LambdaBackend):
    """One region's functions, with their policies, their concurrency and their URLs."""

    def __init__(self, region_name: str, account_id: str):
        super().__init__(region_name, account_id)
        self._lambdas = self.functions = LocalStorage(region_name, account_id)
        self.permissions = Permissions(self.functions)
        self.concurrency = Concurrency(self.functions, fleet)
        self.function_urls = Urls(self.functions)
        self.event_configs = EventConfigs(self.functions)

    @property
    def _url_module(self) -> Any:
        return urls

    def get_function(self, function_name_or_arn: str, qualifier: str | None = None) -> LocalFunction:
        return self.functions.find(function_name_or_arn, qualifier)

    def create_function(self, spec: dict[str, Any]) -> LocalFunction:
        """Make a function, and its version 1 if that is asked for. Gives the function itself."""
        function = LocalFunction(self.account_id, spec, self.region_name, LATEST)
        _require_role(function.role, self.region_name)
        self._lambdas.put_function(function)
        if spec.get("Publish"):
            self.publish_version(function.function_name)
        return function

    def update_code(self, name: str, body: dict[str, Any]) -> LocalFunction:
        """Give a function other code. Gives what the request made: the version if it was to be published."""
        function = self.get_function(name)
        if body.get("DryRun"):
            body, function = {**body, "DryRun": False, "Publish": False}, copy.copy(function)
            function.code = dict(function.code)
        if body.get("Architectures"):
            function.architectures = body["Architectures"]
        function.update_function_code(body)
        if function is self.get_function(name):
            self._changed(function)
        return self.publish_version(name) if body.get("Publish") else function

    def update_configuration(self, name: str, body: dict[str, Any]) -> LocalFunction:
        function = self.get_function(name)
        if role := body.get("Role"):
            _require_role(role, self.region_name)
        function.update_configuration(body)
        self._changed(function)
        return function

    def delete_function(self, function_name: str, qualifier: str | None = None) -> None:
        name, qualifier = self.functions.split(function_name, qualifier)
        if not self.functions.exists(name):
            raise UnknownFunctionException(self.functions.arn(name))
        if qualifier == LATEST:
            raise InvalidParameterValueException("$LATEST version cannot be deleted without deleting the function.")
        if qualifier and is_alias(qualifier):
            raise InvalidParameterValueException("Deletion of aliases is not currently supported.")
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
        self._forget(function_name, name)

    def update_alias(
        self, name: str, function_name: str, function_version: Any, description: Any, routing_config: Any
    ) -> LambdaAlias:
        self.concurrency.check_alias(function_name, name, function_version, routing_config)
        before = self.get_alias(name, function_name).function_version
        updated = super().update_alias(name, function_name, function_version, description, routing_config)
        self.concurrency.follow_alias(function_name, updated, before, routing_config)
        return updated

    def put_function_concurrency(self, function_name: str, reserved_concurrency: int) -> int:
        name, _ = self.functions.split(function_name)
        self.concurrency.check_reserved(name, reserved_concurrency)
        return super().put_function_concurrency(name, reserved_concurrency)

    def account_settings(self) -> dict[str, Any]:
        """GetAccountSettings: the limits of the account, and what of them is in use."""
        functions = self.functions.latest()
        concurrent = account_limits().value("lambda", CONCURRENT)
        reserved = sum(each.reserved_concurrency or 0 for each in functions)
        return {
            "AccountLimit": {
                "TotalCodeSize": TOTAL_CODE_BYTES,
                "CodeSizeUnzipped": UNZIPPED_BYTES,
                "CodeSizeZipped": ZIP_BYTES,
                "ConcurrentExecutions": concurrent,
                "UnreservedConcurrentExecutions": concurrent - reserved,
            },
            "AccountUsage": {
                "TotalCodeSize": sum(each.code_size for each in self.functions.all_versions()),
                "FunctionCount": len(functions),
            },
        }

    def run(
        self,
        function_name: str,
        qualifier: str | None,
        payload: bytes,
        client_context: str | None = None,
        wait: bool = False,
        request_id: str | None = None,
        trace: str | None = None,
    ) -> Outcome:
        """Invoke a function, a version or an alias. Raises Throttled, unless it shall wait for its turn.

        `request_id` and `trace` are those of the request, if there is one: the function and its log have the same.
        """
        name, qualifier = self.functions.split(function_name, qualifier)
        latest = self.get_function(name)
        function, weighted = self._routed(name, qualifier)
        watch = UsageWatch(self.region_name, name, qualifier, str(function.version), weighted)
        trace = trace or f"Root=1-{uuid.uuid4().hex[:8]}-{uuid.uuid4().hex[:24]}"
        invocation = Invocation(
            request_id=request_id or str(uuid.uuid4()),
            payload=payload,
            function_arn=f"{latest.function_arn}:{qualifier}" if qualifier else latest.function_arn,
            trace_id=f"{trace};Parent={uuid.uuid4().hex[:16]};Sampled=0",
            client_context=client_context,
        )
        try:
            outcome = fleet().invoke(
                function.revision(),
                invocation,
                latest.reserved_concurrency,
                wait,
                watch.turn,
                self.concurrency.unreserved(),
            )
        except Throttled:
            watch.throttled()
            raise
        watch.ended(outcome)
        return outcome

    def run_later(
        self, function_name: str, qualifier: str | None, payload: bytes, request_id: str | None = None
    ) -> None:
        """An asynchronous invocation: once, as soon as there is a turn; failures are in the function's log."""
        name, qualifier = self.functions.split(function_name, qualifier)
        function = self.get_function(name, qualifier)

        def run() -> None:
            try:
                self.run(name, qualifier, payload, wait=True, request_id=request_id)
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
        for kept in (self.concurrency, self.permissions, self.function_urls, self.event_configs):
            kept.forget(name, qualifier)

    def drop_code(self, name: str) -> None:
        """Remove unpacked code that no version of the function has any more, and no environment still runs."""
        digests = self.functions.code_digests(name) | fleet().code_in_use(self.region_name, name)
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


def _require_role(role_arn: str, region: str) -> None:
    """Raise the InvalidParameterValueException that AWS gives if Lambda may not assume a role."""
    try:
        ServiceRole(role_arn, LAMBDA, "function", region).require_trust()
    except CannotAssume:
        raise InvalidParameterValueException("The role defined for the function cannot be assumed by Lambda.") from None


def _policy_of(arn: str) -> PolicyDocument | None:
    """The resource policy of a function, version or alias; None without one, or without the function."""
    if arn == "*":  # the operation is not about a function
        return None
    backend = lambda_backends[ACCOUNT_ID][arn.split(":")[3]]
    try:
        policy = backend.permissions.of(arn, None)[1]
    except LambdaClientError:
        return None
    return PolicyDocument.parse(policy.document()) if policy.statements else None


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
        backend.concurrency.restore()


def install() -> None:
    global _fleet
    _fleet = FunctionFleet()
    lambda_backends.backend = LocalLambdaBackend
    authorization.resource_policies("lambda", _policy_of)
    urls.url_paths = URL_PATHS
    state.register("lambda", restore=_restore, stop=_fleet.close)
