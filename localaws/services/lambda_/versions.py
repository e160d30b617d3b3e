"""Functions and their versions: moto's, made to be run, and numbered as on AWS."""

import copy
import io
import json
import zipfile
from collections import defaultdict
from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.models import LambdaAlias, LambdaFunction, LambdaStorage, lambda_backends

from localaws.archives import ArchiveError, ArchiveTooLarge, check_zip
from localaws.services.lambda_.environment import Revision, unpack

RESERVED_VARIABLES = {
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}  # fmt: skip
# What moto's function keeps and its update leaves out, by the attribute that holds it.
UPDATABLE = {
    "TracingConfig": "tracing_config",
    "KMSKeyArn": "kms_key_arn",
    "LoggingConfig": "logging_config",
    "DeadLetterConfig": "dead_letter_config",
    "SnapStart": "snap_start",
}
UNZIPPED_BYTES = 262_144_000  # Lambda's limit
VOLATILE = ("FunctionArn", "Version", "LastModified", "LastUpdateStatus")


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

    # Functions of earlier states do not have them.
    dead_letter_config: dict[str, Any] | None = None
    snap_start: dict[str, Any] | None = None

    def __init__(self, account_id: str, spec: dict[str, Any], region: str, version: str):
        check_runnable(spec)
        self.logging_config: dict[str, Any] | None = spec.get("LoggingConfig")
        self.dead_letter_config = spec.get("DeadLetterConfig")
        self.snap_start = spec.get("SnapStart")
        self.published_as: str | None = None
        super().__init__(account_id, spec, region, version)
        del self.logs_backend  # the environments write the log; a copy of a function must not copy all logs

    def get_configuration(self, on_create: bool = False) -> dict[str, Any]:
        logging = {"LogFormat": "Text", "LogGroup": self.logs_group_name, **(self.logging_config or {})}
        described = {**super().get_configuration(on_create), "LoggingConfig": logging}
        applies = (self.snap_start or {}).get("ApplyOn", "None")
        optimised = applies != "None" and str(self.version) != "$LATEST"
        described["SnapStart"] = {"ApplyOn": applies, "OptimizationStatus": "On" if optimised else "Off"}
        if (self.dead_letter_config or {}).get("TargetArn"):
            described["DeadLetterConfig"] = self.dead_letter_config
        return described

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
        """Take new code; a function keeps what it has where that is refused."""
        before = {**vars(self), "code": dict(self.code)}
        try:
            super()._set_function_code(updated_spec)
            if "S3Key" in updated_spec and not self.code_bytes:
                raise InvalidParameterValueException(
                    "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key "
                    "does not exist."
                )
            if not zipfile.is_zipfile(io.BytesIO(self.code_bytes)):
                raise InvalidParameterValueException(
                    "Could not unzip uploaded file. Please check your file, then try to upload again."
                )
            try:
                check_zip(io.BytesIO(self.code_bytes), UNZIPPED_BYTES)
            except ArchiveTooLarge:
                raise InvalidParameterValueException(
                    f"Unzipped size must be smaller than {UNZIPPED_BYTES} bytes"
                ) from None
            except ArchiveError as error:
                raise InvalidParameterValueException(
                    f"Could not unzip uploaded file. Please check your file, then try to upload again. ({error})"
                ) from None
        except InvalidParameterValueException:
            vars(self).update(before)
            raise
        except ValueError as error:  # moto's other way to say that the archive is not in S3
            vars(self).update(before)
            raise InvalidParameterValueException(str(error.args[-1])) from None


class LocalStorage(LambdaStorage):
    """Versions as on AWS: the same code and configuration is the same version, and no number comes twice."""

    def __init__(self, region_name: str, account_id: str):
        super().__init__(region_name, account_id)
        self._aliases = defaultdict(dict)

    def split(self, function_name: str, qualifier: str | None = None) -> tuple[str, str | None]:
        """Name and qualifier from a name or an ARN, which may end in the qualifier."""
        _, name, own = self.split_function_arn(
            function_name if ":function:" in function_name else f":function:{function_name}"
        )
        return name, own or qualifier

    def find(self, function_name: str, qualifier: str | None = None) -> LocalFunction:
        """The function or version of a name or an ARN. Raises UnknownFunctionException."""
        return self.get_function_by_name_or_arn_with_qualifier(*self.split(function_name, qualifier))

    def find_alias(self, name: str, qualifier: str | None) -> LambdaAlias | None:
        """The alias that a qualifier of a function names, if it names one."""
        return next((alias for alias in self.list_aliases(name) if alias.name == qualifier), None)

    def has(self, name: str) -> bool:
        """Whether there is a function of that name."""
        return name in self._functions

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
