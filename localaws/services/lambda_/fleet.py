"""All Lambda environments: which one serves a request, when another one is started, when one ends.

A request goes to a provisioned environment of its version where one is idle. Otherwise it takes a turn on demand. A
function with reserved concurrency serves exactly that many requests at once, those that are provisioned among them,
and what comes on top is throttled. The functions without share what the account has beyond that (`pool`), and what
comes on top of it is throttled, too. Of such a function UNRESERVED_LIMIT requests run at a time and the others wait
their turn: this is one machine.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from localaws.services.lambda_.environment import EnvironmentGone, ExecutionEnvironment, Outcome, Revision
from localaws.services.lambda_.provision import Provision
from localaws.services.lambda_.runtime_api import Invocation

IDLE_SECONDS = 300.0
UNRESERVED_LIMIT = 10

# botocore's model of Lambda: ThrottleReason.
RESERVED_IN_USE = "ReservedFunctionConcurrentInvocationLimitExceeded"
ACCOUNT_IN_USE = "ConcurrentInvocationLimitExceeded"

Function = tuple[str, str]  # region and name


class Throttled(Exception):
    """The function's reserved concurrency is in use, or what the account has for all others; `reason` says which."""

    def __init__(self, reason: str = RESERVED_IN_USE):
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Turn:
    """How a request was let in. `in_flight` counts it, too.

    `provisioned` is None where no provisioned concurrency is configured for its version; `allocated` is how much is
    there and `provisioned_in_use` how much of that is in use. `pooled`: it takes a place of those that the account has
    for functions without reserved concurrency.
    """

    in_flight: int
    provisioned: bool | None = None
    provisioned_in_use: int = 0
    allocated: int = 0
    pooled: bool = False


