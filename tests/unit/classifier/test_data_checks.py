"""Duplicate photographs and classes with too few images: each is found, counted and named."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from classifier.contract import ApiError
from classifier.dataset import checks
from classifier.dataset.folders import inspect_dataset
from PIL import Image

from tests.unit.classifier.pictures import COLOURS, encoded, noisy_square, write_image_folder

RED, GREEN, BLUE = COLOURS


@pytest.fixture
def root(tmp_path) -> Path:
    return write_image_folder(tmp_path / "squares", {"train": 6, "valid": 4, "test": 4})


def found(root: Path) -> list[checks.Finding]:
    dataset = inspect_dataset(root)
    hashes = dataset.hashes()
    paths = [path for split in dataset.splits.values() for path, _ in split.samples]
    lookalikes = checks.find_lookalikes(dataset, hashes, [checks.thumbnail(path.read_bytes()) for path in paths])
    return [*checks.find(dataset, hashes), *lookalikes]


def test_a_good_folder_has_no_findings(root):
    assert found(root) == []


def test_equal_bytes_in_two_splits_stop_and_training_images_are_counted(root):
    shutil.copy(root / "train" / RED / "000.jpg", root / "test" / RED / "again.jpg")
    shutil.copy(root / "train" / RED / "001.jpg", root / "test" / GREEN / "other.jpg")
    shutil.copy(root / "valid" / BLUE / "002.jpg", root / "test" / BLUE / "third.jpg")

    (finding,) = found(root)

    assert finding.stops
    assert finding.title == (
        "3 photographs are in more than one split, byte for byte; 2 of the 15 test images are in train too"
    )
    assert finding.examples == (
        f"train/{RED}/000.jpg = test/{RED}/again.jpg",
        f"train/{RED}/001.jpg = test/{GREEN}/other.jpg",
        f"valid/{BLUE}/002.jpg = test/{BLUE}/third.jpg",
    )


def test_some_of_many_copies_are_named(root):
    for image in (root / "train" / RED).iterdir():
        shutil.copy(image, root / "valid" / RED / f"copy-{image.name}")

    (finding,) = found(root)

    assert (len(finding.examples), finding.examples[-1]) == (6, "and 1 more")
    assert "6 of the 18 valid images are in train too" in finding.title


def test_names_with_line_ends_or_wrong_bytes_stay_on_one_line(root):
    shutil.copy(root / "train" / RED / "000.jpg", os.fsencode(root / "test" / RED) + b"/a\nvalid_accuracy=1 \xff.jpg")

    (finding,) = found(root)

    assert finding.examples == (f"train/{RED}/000.jpg = test/{RED}/a?valid_accuracy=1 ?.jpg",)


def test_copies_in_two_classes_and_in_one_class_are_distinguished(root):
    shutil.copy(root / "train" / RED / "000.jpg", root / "train" / BLUE / "mislabelled.jpg")
    shutil.copy(root / "valid" / GREEN / "000.jpg", root / "valid" / GREEN / "twice.jpg")

    two_classes, twice = found(root)

    assert two_classes.title == "1 photograph is in more than one class, byte for byte"
    assert two_classes.examples == (f"train/{RED}/000.jpg = train/{BLUE}/mislabelled.jpg",)
    assert twice.title == "1 photograph is more than once in the same class and split"
    assert not (two_classes.stops or twice.stops)


@pytest.mark.parametrize("change", ["encoded again", "scaled", "another format"])
def test_a_reencoded_photograph_is_found_by_its_look(root, change):
    blobs = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    Image.fromarray(blobs).resize((240, 180), Image.Resampling.BICUBIC).save(root / "train" / BLUE / "003.jpg")
    image = Image.open(root / "train" / BLUE / "003.jpg")
    if change == "scaled":
        image = image.resize((160, 120), Image.Resampling.BICUBIC)
    copy = root / "test" / BLUE / ("copy.png" if change == "another format" else "copy.jpg")
    image.save(copy, quality=60)

    (finding,) = found(root)

    assert finding.title.startswith("1 photograph is in more than one split, with the same look")
    assert finding.examples == (f"train/{BLUE}/003.jpg = test/{BLUE}/{copy.name}",)
    assert not finding.stops


def test_copies_among_many_images_are_found_without_comparing_all_pairs():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (3000, 8, 8, 3), dtype=np.uint8)
    for one, other in ((5, 2000), (2000, 40), (700, 701)):
        images[other] = np.clip(images[one].astype(int) + random.integers(-1, 2, (8, 8, 3)), 0, 255)
    assert checks.alike(images) == [[5, 40, 2000], [700, 701]]


def test_classes_with_few_images_are_named_with_their_numbers(root):
    (root / "train" / GREEN / "000.jpg").unlink()
    (root / "train" / GREEN / "001.jpg").unlink()
    for name in ("000.jpg", "001.jpg"):
        (root / "test" / RED / name).unlink()

    (finding,) = found(root)

    assert finding.title == "2 classes have very few images: fewer than 5 in train, 3 in valid, 3 in test"
    assert finding.examples == (f"{RED}: 2 in test", f"{GREEN}: 4 in train")
    assert not finding.stops


def test_the_thumbnail_of_a_cut_file_is_refused():
    with pytest.raises(ApiError, match="The image cannot be decoded"):
        checks.thumbnail(encoded(noisy_square((1, 2, 3), 1))[:200])


def test_the_dog_photographs_have_no_copies(dogs):
    assert found(dogs) == []
