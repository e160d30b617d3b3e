"""Models, endpoint configurations and tags: what was asked for is what is described."""

import pytest
from botocore.exceptions import ClientError

from localaws.services.sagemaker.metadata import model_location
from tests.unit.localaws.sagemaker_helpers import MODEL, ROLE, SageMaker, unique


@pytest.fixture
def sagemaker(localaws, wait_until) -> SageMaker:
    return SageMaker(localaws, wait_until)


def test_a_model_is_described_as_it_was_asked_for(sagemaker):
    name = unique("Model")
    container = {
        "Image": "image:1",
        "ModelDataUrl": sagemaker.put("model.tar.gz", b"x"),
        "Environment": {"A": "b"},
        "Mode": "SingleModel",
    }
    vpc = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    arn = sagemaker.api.create_model(
        ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE, EnableNetworkIsolation=True, VpcConfig=vpc
    )["ModelArn"]
    described = sagemaker.api.describe_model(ModelName=name)
    assert described["ModelArn"] == arn == f"arn:aws:sagemaker:us-east-1:123456789012:model/{name.lower()}"
    assert described["PrimaryContainer"] == container
    assert (described["EnableNetworkIsolation"], described["VpcConfig"]) == (True, vpc)
    with pytest.raises(ClientError, match="already existing model"):
        sagemaker.api.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    sagemaker.api.delete_model(ModelName=name)
    for call in (sagemaker.api.describe_model, sagemaker.api.delete_model):
        with pytest.raises(ClientError, match="Could not find model"):
            call(ModelName=name)


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("s3://a-bucket/models/m.tar.gz", ("a-bucket", "models/m.tar.gz")),
        ("https://a-bucket.s3.us-east-1.amazonaws.com/m.tar.gz", ("a-bucket", "m.tar.gz")),
        ("https://a.bucket.s3.amazonaws.com/models/m.tar.gz", ("a.bucket", "models/m.tar.gz")),
        ("https://s3.us-east-1.amazonaws.com/a-bucket/models/m.tar.gz", ("a-bucket", "models/m.tar.gz")),
        ("https://s3-eu-west-1.amazonaws.com/a-bucket/m%20n.tar.gz", ("a-bucket", "m n.tar.gz")),
        ("https://s3.amazonaws.com/a-bucket/m.tar.gz", ("a-bucket", "m.tar.gz")),
        ("https://a-bucket.s3.dualstack.us-gov-west-1.amazonaws.com/m.tar.gz", ("a-bucket", "m.tar.gz")),
        ("https://example.com/m.tar.gz", None),
        ("https://a-bucket.s3.amazonaws.com.example.com/m.tar.gz", None),
        ("http:m.tar.gz", None),
    ],
)
def test_an_address_of_s3_names_a_bucket_and_a_key(url, location):
    assert model_location(url) == location


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"Containers": [{}, {}]}, "no inference pipelines"),
        ({"PrimaryContainer": {"Mode": "MultiModel"}}, "no multi-model containers"),
        ({"PrimaryContainer": {"ModelDataUrl": None}}, "needs a ModelDataUrl"),
        ({"PrimaryContainer": {"ModelDataUrl": "https://example.com/m.tar.gz"}}, "not an address of S3"),
        ({"PrimaryContainer": {"ModelPackageName": "package"}}, "does not support ModelPackageName"),
    ],
)
def test_a_model_that_would_be_served_otherwise_is_refused_and_the_provider_does_not_repeat_it(sagemaker, model, words):
    url = sagemaker.put("model.tar.gz", b"x")

    def complete(container: dict) -> dict:
        whole = {"Image": "image:1", "ModelDataUrl": url, **container}
        return {name: value for name, value in whole.items() if value is not None}

    asked = {
        name: [complete(each) for each in value] if isinstance(value, list) else complete(value)
        for name, value in model.items()
    }
    with pytest.raises(ClientError, match=words) as refused:
        sagemaker.api.create_model(ModelName=unique("model"), ExecutionRoleArn=ROLE, **asked)
    assert refused.value.response["Error"]["Code"] != "ValidationException"


def test_an_endpoint_configuration_keeps_every_property_of_its_variants(sagemaker):
    name = sagemaker.config(MODEL.format(answer="x"), InstanceType="ml.c8g.large", ModelDataDownloadTimeoutInSeconds=60)
    described = sagemaker.api.describe_endpoint_config(EndpointConfigName=name)
    assert described["ProductionVariants"] == [
        {
            "VariantName": "main",
            "ModelName": name,
            "InitialInstanceCount": 1,
            "InstanceType": "ml.c8g.large",
            "InitialVariantWeight": 1.0,
            "ModelDataDownloadTimeoutInSeconds": 60,
        }
    ]
    listed = sagemaker.api.list_endpoint_configs(NameContains=name)["EndpointConfigs"]
    assert [each["EndpointConfigName"] for each in listed] == [name]
    sagemaker.api.delete_endpoint_config(EndpointConfigName=name)
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        sagemaker.api.describe_endpoint_config(EndpointConfigName=name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ModelName": "nobody"}, "Could not find model"),
        ({"InstanceType": None}, "neither an InstanceType nor a ServerlessConfig"),
    ],
)
def test_a_variant_that_cannot_run_is_refused(sagemaker, change, message):
    name = sagemaker.config(MODEL.format(answer="x"))
    variant = {"VariantName": "v", "ModelName": name, "InstanceType": "ml.m5.large", **change}
    variant = {key: value for key, value in variant.items() if value is not None}
    with pytest.raises(ClientError, match=message):
        sagemaker.api.create_endpoint_config(EndpointConfigName=unique("config"), ProductionVariants=[variant])


def test_lists_come_in_pages_the_newest_first(sagemaker):
    prefix = unique("page")
    url = sagemaker.put("model.tar.gz", b"x")
    for number in range(5):
        sagemaker.api.create_model(
            ModelName=f"{prefix}-{number}",
            PrimaryContainer={"Image": "i", "ModelDataUrl": url},
            ExecutionRoleArn=ROLE,
        )
    pages = sagemaker.api.get_paginator("list_models").paginate(NameContains=prefix, PaginationConfig={"PageSize": 2})
    found = [[model["ModelName"][-1] for model in page["Models"]] for page in pages]
    assert found == [["4", "3"], ["2", "1"], ["0"]]


def test_tags_are_added_replaced_and_taken_away(sagemaker):
    name = sagemaker.config(MODEL.format(answer="x"))
    arn = sagemaker.api.describe_model(ModelName=name)["ModelArn"]
    sagemaker.api.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    sagemaker.api.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "3"}])
    sagemaker.api.delete_tags(ResourceArn=arn, TagKeys=["b"])
    assert sagemaker.api.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "3"}]
    with pytest.raises(ClientError, match="Could not find a resource"):
        sagemaker.api.list_tags(ResourceArn=arn + "x")


def test_regions_are_apart(sagemaker):
    name = sagemaker.config(MODEL.format(answer="x"))
    with pytest.raises(ClientError, match="Could not find model"):
        sagemaker.server.client("sagemaker", "eu-west-1").describe_model(ModelName=name)
