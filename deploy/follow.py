"""Follow what runs on AWS to its end, through lost connections, throttling and credentials that expire.

What is followed runs whether or not a command follows it: following only reads, and can begin again at any time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment

T = TypeVar("T")

PATIENCE = 300.0  # seconds without a connection until following ends
LONGEST_PAUSE = 15.0  # seconds between two attempts to connect

# What ends by itself: the services' ways to say "later", and credentials that the user is about to renew.
PASSING = {
    *("Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException"),
    *("ServiceUnavailable", "ServiceUnavailableException", "InternalError", "InternalServerError", "RequestTimeout"),
    *("ExpiredToken", "ExpiredTokenException", "RequestExpired", "UnrecognizedClientException", "InvalidClientTokenId"),
}


class Follow:
    """One thing that is followed: `what` names it in sentences, `again` is the command that follows it again, and
    `end` says how to end it, if that needs saying.

    Its clients give up soon, so that this class decides how long to wait.
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
        self._lost: float | None = None  # since when there is no connection
        self._failures = 0

    def client(self, service: str) -> Any:
        """A client of the deployment's region. Ask for it at each use: credentials may have been renewed."""
        if service not in self._clients:
            self._clients[service] = self._deployment.client(service, connect_timeout=5, read_timeout=15)
        return self._clients[service]

    def until(self, look: Callable[[], T | None], seconds: float) -> T:
        """Call `look` every `seconds` until it returns something, and return that.

        Raises Failure after PATIENCE without a connection and at Ctrl-C, each with the command that follows it again;
        and what `look` raises, unless trying again may help.
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
            end = f" To end it: {self._end}" if self._end else ""
            raise Failure(
                f"Stopped watching; {self._what} goes on. To watch it again: {self._again}.{end}".removesuffix(".")
            ) from None

    def connected(self) -> None:
        """Say that the connection is back, if it was lost. A `look` of many requests may call it between them."""
        if self._lost is not None:
            console.step("Connected again")
            self._lost, self._failures = None, 0

    def _wait_for_connection(self, error: Exception) -> None:
        now = time.monotonic()
        if self._lost is None:
            self._lost = now
            console.warn(
                f"No connection to AWS ({reason(error)}). {self._what} goes on without it; "
                f"trying again for {self._patience:.0f} s"
            )
        elif now - self._lost >= self._patience:
            self._deployment.env.require_own_local_aws()  # a rehearsal's message is another: the local AWS has gone
            raise Failure(
                f"No connection to AWS for {(now - self._lost) / 60:.0f} minutes ({reason(error)}). "
                f"{self._what} goes on. To watch it again: {self._again}"
            ) from None
        else:
            console.warn(f"Still no connection ({reason(error)}), {now - self._lost:.0f} s now")
        self._sleep(min(LONGEST_PAUSE, 2.0**self._failures))
        self._failures += 1
        if not is_network(error):
            self._renew_credentials()

    def _renew_credentials(self) -> None:
        """Let the next clients read the credentials from their files again."""
        import boto3

        boto3.setup_default_session()
        self._clients.clear()


def is_passing(error: Exception) -> bool:
    """Whether trying again may help: no network, a service that is overloaded or down, credentials that ran out."""
    from botocore import exceptions, parsers

    if isinstance(error, exceptions.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return error.response["Error"]["Code"] in PASSING or status >= 500
    credentials = exceptions.NoCredentialsError, exceptions.CredentialRetrievalError, exceptions.TokenRetrievalError
    return is_network(error) or isinstance(error, (*credentials, exceptions.SSOError, parsers.ResponseParserError))


def is_network(error: Exception) -> bool:
    """Whether there was no answer at all."""
    from botocore import exceptions

    return isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError)


def reason(error: Exception) -> str:
    """An error in one short line."""
    text = " ".join(str(error).split()).rstrip(".")
    return text if len(text) <= 160 else f"{text[:160]} ..."
