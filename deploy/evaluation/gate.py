"""The gate of `make promote`: compare the candidate with the live model, and refuse a significantly worse one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from classifier import artifact
from classifier.artifact import ArtifactError, ModelCard
from classifier.dataset.folders import DatasetError
from classifier.network.graph import GraphError

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.evaluation import answers, comparison, images, words
from deploy.evaluation.comparison import Answers, PairedResult
from deploy.sagemaker import promotion
from deploy.sagemaker.releases import Releases

FEWEST_CLASSES = 2  # with one class, every model is always right


@dataclass(frozen=True)
class Contender:
    """A model of the comparison: its release, its `artifact.identity`, its card, and its archive on this machine."""

    release: str
    identity: str
    card: ModelCard
    archive: Path


class NotComparable(Exception):
    """The message is a sentence for the user."""


def examine(
    deployment: Deployment, candidate: Contender, old: Releases, wanted: str | None, force: bool
) -> dict | None:
    """Compare a model with the live one and show the result. Returns it for the record, None if that is impossible.

    `wanted` is the value of EVAL. Raises Failure if the candidate is significantly worse or cannot be evaluated, unless
    `force` is set.
    """
    try:
        live = _live(deployment, old)
        found, where = _compare(deployment, candidate, live, wanted)
    except (NotComparable, images.Missing) as reason:
        console.warn(f"{candidate.release} is not compared with {old.current}: {reason}")
        return None
    except (ArtifactError, GraphError, DatasetError) as error:
        if force:
            console.warn(f"{candidate.release} cannot be evaluated: {error}")
            return None
        raise Failure(f"{candidate.release} cannot be evaluated: {error}\nNothing was changed.") from error
    words.show(found, live.release, candidate.release)
    if candidate.card.data_sha256 != live.card.data_sha256:
        console.out.print("  The models were trained on different data. One that saw these images looks too good.")
    if found.is_worse and not force:
        raise Failure(
            f"{candidate.release} is significantly worse than {live.release} (p = {words.digits(found.p_value)}). "
            "Nothing was changed. To promote it nevertheless, add FORCE=1."
        )
    counted = ("images", "live", "candidate", "only_live", "only_candidate", "p_value")
    return {
        "with": live.release,
        "on": where,
        "classes": len(found.classes),
        **{name: getattr(found, name) for name in counted},
        "by_class": [asdict(each) for each in words.changed(found)],
    }


def _live(deployment: Deployment, old: Releases) -> Contender:
    """The live model. Its archive is here if this machine promoted it. Raises NotComparable."""
    release = old.models[old.current]
    archive = promotion.local_archive(deployment, release.sha256 or "")
    try:
        if not release.sha256 or not archive.is_file():
            _, archive = promotion.fetch(deployment, release.model_data_url)
        return Contender(old.current, artifact.identity(archive), artifact.validate(archive), archive)
    except (ArtifactError, Failure) as error:
        raise NotComparable(f"the live model cannot be read. {error}") from error


def _compare(
    deployment: Deployment, candidate: Contender, live: Contender, wanted: str | None
) -> tuple[PairedResult, str]:
    """The comparison, and the images in words. Raises NotComparable, or the exceptions of the candidate's graph."""
    classes = comparison.shared_classes(candidate.card.classes, live.card.classes)
    if len(classes) < FEWEST_CLASSES:
        raise NotComparable(
            f"of their {len(candidate.card.classes):,} and {len(live.card.classes):,} classes, "
            f"{'none is' if not classes else 'only one is'} the same."
        )
    with images.held_out(deployment, candidate.card, wanted, classes) as held_out:
        console.step(f"Comparing it with {live.release} on {held_out}")
        new = _answers(deployment, candidate, held_out, "candidate")
        try:
            old = _answers(deployment, live, held_out, "live model")
        except (ArtifactError, GraphError) as error:
            raise NotComparable(f"the live model cannot be evaluated. {error}") from error
    return comparison.compare(held_out.labels, old, new), str(held_out)


def _answers(deployment: Deployment, model: Contender, held_out: images.HeldOut, title: str) -> Answers:
    """The model's answers, from the last comparison on the same images if there was one."""
    folder = deployment.env.home / "evaluation" / "answers"
    found = answers.known(folder, model.identity, held_out.fingerprint)
    if found is None:
        found = answers.ask(model.archive, held_out.paths, title)
        answers.keep(folder, model.identity, held_out.fingerprint, found)
    return found
