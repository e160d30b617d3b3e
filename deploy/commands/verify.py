"""`make verify`: ask the deployed stack whether the assumptions about AWS hold, and write a report to send in."""

from __future__ import annotations

from datetime import UTC, datetime

from deploy import console, environment, sleeping
from deploy.console import Failure
from deploy.environment import ACCOUNT
from deploy.steps import shown
from deploy.terraform import Stack
from deploy.verify import report
from deploy.verify.answers import ANSWERS
from deploy.verify.parts import PARTS

ASSUMPTIONS = (*PARTS, *ANSWERS)


def main() -> int:
    parser = console.Parser(description=__doc__)
    parser.add_argument("--only", help="the name of one assumption; default: all")
    only = parser.parse_args().only
    chosen = [each for each in ASSUMPTIONS if only in (None, each.name)]
    if not chosen:
        raise Failure(f"ONLY={only} is not an assumption. Use one of: {', '.join(each.name for each in ASSUMPTIONS)}.")
    env = environment.current()
    env.require_access()
    deployment = Stack(env).require_deployment()
    sleeping.require_awake(deployment, "a verification")
    account = env.client("sts", deployment.region).get_caller_identity()["Account"]
    asked = "the rehearsal's local AWS, not AWS" if account == ACCOUNT else "AWS"
    observed = [(each, each.examine(deployment)) for each in chosen]
    text = report.without_account(report.report(deployment, asked, observed), account)
    file = env.home / f"verify-{datetime.now(UTC):%Y%m%d-%H%M%S}.md"
    file.write_text(text)
    console.out.print(text, markup=False)
    send = "" if account == ACCOUNT else " It has no credentials, and not the account's number. Please send it in."
    console.done(f"The report: {shown(file)}.{send}")
    return 1 if any(seen.holds is False for _, seen in observed) else 0


if __name__ == "__main__":
    console.run(main)
