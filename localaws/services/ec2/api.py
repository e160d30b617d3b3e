"""EC2: instances that run. Their states follow their processes: `running` is a first process that lives.

An instance that ran when the local AWS was stopped comes back `stopped`, as after a power cut: its directory is kept,
and StartInstances boots it again.
"""

import json
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.core.responses import ActionResult
from moto.core.types import Base64EncodedString
from moto.core.utils import utcnow
from moto.ec2 import urls
from moto.ec2.models import EC2Backend, ec2_backends, instances
from moto.ec2.models.instances import Reservation
from moto.ec2.responses import EC2Response

from localaws import state
from localaws.context import ACCOUNT_ID
from localaws.errors import Answer, answer, status_line
from localaws.operations import STORED, level
from localaws.services.ec2 import limits, options, rules
from localaws.services.ec2.instance import LIVE, LocalInstance

STOPPED = ("Server.InternalError", "The local AWS was stopped while the instance ran")

_SHUTDOWN = re.compile(r"/_localaws/instances/(i-[0-9a-f]+)/shutdown")


class LocalEC2Backend(EC2Backend):
    """One region's EC2."""

    @property
    def _url_module(self) -> Any:
        return urls

    def run_instances(
        self, image_id: str, count: int, user_data: Any, security_group_names: list[str], **settings: Any
    ) -> Reservation:
        instance_type = settings.get("instance_type", "m1.small")
        if settings.get("is_instance_type_default") and settings.get("launch_template"):
            template = self._get_template_from_args(settings["launch_template"]).data
            instance_type = template.get("InstanceType") or instance_type
        spot = bool(settings.get("instance_market_options")) or settings.get("lifecycle") == "spot"
        if image_id and not image_id.startswith("resolve:ssm:"):
            self.describe_images(ami_ids=[image_id])  # raises InvalidAMIID.NotFound
        limits.require(self.all_instances(), instance_type, count, spot)
        reservation = super().run_instances(image_id, count, user_data, security_group_names, **settings)
        for instance in reservation.instances:
            instance.boot()
        return reservation

    def modify_security_group_rules(self, group_id: str, rules: dict[str, dict[str, Any]]) -> None:
        """moto wants ports of every rule. One of all protocols (-1) has none, and takes none on AWS."""
        of_all = [name for name, each in rules.items() if each.get("IpProtocol") == "-1"]
        with_ports = {name: {"FromPort": -1, "ToPort": -1, **rules[name]} for name in of_all}
        super().modify_security_group_rules(group_id, {**rules, **with_ports})
        group = self.get_security_group_by_name_or_id(group_id)
        for rule in (group.get_rule(name) for name in of_all):
            rule.from_port = rule.to_port = None


class LocalEC2Response(EC2Response):
    """One request to EC2."""

    def create_tags(self) -> ActionResult:
        for tag in self._get_param("Tags", []):
            tag.setdefault("Value", "")  # API reference of CreateTags: without a value, an empty one
        return super().create_tags()

    def run_instances(self) -> ActionResult:
        answer = super().run_instances()
        for instance in answer.result.instances:
            options.apply(instance, self.params)
        return answer

    def describe_spot_instance_requests(self) -> ActionResult:
        """Those of moto's, and those of the instances that were launched with a market type."""
        wanted, own = self._get_param("SpotInstanceRequestIds", []), self._spot_requests()
        if wanted and set(wanted) <= own.keys():
            return ActionResult({"SpotInstanceRequests": [own[each] for each in wanted]})
        answer = super().describe_spot_instance_requests()
        requests = answer.result["SpotInstanceRequests"]
        more = [] if wanted or self._filters_from_querystring() else list(own.values())
        return ActionResult({"SpotInstanceRequests": [*requests, *more]})

    def cancel_spot_instance_requests(self) -> ActionResult:
        """The instances of cancelled requests run on."""
        wanted, own = self._get_param("SpotInstanceRequestIds", []), self._spot_requests()
        if not set(wanted) <= own.keys():
            return super().cancel_spot_instance_requests()
        for each in wanted:
            own[each]["State"] = "cancelled"
        cancelled = [{"SpotInstanceRequestId": each, "State": "cancelled"} for each in wanted]
        return ActionResult({"CancelledSpotInstanceRequests": cancelled})

    def _spot_requests(self) -> dict[str, dict[str, Any]]:
        """The requests that belong to instances launched with a market type, by their identifiers."""
        requests = [each.spot_request for each in self.ec2_backend.all_instances()]
        return {request["SpotInstanceRequestId"]: request for request in requests if request}

    def monitor_instances(self) -> ActionResult:
        return self._monitoring("enabled", "pending")

    def unmonitor_instances(self) -> ActionResult:
        return self._monitoring("disabled", "disabling")

    def _monitoring(self, state: str, answered: str) -> ActionResult:
        self.error_on_dryrun()
        instances = self.ec2_backend.get_multi_instances_by_id(self._get_param("InstanceIds", []))
        for instance in instances:
            instance.monitoring_state = state
        listed = [{"InstanceId": each.id, "Monitoring": {"State": answered}} for each in instances]
        return ActionResult({"InstanceMonitorings": listed})

    def modify_instance_maintenance_options(self) -> ActionResult:
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        wanted = {name: self._get_param(name) for name in ("AutoRecovery", "RebootMigration")}
        changes = {name: value for name, value in wanted.items() if value}
        instance.maintenance_options = {**(instance.maintenance_options or {}), **changes}
        return ActionResult({"InstanceId": instance.id, **changes})

    def modify_instance_capacity_reservation_attributes(self) -> ActionResult:
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        instance.capacity_reservation_specification = self._get_param("CapacityReservationSpecification")
        return ActionResult({"Return": True})

    def describe_instance_credit_specifications(self) -> ActionResult:
        wanted = self._get_param("InstanceIds", [])
        instances = [each for each in self.ec2_backend.all_instances() if not wanted or each.id in wanted]
        credits = [{"InstanceId": each.id, "CpuCredits": each.cpu_credits or "standard"} for each in instances]
        return ActionResult({"InstanceCreditSpecifications": credits})

    def modify_instance_credit_specification(self) -> ActionResult:
        asked = self._get_param("InstanceCreditSpecifications", [])
        for each in asked:
            self.ec2_backend.get_instance(each["InstanceId"]).cpu_credits = each["CpuCredits"]
        changed = [{"InstanceId": each["InstanceId"]} for each in asked]
        return ActionResult({"SuccessfulInstanceCreditSpecifications": changed})

    def modify_private_dns_name_options(self) -> ActionResult:
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        wanted = {
            "HostnameType": self._get_param("PrivateDnsHostnameType"),
            **{name: self._get_param(name) for name in options.NAME_OPTIONS if name != "HostnameType"},
        }
        kept = instance.private_dns_name_options or options.NAME_OPTIONS
        changes = {name: value for name, value in wanted.items() if value is not None}
        instance.private_dns_name_options = {**kept, **changes}
        return ActionResult({"Return": True})

    def get_console_output(self) -> ActionResult:
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        output = Base64EncodedString.from_raw_string(instance.machine.console_output())
        return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), "Output": output})

    def _security_grp_instance_attribute_handler(self) -> bool:
        """The last of moto's handlers takes any attribute that it does not know for an empty list of groups."""
        if self._get_param("Groups"):
            return super()._security_grp_instance_attribute_handler()
        behaviour = self._get_param("InstanceInitiatedShutdownBehavior.Value")
        if behaviour is None:
            return False
        self.error_on_dryrun()
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        instance.instance_initiated_shutdown_behavior = behaviour
        return True


