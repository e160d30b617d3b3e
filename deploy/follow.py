"""Follow a process on AWS until it ends, despite lost connections, throttling and expired credentials.

The process does not depend on the command that follows it. Following only reads, and can start again at any time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment

T = TypeVar("T")

PATIENCE = 300.0  # seconds without a connection before following ends
LONGEST_PAUSE = 15.0  # seconds between two attempts to connect

# Temporary errors: throttling and outages of a service, and credentials that the user can renew.
PASSING = {
    *("Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException"),
    *("ServiceUnavailable", "ServiceUnavailableException", "InternalError", "InternalServerError", "RequestTimeout"),
    *("ExpiredToken", "ExpiredTokenException", "RequestExpired", "UnrecognizedClientException", "InvalidClientTokenId"),
}


class Follow:
    """A process to follow. `what` names it in messages, `again` is the command that follows it again, and `end` is the
    command that ends it.

    Its clients have short timeouts, so this class decides how long to wait.
    """

    def __init__(
        self,
        deployment: Deployment,
        what: str,
        again: str,
        *,
        end: str = "",
        patience: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._deployment, self._what, self._again, self._end = deployment, what, again, end
        self._patience = deployment.env.patience_seconds(PATIENCE) if patience is None else patience
        self._sleep = sleep
        self._clients: dict[str, Any] = {}
        self._lost: float | None = None  # the time at which the connection was lost
        self._failures = 0

    def client(self, service: str) -> Any:
        """A client of the deployment's region. Call this at each use, because credentials may have been renewed."""
        if service not in self._clients:
            self._clients[service] = self._deployment.client(
                service, connect_timeout=5, read_timeout=15, retries={"mode": "standard"}
            )
        return self._clients[service]

    def until(self, look: Callable[[], T | None], seconds: float) -> T:
        """Call `look` every `seconds` until it returns a value, and return the value.

        Raises Failure at Ctrl-C and after PATIENCE seconds without a connection; the message has the command that
        follows the process again. Other exceptions of `look` are raised, unless a retry may help.
        """
        try:
            while True:
                try:
                    found = look()
                except Exception as error:
                    if not is_passing(error):
                        raise
                    self._wait_for_connection(error)
                    continue
                self.connected()
                if found is not None:
                    return found
                self._sleep(self._deployment.env.poll_seconds(seconds))
        except KeyboardInterrupt:
            end = f" To stop it: {self._end}" if self._end else ""
            raise Failure(
                f"Stopped watching; {self._what} continues. To watch it again: {self._again}.{end}".removesuffix(".")
            ) from None

    def connected(self) -> None:
        """Print that the connection is back, if it was lost. A `look` with many requests may call this between them."""
        if self._lost is not None:
            console.step("Connected again")
            self._lost, self._failures = None, 0

    def _wait_for_connection(self, error: Exception) -> None:
        now = time.monotonic()
        if self._lost is None:
            self._lost = now
            console.warn(
                f"No connection to AWS ({reason(error)}). {self._what} continues without it; "
                f"retrying for {self._patience:.0f} s"
            )
        elif now - self._lost >= self._patience:
            self._deployment.env.require_own_local_aws()  # a better message if the local AWS has stopped
            raise Failure(
                f"No connection to AWS for {(now - self._lost) / 60:.0f} minutes ({reason(error)}). "
                f"{self._what} continues. To watch it again: {self._again}"
            ) from None
        else:
            console.warn(f"Still no connection after {now - self._lost:.0f} s ({reason(error)})")
        self._sleep(min(LONGEST_PAUSE, 2.0**self._failures))
        self._failures += 1
        if not is_network(error):
            self._renew_credentials()

    def _renew_credentials(self) -> None:
        """Make the next clients read the credentials from their files again."""
        import boto3

        boto3.setup_default_session()
        self._clients.clear()


def is_passing(error: Exception) -> bool:
    """Whether a retry may help: the network or the service is down, or credentials have expired."""
    from botocore import exceptions, parsers

    if isinstance(error, exceptions.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return error.response["Error"]["Code"] in PASSING or status >= 500
    credentials = exceptions.NoCredentialsError, exceptions.CredentialRetrievalError, exceptions.TokenRetrievalError
    return is_network(error) or isinstance(error, (*credentials, exceptions.SSOError, parsers.ResponseParserError))


def is_network(error: Exception) -> bool:
    """Whether the request got no answer."""
    from botocore import exceptions

    return isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError)


def reason(error: Exception) -> str:
    """An error in one short line."""
    text = " ".join(str(error).split()).rstrip(".")
    return text if len(text) <= 160 else f"{text[:160]} ..."
