"""What the stack does when AWS throttles, fails or loses machines, and that a saved state comes back (docs/FAULTS.md).

One deployment for all of them, with the settings of `ENV=local`. The tests run in order.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from localaws.ports import free_port
from tests.e2e.deployment import ORDINARY, Deployment

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """GIVEN a stack of `ENV=local` and a small dataset."""
    made = Deployment(tmp_path_factory.mktemp("home").resolve(), free_port(), ORDINARY.copy())
    try:
        made.make("local-up")
        made.make("apply")
        made.make("data", f"DATA={small_dataset(tmp_path_factory.mktemp('small'))}")
        yield made
    finally:
        made.run("local-down")


def small_dataset(folder: Path) -> Path:
    """Two classes of noise, so few photographs that an epoch of fine-tuning takes seconds."""
    for split, count in {"train": 24, "valid": 6, "test": 6}.items():
        for name, sigma in {"coarse": 120, "fine": 20}.items():
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                (folder / split / name / f"{number}.jpg").write_bytes(photograph(sigma))
    return folder


@pytest.fixture(autouse=True)
def whole_afterwards(deployed: Deployment) -> Iterator[None]:
    yield
    deployed.run("chaos", "CLEAR=1")


def until(condition: Callable[[], object], what: str, seconds: float = 1200) -> object:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"after {seconds} s, not yet: {what}"
        time.sleep(0.2)
    return value


def outputs(deployed: Deployment) -> dict:
    return json.loads(deployed.make("-s", "output"))


def instances(deployed: Deployment, endpoint: str) -> int:
    described = deployed.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    return described["ProductionVariants"][0]["CurrentInstanceCount"]


@pytest.fixture
def two_instances(deployed: Deployment) -> Iterator[str]:
    """GIVEN an endpoint with two instances, which the scaling policy leaves alone. Gives its name."""
    endpoint = outputs(deployed)["endpoint_name"]
    scaling = deployed.client("application-autoscaling")
    [target] = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    named = {name: target[name] for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
    scaling.register_scalable_target(**named, MinCapacity=2, MaxCapacity=2)
    until(lambda: instances(deployed, endpoint) == 2, "two instances")
    yield endpoint
    scaling.register_scalable_target(**named, **{name: target[name] for name in ("MinCapacity", "MaxCapacity")})


def photograph(sigma: float = 80) -> bytes:
    """A JPEG of noise, each time another one."""
    file = BytesIO()
    Image.effect_noise((64, 64), sigma).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def through_function(deployed: Deployment, name: str, alias: str) -> Callable[[], int]:
    """One prediction through the function, invoked directly: its status."""
    event = json.dumps({"image": base64.b64encode(photograph()).decode()}).encode()
    client = deployed.client("lambda")

    def ask() -> int:
        answer = client.invoke(FunctionName=name, Qualifier=alias, Payload=event)
        return int(json.loads(answer["Payload"].read()).get("statusCode", 200))

    return ask


def statuses(ask: Callable[[], int], meanwhile: Callable[[], object]) -> Counter[int]:
    """The statuses of the requests that four clients send without a pause while `meanwhile()` runs."""
    found: Counter[int] = Counter()
    over = threading.Event()

    def client() -> None:
        while not over.is_set():
            found[ask()] += 1

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(client) for _ in range(4)]
        try:
            until(lambda: sum(found.values()) >= 20, "answers before the fault")
            meanwhile()
        finally:
            over.set()
        for each in clients:
            each.result()
    return found


def lost(deployed: Deployment, endpoint: str) -> int:
    """How many instances of the endpoint have ended without being told to."""
    return len(re.findall(rf"{endpoint}: instance \S+ ended", (deployed.localaws / "server.log").read_text()))


def lose(deployed: Deployment, endpoint: str, share: float) -> int:
    """Have a share of the endpoint's instances lost, and wait until they are replaced; their number."""
    before = lost(deployed, endpoint)
    deployed.make("chaos", f"RULE=lose-instances resource={endpoint} share={share}")
    until(lambda: lost(deployed, endpoint) > before, "an instance is lost")
    until(lambda: instances(deployed, endpoint) == 2, "two instances again")
    return lost(deployed, endpoint) - before


def test_an_endpoint_that_loses_half_of_its_instances_goes_on_answering(deployed: Deployment, two_instances: str):
    stack = outputs(deployed)
    ask = through_function(deployed, stack["function_name"], stack["function_alias"])
    assert ask() == 200
    count = []

    found = statuses(ask, lambda: count.append(lose(deployed, two_instances, 0.5)))

    print(f"lose-instances share=0.5: {count[0]} lost, answers {dict(found)}")
    assert count == [1]
    assert set(found) == {200}


def test_with_all_instances_lost_the_function_answers_errors_of_its_contract_and_recovers(
    deployed: Deployment, two_instances: str
):
    stack = outputs(deployed)
    ask = through_function(deployed, stack["function_name"], stack["function_alias"])
    count = []

    found = statuses(ask, lambda: count.append(lose(deployed, two_instances, 1)))

    print(f"lose-instances share=1: {count[0]} lost, answers {dict(found)}")
    assert count == [2]
    assert set(found) == {200, 502}, "never an exception of the function"
    assert ask() == 200


