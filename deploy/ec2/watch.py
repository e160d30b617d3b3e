"""Watch a command on the instance to its end, through lost connections.

The command runs there whether somebody watches or not: watching only reads, and can begin again at any time.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.ec2.command import INTERRUPTED, UNFINISHED
from deploy.log_tail import LogTail

PATIENCE = 300.0  # seconds without a connection until watching ends
LONGEST_PAUSE = 15.0  # seconds between two attempts to connect
QUIET = 10.0  # seconds without a line until it is said what is waited for
PROGRESS = re.compile(r" \d+/\d+$")

GONE = ("stopping", "stopped", "shutting-down", "terminated")

# What ends by itself: the services' ways to say "later", and credentials that somebody is about to renew.
PASSING = {
    *("Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException"),
    *("ServiceUnavailable", "ServiceUnavailableException", "InternalError", "InternalServerError", "RequestTimeout"),
    *("ExpiredToken", "ExpiredTokenException", "RequestExpired", "UnrecognizedClientException", "InvalidClientTokenId"),
}


class Watch:
    """One command, watched by its log and its status."""

    def __init__(
        self,
        deployment: Deployment,
        command: str,
        *,
        patience: float = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._deployment, self._command = deployment, command
        self._patience, self._sleep = patience, sleep
        self._tail: LogTail | None = None
        self._lost: float | None = None  # since when there is no connection
        self._failures = 0
        self._spoke = time.monotonic()
        self._connect()

    def to_end(self, again: str, *, with_progress: bool = True) -> dict:
        """Print the log until the command has ended; its invocation, with the Status INTERRUPTED where the instance
        stopped under it. `again` is the command to watch it again: where the connection stays lost, Failure names it.

        Without `with_progress`, what was printed before is shown without its counting lines.
        """
        first = True
        while True:
            try:
                result = self._status()
                lines = self._print_log(with_progress or not first)
                ended = result["Status"] not in UNFINISHED
                if ended and not lines:  # its last lines may come after its end
                    return result if result["Status"] == "Success" else self._interrupted() or result
                if not ended and self._is_quiet():
                    if interrupted := self._interrupted():
                        return interrupted
                    self._say_what_is_waited_for(result["Status"])
            except Exception as error:
                if not is_passing(error):
                    raise
                self._wait_for_connection(error, again)
                continue
            self._connected()
            first = False
            self._sleep(self._deployment.env.poll_seconds(3))

    def _connect(self) -> None:
        """Clients that give up soon: what waits long is this class, and says so."""
        soon = {"connect_timeout": 5, "read_timeout": 15}
        self._ssm = self._deployment.client("ssm", **soon)
        self._ec2 = self._deployment.client("ec2", **soon)
        logs = self._deployment.client("logs", **soon)
        self._tail = LogTail(
            logs,
            self._deployment.ec2_log_group,
            f"{self._command}/",
            after=self._tail,
        )

    def _status(self) -> dict:
        try:
            instance = self._deployment.ec2_instance_id
            return self._ssm.get_command_invocation(CommandId=self._command, InstanceId=instance)
        except self._ssm.exceptions.InvocationDoesNotExist:  # for a moment after the command was accepted
            return {"Status": "Pending"}

    def _print_log(self, with_progress: bool) -> int:
        lines = 0
        for _, line in self._tail.poll():
            lines += 1
            self._connected()
            self._spoke = time.monotonic()
            if with_progress or not PROGRESS.search(line):
                console.out.print(f"  {line}", markup=False)
        return lines

    def _connected(self) -> None:
        if self._lost is not None:
            console.step("Connected again")
            self._lost, self._failures = None, 0

    def _is_quiet(self) -> bool:
        return time.monotonic() - self._spoke >= QUIET

    def _interrupted(self) -> dict | None:
        """The end of a command whose instance is gone: SSM may wait for the agent's word on it for hours."""
        found = self._ec2.describe_instances(InstanceIds=[self._deployment.ec2_instance_id])
        state = found["Reservations"][0]["Instances"][0]["State"]["Name"]
        return {"Status": INTERRUPTED, "StatusDetails": INTERRUPTED} if state in GONE else None

    def _say_what_is_waited_for(self, status: str) -> None:
        waiting = {"Pending": "SSM has not delivered the command yet", "Cancelling": "the command is being cancelled"}
        what = waiting.get(status, "the command runs and has nothing to say")
        console.step(f"No news for {QUIET:.0f} s: {what}")
        self._spoke = time.monotonic()

    def _wait_for_connection(self, error: Exception, again: str) -> None:
        now = time.monotonic()
        if self._lost is None:
            self._lost = now
            console.warn(
                f"No connection to AWS ({reason(error)}). The command goes on without it; "
                f"trying again for {self._patience / 60:.0f} minutes"
            )
        elif now - self._lost >= self._patience:
            raise Failure(
                f"No connection to AWS for {(now - self._lost) / 60:.0f} minutes ({reason(error)}). "
                f"What runs on the instance goes on. To watch it again: {again}"
            ) from None
        else:
            console.warn(f"Still no connection ({reason(error)}), {now - self._lost:.0f} s now")
        self._sleep(min(LONGEST_PAUSE, 2.0**self._failures))
        self._failures += 1
        if not is_network(error):
            renew_credentials()
            self._connect()


def is_passing(error: Exception) -> bool:
    """Whether trying again may help: no network, a service that is overloaded or down, credentials that ran out."""
    from botocore import exceptions, parsers

    if isinstance(error, exceptions.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return error.response["Error"]["Code"] in PASSING or status >= 500
    credentials = exceptions.NoCredentialsError, exceptions.CredentialRetrievalError, exceptions.TokenRetrievalError
    return is_network(error) or isinstance(error, (*credentials, exceptions.SSOError, parsers.ResponseParserError))


def is_network(error: Exception) -> bool:
    from botocore import exceptions

    return isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError)


def reason(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return text if len(text) <= 160 else f"{text[:160]} ..."


def renew_credentials() -> None:
    """Let the next client read them anew: whoever logged in again meanwhile, changed the files they come from."""
    import boto3

    boto3.setup_default_session()
