"""Assumptions about the deployed parts: endpoint, function, instance, images, quotas and prices."""

from __future__ import annotations

import json
import re

from classifier import prices

from deploy.costs.price_list import HOSTING, PriceList
from deploy.deployment import Deployment
from deploy.function import ask, payload
from deploy.verify.assumption import Assumption, Observation
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


PARTS = (
    Assumption(
        "training-image",
        "The training image has the tag in terraform/images.json",
        "aws ecr batch-get-image --registry-id 763104351884 --repository-name pytorch --image-ids imageTag=<tag> "
        "--region {region}",
        image("training_image"),
    ),
    Assumption(
        "serving-image",
        "The serving image has the tag in terraform/images.json",
        "aws ecr batch-get-image --registry-id 763104351884 --repository-name ray --image-ids imageTag=<tag> "
        "--region {region}",
        image("endpoint_image"),
    ),
    Assumption(
        "last-deployment-config",
        "DescribeEndpoint returns LastDeploymentConfig for an endpoint that was only created; otherwise the first "
        "promotion would replace the endpoint",
        "aws sagemaker describe-endpoint --endpoint-name {endpoint_name} --region {region} "
        "--query LastDeploymentConfig",
        last_deployment_config,
    ),
    Assumption(
        "scaling-alarms",
        "Target tracking makes two alarms for the endpoint: 3 and 15 periods of a minute",
        "aws cloudwatch describe-alarms --alarm-name-prefix TargetTracking-endpoint/{endpoint_name}/ --region {region}",
        scaling_alarms,
    ),
    Assumption(
        "signed-request",
        "The function URL answers a request that is signed with the caller's credentials",
        "make predict ENV=aws",
        signed_request,
    ),
    Assumption(
        "function-log",
        "The function's log has a REPORT with Billed Duration for each request",
        "make logs WHAT=lambda ENV=aws",
        log_lines,
    ),
    Assumption(
        "endpoint-log",
        "The endpoint's containers write to streams that begin with the name of the variant",
        "aws logs describe-log-streams --log-group-name {endpoint_log_group} --region {region}",
        endpoint_streams,
    ),
    Assumption(
        "output-archive",
        "SageMaker packs a job's output folder as output.tar.gz, in the same place as model.tar.gz",
        "aws s3 ls --recursive s3://{artifacts_bucket}/models/",
        output_archives,
    ),
    Assumption(
        "instance-agent",
        "The instance's agent has registered with SSM, with the role's permissions for it",
        "aws ssm describe-instance-information --filters Key=InstanceIds,Values={ec2_instance_id} --region {region}",
        agent,
    ),
    Assumption(
        "quota-codes",
        "Service Quotas has the names and codes in localaws/account_limits.py",
        "aws service-quotas list-service-quotas --service-code sagemaker --region {region}",
        quota_codes,
    ),
    Assumption(
        "prices",
        "AWS's price list has the prices in classifier/prices.py",
        "aws pricing get-products --service-code AmazonSageMaker --region us-east-1 "
        "--filters Type=TERM_MATCH,Field=instanceName,Value=ml.m5.large",
        price_table,
    ),
)
