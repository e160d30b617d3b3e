"""The limits of the account: every figure with its source.

`LOCALAWS_ACCOUNT` selects the account: `established` (the default), or `new` for one that was opened recently and is on
AWS's free plan. `LOCALAWS_QUOTAS` overrides single limits, see `read_overrides`.

AWS documents its defaults, but a new account often has less: AWS raises the limits as the account is used. So the
figures of `new` are those that owners of new accounts have published. The figures of `established` have no source: such
an account has what its owner asked for, and here that is enough not to be in the way.
"""

import functools
import os
import re
from dataclasses import dataclass
from pathlib import Path

from moto.core.utils import get_service_model

NEW, ESTABLISHED = ACCOUNTS = ("new", "established")
FREE, PAID = "FREE", "PAID"
PLAN = "freetier/plan"  # not a quota; LOCALAWS_QUOTAS sets it like one

SERVICE_NAMES = {
    "ec2": "Amazon Elastic Compute Cloud (Amazon EC2)",
    "lambda": "AWS Lambda",
    "sagemaker": "Amazon SageMaker",
}


class LimitError(Exception):
    """A setting of the account that cannot be used; the message names it and the way out."""


@dataclass(frozen=True)
class Quota:
    """One limit: AWS's default, and what a new and an established account have.

    `code` is its code in Service Quotas, None if no source for it was found.
    """

    service: str
    name: str
    code: str | None
    default: int
    new: int
    established: int
    source: str


# --- Lambda ---

CONCURRENT = "Concurrent executions"
UNRESERVED_MINIMUM = 100  # Lambda developer guide, "Configuring reserved concurrency"


def unreserved_minimum(limit: int) -> int:
    """The executions that must stay unreserved: 100, or all of an account that has fewer.

    Source: AWS's refusals name 100 in an account with 1,000, 50 in one with 50 (LocalStack, tests of Lambda) and 10 in
    one with 10 (DataDog/datadog-serverless-functions #621).
    """
    return min(limit, UNRESERVED_MINIMUM)


# --- SageMaker ---

ENDPOINT, TRAINING, SPOT_TRAINING, NOTEBOOK, TRANSFORM = USES = (
    "endpoint usage",
    "training job usage",
    "spot training job usage",
    "notebook instance usage",
    "transform job usage",
)
ALL_ENDPOINTS = "Number of instances across active endpoints"
ALL_TRAINING = "Number of instances across all training jobs"
ALL_SPOT_TRAINING = "Number of instances across all spot training jobs"
ALL_TRANSFORM = "Number of instances across all transform jobs"
ONE_TRAINING = "Maximum number of instances per training job"
PARALLEL_TRIALS = "Maximum number of training jobs each hyper parameter tuning job can run in parallel at once"
GRANTED = 20  # instances of any kind in an established account

# Most types have 0 in an account that asked for nothing. The others: default endpoint quotas as listed by the CS 401R
# course (of 251 types, three are not 0, 2026-07-31), and ml.t3.medium as in the issue that asked for these limits.
NOT_ZERO = {
    "ml.t2.medium for endpoint usage": 2,
    "ml.m6g.large for endpoint usage": 2,
    "ml.m6g.xlarge for endpoint usage": 1,
    "ml.t2.medium for notebook instance usage": 2,
    "ml.t3.medium for notebook instance usage": 2,
}
ZERO = "0 as in aws-samples/sagemaker-custom-project-templates #51 and in published quotas of accounts (2026-01-22)"
# Codes: klaffka/aws-quota-monitor, docs (2026-09-10), and the workshops that request these quotas.
CODES = {
    "ml.m5.large for endpoint usage": "L-614B09FD",
    "ml.m5.xlarge for endpoint usage": "L-2F737F8D",
    "ml.t2.medium for endpoint usage": "L-29C181D7",
    "ml.g4dn.xlarge for endpoint usage": "L-B8A65202",
    "ml.g6.xlarge for endpoint usage": "L-D470D954",
    "ml.m5.large for training job usage": "L-611FA074",
    "ml.m5.xlarge for training job usage": "L-CCE2AFA6",
    "ml.g4dn.xlarge for training job usage": "L-3F53BF0F",
    "ml.m5.large for transform job usage": "L-236AE59F",
    "ml.m5.large for spot training job usage": "L-29688C85",
    "ml.m5.xlarge for spot training job usage": "L-4CEE6BA6",
}
# The instance types that SageMaker takes for a use, by their enum in botocore's model.
ENUMS = {
    ENDPOINT: "ProductionVariantInstanceType",
    TRAINING: "TrainingInstanceType",
    SPOT_TRAINING: "TrainingInstanceType",
    NOTEBOOK: "InstanceType",
    TRANSFORM: "TransformInstanceType",
}


