"""Faults by rule: what a rule may say, whom it hits, and that each error is the service's own."""

import http.client
import io
import json

import pytest
from botocore.exceptions import ClientError

from localaws.__main__ import ask as health
from localaws.chaos import decisions, faults, losses
from localaws.chaos.losses import Losable
from localaws.chaos.rule import FaultRule, RuleError, parse
from localaws.context import OWN_AGENT
from localaws.operations import SERVICES
from localaws.services.chaos import api
from tests.unit.localaws.sagemaker_helpers import MODEL, TRAINING_LOGS, SageMaker

CHAOS = "/_localaws/chaos"


@pytest.fixture(autouse=True)
def without_rules():
    yield
    decisions.clear()


def ask(server, method: str, content: object = None, **headers: str) -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    body = None if content is None else json.dumps(content)
    connection.request(method, CHAOS, body, {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, json.loads(content) if content.startswith(b"{") else {}


@pytest.fixture
def chaos(localaws):
    """Adds a rule to the shared server; no rule is left afterwards."""

    def add(rule: str) -> None:
        status, told = ask(localaws, "POST", {"rule": rule})
        assert status == 200, told

    yield add
    ask(localaws, "POST", {"clear": True})


def test_a_rule_is_read_with_its_units():
    rule = parse("throttle service=s3 operation=Put* probability=0.5 latency=200ms until=2m seed=7")
    assert (rule.service, rule.operation, rule.probability, rule.latency) == ("s3", "Put*", 0.5, 0.2)
    assert (rule.until, rule.times, rule.seed) == (120, None, "7")
    assert parse("lose-instances share=0.5 after=5s every=1h until=3x").times == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "begins with what happens"),
        ("explode", "'explode' is none of them"),
        ("throttle service=route66", "not a service of the local AWS"),
        ("throttle color=red", "'color=red' is not a part"),
        ("throttle seed=1 seed=2", "each of these once"),
        ("throttle share=0.5", "not a part of a rule with throttle"),
        ("take-spot probability=0.5", "not a part of a rule with take-spot"),
        ("throttle probability=2", "not a number above 0"),
        ("throttle probability=nan", "not a number above 0"),
        ("throttle latency=5", "not a time: 200ms"),
        ("throttle latency=2h", "more than 60 s"),
        ("throttle until=soon", "neither a time"),
        ("throttle operation=<b>", "is not a name"),
        ("delay service=s3", "latency=200ms"),
    ],
)
def test_a_wrong_rule_names_the_part_that_is_wrong(text, said):
    with pytest.raises(RuleError, match=said):
        parse(text)


def hit(rule: str, service: str, operation: str, count: int) -> list[bool]:
    decisions.clear()
    decisions.add(parse(rule))
    return [decisions.hits(service, operation, {})[0] is not None for _ in range(count)]


def test_the_same_seed_has_the_same_faults_again_and_the_probability_holds():
    first = hit("throttle probability=0.3 seed=7", "s3", "GetObject", 1000)
    assert first == hit("throttle probability=0.3 seed=7", "s3", "GetObject", 1000)
    assert first != hit("throttle probability=0.3 seed=8", "s3", "GetObject", 1000)
    assert 250 < sum(first) < 350


def test_other_requests_in_between_do_not_change_what_an_operation_meets():
    alone = hit("throttle probability=0.5", "s3", "GetObject", 20)
    decisions.clear()
    decisions.add(parse("throttle probability=0.5"))
    mixed = []
    for _ in range(20):
        mixed.append(decisions.hits("s3", "GetObject", {})[0] is not None)
        decisions.hits("sagemaker", "CreateModel", {})
    assert mixed == alone


def test_a_rule_hits_its_service_and_operations_only_and_ends_after_its_count():
    decisions.add(parse("error service=sagemaker operation=Describe* until=2x"))
    asked = [("s3", "DescribeX"), ("sagemaker", "CreateModel"), *[("sagemaker", "DescribeModel")] * 3]
    assert [decisions.hits(*each, {})[0] for each in asked] == [None, None, "error", "error", None]
    assert decisions.listed() == []


