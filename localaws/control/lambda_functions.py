"""Lambda: functions that run. moto keeps them; here they get versions as on AWS, environments, and Invoke.

Policies, concurrency and function URLs are in modules of their own and come together in `LocalLambdaBackend`.
"""

import copy
import io
import json
import random
import shutil
import threading
import uuid
import zipfile
from collections import defaultdict
from typing import Any

from moto.awslambda import urls
from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError
from moto.awslambda.models import LambdaAlias, LambdaBackend, LambdaFunction, LambdaStorage, lambda_backends

from localaws import logs, state
from localaws.context import context
from localaws.control.lambda_concurrency import Concurrency
from localaws.control.lambda_operations import URL_PATHS
from localaws.control.lambda_permissions import Permissions
from localaws.control.lambda_urls import Urls
from localaws.runtime.lambda_api import Invocation
from localaws.runtime.lambda_environment import Outcome, Revision, unpack
from localaws.runtime.lambda_fleet import Fleet, Throttled

RESERVED_VARIABLES = {
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}  # fmt: skip
# What moto's function keeps and its update leaves out, by the attribute that holds it.
UPDATABLE = {"TracingConfig": "tracing_config", "KMSKeyArn": "kms_key_arn", "LoggingConfig": "logging_config"}
VOLATILE = ("FunctionArn", "Version", "LastModified", "LastUpdateStatus")

_fleet: Fleet | None = None


class VersionInUse(LambdaClientError):
    code = 409

    def __init__(self, aliases: list[str]):
        names = ", ".join(aliases)
        super().__init__(
            "ResourceConflictException",
            f"Unable to delete version because the following aliases reference it: [{names}]",
        )


def check_runnable(spec: dict[str, Any]) -> None:
    """Refuse what could be stored and not be run. Raises InvalidParameterValueException."""
    if spec.get("PackageType", "Zip") != "Zip" or spec.get("Layers"):
        raise InvalidParameterValueException("The local AWS runs functions from .zip archives without layers.")
    if not spec.get("Runtime", "python").startswith("python"):
        raise InvalidParameterValueException(f"The local AWS runs Python, not {spec['Runtime']}.")
    reserved = sorted(RESERVED_VARIABLES.intersection(spec.get("Environment", {}).get("Variables", {})))
    if reserved:
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. Reserved keys used "
            f"in this request: {', '.join(reserved)}"
        )


class LocalFunction(LambdaFunction):
    """A function, or one of its versions."""

    def __init__(self, account_id: str, spec: dict[str, Any], region: str, version: str):
        check_runnable(spec)
        self.logging_config: dict[str, Any] | None = spec.get("LoggingConfig")
        self.published_as: str | None = None
        super().__init__(account_id, spec, region, version)
        del self.logs_backend  # the environments write the log; a copy of a function must not copy all logs

    def get_configuration(self, on_create: bool = False) -> dict[str, Any]:
        logging = {"LogFormat": "Text", "LogGroup": self.logs_group_name, **(self.logging_config or {})}
        return {**super().get_configuration(on_create), "LoggingConfig": logging}

    def get_code(self) -> dict[str, Any]:
        answer = super().get_code()
        if self.reserved_concurrency is not None:  # 0 is a reservation, too: of nothing
            answer["Concurrency"] = {"ReservedConcurrentExecutions": self.reserved_concurrency}
        return answer

    def update_configuration(self, config_updates: dict[str, Any]) -> dict[str, Any]:
        check_runnable(config_updates)
        if "Environment" in config_updates:
            config_updates["Environment"].setdefault("Variables", {})
        for key, attribute in UPDATABLE.items():
            if key in config_updates:
                setattr(self, attribute, config_updates[key])
        if "EphemeralStorage" in config_updates:
            self.ephemeral_storage = config_updates["EphemeralStorage"]["Size"]
        return super().update_configuration(config_updates)

    def fingerprint(self) -> str:
        """What makes a version different from another one: code and configuration."""
        configuration = self.get_configuration()
        return json.dumps({key: value for key, value in configuration.items() if key not in VOLATILE}, sort_keys=True)

    def revision(self) -> Revision:
        """The function as its environments need it, its code unpacked."""
        revision = Revision(
            region=self.region,
            name=self.function_name,
            version=str(self.version),
            handler=self.handler,
            runtime=self.run_time,
            memory_mb=int(self.memory_size),
            timeout_s=int(self.timeout),
            variables=tuple(sorted(self.environment_vars.items())),
            code_sha256=self.code_digest,
            log_group=(self.logging_config or {}).get("LogGroup", self.logs_group_name),
        )
        unpack(self.code_bytes, revision.task_root)
        return revision

    def invoke(self, body: str, request_headers: Any, response_headers: Any) -> bytes:
        """How other services of moto call a function (a log subscription, say)."""
        backend = lambda_backends[self.account_id][self.region]
        return backend.run(self.function_name, str(self.version), (body or "{}").encode()).payload

    def _set_function_code(self, updated_spec: dict[str, Any]) -> None:
        try:
            super()._set_function_code(updated_spec)
        except ValueError as error:  # moto's way to say that the archive is not in S3
            raise InvalidParameterValueException(str(error.args[-1])) from None
        if not zipfile.is_zipfile(io.BytesIO(self.code_bytes)):
            raise InvalidParameterValueException(
                "Could not unzip uploaded file. Please check your file, then try to upload again."
            )


