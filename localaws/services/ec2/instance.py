"""An EC2 instance that runs: moto's, with a machine, whose processes decide what state it is in."""

import base64
import copy
import threading
from collections.abc import Callable
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance, InstanceState, StateReason
from moto.ec2.models.security_groups import SecurityGroup

from localaws import state
from localaws.services.ec2 import limits
from localaws.services.ec2.machine import InstanceMachine

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
LIVE = ("pending", "running")

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

    # Set by `options.apply`; instances of earlier states do not have them.
    cpu_options: dict[str, Any] | None = None
    enclave_options: dict[str, Any] | None = None
    private_dns_name_options: dict[str, Any] | None = None
    maintenance_options: dict[str, Any] | None = None
    capacity_reservation_specification: dict[str, Any] | None = None
    cpu_credits: str | None = None
    spot_request: dict[str, Any] | None = None

    def __init__(self, *arguments: Any, **settings: Any):
        super().__init__(*arguments, **settings)
        self.boots = 0
        self.enter("pending")
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
    def instance_lifecycle(self) -> str | None:
        return self.lifecycle

    @property
    def spot_instance_request_id(self) -> str | None:
        return self.spot_request["SpotInstanceRequestId"] if self.spot_request else None

    @property
    def network_interfaces(self) -> list[NetworkInterface]:
        return [] if self.state == "terminated" else super().network_interfaces

    @property
    def machine(self) -> InstanceMachine:
        return InstanceMachine(self.id, self.ec2_backend.region_name)

    def enter(self, name: str) -> None:
        """Be in a state, by its name."""
        self._state = InstanceState(name, CODES[name])

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
                self.enter("running")
                return
        self.machine.halt()  # stopped again while it booted

    def start(self) -> InstanceState:
        with _lock:
            if self.state in LIVE:
                return copy.copy(self._state)
            if self.state != "stopped":
                raise IncorrectInstanceState(self, "started")
            limits.require(self.ec2_backend.all_instances(), self.instance_type, 1, limits.is_spot(self))
            previous = super().start()
            self.enter("pending")
        self.boot()
        return previous

    def stop(self) -> InstanceState:
        return self._leave(super().stop, "stopping", "stopped", None)

    def terminate(self) -> InstanceState:
        return self._leave(super().terminate, "shutting-down", "terminated", self._let_go)

    def _let_go(self) -> None:
        """The last of an instance: its directory is erased, and interfaces that outlive it are free again."""
        self.machine.erase()
        for interface in self.nics.values():
            if interface.instance is self:
                interface.instance = interface.attachment_id = interface.attach_time = interface.device_index = None
                interface.status = "available"
        if self.spot_request:
            self.spot_request |= {"State": "closed", "Status": {"Code": "instance-terminated-by-user"}}

    def reboot(self) -> None:
        with _lock:
            if self.state != "running":
                raise IncorrectInstanceState(self, "rebooted")
            self.boots += 1  # the old first process is not heard any more
            self.enter("pending")

        def again() -> None:
            self.machine.halt()
            if self.state == "pending":
                self.boot()

        threading.Thread(target=again, name=f"reboot {self.id}", daemon=True).start()

    def plan_shutdown(self, minutes: float | None) -> None:
        """Shut down in some minutes, or, for None, not at all. A new plan takes the place of the one before."""
        with _lock:
            if planned := _timers.pop(self.id, None):
                planned.cancel()
            if minutes is not None:
                timer = _timers[self.id] = threading.Timer(minutes * 60, self.shut_down)
                timer.daemon = True
                timer.start()

    def shut_down(self) -> None:
        """What `shutdown` in the instance does: stop it, or terminate it, as it was launched to."""
        with _lock:
            if self.state not in LIVE:
                return
            terminate = self.instance_initiated_shutdown_behavior == "terminate"
            (self.terminate if terminate else self.stop)()
            self._say("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
        state.touch()

    def interrupt(self) -> None:
        """EC2 takes the machine back: a spot instance is terminated, another one is stopped."""
        with _lock:
            if self.state not in LIVE:
                return
            if limits.is_spot(self):
                self.terminate()
                self._say("Server.SpotInstanceTermination", "Spot instance termination")
            else:
                self.stop()
                self._say("Server.ScheduledStop", "Stopped due to a scheduled retirement")
        state.touch()

    def lose(self, code: str, message: str) -> None:
        """Enter `stopped` because the processes are gone already."""
        with _lock:
            super().stop()
            self.enter("stopped")
            self._say(code, message)

    def _leave(
        self, moto_action: Callable[[], InstanceState], passing: str, final: str, last: Callable[[], None] | None
    ) -> InstanceState:
        """Go to `final` by way of `passing`, which lasts until the processes have ended."""
        with _lock:
            if self.state in (passing, final) or self.state == "terminated":
                return copy.copy(self._state)
            previous = moto_action()
            self.enter(passing)
        self.plan_shutdown(None)

        def end() -> None:
            self.machine.halt()
            if last is not None:
                last()
            with _lock:
                if self.state == passing:
                    self.enter(final)
            state.touch()

        threading.Thread(target=end, name=f"{passing} {self.id}", daemon=True).start()
        return previous

    def _ended(self, boot: int) -> None:
        """The first process has ended. It is an error only if nobody asked for it."""
        with _lock:
            if boot != self.boots or self.state not in LIVE:
                return
        self.lose("Server.InternalError", "The instance's first process ended")
        threading.Thread(target=self.machine.halt, daemon=True).start()
        state.touch()

    def _say(self, code: str, message: str) -> None:
        self._reason = f"{message} ({utcnow():%Y-%m-%d %H:%M:%S} UTC)"
        self.state_reason = StateReason(f"{code}: {message}", code)
