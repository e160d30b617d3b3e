"""The training container's contract: the folders, the `SM_*` variables and the command line of script mode.

What `sagemaker-training` and `sagemaker-pytorch-training` do inside AWS's image is done here to a folder in the
place of `/opt/ml`, for one host of a job:

    input/config/{hyperparameters,inputdataconfig,resourceconfig}.json   input/data/<channel>/
    code/   model/   output/data/   checkpoints/ (where the job asked for them)

The differences: containers share this machine, so the master's address is 127.0.0.1 and its port the job's own, and a
host of several has its share of the processors (SM_NUM_CPUS, OMP_NUM_THREADS), as nothing else would keep two from
running twice the threads there are processors for; and `requirements.txt` is installed next to the code, and only where
this interpreter does not satisfy it already.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

PROGRAM, SUBMIT_DIRECTORY = "sagemaker_program", "sagemaker_submit_directory"
# Those that the toolkit keeps for itself; any other beginning with `sagemaker_` goes to SM_FRAMEWORK_PARAMS.
OWN_HYPERPARAMETERS = {
    PROGRAM,
    SUBMIT_DIRECTORY,
    "sagemaker_enable_cloudwatch_metrics",
    "sagemaker_region",
    "sagemaker_container_log_level",
    "sagemaker_job_name",
    "default_user_module_name",
    "_tuning_objective_metric",
    "sagemaker_s3_output",
}
TORCHRUN = "sagemaker_torch_distributed_enabled"  # of the SDK's kinds of `distribution`, the one that runs here
GROUP = "homogeneousCluster"
LAUNCHER = Path(__file__).with_name("launch_on_loopback.py")
# A path inside the code folder, without anything that a shell or an interpreter would read as something else.
_SAFE_PROGRAM = re.compile(r"^[A-Za-z0-9._][A-Za-z0-9._+-]*(/[A-Za-z0-9._+-]+)*$")


class ContractError(Exception):
    """A job that the container would refuse; the message is fit to be a FailureReason."""


@dataclass(frozen=True)
class Host:
    """One container of a job: its name among `names`, and the folder `base` it has in the place of /opt/ml."""

    INVOKING: ClassVar[str] = "Invoking script with the following command:"  # in its log, before the program's output

    job: str
    base: Path
    name: str
    names: tuple[str, ...]
    instance_type: str

    @property
    def code(self) -> Path:
        return self.base / "code"

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def output(self) -> Path:
        return self.base / "output"

    @property
    def checkpoints(self) -> Path:
        return self.base / "checkpoints"

    @property
    def packages(self) -> Path:
        """Where requirements are installed that the interpreter does not bring."""
        return self.base / "packages"

    @property
    def log(self) -> Path:
        return self.base.parent / f"{self.name}.log"

    def channel(self, name: str) -> Path:
        return self.base / "input" / "data" / name

    def prepare(self, hyperparameters: dict[str, str], channels: dict[str, dict[str, str]]) -> None:
        """Make the folders and write the configuration files. `channels` as in inputdataconfig.json."""
        config = self.base / "input" / "config"
        for folder in (config, self.code, self.model, self.output / "data", *map(self.channel, channels)):
            folder.mkdir(parents=True, exist_ok=True)
        resources = {
            "current_host": self.name,
            "current_instance_type": self.instance_type,
            "current_group_name": GROUP,
            "hosts": list(self.names),
            "instance_groups": [
                {"instance_group_name": GROUP, "instance_type": self.instance_type, "hosts": list(self.names)}
            ],
            "network_interface_name": loopback_interface(),
        }
        (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
        (config / "inputdataconfig.json").write_text(json.dumps(channels))
        (config / "resourceconfig.json").write_text(json.dumps(resources))

    def _config(self, name: str) -> dict[str, Any]:
        return json.loads((self.base / "input" / "config" / f"{name}.json").read_text())


def variables(host: Host, given: Mapping[str, str], region: str) -> dict[str, str]:
    """All variables that a program gets from its job and from the toolkit.

    `given` are the job's own. The toolkit writes its variables into the container's environment, so they replace
    those of the job; of PYTHONPATH the job's part comes after the code.
    """
    own, _, _ = split_hyperparameters(host._config("hyperparameters"))
    path = (str(host.code), given.get("PYTHONPATH", ""), str(host.packages))
    return {
        **given,
        "CURRENT_HOST": host.name,
        "SAGEMAKER_JOB_NAME": str(own.get("sagemaker_job_name", "")),
        "SAGEMAKER_REGION": str(own.get("sagemaker_region", region)),
        "PYTHONPATH": os.pathsep.join(part for part in path if part),
        **environment(host, given),
    }


def program_of(host: Host, given: Mapping[str, str] = MappingProxyType({})) -> object:
    """The name of the program: the job's variable SAGEMAKER_PROGRAM, or the hyperparameter."""
    return given.get("SAGEMAKER_PROGRAM") or split_hyperparameters(host._config("hyperparameters"))[0].get(PROGRAM)