def instances(instance_type: str, use: str) -> str:
    """The name of the quota on the instances of a type (`ml.m5.large`) in one of USES."""
    return f"{instance_type} for {use}"


# --- EC2 ---

# The families whose virtual processors are counted together: EC2 user guide, "On-Demand Instance quotas".
FAMILIES = {
    "Standard (A, C, D, H, I, M, R, T, Z)": re.compile(r"(?!inf|trn|hpc|mac|dl)[acdhimrtz].*"),
    "G and VT": re.compile(r"(?:g|vt)\d.*"),
    "P": re.compile(r"p\d.*"),
}
ON_DEMAND = {family: f"Running On-Demand {family} instances" for family in FAMILIES}
SPOT = {family: f"All {family} Spot Instance Requests" for family in FAMILIES}


def family_of(instance_type: str) -> str | None:
    """The quota family of an EC2 instance type, None for one without a quota here."""
    return next((name for name, pattern in FAMILIES.items() if pattern.fullmatch(instance_type)), None)


# --- the table ---

_VCPU = "AWS General Reference, Amazon EC2 endpoints and quotas"
_TOTALS = "published quotas of an account (2026-01-22); an established one has what one type has"
TABLE = (
    Quota("lambda", CONCURRENT, "L-B99A9384", 1000, 10, 1000, "DataDog/datadog-serverless-functions #621"),
    Quota("sagemaker", ALL_ENDPOINTS, "L-7A3DF611", 20, 2, GRANTED, "published quotas of a new account"),
    Quota("sagemaker", ALL_TRAINING, "L-00C91CB5", 20, 4, GRANTED, _TOTALS),
    Quota("sagemaker", ALL_SPOT_TRAINING, None, 20, 4, GRANTED, _TOTALS),
    Quota("sagemaker", ALL_TRANSFORM, "L-60D2A6F0", 20, 4, GRANTED, _TOTALS),
    Quota("sagemaker", ONE_TRAINING, "L-622CFD70", 20, 20, GRANTED, _TOTALS),
    Quota("sagemaker", PARALLEL_TRIALS, "L-11294128", 10, 10, 10, _TOTALS),
    Quota("ec2", ON_DEMAND["Standard (A, C, D, H, I, M, R, T, Z)"], "L-1216C47A", 5, 5, 256, _VCPU),
    Quota("ec2", ON_DEMAND["G and VT"], "L-DB2E81BA", 0, 0, 64, _VCPU),
    Quota("ec2", ON_DEMAND["P"], "L-417A185B", 0, 0, 0, _VCPU),
    Quota("ec2", SPOT["Standard (A, C, D, H, I, M, R, T, Z)"], "L-34B43A08", 5, 5, 256, _VCPU),
    Quota("ec2", SPOT["G and VT"], "L-3819A6DF", 0, 0, 64, _VCPU),
    Quota("ec2", SPOT["P"], "L-7212CCBC", 0, 0, 0, _VCPU),
)


@functools.cache
def _types(use: str) -> tuple[str, ...]:
    return tuple(get_service_model("sagemaker").shape_for(ENUMS[use]).enum) if use in ENUMS else ()


