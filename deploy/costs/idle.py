"""What resources cost without traffic, from a plan: line by line, with the way to stop each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from deploy import console
from deploy.costs.price_list import HOSTING, NOTEBOOK, PriceList
from deploy.costs.rates import a_month, an_hour, usd

Values = dict[str, Any]
Resources = list[tuple[str, Values]]  # (type, values) as in `terraform show -json`


@dataclass(frozen=True)
class CostLine:
    """A part of the stack: USD an hour while idle, None if its price is not known; and how to stop it."""

    part: str
    what: str
    hourly: float | None
    stop: str
    idle: bool = True  # False: only while somebody uses it

    @property
    def monthly(self) -> float | None:
        return None if self.hourly is None else a_month(self.hourly)


def resources(plan: dict[str, Any], when: str) -> Resources:
    """The resources of a plan, `before` or `after` it is applied."""
    return [
        (each["type"], each["change"][when])
        for each in plan.get("resource_changes", [])
        if each["mode"] == "managed" and each["change"].get(when)
    ]


def lines(found: Resources, prices: PriceList, settings: Values) -> list[CostLine]:
    """A line for each part that costs money, the largest first; then what costs only while it is used."""
    listed = [
        *_endpoints(found, prices),
        *_provisioned(found),
        *_notebooks(found, prices, settings),
        *_instances(found, prices, settings),
        *_small(found),
    ]
    return sorted(listed, key=lambda line: (not line.idle, -(line.hourly or 0)))


def monthly(listed: Iterable[CostLine]) -> float:
    """USD a month of the lines that cost while idle, without those whose price is not known."""
    return sum(line.monthly or 0 for line in listed if line.idle)


def change(plan: dict[str, Any], prices: PriceList, settings: Values) -> str:
    """How a plan changes the monthly cost while idle: `+ $84 a month ($11 now, $95 afterwards)`; "" if it does not."""
    now, then = (monthly(lines(resources(plan, when), prices, settings)) for when in ("before", "after"))
    difference = then - now
    if abs(difference) < 0.5:
        return ""
    words = f"{'+' if difference > 0 else '-'} ${abs(difference):,.0f} a month"
    if not plan.get("complete", True):  # a plan with targets lacks the other parts
        return words
    return f"{words} (${now:,.0f} now, ${then:,.0f} afterwards)"


# --- the parts ---


def _endpoints(found: Resources, prices: PriceList) -> Iterator[CostLine]:
    """The instances that an endpoint has at least: the minimum of its scaling policy, or its first count."""
    configurations = {
        values.get("name"): values for kind, values in of_type(found, "aws_sagemaker_endpoint_configuration")
    }
    targets = {
        values["resource_id"]: values
        for kind, values in of_type(found, "aws_appautoscaling_target")
        if values.get("resource_id")
    }
    for _, endpoint in of_type(found, "aws_sagemaker_endpoint"):
        configuration = configurations.get(endpoint.get("endpoint_config_name")) or next(
            iter(configurations.values()), {}
        )
        for variant in configuration.get("production_variants") or []:
            if not variant.get("instance_type"):
                continue  # serverless: nothing while idle
            target = targets.get(f"endpoint/{endpoint.get('name')}/variant/{variant.get('variant_name')}") or next(
                (each for each in targets.values() if each.get("service_namespace") == "sagemaker"), {}
            )
            kind = variant["instance_type"]
            count = target.get("min_capacity") or variant.get("initial_instance_count") or 1
            price = prices.hourly(kind, HOSTING)
            yield CostLine(
                "endpoint", f"{count} x {kind}", None if price is None else count * price, console.make("sleep")
            )


def _provisioned(found: Resources) -> Iterator[CostLine]:
    functions = [values for _, values in of_type(found, "aws_lambda_function")]
    for _, values in of_type(found, "aws_lambda_provisioned_concurrency_config"):
        count = values.get("provisioned_concurrent_executions") or 0
        gigabytes, processor = function_size(functions)
        hourly = count * gigabytes * 3600 * usd(f"lambda.{processor}.provisioned")
        what = f"{count} warm environment{'s' * (count != 1)}, {gigabytes:g} GB, {processor}"
        yield CostLine("function", what, hourly, f"{console.make('sleep')}, or predictor.provisioned = 0")


def function_size(functions: list[Values]) -> tuple[float, str]:
    """Memory in GB and processor of the function."""
    values = functions[0] if functions else {}
    return (values.get("memory_size") or 128) / 1024, (values.get("architectures") or ["x86_64"])[0]


def _notebooks(found: Resources, prices: PriceList, settings: Values) -> Iterator[CostLine]:
    """Only its volume costs while it is stopped. It stops itself after idle_minutes; with 0, it never does."""
    minutes = settings["notebook"]["idle_minutes"]
    for _, values in of_type(found, "aws_sagemaker_notebook_instance"):
        volume = an_hour((values.get("volume_size") or 5) * usd("sagemaker.storage"))
        yield CostLine("notebook", f"volume of {values.get('volume_size') or 5} GB", volume, console.make("destroy"))
        itself = f"stops itself after {minutes} idle minutes" if minutes else console.make("sleep")
        runs_idle = not minutes and not settings.get("asleep")
        hourly = prices.hourly(values["instance_type"], NOTEBOOK)
        yield CostLine("notebook", f"{values['instance_type']} while it runs", hourly, itself, idle=runs_idle)


def _instances(found: Resources, prices: PriceList, settings: Values) -> Iterator[CostLine]:
    minutes = settings["ec2"]["idle_minutes"]
    for _, values in of_type(found, "aws_instance"):
        disk = sum(each.get("volume_size") or 0 for each in values.get("root_block_device") or [])
        yield CostLine("instance", f"disk of {disk} GB", an_hour(disk * usd("ebs.gp3")), console.make("destroy"))
        price = prices.hourly(values["instance_type"])
        hourly = None if price is None else price + usd("ipv4")
        itself = f"stops itself after {minutes} idle minutes"
        yield CostLine(
            "instance", f"{values['instance_type']} and its address while it runs", hourly, itself, idle=False
        )


def _small(found: Resources) -> Iterator[CostLine]:
    """Alarms, keys and endpoints of the network. A target-tracking policy has two alarms."""
    policies = [values for _, values in of_type(found, "aws_appautoscaling_policy")]
    alarms = len(of_type(found, "aws_cloudwatch_metric_alarm"))
    alarms += 2 * sum(each.get("policy_type") == "TargetTrackingScaling" for each in policies)
    destroy = console.make("destroy")
    if alarms:
        yield CostLine("alarms", f"{alarms} alarms", an_hour(alarms * usd("cloudwatch.alarm")), destroy)
    if keys := len(of_type(found, "aws_kms_key")):
        yield CostLine("keys", f"{keys} keys", an_hour(keys * usd("kms.key")), destroy)
    zones = sum(
        max(1, len(values.get("subnet_ids") or []))
        for _, values in of_type(found, "aws_vpc_endpoint")
        if values.get("vpc_endpoint_type") == "Interface"
    )
    if zones:
        yield CostLine("network", f"{zones} interface endpoints", zones * usd("vpc.endpoint"), destroy)
    if gateways := len(of_type(found, "aws_nat_gateway")):
        yield CostLine("network", f"{gateways} NAT gateways", gateways * usd("vpc.nat"), destroy)


def of_type(found: Resources, kind: str) -> Resources:
    return [each for each in found if each[0] == kind]
