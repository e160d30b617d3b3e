"""The limits of an account: its quotas, its settings of Lambda, its plan. They are only read."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

FREE = "FREE"
# Graviton, Inferentia and Trainium, which terraform/modules/endpoint refuses: our images are for Intel and AMD.
OTHER_PROCESSORS = re.compile(r"ml\.(?:[a-z]+\d+g[a-z]*|inf\d+|trn\d+[a-z]*)\.")


class LimitsUnreadable(Exception):
    """The account's limits cannot be read, for example because the caller may not read them."""


@dataclass
class AccountReader:
    """The limits of an account in one region. `client` makes a boto3 client for a service and a region."""

    client: Callable[[str, str], Any]
    region: str
    _listed: dict[str, dict[str, dict]] = field(default_factory=dict)

    def quota(self, service: str, name: str) -> dict[str, Any] | None:
        """A quota as Service Quotas lists it, None if it does not list one. Raises LimitsUnreadable."""
        if service not in self._listed:
            pages = self._ask("service-quotas").get_paginator("list_service_quotas")
            with readable(f"quotas of {service}"):
                found = [each for page in pages.paginate(ServiceCode=service) for each in page["Quotas"]]
            self._listed[service] = {each["QuotaName"]: each for each in found}
        return self._listed[service].get(name)

    def alternatives(self, service: str, name: str, wanted: int) -> list[str]:
        """The instance types of which the account may have as many, for the use that a quota's name ends with.

        Only those whose processors the stack's images and packages are made for.
        """
        _, _, use = name.partition(" for ")
        found = self._listed.get(service, {}) if use else {}
        enough = [each for each, quota in found.items() if each.endswith(f" for {use}") and quota["Value"] >= wanted]
        return sorted(each.partition(" for ")[0] for each in enough if not OTHER_PROCESSORS.match(each))

    @cached_property
    def lambda_limits(self) -> dict[str, int]:
        """`ConcurrentExecutions` and `UnreservedConcurrentExecutions`. Raises LimitsUnreadable."""
        with readable("account settings of Lambda"):
            return self._ask("lambda").get_account_settings()["AccountLimit"]

    @cached_property
    def plan(self) -> str | None:
        """`FREE` or `PAID`; None for an account from before these plans. Raises LimitsUnreadable."""
        from botocore.exceptions import ClientError

        with readable("plan of the account"):
            try:
                return self.client("freetier", "us-east-1").get_account_plan_state()["accountPlanType"]
            except ClientError as error:
                if error.response["Error"]["Code"] == "ResourceNotFoundException":
                    return None
                raise

    @property
    def is_on_free_plan(self) -> bool:
        """Whether EC2 starts only types of the free tier; False if it is not known."""
        try:
            return self.plan == FREE
        except LimitsUnreadable:
            return False

    def instance_type(self, name: str) -> dict[str, Any]:
        """An EC2 type as AWS describes it. Raises LimitsUnreadable."""
        with readable(f"description of {name}"):
            return self._ask("ec2").describe_instance_types(InstanceTypes=[name])["InstanceTypes"][0]

    @cached_property
    def free_tier_types(self) -> list[str]:
        """The EC2 types that the free plan starts, those with Graviton left out. Raises LimitsUnreadable."""
        eligible = [{"Name": "free-tier-eligible", "Values": ["true"]}]
        pages = self._ask("ec2").get_paginator("describe_instance_types")
        with readable("types of the free tier"):
            found = [each for page in pages.paginate(Filters=eligible) for each in page["InstanceTypes"]]
        return sorted(kind for each in found if not OTHER_PROCESSORS.match(f"ml.{(kind := each['InstanceType'])}"))

    def _ask(self, service: str) -> Any:
        return self.client(service, self.region)


@contextmanager
def readable(what: str) -> Generator[None]:
    """Turn an error of AWS into LimitsUnreadable."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise LimitsUnreadable(f"the {what}: {error}") from error