def _instance_quota(name: str) -> Quota | None:
    """The quota on a type of SageMaker instances; None for any other name."""
    instance_type, _, use = name.partition(" for ")
    if instance_type not in _types(use):
        return None
    figure = NOT_ZERO.get(name, 0)
    return Quota("sagemaker", name, CODES.get(name), figure, figure, GRANTED, ZERO)


class AccountLimits:
    """The limits of one account. Raises LimitError for an account that there is not."""

    def __init__(self, account: str = ESTABLISHED, overrides: dict[str, str] | None = None):
        if account not in ACCOUNTS:
            raise LimitError(f"LOCALAWS_ACCOUNT is {account!r}: it must be {' or '.join(ACCOUNTS)}.")
        self.account = account
        given = dict(overrides or {})
        self.plan = given.pop(PLAN, FREE if account == NEW else PAID).upper()
        if self.plan not in (FREE, PAID):
            raise LimitError(f"LOCALAWS_QUOTAS: {PLAN} must be {FREE} or {PAID}, not {self.plan}.")
        self._overrides = dict(_override(key, value) for key, value in given.items())

    def value(self, service: str, name: str) -> int:
        """What the account has of a quota. Raises KeyError for one that there is not."""
        quota = find(service, name)
        if quota is None:
            raise KeyError(f"{service}/{name}")
        return self.applied(quota)

    def applied(self, quota: Quota) -> int:
        figure = quota.new if self.account == NEW else quota.established
        return self._overrides.get((quota.service, quota.name), figure)


def find(service: str, name_or_code: str) -> Quota | None:
    """A quota by its name or its code; None if there is none."""
    for quota in TABLE:
        if quota.service == service and name_or_code in (quota.name, quota.code):
            return quota
    if service != "sagemaker":
        return None
    return _instance_quota(next((name for name, code in CODES.items() if code == name_or_code), name_or_code))


@functools.cache
def quotas_of(service: str) -> tuple[Quota, ...]:
    """All quotas of a service, in the order of their names."""
    listed = [quota for quota in TABLE if quota.service == service]
    if service == "sagemaker":
        names = [instances(each, use) for use in USES for each in _types(use)]
        listed += [quota for name in names if (quota := _instance_quota(name))]
    return tuple(sorted(listed, key=lambda quota: quota.name))


def read_overrides(text: str) -> dict[str, str]:
    """The overrides that LOCALAWS_QUOTAS names: `service/code=value` or `service/name=value`, separated by commas. A
    value without `=` is the path of a file with one such line each; `#` begins a comment. Raises LimitError."""
    if text and "=" not in text:
        try:
            lines = Path(text).read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise LimitError(f"LOCALAWS_QUOTAS names the file {text}, which cannot be read: {error}.") from None
        parts = [line.partition("#")[0].strip() for line in lines]
    else:
        # A name may contain commas: "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances".
        parts = [part.strip() for part in re.split(r",(?=\s*[a-z0-9-]+/)", text)]
    found = {}
    for part in filter(None, parts):
        key, equals, value = part.rpartition("=")
        if not equals:
            raise LimitError(f"LOCALAWS_QUOTAS: {part!r} has no value. Write service/code=value.")
        found[key.strip()] = value.strip()
    return found


def _override(key: str, value: str) -> tuple[tuple[str, str], int]:
    service, _, name = key.partition("/")
    quota = find(service, name)
    if quota is None:
        raise LimitError(
            f"LOCALAWS_QUOTAS: the local AWS has no quota {key!r}. aws service-quotas list-service-quotas "
            f"--service-code {service} lists the names and codes of a service ({', '.join(SERVICE_NAMES)})."
        )
    if not value.isdecimal():
        raise LimitError(f"LOCALAWS_QUOTAS: {key} is {value!r}, which is not a whole number.")
    return (quota.service, quota.name), int(value)


@functools.cache
def account_limits() -> AccountLimits:
    """The limits of this process's account, from its environment. Raises LimitError."""
    overrides = read_overrides(os.environ.get("LOCALAWS_QUOTAS", ""))
    return AccountLimits(os.environ.get("LOCALAWS_ACCOUNT") or ESTABLISHED, overrides)
