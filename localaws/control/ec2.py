"""EC2: instances that run. Their states follow their processes: `running` is a first process that lives.

An instance that ran when the local AWS was stopped comes back `stopped`, as after a power cut: its directory is kept,
and StartInstances boots it again.
"""

import base64
import copy
import json
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.core.responses import ActionResult
from moto.core.types import Base64EncodedString
from moto.core.utils import utcnow
from moto.ec2 import urls
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend, ec2_backends, instances
from moto.ec2.models.instances import Instance, InstanceState, Reservation, StateReason
from moto.ec2.models.security_groups import SecurityGroup
from moto.ec2.responses import EC2Response

from localaws import state
from localaws.context import ACCOUNT_ID
from localaws.errors import status_line
from localaws.runtime.instance import Machine

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
LIVE = ("pending", "running")

_SHUTDOWN = re.compile(r"/_localaws/instances/(i-[0-9a-f]+)/shutdown")
_lock = threading.RLock()  # over changes of state; never held while processes end
_timers: dict[str, threading.Timer] = {}


class IncorrectInstanceState(EC2ClientError):
    def __init__(self, instance: "LocalInstance", action: str):
        super().__init__(
            "IncorrectInstanceState",
            f"The instance '{instance.id}' is not in a state from which it can be {action}: it is {instance.state}.",
        )


class LocalInstance(Instance):
    """An instance with a machine. `boots` counts its first processes, so that one that is gone is not heard."""

    def __init__(self, *arguments: Any, **settings: Any):
        super().__init__(*arguments, **settings)
        self.boots = 0
        self._enter("pending")
        # An interface made with the instance goes with it, unless the request says otherwise; moto keeps it.
        given = {int(spec["DeviceIndex"]): spec for spec in settings.get("nics") or []}
        for index, interface in self.nics.items():
            if not {"NetworkInterfaceId", "DeleteOnTermination"} & given.get(index, {}).keys():
                interface.delete_on_termination = True

    @property
    def security_groups(self) -> list[SecurityGroup]:
        """Those of the first interface: moto overlooks the groups that a request names there."""
        interface = getattr(self, "nics", {}).get(0)
        return self._groups if interface is None else list(interface._group_set)

    @security_groups.setter
    def security_groups(self, groups: list[SecurityGroup]) -> None:
        self._groups = groups
        if interface := getattr(self, "nics", {}).get(0):
            interface._group_set = list(groups)

    @property
    def machine(self) -> Machine:
        return Machine(self.id, self.ec2_backend.region_name)

    def boot(self) -> None:
        """Start the first process; the first one of all runs the user data."""
        user_data = None
        with _lock:
            if self.boots == 0 and self.user_data is not None:
                user_data = base64.b64decode(str(self.user_data))
            self.boots += 1
            boot = self.boots
        try:
            self.machine.boot(user_data, lambda code: self._ended(boot))
        except (OSError, RuntimeError) as error:
            self.lose("Server.InternalError", f"The instance could not boot: {error}")
            return
        with _lock:
            if self.boots == boot and self.state == "pending":
                self._enter("running")

    def start(self) -> InstanceState:
        with _lock:
            if self.state in LIVE:
                return copy.copy(self._state)
            if self.state != "stopped":
                raise IncorrectInstanceState(self, "started")
            previous = super().start()
            self._enter("pending")
        self.boot()
        return previous

    def stop(self) -> InstanceState:
        return self._leave(super().stop, "stopping", "stopped", None)

    def terminate(self) -> InstanceState:
        return self._leave(super().terminate, "shutting-down", "terminated", self.machine.erase)

    def reboot(self) -> None:
        with _lock:
            if self.state != "running":
                raise IncorrectInstanceState(self, "rebooted")
            self.boots += 1  # the old first process is not heard any more
            self._enter("pending")

        def again() -> None:
            self.machine.halt()
            self.boot()

        threading.Thread(target=again, name=f"reboot {self.id}", daemon=True).start()

    def shut_down(self) -> None:
        """What `shutdown` in the instance does: stop it, or terminate it, as it was launched to."""
        with _lock:
            if self.state not in LIVE:
                return
            terminate = self.instance_initiated_shutdown_behavior == "terminate"
            (self.terminate if terminate else self.stop)()
            self._say("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
        state.touch()

    def lose(self, code: str, message: str) -> None:
        """Enter `stopped` because the processes are gone already."""
        with _lock:
            super().stop()
            self._enter("stopped")
            self._say(code, message)

    def _leave(
        self, moto_action: Callable[[], InstanceState], passing: str, final: str, last: Callable[[], None] | None
    ) -> InstanceState:
        """Go to `final` by way of `passing`, which lasts until the processes have ended."""
        with _lock:
            if self.state in (passing, final) or self.state == "terminated":
                return copy.copy(self._state)
            previous = moto_action()
            self._enter(passing)
        if timer := _timers.pop(self.id, None):
            timer.cancel()

        def end() -> None:
            self.machine.halt()
            if last is not None:
                last()
            with _lock:
                if self.state == passing:
                    self._enter(final)
            state.touch()

        threading.Thread(target=end, name=f"{passing} {self.id}", daemon=True).start()
        return previous

    def _ended(self, boot: int) -> None:
        """The first process has ended. That is news only where nobody asked for it."""
        with _lock:
            if boot != self.boots or self.state not in LIVE:
                return
        self.lose("Server.InternalError", "The instance's first process ended")
        threading.Thread(target=self.machine.halt, daemon=True).start()
        state.touch()

    def _enter(self, name: str) -> None:
        self._state = InstanceState(name, CODES[name])

    def _say(self, code: str, message: str) -> None:
        self._reason = f"{message} ({utcnow():%Y-%m-%d %H:%M:%S} UTC)"
        self.state_reason = StateReason(f"{code}: {message}", code)


class LocalEC2Backend(EC2Backend):
    """One region's EC2."""

    @property
    def _url_module(self) -> Any:
        return urls

    def run_instances(self, *arguments: Any, **settings: Any) -> Reservation:
        reservation = super().run_instances(*arguments, **settings)
        for instance in reservation.instances:
            instance.boot()
        return reservation


class LocalEC2Response(EC2Response):
    """One request to EC2."""

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
    with _lock:
        if planned := _timers.pop(instance_id, None):
            planned.cancel()
        if content == "cancel":
            return _answer(start_response, 200, "cancelled")
        timer = threading.Timer(float(content) * 60, found[0].shut_down)
        timer.daemon = True
        _timers[instance_id] = timer
        timer.start()
    return _answer(start_response, 200, "planned")


def _answer(start_response: Callable, status: int, message: str) -> Iterable[bytes]:
    body = json.dumps({"message": message}).encode()
    start_response(status_line(status), [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _restore() -> None:
    """After a start: what ran before does not run any more."""
    for instance in all_instances():
        if instance.state in (*LIVE, "stopping"):
            instance.lose("Server.InternalError", "The local AWS was stopped while the instance ran")
        elif instance.state == "shutting-down":
            instance.machine.erase()
            instance._enter("terminated")


def _stop() -> None:
    """Before the local AWS ends: halt all instances, side by side."""
    running = [instance for instance in all_instances() if instance.state in LIVE]
    for instance in running:
        instance.lose("Server.InternalError", "The local AWS was stopped while the instance ran")
    threads = [threading.Thread(target=instance.machine.halt) for instance in running]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def install() -> None:
    ec2_backends.backend = LocalEC2Backend
    instances.Instance = LocalInstance
    urls.url_paths = dict.fromkeys(urls.url_paths, LocalEC2Response.dispatch)
    state.register("ec2", restore=_restore, stop=_stop)
