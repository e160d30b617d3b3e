"""`make promote`: put a trained model behind the URL, blue/green, and roll back if that fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deploy import console, environment, sleeping
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.sagemaker import history, promotion, registry, releases
from deploy.sagemaker.choice import choose
from deploy.sagemaker.history import Promotion
from deploy.sagemaker.promotion import Checked
from deploy.sagemaker.releases import Release, Releases
from deploy.terraform import Stack


def main() -> None:
    parser = console.Parser(description="Put a trained model behind the URL.")
    parser.add_argument(
        "model", nargs="?", help="a run's name, a release, an S3 URI, or 'previous'; default: the newest"
    )
    parser.add_argument("--eval", help="held-out images for the comparison: a folder, or a dataset in the bucket")
    parser.add_argument("--force", action="store_true", help="promote a model that is worse than the live one")
    options = parser.parse_args()
    stack = Stack(environment.current())
    deployment = stack.require_deployment()
    sleeping.require_awake(deployment, "a promotion")
    old = releases.read(deployment) or releases.live(deployment)
    choice = choose(deployment, old, options.model)
    uri = choice.uri
    console.step(f"Checking {uri}")
    checked = promotion.check_archive(deployment, uri)
    name, sha256 = choice.release or promotion.release_id(uri, checked.etag), None
    if name != releases.BOOTSTRAP:
        uri, sha256 = promotion.published(deployment, checked), checked.sha256
    if name == old.current and promotion.serves(deployment, uri):
        console.done(f"The endpoint already serves {name}.")
        return

    version = registry.known_version(deployment, sha256)
    registry.require_not_rejected(deployment, version, options.force)
    compared = None
    if options.eval or not choice.was_live:  # a rollback must not wait, and its model is often the less accurate one
        compared = evaluate(deployment, checked, name, old, options.eval, options.force)
    record = Promotion(
        at=history.now(),
        by=history.caller(deployment),
        release=name,
        outcome=history.BACK if choice.was_live else history.PROMOTED,
        before=old.current,
        model_data_url=uri,
        sha256=sha256,
        forced=options.force,
        evaluation=compared,
        **history.of_card(checked.card),
    )
    console.step(f"Promoting {name}: {checked.card.architecture}, {len(checked.card.classes)} classes")
    if sha256:
        promotion.publish(deployment, checked)
    switch(stack, deployment, old, following(deployment, old, record), record)
    try:
        record = replace(record, package=registry.register(deployment, record, version))
    finally:  # the model is live, whatever the registry says
        history.add(deployment, record)
    console.done(f"{name} is live. To roll back: {console.make('promote MODEL=previous')}")


def following(deployment: Deployment, old: Releases, record: Promotion) -> Releases:
    """The releases after a promotion: the new one, and the one to roll back to."""
    name = record.release
    other = old.current if old.current != name else old.previous()
    kept = {other: old.models[other]} if other else {}
    release = Release(record.model_data_url, promotion.live_instance_count(deployment), record.sha256)
    return Releases(current=name, models={name: release, **kept})


def switch(stack: Stack, deployment: Deployment, old: Releases, new: Releases, record: Promotion) -> None:
    """Put the new release live. A failure is kept in the history too. Raises Failure."""
    try:
        promotion.switch(stack, old, new)
    except Failure:
        history.add(deployment, replace(record, outcome=history.FAILED))
        raise
    releases.write(deployment, new)


def evaluate(
    deployment: Deployment, checked: Checked, name: str, old: Releases, images: str | None, force: bool
) -> dict[str, Any] | None:
    """Compare the candidate with the live model. Raises Failure if it must not be promoted."""
    if old.current == releases.BOOTSTRAP and not images:  # what everyone's first model replaces
        console.step(
            "The live model is the bootstrap model, which knows other classes: there is nothing to compare with"
        )
        return None
    from deploy.evaluation import gate  # imports OpenVINO, which takes a second

    candidate = gate.Contender(name, checked.sha256, checked.card, promotion.local_archive(deployment, checked.etag))
    return gate.examine(deployment, candidate, old, images, force)


if __name__ == "__main__":
    console.run(main)