def environment(host: Host, given: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """The `SM_*` variables of a prepared host. `given` are the variables of the job."""
    own, framework, hyperparameters = split_hyperparameters(host._config("hyperparameters"))
    resources, channels = host._config("resourceconfig"), host._config("inputdataconfig")
    program = program_of(host, given)
    module = str(program).removesuffix(".py")
    hosts = resources["hosts"]
    distributed = [GROUP] if _is_distributed(framework) else []
    arguments = command_arguments(hyperparameters)
    directories = {name: str(host.channel(name)) for name in channels}
    common = {
        "current_host": host.name,
        "current_instance_type": host.instance_type,
        "current_instance_group": GROUP,
        "current_instance_group_hosts": hosts,
        "distribution_instance_groups": distributed,
        "hosts": hosts,
        "input_config_dir": str(host.base / "input" / "config"),
        "input_data_config": channels,
        "input_dir": str(host.base / "input"),
        "instance_groups": [GROUP],
        "instance_groups_dict": {GROUP: resources["instance_groups"][0]},
        "is_hetero": False,
        "log_level": own.get("sagemaker_container_log_level", 20),
        "model_dir": str(host.model),
        "module_dir": str(own.get(SUBMIT_DIRECTORY, host.code)),
        "module_name": module,
        "network_interface_name": resources["network_interface_name"],
        "num_cpus": processors(host),
        "num_gpus": count_gpus(),
        "num_neurons": 0,
        "output_data_dir": str(host.output / "data"),
        "output_dir": str(host.output),
        "output_intermediate_dir": str(host.output / "intermediate"),
        "resource_config": resources,
        "user_entry_point": program,
    }
    training_env = {
        **common,
        "additional_framework_parameters": framework,
        "channel_input_dirs": directories,
        "distribution_hosts": hosts if distributed else [],
        "framework_module": None,
        "hyperparameters": hyperparameters,
        "is_modelparallel_enabled": None,
        "is_smddpmprun_installed": False,
        "is_smddprun_installed": False,
        "is_master": host.name == hosts[0],
        "job_name": host.job,
        "master_hostname": hosts[0],
        "topology": [],
    }
    named = {
        **common,
        "channels": sorted(directories),
        "framework_module": None,
        "framework_params": framework,
        "hps": hyperparameters,
        "training_env": training_env,
        "user_args": arguments,
        **{f"channel_{name}": path for name, path in directories.items()},
        **{f"hp_{name}": value for name, value in hyperparameters.items()},
    }
    return {f"SM_{name.upper()}": _as_variable(value) for name, value in named.items()}


def is_package(host: Host, program: str) -> bool:
    """Whether the source directory is a package (`setup.py`): it is installed, and the program is its module."""
    return not program.endswith(".sh") and (host.code / "setup.py").is_file()


def command(host: Host, python: str, master_port: int, given: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """The command that runs the job's program on a prepared host. Raises ContractError for a program that is none.

    `given` are the variables of the job.
    """
    _, framework, hyperparameters = split_hyperparameters(host._config("hyperparameters"))
    program = check_program(host, program_of(host, given))
    arguments = command_arguments(hyperparameters)
    if _is_distributed(framework):
        if is_package(host, program) or not program.endswith(".py"):
            raise ContractError("torchrun takes a Python script as entry point, no package and no other program.")
        per_host = framework.get("sagemaker_mpi_num_of_processes_per_host", count_gpus() or 1)
        launcher = [str(Path(python).with_name("torchrun")), "--nnodes", str(len(host.names))]
        launcher += ["--nproc_per_node", str(per_host)]
        launcher += ["--master_addr", "127.0.0.1", "--master_port", str(master_port)]
        if len(host.names) > 1:
            launcher += ["--node_rank", str(host.names.index(host.name))]
        return [*launcher, program, *arguments]
    if is_package(host, program):
        return [python, "-m", program.removesuffix(".py"), *arguments]
    if program.endswith(".py"):
        return [python, program, *arguments]
    return ["/bin/sh", "-c", './"$0" "$@"', program, *arguments]


def on_loopback(argv: list[str], python: str) -> list[str]:
    """A command, with a launcher in the place of torchrun that listens on 127.0.0.1 only. Others stay as they are."""
    if Path(argv[0]).name != "torchrun":
        return argv
    return [python, "-P", str(LAUNCHER), *argv[1:]]


def check_program(host: Host, program: object) -> str:
    """The program's name, if it is one that exists in the code folder. Raises ContractError."""
    if not program:
        raise ContractError(
            "The training entry point name is empty. Set the 'sagemaker_program' hyperparameter to the name of the "
            "script to run, relative to your source directory."
        )
    name = str(program)
    if not _SAFE_PROGRAM.match(name) or {".", ".."} & set(name.split("/")):
        raise ContractError(f"The training entry point {name!r} must be a plain path inside your source directory.")
    if is_package(host, name):  # its module may be anywhere in the package
        return name
    if not (host.code / name).is_file():
        found = ", ".join(sorted(path.name for path in host.code.iterdir())) or "nothing"
        raise ContractError(f"The training entry point {name!r} is not in the source directory, which holds {found}.")
    if not name.endswith(".py"):
        (host.code / name).chmod(0o755)
    return name


def split_hyperparameters(texts: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The toolkit's own, the framework's and the user's hyperparameters, each text read as JSON where it is JSON."""
    values = {name: _as_json(text) for name, text in texts.items()}
    own = {name: value for name, value in values.items() if name in OWN_HYPERPARAMETERS}
    framework = {name: value for name, value in values.items() if name.startswith("sagemaker_") and name not in own}
    user = {name: value for name, value in values.items() if name not in own and name not in framework}
    return own, framework, user


def unsupported_launcher(texts: dict[str, str]) -> str | None:
    """The hyperparameter that asks for a launcher other than torchrun: MPI, smdistributed, a parameter server, …"""
    framework = split_hyperparameters(texts)[1]
    chosen = (name for name, value in framework.items() if name.endswith("_enabled") and value)
    return next((name for name in chosen if name != TORCHRUN), None)


def command_arguments(hyperparameters: dict[str, Any]) -> list[str]:
    """`--name value` for each, sorted by name; `-n value` for a name of one letter; a map as `a=1,b=2`."""
    arguments = []
    for name, value in sorted(hyperparameters.items()):
        if isinstance(value, dict):
            value = ",".join(f"{key}={item}" for key, item in sorted(value.items()))
        arguments += [f"--{name}" if len(name) > 1 else f"-{name}", "" if value is None else str(value)]
    return arguments


def say(host: Host, text: str) -> None:
    """Write a line of the container's own to its log."""
    with host.log.open("a") as file:
        file.write(f"{text}\n")


def processors(host: Host) -> int:
    """How many processors a host has for itself: the instances of a job share this machine's."""
    return max(1, (os.cpu_count() or 1) // len(host.names))


def loopback_interface() -> str:
    """The network interface on which the hosts of a job find each other. gloo and NCCL listen on it."""
    return "lo" if Path("/sys/class/net/lo").exists() else "lo0"


def count_gpus() -> int:
    """How many GPUs the driver shows."""
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


def _is_distributed(framework: dict[str, Any]) -> bool:
    return framework.get(TORCHRUN) is True


def _as_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        return text


def _as_variable(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