def all_instances() -> list[LocalInstance]:
    """The instances of all regions, the terminated ones with them."""
    return [instance for backend in list(ec2_backends[ACCOUNT_ID].values()) for instance in backend.all_instances()]


def matches(environ: dict[str, Any]) -> bool:
    """Whether a request comes from an instance's `shutdown`."""
    return environ["REQUEST_METHOD"] == "POST" and bool(_SHUTDOWN.fullmatch(environ["PATH_INFO"]))


def application(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
    """Plan an instance's end, in the minutes that the body says, or cancel that. A new plan replaces the old one."""
    instance_id = _SHUTDOWN.fullmatch(environ["PATH_INFO"]).group(1)
    content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode("ascii", "replace")
    found = [instance for instance in all_instances() if instance.id == instance_id and instance.state in LIVE]
    if not found:
        return _answer(start_response, 404, f"{instance_id} does not run.")
    if content != "cancel" and not re.fullmatch(r"\d+(\.\d+)?", content):
        return _answer(start_response, 400, "The body must be a number of minutes, or `cancel`.")
    minutes = None if content == "cancel" else float(content)
    found[0].plan_shutdown(minutes)
    return _answer(start_response, 200, "cancelled" if minutes is None else "planned")


def _answer(start_response: Callable, status: int, message: str) -> Iterable[bytes]:
    body = json.dumps({"message": message}).encode()
    start_response(status_line(status), [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _restore() -> None:
    """After a start: what ran before does not run any more."""
    for instance in all_instances():
        if instance.state in (*LIVE, "stopping"):
            instance.lose(*STOPPED)
        elif instance.state == "shutting-down":
            instance.machine.erase()
            instance.enter("terminated")


def _stop() -> None:
    """Before the local AWS ends: halt all instances, side by side."""
    running = [instance for instance in all_instances() if instance.state in LIVE]
    for instance in running:
        instance.lose(*STOPPED)
    threads = [threading.Thread(target=instance.machine.halt) for instance in running]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def refusal(service: str, environ: dict[str, Any], request: Any) -> Answer | None:
    """The answer to a dry run of a stored operation: moto has many that it carries out all the same.

    Source: "DryRun" in the EC2 API reference, and moto's own status for the code, 412.
    """
    if service != "ec2" or request is None or str(request.params.get("DryRun")).lower() != "true":
        return None
    if level("ec2", request.operation.name) != STORED:
        return None
    return answer("ec2", "DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)


def install() -> None:
    ec2_backends.backend = LocalEC2Backend
    instances.Instance = LocalInstance
    rules.install()
    urls.url_paths = dict.fromkeys(urls.url_paths, LocalEC2Response.dispatch)
    state.register("ec2", restore=_restore, stop=_stop)
