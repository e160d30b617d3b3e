"""Owns every process of the local AWS: started in groups of their own, ended whole, never left behind.

A process group is not enough to end a container: torchrun gives each worker a session of its own. So every child
carries a token in its environment, which its descendants inherit, and ending a child ends all that carry it
(where the system has /proc; elsewhere the group alone). The same token lets a new server find what a crashed one
left: a record alone could name a process number that somebody else has by now.
"""

import contextlib
import hashlib
import json
import logging
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from localaws import files

log = logging.getLogger(__name__)

MARK = "LOCALAWS_PROCESS"
POLL_SECONDS = 0.05
LOOK_SECONDS = 5.0  # between two searches for the processes of a child whose memory is watched
REAP_SECONDS = 5.0


def start_time(pid: int) -> str | None:
    """When a process started, in the system's own words, or None where it is gone (or only a zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
    return shown.stdout.strip() or None


def _carriers(token: str, begins: bool = False) -> set[tuple[int, str]]:
    """The processes whose environment carries `token`, or one that begins with it: number and start time.

    One that is about to end has given its environment up before the rest.
    """
    wanted = f"{MARK}={token}".encode()
    networks: dict[int, Path] = {}  # process: its network namespace
    marked = set()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        # A process of somebody else, or one that ended meanwhile, cannot be read and is not ours.
        with contextlib.suppress(OSError):
            pid = int(entry.parent.name)
            networks[pid] = (entry.parent / "ns" / "net").readlink()
            entries = entry.read_bytes().split(b"\0")
            if any(each.startswith(wanted) for each in entries) if begins else wanted in entries:
                marked.add(pid)
    # A program may overwrite its environment (setproctitle does). One in a namespace of the marked ones is theirs too.
    own = {networks[pid] for pid in marked} - {networks.get(os.getpid())}
    members = marked | {pid for pid, network in networks.items() if network in own}
    return {(pid, began) for pid in members if (began := start_time(pid))}


def _memory_bytes(pid: int) -> int:
    """The proportional set size of a process, 0 if it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _resident_bytes(pid: int) -> int:
    """The resident set size of a process, 0 if it has ended."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _alive(processes: set[tuple[int, str]]) -> set[tuple[int, str]]:
    return {(pid, began) for pid, began in processes if start_time(pid) == began}


def _signal(processes: set[tuple[int, str]], number: int) -> None:
    for pid, _ in processes:
        if pid != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class Child:
    """A process started by the supervisor. `returncode` is as subprocess gives it: negative for a signal."""

    def __init__(self, owner: str, log: Path, process: subprocess.Popen, token: str):
        self.owner = owner
        self.log = log
        self.pid = process.pid
        self.token = token
        self.started = start_time(process.pid)
        self.returncode: int | None = None
        self._process = process
        self._ended = threading.Event()
        self._reaped = False
        self._members: set[tuple[int, str]] = set()
        self._look_again = 0.0
        self._family: set[tuple[int, str]] = set()  # seen when a signal was sent, with and without the mark
        self._lock = threading.Lock()

    @property
    def running(self) -> bool:
        return not self._ended.is_set()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and give the return code. Raises TimeoutError after `timeout` seconds."""
        if not self._ended.wait(timeout):
            raise TimeoutError(f"{self.owner} (process {self.pid}) still runs after {timeout} s.")
        assert self.returncode is not None
        return self.returncode

    def send(self, number: int) -> None:
        """Send a signal to the process's whole group, if it still runs."""
        self._family |= _carriers(self.token)
        with self._lock:  # its number stays its own until it is reaped
            if not self._reaped:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, number)

    def memory_bytes(self, enough: int = 0) -> int:
        """The memory of the process and of all that it started: each one's own, and its part of what they share.
        0 on a system that does not report it.

        The resident memory, which counts what is shared once per process, is cheap to read and never less. It is the
        answer if it is at most `enough`, from the processes that were found within the last seconds.
        """
        now = time.monotonic()
        if now >= self._look_again:
            self._members, self._look_again = _carriers(self.token), now + LOOK_SECONDS
        if (resident := sum(_resident_bytes(pid) for pid, _ in self._members)) <= enough:
            return resident
        return sum(_memory_bytes(pid) for pid, _ in _carriers(self.token))

    def _end(self) -> int:
        """Wait for the process, end all that it left running, and reap it."""
        if hasattr(os, "waitid"):  # not on macOS, where the group is signalled a moment after the reaping
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        else:
            self._process.wait()
        self.send(signal.SIGKILL)
        left = self._family
        while left := _alive(left | _carriers(self.token)):
            _signal(left, signal.SIGKILL)
            time.sleep(POLL_SECONDS)
        with self._lock:
            self._reaped = True
            return self._process.wait()