def test_what_the_services_send_for_themselves_is_not_touched():
    decisions.add(parse("throttle"))
    assert decisions.hits("s3", "PutObject", {"HTTP_USER_AGENT": f"Boto3/1 {OWN_AGENT}"}) == (None, 0.0)


def test_latencies_add_up_and_the_first_error_counts():
    for rule in ("delay latency=1s", "throttle latency=2s", "error latency=4s"):
        decisions.add(parse(rule))
    assert decisions.hits("s3", "GetObject", {}) == ("throttle", 3.0)


EXPECTED = {
    ("sagemaker", "throttle"): ("ThrottlingException", 400),
    ("sagemaker-runtime", "throttle"): ("ThrottlingException", 400),
    ("sagemaker-runtime", "error"): ("InternalFailure", 500),
    ("sagemaker-runtime", "unavailable"): ("ServiceUnavailable", 503),
    ("lambda", "throttle"): ("TooManyRequestsException", 429),
    ("lambda", "error"): ("ServiceException", 500),
    ("s3", "throttle"): ("SlowDown", 503),
    ("s3", "error"): ("InternalError", 500),
    ("ec2", "throttle"): ("RequestLimitExceeded", 503),
    ("iam", "throttle"): ("Throttling", 400),
    ("iam", "error"): ("ServiceFailure", 500),
    ("ssm", "error"): ("InternalServerError", 500),
}


@pytest.mark.parametrize(("service", "fault"), EXPECTED)
def test_each_error_is_the_services_own(service, fault):
    protocol = faults.protocol_of(service, {})
    assert faults.error_of(service, fault, protocol)[::2] == EXPECTED[service, fault]


@pytest.mark.parametrize("service", SERVICES)
def test_botocore_retries_every_throttling(service):
    from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

    code, _, status = faults.error_of(service, "throttle", faults.protocol_of(service, {}))
    codes = {*ThrottledRetryableChecker._THROTTLED_ERROR_CODES, *TransientRetryableChecker._TRANSIENT_ERROR_CODES}
    assert code in codes, (code, status)


CALLS = {
    "sagemaker": ("list_models", {}, "ThrottlingException"),
    "s3": ("list_buckets", {}, "SlowDown"),
    "lambda": ("list_functions", {}, "TooManyRequestsException"),
    "ec2": ("describe_instances", {}, "RequestLimitExceeded"),
    "iam": ("list_users", {}, "Throttling"),
    "cloudwatch": ("describe_alarms", {}, "Throttling"),
    "logs": ("describe_log_groups", {}, "ThrottlingException"),
}


def test_clients_read_the_error_in_every_protocol_and_a_clear_ends_it(localaws, chaos):
    chaos("throttle")
    for service, (call, arguments, code) in CALLS.items():
        with pytest.raises(ClientError) as caught:
            getattr(localaws.client(service), call)(**arguments)
        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["Error"]["Message"]
    _, told = ask(localaws, "GET")
    assert told["rules"][0]["faults"] >= len(CALLS)
    assert ask(localaws, "POST", {"clear": True}) == (200, {"cleared": 1})
    localaws.client("s3").list_buckets()


def test_a_client_that_retries_passes_a_throttling_that_ends(localaws, chaos):
    chaos("throttle service=sagemaker operation=ListModels until=2x")
    localaws.client("sagemaker", retries=4).list_models()
    assert ask(localaws, "GET") == (200, {"rules": []})


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Host": "evil.example"},
    ],
)
def test_a_web_page_cannot_change_the_rules(localaws, headers):
    status, _ = ask(localaws, "POST", {"rule": "throttle"}, **headers)
    assert status in (403, 415)
    assert ask(localaws, "GET") == (200, {"rules": []})


