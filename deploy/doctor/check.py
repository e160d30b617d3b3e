"""What a check found, and what checks need: the settings, the state and the account."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from deploy.account import AccountReader
from deploy.environment import ACCOUNT, TERRAFORM, Environment
from deploy.terraform import Stack


class Mark(StrEnum):
    """Good; not good or not known; an apply would fail."""

    GOOD = "✓"
    UNSURE = "!"
    BAD = "✗"


@dataclass(frozen=True)
class CheckResult:
    """One line of the report: what was found, how to mend it, and the figures that V=1 shows."""

    mark: Mark
    what: str
    fix: str = ""
    details: tuple[str, ...] = ()


def good(what: str, *details: str) -> CheckResult:
    return CheckResult(Mark.GOOD, what, details=details)


def unsure(what: str, fix: str = "", *details: str) -> CheckResult:
    return CheckResult(Mark.UNSURE, what, fix, details)


def bad(what: str, fix: str, *details: str) -> CheckResult:
    return CheckResult(Mark.BAD, what, fix, details)


@dataclass(frozen=True)
class Check:
    """A check. `examine` may raise an error of AWS or LimitsUnreadable: then the check could not be made.

    A quick check also runs before every apply. Of the others, an apply compares its own plan, or they take long.
    """

    name: str
    examine: Callable[[Subject], CheckResult]
    quick: bool = True
    on_aws: bool = True  # whether it asks AWS


class Subject:
    """What is examined: one environment, its settings, its state and its account."""

    def __init__(self, env: Environment, stack: Stack):
        self.env = env
        self.stack = stack

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every setting of the stack with its defaults. Raises Failure if the file cannot be read."""
        return self.stack.settings()

    @property
    def name(self) -> str:
        return self.settings["name"]

    @property
    def region(self) -> str:
        return self.settings["region"]

    @cached_property
    def identity(self) -> dict[str, str]:
        """`Account` and `Arn` of the caller."""
        return self.client("sts").get_caller_identity()

    @property
    def account(self) -> str:
        return self.identity["Account"]

    @cached_property
    def limits(self) -> AccountReader:
        return AccountReader(self.env.client, self.region)

    @cached_property
    def known(self) -> set[tuple[str, str]]:
        """(type, name or identifier) of each resource in the Terraform state."""
        found = set()
        for resource in self.stack.state().get("resources", []):
            if resource["mode"] == "managed":
                for instance in resource["instances"]:
                    values = instance["attributes"]
                    found |= {(resource["type"], str(values[key])) for key in ("id", "name") if values.get(key)}
        return found

    def client(self, service: str, region: str | None = None, **config: Any) -> Any:
        """A boto3 client that gives up after seconds, because a check must not hang without a network."""
        quick = {"connect_timeout": 5, "read_timeout": 20}
        return self.env.client(service, region or self.region, **quick | config)

    def deployer_policy(self) -> list[dict[str, Any]]:
        """The statements of terraform/deployer-policy.json, for this stack's name."""
        text = (TERRAFORM / "deployer-policy.json").read_text().replace("pawprint", self.name)
        return json.loads(text)["Statement"]

    @property
    def account_words(self) -> str:
        invented = " (the invented account of the rehearsal)" if self.account == ACCOUNT else ""
        return f"account {self.account}{invented}"
