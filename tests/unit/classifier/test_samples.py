"""The compact list of a split's images."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from classifier.dataset.samples import Samples

NAMES = (["a.jpg", "ö \udcff.png"], ["b.jpg"], ["c.jpg", "d.jpg", "e.webp"])
WHOLE = [(Path(f"/data/{'xyz'[target]}/{name}"), target) for target, names in enumerate(NAMES) for name in names]


@pytest.fixture(scope="module")
def samples() -> Samples:
    return Samples((Path("/data") / "xyz"[target], Samples.pack(names)) for target, names in enumerate(NAMES))


def test_samples_are_a_list_of_paths_and_classes_for_all_names(samples):
    assert list(samples) == WHOLE
    assert (len(samples), samples[-1]) == (6, WHOLE[-1])
    assert samples.targets.tolist() == [target for _, target in WHOLE]
    assert samples.targets.dtype == np.int64
    with pytest.raises(IndexError):
        samples[6]


@pytest.mark.parametrize(
    "part", [slice(None, None, 2), slice(1, None, 2), slice(2, 4), slice(9, None), slice(-2, None)]
)
def test_a_slice_is_that_of_the_list_and_can_be_sliced_again(samples, part):
    assert list(samples[part]) == WHOLE[part]
    assert samples[part].targets.tolist() == [target for _, target in WHOLE[part]]
    assert list(samples[part][1::2]) == WHOLE[part][1::2]


def test_an_image_takes_less_than_50_bytes():
    def bytes_for(images: int) -> int:
        tracemalloc.start()
        kept = Samples([(Path("/data/x"), Samples.pack(f"photograph-{number:07}.jpg" for number in range(images)))])
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(kept) == images
        return size

    assert bytes_for(20_000) - bytes_for(10_000) < 50 * 10_000
