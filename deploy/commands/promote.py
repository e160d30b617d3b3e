"""`make promote`: put a trained model behind the URL, blue/green, and roll back if that fails."""

from __future__ import annotations

from deploy import console, environment, sleeping
from deploy.console import Failure
from deploy.sagemaker import releases
from deploy.sagemaker.promotion import (
    check_archive,
    find_model,
    live_instance_count,
    publish,
    published,
    release_id,
    serves,
    switch,
)
from deploy.sagemaker.releases import Release, Releases
from deploy.terraform import Stack


def main() -> None:
    parser = console.Parser(description="Put a trained model behind the URL.")
    parser.add_argument("model", nargs="?", help="a run's name, an S3 URI, or 'previous'; default: the newest")
    wanted = parser.parse_args().model
    stack = Stack(environment.current())
    deployment = stack.require_deployment()
    sleeping.require_awake(deployment, "a promotion")
    old = releases.read(deployment) or releases.live(deployment)
    if wanted == "previous":
        name = old.previous()
        if name is None:
            named = console.make("promote MODEL=<run>")
            raise Failure(f"The current release has no previous release. Name a model: {named}")
        uri = old.models[name].model_data_url
    else:
        name, uri = None, find_model(deployment, wanted)
    console.step(f"Checking {uri}")
    checked = check_archive(deployment, uri)
    name, sha256 = name or release_id(uri, checked.etag), None
    if name != releases.BOOTSTRAP:
        uri, sha256 = published(deployment, checked), checked.sha256
    if name == old.current and serves(deployment, uri):
        console.done(f"The endpoint already serves {name}.")
        return

    other = old.current if old.current != name else old.previous()
    kept = {other: old.models[other]} if other else {}
    new = Releases(current=name, models={name: Release(uri, live_instance_count(deployment), sha256), **kept})
    console.step(f"Promoting {name}: {checked.card.architecture}, {len(checked.card.classes)} classes")
    if sha256:
        publish(deployment, checked)
    switch(stack, old, new)
    releases.write(deployment, new)
    console.done(f"{name} is live. To roll back: {console.make('promote MODEL=previous')}")


if __name__ == "__main__":
    console.run(main)
