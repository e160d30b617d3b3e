"""The rules of security groups. moto keeps the description of a range of addresses only.

EC2 keeps every description. Terraform changes a rule that has lost its own, in each apply.
"""

import inspect
from typing import Any

from moto.ec2.models import security_groups
from moto.ec2.models.security_groups import SecurityGroupRule


class LocalSecurityGroupRule(SecurityGroupRule):
    """A rule with the description of its range, its group or its prefix list."""

    prefix_list_description: str | None = None

    def __init__(self, *arguments: Any, **settings: Any):
        super().__init__(*arguments, **settings)
        given = inspect.signature(SecurityGroupRule.__init__).bind(self, *arguments, **settings).arguments
        self.prefix_list_description = (given.get("prefix_list_id") or {}).get("Description")

    @property
    def description(self) -> str | None:
        return super().description or self.source_group.get("Description") or self.prefix_list_description


def install() -> None:
    security_groups.SecurityGroupRule = LocalSecurityGroupRule
