"""SSM: commands that run. AWS-RunShellScript on running instances, its status from the process, its output live.

Parameters are moto's, with AWS's public ones for Amazon Linux images.
"""

import json
import platform
import uuid
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.ssm import urls
from moto.ssm.exceptions import InvalidDocument, SSMException, ValidationException
from moto.ssm.models import ParameterDict, SimpleSystemManagerBackend, ssm_backends
from moto.ssm.responses import SimpleSystemManagerResponse

from localaws import state
from localaws.context import ACCOUNT_ID
from localaws.paging import InvalidToken, page
from localaws.services.ec2.instance import LocalInstance
from localaws.services.iam import authorization
from localaws.services.ssm.command import RunCommand
from localaws.services.ssm.invocation import FINAL, PLUGIN

DOCUMENT = "AWS-RunShellScript"
# What the agent needs for commands: the newer way (since 3.3.40.0), or else the older one.
CHANNELS = (
    tuple(f"ssmmessages:{verb}{kind}Channel" for verb in ("Create", "Open") for kind in ("Control", "Data")),
    tuple(f"ec2messages:{verb}" for verb in ("GetEndpoint", "GetMessages", "AcknowledgeMessage", "SendReply")),
)
PING = {"running": "Online", "stopped": "ConnectionLost", "stopping": "ConnectionLost"}


class InvalidInstanceId(SSMException):
    def __init__(self, instance_ids: list[str], account: str):
        super().__init__(
            "InvalidInstanceId",
            f"Instances [{', '.join(instance_ids)}] not in a valid state for account {account}",
        )


class LocalSSMBackend(SimpleSystemManagerBackend):
    """One region's SSM. `commands` is keyed by the command's identifier, the newest last."""

    def __init__(self, region_name: str, account_id: str):
        super().__init__(region_name, account_id)
        self.commands: dict[str, RunCommand] = {}

    @property
    def _url_module(self) -> Any:
        return urls

    def run(self, request: dict[str, Any]) -> RunCommand:
        """Start what a SendCommand request asks for. Raises SSMException."""
        if request.get("DocumentName", "").rpartition("/")[2] != DOCUMENT:
            raise InvalidDocument(f"The local AWS runs {DOCUMENT}, not {request.get('DocumentName')}.")
        if request.get("OutputS3BucketName"):
            raise ValidationException(
                "The local AWS writes output to CloudWatch Logs (CloudWatchOutputConfig), not S3."
            )
        instances = self._targets(request)
        command = RunCommand(str(uuid.uuid4()), request, self.region_name)
        for instance in instances:
            command.start(instance.id, instance.machine)
        self.commands[command.id] = command
        return command

    def command(self, command_id: str) -> RunCommand:
        if command_id not in self.commands:
            raise SSMException("InvalidCommandId", "The command ID isn't valid.")
        return self.commands[command_id]

    def instances(self) -> list[LocalInstance]:
        """The instances with an agent that SSM knows of: not the terminated ones, nor those whose role forbids it."""
        instances = ec2_backends[self.account_id][self.region_name].all_instances()
        return [instance for instance in instances if instance.state in PING and _may_register(instance)]

    def _targets(self, request: dict[str, Any]) -> list[LocalInstance]:
        """The instances a request names. One named by its identifier must be online; of targets, those that are."""
        online = {each.id: each for each in self.instances() if PING[each.state] == "Online"}
        named = request.get("InstanceIds") or []
        if offline := [instance_id for instance_id in named if instance_id not in online]:
            raise InvalidInstanceId(offline, self.account_id)
        _require_different(named)
        chosen = [online[instance_id] for instance_id in named]
        targets = request.get("Targets") or []
        for target in targets:
            if target["Key"] != "InstanceIds" and not target["Key"].startswith("tag:"):
                raise ValidationException(
                    f"The local AWS knows the targets InstanceIds and tag:…, not {target['Key']}."
                )
        if targets:
            chosen += [each for each in online.values() if all(_hits(each, target) for target in targets)]
        if not named and not targets:
            raise ValidationException("Command must have either InstanceIds or Targets.")
        return chosen


def _may_register(instance: LocalInstance) -> bool:
    """Whether the agent of an instance reaches SSM: its role must let it report, and open the channels for commands.

    An instance without a profile is managed as with SSM's Default Host Management Configuration.
    """
    role = instance.machine.role()
    if role is None or not authorization.enforced():
        return True
    arn = f"arn:aws:ec2:{role.region}:{ACCOUNT_ID}:instance/{instance.id}"
    if not role.decide("ssm:UpdateInstanceInformation", arn).allowed:
        return False
    role.decide("ssm:ListInstanceAssociations", arn)  # what the agent asks next; it runs commands without it, too
    return any(all(role.decide(each, "*").allowed for each in channels) for channels in CHANNELS)


def _hits(instance: LocalInstance, target: dict[str, Any]) -> bool:
    if target["Key"] == "InstanceIds":
        return instance.id in target["Values"]
    tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
    return tags.get(target["Key"].removeprefix("tag:")) in target["Values"]


def _after(candidate: Any, moment: str) -> bool:
    return candidate.requested >= _moment(moment)


