"""An EC2 instance as a directory and the processes that run in it.

What it has of a machine: a first process that lives as long as the instance runs, user data that it runs at the first
boot as cloud-init would, a console, and a `shutdown` that stops it. What it has not: an operating system of its own.
Scripts run as the user who runs the local AWS, and see this machine's files; their working directory, their HOME and
TMPDIR are in the instance's root, so a script that uses paths relative to `/` on AWS keeps to that root here.
"""

import gzip
import shlex
import shutil
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from moto.ec2.models import ec2_backends

from localaws import images
from localaws.context import ACCOUNT_ID, context
from localaws.services.ec2 import shutdown
from localaws.services.iam.service_roles import EC2, ServiceRole, credentials_address
from localaws.supervisor import Child

STOP_SECONDS = 10.0
CONSOLE_BYTES = 64 * 1024  # what EC2 keeps of a console
FIRST_PROCESS = Path(__file__).with_name("init.sh")
DNF = Path(__file__).with_name("dnf.sh")


class UserDataRefused(Exception):
    """User data in a form that the local instance does not take."""


def read_user_data(content: bytes) -> str:
    """The script that user data holds. Raises UserDataRefused for the other forms that cloud-init knows."""
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    text = content.decode("utf-8", "replace")
    if not text.startswith("#!"):
        form = "cloud-config" if text.startswith("#cloud-config") else "not a script that begins with #!"
        raise UserDataRefused(f"user data is {form}: a local instance runs scripts only")
    return text


class InstanceMachine:
    """One instance's directory and processes. It has no state: that is what its processes are."""

    def __init__(self, instance_id: str, region: str):
        self.instance_id = instance_id
        self.region = region
        self.directory = context().home / "instances" / instance_id
        self.root = self.directory / "root"
        self.console = self.directory / "console.log"
        self.owner = f"instance/{instance_id}"

    def boot(self, user_data: bytes | None, on_end: Callable[[int], None]) -> Child:
        """Start the first process, which runs the user data if there is any; `on_end` is called when it has ended."""
        for name in ("root", "tmp", "sbin"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self._write_shutdown()
        self._write_system()
        script = ""
        if user_data:
            path = self.root / "var/lib/cloud/instance/user-data.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                path.write_text(read_user_data(user_data))
                path.chmod(0o700)
                script = str(path)
            except (UserDataRefused, OSError, EOFError, zlib.error) as error:
                with self.console.open("a") as console:
                    console.write(f"user data refused: {error}\n")
        argv = ["sh", str(FIRST_PROCESS), script]
        return self.start(argv, self.root, self.console, on_end)

    def start(
        self, argv: list[str], cwd: Path, log: Path, on_end: Callable[[int], None], variables: Mapping[str, str] = {}
    ) -> Child:
        """Start a process of the instance, with variables of its own if it has any."""
        credentials = credentials_address(self.role)
        environment = {**context().child_environment(self.region, credentials=credentials), **variables}
        environment["PATH"] = f"{self.root / 'sbin'}:{environment['PATH']}"
        environment["HOME"] = str(self.root / "root")
        environment["TMPDIR"] = str(self.root / "tmp")
        return context().supervisor.spawn(self.owner, argv, env=environment, cwd=cwd, log=log, on_exit=on_end)

    def role(self) -> ServiceRole | None:
        """The role of the instance's profile, as it is at the moment; None without a profile."""
        associations = ec2_backends[ACCOUNT_ID][self.region].iam_instance_profile_associations
        association = associations.get(self.instance_id)
        roles = association.iam_instance_profile.roles if association else []
        return ServiceRole(roles[0].arn, EC2, self.instance_id, self.region) if roles else None

    def halt(self) -> None:
        """End all of the instance's processes."""
        context().supervisor.stop_owner(self.owner, STOP_SECONDS)

    def erase(self) -> None:
        """Remove the instance's directory. Only when it is halted."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def inside(self, path: str) -> Path:
        """A path of the instance as a path of this machine. Raises ValueError where it leads out of the instance."""
        found = (self.root / path.lstrip("/")).resolve()
        if not found.is_relative_to(self.root.resolve()):
            raise ValueError(f"{path} leads out of the instance")
        return found

    def console_output(self) -> str:
        """The end of what the console has shown."""
        if not self.console.exists():
            return ""
        return self.console.read_bytes()[-CONSOLE_BYTES:].decode("utf-8", "replace")

    def _write_system(self) -> None:
        """What Amazon Linux has, if its environment is prepared: `python3.12`, and a `dnf` that has it to install."""
        system = images.environment(images.AMAZON_LINUX)
        if system.image is None:
            return
        packages = f"python{system.image.python}", f"python{system.image.python}-pip"
        programs = {
            packages[0]: f'exec {shlex.quote(system.python)} "$@"\n',
            "dnf": f"packages={shlex.quote(' '.join(packages))}\n{DNF.read_text()}",
        }
        for name, text in programs.items():
            self._write_program(name, text)
        with self.console.open("a") as console:
            console.write(f"This instance runs with {system.description}.\n")

    def _write_program(self, name: str, text: str) -> None:
        path = self.root / "sbin" / name
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)

    def _write_shutdown(self) -> None:
        """`shutdown` is the one command that stands for the machine itself; all others are this machine's own."""
        address = f"{context().endpoint_url}/_localaws/instances/{self.instance_id}/shutdown"
        command = shlex.join([context().python, "-I", str(Path(shutdown.__file__).resolve()), address])
        self._write_program("shutdown", f'exec {command} "$@"\n')
