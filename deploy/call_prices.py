"""The price of calls of a function and of an endpoint, for each kind of endpoint. Pure functions.

The figures and their sources are in costs/rates.py. Lambda bills the start of an environment like a call: "Duration
charges apply to code that runs in the handler of a function as well as initialization code" (AWS Lambda pricing).
Whether a cold start of serverless inference is billed is not documented. The price is "for the compute capacity used to
process inference requests", so it is not counted here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from deploy.costs.rates import usd

_GB_MB = 1024
_GB_BYTES = 1024**3


@dataclass(frozen=True)
class Price:
    """USD: `call` for each call, `hour` for each hour, whether there are calls or not."""

    call: float
    hour: float = 0.0

    def __add__(self, other: Price) -> Price:
        return Price(self.call + other.call, self.hour + other.hour)

    def million(self, calls_an_hour: float) -> float:
        """USD for a million calls that come at this rate. Raises ValueError if it is not above 0."""
        if calls_an_hour <= 0:
            raise ValueError(f"{calls_an_hour} calls an hour is not a rate")
        return 1e6 * (self.call + self.hour / calls_an_hour)


def function(memory_mb: int, milliseconds: float, architecture: str, provisioned: int = 0) -> Price:
    """A Lambda function whose call takes `milliseconds`. A call is billed in whole milliseconds.

    With `provisioned` environments, all calls are taken to run in them. Raises KeyError for an unknown architecture.
    """
    gb = memory_mb / _GB_MB
    compute = usd(f"lambda.{architecture}.on_provisioned" if provisioned else f"lambda.{architecture}")
    call = usd("lambda.request") + gb * math.ceil(milliseconds) / 1000 * compute
    return Price(call, 3600 * provisioned * gb * usd(f"lambda.{architecture}.provisioned"))


def function_start(memory_mb: int, milliseconds: float, architecture: str) -> float:
    """USD for one cold start of an environment."""
    return memory_mb / _GB_MB * math.ceil(milliseconds) / 1000 * usd(f"lambda.{architecture}")


def serverless(memory_mb: int, milliseconds: float, request_bytes: float, answer_bytes: float) -> Price:
    """A call of a serverless endpoint that takes `milliseconds` in the container, with its data."""
    seconds = math.ceil(milliseconds) / 1000
    return Price(memory_mb / _GB_MB * seconds * usd("sagemaker.serverless") + data(request_bytes, answer_bytes))


def instances(hourly: float, count: int, request_bytes: float, answer_bytes: float) -> Price:
    """A call of an endpoint of `count` instances, each at `hourly` USD, with its data."""
    return Price(data(request_bytes, answer_bytes), count * hourly)


def data(request_bytes: float, answer_bytes: float) -> float:
    """USD for the data that a call moves through an endpoint."""
    return (request_bytes + answer_bytes) / _GB_BYTES * usd("sagemaker.data")
