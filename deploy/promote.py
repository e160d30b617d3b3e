"""Put a trained model behind the URL, blue/green, and go back if it fails.

    python -m deploy.promote [MODEL]

MODEL is a run's name, a tuning job's (its best trial is meant), an `s3://…/model.tar.gz`, or `previous`; by default the
model trained last, or, where that was a trial, the best of its tuning job. The archive is checked before anything
changes. Then Terraform makes the SageMaker model and endpoint configuration of the new release beside those of the old
one and updates the endpoint; the old ones stay, so that a roll back is one more update. What is live is read from
SageMaker afterwards, and asked for one prediction.
"""

from __future__ import annotations

import re

from deploy import console, endpoint_check, environment, releases, runs
from deploy.console import Failure
from deploy.environment import Environment
from deploy.releases import Release, Releases
from deploy.stack import Stack

ARCHIVE = "model.tar.gz"


def find_model(env: Environment, outputs: dict, wanted: str | None) -> str:
    """The S3 URI of the archive that `wanted` means: a URI, or what `runs.find` takes."""
    if wanted and wanted.startswith("s3://"):
        return wanted
    return runs.address(outputs, runs.find(env, outputs, wanted, ARCHIVE), ARCHIVE)


def check_archive(env: Environment, outputs: dict, uri: str):
    """Download the archive and check it; returns its model card and its ETag. Raises Failure."""
    from classifier.artifact import ArtifactError, validate

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    s3 = env.client("s3", outputs["region"])
    try:
        etag = s3.head_object(Bucket=bucket, Key=key)["ETag"].strip('"')
    except s3.exceptions.ClientError as error:
        raise Failure(f"{uri} cannot be read: {error}") from error
    local = env.home / "models" / f"{etag}.tar.gz"
    if not local.is_file():
        local.parent.mkdir(parents=True, exist_ok=True)
        partial = local.with_suffix(".partial")
        s3.download_file(bucket, key, str(partial))
        partial.rename(local)
    try:
        card = validate(local)
        if not card.serving:
            raise ArtifactError(
                "it was made by a version before 0.2, whose serving code AWS's image cannot run. Train it again: "
                f"{console.make('train')}"
            )
        return card, etag
    except ArtifactError as error:
        local.unlink()
        reason = str(error).replace(str(local), "the archive")
        raise Failure(f"{uri} cannot be promoted: {reason}\nNothing was changed.") from error


def release_id(uri: str, etag: str) -> str:
    """A name for a release: the run it came from, and the archive's own hash, so that the same name is the same
    model."""
    parts = uri.split("/")
    run = parts[-3] if parts[-2:] == ["output", "model.tar.gz"] else parts[-1].split(".")[0]
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', run).strip('-')[-36:].lstrip('-')}-{etag[:8]}"


def switch(env: Environment, stack: Stack, old: Releases, new: Releases) -> None:
    """Apply the new releases to the endpoint; where that fails, apply the old ones again and raise Failure."""
    try:
        if stack.apply_release(new):
            raise Failure(f"Terraform could not change the endpoint. {failure_reason(env, stack.outputs())}".strip())
        endpoint_check.require_service(env, stack.outputs(), new.current)
    except KeyboardInterrupt:
        again = console.make(f"promote MODEL={new.current.rpartition('-')[0]}")
        raise Failure(
            f"Interrupted: the endpoint may serve either model, and {old.current} is still the one on record. "
            f"To go on: {again}. To go back: {console.make('apply')}"
        ) from None
    except Failure as failure:
        env.require_own_local_aws()  # where it has gone there is nothing to go back on: promote again once it is up
        console.warn(f"The endpoint did not take {new.current}: going back to {old.current}.")
        if stack.apply_release(old):
            raise Failure(f"Going back failed as well. See: {console.make('logs WHAT=endpoint')}") from failure
        endpoint_check.require_configuration(env, stack.outputs())
        raise Failure(
            f"{new.current} was not promoted; the endpoint serves {old.current} again.\n{failure}"
        ) from failure


def failure_reason(env: Environment, outputs: dict) -> str:
    """What SageMaker says about the last change of the endpoint, which after a roll back is still to be read."""
    sagemaker = env.client("sagemaker", outputs["region"])
    return sagemaker.describe_endpoint(EndpointName=outputs["endpoint_name"]).get("FailureReason", "")


def main() -> None:
    parser = console.Parser(description="Put a trained model behind the URL.")
    parser.add_argument("model", nargs="?", help="a run's name, an S3 URI, or 'previous'; default: the newest")
    wanted = parser.parse_args().model
    env = environment.current()
    stack = Stack(env)
    outputs = stack.require_outputs()
    old = releases.read(env, outputs) or releases.live(env, outputs)
    if wanted == "previous":
        name = old.previous()
        if name is None:
            raise Failure("There is no release before the current one.")
        uri = old.models[name].model_data_url
    else:
        name, uri = None, find_model(env, outputs, wanted)
    console.step(f"Checking {uri}")
    card, etag = check_archive(env, outputs, uri)
    name = name or release_id(uri, etag)
    if name == old.current and serves(env, outputs, uri):
        console.done(f"{name} is what the endpoint serves already.")
        return

    other = old.current if old.current != name else old.previous()
    kept = {other: old.models[other]} if other else {}
    new = Releases(current=name, models={name: Release(uri, live_instance_count(env, outputs)), **kept})
    console.step(f"Promoting {name}: {card.architecture}, {len(card.classes)} classes")
    switch(env, stack, old, new)
    releases.write(env, outputs, new)
    console.done(f"{name} serves. Go back with: {console.make('promote MODEL=previous')}")


def serves(env: Environment, outputs: dict, uri: str) -> bool:
    """Whether the endpoint really runs this archive; after an interrupted promotion the record may say otherwise."""
    live = releases.live(env, outputs)
    return live.models[live.current].model_data_url == uri


def live_instance_count(env: Environment, outputs: dict) -> int | None:
    """How many instances the endpoint has now; None where it has none that work."""
    sagemaker = env.client("sagemaker", outputs["region"])
    endpoint = sagemaker.describe_endpoint(EndpointName=outputs["endpoint_name"])
    return next((variant["CurrentInstanceCount"] for variant in endpoint.get("ProductionVariants", [])), None) or None


if __name__ == "__main__":
    console.run(main)
