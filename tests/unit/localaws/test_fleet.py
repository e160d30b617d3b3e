"""A fleet's bookkeeping, with instances whose starts the test times; their processes are in test_hosting_process.py."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from localaws.context import Context, set_context
from localaws.services.sagemaker.endpoints import fleet as hosting
from localaws.services.sagemaker.endpoints.container import LogPlace, Variant
from localaws.supervisor import Supervisor

VARIANT = Variant("main", "image", "s3://bucket/model.tar.gz", {}, True, 1, 1.0)


class SlowInstance:
    """An instance that is being started until the test lets it go on."""

    starting = threading.Event()
    go_on = threading.Event()
    stopped = threading.Event()

    def __init__(self, folder: Path, place: LogPlace | None):
        self.id, self.child, self.healthy, self.in_flight = "i-1", None, False, 0

    def start(self, *_: object) -> None:
        self.starting.set()
        assert self.go_on.wait(60)
        self.child = self

    def stop(self) -> None:
        if self.child:
            self.stopped.set()


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[hosting.InstanceFleet]:
    set_context(Context(home=tmp_path, port=1, supervisor=Supervisor(tmp_path)))
    monkeypatch.setattr(hosting, "HostingInstance", SlowInstance)
    yield hosting.InstanceFleet("endpoint", "us-east-1", VARIANT, lambda: None)
    set_context(None)


def test_the_end_waits_for_an_instance_that_is_being_started(fleet: hosting.InstanceFleet):
    launch = threading.Thread(target=fleet._launch, args=(0,))
    launch.start()
    assert SlowInstance.starting.wait(60), "the launch ended before it began"
    end = threading.Thread(target=fleet.end)
    end.start()
    end.join(0.2)
    assert end.is_alive()

    SlowInstance.go_on.set()
    end.join(60)
    launch.join(60)

    assert SlowInstance.stopped.is_set()
