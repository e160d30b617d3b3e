"""The training container's contract, held against AWS's own toolkit: same variables, same arguments."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from localaws.services.sagemaker.training import container, entry_point, requirements
from localaws.services.sagemaker.training.container import ContractError, Host

CHANNEL = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
# The toolkit reads its folder when it is imported, so it runs in a process of its own.
TOOLKIT = """
import json, sys
from sagemaker_training import environment
found = environment.Environment()
sys.stdout.write("@@" + json.dumps([found.to_env_vars(), found.to_cmd_args()]))
"""
OWN = {
    "sagemaker_program": "train.py",
    "sagemaker_submit_directory": "s3://bucket/code.tar.gz",
    "sagemaker_region": "us-east-1",
    "sagemaker_job_name": "the-job",
    "sagemaker_container_log_level": "20",
}
ODD = {
    "epochs": "3",
    "lr": "0.1",
    "e": "5",
    "fine-tune": "True",
    "flag": "true",
    "name": "dogs and 'cats'",
    "layers": "[1, 2]",
    "map": '{"b": 1, "a": null}',
    "none": "null",
    "empty": "",
    "unicode": "Äffchen",
    "sagemaker_torch_distributed_enabled": "true",
    "sagemaker_instance_type": "ml.x",
    "_tuning_objective_metric": "loss",
}


def host_of(tmp_path: Path, hyperparameters: dict[str, str], hosts: tuple[str, ...] = ("algo-1",)) -> Host:
    host = Host("the-job", tmp_path / "ml", hosts[-1], hosts, "ml.m5.large")
    host.prepare(hyperparameters, {"train": CHANNEL, "test": {**CHANNEL, "ContentType": "image/jpeg"}})
    (host.code / "train.py").touch()
    return host


@pytest.mark.parametrize("hosts", [("algo-1",), ("algo-1", "algo-2")])
@pytest.mark.parametrize("hyperparameters", [OWN, {**OWN, **ODD}], ids=["plain", "odd"])
def test_the_variables_and_arguments_are_those_of_the_toolkit(tmp_path, hosts, hyperparameters):
    host = host_of(tmp_path, hyperparameters, hosts)
    ran = subprocess.run(
        [sys.executable, "-c", TOOLKIT],
        env={**os.environ, "SAGEMAKER_BASE_DIR": str(host.base), "TRAINING_JOB_NAME": "the-job"},
        capture_output=True,
        text=True,
        check=True,
    )
    variables, arguments = json.loads(ran.stdout.partition("@@")[2])
    ours = container.environment(host)
    # Here the instances of a job share the processors.
    assert int(ours.pop("SM_NUM_CPUS")) == max(1, os.cpu_count() // len(hosts))
    assert int(variables.pop("SM_NUM_CPUS")) == os.cpu_count()
    # The training environment is compared as what it says: it is JSON within a variable.
    told, expected = (json.loads(each.pop("SM_TRAINING_ENV")) for each in (ours, variables))
    assert told == {**expected, "num_cpus": told["num_cpus"]}
    assert ours == variables
    assert container.command(host, sys.executable, 1)[-len(arguments) :] == arguments or not arguments


def test_a_python_program_runs_in_this_interpreter(tmp_path):
    host = host_of(tmp_path, {**OWN, "epochs": "3"})
    assert container.command(host, "/venv/bin/python", 7777) == ["/venv/bin/python", "train.py", "--epochs", "3"]


def test_a_distributed_program_runs_under_torchrun_on_a_port_of_the_jobs_own(tmp_path):
    host = host_of(tmp_path, {**OWN, "sagemaker_torch_distributed_enabled": "true"}, ("algo-1", "algo-2"))
    assert container.command(host, "/venv/bin/python", 7777) == [
        "/venv/bin/torchrun", "--nnodes", "2", "--nproc_per_node", "1",
        "--master_addr", "127.0.0.1", "--master_port", "7777", "--node_rank", "1", "train.py",
    ]  # fmt: skip


def test_a_shell_program_gets_its_arguments_whole(tmp_path):
    host = host_of(tmp_path, {**OWN, "sagemaker_program": "go.sh", "name": "a b; echo c"})
    (host.code / "go.sh").write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    command = container.command(host, sys.executable, 1)
    ran = subprocess.run(command, cwd=host.code, capture_output=True, text=True, check=True)
    assert ran.stdout == "--name|a b; echo c|"


@pytest.mark.parametrize(
    "program", ["", "/bin/sh", "../train.py", "a/../train.py", "-c", "train.py; echo x", "absent.py"]
)
def test_a_program_outside_the_code_folder_is_refused(tmp_path, program):
    host = host_of(tmp_path, {**OWN, "sagemaker_program": program})
    with pytest.raises(ContractError):
        container.command(host, sys.executable, 1)


def test_requirements_are_compared_with_what_this_interpreter_has(tmp_path):
    assert requirements.unsatisfied(tmp_path, sys.executable) == []
    lines = [
        "# comment",
        "pytest",
        "boto3>1.0  # why",
        "boto3<1.0",
        "nobody-has-this",
        "pywin32; sys_platform == 'x'",
        "-r x",
    ]
    (tmp_path / "requirements.txt").write_text("\n".join(lines))
    assert requirements.unsatisfied(tmp_path, sys.executable) == ["boto3<1.0", "nobody-has-this", "-r x"]


@pytest.mark.parametrize(
    ("returncode", "said"), [(1, "ExitCode 1"), (-9, "ExitCode 137"), (-9, "Process killed by SIGKILL"), (-15, "143")]
)
def test_a_reason_gives_the_exit_code_as_a_container_has_it(tmp_path, returncode, said):
    host = host_of(tmp_path, OWN)
    container.say(host, "Traceback (most recent call last):\nKeyError: 'train'\nlogged after it")
    reason = container.failure_reason(host, returncode)
    assert said in reason
    assert "KeyError: 'train'" in reason


@pytest.mark.parametrize(
    ("hyperparameters", "refused"),
    [
        ({"sagemaker_mpi_enabled": "true", "sagemaker_mpi_num_of_processes_per_host": "2"}, "sagemaker_mpi_enabled"),
        ({"sagemaker_pytorch_ddp_enabled": "true"}, "sagemaker_pytorch_ddp_enabled"),
        ({"sagemaker_distributed_dataparallel_enabled": "true"}, "sagemaker_distributed_dataparallel_enabled"),
        ({"sagemaker_parameter_server_enabled": "true"}, "sagemaker_parameter_server_enabled"),
        ({"sagemaker_torch_distributed_enabled": "true"}, None),
        ({"sagemaker_mpi_enabled": "false", "mpi_enabled": "true"}, None),
    ],
)
def test_a_launcher_that_does_not_run_here_is_found(hyperparameters, refused):
    assert container.unsupported_launcher(hyperparameters) == refused


@pytest.mark.parametrize(
    ("algorithm", "argv"),
    [
        ({"ContainerEntrypoint": ["/bin/bash"], "ContainerArguments": ["-c", "exit"]}, ["/bin/bash", "-c", "exit"]),
        ({"ContainerEntrypoint": ["a"]}, ["a"]),
        ({"ContainerArguments": ["a"]}, []),
        ({}, []),
    ],
)
def test_an_entry_point_has_its_arguments(algorithm, argv):
    assert entry_point.entry_point(algorithm) == argv


def test_an_entry_point_finds_its_job_in_opt_ml(tmp_path):
    made = host_of(tmp_path, {}, ("algo-1", "algo-2"))
    program = "echo done > /opt/ml/model/it; cat /etc/hosts; ls -d /usr/bin; exit 3"
    argv = entry_point.command(made, ["/bin/sh", "-c", program], sys.executable)
    ended = subprocess.run(argv, capture_output=True, text=True)
    if "needs root or user namespaces" in ended.stderr:
        pytest.skip("this machine has no mount namespaces")
    assert ended.returncode == 3, ended.stderr
    assert (made.model / "it").read_text() == "done\n"
    assert "127.0.0.1 localhost algo-1 algo-2" in ended.stdout
    assert not Path("/opt/ml/model/it").exists(), "the mounts are the process's own"


def test_an_entry_point_that_is_not_there_is_named(tmp_path):
    argv = entry_point.command(host_of(tmp_path, {}), ["/no/such/program"], sys.executable)
    ended = subprocess.run(argv, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "namespaces" in ended.stderr or "/no/such/program cannot be started" in ended.stderr
