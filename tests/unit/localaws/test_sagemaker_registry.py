"""The Model Registry: groups, versions, approvals, and what AWS refuses."""

import pytest
from botocore.exceptions import ClientError

from tests.unit.localaws.sagemaker_helpers import SageMaker, unique


@pytest.fixture
def sagemaker(localaws, wait_until) -> SageMaker:
    return SageMaker(localaws, wait_until)


def refused(code: str, words: str, call, **given) -> None:
    with pytest.raises(ClientError, match=words) as found:
        call(**given)
    assert found.value.response["Error"]["Code"] == code


def test_versions_of_a_group_are_kept_approved_and_deleted_before_their_group(sagemaker):
    api, group = sagemaker.api, unique("Breeds")
    tags = [{"Key": "Project", "Value": "pawprint"}]
    arn = api.create_model_package_group(ModelPackageGroupName=group, Tags=tags)["ModelPackageGroupArn"]
    assert arn == f"arn:aws:sagemaker:us-east-1:123456789012:model-package-group/{group.lower()}"
    assert api.list_tags(ResourceArn=arn)["Tags"] == tags
    specification = {
        "Containers": [{"Image": "serving:1", "ModelDataUrl": sagemaker.put("model.tar.gz", b"x")}],
        "SupportedContentTypes": ["image/jpeg"],
        "SupportedResponseMIMETypes": ["application/json"],
    }
    versions = [
        api.create_model_package(
            ModelPackageGroupName=group, InferenceSpecification=specification, CustomerMetadataProperties={"run": name}
        )["ModelPackageArn"]
        for name in ("a", "b")
    ]
    assert [version.rpartition(":")[2] for version in versions] == [
        f"model-package/{group.lower()}/{n}" for n in (1, 2)
    ]

    api.update_model_package(ModelPackageArn=versions[1], ModelApprovalStatus="Approved", ApprovalDescription="good")

    described = api.describe_model_package(ModelPackageName=versions[1])
    assert described["InferenceSpecification"] == specification
    assert (described["ModelPackageVersion"], described["ModelApprovalStatus"]) == (2, "Approved")
    assert (described["ApprovalDescription"], described["CustomerMetadataProperties"]) == ("good", {"run": "b"})
    assert "LastModifiedTime" in described
    found = api.list_model_packages(ModelPackageGroupName=group, ModelApprovalStatus="PendingManualApproval")
    assert [each["ModelPackageArn"] for each in found["ModelPackageSummaryList"]] == versions[:1]
    assert api.list_model_packages()["ModelPackageSummaryList"] == []  # only packages without a group
    assert group in str(api.list_model_package_groups(NameContains=group.lower()))

    refused("ConflictException", "still contains", api.delete_model_package_group, ModelPackageGroupName=group)
    for version in versions:
        api.delete_model_package(ModelPackageName=version)
    api.delete_model_package_group(ModelPackageGroupName=group)
    gone = f"ModelPackageGroup {arn} does not exist."
    refused("ValidationException", gone, api.describe_model_package_group, ModelPackageGroupName=group)


def test_what_aws_refuses_is_refused(sagemaker):
    api, group = sagemaker.api, unique("breeds")
    create = api.create_model_package
    refused("ValidationException", "does not exist", create, ModelPackageGroupName=group)
    api.create_model_package_group(ModelPackageGroupName=group)
    again = api.create_model_package_group
    refused("ValidationException", "Model Package Group already exists", again, ModelPackageGroupName=group)
    both = {"ModelPackageGroupName": group, "ModelPackageName": "a"}
    refused("ValidationException", "Both ModelPackageName and ModelPackageGroupName", create, **both)
    refused("ValidationException", "Missing ARN", create)
    refused("UnknownOperationException", "of a group only", create, ModelPackageName="a")
    missing = {"Containers": [{"Image": "serving:1", "ModelDataUrl": f"s3://{sagemaker.bucket}/none.tar.gz"}]}
    specified = {"ModelPackageGroupName": group, "InferenceSpecification": missing}
    refused("ValidationException", "Could not find model data at s3://", create, **specified)
    nobody = "arn:aws:sagemaker:us-east-1:123456789012:model-package/none/1"
    refused("ValidationException", "does not exist", api.describe_model_package, ModelPackageName=nobody)
    wrong = {"ModelPackageArn": nobody, "ModelApprovalStatus": "Maybe"}
    refused("ValidationException", "Maybe", api.update_model_package, **wrong)
