"""`make releases`: the promotions, the newest first, and which release is live."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from deploy import console, environment, sleeping
from deploy.deployment import Deployment
from deploy.sagemaker import history, releases
from deploy.sagemaker.history import Promotion
from deploy.terraform import Stack

HASH = 8  # characters of a hash that are shown


def main() -> None:
    console.Parser(
        description="List the promotions: who, when, which model and data, and which one is live."
    ).parse_args()
    deployment = Stack(environment.current()).require_deployment()
    recorded = releases.read(deployment)
    if recorded is None:
        console.out.print(
            f"No model was promoted yet; {deployment.release} is live. Train one: {console.make('train')}"
        )
        return
    found = history.read(deployment)
    served = live_url(deployment)
    console.show(table(found, recorded.current, recorded.previous(), served))
    if served and recorded.current != releases.BOOTSTRAP and served != recorded.models[recorded.current].model_data_url:
        console.warn(
            f"A promotion was interrupted: the endpoint serves {served}. {console.make('apply')} rolls it back."
        )
    if older := [name for name in recorded.models if name not in {each.release for each in found}]:
        console.out.print(f"Without a record of their promotion: {', '.join(older)}", markup=False)
    console.out.print(f"To promote one of them: {console.make('promote MODEL=<release>')}", markup=False)


def live_url(deployment: Deployment) -> str | None:
    """The address of the model that is served now; None if the stack is asleep."""
    if sleeping.is_asleep(deployment):
        return None
    live = releases.live(deployment)
    return live.models[live.current].model_data_url


def table(found: list[Promotion], current: str, previous: str | None, served: str | None) -> Table:
    """A row for each promotion. `served` is the address of the archive that is served, None if the stack is asleep."""
    made = Table(
        "when (UTC)", "release", "", "accuracy", "compared", "data", "code", "by", box=None, padding=(0, 3, 0, 0)
    )
    latest = next((each for each in found if each.release == current and each.outcome != history.FAILED), None)
    for each in found:
        is_live = each is latest and (served in (each.model_data_url, None) or current == releases.BOOTSTRAP)
        accuracy = each.metrics.get("test_accuracy")
        made.add_row(
            each.at.replace("T", " ").removesuffix("Z"),
            Text(each.release, "bold" if is_live else ""),
            Text(state(each, is_live, asleep=served is None, is_previous=each.release == previous)),
            "" if accuracy is None else f"{accuracy:.2%}",
            Text(compared(each)),
            (each.data_sha256 or "")[:HASH],
            (each.code_sha256 or "")[:HASH],
            Text(each.by.rsplit(":", 1)[-1]),
        )
    return made


def state(promotion: Promotion, is_live: bool, asleep: bool, is_previous: bool) -> str:
    """What became of a promotion, in words."""
    if promotion.outcome == history.FAILED:
        return f"failed; {promotion.before} stayed"
    parts = [("asleep" if asleep else "live") if is_live else "previous" if is_previous else ""]
    if promotion.outcome == history.BACK:
        parts.append(f"rolled back from {promotion.before}")
    return "; ".join(filter(None, [*parts, "forced" if promotion.forced else ""]))


def compared(promotion: Promotion) -> str:
    """The comparison with the release before it, in words."""
    made = promotion.evaluation
    if not made:
        return ""
    difference = (made["candidate"] - made["live"]) / made["images"]
    return f"{difference:+.2%} on {made['images']:,} images (p = {made['p_value']:.2g})"


if __name__ == "__main__":
    console.run(main)
