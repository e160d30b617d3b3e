"""What the server remembers: across an orderly stop, across a crash, and what it will not read."""

import json
import os
import pickle
import threading

import moto
import pytest

from localaws.supervisor import start_time
from tests.unit.localaws.sagemaker_helpers import MODEL, TRAINING_LOGS, SageMaker

HANGING = "import time\nprint('waiting', flush=True)\ntime.sleep(1000)\n"


def pids(server) -> list[int]:
    return [entry["pid"] for entry in json.loads((server.home / "processes.json").read_text())]


def snapshot(server):
    return server.home / "state" / "backends.pickle"


def test_an_orderly_stop_loses_nothing_and_leaves_nothing_running(own_server, wait_until):
    sagemaker = SageMaker(own_server.start(), wait_until)
    s3 = own_server.client("s3")
    s3.put_bucket_versioning(Bucket=sagemaker.bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=sagemaker.bucket, Key="photo", Body=b"one", Metadata={"Breed": "Pug"})["VersionId"]
    s3.put_object(Bucket=sagemaker.bucket, Key="photo", Body=b"two")
    name = sagemaker.endpoint(MODEL.format(answer="kept"), count=2)
    job = sagemaker.job(HANGING)
    wait_until(lambda: "waiting" in sagemaker.log(TRAINING_LOGS, job), "the job runs")
    running = pids(own_server)
    assert len(running) == 3
    own_server.stop()
    assert [start_time(pid) for pid in running] == [None, None, None]

    own_server.start()
    assert s3.get_object(Bucket=sagemaker.bucket, Key="photo")["Body"].read() == b"two"
    old = s3.get_object(Bucket=sagemaker.bucket, Key="photo", VersionId=first)
    assert (old["Body"].read(), old["Metadata"]) == (b"one", {"breed": "Pug"})
    described = sagemaker.api.describe_endpoint(EndpointName=name)
    assert described["EndpointStatus"] in ("Creating", "InService"), "it is started again, and the log reports it"
    assert sagemaker.settled(name)["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert sagemaker.ask(name)["answer"] == "kept"
    lost = sagemaker.api.describe_training_job(TrainingJobName=job)
    assert lost["TrainingJobStatus"] == "Failed"
    assert "the local AWS was stopped while the job was running. Start it again" in lost["FailureReason"]
    assert "waiting" in sagemaker.log(TRAINING_LOGS, job)


def test_a_crash_loses_little_and_the_next_start_ends_what_it_left(own_server, wait_until):
    sagemaker = SageMaker(own_server.start(), wait_until)
    name = sagemaker.endpoint(MODEL.format(answer="kept"))
    sagemaker.put("just-before-the-crash", b"just before")
    path = snapshot(own_server)
    wait_until(lambda: path.exists() and b"just-before-the-crash" in path.read_bytes(), "a snapshot follows the change")
    (left,) = pids(own_server)
    own_server.kill()
    assert start_time(left) is not None, "nobody has ended the container yet"
    own_server.start()
    assert start_time(left) is None
    assert (
        own_server.client("s3").get_object(Bucket=sagemaker.bucket, Key="just-before-the-crash")["Body"].read()
        == b"just before"
    )
    assert sagemaker.settled(name)["EndpointStatus"] == "InService"
    assert sagemaker.ask(name)["answer"] == "kept"


def test_down_ends_what_a_killed_server_left(own_server, wait_until):
    sagemaker = SageMaker(own_server.start(), wait_until)
    name = sagemaker.endpoint(MODEL.format(answer="x"))
    (left,) = pids(own_server)
    own_server.kill()
    said = own_server.command("down").stdout
    assert f"endpoint {name}/main" in said
    assert start_time(left) is None
    assert "does not run" in own_server.command("down").stdout


@pytest.mark.parametrize("stage", [pytest.param("Creating", marks=pytest.mark.soak), "Baking"])
def test_an_update_interrupted_by_a_stop_is_rolled_back_and_says_so(own_server, wait_until, stage):
    sagemaker = SageMaker(own_server.start(), wait_until)
    name = sagemaker.endpoint(MODEL.format(answer="old"))
    waiting = "import time\nwhile True: time.sleep(1)\n" if stage == "Creating" else ""
    routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 3600}
    sagemaker.api.update_endpoint(
        EndpointName=name,
        EndpointConfigName=sagemaker.config(waiting + MODEL.format(answer="new")),
        DeploymentConfig={"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}},
    )

    def is_there() -> bool:
        pending = sagemaker.api.describe_endpoint(EndpointName=name)["PendingDeploymentSummary"]
        (status,) = pending.get("ProductionVariants", [{}])[0].get("VariantStatus", [{}])
        return len(pids(own_server)) == 2 and status.get("Status") == stage

    wait_until(is_there, f"the new container is started, and the update is {stage}")
    own_server.stop()
    own_server.start()
    described = sagemaker.settled(name)
    assert described["EndpointStatus"] == "InService"
    assert "stopped during this change" in described["FailureReason"]
    assert sagemaker.ask(name)["answer"] == "old"


def test_an_endpoint_being_deleted_stays_deleted(own_server, wait_until):
    sagemaker = SageMaker(own_server.start(), wait_until)
    name = sagemaker.endpoint(MODEL.format(answer="x"))
    sagemaker.api.delete_endpoint(EndpointName=name)
    own_server.stop()
    own_server.start()
    assert sagemaker.api.list_endpoints()["Endpoints"] == []


def test_contents_that_no_object_names_are_removed_at_the_next_start(own_server):
    own_server.start()
    s3 = own_server.client("s3")
    s3.create_bucket(Bucket="bucket")
    for key, body in {"kept": b"same", "again": b"same", "gone": b"other"}.items():
        s3.put_object(Bucket="bucket", Key=key, Body=body)
    s3.delete_object(Bucket="bucket", Key="gone")
    s3.delete_object(Bucket="bucket", Key="kept")
    own_server.stop()
    own_server.start()
    assert [path.read_bytes() for path in (own_server.home / "s3").glob("*/*")] == [b"same"]
    assert s3.get_object(Bucket="bucket", Key="again")["Body"].read() == b"same"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pickle.dumps({"moto": "4.0.0", "format": 2}), "moto 4.0.0, format 2"),
        # A state of version 0.1: it names classes by paths that are gone, so the stamp is all that is read of it.
        (
            pickle.dumps({"moto": moto.__version__, "format": 1}) + b"clocalaws.control.ec2_instance\nLocalInstance\n.",
            "format 1;",
        ),
        (b"rubbish", "cannot be read"),
    ],
)
def test_a_state_that_cannot_be_used_is_refused_with_the_way_out_and_left_alone(own_server, content, said):
    path = snapshot(own_server)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    ran = own_server.command("up")
    assert ran.returncode != 0
    assert said in ran.stderr
    assert f"{own_server.home}" in ran.stderr
    assert path.read_bytes() == content


def test_snapshots_are_taken_while_requests_change_everything(own_server):
    """Pickling and changing at once must neither fail a request nor lose a snapshot."""
    own_server.start()
    failures: list[Exception] = []

    def change(worker: int) -> None:
        s3, logs = own_server.client("s3"), own_server.client("logs")
        try:
            s3.create_bucket(Bucket=f"bucket-{worker}")
            for number in range(60):
                s3.put_object(Bucket=f"bucket-{worker}", Key=f"{number}", Body=os.urandom(8))
                logs.create_log_group(logGroupName=f"/{worker}/{number}")
        except Exception as error:
            failures.append(error)

    workers = [threading.Thread(target=change, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    own_server.stop()
    assert failures == []
    assert "could not be written" not in (own_server.home / "server.log").read_text()
    own_server.start()
    s3 = own_server.client("s3")
    assert [s3.list_objects_v2(Bucket=f"bucket-{worker}")["KeyCount"] for worker in range(4)] == [60] * 4
