"""Provisioned concurrency: environments that are started ahead of any request, and kept.

What counts is the processes: a provision is READY while all its environments are, IN_PROGRESS while some are still
starting, and FAILED once one could not start. One that ends by itself is replaced, later and later if it keeps ending.
"""

import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping

from localaws.services.lambda_.environment import PROVISIONED, ExecutionEnvironment, Revision

READY, IN_PROGRESS, FAILED = "READY", "IN_PROGRESS", "FAILED"
INIT_FAILURE = "FUNCTION_ERROR_INIT_FAILURE"
MAX_RESTART_DELAY = 30.0

_starts = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))  # so many environments start side by side


class Provision:
    """The environments of one qualifier. Those who call hold `changed`, its fleet's lock, except where it says not.

    `wanted` says how many of each revision; `settled` is called, from a thread and without the lock, whenever all of
    them have become ready.
    """

    def __init__(self, changed: threading.Condition, settled: Callable[[], None]):
        self.wanted: dict[Revision, int] = {}
        self.failure: str | None = None
        self._changed = changed
        self._settled = settled
        self._kept: dict[Revision, int] = {}  # an earlier version's, which serves until the wanted ones are ready
        self._environments: list[ExecutionEnvironment] = []
        self._idle: list[ExecutionEnvironment] = []
        self._starting: Counter[Revision] = Counter()
        self._restart_delay = 0.0
        self._closed = False

    # --- as it is described ---

    @property
    def requested(self) -> int:
        return sum(self.wanted.values())

    @property
    def allocated(self) -> int:
        """How many of the wanted environments are there, ready or serving."""
        return sum(min(count, self._count(revision)) for revision, count in self.wanted.items())

    @property
    def in_use(self) -> int:
        return len(self._environments) - len(self._idle)

    @property
    def held(self) -> int:
        """How much of the function's concurrency it takes for itself."""
        return self.allocated if self.failure else self.requested

    @property
    def status(self) -> str:
        if self.failure:
            return FAILED
        return READY if self.allocated == self.requested else IN_PROGRESS

    def serves(self, revision: Revision) -> bool:
        return revision in self.wanted or revision in self._kept

    # --- changing what is wanted ---

    def want(self, wanted: Mapping[Revision, int], keep_until_ready: bool = False) -> list[ExecutionEnvironment]:
        """Have so many environments of each revision. Returns those to be stopped, which is for the caller to do.

        With `keep_until_ready` what served before goes on serving until the new ones can.
        """
        self._kept = {**self._kept, **self.wanted} if keep_until_ready else {}
        self.wanted = {revision: count for revision, count in wanted.items() if count}
        self.failure, self._restart_delay = None, 0.0
        surplus = self._surplus()
        for revision, count in self.wanted.items():
            for _ in range(count - self._count(revision) - self._starting[revision]):
                self._launch(revision, first=True)
        if self.wanted and self.status == READY:
            surplus += self._settle()
        return surplus

    def close(self) -> list[ExecutionEnvironment]:
        """Want nothing any more, and start nothing from here on. Returns all environments, to be stopped."""
        self._closed = True
        everything = self.want({}) + self._environments
        self._environments = []
        return everything

    # --- serving ---

    def take(self, revision: Revision) -> ExecutionEnvironment | None:
        """An idle environment of a revision: the one used last."""
        for environment in reversed(self._idle):
            if environment.revision == revision and environment.alive:
                self._idle.remove(environment)
                return environment
        return None

    def give_back(self, environment: ExecutionEnvironment) -> bool:
        """After a request. False where the environment is not wanted any more: it is for the caller to stop."""
        if environment not in self._environments:
            return False
        if environment.alive and not environment.retired:
            self._idle.append(environment)
            return True
        self._environments.remove(environment)
        return False

    def revisions(self) -> set[Revision]:
        """Whose code is in use."""
        return {*self.wanted, *self._kept, *(each.revision for each in self._environments)}

    # --- within ---

    def _count(self, revision: Revision) -> int:
        return sum(each.revision == revision and not each.retired for each in self._environments)

    def _surplus(self) -> list[ExecutionEnvironment]:
        """Take out the idle environments that are too many, and mark the busy ones, which go after their request."""
        gone = []
        for revision in {each.revision for each in self._environments}:
            group = [each for each in self._environments if each.revision == revision and not each.retired]
            group.sort(key=lambda each: each not in self._idle)  # idle ones go first
            enough = max(self.wanted.get(revision, 0), self._kept.get(revision, 0))
            for environment in group[: max(0, len(group) - enough)]:
                environment.retired = True
                if environment in self._idle:
                    self._idle.remove(environment)
                    self._environments.remove(environment)
                    gone.append(environment)
        return gone

    def _settle(self) -> list[ExecutionEnvironment]:
        """All that is wanted is ready: what was kept until now may go."""
        self._kept = {}
        self._restart_delay = 0.0
        threading.Thread(target=self._settled, name="provisioned", daemon=True).start()
        return self._surplus()

    def _launch(self, revision: Revision, first: bool, delay: float = 0.0) -> None:
        self._starting[revision] += 1
        arguments = (revision, first, delay)
        threading.Thread(target=self._start, args=arguments, name=f"provision {revision.name}", daemon=True).start()

    def _start(self, revision: Revision, first: bool, delay: float) -> None:
        """Start one environment, unless it is not wanted any more. In a thread of its own, without the lock."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, timeout=delay)
        environment, failure = None, None
        with _starts:
            if self._still_wanted(revision):
                try:
                    environment = ExecutionEnvironment(revision, PROVISIONED, self._replace)
                    failure = environment.prepare()
                except (OSError, RuntimeError) as error:  # no process to be had, or the server stops
                    failure = f"{type(error).__name__}: {error}"
        surplus: list[ExecutionEnvironment] = []
        with self._changed:
            self._starting[revision] -= 1
            wanted = self._still_wanted(revision)
            if environment is None or failure or not environment.alive:
                if wanted and failure and first:
                    self.failure = f"{INIT_FAILURE}: {failure}"
                elif wanted:
                    self._launch_again(revision)
            elif wanted:
                self._environments.append(environment)
                self._idle.append(environment)
                if self.status == READY:
                    surplus = self._settle()
            else:
                surplus = [environment]
            self._changed.notify_all()
        for each in surplus:
            each.stop()

    def _still_wanted(self, revision: Revision) -> bool:
        return not self._closed and self._count(revision) < self.wanted.get(revision, 0)

    def _replace(self, environment: ExecutionEnvironment) -> None:
        """An environment has ended. Called without the lock; those that were asked to end are not counted."""
        with self._changed:
            if environment not in self._environments:
                return
            self._environments.remove(environment)
            if environment in self._idle:
                self._idle.remove(environment)
            if not environment.retired and self._still_wanted(environment.revision):
                self._launch_again(environment.revision)
            self._changed.notify_all()

    def _launch_again(self, revision: Revision) -> None:
        delay, self._restart_delay = self._restart_delay, min(MAX_RESTART_DELAY, 2 * self._restart_delay or 1.0)
        self._launch(revision, first=False, delay=delay)
