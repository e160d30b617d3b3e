"""Nothing that the local AWS starts listens beyond this machine."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import pytest

from localaws.supervisor import MARK
from tests.unit.localaws.sagemaker_helpers import TRAINING_LOGS, SageMaker

LISTENING = "0A"
LOOPBACK = ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")

# It forms a group over both hosts, and waits until it may end.
DISTRIBUTED = """
import os, time
import torch, torch.distributed as dist
dist.init_process_group("gloo")
total = torch.ones(1)
dist.all_reduce(total)
print("hosts", int(total.item()), flush=True)
while not os.path.exists(os.environ["GO_ON"]):
    time.sleep(0.05)
dist.destroy_process_group()
"""


def listening(processes: set[int]) -> dict[str, str]:
    """Address and port, in the system's hexadecimal form, of every socket on which one of the processes listens."""
    sockets = set()
    for process in processes:
        for file in Path(f"/proc/{process}/fd").glob("*"):
            with contextlib.suppress(OSError):
                if found := re.fullmatch(r"socket:\[(\d+)\]", str(file.readlink())):
                    sockets.add(found[1])
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        if (path := Path("/proc/net") / table).exists()
        for line in path.read_text().splitlines()[1:]
    ]
    return {fields[9]: fields[1] for fields in lines if fields[3] == LISTENING and fields[9] in sockets}


def members(home: Path) -> set[int]:
    """The processes of a local AWS: the server, and all that carry a mark of its supervisor."""
    marks = [f"{MARK}={each['token']}".encode() for each in json.loads((home / "processes.json").read_text())]
    found = {json.loads((home / "server.json").read_text())["pid"]}
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if set(marks) & set(path.read_bytes().split(b"\0")):
                found.add(int(path.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="this system does not show who listens where")
def test_a_job_of_two_hosts_listens_on_loopback_only(own_server, wait_until, tmp_path):
    pytest.importorskip("torch")
    sagemaker = SageMaker(own_server.start(), wait_until)
    go_on = tmp_path / "go-on"
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    job = sagemaker.job(
        DISTRIBUTED,
        {"sagemaker_torch_distributed_enabled": "true"},
        ResourceConfig=resources,
        Environment={"GO_ON": str(go_on)},
    )
    wait_until(lambda: sagemaker.log(TRAINING_LOGS, job).count("hosts 2") == 2, "both hosts are in the group")
    found = listening(members(own_server.home))
    go_on.touch()
    assert sagemaker.finished(job)["TrainingJobStatus"] == "Completed"
    assert len(found) >= 3, f"the server, the store and gloo listen: {found}"
    assert [address for address in found.values() if address.partition(":")[0] not in LOOPBACK] == []
