"""Notebook instances: a real JupyterLab behind the presigned URL, lifecycle scripts that run, nothing left behind."""

import base64
import http.client
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ClientError

from localaws.services.sagemaker.notebooks.machine import LOG_GROUP
from tests.unit.localaws.sagemaker_helpers import ROLE, SageMaker, unique

BRING = """#!/bin/sh
echo "in $NOTEBOOK_HOME"
echo "$AWS_ENDPOINT_URL" > "$NOTEBOOK_HOME/SageMaker/brought.txt"
"""
REFUSE = """#!/bin/sh
echo "no such bucket" >&2
exit 3
"""
COUNT = """#!/bin/sh
echo once >> "$NOTEBOOK_HOME/SageMaker/{0}.txt"
"""


def content(script: str) -> list[dict[str, str]]:
    return [{"Content": base64.b64encode(script.encode()).decode()}]


class Notebook:
    """A notebook instance on one server, with a lifecycle configuration of its own name."""

    def __init__(self, server: Any, until: Any):
        self.server = server
        self.until = until
        self.name = unique("notebook")
        self.volume = server.home / "notebooks" / "us-east-1" / self.name / "home" / "SageMaker"

    @property
    def api(self) -> Any:
        return self.server.client("sagemaker")

    def configure(self, **scripts: str) -> str:
        hooks = {hook: content(text) for hook, text in scripts.items()}
        answer = self.api.create_notebook_instance_lifecycle_config(
            NotebookInstanceLifecycleConfigName=self.name, **hooks
        )
        return answer["NotebookInstanceLifecycleConfigArn"]

    def create(self, **request: Any) -> "Notebook":
        self.api.create_notebook_instance(
            NotebookInstanceName=self.name, InstanceType="ml.t3.medium", RoleArn=ROLE, **request
        )
        return self

    def describe(self) -> dict[str, Any]:
        return self.api.describe_notebook_instance(NotebookInstanceName=self.name)

    def reached(self, status: str) -> dict[str, Any]:
        """The description once the instance has settled, which must be in `status`."""

        def settled() -> dict[str, Any] | None:
            described = self.describe()
            return described if described["NotebookInstanceStatus"] not in ("Pending", "Stopping") else None

        described = self.until(settled, f"{self.name} settles")
        assert described["NotebookInstanceStatus"] == status, described.get("FailureReason")
        return described

    def stop(self) -> None:
        self.api.stop_notebook_instance(NotebookInstanceName=self.name)
        self.reached("Stopped")

    def start(self) -> None:
        self.api.start_notebook_instance(NotebookInstanceName=self.name)
        self.reached("InService")

    def url(self) -> str:
        return self.api.create_presigned_notebook_instance_url(NotebookInstanceName=self.name)["AuthorizedUrl"]

    def delete(self) -> None:
        self.api.delete_notebook_instance(NotebookInstanceName=self.name)

    def processes(self) -> list[int]:
        """Every process that works in the instance, kernels too."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cwd"):
            try:
                if entry.resolve().is_relative_to(self.volume.parent):
                    found.append(int(entry.parent.name))
            except OSError:
                continue  # it ended while we looked
        return found


def ask(url: str, path: str, method: str = "GET", token: str | None = None) -> tuple[int, bytes]:
    """The status and the body that the server of `url` answers."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request(method, path, headers={"Authorization": f"token {token}"} if token else {})
    response = connection.getresponse()
    return response.status, response.read()


def server_log(notebook: Notebook) -> str:
    return "\n".join(SageMaker(notebook.server, notebook.until).log(LOG_GROUP, f"{notebook.name}/jupyter.log"))


def token_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


@pytest.fixture
def notebook(localaws, wait_until) -> Notebook:
    return Notebook(localaws, wait_until)


@pytest.fixture(scope="module")
def running(localaws, wait_until) -> Iterator[Notebook]:
    """An instance in service, for the tests that change nothing in it."""
    notebook = Notebook(localaws, wait_until)
    notebook.configure(OnStart=BRING)
    notebook.create(LifecycleConfigName=notebook.name).reached("InService")
    yield notebook
    notebook.stop()
    notebook.delete()


def test_the_presigned_url_opens_a_real_jupyterlab_and_its_token_is_needed(running):
    url = running.url()
    parts = urlsplit(url)
    assert parts.hostname == "127.0.0.1"

    status, page = ask(url, f"{parts.path}?{parts.query}")
    assert (status, b"<title>JupyterLab</title>" in page) == (200, True)
    status, page = ask(url, parts.path)
    assert (status, b"<title>JupyterLab</title>" in page) == (302, False)  # to the page that asks for the token
    token = token_of(url)
    assert [ask(url, "/api/contents", token=given)[0] for given in (None, token[:-1], token)] == [403, 403, 200]


def test_a_lifecycle_script_knows_the_local_aws_and_its_output_is_in_the_log(running):
    assert (running.volume / "brought.txt").read_text().strip() == running.server.url
    log = SageMaker(running.server, running.until).log(LOG_GROUP, f"{running.name}/LifecycleConfigOnStart")
    assert log == [f"in {running.volume.parent}"]
    running.until(lambda: "is running at" in server_log(running), "what JupyterLab says of itself is in the log")
    assert token_of(running.url()) not in server_log(running)


