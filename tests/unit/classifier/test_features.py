"""The cache of features: its file, and the memory of a pass over many images."""

import errno
import gc
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from classifier.dataset.folders import Split
from classifier.dataset.samples import Samples
from classifier.learning import features
from classifier.network import graph

from tests.unit.classifier.conftest import tiny_backbone


@pytest.fixture
def disk(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def mapped_from(folder: Path) -> int:
    """The number of regions of this process that are mapped from files in `folder`."""
    return sum(str(folder) in line for line in Path("/proc/self/maps").read_text().splitlines())


def test_the_cache_is_an_unnamed_file_that_is_deleted_with_the_array(disk):
    values = features.allocate(1000, 8)
    assert (values.shape, values.dtype) == ((1000, 8), np.float32)
    values[:] = np.arange(8000).reshape(1000, 8)
    assert values[999, 7] == 7999
    assert mapped_from(disk) == 1
    assert list(disk.iterdir()) == []
    del values
    gc.collect()
    assert mapped_from(disk) == 0


def test_an_empty_share_has_a_cache_too(disk):
    assert features.allocate(0, 8).shape == (0, 8)


def test_a_full_disk_is_reported_before_the_pass_with_the_needed_size(disk, monkeypatch):
    def full(file: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(features.DiskSpaceError, match=r"1,000,000 images need 5\.12 GB in .*No space left.*TMPDIR"):
        features.allocate(1_000_000, 1280)


def test_a_system_without_posix_fallocate_reserves_the_space_too(disk, monkeypatch):
    """macOS has no such call."""
    monkeypatch.delattr(os, "posix_fallocate")
    monkeypatch.setattr(features, "ZEROS", bytes(1000))
    values = features.allocate(3, 333)
    values[:] = 7.0
    assert (values.shape, values.sum()) == ((3, 333), 7 * 999)


def test_the_memory_per_image_is_only_that_of_the_cache(disk, monkeypatch):
    """Without the list of images: the memory of pixels, futures and features during the pass."""
    compiled = graph.compile_for("THROUGHPUT", graph.convert(tiny_backbone()), 1)
    image = np.zeros((32, 32, 3), np.uint8)
    monkeypatch.setattr(features, "read_image", lambda path, size, decoder: image.copy())

    def peak(images: int) -> int:
        split = Split("made", Samples([(Path("/x"), Samples.pack(f"{number}.jpg" for number in range(images)))]))
        tracemalloc.start()
        features.extract(compiled, split, workers=2)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)  # includes everything that is made once
    assert peak(3000) - peak(1000) < 10 * 2000, "more than 10 bytes per image"


def numbered(images: int, classes: int) -> features.Features:
    """Each image's feature is its number. The classes are in order."""
    return features.Features(np.arange(images, dtype=np.float32)[:, np.newaxis], np.arange(images) * classes // images)


def test_folds_hold_out_each_image_once_and_images_of_each_class():
    whole = numbered(20, 4)
    for rest, held_out in features.folds(whole, 5, 100):
        assert sorted([*rest.values[:, 0], *held_out.values[:, 0]]) == list(range(20))
        assert sorted(held_out.targets) == [0, 1, 2, 3]
    every = [int(value) for _, held_out in features.folds(whole, 5, 100) for value in held_out.values[:, 0]]
    assert sorted(every) == list(range(20))


def test_folds_of_many_images_are_those_of_an_even_part():
    (rest, held_out), *_ = features.folds(numbered(1000, 4), 5, 100)
    assert (len(rest.targets), len(held_out.targets)) == (80, 20)
    assert np.bincount(held_out.targets).tolist() == [5, 5, 5, 5]
