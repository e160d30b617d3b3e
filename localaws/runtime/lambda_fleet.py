"""All Lambda environments: which one serves a request, when another one is started, when one ends.

A function with reserved concurrency serves exactly that many requests at once, and what comes on top is throttled. A
function without serves UNRESERVED_LIMIT at once here, not the account's 1,000, and what comes on top waits its turn:
this is one machine.
"""

import threading
import time
from collections import Counter

from localaws.runtime.lambda_api import Invocation
from localaws.runtime.lambda_environment import Environment, EnvironmentGone, Outcome, Revision

IDLE_SECONDS = 300.0
UNRESERVED_LIMIT = 10

Function = tuple[str, str]  # region and name


class Throttled(Exception):
    """The function's reserved concurrency is in use."""


class Fleet:
    """Safe to use from many threads. `idle_seconds`: how long an environment without a request is kept."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS, unreserved_limit: int = UNRESERVED_LIMIT):
        self._idle_seconds = idle_seconds
        self._unreserved_limit = unreserved_limit
        self._environments: dict[Function, list[Environment]] = {}
        self._idle: dict[Function, list[Environment]] = {}
        self._busy: Counter[Function] = Counter()
        self._changed = threading.Condition()
        self._closed = False
        threading.Thread(target=self._end_idle, name="lambda idle", daemon=True).start()

    def invoke(
        self, revision: Revision, invocation: Invocation, reserved: int | None = None, wait: bool = False
    ) -> Outcome:
        """Serve a request. `reserved`: the function's reserved concurrency.

        Raises Throttled where all of that is in use, or waits for a turn where `wait` is true (and it is not 0).
        """
        function = (revision.region, revision.name)
        self._take_turn(function, reserved, wait)
        try:
            while True:
                environment = self._idle_one(function, revision) or self._start(function, revision)
                try:
                    return environment.invoke(invocation)
                except EnvironmentGone:
                    continue
                finally:
                    self._give_back(function, environment)
        finally:
            with self._changed:
                self._busy[function] -= 1
                self._changed.notify_all()

    def retire(self, region: str, name: str, version: str | None = None) -> None:
        """End a function's environments, of one version or of all: idle ones now, others after their request."""
        with self._changed:
            for environment in self._environments.get((region, name), []):
                if version in (None, environment.revision.version):
                    environment.retired = True
            ended = self._withdraw(lambda environment: environment.retired)
        _stop(ended)

    def code_in_use(self, region: str, name: str) -> set[str]:
        """The SHA-256 of each code that an environment of a function runs."""
        with self._changed:
            return {each.revision.code_sha256 for each in self._environments.get((region, name), [])}

    def close(self) -> None:
        """End all environments, and start none from here on."""
        with self._changed:
            self._closed = True
            everything = [environment for group in self._environments.values() for environment in group]
            self._changed.notify_all()
        _stop(everything)

    def _take_turn(self, function: Function, reserved: int | None, wait: bool) -> None:
        limit = self._unreserved_limit if reserved is None else reserved
        with self._changed:
            while self._busy[function] >= limit:
                if reserved is not None and (reserved == 0 or not wait):
                    raise Throttled
                self._changed.wait()
            self._busy[function] += 1

    def _idle_one(self, function: Function, revision: Revision) -> Environment | None:
        """The environment used last, so that those not needed any more grow old."""
        with self._changed:
            group = self._idle.get(function, [])
            for environment in reversed(group):
                if environment.revision == revision and environment.alive:
                    group.remove(environment)
                    return environment
        return None

    def _start(self, function: Function, revision: Revision) -> Environment:
        environment = Environment(revision)
        with self._changed:
            self._environments.setdefault(function, []).append(environment)
        return environment

    def _give_back(self, function: Function, environment: Environment) -> None:
        with self._changed:
            keep = environment.alive and not environment.retired and not self._closed
            if keep:
                environment.idle_since = time.monotonic()
                self._idle.setdefault(function, []).append(environment)
                self._changed.notify_all()
            else:
                self._environments[function].remove(environment)
        if not keep:
            environment.stop()

    def _withdraw(self, condition) -> list[Environment]:
        """Take the idle environments for which `condition` holds out of the fleet. Needs the lock."""
        taken = []
        for function, group in self._idle.items():
            for environment in [each for each in group if condition(each)]:
                group.remove(environment)
                self._environments[function].remove(environment)
                taken.append(environment)
        return taken

    def _expired(self, environment: Environment) -> bool:
        return not environment.alive or time.monotonic() - environment.idle_since >= self._idle_seconds

    def _end_idle(self) -> None:
        while True:
            with self._changed:
                oldest = min((each.idle_since for group in self._idle.values() for each in group), default=None)
                left = None if oldest is None else oldest + self._idle_seconds - time.monotonic()
                if left is None or left > 0:
                    self._changed.wait(left)
                if self._closed:
                    return
                expired = self._withdraw(self._expired)
            _stop(expired)


def _stop(environments: list[Environment]) -> None:
    """Stop environments side by side."""
    threads = [threading.Thread(target=environment.stop) for environment in environments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
