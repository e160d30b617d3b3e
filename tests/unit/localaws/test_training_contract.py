"""The training container's contract, held against AWS's own toolkit: same variables, same arguments."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localaws.services.sagemaker.training import container, entry_point, failure, requirements
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


def test_a_reason_names_what_the_local_aws_ended_for_its_memory(tmp_path):
    host = host_of(tmp_path, OWN)
    container.say(host, "no error in the log")
    reason = failure.failure_reason(
        host, -9, ["python", "train.py"], killed="an ml.m5.large has 8.0 GiB. It is killed."
    )
    assert 'ErrorMessage "an ml.m5.large has 8.0 GiB. It is killed."' in reason
    assert "OutOfMemory: Process killed by SIGKILL" in reason


# --- the real `train` program, side by side ---

# Runs jobs one after the other: the toolkit reads its folder when it is imported, so each job has a process of its own,
# in which everything is imported already but the toolkit.
ORACLE = """
import asyncio, json, logging, os, sys
import boto3, inotify_simple, numpy, paramiko, retrying, scipy.sparse, six
from google.protobuf import descriptor
for line in sys.stdin:
    job = json.loads(line)
    if (child := os.fork()) == 0:
        os.environ.clear()
        os.environ.update(job["environment"])
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1), os.dup2(null, 2)
        from sagemaker_training import entry_point, trainer
        run = entry_point.run
        entry_point.run = lambda *given, **named: run(*given, **{**named, "capture_error": True})  # as PyTorch's image
        trainer.train()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
PROGRAM = """
import json, os, sys
with open(os.path.join(os.environ["SM_MODEL_DIR"], "seen.json"), "w") as file:
    json.dump([dict(os.environ), sys.argv[1:], os.getcwd()], file)
exec(os.environ.get("THEN", ""))
"""
# What the machine or the process around the program decides, and what only one of the two has.
OTHERS = {"PYTHONPATH", "SM_NUM_CPUS", "SM_TRAINING_ENV", "SAGEMAKER_BASE_DIR", "SM_STUDIO_LOCAL_MODE", "LC_CTYPE", "_"}


