"""Augmentation of training images: mirrored (`flip`), and also cropped (`crop`).

On a frozen backbone, a head learns from features that are computed once, so it gets the same few views of every image.
A whole network gets another view of each image in each epoch.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

from classifier.images.decoding import decode, decode_whole, middle

CLOSE = 0.75  # the part of width and height that a close view keeps

Decoder = Callable[[bytes, int], np.ndarray]


def views(name: str) -> tuple[Decoder, ...]:
    """The views of an image for a head, for one of AUGMENTATIONS. Each has the signature of `decode`."""
    return {
        "none": (decode,),
        "flip": (decode, _mirrored(decode)),
        "crop": (decode, _mirrored(decode), _decode_close, _mirrored(_decode_close)),
    }[name]


def at_random(name: str, size: int) -> Callable[[Image.Image], Image.Image]:
    """The random view of a whole image, [size, size], for one of AUGMENTATIONS. It uses torch's generator."""
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
