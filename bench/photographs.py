"""Photographs of 12 megapixels, as telephones take them: decoding, and answers over HTTP.

    make bench ONLY=photographs             all of it, some minutes on two cores
    make bench ONLY=photographs/decoding    a part: decoding or answers

The original way is that of its handler: Pillow decodes every pixel, and resizes. The limit is libjpeg-turbo's scaled
decoding alone, at the scale that our decoder uses, without what makes its pixels a square of 224.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import serving
from bench.harness import BenchmarkCandidate, Comparison, compare, photographs
from bench.options import Options

HERE = "bench.photographs_candidates"
MADE = "JPEGs of 4032 x 3024 pixels (quality 90, 3.3 MB in the mean), made of enlarged dog photographs with noise."


def run(options: Options) -> Iterator[Comparison]:
    from bench.photographs_candidates import write_photographs

    photos = photographs()
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(Path(photos), Path(folder))
        if options.wants("decoding"):
            yield decoding(folder, options)
        if options.wants("answers"):
            yield answers(folder, str(serving.trained("efficientnet-lite0", photos)), options)


def decoding(folder: str, options: Options) -> Comparison:
    """Milliseconds of one thread for one photograph."""
    ways = {"Pillow, every pixel": "whole", "libjpeg-turbo's scaled decoding alone": "scaled", "ours": "ours"}
    return compare(
        "Photograph of 12 megapixels, decoded",
        [BenchmarkCandidate(name, f"{HERE}:decoding", {"folder": folder, "way": way}) for name, way in ways.items()],
        unit="ms",
        repeats=options.rounds(5),
        higher_is_better=False,
        note=f"{MADE} The scaled decoding alone is the limit for ours.",
    )


def answers(folder: str, model: str, options: Options) -> Comparison:
    """Requests per second over HTTP."""
    given = {"model": model, "photos": folder, "seconds": 2.0 if options.quick else 8.0}
    return compare(
        "Photograph of 12 megapixels, answered over HTTP",
        [serving.served("original handler", "original", given), serving.served("local host", "local", given)],
        unit="requests/s",
        repeats=options.rounds(5),
        note=f"{MADE} 8 connections; servers as in the rows of the endpoint over HTTP.",
    )
