"""Checks of quotas against the settings. An apply compares its own plan (deploy/account_limits.py)."""

from __future__ import annotations

from collections.abc import Iterable

from deploy import account_limits, console
from deploy.doctor.check import CheckResult, Subject, bad, good, unsure

INSTANCES = "instances"  # the kind of an endpoint that has some


def endpoint(subject: Subject) -> CheckResult:
    """A new release starts before the old one ends, so an update needs the instances twice."""
    wanted = subject.settings["endpoint"]
    if (without := wanted.get("kind", INSTANCES)) != INSTANCES:
        return good(f"The endpoint needs no quota of instances (endpoint.kind = {without})")
    kind = wanted["instance_type"]
    count = max(wanted["initial_instance_count"], wanted["scaling"]["min_instances"])
    name = f"{kind} for endpoint usage"
    found = subject.limits.quota("sagemaker", name)
    if found is None:
        return unsure(f"Service Quotas does not list {name!r}", "look at it in the console of Service Quotas")
    value, most = found["Value"], wanted["scaling"]["max_instances"]
    if value < count:
        return _refused(
            account_limits.over(
                subject.limits, "endpoint.instance_type", name, count, 2 * count, need=f"the stack needs {count}"
            )
        )
    if value < 2 * count:
        return unsure(
            f"{name!r} is {value:g}: enough for the endpoint ({count}), but an update needs {2 * count}",
            account_limits.increase(found, 2 * count),
        )
    if value < most:
        return unsure(
            f"{name!r} is {value:g}, but endpoint.scaling.max_instances is {most}",
            account_limits.increase(found, most),
        )
    return good(f"Quota of the endpoint: {value:g} x {kind} (an update needs {2 * count})")


def notebook(subject: Subject) -> CheckResult:
    return _instances(subject, "notebook", "notebook instance usage", required=True)


def training(subject: Subject) -> CheckResult:
    return _instances(subject, "training", "training job usage", target="train")


def spot(subject: Subject) -> CheckResult:
    return _instances(subject, "training", "spot training job usage", target="train SPOT=1")


def _instances(subject: Subject, part: str, use: str, required: bool = False, target: str = "") -> CheckResult:
    """The quota of one instance. If an apply does not need it, a quota of 0 is a warning."""
    kind = subject.settings[part]["instance_type"]
    name, setting = f"{kind} for {use}", f"{part}.instance_type"
    found = subject.limits.quota("sagemaker", name)
    if found is None:
        return unsure(f"Service Quotas does not list {name!r}", "look at it in the console of Service Quotas")
    if found["Value"] >= 1:
        return good(f"Quota of {use.removesuffix(' usage')}s: {found['Value']:g} x {kind}")
    refused = _refused(account_limits.over(subject.limits, setting, name, 1, 1, need="one is needed"))
    return refused if required else unsure(f"{console.make(target)} will be refused: {refused.what}", refused.fix)


def function(subject: Subject) -> CheckResult:
    """Reserved and provisioned executions, less what the function of this stack already has."""
    wanted = subject.settings["predictor"]
    name = f"{subject.name}-predictor"
    before = None
    if ("aws_lambda_function", name) in subject.known:
        answer = subject.client("lambda").get_function_concurrency(FunctionName=name)
        before = {"reserved_concurrent_executions": answer.get("ReservedConcurrentExecutions", -1)}
    after = {"reserved_concurrent_executions": wanted["reserved"] or -1}
    changes = [_change("aws_lambda_function", before, after)]
    if wanted["provisioned"] and before is None:
        executions = {"provisioned_concurrent_executions": wanted["provisioned"]}
        changes.append(_change("aws_lambda_provisioned_concurrency_config", None, executions))
    words = list(account_limits.function(changes, subject.limits))
    if words:
        return _refused(words)
    limits = subject.limits.lambda_limits
    total, free = limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]
    return good(f"Lambda: {free} of {total} concurrent executions are unreserved")


def instance(subject: Subject) -> CheckResult:
    """The virtual processors of EC2's on-demand instances."""
    kind = subject.settings["ec2"]["instance_type"]
    if subject.limits.plan == "FREE" and kind not in subject.limits.free_tier_types:
        return unsure(f"The quota of {kind} does not matter: the account's plan does not start it", "see above")
    change = _change("aws_instance", None, {"instance_type": kind})
    words = list(account_limits.instance([change], subject.limits))
    if words:
        return _refused(words)
    name = f"Running On-Demand {account_limits.family_of(kind)} instances"
    found = subject.limits.quota("ec2", name)
    if found is None:
        return unsure(f"Service Quotas does not list {name!r}", "look at it in the console of Service Quotas")
    return good(f"Quota of EC2: {found['Value']:g} virtual processors, {kind} fits", name)


def _change(kind: str, before: dict | None, after: dict) -> dict:
    actions = ["create"] if before is None else ["update"]
    return {"type": kind, "change": {"actions": actions, "before": before, "after": after}}


def _refused(words: Iterable[str]) -> CheckResult:
    """The words of deploy/account_limits.py, which begin with what is wrong; the way out is what follows."""
    what, _, fix = next(iter(words)).partition(". ")
    return bad(what, fix)
