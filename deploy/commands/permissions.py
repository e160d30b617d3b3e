"""`make permissions`: what each role was granted, what it used, and the policy of a user who deploys."""

from __future__ import annotations

import json

from rich.table import Table

from deploy import console, environment, permissions
from deploy.console import Failure
from deploy.environment import ROOT
from deploy.permissions import PrincipalReport


def show(reports: list[PrincipalReport], details: bool) -> None:
    table = Table("principal", "granted", "used", "never used", "impossible", "denied")
    for each in reports:
        counts = (each.granted, each.used_grants, each.unused_grants, each.impossible_grants, each.denials)
        if each.arn != permissions.ROOT:
            table.add_row(each.name, *(str(len(found)) for found in counts))
    console.show(table)
    for each in reports:
        if each.arn == permissions.ROOT:
            console.out.print(f"The account's root, who may do everything, used {len(each.used)} permissions.")
    for each in reports:
        for pair in each.denials:
            console.warn(f"{each.name} was denied {pair['action']} on {pair['resource']} ({pair['denied']} times)")
    for each in reports if details else ():
        for words, pairs in (("never used", each.unused_grants), ("impossible", each.impossible_grants)):
            for pair in pairs:
                console.out.print(f"{each.name}: {words}: {pair['sid']}: {pair['action']} on {pair['resource']}")


def write(reports: list[PrincipalReport], name: str) -> None:
    """Write the deployer's policy. Raises Failure if a target has not run, or if IAM would not take the policy."""
    used = [pair for each in reports if each.arn == permissions.ROOT for pair in each.used]
    if missing := permissions.missing_steps(used):
        raise Failure(
            f"The policy needs every target to have run on this local AWS. Not seen yet: {', '.join(missing)}. "
            f"Run, for example: {console.make(missing[0])}"
        )
    policy = permissions.deployer_policy(used, name)
    if (size := permissions.size(policy)) > permissions.MAX_POLICY_CHARACTERS:
        raise Failure(f"The policy has {size} characters; IAM takes {permissions.MAX_POLICY_CHARACTERS} in a role.")
    permissions.POLICY.write_text(json.dumps(policy, indent=2) + "\n")
    permissions.OPTIONS_POLICY.write_text(json.dumps(permissions.options_policy(name), indent=2) + "\n")
    console.step(f"{permissions.POLICY.relative_to(ROOT)}: {len(policy['Statement'])} statements, {size} characters")


def main() -> None:
    parser = console.Parser(description=__doc__)
    parser.add_argument("--details", action="store_true", help="name each grant that was never used")
    parser.add_argument("--write", action="store_true", help="write terraform/deployer-policy.json")
    parser.add_argument("--name", default="pawprint", help="the name of the stack whose use becomes the policy")
    options = parser.parse_args()
    env = environment.current()
    if not env.rehearsed:
        raise Failure("AWS does not record which permissions were used. Run this after a rehearsal, without ENV=aws.")
    env.require_own_local_aws()
    reports = permissions.ask()
    show(reports, options.details)
    if options.write:
        write(reports, options.name)


if __name__ == "__main__":
    console.run(main)
