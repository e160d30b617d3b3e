"""The cost of a run at the list prices of its instance type. Standard library only.

On-demand prices of us-east-1 in USD for one hour of one instance, as of AS_OF. The EC2 prices are from AWS's price
list, through the tables of the Karpenter project. AWS publishes the prices of SageMaker training (`ml.`) only on a web
page; those here are from public cost calculators that agree. A type that is not listed has no price, because a missing
number is better than a wrong one. The environment variable `PRICE_PER_HOUR` overrides the table, for example for
another region or a contract.
"""

import os
from dataclasses import dataclass

AS_OF = "2026-02"
REGION = "us-east-1"
OVERRIDE = "PRICE_PER_HOUR"
SPOT_SAVING = "up to 90 %"  # what AWS states for managed spot training

# Within these families the price is proportional to the size.
_EC2_SIZES = {"large": 0.5, "xlarge": 1, "2xlarge": 2, "4xlarge": 4, "8xlarge": 8, "12xlarge": 12, "16xlarge": 16}
_EC2_LARGER = _EC2_SIZES | {"24xlarge": 24}
_EC2_FAMILIES = {  # the price of an xlarge, and the sizes as multiples of it
    "c5": (0.17, {"large": 0.5, "xlarge": 1, "2xlarge": 2, "4xlarge": 4, "9xlarge": 9, "12xlarge": 12, "18xlarge": 18}),
    "c5a": (0.154, _EC2_LARGER),
    "c6a": (0.153, _EC2_LARGER),
    "c6g": (0.136, _EC2_SIZES),
    "c6i": (0.17, _EC2_LARGER),
    "c7a": (0.20528, _EC2_LARGER),
    "c7g": (0.145, _EC2_SIZES),
    "c7i": (0.1785, _EC2_LARGER),
    "c8a": (0.21554, _EC2_LARGER),
    "c8g": (0.15952, _EC2_LARGER),
    "c8i": (0.18742, _EC2_LARGER),
}
PRICES = {
    "c3.large": 0.105,
    "c3.xlarge": 0.21,
    "c3.2xlarge": 0.42,
    "c4.large": 0.1,
    "c4.xlarge": 0.199,
    "c4.2xlarge": 0.398,
    **{
        f"{family}.{size}": round(xlarge * times, 5)
        for family, (xlarge, sizes) in _EC2_FAMILIES.items()
        for size, times in sizes.items()
    },
    "ml.t3.medium": 0.05,
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.m5.2xlarge": 0.461,
    "ml.m5.4xlarge": 0.922,
    "ml.m5.12xlarge": 2.765,
    "ml.m5.24xlarge": 5.53,
    "ml.c5.large": 0.102,
    "ml.c5.xlarge": 0.204,
    "ml.c5.2xlarge": 0.408,
    "ml.c5.4xlarge": 0.816,
    "ml.c5.9xlarge": 1.836,
    "ml.g4dn.xlarge": 0.7364,
    "ml.g4dn.2xlarge": 0.94,
    "ml.g4dn.4xlarge": 1.505,
    "ml.g4dn.8xlarge": 2.72,
    "ml.g4dn.12xlarge": 4.89,
    "ml.g5.xlarge": 1.408,
    "ml.g5.2xlarge": 1.515,
    "ml.g5.4xlarge": 2.03,
    "ml.g5.8xlarge": 3.06,
    "ml.g5.12xlarge": 7.09,
    "ml.g6.xlarge": 1.1267,
    "ml.g6.2xlarge": 1.222,
    "ml.g6.4xlarge": 1.654,
    "ml.g6.8xlarge": 2.518,
    "ml.g6.12xlarge": 5.752,
    "ml.p3.2xlarge": 3.825,
}


class PriceError(Exception):
    """The environment variable PRICE_PER_HOUR is not a price."""


@dataclass(frozen=True)
class Cost:
    """The cost of `instances` instances of a type for `seconds` each. `hourly` is USD per instance and hour."""

    instance_type: str
    seconds: float
    instances: int
    hourly: float
    source: str  # the source of `hourly`, in words

    @property
    def usd(self) -> float:
        return self.hourly * self.instances * self.seconds / 3600

    def __str__(self) -> str:
        """`$0.0021 (ml.m5.xlarge for 33 s at $0.23 an hour, on-demand list price of us-east-1 as of 2026-02)`."""
        what = self.instance_type if self.instances == 1 else f"{self.instances} x {self.instance_type}"
        return f"{dollars(self.usd)} ({what} for {duration(self.seconds)} at ${self.hourly:g} an hour, {self.source})"


def cost(instance_type: str, seconds: float, instances: int = 1) -> Cost | None:
    """The cost. None if the type has no known price. Raises PriceError.

    `seconds` is the time of one instance. Other costs (disks, S3, traffic) are not included.
    """
    given = given_price()
    hourly = PRICES.get(instance_type) if given is None else given
    if hourly is None:
        return None
    source = f"on-demand list price of {REGION} as of {AS_OF}" if given is None else f"given by {OVERRIDE}"
    return Cost(instance_type, seconds, instances, hourly, source)


def sentence(instance_type: str, seconds: float, instances: int = 1) -> str:
    """The cost as text, or a text about the missing price and the way out. Raises PriceError."""
    found = cost(instance_type, seconds, instances)
    return str(found) if found else f"no price known for {instance_type} (give one: {OVERRIDE}=<USD an hour>)"


def given_price() -> float | None:
    """The value of PRICE_PER_HOUR. None if it is not set. Raises PriceError."""
    text = os.environ.get(OVERRIDE)
    if not text:
        return None
    try:
        price = float(text)
    except ValueError:
        price = -1.0
    if not 0 <= price < float("inf"):
        raise PriceError(f"{OVERRIDE}={text!r} is not a price in USD an hour, such as 0.23.")
    return price


def dollars(usd: float) -> str:
    """An amount in USD. Small amounts have two significant digits: $0.0021, $1.53."""
    if usd >= 0.1 or usd == 0:
        return f"${usd:,.2f}"
    return f"${usd:.{3 if usd >= 0.01 else 4}f}" if usd >= 0.0001 else "less than $0.0001"


def duration(seconds: float) -> str:
    """`33 s`, `4 min 10 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