def test_commands_pass_while_a_third_of_the_requests_is_throttled(deployed: Deployment):
    deployed.make("chaos", "RULE=throttle service=sagemaker probability=0.3 seed=1")
    deployed.make("chaos", "RULE=throttle service=s3 probability=0.1 seed=1")

    status = deployed.make("status")
    assert "throttle service=sagemaker" in status
    assert "chaos CLEAR=1" in status
    deployed.make("train", "EPOCHS=1", "SEED=1")
    deployed.make("promote")
    listed = deployed.make("chaos")
    print(listed)
    faults = [int(count) for count in re.findall(r"│ (\d+) +│ throttle", listed)]
    assert len(faults) == 2
    assert min(faults) >= 5, listed


def test_a_throttled_endpoint_is_429_for_the_caller_and_not_asked_twice(deployed: Deployment):
    stack = outputs(deployed)
    ask = through_function(deployed, stack["function_name"], stack["function_alias"])
    until(lambda: ask() == 200, "the function answers")
    deployed.make("chaos", "RULE=throttle service=sagemaker-runtime until=3x")
    assert [ask() for _ in range(4)] == [429, 429, 429, 200]


def test_a_failing_endpoint_is_asked_a_second_time(deployed: Deployment):
    stack = outputs(deployed)
    ask = through_function(deployed, stack["function_name"], stack["function_alias"])
    deployed.make("chaos", "RULE=error service=sagemaker-runtime until=1x")
    assert ask() == 200


def epochs(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\bepoch=(\d+) ", text)]


def test_spot_capacity_that_is_taken_back_costs_at_most_one_epoch(deployed: Deployment):
    sagemaker = deployed.client("sagemaker")
    before = {job["TrainingJobName"] for job in sagemaker.list_training_jobs()["TrainingJobSummaries"]}

    def take_when_it_learns() -> None:
        logs = deployed.client("logs")

        def third_epoch() -> bool:
            named = [job["TrainingJobName"] for job in sagemaker.list_training_jobs()["TrainingJobSummaries"]]
            new = set(named) - before
            if not new:
                return False
            found = logs.filter_log_events(
                logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{new.pop()}/"
            )
            return 3 in epochs("\n".join(event["message"] for event in found["events"]))

        until(third_epoch, "the third epoch")
        deployed.make("chaos", "RULE=take-spot until=1x")

    thread = threading.Thread(target=take_when_it_learns)
    thread.start()
    said = deployed.make("train", "SPOT=1", "FINE_TUNE=1", "EPOCHS=8", "PATIENCE=8", "SEED=1")
    thread.join()

    [name] = {job["TrainingJobName"] for job in sagemaker.list_training_jobs()["TrainingJobSummaries"]} - before
    job = sagemaker.describe_training_job(TrainingJobName=name)
    stages = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    print(stages, epochs(said))
    assert stages.count("Interrupted") == 1
    assert stages[-1] == "Completed"
    resumed = int(re.search(r"resumed after epoch (\d+)", said)[1])
    first = epochs(said[: said.index("resumed after epoch")])
    assert max(first) - resumed <= 1, "epochs that were printed before the interruption and trained again"
    assert epochs(said[said.index("resumed after epoch") :])[0] == resumed + 1


def test_an_interrupted_instance_says_why_and_starts_again(deployed: Deployment):
    ec2, instance = deployed.client("ec2"), outputs(deployed)["ec2_instance_id"]
    ec2.start_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance])
    deployed.make("chaos", f"RULE=interrupt-instances resource={instance} until=1x")
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance])
    [described] = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    assert described["StateReason"]["Code"] == "Server.ScheduledStop"
    ec2.start_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance])
    ec2.stop_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance])


def test_a_snapshot_of_a_running_rehearsal_comes_back(deployed: Deployment):
    """WHEN everything is deleted after a snapshot that was taken under traffic THEN a restore brings all of it back."""
    stack = outputs(deployed)
    ask = through_function(deployed, stack["function_name"], stack["function_alias"])
    s3, bucket = deployed.client("s3"), stack["artifacts_bucket"]
    s3.put_object(Bucket=bucket, Key="before", Body=b"before")
    found = statuses(ask, lambda: print(deployed.make("snapshot", "NAME=whole")))
    print(f"snapshot under traffic: answers {dict(found)}")
    assert set(found) == {200}, "a snapshot disturbs nobody"
    s3.put_object(Bucket=bucket, Key="after", Body=b"after")

    deployed.make("local-reset", "CONFIRM=yes")
    deployed.make("local-up")
    deployed.make("restore", "NAME=whole", "CONFIRM=yes")

    assert s3.get_object(Bucket=bucket, Key="before")["Body"].read() == b"before"
    assert "after" not in [
        item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix="after").get("Contents", [])
    ]
    deployed.client("sagemaker").get_waiter("endpoint_in_service").wait(EndpointName=stack["endpoint_name"])
    assert ask() == 200
    assert "No changes." in deployed.make("plan")
    assert Path(deployed.home, "snapshots", "whole.tar.gz").exists()
