"""Compare a plan with the limits of the account, before anything is created.

AWS refuses what is over a limit in the middle of an apply, and Terraform then leaves half of a stack. So the settings
of the plan are compared with the account's quotas first. This check reads quotas and settings of the account only. AWS
still refuses an apply if other stacks of the account use up a quota.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy import console
from deploy.account import AccountReader, LimitsUnreadable
from deploy.console import Failure

CONSOLE = "https://console.aws.amazon.com/servicequotas/home/services/{service}/quotas"
SHOWN_TYPES = 5
ALL_ENDPOINTS = "Number of instances across active endpoints"
# SageMaker does not scale burstable instances: terraform/modules/endpoint validates it.
FIXED_SIZE = ", and for ml.t* also endpoint.scaling = { min_instances = 1, max_instances = 1 }"
UNRESERVED_MINIMUM = 100  # executions that AWS keeps unreserved, if the account has as many


def require(plan: dict[str, Any], account: AccountReader, settings: Path) -> None:
    """Raise Failure if a plan (`terraform show -json`) needs more than the account has; `settings` is its tfvars file.

    Warns about limits that only a later step reaches, and if the limits cannot be read.
    """
    changes = [each for each in plan.get("resource_changes", []) if each.get("mode") == "managed"]
    try:
        refusals = [*notebook(changes, account), *endpoint(changes, account)]
        refusals += [*function(changes, account), *instance(changes, account)]
        warnings = [*scaling(changes, account), *training(plan, account)]
    except LimitsUnreadable as error:
        console.warn(f"The account's limits are not compared with the plan. AWS did not give {error}")
        return
    for words in warnings:
        console.warn(words)
    if refusals:
        listed = "\n".join(f"  - {words}" for words in refusals)
        raise Failure(
            f"The account's limits do not allow this plan. Nothing was changed.\n{listed}\nThe settings: {settings}"
        )


# --- what each part of the stack needs ---


def notebook(changes: list[dict], account: AccountReader) -> Iterator[str]:
    for change in created(changes, "aws_sagemaker_notebook_instance"):
        kind = change["after"]["instance_type"]
        yield from over(account, "notebook.instance_type", f"{kind} for notebook instance usage", 1, 1)


def endpoint(changes: list[dict], account: AccountReader) -> Iterator[str]:
    """Of an update, the old instances serve until the new ones are in service."""
    for change in of_type(changes, "aws_sagemaker_endpoint"):
        before, after = change.get("before") or {}, change.get("after") or {}
        if not after or before.get("endpoint_config_name") == after.get("endpoint_config_name"):
            continue
        new = instances_of(changes, after.get("endpoint_config_name"), "after")
        old = instances_of(changes, before.get("endpoint_config_name"), "before") if before else {}
        for kind, count in new.items():
            wanted = count + old.get(kind, 0)
            yield from over(account, "endpoint.instance_type", f"{kind} for endpoint usage", wanted, 2 * count)
        total = sum(new.values())
        yield from over(account, "endpoint", ALL_ENDPOINTS, total + sum(old.values()), 2 * total)


def scaling(changes: list[dict], account: AccountReader) -> Iterator[str]:
    kinds = instances_of(changes, None, "after")
    for change in of_type(changes, "aws_appautoscaling_target"):
        after = change.get("after") or {}
        if after.get("service_namespace") != "sagemaker" or change["actions"] == ["no-op"]:
            continue
        for kind in kinds:
            found = account.quota("sagemaker", f"{kind} for endpoint usage")
            if found and 0 < found["Value"] < after["max_capacity"]:
                yield (
                    f"endpoint.scaling.max_instances is {after['max_capacity']}, but {found['QuotaName']!r} is "
                    f"{found['Value']:g}: the endpoint cannot scale out further. "
                    f"{increase(found, after['max_capacity'])}"
                )


def training(plan: dict[str, Any], account: AccountReader) -> Iterator[str]:
    change = plan.get("output_changes", {}).get("training_instance_type", {})
    kind = change.get("after")
    if not isinstance(kind, str) or change.get("actions") == ["no-op"]:
        return
    found = account.quota("sagemaker", f"{kind} for training job usage")
    if found and found["Value"] < 1:
        yield (
            f"{console.make('train')} will be refused: {found['QuotaName']!r} is {found['Value']:g}. Set "
            f"training.instance_type to a type with a quota. {increase(found, 1)}"
        )


def function(changes: list[dict], account: AccountReader) -> Iterator[str]:
    """Reserved executions, and provisioned ones of a function without reserved ones, are taken from the unreserved."""
    wanted, settings, reserved = 0, [], False
    for change in changed(changes, "aws_lambda_function"):
        after, before = (reserved_of(change.get(when)) for when in ("after", "before"))
        reserved = after > 0
        if after > before:
            wanted += after - before
            settings.append(f"predictor.reserved = {after}")
    for change in created(changes, "aws_lambda_provisioned_concurrency_config"):
        count = change["after"]["provisioned_concurrent_executions"]
        settings.append(f"predictor.provisioned = {count}")
        wanted += 0 if reserved else count
    if not wanted:
        return
    limits = account.lambda_limits
    limit, unreserved = limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]
    minimum = min(limit, UNRESERVED_MINIMUM)
    if unreserved - wanted < minimum:
        yield (
            f"{', '.join(settings)}: of the account's {limit} concurrent executions {unreserved} are unreserved, and "
            f"AWS keeps at least {minimum} so. Set predictor.reserved = null and predictor.provisioned = 0. Or request "
            "an increase of 'Concurrent executions'. Service Quotas takes only requests for more than AWS's default of "
            f"1000; AWS support raises a lower limit: {CONSOLE.format(service='lambda')}/L-B99A9384"
        )


def reserved_of(function_values: dict | None) -> int:
    """The reserved executions; the provider has -1 for none."""
    return max(0, (function_values or {}).get("reserved_concurrent_executions") or 0)


def instance(changes: list[dict], account: AccountReader) -> Iterator[str]:
    for change in created(changes, "aws_instance"):
        kind = change["after"]["instance_type"]
        if account.is_on_free_plan and kind not in account.free_tier_types:
            yield (
                f"ec2.instance_type = {kind}: the account is on AWS's free plan, which starts only "
                f"{', '.join(account.free_tier_types)}. Set ec2.instance_type to {compute_optimised(account)}, or "
                "upgrade the account: "
                "aws freetier upgrade-account-plan --account-plan-type PAID --region us-east-1"
            )
            continue
        processors = account.instance_type(kind)["VCpuInfo"]["DefaultVCpus"]
        name = f"Running On-Demand {family_of(kind)} instances"
        yield from over(account, "ec2.instance_type", name, processors, processors, "ec2", f"{kind} needs {processors}")


def compute_optimised(account: AccountReader) -> str:
    """The types of the free tier that the stack's instance may have: terraform/modules/ec2_training validates it."""
    fitting = [each for each in account.free_tier_types if re.match(r"c[0-9]+(?!g)", each)]
    return " or ".join(fitting) or "one of these"


