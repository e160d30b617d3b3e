"""The endpoint's four functions: SageMaker's script mode calls them, and so does Ray Serve through serve_app.py.

    model = model_fn("/opt/ml/model")
    request = input_fn(body, "image/jpeg")
    answer = output_fn(predict_fn(request, model), "application/json")

Requests, answers and errors are those of `classifier.contract`. The artifact carries the graph: serving needs
Pillow, NumPy and OpenVINO, on a GPU PyTorch, and no network. Every image goes through one Line, so that the hosts may
call from as many threads as they like.
"""

import contextlib
import ctypes
import io
import json
import sys
from collections.abc import Generator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import own_packages

own_packages.use()  # before anything imports OpenVINO

# ruff: noqa: E402
import numpy as np
from classifier import contract
from classifier.artifact import ModelCard, read_card
from classifier.contract import ApiError
from classifier.images.decoding import decode
from line import Line
from networks import Network, network_for
from PIL import Image

_M_MMAP_THRESHOLD = -3  # of malloc.h


class Model:
    """A classifier ready to answer, from several threads at once."""

    def __init__(self, card: ModelCard, network: Network):
        self.card = card
        self._line = Line(
            lambda image: decode(image, card.input_size),
            network,
            threads=network.threads,
            batch=network.batch,
            wait=network.wait,
        )

    def submit(self, request: "Request") -> Future:
        """The future of `request`'s probabilities, float32 [classes], or of the ApiError of an image that cannot be
        decoded. Raises ApiError 503 where there are too many requests, 400 where it asks for too many classes."""
        contract.top_k_for(request.top_k, len(self.card.classes))
        return self._line.submit(request.image)

    def answer(self, request: "Request", probabilities: np.ndarray) -> dict:
        """The answer to one request, the likeliest class first."""
        card = self.card
        top_k = contract.top_k_for(request.top_k, len(card.classes))
        best = np.argsort(-probabilities, kind="stable")[:top_k]
        return {
            "predictions": [{"label": card.labels[i], "probability": float(probabilities[i])} for i in best],
            "model": {
                "name": card.name,
                "architecture": card.architecture,
                "created": card.created,
                "classes": len(card.classes),
            },
        }


@dataclass(frozen=True)
class Request:
    """One image, still encoded, and how many predictions were asked for."""

    image: bytes
    top_k: int | None


def model_fn(model_dir: str) -> Model:
    """Load the artifact unpacked in `model_dir`. Raises ArtifactError, GraphError or ModelError, which name what is
    wrong."""
    _give_memory_back()
    folder = Path(model_dir)
    card = read_card(folder)
    return Model(card, network_for(folder, card))


def check(model: Model) -> None:
    """Have the model answer a grey image, so that one that loads but cannot answer is not called healthy. Raises what
    the model raises."""
    image = io.BytesIO()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(image, "PNG")
    predict_fn(Request(image.getvalue(), top_k=1), model)


def _give_memory_back() -> None:
    """Have glibc return to the system what a large image took. By itself it learns from the first one to keep such
    blocks, and the process stays as large as the largest images made it: 800 MB instead of 250."""
    with contextlib.suppress(AttributeError):  # not glibc
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1024 * 1024)


def input_fn(body: bytes | str, content_type: str | None, context: object = None) -> Request:
    """The request in a body. `context` is that of Amazon's toolkits, whose request properties carry the headers.

    Raises ApiError 4xx for what is no acceptable image or not the contract's JSON.
    """
    with _errors_for_the_host():
        return read_request(body, content_type, _custom_attributes(context))


def predict_fn(request: Request, model: Model) -> dict:
    """The answer to one request, waited for. Raises ApiError, see Model.submit."""
    with _errors_for_the_host():
        return model.answer(request, model.submit(request).result())


def output_fn(answer: dict, accept: str | None) -> tuple[str, str]:
    """(body, content type): JSON, whatever was asked for, since there is no other form."""
    return json.dumps(answer), contract.JSON_TYPE


def read_request(body: bytes | str, content_type: str | None, custom_attributes: str | None) -> Request:
    """The request in a body and its headers. Raises ApiError."""
    if contract.media_type(content_type) == contract.JSON_TYPE:
        asked = contract.read_json_request(body, fields=("image",))
        image, top_k = asked.image or b"", asked.top_k
        contract.check_image(image)
    else:
        image, top_k = body.encode() if isinstance(body, str) else bytes(body), None
        contract.check_image(image, content_type)
    if top_k is None:
        top_k = contract.from_custom_attributes(custom_attributes)
    return Request(image, top_k)


def _custom_attributes(context: Any) -> str | None:
    if context is None:
        return None
    headers = context.request_processor[0].get_request_properties()
    wanted = contract.CUSTOM_ATTRIBUTES_HEADER.lower()
    return next((value for name, value in headers.items() if name.lower() == wanted), None)


@contextlib.contextmanager
def _errors_for_the_host() -> Generator[None]:
    """Let ApiErrors out as they are, but under Amazon's inference toolkit as its own errors, the only ones that keep
    their status there. It is not imported: where it is the host, it has been."""
    try:
        yield
    except ApiError as error:
        toolkit = sys.modules.get("sagemaker_inference.errors")
        if toolkit is None:
            raise
        message = json.dumps(error.to_dict())
        raise toolkit.GenericInferenceToolkitError(error.status, message, error.code) from error