@pytest.mark.parametrize("content", [{"rule": "explode"}, {"rule": 5}, {}, [], "x"])
def test_a_request_that_is_not_one_is_refused(localaws, content):
    assert ask(localaws, "POST", content)[0] == 400


@pytest.mark.parametrize("body", [b"[" * 9_000, b'{"rule": "' + b"a" * 20_000])
def test_a_body_without_end_is_refused(body):
    environ = {"REQUEST_METHOD": "POST", "CONTENT_TYPE": "application/json", "wsgi.input": io.BytesIO(body)}
    answers: list[str] = []
    api.application(environ, lambda status, headers: answers.append(status))
    assert answers == ["400 Bad Request"]


def test_a_loss_takes_its_share_rounded_up_of_what_matches_and_repeats_by_its_seed():
    found = [Losable("cats" if number < 5 else "dogs", f"i-{number}", lambda: None) for number in range(8)]
    rule = FaultRule("", "lose-instances", resource="cats", share=0.5, seed="1")
    losses._owners["lose-instances"] = lambda: found
    taken = [each.name for each in losses.chosen(rule, losses.matching(rule), 1)]
    assert len(taken) == 3
    assert {each.resource for each in found if each.name in taken} == {"cats"}
    assert taken == [each.name for each in losses.chosen(rule, losses.matching(rule), 1)]


WAITS_ONCE = """
import os, pathlib, time
saved = pathlib.Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints" / "saved"
if saved.exists():
    print("resumed from", saved.read_text(), flush=True)
else:
    saved.write_text("the first attempt")
    print("saved", flush=True)
    time.sleep(1000)
"""


def test_a_spot_job_that_loses_its_capacity_starts_again_with_its_checkpoints(localaws, wait_until, chaos):
    sagemaker = SageMaker(localaws, wait_until)
    job = sagemaker.job(
        WAITS_ONCE,
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 900, "MaxWaitTimeInSeconds": 900},
        CheckpointConfig={"S3Uri": f"s3://{sagemaker.bucket}/checkpoints"},
    )
    other = sagemaker.job("import time\nprint('runs', flush=True)\ntime.sleep(1000)")
    wait_until(lambda: "saved" in sagemaker.log(TRAINING_LOGS, job), "it has a checkpoint")
    wait_until(lambda: "runs" in sagemaker.log(TRAINING_LOGS, other), "the job on demand runs")
    chaos("take-spot until=1x")
    finished = sagemaker.finished(job)
    stages = [each["Status"] for each in finished["SecondaryStatusTransitions"]]
    once = ["Starting", "Downloading", "Training"]
    assert stages == [*once, "Interrupted", *once, "Uploading", "Completed"]
    assert "resumed from the first attempt" in sagemaker.log(TRAINING_LOGS, job)
    assert sagemaker.api.describe_training_job(TrainingJobName=other)["SecondaryStatus"] == "Training"
    sagemaker.api.stop_training_job(TrainingJobName=other)
    sagemaker.finished(other)


def test_an_endpoint_that_loses_an_instance_goes_on_and_replaces_it(localaws, wait_until, chaos):
    sagemaker = SageMaker(localaws, wait_until)
    name = sagemaker.endpoint(MODEL.format(answer="here"), count=2)
    before = {sagemaker.ask(name)["process"] for _ in range(4)}
    assert len(before) == 2
    chaos(f"lose-instances resource={name} share=0.5")
    wait_until(lambda: len(before & {sagemaker.ask(name)["process"] for _ in range(4)}) == 1, "one of them is lost")

    def replaced() -> bool:
        after = {sagemaker.ask(name)["process"] for _ in range(4)}
        return len(after) == 2 and len(after & before) == 1

    wait_until(replaced, "another one has its place")
    sagemaker.api.delete_endpoint(EndpointName=name)


def test_a_rule_that_is_at_work_is_shown_by_the_health_page(localaws, chaos):
    chaos("delay service=ssm latency=1ms")
    assert health(localaws.port)["chaos"] == ["delay service=ssm latency=1ms"]
