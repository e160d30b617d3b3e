"""Run the checks in their order and print one line for each."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deploy import console
from deploy.account import LimitsUnreadable
from deploy.console import Failure
from deploy.doctor import caller, limits, machine, network, simulation, stack, strays
from deploy.doctor.check import Check, CheckResult, Mark, Subject, bad, unsure

CREDENTIALS = Check("credentials", caller.credentials)
CHECKS = (
    Check("python", machine.python, on_aws=False),
    Check("terraform", machine.terraform, on_aws=False),
    Check("settings", machine.settings, on_aws=False),
    CREDENTIALS,
    Check("region", caller.region, on_aws=False),
    Check("services", caller.services),
    Check("permissions", simulation.permissions),
    Check("service-linked roles", simulation.service_linked_roles),
    Check("plan of the account", caller.plan, quick=False),
    Check("quota: endpoint", limits.endpoint, quick=False),
    Check("quota: notebook", limits.notebook, quick=False),
    Check("quota: training", limits.training, quick=False),
    Check("quota: spot training", limits.spot, quick=False),
    Check("quota: Lambda", limits.function, quick=False),
    Check("quota: EC2", limits.instance, quick=False),
    Check("network", network.subnets),
    Check("state", stack.state),
    Check("names", stack.names),
    Check("outside the state", strays.outside_the_state, quick=False),
    Check("other regions", strays.other_regions, quick=False),
)
REFUSAL = re.compile(r"\((\w+)\) when calling the (\w+) operation")  # in the words of botocore
SIGNS = {Mark.GOOD: "bold green", Mark.UNSURE: "bold yellow", Mark.BAD: "bold red"}


def findings(subject: Subject, checks: tuple[Check, ...] = CHECKS) -> Iterator[tuple[Check, CheckResult]]:
    """Make the checks. Without credentials, those that ask AWS cannot be made, and each is a `!`."""
    reached = True
    for check in checks:
        if check.on_aws and not reached:
            yield check, unsure(f"Not checked: {check.name}, because AWS could not be asked")
            continue
        found = examine(check, subject)
        if check is CREDENTIALS and found.mark is Mark.BAD and "logged in" not in found.what:
            reached = False
        yield check, found


def examine(check: Check, subject: Subject) -> CheckResult:
    """One finding. A check that could not be made is never good: `!`, or ✗ if it is that of the credentials."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return check.examine(subject)
    except Failure as failure:
        what, _, fix = str(failure).partition("\n")
        return bad(what, fix)
    except (LimitsUnreadable, ClientError, BotoCoreError) as error:
        refused = REFUSAL.search(str(error))
        reason = f"AWS answers {refused[1]} to {refused[2]}" if refused else str(error)
        words = f"Not checked: {check.name}, because of this: {reason}"
        if check is CREDENTIALS:
            return bad(words, f"log in (aws sso login, aws configure), then {console.make('doctor')}", str(error))
        denied = "see the check of permissions" if refused and refused[1].startswith("AccessDenied") else ""
        return unsure(words, denied, str(error))


def show(found: CheckResult, details: bool = False) -> None:
    console.out.print(f"[{SIGNS[found.mark]}]{found.mark}[/] ", end="")
    console.out.print(found.what, markup=False)
    if found.fix and found.mark is not Mark.GOOD:
        console.out.print(f"  → {found.fix}", markup=False)
    for line in found.details if details else ():
        console.out.print(f"    {line}", markup=False)


def require_healthy(subject: Subject) -> None:
    """Make the quick checks and print what is not good. Raises Failure if something would make an apply fail."""
    failed = 0
    for _, found in findings(subject, tuple(check for check in CHECKS if check.quick)):
        if found.mark is not Mark.GOOD:
            show(found)
        failed += found.mark is Mark.BAD
    if failed:
        raise Failure(
            f"Nothing was changed, because of the {'line' if failed == 1 else 'lines'} with ✗. "
            f"All checks: {console.make('doctor')}"
        )
