"""One screen about a deployment: the endpoint, the function, the instance, the last jobs.

python -m deploy.status
"""

from __future__ import annotations

from rich.table import Table

from deploy import console, environment, jobs
from deploy.environment import Environment
from deploy.stack import Stack
from localaws import images


def endpoint_row(env: Environment, outputs: dict) -> tuple[str, str, str]:
    sagemaker = env.client("sagemaker", outputs["region"])
    try:
        endpoint = sagemaker.describe_endpoint(EndpointName=outputs["endpoint_name"])
    except sagemaker.exceptions.ClientError as error:
        return "endpoint", "missing", str(error)
    variants = endpoint.get("ProductionVariants", [])
    counts = ", ".join(
        f"{variant.get('CurrentInstanceCount', 0)} of {variant.get('DesiredInstanceCount', 0)} instances"
        for variant in variants
    )
    # SageMaker keeps the reason of a change that it rolled back; beside a healthy endpoint it would only mislead.
    reason = "" if endpoint["EndpointStatus"] == "InService" else endpoint.get("FailureReason", "")
    applied = endpoint["EndpointConfigName"] == outputs["endpoint_config_name"]
    serves = outputs["release"] if applied else f"{endpoint['EndpointConfigName']}, which is not what was applied last"
    details = [f"serves {serves}", counts, reason]
    return "endpoint", endpoint["EndpointStatus"], "; ".join(filter(None, details))


def function_row(env: Environment, outputs: dict) -> tuple[str, str, str]:
    client = env.client("lambda", outputs["region"])
    name = outputs["function_name"]
    configuration = client.get_function_configuration(FunctionName=name)
    alias = client.get_alias(FunctionName=name, Name=outputs["function_alias"])
    reserved = client.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions", "none")
    details = f"{outputs['function_alias']} → version {alias['FunctionVersion']}; reserved concurrency {reserved}"
    return "function", configuration.get("State", "Active"), f"{details}; {outputs['function_url']}"


def instance_row(env: Environment, outputs: dict) -> tuple[str, str, str]:
    ec2 = env.client("ec2", outputs["region"])
    answer = ec2.describe_instances(InstanceIds=[outputs["ec2_instance_id"]])
    instance = answer["Reservations"][0]["Instances"][0]
    return "instance", instance["State"]["Name"], f"{instance['InstanceType']} {instance['InstanceId']}"


def image_rows(env: Environment) -> list[tuple[str, str, str]]:
    """In a rehearsal, what stands in for each of AWS's images. On AWS they are the images."""
    if not env.rehearsed:
        return []
    return [("image", name, words) for name, words in images.summary().items()]


def job_rows(env: Environment, outputs: dict) -> list[tuple[str, str, str]]:
    rows = []
    for job in jobs.recent(env, outputs, most=5):
        taken = job.get("TrainingEndTime", job.get("LastModifiedTime", job["CreationTime"])) - job["CreationTime"]
        rows.append(("job", job["TrainingJobStatus"], f"{job['TrainingJobName']} ({taken.total_seconds():.0f} s)"))
    return rows


def main() -> None:
    env = environment.current()
    outputs = Stack(env).require_outputs()
    table = Table("what", "status", title=f"{outputs['name']} in {env}", title_justify="left")
    table.add_column("details", overflow="fold")
    for row in (
        endpoint_row(env, outputs),
        function_row(env, outputs),
        instance_row(env, outputs),
        *image_rows(env),
        *job_rows(env, outputs),
    ):
        table.add_row(*row)
    console.show(table)


if __name__ == "__main__":
    console.run(main)