def _moment(text: str) -> datetime:
    """A time of a filter, in UTC without saying so, as moto has its times."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise ValidationException(f"A filter's time is {text!r}: it must be in ISO 8601.") from None
    return given.astimezone(UTC).replace(tzinfo=None) if given.tzinfo else given


# What a filter of ListCommands and ListCommandInvocations lets through, by its key.
FILTERS = {
    "Status": lambda candidate, value: value in (candidate.status, candidate.details),
    "ExecutionStage": lambda candidate, value: (candidate.status in FINAL) == (value == "Complete"),
    "DocumentName": lambda candidate, value: value.rpartition("/")[2] == DOCUMENT,
    "InvokedAfter": _after,
    "InvokedBefore": lambda candidate, moment: not _after(candidate, moment),
}


class LocalSSMResponse(SimpleSystemManagerResponse):
    """One request to SSM."""

    def send_command(self) -> ActionResult:
        return ActionResult({"Command": self.ssm_backend.run(json.loads(self.body)).to_dict()})

    def list_commands(self) -> ActionResult:
        instance_id = self._get_param("InstanceId")
        chosen = [each for each in self._commands() if instance_id in (None, *each.invocations)]
        return self._paged("Commands", [each.to_dict() for each in self._filtered(chosen)])

    def _commands(self) -> list[RunCommand]:
        """The command that a request names, or all of them, the newest first."""
        wanted, backend = self._get_param("CommandId"), self.ssm_backend
        return [backend.command(wanted)] if wanted else list(reversed(backend.commands.values()))

    def _filtered(self, found: list[Any]) -> list[Any]:
        """The commands or invocations that all filters of a request let through."""
        for each in self._get_param("Filters") or []:
            if each["key"] not in FILTERS:
                raise SSMException("InvalidFilterKey", f"The specified filter key isn't valid: {each['key']}")
            passes = FILTERS[each["key"]]
            found = [candidate for candidate in found if passes(candidate, each["value"])]
        return found

    def _paged(self, member: str, items: list[Any], most: int = 50) -> ActionResult:
        try:
            chosen, following = page(items, self._get_param("NextToken"), int(self._get_param("MaxResults") or most))
        except InvalidToken:
            raise SSMException("InvalidNextToken", "The specified token isn't valid.") from None
        return ActionResult({member: chosen, **({"NextToken": following} if following else {})})

    def get_command_invocation(self) -> ActionResult:
        command = self.ssm_backend.command(self._get_param("CommandId"))
        invocation = command.invocations.get(self._get_param("InstanceId"))
        if self._get_param("PluginName", PLUGIN) != PLUGIN:
            raise SSMException("InvalidPluginName", "The plugin name isn't valid.")
        if invocation is None:
            raise SSMException(
                "InvocationDoesNotExist", "The command ID and managed node ID you specified didn't match."
            )
        return ActionResult(invocation.to_dict())

    def list_command_invocations(self) -> ActionResult:
        instance_id, details = self._get_param("InstanceId"), bool(self._get_param("Details"))
        invocations = [
            invocation
            for command in self._commands()
            for invocation in command.invocations.values()
            if instance_id in (None, invocation.instance_id)
        ]
        chosen = self._filtered(invocations)
        return self._paged("CommandInvocations", [each.summary(details) for each in chosen])

    def cancel_command(self) -> EmptyResult:
        command = self.ssm_backend.command(self._get_param("CommandId"))
        chosen = self._get_param("InstanceIds") or list(command.invocations)
        _require_different(chosen)
        for instance_id in chosen:
            if instance_id not in command.invocations:
                raise InvalidInstanceId([instance_id], self.current_account)
            command.invocations[instance_id].cancel()
        return EmptyResult()

    def describe_instance_information(self) -> ActionResult:
        wanted: dict[str, list[str]] = {}
        for each in self._get_param("InstanceInformationFilterList") or []:
            wanted[each["key"]] = each["valueSet"]
        for each in self._get_param("Filters") or []:
            wanted[each["Key"]] = each["Values"]
        if unknown := sorted(wanted.keys() - {"InstanceIds", "PingStatus"}):
            raise SSMException(
                "InvalidFilterKey", f"The local AWS filters by InstanceIds and PingStatus, not {unknown[0]}."
            )
        answers = [
            _information(instance)
            for instance in self.ssm_backend.instances()
            if instance.id in wanted.get("InstanceIds", [instance.id])
            and PING[instance.state] in wanted.get("PingStatus", PING.values())
        ]
        return self._paged("InstanceInformationList", answers)


def _require_different(instance_ids: list[str]) -> None:
    if twice := next((each for each in instance_ids if instance_ids.count(each) > 1), None):
        raise SSMException("DuplicateInstanceId", f"The instance {twice} is named more than once.")


def _information(instance: LocalInstance) -> dict[str, Any]:
    return {
        "InstanceId": instance.id,
        "PingStatus": PING[instance.state],
        "LastPingDateTime": utcnow() if instance.state == "running" else None,
        "AgentVersion": "3.3.0.0",  # the version whose behaviour is kept to
        "IsLatestVersion": True,
        "PlatformType": "Linux" if platform.system() == "Linux" else platform.system(),
        "PlatformName": platform.system(),
        "PlatformVersion": platform.release(),
        "ResourceType": "EC2Instance",
        "IPAddress": instance.private_ip,
        "ComputerName": instance.private_dns_name,
    }


def _restore() -> None:
    """After a start: what ran before did not come to its end."""
    for regions in list(ssm_backends.values()):
        for backend in list(regions.values()):
            for command in backend.commands.values():
                command.lose("The local AWS was stopped while the command ran.")


def _reduce_parameters(parameters: ParameterDict) -> tuple:
    """How to pickle moto's parameters: its dictionary is made with other arguments than Python expects of it."""
    return (
        ParameterDict,
        (parameters.account_id, parameters.region_name),
        vars(parameters),
        None,
        iter(parameters.items()),
    )


def install() -> None:
    ParameterDict.__reduce__ = _reduce_parameters
    ssm_backends.backend = LocalSSMBackend
    urls.url_paths = dict.fromkeys(urls.url_paths, LocalSSMResponse.dispatch)
    state.register("ssm", restore=_restore)