def test_what_is_asked_for_is_described_and_only_one_instance_has_a_name(running):
    described = running.describe()
    assert (described["NotebookInstanceStatus"], described["VolumeSizeInGB"]) == ("InService", 5)
    assert described["NotebookInstanceLifecycleConfigName"] == running.name
    with pytest.raises(ClientError, match="duplicate"):
        running.create()
    for refused in (running.api.delete_notebook_instance, running.api.start_notebook_instance):
        with pytest.raises(ClientError, match="Unable to transition"):
            refused(NotebookInstanceName=running.name)


def test_a_stop_ends_the_kernels_too_and_a_start_goes_on_with_the_same_volume(notebook, tmp_path):
    gate = tmp_path / "open"
    waiting = COUNT.format("create") + f"while [ ! -e {gate} ]; do sleep 0.02; done\n"
    notebook.configure(OnCreate=waiting, OnStart=COUNT.format("start"))
    notebook.create(SecurityGroupIds=["sg-1"], LifecycleConfigName=notebook.name)
    assert notebook.describe()["NotebookInstanceStatus"] == "Pending"
    gate.touch()
    assert notebook.reached("InService")["SecurityGroups"] == ["sg-1"]
    url = notebook.url()
    status, kernel = ask(url, "/api/kernels", "POST", token_of(url))
    assert status == 201, kernel
    processes = notebook.until(lambda: len(found := notebook.processes()) > 1 and found, "the kernel runs")
    environments = [Path(f"/proc/{process}/environ").read_bytes().split(b"\0") for process in processes]
    assert all(f"AWS_ENDPOINT_URL={notebook.server.url}".encode() in environment for environment in environments)

    notebook.stop()

    assert notebook.processes() == []
    with pytest.raises(ClientError, match="only while it is InService"):
        notebook.url()
    notebook.api.update_notebook_instance(NotebookInstanceName=notebook.name, InstanceType="ml.t3.large")
    notebook.start()
    assert notebook.describe()["InstanceType"] == "ml.t3.large"
    lines = {path.name: path.read_text().count("once") for path in notebook.volume.glob("*.txt")}
    assert lines == {"create.txt": 1, "start.txt": 2}

    notebook.stop()
    notebook.delete()
    assert not notebook.volume.exists()
    with pytest.raises(ClientError, match="RecordNotFound"):
        notebook.describe()


def test_a_lifecycle_script_that_fails_fails_the_instance_until_it_is_mended(notebook):
    notebook.configure(OnStart=REFUSE)
    described = notebook.create(LifecycleConfigName=notebook.name).reached("Failed")
    assert "OnStart" in described["FailureReason"]
    assert "status 3: no such bucket" in described["FailureReason"]
    assert notebook.processes() == []

    notebook.api.update_notebook_instance_lifecycle_config(
        NotebookInstanceLifecycleConfigName=notebook.name, OnStart=content(BRING)
    )
    notebook.start()

    assert "FailureReason" not in notebook.describe()
    notebook.stop()
    notebook.delete()


def test_a_server_that_dies_fails_the_instance(notebook):
    notebook.create().reached("InService")
    entries = json.loads((notebook.server.home / "processes.json").read_text())
    (server,) = [entry["pid"] for entry in entries if entry["owner"].endswith(f"/{notebook.name}")]

    os.kill(server, signal.SIGKILL)

    notebook.until(lambda: notebook.describe()["NotebookInstanceStatus"] == "Failed", "the death is noticed")
    assert "JupyterLab ended with status -9" in notebook.describe()["FailureReason"]
    notebook.delete()


def test_a_lifecycle_configuration_is_kept_as_it_was_made(notebook):
    arn = notebook.configure(OnStart=BRING)
    found = notebook.api.describe_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=notebook.name)
    assert (found["NotebookInstanceLifecycleConfigArn"], found["OnStart"]) == (arn, content(BRING))
    assert notebook.api.list_tags(ResourceArn=arn)["Tags"] == []
    notebook.api.delete_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=notebook.name)
    with pytest.raises(ClientError, match="does not exist"):
        notebook.create(LifecycleConfigName=notebook.name)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_of_the_local_aws_stops_it_and_keeps_its_volume(own_server, wait_until, end: str):
    own_server.start()
    notebook = Notebook(own_server, wait_until)
    notebook.create().reached("InService")
    (notebook.volume / "mine.ipynb").write_text("{}")
    # What a crash loses is at most what changed in its last moments.
    state = own_server.home / "state" / "backends.pickle"
    wait_until(lambda: state.exists() and b"InService" in state.read_bytes(), "the state is written")

    getattr(own_server, end)()
    if end == "stop":
        assert notebook.processes() == []
    own_server.start()

    assert notebook.reached("Stopped")["FailureReason"] == "The local AWS was stopped."
    assert notebook.processes() == []
    assert (notebook.volume / "mine.ipynb").exists()
