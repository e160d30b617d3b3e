"""The check of the network: the subnets of the stack, or that of the training instance."""

from __future__ import annotations

from typing import Any

from deploy.doctor.check import CheckResult, Subject, bad, good


def subnets(subject: Subject) -> CheckResult:
    """The given network, the given subnet, or a default subnet in a zone that offers the instance type."""
    ec2, wanted = subject.client("ec2"), subject.settings["ec2"]
    if network := subject.settings.get("network"):
        return _given(ec2, network)
    if wanted["subnet_id"]:
        [found] = ec2.describe_subnets(SubnetIds=[wanted["subnet_id"]])["Subnets"]
        return good(f"Subnet {found['SubnetId']} in {found['AvailabilityZone']}", found["VpcId"])
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not vpcs:
        return bad(
            f"{subject.region} has no default VPC",
            "set network, or ec2.subnet_id to a subnet with access to the internet, or aws ec2 create-default-vpc",
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


def _given(ec2: Any, network: dict[str, Any]) -> CheckResult:
    """The subnets are in the VPC, and the VPC resolves the names of its endpoints."""
    vpc, wanted = network["vpc_id"], network["subnet_ids"]
    found = {each["SubnetId"]: each for each in ec2.describe_subnets(SubnetIds=wanted)["Subnets"]}
    elsewhere = [name for name, each in found.items() if each["VpcId"] != vpc]
    if elsewhere:
        return bad(f"The subnet {elsewhere[0]} is not in {vpc}", "set network.vpc_id and network.subnet_ids to one VPC")
    if network["interface_endpoints"] != []:
        for option in ("enable-dns-support", "enable-dns-hostnames"):
            member = option.title().replace("-", "")  # EnableDnsSupport
            answer = ec2.describe_vpc_attribute(VpcId=vpc, Attribute=member[0].lower() + member[1:])
            if not answer[member]["Value"]:
                enable = f"aws ec2 modify-vpc-attribute --vpc-id {vpc} --{option}"
                return bad(f"{vpc} has {option} off, so its endpoints have no private names", enable)
    return good(f"{vpc} with {len(found)} subnets", *found)
