"""Delete the resources that the notebook made to try models and did not delete. These are endpoints, which cost money,
configurations, models, and the endpoints' log groups, which SageMaker made."""

from __future__ import annotations

from collections.abc import Iterator

from deploy import console
from deploy.deployment import Deployment

KINDS = (("Endpoint", "endpoint"), ("EndpointConfig", "endpoint_config"), ("Model", "model"))


def delete_all(deployment: Deployment) -> None:
    """Delete resources whose name begins with the notebook's name, unless Terraform made them."""
    sagemaker = deployment.client("sagemaker")
    for kind, word in KINDS:
        for name in list(_left(sagemaker, kind, word, f"{deployment.notebook_name}-")):
            console.step(f"Deleting the {word.replace('_', ' ')} {name}, which the notebook left")
            getattr(sagemaker, f"delete_{word}")(**{f"{kind}Name": name})
    logs = deployment.client("logs")
    for group in list(_left_groups(logs, f"/aws/sagemaker/Endpoints/{deployment.notebook_name}-")):
        console.step(f"Deleting the log group {group} of an endpoint of the notebook")
        logs.delete_log_group(logGroupName=group)


def delete_endpoints(deployment: Deployment) -> None:
    """Delete the endpoints only. Their configurations and models cost nothing."""
    sagemaker = deployment.client("sagemaker")
    for name in list(_left(sagemaker, "Endpoint", "endpoint", f"{deployment.notebook_name}-")):
        console.step(f"Deleting the endpoint {name}, which the notebook left; its configuration stays")
        sagemaker.delete_endpoint(EndpointName=name)


def _left(sagemaker, kind: str, word: str, prefix: str) -> Iterator[str]:
    for page in sagemaker.get_paginator(f"list_{word}s").paginate(NameContains=prefix):
        for found in page[f"{kind}s"]:
            # Another deployment's name may begin like this notebook's. Terraform's resources have a tag.
            tags = {tag["Key"] for tag in sagemaker.list_tags(ResourceArn=found[f"{kind}Arn"])["Tags"]}
            if found[f"{kind}Name"].startswith(prefix) and "ManagedBy" not in tags:
                yield found[f"{kind}Name"]


def _left_groups(logs, prefix: str) -> Iterator[str]:
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
        for found in page["logGroups"]:
            arn = found["arn"].removesuffix(":*")
            if "ManagedBy" not in logs.list_tags_for_resource(resourceArn=arn)["tags"]:
                yield found["logGroupName"]
