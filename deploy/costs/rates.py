"""Prices of everything but instances (classifier/prices.py has those), in USD, us-east-1, as of AS_OF.

`RATES` is the only place of these figures. Each names its unit and where it was read. Without access to AWS's price
list, they are list prices that public sources agree on; tests/unit/deploy/test_costs.py compares them with others.
"""

from __future__ import annotations

from dataclasses import dataclass

AS_OF = "2026-11"  # when the sources below were read
HOURS_A_MONTH = 730  # as AWS's pricing pages count

_LAMBDA = "AWS Lambda pricing; rate codes of the price list: TG3M4CAGBA3NYQBH, 72SBSFWPMDTH8S3J, BMKCD2ZCEYKTYYCB"
_SAGEMAKER = "Amazon SageMaker pricing"


@dataclass(frozen=True)
class UnitPrice:
    """A price in USD for one unit."""

    usd: float
    unit: str
    source: str


RATES = {
    "lambda.request": UnitPrice(0.20e-6, "request", "AWS Lambda pricing; rate code GU2ZS9HVP6QTQ7KE"),
    "lambda.x86_64": UnitPrice(0.0000166667, "GB-second", _LAMBDA),
    "lambda.arm64": UnitPrice(0.0000133334, "GB-second", _LAMBDA),
    "lambda.x86_64.provisioned": UnitPrice(0.0000041667, "GB-second of a warm environment", _LAMBDA),
    "lambda.arm64.provisioned": UnitPrice(0.0000033334, "GB-second of a warm environment", "AWS Lambda pricing"),
    "lambda.x86_64.on_provisioned": UnitPrice(0.0000097222, "GB-second on a warm environment", _LAMBDA),
    "lambda.arm64.on_provisioned": UnitPrice(0.0000077778, "GB-second on a warm environment", "AWS Lambda pricing"),
    "sagemaker.storage": UnitPrice(0.14, "GB-month of a notebook's volume", _SAGEMAKER),
    "sagemaker.data": UnitPrice(0.016, "GB into or out of an endpoint", _SAGEMAKER),
    "sagemaker.serverless": UnitPrice(0.00002, "GB-second of serverless inference", _SAGEMAKER),
    "s3.storage": UnitPrice(0.023, "GB-month", "Amazon S3 pricing, Standard, first 50 TB"),
    "s3.put": UnitPrice(0.005e-3, "PUT or LIST", "Amazon S3 pricing"),
    "s3.get": UnitPrice(0.0004e-3, "GET", "Amazon S3 pricing"),
    "ebs.gp3": UnitPrice(0.08, "GB-month", "Amazon EBS pricing"),
    "ipv4": UnitPrice(0.005, "hour of a public IPv4 address", "Amazon VPC pricing"),
    "vpc.endpoint": UnitPrice(0.01, "hour of an interface endpoint in one zone", "AWS PrivateLink pricing"),
    "vpc.nat": UnitPrice(0.045, "hour of a NAT gateway", "Amazon VPC pricing"),
    "cloudwatch.alarm": UnitPrice(0.10, "alarm-month, standard resolution", "Amazon CloudWatch pricing"),
    "cloudwatch.logs": UnitPrice(0.50, "GB of log lines", "Amazon CloudWatch pricing"),
    "kms.key": UnitPrice(1.0, "key-month", "AWS KMS pricing"),
    "transfer": UnitPrice(0.09, "GB to the internet", "Amazon EC2 pricing, data transfer, first 10 TB"),
}


def usd(name: str) -> float:
    return RATES[name].usd


def a_month(hourly: float) -> float:
    return hourly * HOURS_A_MONTH


def an_hour(monthly: float) -> float:
    return monthly / HOURS_A_MONTH