class FunctionFleet:
    """Safe to use from many threads. `idle_seconds`: how long an environment without a request is kept."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS, unreserved_limit: int = UNRESERVED_LIMIT):
        self._idle_seconds = idle_seconds
        self._unreserved_limit = unreserved_limit
        self._environments: dict[Function, list[ExecutionEnvironment]] = {}
        self._idle: dict[Function, list[ExecutionEnvironment]] = {}
        self._provisions: dict[Function, dict[str, Provision]] = {}
        self._on_demand: Counter[Function] = Counter()
        self._provisioned: Counter[Function] = Counter()
        self._pooled: Counter[str] = Counter()  # by region; those that wait for their turn are counted, too
        self._changed = threading.Condition()
        self._closed = False
        threading.Thread(target=self._end_idle, name="lambda idle", daemon=True).start()

    # --- serving ---

    def invoke(
        self,
        revision: Revision,
        invocation: Invocation,
        reserved: int | None = None,
        wait: bool = False,
        on_turn: Callable[[Turn], None] = lambda turn: None,
        pool: int | None = None,
    ) -> Outcome:
        """Serve a request. `reserved`: the function's reserved concurrency; `pool`: what all functions of the region
        without reserved concurrency share, None for no limit; `on_turn` is told when the request is let in.

        Raises Throttled where all of that is in use, or waits for a turn where `wait` is true (and it is not 0).
        """
        function = (revision.region, revision.name)
        told = False
        while True:
            provision, slot, turn = self._take_turn(function, revision, reserved, wait, pool)
            if not told:
                on_turn(turn)
                told = True
            try:
                if provision is not None and slot is not None:
                    return self._serve_provisioned(function, provision, slot, invocation)
                return self._serve_on_demand(function, revision, invocation, turn.pooled)
            except EnvironmentGone:
                continue

    def _take_turn(
        self, function: Function, revision: Revision, reserved: int | None, wait: bool, pool: int | None
    ) -> tuple[Provision | None, ExecutionEnvironment | None, Turn]:
        """A provisioned environment, or (None, None) for a turn on demand; and what there is to tell of it."""
        region, pooled = function[0], False
        with self._changed:
            while True:
                provisions = list(self._provisions.get(function, {}).values())
                mine = [each for each in provisions if each.serves(revision)]
                in_flight = self._on_demand[function] + self._provisioned[function]
                if reserved is None or in_flight < reserved:
                    for provision in mine:
                        if slot := provision.take(revision):
                            self._provisioned[function] += 1
                            self._pooled[region] -= pooled
                            return provision, slot, self._turn(function, mine, True)
                    if reserved is None and not pooled and (pool is None or self._pooled[region] < pool):
                        self._pooled[region] += 1
                        pooled = True
                    held = sum(each.held for each in provisions)
                    limit = self._unreserved_limit if reserved is None else reserved - held
                    if (pooled or reserved is not None) and self._on_demand[function] < limit:
                        self._on_demand[function] += 1
                        return None, None, self._turn(function, mine, False, pooled)
                if reserved is not None and (reserved == 0 or not wait):
                    raise Throttled
                if reserved is None and not pooled and not wait:
                    raise Throttled(ACCOUNT_IN_USE)
                self._changed.wait()

    def _turn(self, function: Function, provisions: list[Provision], provisioned: bool, pooled: bool = False) -> Turn:
        in_flight = self._on_demand[function] + self._provisioned[function]
        if not provisions:
            return Turn(in_flight, pooled=pooled)
        in_use = sum(each.in_use for each in provisions)
        return Turn(in_flight, provisioned, in_use, sum(each.allocated for each in provisions), pooled)

    def _serve_provisioned(
        self, function: Function, provision: Provision, slot: ExecutionEnvironment, invocation: Invocation
    ) -> Outcome:
        try:
            return slot.invoke(invocation)
        finally:
            with self._changed:
                kept = provision.give_back(slot)
                self._provisioned[function] -= 1
                self._changed.notify_all()
            if not kept:
                slot.stop()

    def _serve_on_demand(self, function: Function, revision: Revision, invocation: Invocation, pooled: bool) -> Outcome:
        try:
            environment = self._idle_one(function, revision) or self._start(function, revision)
            try:
                return environment.invoke(invocation)
            finally:
                self._give_back(function, environment)
        finally:
            with self._changed:
                self._on_demand[function] -= 1
                self._pooled[function[0]] -= pooled
                self._changed.notify_all()

    # --- provisioned concurrency ---

    def provision(
        self,
        function: Function,
        qualifier: str,
        wanted: Mapping[Revision, int],
        keep_until_ready: bool = False,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        """Have so many environments of each revision ready for a qualifier; for what it says, see Provision.

        `settled` is called whenever all of them have become ready.
        """
        with self._changed:
            if self._closed:
                return
            group = self._provisions.setdefault(function, {})
            if qualifier not in group:
                group[qualifier] = Provision(self._changed, settled)
            ended = group[qualifier].want(wanted, keep_until_ready)
            self._changed.notify_all()
        _stop(ended)

    def unprovision(self, function: Function, qualifier: str) -> None:
        """End the environments of a qualifier: idle ones now, others after their request."""
        with self._changed:
            provision = self._provisions.get(function, {}).pop(qualifier, None)
            ended = provision.want({}) if provision else []
            self._changed.notify_all()
        _stop(ended)

    def provisioned(self, function: Function, qualifier: str) -> tuple[str, int, str | None]:
        """A qualifier's status, how many environments it has, and why it failed."""
        with self._changed:
            provision = self._provisions[function][qualifier]
            return provision.status, provision.allocated, provision.failure

    # --- ending ---

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
            revisions = {each.revision for each in self._environments.get((region, name), [])}
            for provision in self._provisions.get((region, name), {}).values():
                revisions |= provision.revisions()
            return {revision.code_sha256 for revision in revisions}

    def close(self) -> None:
        """End all environments, and start none from here on."""
        with self._changed:
            self._closed = True
            everything = [environment for group in self._environments.values() for environment in group]
            for group in self._provisions.values():
                for provision in group.values():
                    everything += provision.close()
            self._changed.notify_all()
        _stop(everything)

    # --- environments on demand ---

    def _idle_one(self, function: Function, revision: Revision) -> ExecutionEnvironment | None:
        """The environment used last, so that those not needed any more grow old."""
        with self._changed:
            group = self._idle.get(function, [])
            for environment in reversed(group):
                if environment.revision == revision and environment.alive:
                    group.remove(environment)
                    return environment
        return None

    def _start(self, function: Function, revision: Revision) -> ExecutionEnvironment:
        environment = ExecutionEnvironment(revision)
        with self._changed:
            self._environments.setdefault(function, []).append(environment)
        return environment

    def _give_back(self, function: Function, environment: ExecutionEnvironment) -> None:
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

    def _withdraw(self, condition) -> list[ExecutionEnvironment]:
        """Take the idle environments for which `condition` holds out of the fleet. Needs the lock."""
        taken = []
        for function, group in self._idle.items():
            for environment in [each for each in group if condition(each)]:
                group.remove(environment)
                self._environments[function].remove(environment)
                taken.append(environment)
        return taken

    def _expired(self, environment: ExecutionEnvironment) -> bool:
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


def _stop(environments: list[ExecutionEnvironment]) -> None:
    """Stop environments side by side."""
    threads = [threading.Thread(target=environment.stop) for environment in environments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
