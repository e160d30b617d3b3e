"""Serverless endpoints as a client sees them: containers that requests start, throttling, idleness, and the rules."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from localaws.context import Context, set_context
from localaws.services.sagemaker.endpoints import serverless
from localaws.services.sagemaker.endpoints.container import Serverless, Variant
from localaws.supervisor import Supervisor
from tests.unit.localaws.sagemaker_helpers import MODEL, SageMaker, unique

TWO = {"MemorySizeInMB": 2048, "MaxConcurrency": 2}


@pytest.fixture
def sagemaker(localaws, wait_until) -> SageMaker:
    return SageMaker(localaws, wait_until)


def waits_for(gate: Path) -> str:
    """A model that answers with its process when the file is there."""
    waiting = f"    import time\n    while not os.path.exists({str(gate)!r}): time.sleep(0.02)\n    return body\n"
    return MODEL.format(answer="x").replace("    return body\n", waiting)


def processes(server: Any, endpoint: str) -> int:
    entries = json.loads((server.home / "processes.json").read_text())
    return sum(entry["owner"].startswith(f"endpoint {endpoint}/") for entry in entries)


def test_it_answers_each_request_in_a_container_of_its_own_and_throttles_above_max_concurrency(sagemaker, tmp_path):
    gate = tmp_path / "gate"
    name = sagemaker.endpoint(waits_for(gate), ServerlessConfig=TWO)
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(sagemaker.ask, name) for _ in range(2)]
        # The second request finds the first container busy: it has a cold start.
        sagemaker.until(lambda: processes(sagemaker.server, name) == 2, "a second container is started")
        with pytest.raises(ClientError) as throttled:
            sagemaker.server.client("sagemaker-runtime").invoke_endpoint(
                EndpointName=name, Body=b"x", ContentType="application/octet-stream"
            )
        gate.touch()
        answers = [each.result() for each in asked]
    assert throttled.value.response["Error"]["Code"] == "ThrottlingException"
    assert len({answer["process"] for answer in answers}) == 2
    assert sagemaker.ask(name)["process"] in {answer["process"] for answer in answers}  # warm: no third one


def test_it_is_described_by_its_memory_and_concurrency_and_has_no_instances(sagemaker):
    name = sagemaker.endpoint(MODEL.format(answer="x"), ServerlessConfig=TWO)
    (variant,) = sagemaker.api.describe_endpoint(EndpointName=name)["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == TWO
    assert "CurrentInstanceCount" not in variant
    with pytest.raises(ClientError, match="is serverless"):
        sagemaker.api.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 2}]
        )


def test_it_takes_four_megabytes(sagemaker):
    name = sagemaker.endpoint(MODEL.format(answer="x"), ServerlessConfig=TWO)
    assert sagemaker.ask(name, b"x" * 4 * 1024 * 1024)["bytes"] == 4 * 1024 * 1024
    with pytest.raises(ClientError, match="at most 4194304"):
        sagemaker.ask(name, b"x" * (4 * 1024 * 1024 + 1))


def test_instances_cannot_become_serverless_and_the_reverse_can(sagemaker):
    instances = sagemaker.config(MODEL.format(answer="i"))
    serverless_config = sagemaker.config(MODEL.format(answer="s"), ServerlessConfig=TWO)
    name = unique("endpoint")
    sagemaker.api.create_endpoint(EndpointName=name, EndpointConfigName=serverless_config)
    assert sagemaker.settled(name)["EndpointStatus"] == "InService"
    sagemaker.api.update_endpoint(EndpointName=name, EndpointConfigName=instances)
    assert sagemaker.settled(name)["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    with pytest.raises(ClientError, match="cannot be converted to a serverless one"):
        sagemaker.api.update_endpoint(EndpointName=name, EndpointConfigName=serverless_config)


@pytest.mark.parametrize(
    ("variant", "isolated", "words"),
    [
        ({"ServerlessConfig": {"MemorySizeInMB": 1500, "MaxConcurrency": 1}}, False, "Valid values are 1024, 2048"),
        ({"ServerlessConfig": TWO, "InstanceType": "ml.m5.large"}, False, "give one of them"),
        ({"ServerlessConfig": {**TWO, "ProvisionedConcurrency": 3}}, False, "above its MaxConcurrency"),
        ({"ServerlessConfig": TWO}, True, "network isolation"),
    ],
    ids=["odd-memory", "instances-too", "too-much-provisioned", "isolated"],
)
def test_a_configuration_that_breaks_a_rule_of_aws_is_refused(sagemaker, variant, isolated, words):
    with pytest.raises(ClientError, match=words):
        sagemaker.config(MODEL.format(answer="x"), isolated=isolated, **variant)


# --- the fleet alone, with containers whose starts the test times ---


class Container:
    """A container that answers its ping when the test lets it."""

    answers = threading.Event()
    started: ClassVar[list["Container"]] = []

    def __init__(self, folder: Path):
        self.id = f"i-{len(self.started)}"
        self.log = folder / "none.log"
        self.healthy, self.in_flight, self.setup_seconds, self.unclaimed, self.stopped = False, 0, 0.0, False, False
        self.child = self
        self.running = True
        self.started.append(self)

    def start(self, _endpoint: str, _region: str, _variant: Variant, ended: Any) -> None:
        self.ended = ended

    def ping(self) -> bool:
        return self.answers.is_set()

    def end_if_out_of_memory(self, _variant: Variant) -> None:
        pass

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    set_context(Context(home=tmp_path, port=1, supervisor=Supervisor(tmp_path)))
    monkeypatch.setattr(serverless, "HostingInstance", Container)
    monkeypatch.setattr(serverless, "unpack_model", lambda *_: None)
    monkeypatch.setattr(serverless, "MEMORY_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(Variant, "require_image", lambda *_: None)
    monkeypatch.setattr(Container, "started", [])
    Container.answers.set()
    variant = Variant("main", "image", "s3://b/m.tar.gz", {}, False, 1, 1.0, serverless=Serverless(1024, 2))
    made = serverless.ServerlessFleet("endpoint", "us-east-1", variant, lambda: None)
    made.start()
    made.wait_healthy(threading.Event())
    yield made
    made.end()
    set_context(None)


def test_a_container_that_is_idle_for_long_is_stopped_and_the_next_request_starts_another(
    fleet, monkeypatch, wait_until
):
    with fleet.instance() as warm:
        assert warm.setup_seconds == 0
    monkeypatch.setattr(serverless, "IDLE_SECONDS", 0.0)
    wait_until(lambda: Container.started[0].stopped, "the idle container is stopped")
    with fleet.instance() as cold:
        assert cold is not warm
        assert cold.setup_seconds > 0


def test_a_container_that_serves_is_not_idle(fleet, monkeypatch, wait_until):
    with fleet.instance() as busy:
        monkeypatch.setattr(serverless, "IDLE_SECONDS", 0.0)
        with fleet.instance() as other:
            pass
        wait_until(lambda: other.stopped, "the idle one is stopped")
        assert not busy.stopped


def test_a_cold_start_that_outlasts_an_invocation_is_not_ready_and_warms_the_next_request(
    fleet, monkeypatch, wait_until
):
    monkeypatch.setattr(serverless, "INVOCATION_SECONDS", 0.0)
    with fleet.instance():
        Container.answers.clear()
        with pytest.raises(serverless.NotReady), fleet.instance():
            pass
        Container.answers.set()
        wait_until(lambda: Container.started[1].healthy and "i-1" in fleet._idle_since, "it has started meanwhile")
        with fleet.instance() as late:
            assert (late.id, late.setup_seconds) == ("i-1", 0.0)


def test_a_second_try_waits_for_the_container_that_the_first_one_started(fleet, monkeypatch):
    with fleet.instance():
        Container.answers.clear()
        with monkeypatch.context() as patch:
            patch.setattr(serverless, "INVOCATION_SECONDS", 0.0)
            with pytest.raises(serverless.NotReady), fleet.instance():
                pass
        got = []

        def ask() -> None:
            with fleet.instance() as instance:
                got.append(instance.id)

        thread = threading.Thread(target=ask)
        thread.start()
        while fleet.utilization < 1:
            thread.join(0.01)
        Container.answers.set()
        thread.join()
        assert (got, len(Container.started)) == (["i-1"], 2)


def test_a_container_that_ends_while_it_starts_fails_its_request_and_frees_its_place(fleet):
    Container.answers.clear()
    with fleet.instance():
        results = []

        def ask() -> None:
            try:
                with fleet.instance():
                    pass
            except serverless.StartFailed as failure:
                results.append(str(failure))

        thread = threading.Thread(target=ask)
        thread.start()
        while len(Container.started) < 2:
            thread.join(0.01)
        while not hasattr(Container.started[1], "ended"):
            thread.join(0.01)
        Container.started[1].ended(3, 0.1)
        thread.join()
        assert results == ["the container exited with status 3"]
        assert fleet.utilization == 0.5
