"""The four functions of the endpoint. SageMaker's script mode calls them, and Ray Serve through serve_app.py.

    model = model_fn("/opt/ml/model")
    request = input_fn(body, "image/jpeg")
    answer = output_fn(predict_fn(request, model), "application/json")

Requests, answers and errors are those of `classifier.contract`. The artifact contains the graph. Serving needs Pillow,
NumPy, OpenVINO and, on a GPU, PyTorch. It needs no network. Every image goes through one Line, so a host may call from
any number of threads.
"""

import contextlib
import ctypes
import io
import json
import os
import sys
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import own_packages

own_packages.use()  # before anything imports OpenVINO

# ruff: noqa: E402
import numpy as np
from classifier import artifact, contract
from classifier.artifact import ModelCard, read_card
from classifier.contract import ApiError
from classifier.images import budget
from classifier.images.decoding import decode
from line import Line
from networks import Network, NetworkOutput, network_for
from PIL import Image

DECODING_SECONDS = 2.0  # of the processor's time; every image within the budget of its header takes less
_M_MMAP_THRESHOLD = -3  # of malloc.h


class Model:
    """A loaded classifier. Several threads can use it at once."""

    def __init__(self, card: ModelCard, network: Network):
        self.card = card

        def decoded(image: bytes, work: int, left: Callable[[], bool]) -> np.ndarray:
            return decode(image, card.input_size, left, DECODING_SECONDS, work)

        self._line = Line(
            decoded,
            network,
            weigh=budget.work,
            threads=network.threads,
            batch=network.batch,
            wait=network.wait,
        )
        # Heat maps are rare. Apart, they cost the other requests nothing.
        self._explained = Line(decoded, network.explained, weigh=budget.work, threads=1)

    def submit(self, request: "Request") -> Future:
        """The future of the request's NetworkOutput. Its exception is an ApiError if the image
        cannot be decoded. If it is cancelled, decoding stops. Raises ApiError 422 if the header shows too much work,
        503 if there are too many requests, and 400 if `top_k` is larger than the number of classes."""
        contract.top_k_for(request.top_k, len(self.card.classes))
        return (self._explained if request.explain else self._line).submit(request.image)

    def answer(self, request: "Request", output: NetworkOutput) -> dict:
        """The answer to one request, the most probable class first."""
        card, probabilities = self.card, output.probabilities
        top_k = contract.top_k_for(request.top_k, len(card.classes))
        best = np.argsort(-probabilities, kind="stable")[:top_k]
        answer = {
            "predictions": [{"label": card.labels[i], "probability": float(probabilities[i])} for i in best],
            "model": {
                "name": card.name,
                "architecture": card.architecture,
                "created": card.created,
                "classes": len(card.classes),
            },
        }
        if output.distance is not None:
            distance = round(output.distance, 4)
            answer |= {"known": distance <= 1, "distance": distance}
        if request.explain and output.heat is not None:
            answer["explanation"] = {"label": card.labels[best[0]], "heat": _shares(output.heat)}
        return answer


def _shares(heat: np.ndarray) -> list[list[float]]:
    """The map with 1 at its largest value and 0 where the picture speaks against the class, or for nothing."""
    positive = np.maximum(heat, 0)
    return [[round(float(each), 3) for each in row] for row in positive / (positive.max() or 1)]


@dataclass(frozen=True)
class Request:
    """One encoded image, the requested number of predictions, and whether a heat map is wanted."""

    image: bytes
    top_k: int | None
    explain: bool = False


def model_fn(model_dir: str) -> Model:
    """Load the artifact unpacked in `model_dir` to serve it. Raises ArtifactError, GraphError or ModelError with the
    reason."""
    return load(model_dir, trial=True)


def load(model_dir: str, *, trial: bool) -> Model:
    """Load the artifact as `model_fn` does. With `trial`, measurements choose how it uses the processors.

    A promoted model must be the one that `make promote` checked. The bootstrap model and trial models have no such
    promise. Raises the same exceptions."""
    _give_memory_back()
    folder = Path(model_dir)
    if expected := os.environ.get(artifact.EXPECTED):
        artifact.require_identity(folder, expected)
    card = read_card(folder)
    return Model(card, network_for(folder, card, trial=trial))


def check(model: Model) -> None:
    """Let the model classify a grey image, so that a model that loads but cannot answer is not healthy. Raises the
    model's exceptions."""
    image = io.BytesIO()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(image, "PNG")
    predict_fn(Request(image.getvalue(), top_k=1), model)


def _give_memory_back() -> None:
    """Make glibc return the memory of a large image to the system. By default it keeps such blocks after the first one,
    and the process stays at the size of its largest images: 800 MB instead of 250."""
    with contextlib.suppress(AttributeError):  # not glibc
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1024 * 1024)


def input_fn(body: bytes | str, content_type: str | None, context: object = None) -> Request:
    """The request in a body. `context` is that of Amazon's toolkits; its request properties have the headers.

    Raises ApiError 4xx if the body is not an accepted image or not the contract's JSON.
    """
    with _errors_for_the_host():
        return read_request(body, content_type, _custom_attributes(context))


def predict_fn(request: Request, model: Model) -> dict:
    """Wait for the answer to one request. Raises ApiError, see Model.submit."""
    with _errors_for_the_host():
        return model.answer(request, model.submit(request).result())


def output_fn(answer: dict, accept: str | None) -> tuple[str, str]:
    """(body, content type). The answer is always JSON, whatever the request accepts."""
    return json.dumps(answer), contract.JSON_TYPE


def read_request(body: bytes | str, content_type: str | None, custom_attributes: str | None) -> Request:
    """The request in a body and its headers. Raises ApiError."""
    if contract.media_type(content_type) == contract.JSON_TYPE:
        asked = contract.read_json_request(body, fields=("image",))
        image, top_k, explain = asked.image or b"", asked.top_k, asked.explain
        contract.check_image(image, most=contract.MAX_STORED_BYTES)
    else:
        image, top_k, explain = body.encode() if isinstance(body, str) else bytes(body), None, False
        contract.check_image(image, content_type, contract.MAX_STORED_BYTES)
    if top_k is None:
        top_k = contract.from_custom_attributes(custom_attributes)
    return Request(image, top_k, explain or contract.explain_in_custom_attributes(custom_attributes))


def _custom_attributes(context: Any) -> str | None:
    if context is None:
        return None
    headers = context.request_processor[0].get_request_properties()
    wanted = contract.CUSTOM_ATTRIBUTES_HEADER.lower()
    return next((value for name, value in headers.items() if name.lower() == wanted), None)


@contextlib.contextmanager
def _errors_for_the_host() -> Generator[None]:
    """Raise ApiErrors unchanged, except under Amazon's inference toolkit, which keeps the status of its own errors
    only. The toolkit is not imported here: if it is the host, it is already imported."""
    try:
        yield
    except ApiError as error:
        toolkit = sys.modules.get("sagemaker_inference.errors")
        if toolkit is None:
            raise
        message = json.dumps(error.to_dict())
        raise toolkit.GenericInferenceToolkitError(error.status, message, error.code) from error
