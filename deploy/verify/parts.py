"""Assumptions about the deployed parts: endpoint, function, instance, images, quotas and prices."""

from __future__ import annotations

from deploy.verify import looks
from deploy.verify.assumption import Assumption

PARTS = (
    Assumption(
        "training-image",
        "The training image has the tag in terraform/images.json",
        "aws ecr batch-get-image --registry-id 763104351884 --repository-name pytorch --image-ids imageTag=<tag> "
        "--region {region}",
        looks.image("training_image"),
    ),
    Assumption(
        "serving-image",
        "The serving image has the tag in terraform/images.json",
        "aws ecr batch-get-image --registry-id 763104351884 --repository-name ray --image-ids imageTag=<tag> "
        "--region {region}",
        looks.image("endpoint_image"),
    ),
    Assumption(
        "last-deployment-config",
        "DescribeEndpoint returns LastDeploymentConfig for an endpoint that was only created; otherwise the first "
        "promotion would replace the endpoint",
        "aws sagemaker describe-endpoint --endpoint-name {endpoint_name} --region {region} "
        "--query LastDeploymentConfig",
        looks.last_deployment_config,
    ),
    Assumption(
        "scaling-alarms",
        "Target tracking makes two alarms for the endpoint: 3 and 15 periods of a minute",
        "aws cloudwatch describe-alarms --alarm-name-prefix TargetTracking-endpoint/{endpoint_name}/ --region {region}",
        looks.scaling_alarms,
    ),
    Assumption(
        "signed-request",
        "The function URL answers a request that is signed with the caller's credentials",
        "make predict ENV=aws",
        looks.signed_request,
    ),
    Assumption(
        "function-log",
        "The function's log has a REPORT with Billed Duration for each request",
        "make logs WHAT=lambda ENV=aws",
        looks.log_lines,
    ),
    Assumption(
        "endpoint-log",
        "The endpoint's containers write to streams that begin with the name of the variant",
        "aws logs describe-log-streams --log-group-name {endpoint_log_group} --region {region}",
        looks.endpoint_streams,
    ),
    Assumption(
        "output-archive",
        "SageMaker packs a job's output folder as output.tar.gz, in the same place as model.tar.gz",
        "aws s3 ls --recursive s3://{artifacts_bucket}/models/",
        looks.output_archives,
    ),
    Assumption(
        "instance-agent",
        "The instance's agent has registered with SSM, with the role's permissions for it",
        "aws ssm describe-instance-information --filters Key=InstanceIds,Values={ec2_instance_id} --region {region}",
        looks.agent,
    ),
    Assumption(
        "quota-codes",
        "Service Quotas has the names and codes in localaws/account_limits.py",
        "aws service-quotas list-service-quotas --service-code sagemaker --region {region}",
        looks.quota_codes,
    ),
    Assumption(
        "prices",
        "AWS's price list has the prices in classifier/prices.py",
        "aws pricing get-products --service-code AmazonSageMaker --region us-east-1 "
        "--filters Type=TERM_MATCH,Field=instanceName,Value=ml.m5.large",
        looks.price_table,
    ),
)
