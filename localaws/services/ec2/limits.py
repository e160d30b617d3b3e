"""The account's limits on EC2 instances: virtual processors that run, by family, and the types of the free plan.

Sources of the words: scrapoxy #202 and aws/amazon-cloudwatch-agent-test #256 (VcpuLimitExceeded), the EC2 user guide's
"Spot Instance errors" (MaxSpotInstanceCountExceeded), splunk/attack_range #1302 (the free plan).
"""

from collections.abc import Iterable
from typing import Any

from moto.ec2.exceptions import EC2ClientError

from localaws import machines
from localaws.account_limits import FREE, ON_DEMAND, SPOT, account_limits, family_of

RUNNING = ("pending", "running")


class VcpuLimitExceeded(EC2ClientError):
    def __init__(self, limit: int):
        super().__init__(
            "VcpuLimitExceeded",
            f"You have requested more vCPU capacity than your current vCPU limit of {limit} allows for the instance "
            "bucket that the specified instance type belongs to. Please visit "
            "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.",
        )


class MaxSpotInstanceCountExceeded(EC2ClientError):
    def __init__(self) -> None:
        super().__init__("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")


class NotEligible(EC2ClientError):
    def __init__(self) -> None:
        super().__init__(
            "InvalidParameterCombination",
            "The specified instance type is not eligible for Free Tier. For a list of Free Tier instance types, run "
            "'describe-instance-types' with the filter 'free-tier-eligible=true'.",
        )


def is_spot(instance: Any) -> bool:
    return instance.lifecycle == "spot"


def require(existing: Iterable[Any], instance_type: str, count: int, spot: bool) -> None:
    """Raise the error of EC2 if the account may not run `count` more instances of a type."""
    limits = account_limits()
    if limits.plan == FREE and not machines.is_free_tier(instance_type):
        raise NotEligible
    family = family_of(instance_type)
    if family is None:
        return
    limit = limits.value("ec2", (SPOT if spot else ON_DEMAND)[family])
    alike = [each for each in existing if each.state in RUNNING and is_spot(each) == spot]
    used = sum(machines.processors(each.instance_type) for each in alike if family_of(each.instance_type) == family)
    if used + count * machines.processors(instance_type) > limit:
        raise MaxSpotInstanceCountExceeded if spot else VcpuLimitExceeded(limit)
