"""The original project's handler, rewritten for the bench: eager PyTorch, PIL, one image per call, raw logits.

It does not download weights that are overwritten at once, as the original does, and does not accept URLs.
"""

import io
import json

import torch
from PIL import Image
from torchvision import transforms

from bench.eager.network import EagerNetwork


def model_fn(model_dir):
    return EagerNetwork().network


def input_fn(body, content_type):
    return Image.open(io.BytesIO(body)).convert("RGB")


def predict_fn(image, model):
    preprocess = transforms.Compose([transforms.Resize((224, 224)), transforms.ToTensor()])
    with torch.no_grad():
        return model(preprocess(image).unsqueeze(0))


def output_fn(prediction, accept):
    return json.dumps(prediction.tolist())