class LocalStorage(LambdaStorage):
    """Versions as on AWS: the same code and configuration is the same version, and no number comes twice."""

    def __init__(self, region_name: str, account_id: str):
        super().__init__(region_name, account_id)
        self._aliases = defaultdict(dict)

    def publish_version(self, name_or_arn: str, description: str = "") -> LocalFunction:
        function = self.get_function_by_name_or_arn_forbid_qualifier(name_or_arn)
        group = self._functions[function.function_name]
        fingerprint = function.fingerprint()
        if group["versions"] and group["versions"][-1].published_as == fingerprint:
            return group["versions"][-1]
        group["published"] = group.get("published", 0) + 1
        version = copy.copy(function)
        version.set_version(group["published"])
        version.published_as = fingerprint
        version.description = description or function.description
        group["versions"].append(version)
        self._arns[version.function_arn] = version
        return version


class LocalLambdaBackend(Permissions, Concurrency, Urls, LambdaBackend):
    """One region's functions."""

    def __init__(self, region_name: str, account_id: str):
        super().__init__(region_name, account_id)
        self._lambdas = LocalStorage(region_name, account_id)
        self.policies = {}
        self.provisioned = {}
        self.function_urls = {}

    @property
    def _url_module(self) -> Any:
        return urls

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
        self._drop_code(name)

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
        function = self._routed(name, qualifier)
        trace = f"1-{uuid.uuid4().hex[:8]}-{uuid.uuid4().hex[:24]}"
        invocation = Invocation(
            request_id=str(uuid.uuid4()),
            payload=payload,
            function_arn=f"{latest.function_arn}:{qualifier}" if qualifier else latest.function_arn,
            trace_id=f"Root={trace};Parent={uuid.uuid4().hex[:16]};Sampled=0",
            client_context=client_context,
        )
        return fleet().invoke(function.revision(), invocation, latest.reserved_concurrency, wait)

    def run_later(self, function_name: str, qualifier: str | None, payload: bytes) -> None:
        """An asynchronous invocation: once, as soon as there is a turn; failures are in the function's log."""
        name, qualifier = self.split(function_name, qualifier)
        function = self._routed(name, qualifier)

        def run() -> None:
            try:
                self.run(name, qualifier, payload, wait=True)
            except Throttled:
                line = "An event was dropped: the function's reserved concurrency is 0."
                logs.append(function.logs_group_name, "[dropped events]", [line], self.region_name)

        threading.Thread(target=run, name=f"event for {name}", daemon=True).start()

    def _routed(self, name: str, qualifier: str | None) -> LocalFunction:
        """The version behind a qualifier; an alias with weights draws one."""
        for alias in self.list_aliases(name):
            if alias.name == qualifier:
                point = random.random()  # noqa: S311 routing, not a secret
                for version, weight in _weights(alias).items():
                    point -= weight
                    if point < 0:
                        return self.get_function(name, version)
        return self.get_function(name, qualifier)

    def _changed(self, function: LocalFunction) -> None:
        """After an update of $LATEST: environments of the old revision end with the request that they serve."""
        fleet().retire(self.region_name, function.function_name, "$LATEST")
        self._drop_code(function.function_name)

    def _forget(self, name: str, qualifier: str | None) -> None:
        """Drop what hangs on a qualifier, or on the function with all its qualifiers."""
        for kept in (self.policies, self.provisioned, self.function_urls):
            for key in [key for key in kept if key[0] == name and qualifier in (None, key[1])]:
                del kept[key]

    def _drop_code(self, name: str) -> None:
        """Remove unpacked code that no version of the function has any more."""
        group = self._lambdas._functions.get(name, {"latest": None, "versions": []})
        wanted = {each.code_digest[:16] for each in [group["latest"], *group["versions"]] if each is not None}
        root = context().home / "lambda" / self.region_name / name
        for directory in root.glob("*"):
            if directory.name not in wanted:
                shutil.rmtree(directory, ignore_errors=True)
        if not wanted:
            shutil.rmtree(root, ignore_errors=True)


def _weights(alias: LambdaAlias) -> dict[str, float]:
    return (alias.routing_config or {}).get("AdditionalVersionWeights") or {}


def _routes(alias: LambdaAlias) -> list[str]:
    return [alias.function_version, *_weights(alias)]


def fleet() -> Fleet:
    """The environments of this process. Only after `install`."""
    assert _fleet is not None
    return _fleet


def install() -> None:
    global _fleet
    _fleet = Fleet()
    lambda_backends.backend = LocalLambdaBackend
    urls.url_paths = URL_PATHS
    state.register("lambda", stop=_fleet.close)
