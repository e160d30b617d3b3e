"""What all tiers share."""

import os
import signal
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent
DOGS = ROOT.parent / "shared" / "data" / "dogs"
END_TO_END = "tests/e2e/"
SHARE_A_DEPLOYMENT = {"test_main_job.py", "test_hostile_requests.py", "test_notebook.py"}

# A shell starts commands in the background with Ctrl-C ignored, and their child processes inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# CI ends a run that takes too long with SIGTERM. Ctrl-C makes pytest print the failures so far.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGTERM, signal.default_int_handler)

# Generated examples take longer on a busy machine; what they find does not change.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def dogs() -> Path:
    """Real photographs: 20 breeds, 2,400 images. They are not part of the project."""
    if not DOGS.is_dir():
        pytest.skip(f"the dog photographs are not here ({DOGS.relative_to(ROOT.parent)} next to the checkout)")
    return DOGS


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The end-to-end tier is the longest chain: the other tiers use the time that it leaves."""
    if "PYTEST_XDIST_WORKER" in os.environ and not item.nodeid.startswith(END_TO_END) and os.nice(0) == 0:
        os.nice(8)


class ByFile(LoadScopeScheduling):
    """Tests that share an expensive fixture stay on one worker: those of a file, and the files of one deployment."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return END_TO_END if file.startswith(END_TO_END) and Path(file).name in SHARE_A_DEPLOYMENT else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    return ByFile(config, log)


RUNNING: set[str] = set()


def pytest_runtest_logstart(nodeid: str) -> None:
    RUNNING.add(nodeid)


def pytest_runtest_logfinish(nodeid: str) -> None:
    RUNNING.discard(nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that an interrupted run did not finish: one of them may hang."""
    if RUNNING:
        terminalreporter.section("not finished")
        for nodeid in sorted(RUNNING):
            terminalreporter.line(nodeid)
