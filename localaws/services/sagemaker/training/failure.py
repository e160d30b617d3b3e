"""Why a training job failed, in the words of AWS's training toolkit.

Source: `sagemaker-training` 5.1 (process.py, errors.py, trainer.py), which a test runs next to this. The container
itself always ends with the exit code 1; the program's own is in the text.
"""

import builtins
from collections.abc import Iterable, Sequence

from localaws.services.sagemaker.training.container import Host

CONTAINER_EXIT_CODE = 1
SIGNALLED = 128  # added to the signal's number, as Docker and a shell do
KILLED_CODE = 137
OUT_OF_MEMORY = "OutOfMemory: Process killed by SIGKILL (signal 9)"
# A line with one of these words begins the message: from there on every line belongs to it.
BEGINNINGS = (
    *(name for name in dir(builtins) if "Error" in name or "Exception" in name),
    *("Invalid requirement", "ResourceExhaustedError", "OutOfRangeError", "InvalidArgumentError"),
    *("mpirun.real", "ORTE", "ExecuteUserScriptError"),
)


def error_message(lines: Iterable[str]) -> str:
    """What the toolkit quotes of a program's output: from the first line with an error to the end, each line once."""
    message: list[str] = []
    for line in lines:
        if message or any(word in line for word in BEGINNINGS):
            message.append(line.strip(" :\n"))
    return "\n ".join(dict.fromkeys(message))


def failure_reason(
    host: Host,
    returncode: int,
    command: Sequence[str] | None,
    error: str = "ExecuteUserScriptError",
    killed: str | None = None,
) -> str:
    """The FailureReason for a host's program: what it wrote to `output/failure`, or how it ended.

    `command` is None for a container with an entry point of its own: without the toolkit, the container's exit code is
    the program's. `killed` says why the local AWS itself ended the program, if it did: for its memory.
    """
    written = host.output / "failure"
    code = CONTAINER_EXIT_CODE
    if command is None:
        code = returncode if returncode >= 0 else SIGNALLED - returncode
    if written.is_file():
        text = written.read_text(errors="replace").strip()
    elif command is None:
        text = killed or ""
    else:
        error = f"on {host.name}: {error}" if len(host.names) > 1 else error
        said = killed or error_message(_output(host))
        extra = f'\nExtraInfo "{OUT_OF_MEMORY}"' if killed or returncode == KILLED_CODE else ""
        text = f'{error}:\nExitCode {returncode}\nErrorMessage "{said}"{extra}\nCommand "{" ".join(command)}"'
    return f"AlgorithmError: {text}, exit code: {code}"


def _output(host: Host) -> list[str]:
    """The lines that the last program of a host has written."""
    text = host.log.read_text(errors="replace") if host.log.exists() else ""
    return text.rpartition(host.INVOKING)[2].splitlines()