def family_of(instance_type: str) -> str:
    """The quota family of an EC2 type: EC2 user guide, "On-Demand Instance quotas"."""
    family = instance_type.partition(".")[0]
    if family.startswith(("g", "vt")):
        return "G and VT"
    return "P" if family.startswith("p") else "Standard (A, C, D, H, I, M, R, T, Z)"


# --- the plan ---


def of_type(changes: list[dict], kind: str) -> Iterator[dict]:
    """The changes of one type of resource: actions, before and after."""
    yield from (each["change"] for each in changes if each["type"] == kind)


def created(changes: list[dict], kind: str) -> Iterator[dict]:
    yield from (each for each in of_type(changes, kind) if "create" in each["actions"])


def changed(changes: list[dict], kind: str) -> Iterator[dict]:
    yield from (each for each in of_type(changes, kind) if {"create", "update"} & set(each["actions"]))


def instances_of(changes: list[dict], config: str | None, when: str) -> dict[str, int]:
    """The instances of an endpoint configuration by type; without a name, the most that any configuration has."""
    counted: dict[str, int] = {}
    for change in of_type(changes, "aws_sagemaker_endpoint_configuration"):
        values = change.get(when) or {}
        if config in (None, values.get("name")):
            for variant in values.get("production_variants") or []:
                if not variant.get("instance_type"):
                    continue  # serverless
                kind, count = variant["instance_type"], variant.get("initial_instance_count") or 1
                counted[kind] = max(counted.get(kind, 0), count)
    return counted


# --- words ---


def over(
    account: AccountReader,
    setting: str,
    name: str,
    wanted: int,
    enough: int,
    service: str = "sagemaker",
    need: str | None = None,
) -> Iterator[str]:
    """The words for a quota that is too small for `wanted`; `enough` is what to request."""
    found = account.quota(service, name)
    if found is None or found["Value"] >= wanted:
        return
    need = need or f"the plan needs {wanted}"
    others = account.alternatives(service, name, wanted)
    which = f" ({', '.join(others[:SHOWN_TYPES])}{', …' if len(others) > SHOWN_TYPES else ''})" if others else ""
    hint = FIXED_SIZE if setting.startswith("endpoint") and any(each.startswith("ml.t") for each in others) else ""
    yield (
        f"{setting}: {name!r} is {found['Value']:g}, and {need}. Set {setting} to a type with a quota{which}{hint}, or "
        f"request an increase. {increase(found, enough)}"
    )


def increase(quota: dict[str, Any], enough: int) -> str:
    """How to request an increase of a quota."""
    service, code = quota["ServiceCode"], quota.get("QuotaCode")
    if code is None:
        return f"To request {enough}: {CONSOLE.format(service=service)}"
    command = "aws service-quotas request-service-quota-increase"
    return f"To request {enough}: {command} --service-code {service} --quota-code {code} --desired-value {enough}"
