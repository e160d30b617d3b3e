"""What is looked at, for assumptions about the deployed parts: endpoint, function, instance, images, quotas, prices."""

from __future__ import annotations

import json
import re

from classifier import prices

from deploy.costs.price_list import HOSTING, PriceList
from deploy.deployment import Deployment
from deploy.function import ask, payload
from deploy.verify.assumption import Observation
from localaws.account_limits import CODES

ECR_IMAGE = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[\w-]+)\.[\w.]+/(?P<repository>[^:@]+):(?P<tag>.+)")


def image(output: str):
    """A check that an image exists, without pulling it."""

    def look(deployment: Deployment) -> Observation:
        uri = deployment.outputs.get(output) or ""
        found = ECR_IMAGE.fullmatch(uri)
        if not found:
            return Observation(None, f"{uri or output} has no tag in ECR")
        ecr = deployment.env.client("ecr", found["region"])
        answer = ecr.batch_get_image(
            registryId=found["account"], repositoryName=found["repository"], imageIds=[{"imageTag": found["tag"]}]
        )
        digests = [each["imageId"]["imageDigest"] for each in answer["images"]]
        return Observation(bool(digests), f"{uri} is {digests[0]}" if digests else json.dumps(answer["failures"]))

    return look


def last_deployment_config(deployment: Deployment) -> Observation:
    found = deployment.client("sagemaker").describe_endpoint(EndpointName=deployment.endpoint_name)
    config = found.get("LastDeploymentConfig")
    return Observation(config is not None, f"LastDeploymentConfig is {json.dumps(config)}")


def scaling_alarms(deployment: Deployment) -> Observation:
    """Target tracking's own alarms: 3 of 3 minutes above the target, 15 of 15 below it."""
    prefix = f"TargetTracking-endpoint/{deployment.endpoint_name}/"
    found = deployment.client("cloudwatch").describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]
    periods = sorted((each["EvaluationPeriods"], each["Period"]) for each in found)
    seen = "; ".join(f"{each['AlarmName']}: {each['EvaluationPeriods']} x {each['Period']} s" for each in found)
    return Observation(periods == [(3, 60), (15, 60)], seen or f"no alarm begins with {prefix}")


def signed_request(deployment: Deployment) -> Observation:
    status, answer = ask(deployment, *payload(None))
    return Observation(status == 200, f"status {status}: {answer[:300].decode(errors='replace')}")


def log_lines(deployment: Deployment) -> Observation:
    """Lambda's own lines in the function's log."""
    logs = deployment.client("logs")
    found = logs.filter_log_events(logGroupName=deployment.function_log_group, filterPattern="REPORT", limit=50)[
        "events"
    ]
    lines = [line for each in found if (line := each["message"].strip()).startswith("REPORT ")]
    if not lines:
        return Observation(None, "the function's log has no REPORT yet; run make predict")
    return Observation(all("Billed Duration" in line for line in lines), lines[-1])


def endpoint_streams(deployment: Deployment) -> Observation:
    logs = deployment.client("logs")
    streams = logs.describe_log_streams(logGroupName=deployment.endpoint_log_group, limit=5)["logStreams"]
    names = [each["logStreamName"] for each in streams]
    return Observation(bool(names) and all(name.startswith("primary/") for name in names), ", ".join(names) or "none")


def output_archives(deployment: Deployment) -> Observation:
    """SageMaker puts output.tar.gz next to model.tar.gz."""
    s3 = deployment.client("s3")
    keys = [
        item["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(
            Bucket=deployment.artifacts_bucket, Prefix=f"models/{deployment.name}-train-"
        )
        for item in page.get("Contents", [])
    ]
    runs = {key.rpartition("/")[0] for key in keys if key.endswith("/model.tar.gz")}
    if not runs:
        return Observation(None, "no training job has ended yet; run make train")
    without = sorted(run for run in runs if f"{run}/output.tar.gz" not in keys)
    return Observation(not without, f"{len(runs)} runs, without output.tar.gz: {', '.join(without) or 'none'}")


def quota_codes(deployment: Deployment) -> Observation:
    quotas = deployment.client("service-quotas")
    pages = quotas.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
    listed = {each["QuotaName"]: each.get("QuotaCode") for page in pages for each in page["Quotas"]}
    other = [f"{name}: {listed.get(name)}, not {code}" for name, code in CODES.items() if listed.get(name) != code]
    return Observation(not other, "; ".join(other) or f"all {len(CODES)} codes are as in localaws/account_limits.py")


def price_table(deployment: Deployment) -> Observation:
    """The table against AWS's price list of the table's region."""
    found = PriceList(prices.REGION, deployment.env.client)
    kinds = ("ml.m5.large", "ml.m5.xlarge", "ml.t3.medium", "c7i.xlarge")
    read = {kind: found.hourly(kind, HOSTING) for kind in kinds}
    if found.problem:
        return Observation(None, found.problem)
    other = [
        f"{kind}: {price}, not {prices.PRICES[kind]}" for kind, price in read.items() if price != prices.PRICES[kind]
    ]
    return Observation(not other, "; ".join(other) or ", ".join(f"{kind}: {price}" for kind, price in read.items()))


def agent(deployment: Deployment) -> Observation:
    instance = deployment.ec2_instance_id
    filters = [{"Key": "InstanceIds", "Values": [instance]}]
    found = deployment.client("ssm").describe_instance_information(Filters=filters)["InstanceInformationList"]
    if not found:
        return Observation(None, f"{instance} is not known to SSM: it is stopped, or its agent did not start")
    return Observation(True, f"{instance}: {found[0]['PingStatus']}, {found[0].get('PlatformName', '?')}")