class Oracle:
    """AWS's own `train` program."""

    def __init__(self) -> None:
        argv = [sys.executable, "-c", ORACLE]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def train(self, host: Host, given: dict[str, str]) -> int:
        """Run a prepared job; gives the container's exit code."""
        base = {"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "us-east-1", "SAGEMAKER_BASE_DIR": str(host.base)}
        job = {"TRAINING_JOB_NAME": host.job, "SM_STUDIO_LOCAL_MODE": "True", **base, **given}
        self._process.stdin.write(json.dumps({"environment": job}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(60)


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    made = Oracle()
    yield made
    made.close()


def seen(host: Host) -> list:
    return json.loads((host.model / "seen.json").read_text())


NAMES = st.sampled_from(["epochs", "lr", "e", "fine-tune", "sagemaker_parameter", "name_of"])
TEXTS = st.sampled_from(
    ["3", "0.1", "true", "null", "", "dogs and 'cats'", "[1, 2]", '{"b": 1}', "Äffchen", "$HOME", "-x"]
)
TRACED = """
import traceback
try:
    raise ValueError("no such breed")
except ValueError:
    traceback.print_exc()
sys.exit("after: it")
"""
ENDS = [
    *(
        "",
        TRACED,
        "raise ValueError('no such breed')",
        "sys.exit(3)",
        "os.kill(os.getpid(), 9)",
        "print('KeyError: no')",
    ),
    "open(os.environ['SM_OUTPUT_DIR'] + '/failure', 'w').write('own words'); sys.exit(4)",
]
JOB_VARIABLES = st.fixed_dictionaries(
    {"THEN": st.sampled_from(ENDS)},
    optional={
        "SM_MODEL_DIR": st.just("/elsewhere"),
        "SM_HP_EPOCHS": st.just("7"),
        "SM_OWN": st.just("kept"),
        "CURRENT_HOST": st.just("algo-9"),
        "SAGEMAKER_REGION": st.just("nowhere"),
        "SAGEMAKER_JOB_NAME": st.just("other"),
        "SAGEMAKER_PROGRAM": st.just("other.py"),
        "PYTHONPATH": st.just("/own/packages"),
    },
)


@settings(max_examples=10)
@example({}, {"THEN": TRACED}, "train.py")
@given(st.dictionaries(NAMES, TEXTS, max_size=3), JOB_VARIABLES, st.sampled_from(["train.py", "go.sh"]))
def test_a_job_is_run_as_aws_s_own_program_runs_it(oracle, hyperparameters, own, program):
    with tempfile.TemporaryDirectory() as folder:
        hosts = []
        for side in ("theirs", "ours"):
            named = {key: value for key, value in OWN.items() if key != "sagemaker_submit_directory"}
            host = host_of(Path(folder) / side, {**named, "sagemaker_program": program, **hyperparameters})
            for name in ("train.py", "other.py"):
                (host.code / name).write_text(PROGRAM)
            (host.code / "go.sh").write_text(f'#!/bin/sh\nexec {sys.executable} other.py "$@"\n')
            hosts.append(host)
        theirs, ours = hosts
        code = oracle.train(theirs, own)
        environment = {"PATH": os.environ["PATH"], **container.variables(ours, own, "us-east-1")}
        command = container.command(ours, sys.executable, 1, own)
        container.say(ours, f"{ours.INVOKING}\n\n{' '.join(command)}\n")
        with ours.log.open("a") as log:
            environment["TRAINING_JOB_NAME"], environment["AWS_DEFAULT_REGION"] = ours.job, "us-east-1"
            ran = subprocess.run(command, env=environment, cwd=ours.code, stdout=log, stderr=log)
        expected, found = (
            json.loads(json.dumps(seen(host)).replace(str(host.base), "/opt/ml")) for host in (theirs, ours)
        )
        for values in (expected[0], found[0]):
            for name in OTHERS:
                values.pop(name, None)
        assert found == expected
        assert (code != 0) == (ran.returncode != 0)
        if code:
            assert code == failure.CONTAINER_EXIT_CODE
            reason = failure.failure_reason(ours, ran.returncode, command)
            written = (theirs.output / "failure").read_text().replace(f"{sys.executable} -- ", f"{sys.executable} ")
            theirs_said = f"AlgorithmError: {written}, exit code: {code}".replace(str(theirs.base), "/opt/ml")
            assert told(reason.replace(str(ours.base), "/opt/ml")) == told(theirs_said)


def told(reason: str) -> str:
    """A reason without its command: a shell's is quoted in another way."""
    return reason.partition("\nCommand ")[0]


def test_a_source_directory_with_a_setup_is_a_package_whose_module_runs(tmp_path):
    host = host_of(tmp_path, {**OWN, "epochs": "3"})
    (host.code / "setup.py").touch()
    assert container.command(host, "python", 1) == ["python", "-m", "train", "--epochs", "3"]
    assert requirements.install_command("python", host.packages, package=True, requirements=False)[-1] == "."
    distributed = host_of(tmp_path / "2", {**OWN, "sagemaker_torch_distributed_enabled": "true"})
    (distributed.code / "setup.py").touch()
    with pytest.raises(ContractError, match="no package"):
        container.command(distributed, "python", 1)


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


@pytest.mark.parametrize(
    ("returncode", "written", "reason"),
    [
        (3, None, "AlgorithmError: , exit code: 3"),
        (-9, None, "AlgorithmError: , exit code: 137"),
        (1, "no data\n", "AlgorithmError: no data, exit code: 1"),
    ],
)
def test_a_container_with_its_own_entry_point_fails_with_its_own_code(tmp_path, returncode, written, reason):
    made = host_of(tmp_path, {})
    if written:
        (made.output / "failure").write_text(written)
    assert failure.failure_reason(made, returncode, None) == reason
