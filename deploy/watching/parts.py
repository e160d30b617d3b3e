"""The parts of a deployment: what state each is in, and what it costs now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from deploy import console, own_model, sleeping
from deploy.costs.price_list import HOSTING, NOTEBOOK, TRAINING, PriceList
from deploy.costs.rates import usd
from deploy.deployment import IN_FUNCTION, Deployment
from deploy.sagemaker import jobs

GOOD, UNSURE, BAD, PLAIN = "✓", "!", "✗", " "
MISSING = "missing"


@dataclass(frozen=True)
class Part:
    """A part: its status in one word, details, USD an hour now (None: not known), the command that mends it, and the
    number of its instances, if it is an endpoint of instances."""

    what: str
    status: str
    details: str
    mark: str = PLAIN
    hourly: float | None = 0.0
    advice: str = ""
    instances: int | None = None


def endpoint(deployment: Deployment) -> Part:
    sagemaker = deployment.client("sagemaker")
    if note := sleeping.read(deployment):
        return Part(
            "endpoint", "asleep", f"since {note.since}; {deployment.release} stays", advice=console.make("wake")
        )
    try:
        found = sagemaker.describe_endpoint(EndpointName=deployment.endpoint_name)
    except ClientError as error:
        if "Could not find" not in str(error):
            raise
        return Part("endpoint", MISSING, str(error), BAD, advice=console.make("apply"))
    status = found["EndpointStatus"]
    applied = found["EndpointConfigName"] == deployment.endpoint_config_name
    serves = (
        deployment.release
        if applied
        else f"{found['EndpointConfigName']}, which is not the configuration of the last apply"
    )
    # SageMaker keeps the reason of a change that it rolled back. It would mislead next to a healthy endpoint.
    reason = "" if status == "InService" else found.get("FailureReason", "")
    fleets, hourly = _fleets(deployment, found)
    good = status == "InService" and applied
    return Part(
        "endpoint",
        status,
        "; ".join(filter(None, [f"serves {serves}", fleets, reason])),
        GOOD if good else BAD if status == "Failed" else UNSURE,
        hourly,
        "" if good else console.make("logs WHAT=endpoint" if status != "InService" else "apply"),
        sum(each.get("CurrentInstanceCount", 0) for each in found.get("ProductionVariants", [])) or None,
    )


def _fleets(deployment: Deployment, found: dict[str, Any]) -> tuple[str, float | None]:
    """The instances or containers in words, and what they cost in an hour."""
    config = deployment.client("sagemaker").describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
    types = {each["VariantName"]: each.get("InstanceType") for each in config["ProductionVariants"]}
    prices, words, hourly = PriceList(deployment.region), [], 0.0
    for variant in found.get("ProductionVariants", []):
        if serverless := variant.get("CurrentServerlessConfig"):
            size, most = serverless["MemorySizeInMB"], serverless["MaxConcurrency"]
            words.append(f"serverless, {size} MB, up to {most} requests at a time")
            continue
        kind, count = types.get(variant["VariantName"]), variant.get("CurrentInstanceCount", 0)
        words.append(f"{count} of {variant.get('DesiredInstanceCount', 0)} instances ({kind})")
        price = prices.hourly(kind, HOSTING) if kind else None
        if price is None:
            return ", ".join(words), None
        hourly += count * price
    return ", ".join(words), hourly


def model_in_function(deployment: Deployment) -> Part:
    live = own_model.live_url(deployment)
    applied = live == deployment.model_data_url
    serves = deployment.release if applied else f"{live or 'no model'}, which is not the model of the last apply"
    details = f"the function has the model itself; serves {serves}"
    return Part(
        "model", "in function", details, GOOD if applied else UNSURE, advice=console.make("apply") * (not applied)
    )


def function(deployment: Deployment) -> Part:
    client, name = deployment.client("lambda"), deployment.function_name
    configuration = client.get_function_configuration(FunctionName=name)
    alias = client.get_alias(FunctionName=name, Name=deployment.function_alias)
    reserved = client.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
    limit = "as many calls at a time as the account allows" if reserved is None else f"up to {reserved} calls at a time"
    warm = _warm(deployment)
    gigabytes, processor = configuration["MemorySize"] / 1024, configuration.get("Architectures", ["x86_64"])[0]
    state = configuration.get("State", "Active")
    return Part(
        "function",
        state,
        f"{deployment.function_alias} → version {alias['FunctionVersion']}; {limit}, {warm or 'none'} of them warm",
        GOOD if state == "Active" else UNSURE,
        warm * gigabytes * 3600 * usd(f"lambda.{processor}.provisioned"),
    )


def _warm(deployment: Deployment) -> int:
    """The warm environments that the alias has now."""
    client = deployment.client("lambda")
    try:
        found = client.get_provisioned_concurrency_config(
            FunctionName=deployment.function_name, Qualifier=deployment.function_alias
        )
    except client.exceptions.ProvisionedConcurrencyConfigNotFoundException:
        return 0
    return found["AllocatedProvisionedConcurrentExecutions"]


def instance(deployment: Deployment) -> Part:
    answer = deployment.client("ec2").describe_instances(InstanceIds=[deployment.ec2_instance_id])
    found = answer["Reservations"][0]["Instances"][0]
    runs = found["State"]["Name"] == "running"
    price = PriceList(deployment.region).hourly(found["InstanceType"])
    hourly = 0.0 if not runs else None if price is None else price + usd("ipv4")
    return Part("instance", found["State"]["Name"], f"{found['InstanceType']} {found['InstanceId']}", PLAIN, hourly)


def notebook(deployment: Deployment) -> Part:
    sagemaker = deployment.client("sagemaker")
    found = sagemaker.describe_notebook_instance(NotebookInstanceName=deployment.notebook_name)
    status, kind = found["NotebookInstanceStatus"], found["InstanceType"]
    hourly = PriceList(deployment.region).hourly(kind, NOTEBOOK) if status == "InService" else 0.0
    return Part("notebook", status, kind, BAD if status == "Failed" else PLAIN, hourly)


def last_jobs(deployment: Deployment, most: int = 3) -> Iterator[Part]:
    sagemaker = deployment.client("sagemaker")
    for job in jobs.recent(deployment, most=most):
        name, status = job["TrainingJobName"], job["TrainingJobStatus"]
        taken = job.get("TrainingEndTime", job.get("LastModifiedTime", job["CreationTime"])) - job["CreationTime"]
        details, hourly, advice = f"{name} ({taken.total_seconds():.0f} s)", 0.0, ""
        if status in jobs.UNFINISHED:
            details, advice = name, console.make(f"logs WHAT=train JOB={name} FOLLOW=1")
            resources = jobs.describe(sagemaker, name)["ResourceConfig"]
            price = PriceList(deployment.region).hourly(resources["InstanceType"], TRAINING)
            hourly = None if price is None else price * resources["InstanceCount"]
        elif status == "Failed":
            advice = console.make(f"logs WHAT=train JOB={name}")
        yield Part("job", status, details, UNSURE if status == "Failed" else PLAIN, hourly, advice)


# Each part with the outputs of the stack that it needs.
ENDPOINT = ("endpoint", ("endpoint_name", "endpoint_config_name"), endpoint)
MODEL = ("model", ("function_name", "function_alias", "model_data_url"), model_in_function)
OTHERS = (
    ("function", ("function_name", "function_alias", "function_url"), function),
    ("notebook", ("notebook_name",), notebook),
    ("instance", ("ec2_instance_id",), instance),
)


def all_parts(deployment: Deployment) -> Iterator[Part]:
    """Every part, then the last jobs. What an apply did not make is missing; what AWS does not show is not known."""
    first = MODEL if deployment.endpoint_kind == IN_FUNCTION else ENDPOINT
    for what, needed, examine in (first, *OTHERS):
        if deployment.has(*needed):
            yield known(what, lambda: examine(deployment))  # noqa: B023 - it is called at once
        else:
            again = console.make("apply")
            yield Part(what, MISSING, f"the last apply did not finish; run it again: {again}", BAD, advice=again)
    try:
        yield from last_jobs(deployment)
    except ClientError as error:
        yield _unknown("job", error)


def known(what: str, examine: Callable[[], Part]) -> Part:
    """The part, or why AWS does not show it."""
    try:
        return examine()
    except ClientError as error:
        return _unknown(what, error)


def _unknown(what: str, error: ClientError) -> Part:
    code = error.response["Error"]["Code"]
    if "NotFound" in code:
        return Part(what, MISSING, str(error), BAD, advice=console.make("apply"))
    return Part(what, "not known", f"{code} from {error.operation_name}", UNSURE, None)
