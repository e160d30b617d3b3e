"""A function, or one of its versions: moto's, made to be run and described as on AWS."""

import hashlib
import io
import json
import uuid
import zipfile
from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException, PreconditionFailedException
from moto.awslambda.models import LambdaFunction, lambda_backends
from moto.awslambda.utils import make_function_arn
from moto.ec2.models import ec2_backends

from localaws.archives import ArchiveError, ArchiveTooLarge, check_zip
from localaws.services.lambda_ import code_location
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
VOLATILE = ("FunctionArn", "Version", "LastModified", "LastUpdateStatus", "RevisionId")
# [LS] test_function_lifecycle: what the answer to a change says; here the change is complete when it is answered.
CREATING = {"StateReason": "The function is being created.", "StateReasonCode": "Creating"}
UPDATING = {f"LastUpdateStatus{name.removeprefix('State')}": value for name, value in CREATING.items()}
# [LS] test_list_functions, test_version_lifecycle: what a listing leaves out.
NOT_LISTED = ("State", "LastUpdateStatus", "RuntimeVersionConfig")


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


class UntypedRefusal(InvalidParameterValueException):
    """A refusal without the member Type: [LS] test_function_concurrency_limits, target_version_exc_version_latest."""

    def __init__(self, message: str):
        super().__init__(message)
        self.description = json.dumps({"message": message})


def check_revision(target: Any, revision_id: str | None, reader: str = "GetFunction/GetAlias") -> None:
    """Refuse a change that expects another revision. Raises PreconditionFailedException, which names a reader."""
    if revision_id and revision_id != target.revision_id:
        raise PreconditionFailedException(
            f"The Revision Id provided does not match the latest Revision Id. Call the {reader} API to retrieve the "
            "latest Revision Id"
        )


def changed(target: Any) -> None:
    """Give a function, a version or an alias a new revision."""
    target.revision_id = str(uuid.uuid4())


class LocalFunction(LambdaFunction):
    """A function, or one of its versions."""

    revision_id = ""  # of a function in a state that an earlier version wrote, until it is changed
    has_environment = False
    dead_letter_config: dict[str, Any] | None = None
    snap_start: dict[str, Any] | None = None

    def __init__(self, account_id: str, spec: dict[str, Any], region: str, version: str):
        check_runnable(spec)
        self.logging_config: dict[str, Any] | None = spec.get("LoggingConfig")
        self.published_as: str | None = None
        self.has_environment = "Environment" in spec
        self.dead_letter_config = spec.get("DeadLetterConfig")
        self.snap_start = spec.get("SnapStart")
        changed(self)
        super().__init__(account_id, spec, region, version)
        del self.logs_backend  # the environments write the log; a copy of a function must not copy all logs

    def get_configuration(self, on_create: bool = False) -> dict[str, Any]:
        """The configuration without the members that have no value."""
        configuration = {name: value for name, value in super().get_configuration(on_create).items() if value != []}
        configuration["LoggingConfig"] = {
            "LogFormat": "Text",
            "LogGroup": self.logs_group_name,
            **(self.logging_config or {}),
        }
        applies = (self.snap_start or {}).get("ApplyOn", "None")
        optimised = applies != "None" and str(self.version) != "$LATEST"
        configuration["SnapStart"] = {"ApplyOn": applies, "OptimizationStatus": "On" if optimised else "Off"}
        if (self.dead_letter_config or {}).get("TargetArn"):
            configuration["DeadLetterConfig"] = self.dead_letter_config
        if self.has_environment:
            configuration["Environment"] = {"Variables": self.environment_vars}
        configuration["RevisionId"] = self.revision_id
        runtime = hashlib.sha256(str(self.run_time).encode()).hexdigest()  # the one version that it has here
        arn = f"arn:{self.partition}:lambda:{self.region}::runtime:{runtime}"
        configuration["RuntimeVersionConfig"] = {"RuntimeVersionArn": arn}
        return {name: value for name, value in configuration.items() if value is not None}

    @property
    def vpc_config(self) -> dict[str, Any] | None:
        """The subnets and groups, with the VPC of the subnets. moto names an invented one."""
        given = super().vpc_config
        if not given or not given.get("SubnetIds"):
            return given
        subnets = ec2_backends[self.account_id][self.region].describe_subnets(subnet_ids=given["SubnetIds"])
        return {**given, "VpcId": subnets[0].vpc_id}

    def described(self, qualifier: str | None = None) -> dict[str, Any]:
        """The configuration as a request sees it that used this qualifier."""
        arn = make_function_arn(self.region, self.account_id, self.function_name)
        return {**self.get_configuration(), "FunctionArn": f"{arn}:{qualifier}" if qualifier else arn}

    def listed(self) -> dict[str, Any]:
        """The configuration as an element of a listing."""
        return {name: value for name, value in self.get_configuration().items() if name not in NOT_LISTED}

    def pending(self) -> dict[str, Any]:
        """The answer to a request that makes a function or a version; the next read finds it active."""
        answer = {**self.get_configuration(on_create=True), "State": "Pending", **CREATING}
        changed(self)
        return answer

    def in_progress(self) -> dict[str, Any]:
        """The answer to an update; the next read finds it done."""
        answer = {**self.get_configuration(), "LastUpdateStatus": "InProgress", **UPDATING}
        changed(self)
        return answer

    def get_code(self) -> dict[str, Any]:
        place = code_location.location(self.region, self.function_name, str(self.version))
        answer = {**super().get_code(), "Code": {"RepositoryType": "S3", "Location": place}}
        if self.reserved_concurrency is not None:  # 0 is a reservation, too: of nothing
            answer["Concurrency"] = {"ReservedConcurrentExecutions": self.reserved_concurrency}
        return answer

    def update_configuration(self, config_updates: dict[str, Any]) -> dict[str, Any]:
        check_runnable(config_updates)
        if "Environment" in config_updates:
            config_updates["Environment"].setdefault("Variables", {})
            self.has_environment = bool(config_updates["Environment"]["Variables"])
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
            role_arn=self.role,
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
