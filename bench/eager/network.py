"""An artifact's network in eager PyTorch, with the preprocessing of torchvision's documentation."""

import io
import os
from pathlib import Path

import torch
from classifier.artifact import read_card
from classifier.network.model import restore
from PIL import Image
from torchvision import transforms

FOLDER = Path(os.environ["BENCH_MODEL"])  # an unpacked artifact


class EagerNetwork:
    """Answers with the five most probable classes, one image at a time."""

    def __init__(self) -> None:
        self.card = read_card(FOLDER)
        if self.card.architecture == "resnet50":
            from bench import resnet50

            resnet50.install()
        backbone, head = restore(self.card, FOLDER)
        self.network = torch.nn.Sequential(backbone.network, head).eval()
        mean, std = ([value / 255 for value in values] for values in (self.card.mean, self.card.std))
        size = self.card.input_size
        self.preprocess = transforms.Compose(
            [
                transforms.Resize(size),
                transforms.CenterCrop(size),
                transforms.ToTensor(),
                transforms.Normalize(mean, std),
            ]
        )

    def answer(self, body: bytes) -> dict:
        pixels = self.preprocess(Image.open(io.BytesIO(body)).convert("RGB"))
        with torch.inference_mode():
            probabilities, indices = self.network(pixels.unsqueeze(0)).softmax(dim=1)[0].topk(5)
        pairs = zip(indices.tolist(), probabilities.tolist(), strict=True)
        return {"predictions": [{"label": self.card.labels[i], "probability": p} for i, p in pairs]}
