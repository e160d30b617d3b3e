"""What the user decided about captured images, in a file that only grows: a line for each decision, on the disk before
the page shows the next image. So a page, a program or a machine that stops loses nothing."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from deploy.console import Failure

NONE = None  # the label of an image that is not one of the classes


@dataclass
class Decisions:
    """The decisions of this machine. `labels` has the class folder of each image that has none in a dataset yet; None
    means that it is not one of the classes. `done` are the images that a dataset has.

    Opening it raises Failure if another program has it open.
    """

    path: Path
    labels: dict[str, str | None] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = self.path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise Failure("Another `make review` runs already. Use its page, or stop it with Ctrl-C.") from None
        self._file.seek(0)
        content = self._file.read()
        if content and not content.endswith(b"\n"):  # the machine stopped in the middle of a line
            self._file.truncate(content.rfind(b"\n") + 1)
        for line in content[: content.rfind(b"\n") + 1].splitlines():
            self._apply(json.loads(line))

    def label(self, identity: str, label: str | None) -> None:
        """Decide that an image shows this class; NONE: none of the classes."""
        self._write({"image": identity, "label": label})

    def undo(self, identity: str) -> None:
        """Take the decision on an image back."""
        self._write({"image": identity, "undo": True})

    def added(self, identity: str, dataset: str) -> None:
        """A dataset has the image now."""
        self._write({"image": identity, "added": dataset})

    def of_classes(self, classes: set[str]) -> dict[str, str]:
        """The images with a label of these classes, which no dataset has yet."""
        return {identity: label for identity, label in self.labels.items() if label in classes}

    def close(self) -> None:
        self._file.close()

    def _write(self, line: dict) -> None:
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._apply(line)

    def _apply(self, line: dict) -> None:
        identity = line["image"]
        if "label" in line:
            self.labels[identity] = line["label"]
        elif "added" in line:
            self.done.add(identity)
            self.labels.pop(identity, None)
        else:
            self.labels.pop(identity, None)
