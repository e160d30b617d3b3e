"""`make chaos`: have the local AWS throttle, fail, delay or lose machines by rule; list the rules, or end them."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from deploy import console, environment


def main() -> None:
    parser = console.Parser(prog="chaos")
    parser.add_argument("--rule", help="for example 'throttle service=sagemaker probability=0.3 until=5m'")
    parser.add_argument("--clear", action="store_true", help="end all rules")
    arguments = parser.parse_args()
    env = environment.current()
    env.require_rehearsal("has no faults on demand: they are a part of the rehearsal")
    env.require_own_local_aws()
    if arguments.clear:
        count = environment.ask_local_aws("chaos", "POST", {"clear": True})["cleared"]
        console.done(f"{count} {'rule is' if count == 1 else 'rules are'} ended.")
    if arguments.rule is not None:
        environment.ask_local_aws("chaos", "POST", {"rule": arguments.rule})
    rules = environment.ask_local_aws("chaos")["rules"]
    if not rules:
        if not arguments.clear:
            example = "chaos RULE='throttle service=sagemaker probability=0.3 until=5m'"
            console.done(f"There are no rules at work. Add one: {console.make(example)} (docs/FAULTS.md)")
        return
    table = Table("faults", "rule", title="Rules at work", title_justify="left")
    for each in rules:
        table.add_row(str(each["faults"]), escape(each["rule"]))
    console.show(table)
    console.warn(f"To end them: {console.make('chaos CLEAR=1')}. They end with the local AWS, too.")


if __name__ == "__main__":
    console.run(main)
