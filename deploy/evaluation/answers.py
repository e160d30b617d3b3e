"""The answers of a model to images: its own graph runs on this machine. The next promotion finds the answers again.

An archive is read safely: regular files only, each with the hash in model.json. A graph is data for OpenVINO; nothing
of the archive's code runs, and nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from classifier import artifact
from classifier.artifact import ArtifactError
from classifier.dataset.folders import read_ahead, read_image
from classifier.network import graph
from classifier.network.graph import GraphError

from deploy import console
from deploy.evaluation.comparison import Answers

KEPT = 20  # files of answers, the last used ones


def known(folder: Path, model: str, fingerprint: str) -> Answers | None:
    """The kept answers of the model with this identity to the images with this fingerprint."""
    file = _file(folder, model, fingerprint)
    try:
        with np.load(file, allow_pickle=False) as kept:
            answers = Answers(tuple(json.loads(str(kept["classes"]))), kept["probabilities"])
    except (OSError, ValueError, KeyError):  # there is none, or it was not written completely
        return None
    file.touch()
    return answers


def keep(folder: Path, model: str, fingerprint: str, answers: Answers) -> None:
    """Keep the answers, and delete those that were not used for the longest time."""
    folder.mkdir(parents=True, exist_ok=True)
    file = _file(folder, model, fingerprint)
    unfinished = file.with_suffix(".partial")
    with unfinished.open("wb") as stream:
        np.savez(stream, classes=json.dumps(answers.classes), probabilities=answers.probabilities)
    unfinished.rename(file)
    for old in sorted(folder.glob("*.npz"), key=lambda each: each.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)


def _file(folder: Path, model: str, fingerprint: str) -> Path:
    return folder / f"{hashlib.sha256(f'{model} {fingerprint}'.encode()).hexdigest()[:32]}.npz"


def ask(archive: Path, paths: Sequence[Path], title: str) -> Answers:
    """Run the graph of a model archive on images, with a progress bar. Every processor decodes and computes.

    Raises ArtifactError or GraphError if the graph cannot run. Raises DatasetError, which names the image, if one
    cannot be decoded.
    """
    with tempfile.TemporaryDirectory(prefix="pawprint-model-") as name:
        with archive.open("rb") as stream:
            card = artifact.extract_graph(stream, str(archive), Path(name))
        network = _Network(Path(name), len(card.classes), str(archive))
        with console.progress() as bar:
            rows = bar.track(read_ahead(network.answer, paths), total=len(paths), description=title)
            return Answers(card.classes, np.array(list(rows), np.float32).reshape(len(paths), len(card.classes)))


class _Network:
    """A loaded graph. Several threads can use it at once."""

    def __init__(self, folder: Path, classes: int, name: str):
        network: Any = graph.load(folder)
        try:
            self.size = network.input(0).get_partial_shape()[1].get_length()
            network.reshape([1, self.size, self.size, 3])  # a fixed shape runs faster
            self._compiled = graph.compile_for("THROUGHPUT", network)
            self._thread = threading.local()  # an OpenVINO request has one caller at a time
            # OpenVINO must initialise itself in one thread, see GraphNetwork in payloads/inference/networks.py.
            found = self._run(np.zeros((self.size, self.size, 3), np.uint8))
        except RuntimeError as error:
            raise GraphError(f"The graph in {name} does not run: {' '.join(str(error).split())[:300]}") from None
        if found.shape != (classes,):
            raise ArtifactError(f"The graph in {name} has {found.size} answers, and model.json {classes} classes.")

    def answer(self, path: Path) -> np.ndarray:
        """The probabilities for the image in a file, float32 [classes]."""
        return self._run(read_image(path, self.size))

    def _run(self, image: np.ndarray) -> np.ndarray:
        if not hasattr(self._thread, "request"):
            self._thread.request = self._compiled.create_infer_request()
        return self._thread.request.infer({0: image[np.newaxis]})[0][0]
