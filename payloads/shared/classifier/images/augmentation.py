"""Training images seen in more ways than one: mirrored (`flip`), and in part as well (`crop`).

Over a frozen backbone a head learns from features that are computed once, so it is given the same few views of every
image; a whole network sees each image otherwise in each epoch.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

from classifier.images.decoding import decode, decode_whole, middle

CLOSE = 0.75  # of width and height: what a close view keeps of an image

Decoder = Callable[[bytes, int], np.ndarray]


def views(name: str) -> tuple[Decoder, ...]:
    """The views of an image that a head learns from, for one of AUGMENTATIONS; each decodes as `decode` does."""
    return {
        "none": (decode,),
        "flip": (decode, _mirrored(decode)),
        "crop": (decode, _mirrored(decode), _decode_close, _mirrored(_decode_close)),
    }[name]


def at_random(name: str, size: int) -> Callable[[Image.Image], Image.Image]:
    """How a network sees a whole image, [size, size], for one of AUGMENTATIONS; by chance, from torch's generator."""
    from torchvision.transforms import v2  # takes a second to import

    flip = v2.RandomHorizontalFlip()
    return {
        "none": lambda image: middle(image, size),
        "flip": lambda image: flip(middle(image, size)),
        "crop": v2.Compose([v2.RandomResizedCrop(size, scale=(0.4, 1.0)), flip]),
    }[name]


def _mirrored(decoder: Decoder) -> Decoder:
    return lambda data, size: np.ascontiguousarray(decoder(data, size)[:, ::-1])


def _decode_close(data: bytes, size: int) -> np.ndarray:
    image = decode_whole(data, size)
    border = tuple(round(side * (1 - CLOSE) / 2) for side in image.size)
    return np.asarray(middle(ImageOps.crop(image, (*border, *border)), size))
