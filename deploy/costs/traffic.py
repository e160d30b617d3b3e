"""What predictions cost: a million of them at a given rate and image size, from a usage file of infracost's format."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deploy.console import Failure
from deploy.costs.idle import Resources, function_size, of_type
from deploy.costs.price_list import HOSTING, PriceList
from deploy.costs.rates import HOURS_A_MONTH, usd
from deploy.deployment import IN_FUNCTION, SERVERLESS
from deploy.environment import TERRAFORM

USAGE = TERRAFORM / "infracost-usage.yml"
FUNCTION = "module.predictor.aws_lambda_function.predictor"
BUCKET = "module.artifacts.aws_s3_bucket.artifacts"
LOGS = "module.predictor.aws_cloudwatch_log_group.predictor"
ANSWER_KB = 1.0  # the JSON of five classes has 0.5 KB, its headers the same
IMAGE_KB = 100.0
MOST_KB = 6 * 1024  # Lambda's limit of a request (Lambda quotas, "Invocation payload")
MILLION = 1_000_000


@dataclass(frozen=True)
class Usage:
    """Requests a second, the size of an image in KB, billed seconds of a request, and what the bucket has."""

    rate: float
    image_kb: float
    seconds: float
    logs_kb: float
    storage_gb: float
    puts: float
    gets: float

    @classmethod
    def read(cls, file: Path, rate: float | None = None, image_kb: float | None = None) -> Usage:
        """The usage in a file, with these figures instead if they are given. Raises Failure."""
        try:
            found = yaml.safe_load(file.read_text())["resource_usage"]
            function, bucket, logs = (found[name] for name in (FUNCTION, BUCKET, LOGS))
            monthly = float(function["monthly_requests"])
            usage = cls(
                rate=monthly / HOURS_A_MONTH / 3600 if rate is None else rate,
                image_kb=IMAGE_KB if image_kb is None else image_kb,
                seconds=float(function["request_duration_ms"]) / 1000,
                logs_kb=float(logs["monthly_data_ingested_gb"]) * 1024**2 / monthly,
                storage_gb=float(bucket["standard"]["storage_gb"]),
                puts=float(bucket["standard"]["monthly_tier_1_requests"]),
                gets=float(bucket["standard"]["monthly_tier_2_requests"]),
            )
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise Failure(
                f"{file} is not a usage file for this stack ({type(error).__name__}: {reason}). "
                f"An example: {USAGE.relative_to(TERRAFORM.parent)}"
            ) from error
        if usage.rate <= 0 or not math.isfinite(usage.rate):
            raise Failure(f"RATE={usage.rate:g} is not a number of requests a second.")
        if not 0 < usage.image_kb <= MOST_KB:
            raise Failure(f"IMAGE_KB={usage.image_kb:g} is not from 0 to {MOST_KB}, the largest request of Lambda.")
        return usage


@dataclass(frozen=True)
class TrafficLine:
    """USD for a million predictions; None if a price is not known."""

    part: str
    what: str
    usd: float | None


def per_million(
    usage: Usage, found: Resources, prices: PriceList, settings: dict[str, Any]
) -> tuple[list[TrafficLine], str]:
    """The lines for a million predictions at the usage's rate, and a warning, "" if there is none."""
    hours = MILLION / usage.rate / 3600
    gigabytes, processor = function_size([values for _, values in of_type(found, "aws_lambda_function")])
    warm = any(
        values.get("provisioned_concurrent_executions")
        for _, values in of_type(found, "aws_lambda_provisioned_concurrency_config")
    )
    compute = usd(f"lambda.{processor}.on_provisioned" if warm else f"lambda.{processor}")
    data_gb = MILLION * (usage.image_kb + ANSWER_KB) / 1024**2
    logs_gb = MILLION * usage.logs_kb / 1024**2
    kind = settings["endpoint"].get("kind", "instances")
    endpoint, warning = _endpoint(usage, hours, prices, settings["endpoint"])
    warm_price = _warm(hours, settings["predictor"], gigabytes, processor)
    listed = [
        *([endpoint] if kind != IN_FUNCTION else []),
        *([TrafficLine("function", f"warm environments for {hours:,.0f} h", warm_price)] if warm else []),
        TrafficLine("function", "requests", MILLION * usd("lambda.request")),
        TrafficLine(
            "function", f"{usage.seconds * 1000:g} ms x {gigabytes:g} GB", MILLION * usage.seconds * gigabytes * compute
        ),
        *(
            [TrafficLine("endpoint", f"{data_gb:,.0f} GB in and out", data_gb * usd("sagemaker.data"))]
            if kind != IN_FUNCTION
            else []
        ),
        TrafficLine("logs", f"{logs_gb:,.1f} GB", logs_gb * usd("cloudwatch.logs")),
        TrafficLine("internet", "answers", MILLION * ANSWER_KB / 1024**2 * usd("transfer")),
    ]
    return listed, warning


def storage(usage: Usage) -> float:
    """USD a month of the bucket: what it stores, and its requests."""
    return usage.storage_gb * usd("s3.storage") + usage.puts * usd("s3.put") + usage.gets * usd("s3.get")


def _endpoint(usage: Usage, hours: float, prices: PriceList, endpoint: dict[str, Any]) -> tuple[TrafficLine, str]:
    """As many instances as the scaling policy keeps at this rate: its target is invocations a minute per instance.

    Serverless inference is billed for its memory and the time of each request, without an instance.
    """
    if endpoint.get("kind") == SERVERLESS:
        gigabytes = endpoint["serverless"]["memory_mb"] / 1024
        each = usage.seconds * gigabytes * usd("sagemaker.serverless")
        return TrafficLine(
            "endpoint", f"{usage.seconds * 1000:g} ms x {gigabytes:g} GB, serverless", MILLION * each
        ), ""
    scaling, kind = endpoint["scaling"], endpoint["instance_type"]
    least, most = scaling["min_instances"], scaling["max_instances"]
    wanted, warning = least, ""
    if scaling["metric"] == "SageMakerVariantInvocationsPerInstance":
        wanted = max(least, math.ceil(usage.rate * 60 / scaling["target"]))
    if wanted > most:
        warning = (
            f"{usage.rate:g} requests a second need {wanted} instances at endpoint.scaling.target = "
            f"{scaling['target']}, and endpoint.scaling.max_instances is {most}."
        )
        wanted = most
    price = prices.hourly(kind, HOSTING)
    usd_ = None if price is None else wanted * price * hours
    return TrafficLine("endpoint", f"{wanted} x {kind} for {hours:,.0f} h", usd_), warning


def _warm(hours: float, predictor: dict[str, Any], gigabytes: float, processor: str) -> float:
    return predictor["provisioned"] * gigabytes * hours * 3600 * usd(f"lambda.{processor}.provisioned")
