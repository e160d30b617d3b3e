"""The check of the network: the subnet of the training instance."""

from __future__ import annotations

from deploy.doctor.check import CheckResult, Subject, bad, good


def subnets(subject: Subject) -> CheckResult:
    """The given subnet, or a default subnet in a zone that offers the instance type."""
    ec2, wanted = subject.client("ec2"), subject.settings["ec2"]
    if wanted["subnet_id"]:
        [found] = ec2.describe_subnets(SubnetIds=[wanted["subnet_id"]])["Subnets"]
        return good(f"Subnet {found['SubnetId']} in {found['AvailabilityZone']}", found["VpcId"])
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not vpcs:
        return bad(
            f"{subject.region} has no default VPC",
            "set ec2.subnet_id to a subnet with access to the internet, or aws ec2 create-default-vpc",
        )
    kind = wanted["instance_type"]
    offered = ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": [kind]}]
    )["InstanceTypeOfferings"]
    zones = {each["Location"] for each in offered}
    listed = ec2.describe_subnets(
        Filters=[{"Name": "vpc-id", "Values": [vpcs[0]["VpcId"]]}, {"Name": "default-for-az", "Values": ["true"]}]
    )["Subnets"]
    fitting = [each["SubnetId"] for each in listed if each["AvailabilityZone"] in zones]
    if not fitting:
        return bad(
            f"No default subnet of {subject.region} is in a zone that offers {kind}",
            "set ec2.subnet_id, or another ec2.instance_type",
        )
    return good(f"Default VPC with {len(fitting)} subnets that offer {kind}", vpcs[0]["VpcId"], *fitting)
