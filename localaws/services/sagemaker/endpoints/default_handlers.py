"""The handlers that AWS's images bring for those that a model leaves out. Loaded by own_container.py, by its path.

`ToolkitDefaults` has those of the inference toolkit (`sagemaker_inference` 1.10, default_inference_handler, decoder,
encoder): JSON, CSV and NPY to an array and back. `PyTorchDefaults` has those of the PyTorch image
(aws/sagemaker-pytorch-inference-toolkit, default_pytorch_inference_handler): the same as tensors, a model that is
called, and `model.pt` as TorchScript. Both images read arrays of Python objects from NPY, which runs the sender's code;
these do not. NPZ, a sparse matrix, is not read.
"""

import io
import json
from pathlib import Path
from typing import Any

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
NO_IMPLEMENTATION = "Please provide a {} implementation."


class UnsupportedFormatError(Exception):
    """No default handler reads or writes this content type."""

    def __init__(self, content_type: str | None):
        super().__init__(f"Content type {content_type} is not supported by this framework.")


class ToolkitDefaults:
    """Arrays of NumPy, which is imported when it is needed: a model without it may do without these handlers."""

    def model_fn(self, model_dir: str) -> Any:
        raise NotImplementedError(NO_IMPLEMENTATION.format("model_fn"))

    def input_fn(self, body: str | bytes, content_type: str | None) -> Any:
        """The body as an array. Raises UnsupportedFormatError."""
        import numpy

        if content_type == JSON:
            return numpy.array(json.loads(body))
        if content_type == CSV:
            text = body if isinstance(body, str) else body.decode()
            return numpy.genfromtxt(io.StringIO(text), dtype=None, delimiter=",")
        if content_type == NPY:
            return numpy.load(io.BytesIO(body if isinstance(body, bytes) else body.encode()), allow_pickle=False)
        raise UnsupportedFormatError(content_type)

    def predict_fn(self, data: Any, model: Any) -> Any:
        raise NotImplementedError(NO_IMPLEMENTATION.format("predict_fn"))

    def output_fn(self, prediction: Any, accept: str) -> tuple[str | bytes, str]:
        """The prediction in the first content type of `accept` that can be written. Raises UnsupportedFormatError."""
        for content_type in accept.replace(" ", "").split(","):
            if content_type == JSON:
                return json.dumps(prediction, default=_as_list), JSON
            if content_type == CSV:
                return _csv(prediction), CSV
            if content_type == NPY:
                return _npy(prediction), NPY
        raise UnsupportedFormatError(accept)


class PyTorchDefaults(ToolkitDefaults):
    """Tensors of PyTorch."""

    def model_fn(self, model_dir: str) -> Any:
        import torch

        path = Path(model_dir, "model.pt")
        if not path.exists():
            raise FileNotFoundError("Failed to load model with default model_fn: missing file model.pt.")
        return torch.jit.load(path, map_location=_device()).eval()

    def input_fn(self, body: str | bytes, content_type: str | None) -> Any:
        import torch

        array = super().input_fn(body, content_type)
        tensor = torch.FloatTensor(array) if content_type in (JSON, CSV) else torch.from_numpy(array)
        return tensor.to(_device())

    def predict_fn(self, data: Any, model: Any) -> Any:
        import torch

        with torch.no_grad():
            model.to(_device()).eval()
            return model(data.to(_device()))

    def output_fn(self, prediction: Any, accept: str) -> tuple[str | bytes, str]:
        import torch

        if isinstance(prediction, torch.Tensor):
            prediction = prediction.detach().cpu().numpy().tolist()
        return super().output_fn(prediction, accept)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _as_list(value: Any) -> Any:
    """Arrays in JSON are lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _csv(prediction: Any) -> str:
    import numpy

    text = io.StringIO()
    numpy.savetxt(text, prediction, delimiter=",", fmt="%s")
    return text.getvalue()


def _npy(prediction: Any) -> bytes:
    import numpy

    content = io.BytesIO()
    numpy.save(content, prediction, allow_pickle=False)
    return content.getvalue()
