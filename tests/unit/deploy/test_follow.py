"""Follow jobs, trials and the notebook on a fake AWS that drops connections, throttles, and recovers."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy import environment, follow
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.sagemaker import jobs, notebook, trials

OUTPUTS = {"name": "pawprint", "region": "us-east-1", "training_log_group": "/jobs", "notebook_name": "book"}
TROUBLE = ["drop", "ThrottlingException", "ServiceUnavailable 503", "ExpiredTokenException", "drop"]


class Aws:
    """`answers` has the answers of each operation in order. The last one is repeated."""

    def __init__(self):
        self.answers: dict[str, list] = {"DescribeLogStreams": [{"logStreams": []}]}
        self.asked: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def handler(aws):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers["X-Amz-Target"].rpartition(".")[2]
                aws.asked.append(operation)
                turns = aws.answers[operation]
                turn = turns.pop(0) if len(turns) > 1 else turns[0]
                if turn == "drop":
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, body = 200, turn
                if isinstance(turn, str):
                    code, _, number = turn.partition(" ")
                    status, body = int(number or 400), {"__type": code, "message": "words"}
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_) -> None:
                pass

        return Handler


@pytest.fixture
def aws() -> Iterator[Aws]:
    made = Aws()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def deployment(aws, tmp_path: Path, monkeypatch) -> Deployment:
    """A deployment on that AWS. Pauses take no time."""
    monkeypatch.setenv("PAWPRINT_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAWS_PORT", str(aws.server.server_port))
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # botocore's own retries pause for seconds
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    monkeypatch.setattr(
        follow.Follow.__init__, "__kwdefaults__", {"end": "", "patience": None, "sleep": lambda _: None}
    )
    return Deployment(environment.current(), OUTPUTS)


def training_job(status: str, secondary: str) -> dict:
    return {"TrainingJobName": "pawprint-train-1", "TrainingJobStatus": status, "SecondaryStatus": secondary}


def tuning_job(status: str) -> dict:
    limits = {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1}
    config = {"Strategy": "Random", "ResourceLimits": limits}
    return {"HyperParameterTuningJobStatus": status, "HyperParameterTuningJobConfig": config}


def test_a_training_job_is_followed_through_lost_connections(aws, deployment, capsys):
    aws.answers["DescribeTrainingJob"] = [
        training_job("InProgress", "Training"),
        *TROUBLE,
        training_job("InProgress", "Uploading"),
        training_job("Completed", "Completed"),
    ]

    assert jobs.follow(deployment, "pawprint-train-1")["TrainingJobStatus"] == "Completed"

    printed = capsys.readouterr()
    steps = [line for line in printed.out.splitlines() if line.startswith("▸")]
    assert steps == ["▸ Training", "▸ Uploading", "▸ Connected again", "▸ Completed"]
    assert "pawprint-train-1 continues without it" in printed.err


def test_a_tuning_job_is_followed_through_lost_connections(aws, deployment, capsys):
    aws.answers["DescribeHyperParameterTuningJob"] = [tuning_job("InProgress"), *TROUBLE, tuning_job("Completed")]
    aws.answers["ListTrainingJobsForHyperParameterTuningJob"] = [{"TrainingJobSummaries": []}]

    job, tried = trials.follow(deployment, "pawprint-tune-1")

    assert (job["HyperParameterTuningJobStatus"], tried) == ("Completed", [])
    assert "Connected again" in capsys.readouterr().out


def test_waiting_for_the_notebook_survives_lost_connections(aws, deployment, capsys):
    aws.answers["DescribeNotebookInstance"] = [
        {"NotebookInstanceStatus": "Stopped"},
        *TROUBLE,
        {"NotebookInstanceStatus": "Pending"},
        {"NotebookInstanceStatus": "InService"},
    ]
    aws.answers["StartNotebookInstance"] = [{}]

    notebook.start(deployment)

    assert aws.asked.count("StartNotebookInstance") == 1
    assert "Connected again" in capsys.readouterr().out


def test_a_job_that_does_not_exist_is_not_waited_for(aws, deployment):
    aws.answers["DescribeTrainingJob"] = ["ValidationException"]
    with pytest.raises(Failure, match=r"There is no training job nobody\. To list the last ones: make status"):
        jobs.follow(deployment, "nobody")


@pytest.mark.parametrize(
    ("operation", "start", "again"),
    [
        ("DescribeTrainingJob", jobs.follow, "make train RUN=run-1. To stop it: aws sagemaker stop-training-job"),
        (
            "DescribeHyperParameterTuningJob",
            trials.follow,
            "make tune RUN=run-1. To stop it: aws sagemaker stop-hyper-parameter-tuning-job",
        ),
    ],
)
def test_ctrl_c_names_the_command_that_follows_again(aws, deployment, monkeypatch, operation, start, again):
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    aws.answers[operation] = [{**training_job("InProgress", "Training"), **tuning_job("InProgress")}]
    aws.answers["ListTrainingJobsForHyperParameterTuningJob"] = [{"TrainingJobSummaries": []}]
    monkeypatch.setitem(follow.Follow.__init__.__kwdefaults__, "sleep", interrupt)

    with pytest.raises(Failure, match=f"Stopped watching; run-1 continues. To watch it again: {re.escape(again)}"):
        start(deployment, "run-1")