class Supervisor:
    """Starts, watches and ends processes; `home/processes.json` records those that run."""

    def __init__(self, home: Path):
        self.home = Path(home)
        self._record = self.home / "processes.json"
        # In every token, so that the processes of this home are found if the record is damaged.
        self._prefix = hashlib.sha256(os.fsencode(self.home.resolve())).hexdigest()[:16] + "-"
        self._children: dict[int, Child] = {}
        self._watchers: set[threading.Thread] = set()
        self._lock = threading.RLock()
        self._closed = False

    def spawn(
        self,
        owner: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        on_exit: Callable[[int], None] | None = None,
    ) -> Child:
        """Start `argv` in a session of its own, its output appended to `log`.

        `on_exit(returncode)` is called once, from a thread, when the process has ended and all that it left
        running has been ended too; `wait` and `stop` return after it. Raises OSError where the program cannot be
        started, RuntimeError once the supervisor has stopped everything.
        """
        token = self._prefix + secrets.token_hex(8)
        log.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, log.open("ab") as output:
            if self._closed:
                raise RuntimeError("The local AWS is stopping: nothing new is started.")
            process = subprocess.Popen(
                list(argv),
                env={**env, MARK: token},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            child = Child(owner, log, process, token)
            self._children[child.pid] = child
            try:
                self._write_record()
            except OSError:  # what is not recorded would be left behind by a crash
                del self._children[child.pid]
                child.send(signal.SIGKILL)
                child._end()
                raise
        watcher = threading.Thread(target=self._watch, args=(child, on_exit), name=f"watch {owner}", daemon=True)
        self._watchers.add(watcher)
        watcher.start()
        return child

    def children(self, owner: str | None = None) -> list[Child]:
        """The running children, of one owner or of all."""
        with self._lock:
            return [child for child in self._children.values() if owner in (None, child.owner)]

    def stop(self, child: Child, grace: float = 10.0) -> int:
        """SIGTERM to the child's group, SIGKILL after `grace` seconds; gives the return code."""
        child.send(signal.SIGTERM)
        try:
            return child.wait(grace)
        except TimeoutError:
            child.send(signal.SIGKILL)
            return child.wait()

    def stop_children(self, children: Iterable[Child], grace: float = 10.0) -> None:
        """Stop several children, side by side."""
        threads = [threading.Thread(target=self.stop, args=(child, grace)) for child in children]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def stop_owner(self, owner: str, grace: float = 10.0) -> None:
        """Stop all children of one owner, side by side."""
        self.stop_children(self.children(owner), grace)

    def stop_all(self) -> None:
        """Stop every child, and start none from here on."""
        with self._lock:
            self._closed = True
        self.stop_children(self.children(), 10.0)
        for watcher in list(self._watchers):  # what `on_exit` has to say is part of the end
            watcher.join(10.0)

    def reap_leftovers(self) -> list[str]:
        """End what an earlier server left running when it crashed; gives the owners of what was ended.

        Only processes whose number and start time are both as recorded, or that carry a recorded token.
        """
        try:
            entries = json.loads(self._record.read_bytes())
            complete = all({"owner", "pid", "started", "token"} <= entry.keys() for entry in entries)
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, AttributeError):
            complete = False
        if not complete:
            return self._reap_unrecorded()
        left = [entry for entry in entries if self._same(entry) or _carriers(entry["token"])]
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._end_left(left, number)
        self._record.unlink(missing_ok=True)
        return [entry["owner"] for entry in left]

    def _reap_unrecorded(self) -> list[str]:
        """End what carries the mark of this home, when the record is damaged."""
        log.warning("%s is damaged; the processes are found by their environment", self._record)
        ended = left = _carriers(self._prefix, begins=True)
        for number in (signal.SIGTERM, signal.SIGKILL):
            _signal(left, number)
            deadline = time.monotonic() + REAP_SECONDS
            while (left := _alive(_carriers(self._prefix, begins=True))) and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
        self._record.unlink(missing_ok=True)
        return [f"process {pid}, of a damaged {self._record.name}" for pid, _ in sorted(ended)]

    @staticmethod
    def _same(entry: dict) -> bool:
        return entry["started"] is not None and start_time(entry["pid"]) == entry["started"]

    def _end_left(self, entries: list[dict], number: int) -> None:
        """Send a signal to what is left of the entries' processes, and wait up to REAP_SECONDS for their end."""
        left = {(entry["pid"], entry["started"]) for entry in entries if self._same(entry)}
        for entry in entries:
            left |= _carriers(entry["token"])
            if self._same(entry):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(entry["pid"], number)
            _signal(_carriers(entry["token"]), number)
        deadline = time.monotonic() + REAP_SECONDS
        while (left := _alive(left)) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def _watch(self, child: Child, on_exit: Callable[[int], None] | None) -> None:
        # As a container ends with its first process, so does all that this one started and did not wait for.
        child.returncode = child._end()
        with self._lock:
            del self._children[child.pid]
            try:
                self._write_record()
            except OSError as error:  # it lists one too many, which the next start finds gone
                log.warning("%s could not be written: %s", self._record, error)
        try:
            if on_exit is not None:
                on_exit(child.returncode)
        finally:
            child._ended.set()
            self._watchers.discard(threading.current_thread())

    def _write_record(self) -> None:
        entries = [
            {"owner": child.owner, "pid": child.pid, "started": child.started, "token": child.token}
            for child in self._children.values()
        ]
        files.write_whole(self._record, json.dumps(entries, indent=1))
