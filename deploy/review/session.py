"""A review: the images, what the page shows of them, and what it does with decisions. The server calls it from several
threads."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from classifier.dataset.folders import Dataset

from deploy import console
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.review import lookalikes, version
from deploy.review.captures import Captured, fetch, image_path
from deploy.review.decisions import Decisions
from deploy.review.order import sorted_for_review, uncertainty
from deploy.review.version import Base, Labelled


@dataclass
class Session:
    """`items` are in the order in which the page shows them. `left_out` says in words why others are not there."""

    deployment: Deployment
    base: Base
    name: str  # of the next version
    folder: Path
    decisions: Decisions
    items: list[Captured]
    left_out: list[str]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def state(self) -> dict:
        """What the page shows, as JSON."""
        with self._lock:
            return {
                "dataset": self.base.name,
                "next": self.name,
                "classes": [
                    {"folder": folder, "label": label}
                    for folder, label in zip(self.base.classes, words(self.base), strict=True)
                ],
                "items": [self._shown(item) for item in self.items if item.id not in self.decisions.done],
                "decided": [each for each in self.decisions.labels if any(item.id == each for item in self.items)],
                "left_out": self.left_out,
                "to_add": len(self._to_add()),
                "capturing": bool(self.deployment.outputs.get("predictor_capture")),
            }

    def image(self, identity: str) -> tuple[str, bytes] | None:
        """The type and the bytes of a shown image."""
        item = next((each for each in self.items if each.id == identity), None)
        path = image_path(self.folder, identity)
        return (item.content_type, path.read_bytes()) if item and path.is_file() else None

    def decide(self, identity: str, label: str | None) -> int:
        """Keep a label, None for "not one of the classes". Returns how many images could be added.

        Raises ValueError.
        """
        with self._lock:
            self._require(identity)
            if label is not None and label not in self.base.classes:
                raise ValueError(f"{label} is not a class of {self.base.name}.")
            self.decisions.label(identity, label)
            return len(self._to_add())

    def undo(self, identity: str) -> int:
        """Take a decision back. Returns how many images could be added. Raises ValueError."""
        with self._lock:
            self._require(identity)
            self.decisions.undo(identity)
            return len(self._to_add())

    def add(self) -> dict:
        """Write the next version of the dataset with the labelled images. Raises Failure."""
        with self._lock:
            images = self._to_add()
            if not images:
                raise Failure("No image has a label yet.")
            address = version.make(self.deployment, self.base, self.name, list(images.values()))
            for identity in images:
                self.decisions.added(identity, self.name)
            done = {
                "name": self.name,
                "added": len(images),
                "uri": address,
                "train": console.make(f"train DATA={self.name}"),
            }
            self.base = version.base_of(self.deployment, self.name)
            self.name = version.chosen_name(self.deployment, self.base, None)
            return done

    def _to_add(self) -> dict[str, Labelled]:
        found = {}
        types = {item.id: item.content_type for item in self.items}
        for identity, label in self.decisions.of_classes(set(self.base.classes)).items():
            path = image_path(self.folder, identity)
            if path.is_file() and identity in types:
                name = f"captured-{identity[:16]}{version.SUFFIXES[types[identity]]}"
                found[identity] = Labelled(label, name, path)
        return found

    def _require(self, identity: str) -> None:
        if identity in self.decisions.done or not any(item.id == identity for item in self.items):
            raise ValueError("The image is not part of this review.")

    def _shown(self, item: Captured) -> dict:
        decided = item.id in self.decisions.labels
        return {
            "id": item.id,
            "at": item.at,
            "predictions": [{"label": label, "probability": probability} for label, probability in item.predictions],
            "known": item.known,
            "distance": item.distance,
            "uncertainty": uncertainty(item),
            "decided": decided,
            "label": self.decisions.labels.get(item.id),
        }


def words(base: Base) -> tuple[str, ...]:
    """The classes in words, as in the model's answers."""
    return Dataset(base.classes, {}, ()).labels


def begin(deployment: Deployment, base: Base, name: str, most: int) -> Session:
    """Fetch the captured images and what was decided before. Raises Failure."""
    folder = deployment.env.home / "review"
    decisions = Decisions(folder / "decisions.jsonl")
    console.step("Reading the captured images")
    found = fetch(deployment, folder, most, keep={identity for identity, label in decisions.labels.items() if label})
    fresh = [item for item in found.items if item.id not in decisions.done]
    chosen = lookalikes.sort_out(deployment, base.name, fresh, folder)
    split = "of the validation or test split"
    counted = [
        (chosen.held_out, f"looks like a photograph {split}", f"look like photographs {split}"),
        (chosen.copies, "is a copy of another one or of one in train", "are copies of others or of ones in train"),
        (chosen.undecodable, "cannot be decoded", "cannot be decoded"),
        (found.unreadable, "has a record that cannot be read", "have records that cannot be read"),
        (len(found.items) - len(fresh), "is in a dataset already", "are in a dataset already"),
    ]
    left_out = [
        f"1 captured image {one}" if count == 1 else f"{count:,} captured images {many}"
        for count, one, many in counted
        if count
    ]
    return Session(deployment, base, name, folder, decisions, sorted_for_review(chosen.items), left_out)
