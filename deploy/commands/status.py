"""`make status`: show the endpoint, the function, the instance and the last jobs of a deployment."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from deploy import console, environment, own_model, sleeping
from deploy.console import Failure
from deploy.deployment import IN_FUNCTION, Deployment
from deploy.environment import Environment
from deploy.sagemaker import jobs
from deploy.terraform import Stack
from localaws import images


def endpoint_row(deployment: Deployment) -> tuple[str, str, str]:
    if note := sleeping.read(deployment):
        return "endpoint", "asleep", f"since {note.since}; {deployment.release} stays configured. {sleeping.hint()}"
    sagemaker = deployment.client("sagemaker")
    try:
        endpoint = sagemaker.describe_endpoint(EndpointName=deployment.endpoint_name)
    except sagemaker.exceptions.ClientError as error:
        return "endpoint", "missing", str(error)
    variants = endpoint.get("ProductionVariants", [])
    counts = ", ".join(
        f"serverless, {config['MemorySizeInMB']} MB, up to {config['MaxConcurrency']} requests at a time"
        if (config := variant.get("CurrentServerlessConfig"))
        else f"{variant.get('CurrentInstanceCount', 0)} of {variant.get('DesiredInstanceCount', 0)} instances"
        for variant in variants
    )
    # SageMaker keeps the reason of a change that it rolled back. It would mislead next to a healthy endpoint.
    reason = "" if endpoint["EndpointStatus"] == "InService" else endpoint.get("FailureReason", "")
    applied = endpoint["EndpointConfigName"] == deployment.endpoint_config_name
    serves = (
        deployment.release
        if applied
        else f"{endpoint['EndpointConfigName']}, which is not the configuration of the last apply"
    )
    details = [f"serves {serves}", counts, reason]
    return "endpoint", endpoint["EndpointStatus"], "; ".join(filter(None, details))


def own_model_row(deployment: Deployment) -> tuple[str, str, str]:
    live = own_model.live_url(deployment)
    applied = live == deployment.model_data_url
    serves = deployment.release if applied else f"{live or 'no model'}, which is not the model of the last apply"
    return "model", "in function", f"the function has the model itself; serves {serves}"


def function_row(deployment: Deployment) -> tuple[str, str, str]:
    client = deployment.client("lambda")
    name = deployment.function_name
    configuration = client.get_function_configuration(FunctionName=name)
    alias = client.get_alias(FunctionName=name, Name=deployment.function_alias)
    reserved = client.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions", "none")
    details = f"{deployment.function_alias} → version {alias['FunctionVersion']}; reserved concurrency {reserved}"
    return (
        "function",
        configuration.get("State", "Active"),
        f"{details}; {deployment.function_url}",
    )


def instance_row(deployment: Deployment) -> tuple[str, str, str]:
    ec2 = deployment.client("ec2")
    answer = ec2.describe_instances(InstanceIds=[deployment.ec2_instance_id])
    instance = answer["Reservations"][0]["Instances"][0]
    return "instance", instance["State"]["Name"], f"{instance['InstanceType']} {instance['InstanceId']}"


def image_rows(env: Environment) -> list[tuple[str, str, str]]:
    """In a rehearsal, the local replacement of each of AWS's images; on AWS, the images."""
    if not env.rehearsed:
        return []
    return [("image", name, words) for name, words in images.summary().items()]


def job_rows(deployment: Deployment) -> list[tuple[str, str, str]]:
    rows = []
    for job in jobs.recent(deployment, most=5):
        taken = job.get("TrainingEndTime", job.get("LastModifiedTime", job["CreationTime"])) - job["CreationTime"]
        rows.append(("job", job["TrainingJobStatus"], f"{job['TrainingJobName']} ({taken.total_seconds():.0f} s)"))
    return rows


# The parts of a deployment, and the outputs of the stack that each row needs.
PARTS = (
    ("endpoint", ("endpoint_name", "endpoint_config_name"), endpoint_row),
    ("function", ("function_name", "function_alias", "function_url"), function_row),
    ("instance", ("ec2_instance_id",), instance_row),
)


def rows(deployment: Deployment) -> Iterator[tuple[str, str, str]]:
    """Rows of name, status and details: the parts, the images and the last jobs."""
    in_function = deployment.endpoint_kind == IN_FUNCTION
    parts = (("model", ("function_name", "function_alias"), own_model_row), *PARTS[1:]) if in_function else PARTS
    for what, needed, row in parts:
        if deployment.has(*needed):
            yield row(deployment)
        else:
            yield what, "missing", f"the last apply did not finish; run it again: {console.make('apply')}"
    yield from image_rows(deployment.env)
    yield from job_rows(deployment)


def main() -> None:
    env = environment.current()
    deployment = Stack(env).deployment()
    if not deployment.has("name", "region"):
        raise Failure(f"Nothing is deployed in {env}. Deploy it first: {console.make('apply')}")
    env.require_own_local_aws()
    table = Table("what", "status", title=f"{deployment.name} in {env}", title_justify="left")
    table.add_column("details", overflow="fold")
    for row in rows(deployment):
        table.add_row(*row)
    console.show(table)


if __name__ == "__main__":
    console.run(main)
