"""A destroy deletes the notebook's resources, but not those of Terraform."""

from __future__ import annotations

import pytest

from deploy.sagemaker import trial_endpoints

ROLE = "arn:aws:iam::123456789012:role/pawprint-training"


@pytest.fixture
def make(account):
    sagemaker = account.client("sagemaker")

    def endpoint(name: str, **tags: str) -> None:
        given = [{"Key": key, "Value": value} for key, value in tags.items()]
        container = {"Image": "serving:1", "ModelDataUrl": "s3://pawprint-test/model.tar.gz"}
        variant = {"VariantName": "a", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE, Tags=given)
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], Tags=given)
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=given)

    return endpoint


def test_only_resources_of_the_notebook_are_deleted(account, make):
    make("pawprint", ManagedBy="terraform")
    make("pawprint-notebook-0a1b2c")
    make("pawprint-notebook-my-own")
    make("my-pawprint-notebook-1")
    make("pawprint-notebook-two", ManagedBy="terraform")  # the endpoint of a deployment with that name

    trial_endpoints.delete_all(account.deployed(notebook_name="pawprint-notebook"))

    sagemaker = account.client("sagemaker")
    left = {"pawprint", "my-pawprint-notebook-1", "pawprint-notebook-two"}
    assert {found["EndpointName"] for found in sagemaker.list_endpoints()["Endpoints"]} == left
    assert {found["EndpointConfigName"] for found in sagemaker.list_endpoint_configs()["EndpointConfigs"]} == left
    assert {found["ModelName"] for found in sagemaker.list_models()["Models"]} == left


def test_the_log_groups_of_its_endpoints_are_deleted(account):
    logs = account.client("logs")
    groups = {
        "/aws/sagemaker/Endpoints/pawprint": {"ManagedBy": "terraform"},
        "/aws/sagemaker/Endpoints/pawprint-notebook-0a1b2c": {},
        "/aws/sagemaker/Endpoints/pawprint-notebook-two": {"ManagedBy": "terraform"},  # of a deployment with that name
        "/aws/sagemaker/NotebookInstances": {},
    }
    for name, tags in groups.items():
        logs.create_log_group(logGroupName=name, tags=tags)

    trial_endpoints.delete_all(account.deployed(notebook_name="pawprint-notebook"))

    left = {group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]}
    assert left & set(groups) == set(groups) - {"/aws/sagemaker/Endpoints/pawprint-notebook-0a1b2c"}
    for name in left & set(groups):
        logs.delete_log_group(logGroupName=name)
