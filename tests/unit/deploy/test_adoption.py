"""What an interrupted apply left in AWS is found by its name, if it has the stack's tags."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from deploy import adoption

TAGS = {"Project": "pawprint", "ManagedBy": "terraform"}
LISTED = [{"Key": name, "Value": value} for name, value in TAGS.items()]
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


def planned(kind: str, actions: tuple[str, ...] = ("create",), **after: Any) -> dict:
    change = {"actions": list(actions), "after": {"tags_all": TAGS, **after}}
    return {"resource_changes": [{"address": f"module.m.{kind}.x", "type": kind, "change": change}]}


def found(account, plan: dict) -> list[str]:
    return [identifier for _, identifier in adoption.found(plan, account.client)]


def test_a_role_of_this_stack_is_found(account):
    account.client("iam").create_role(RoleName="adopted", AssumeRolePolicyDocument=TRUST, Tags=LISTED)
    assert found(account, planned("aws_iam_role", name="adopted")) == ["adopted"]
    assert found(account, planned("aws_iam_role", ("update",), name="adopted")) == []


def test_a_role_of_somebody_else_is_not(account):
    account.client("iam").create_role(RoleName="elsewhere", AssumeRolePolicyDocument=TRUST, Tags=LISTED[:1])
    assert found(account, planned("aws_iam_role", name="elsewhere")) == []


def test_a_group_of_the_model_registry_is_found_by_its_name(account):
    account.client("sagemaker").create_model_package_group(ModelPackageGroupName="adopted", Tags=LISTED)
    plan = planned("aws_sagemaker_model_package_group", model_package_group_name="adopted")
    assert found(account, plan) == ["adopted"]


def test_a_bucket_needs_no_tags(account):
    assert found(account, planned("aws_s3_bucket", bucket="pawprint-test")) == ["pawprint-test"]


def test_instances_and_security_groups_are_found_by_their_tags(account):
    ec2 = account.client("ec2")
    group = ec2.create_security_group(GroupName="adopted-1", Description="x")["GroupId"]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    instance = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    tags = TAGS | {"Name": "pawprint-training"}
    ec2.create_tags(Resources=[group, instance], Tags=[{"Key": key, "Value": tags[key]} for key in tags])
    assert found(account, planned("aws_security_group", tags_all=tags)) == [group]
    assert found(account, planned("aws_instance", tags_all=tags)) == [instance]
    ec2.terminate_instances(InstanceIds=[instance])
    assert found(account, planned("aws_instance", tags_all=tags)) == []
    assert found(account, planned("aws_security_group", tags_all=TAGS | {"Project": "another"})) == []
    ec2.delete_security_group(GroupId=group)


def test_a_log_group_is_found_by_its_whole_name(account):
    logs = account.client("logs")
    logs.create_log_group(logGroupName="/adopted/group", tags=TAGS)
    assert found(account, planned("aws_cloudwatch_log_group", name="/adopted/group")) == ["/adopted/group"]
    assert found(account, planned("aws_cloudwatch_log_group", name="/adopted")) == []


@pytest.mark.parametrize("kind", sorted(adoption.FINDERS))
def test_what_does_not_exist_is_not_found(account, kind: str):
    names = dict.fromkeys(("name", "bucket", "function_name", "qualifier"), "pawprint-missing")
    assert found(account, planned(kind, **names, tags_all=TAGS | {"Project": "missing"})) == []


def test_a_name_that_the_plan_does_not_know_yet_is_not_looked_up(account):
    assert found(account, planned("aws_lambda_alias", name="live")) == []


def test_a_log_group_that_a_service_made_is_adopted_and_that_of_another_stack_is_not(account):
    logs = account.client("logs")
    logs.create_log_group(logGroupName="/aws/lambda/adopted")
    plan = planned("aws_cloudwatch_log_group", name="/aws/lambda/adopted")
    assert [address for address, _ in adoption.found(plan, account.client, adoption.MADE_BY_SERVICES)] != []
    assert list(adoption.found(planned("aws_iam_role", name="x"), account.client, adoption.MADE_BY_SERVICES)) == []
    logs.create_log_group(logGroupName="/aws/lambda/other", tags={"Project": "another"})
    assert found(account, planned("aws_cloudwatch_log_group", name="/aws/lambda/other")) == []


def test_rules_of_a_security_group_are_found_by_what_they_allow(account):
    ec2 = account.client("ec2")
    group = ec2.create_security_group(GroupName="rules-1", Description="x")["GroupId"]
    ec2.revoke_security_group_egress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    rule = {"ip_protocol": "tcp", "from_port": 443, "to_port": 443, "cidr_ipv4": "0.0.0.0/0"}
    plan = planned("aws_vpc_security_group_egress_rule", security_group_id=group, **rule)
    assert found(account, plan) == []
    made = ec2.authorize_security_group_egress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
    )["SecurityGroupRules"]
    assert found(account, plan) == [made[0]["SecurityGroupRuleId"]]
    assert found(account, planned("aws_vpc_security_group_ingress_rule", security_group_id=group, **rule)) == []
    ec2.delete_security_group(GroupId=group)


def test_a_stack_of_cloudformation_is_found_by_its_name_and_tags(account):
    cloudformation = account.client("cloudformation")
    assert found(account, planned("aws_cloudformation_stack", name="adopted-stack")) == []
    template = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "t"}}}})
    cloudformation.create_stack(StackName="adopted-stack", TemplateBody=template, Tags=LISTED)
    assert found(account, planned("aws_cloudformation_stack", name="adopted-stack")) == ["adopted-stack"]
    cloudformation.delete_stack(StackName="adopted-stack")


def test_a_statement_of_the_alias_is_found_by_its_identifier(account):
    role = account.client("iam").create_role(RoleName="function", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    functions = account.client("lambda")
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("handler.py", "")
    functions.create_function(
        FunctionName="adopted",
        Runtime="python3.13",
        Role=role,
        Handler="handler.handler",
        Code={"ZipFile": code.getvalue()},
    )
    plan = planned("aws_lambda_permission", function_name="adopted", qualifier="live", statement_id="PublicFunctionUrl")
    assert found(account, plan) == []
    functions.publish_version(FunctionName="adopted")
    functions.create_alias(FunctionName="adopted", Name="live", FunctionVersion="1")
    for statement in ("Another", "PublicFunctionUrl"):
        assert found(account, plan) == []
        functions.add_permission(
            FunctionName="adopted",
            Qualifier="live",
            StatementId=statement,
            Action="lambda:InvokeFunctionUrl",
            Principal="*",
            FunctionUrlAuthType="NONE",
        )
    assert found(account, plan) == ["adopted:live/PublicFunctionUrl"]
    functions.delete_function(FunctionName="adopted")
