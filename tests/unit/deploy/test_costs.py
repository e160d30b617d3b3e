"""`make cost`: prices agree with a second source, and lines follow from the plan, the settings and the traffic."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from classifier import prices

from deploy import settings
from deploy.console import Failure
from deploy.costs import expected, idle, rates, traffic
from deploy.costs.price_list import HOSTING, PriceList
from deploy.environment import TERRAFORM

# fmbench 2.1.1 of PyPI, configs/pricing_fallback.yml, downloaded on 2026-11-29: USD an hour in us-east-1.
FMBENCH = {
    "ml.c5.xlarge": 0.204,
    "ml.c5.2xlarge": 0.408,
    "ml.c5.4xlarge": 0.816,
    "ml.m5.xlarge": 0.23,
    "ml.g4dn.xlarge": 0.7364,
    "ml.g4dn.2xlarge": 0.94,
    "ml.g4dn.4xlarge": 1.505,
    "ml.g4dn.8xlarge": 2.72,
    "ml.g4dn.12xlarge": 4.89,
    "ml.g5.xlarge": 1.4084,
    "ml.g5.2xlarge": 1.515,
    "ml.g5.4xlarge": 2.03,
    "ml.g5.8xlarge": 3.06,
    "ml.g5.12xlarge": 7.09,
    "ml.g6.2xlarge": 1.222,
    "ml.g6.12xlarge": 5.752,
    "ml.p3.2xlarge": 3.825,
    "c5.18xlarge": 3.06,
    "c8g.24xlarge": 3.828,
}
# The monthly bill in aws-samples/sagemaker-ssh-helper, Sample_Costs.md (December 2023, eu-west-1).
BILL = {"sagemaker.data": 0.016}
# A public table of the price list's rate codes for us-east-1 (ZZF88MXYPS4DGSEZ, BMKCD2ZCEYKTYYCB, GU2ZS9HVP6QTQ7KE …).
RATE_CODES = {
    "lambda.x86_64.on_provisioned": 0.0000097222,
    "lambda.x86_64.provisioned": 0.0000041667,
    "lambda.request": 0.0000002,
    "lambda.x86_64": 0.0000166667,
    "lambda.arm64": 0.0000133334,
}


@pytest.fixture(autouse=True)
def no_given_price(monkeypatch):
    monkeypatch.delenv(prices.OVERRIDE, raising=False)


@pytest.mark.parametrize("kind", FMBENCH)
def test_the_table_of_instances_agrees_with_a_second_source(kind: str):
    assert prices.PRICES[kind] == pytest.approx(FMBENCH[kind], rel=0.001)


@pytest.mark.parametrize(("name", "usd"), [*BILL.items(), *RATE_CODES.items()])
def test_the_other_rates_agree_with_a_second_source(name: str, usd: float):
    assert rates.usd(name) == pytest.approx(usd, rel=0.001)


def test_warm_environments_on_arm_cost_a_fifth_less_than_on_x86():
    """AWS announced Graviton at 20 % less for every charge by time."""
    for name in ("", ".provisioned", ".on_provisioned"):
        assert rates.usd(f"lambda.arm64{name}") == pytest.approx(0.8 * rates.usd(f"lambda.x86_64{name}"), rel=0.001)


# --- AWS's price list ---


class Pricing:
    """The price list of AWS with these products, or an error."""

    def __init__(self, *products: dict, error: str = ""):
        self.products, self.error, self.asked = products, error, []

    def __call__(self, service: str, region: str) -> Pricing:
        return self

    def get_products(self, **request: Any) -> dict:
        self.asked.append({each["Field"]: each["Value"] for each in request["Filters"]})
        if self.error:
            raise ClientError({"Error": {"Code": self.error, "Message": "no"}}, "GetProducts")
        return {"PriceList": [json.dumps(each) for each in self.products]}


def product(*usd: str) -> dict:
    return {"terms": {"OnDemand": {"T": {"priceDimensions": {n: {"pricePerUnit": {"USD": n}} for n in usd}}}}}


def test_awss_price_list_goes_before_the_table():
    pricing = Pricing(product("0.0000000000", "0.1290000000"))
    found = PriceList("eu-west-1", pricing)
    assert found.hourly("ml.m5.large", HOSTING) == 0.129
    assert "price list of eu-west-1, read now" in found.source
    assert pricing.asked == [{"instanceName": "ml.m5.large", "component": "Hosting", "regionCode": "eu-west-1"}]


def test_without_the_price_list_the_table_is_used_with_its_date_and_the_reason():
    pricing = Pricing(error="AccessDeniedException")
    found = PriceList("eu-west-1", pricing)
    assert found.hourly("ml.m5.large", HOSTING) == prices.PRICES["ml.m5.large"]
    assert found.hourly("c7i.xlarge") == prices.PRICES["c7i.xlarge"]
    assert len(pricing.asked) == 1, "what failed once is not asked again"
    assert f"list prices of us-east-1 as of {prices.AS_OF}, although the stack is in eu-west-1" in found.source
    assert "AccessDeniedException" in found.source


# --- idle ---


SETTINGS = settings.effective(TERRAFORM / "environments" / "aws.tfvars")
TABLE = PriceList("us-east-1")


def resource(kind: str, before: dict | None, after: dict | None) -> dict:
    return {"mode": "managed", "type": kind, "change": {"before": before, "after": after}}


def endpoint(count: int, minimum: int = 1, kind: str = "ml.m5.large") -> dict[str, dict]:
    variant = {"variant_name": "primary", "instance_type": kind, "initial_instance_count": count}
    return {
        "aws_sagemaker_endpoint": {"name": "p", "endpoint_config_name": "c"},
        "aws_sagemaker_endpoint_configuration": {"name": "c", "production_variants": [variant]},
        "aws_appautoscaling_target": {
            "resource_id": "endpoint/p/variant/primary",
            "service_namespace": "sagemaker",
            "min_capacity": minimum,
        },
    }


WARM = {
    "aws_lambda_function": {"memory_size": 1024, "architectures": ["arm64"]},
    "aws_lambda_provisioned_concurrency_config": {"provisioned_concurrent_executions": 1},
}
NOTEBOOK = {"aws_sagemaker_notebook_instance": {"instance_type": "ml.t3.medium", "volume_size": 5}}


def plan(before: dict[str, dict], after: dict[str, dict]) -> dict:
    kinds = before.keys() | after.keys()
    return {"resource_changes": [resource(kind, before.get(kind), after.get(kind)) for kind in sorted(kinds)]}


def a_month(after: dict[str, dict], changed: dict | None = None) -> dict[str, float]:
    found = idle.lines(idle.resources(plan({}, after), "after"), TABLE, SETTINGS | (changed or {}))
    return {f"{line.part}: {line.what}": round(line.monthly or -1, 2) for line in found if line.idle}


def test_an_endpoint_costs_the_minimum_of_its_fleet():
    assert a_month(endpoint(1)) == {"endpoint: 1 x ml.m5.large": 83.95}
    assert a_month(endpoint(1, minimum=3)) == {"endpoint: 3 x ml.m5.large": 251.85}


def test_a_type_without_a_price_is_not_counted_as_free():
    [line] = idle.lines(idle.resources(plan({}, endpoint(1, kind="ml.u9.large")), "after"), TABLE, SETTINGS)
    assert (line.hourly, line.monthly) == (None, None)


def test_a_warm_environment_costs_by_memory_and_processor():
    assert a_month(WARM) == {"function: 1 warm environment, 1 GB, arm64": 8.76}


def test_a_notebook_that_never_stops_costs_while_idle_and_one_that_does_costs_its_volume():
    assert a_month(NOTEBOOK) == {"notebook: volume of 5 GB": 0.7}
    never = {"notebook": {"idle_minutes": 0}}
    assert a_month(NOTEBOOK, never)["notebook: ml.t3.medium while it runs"] == 36.5
    assert a_month(NOTEBOOK, never | {"asleep": True}) == {"notebook: volume of 5 GB": 0.7}


def test_the_question_of_an_apply_names_the_change_of_the_monthly_cost():
    assert idle.change(plan({}, endpoint(1)), TABLE, SETTINGS) == "+ $84 a month ($0 now, $84 afterwards)"
    assert idle.change(plan(endpoint(1) | WARM, WARM), TABLE, SETTINGS).startswith("- $84 a month ($93 now")
    assert idle.change(plan(endpoint(1), endpoint(1)), TABLE, SETTINGS) == ""
    assert idle.change(plan({}, endpoint(1)) | {"complete": False}, TABLE, SETTINGS) == "+ $84 a month"


# --- traffic ---


def test_the_usage_file_of_the_repository_is_complete():
    usage = traffic.Usage.read(traffic.USAGE)
    assert usage.rate == pytest.approx(100_000 / 730 / 3600)
    assert traffic.storage(usage) == pytest.approx(5 * 0.023 + 10 * 0.005 + 100 * 0.0004)


def test_a_million_predictions_cost_the_instances_that_the_policy_keeps():
    usage = traffic.Usage.read(traffic.USAGE, rate=15, image_kb=300)
    found = idle.resources(plan({}, endpoint(1) | WARM), "after")
    lines, warning = traffic.per_million(usage, found, TABLE, SETTINGS)
    amounts = {line.what: line.usd for line in lines}
    assert amounts["2 x ml.m5.large for 19 h"] == pytest.approx(2 * 0.115 * 1e6 / 15 / 3600)
    assert amounts["287 GB in and out"] == pytest.approx(1e6 * 301 / 1024**2 * 0.016)
    assert amounts["requests"] == pytest.approx(0.2)
    assert warning == ""


def test_the_other_kinds_of_endpoint_cost_by_the_call_or_nothing():
    usage = traffic.Usage.read(traffic.USAGE)

    def parts(kind: str) -> dict[str, float]:
        asked = SETTINGS | {"endpoint": SETTINGS["endpoint"] | {"kind": kind, "serverless": {"memory_mb": 2048}}}
        lines, warning = traffic.per_million(usage, [], TABLE, asked)
        assert warning == ""
        return {each.what: each.usd for each in lines if each.part == "endpoint"}

    serverless = next(usd for what, usd in parts("serverless").items() if "serverless" in what)
    assert serverless == pytest.approx(1e6 * 2 * usage.seconds * 0.00002)
    assert sum(parts("in-function").values()) == 0


def test_a_rate_beyond_the_fleet_is_a_warning():
    usage = traffic.Usage.read(traffic.USAGE, rate=100)
    _, warning = traffic.per_million(usage, [], TABLE, SETTINGS)
    assert "need 10 instances" in warning and "max_instances is 2" in warning


def test_an_endpoint_without_instances_costs_by_request_or_nothing():
    usage = traffic.Usage.read(traffic.USAGE, rate=15)
    serverless = {
        "endpoint": {"kind": "serverless", "serverless": {"memory_mb": 4096}},
        "predictor": {"provisioned": 0},
    }
    lines, _ = traffic.per_million(usage, [], TABLE, serverless)
    assert lines[0].usd == pytest.approx(1e6 * 0.1 * 4 * 0.00002)
    inside = {"endpoint": SETTINGS["endpoint"] | {"kind": "in-function"}, "predictor": {"provisioned": 0}}
    lines, _ = traffic.per_million(usage, [], TABLE, inside)
    assert [line for line in lines if line.part == "endpoint"] == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rate": -1}, "RATE=-1"),
        ({"rate": 0}, "RATE=0"),
        ({"image_kb": 0}, "IMAGE_KB=0"),
        ({"rate": float("inf")}, "RATE=inf"),
        ({"image_kb": 7000}, "IMAGE_KB=7000"),
    ],
)
def test_a_wrong_figure_is_named(given: dict, words: str):
    with pytest.raises(Failure, match=words):
        traffic.Usage.read(traffic.USAGE, **given)


@pytest.mark.parametrize("text", ["", "resource_usage: {}", "version: [", "resource_usage: 3"])
def test_a_wrong_usage_file_is_named_with_an_example(text: str, tmp_path: Path):
    file = tmp_path / "usage.yml"
    file.write_text(text)
    with pytest.raises(Failure, match=r"usage\.yml is not a usage file.*terraform/infracost-usage\.yml"):
        traffic.Usage.read(file)


# --- training ---


NOW = datetime(2026, 11, 29, tzinfo=UTC)


class Jobs:
    """A deployment with these training jobs, newest first, and 1,000 images."""

    name, region, artifacts_bucket = "pawprint", "us-east-1", "b"
    training_instance_type, ec2_instance_type, ec2_idle_minutes = "ml.m5.xlarge", "c7i.xlarge", 30

    def __init__(self, *jobs: tuple[str, int], kind: str = "ml.m5.xlarge"):
        self.jobs, self.kind = jobs, kind

    def client(self, service: str, **config: Any) -> Any:
        return self

    def get_paginator(self, operation: str) -> Any:
        self.operation = operation
        return self

    def paginate(self, **request: Any) -> list[dict]:
        if self.operation == "list_objects_v2":
            return [{"KeyCount": 1000}]
        listed = [
            {"TrainingJobName": name, "TrainingJobStatus": "Completed", "CreationTime": NOW} for name, _ in self.jobs
        ]
        return [{"TrainingJobSummaries": listed}]

    def describe_training_job(self, TrainingJobName: str) -> dict:
        return {
            "TrainingTimeInSeconds": dict(self.jobs)[TrainingJobName],
            "ResourceConfig": {"InstanceType": self.kind},
        }

    def list_hyper_parameter_tuning_jobs(self, **request: Any) -> dict:
        return {"HyperParameterTuningJobSummaries": []}


def test_a_run_is_expected_to_take_as_long_as_the_last_one_of_its_kind():
    made = Jobs(("pawprint-tune-20261129-120000-001-0123abcd", 5), ("pawprint-train-20261129-110000", 1800))
    words = expected.of_training(made, "dogs", 2)
    assert words.startswith("$0.23 (2 x ml.m5.xlarge for 30 min 0 s")
    assert words.endswith("as the last run pawprint-train-20261129-110000")


@pytest.mark.parametrize("made", [Jobs(), Jobs(("pawprint-train-20261129-110000", 9), kind="ml.g5.xlarge")])
def test_without_such_a_run_the_time_is_an_estimate_and_called_so(made: Jobs):
    words = expected.of_training(made, "dogs")
    assert "ml.m5.xlarge for 50 s" in words
    assert "estimated" in words and "1,000 images" in words


def test_a_tuning_job_is_expected_to_take_its_trials_in_turn():
    made = Jobs(("pawprint-train-20261129-110000", int(timedelta(minutes=10).total_seconds())))
    words = expected.of_tuning(made, "dogs", 8, 2)
    assert "for 1 h 20 min" in words and "in 40 min 0 s: 8 trials, 2 at a time" in words
