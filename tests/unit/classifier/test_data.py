"""The checks of a dataset: each problem is named."""

import shutil
import time
from pathlib import Path

import pytest
from classifier.dataset.folders import DatasetError, inspect_dataset, inspect_splits, read_ahead

from tests.unit.classifier.pictures import write_image_folder


@pytest.fixture
def root(tmp_path) -> Path:
    return write_image_folder(tmp_path / "squares", {"train": 3, "valid": 2, "test": 2})


def test_a_good_folder_is_described(root):
    dataset = inspect_dataset(root)
    assert dataset.classes == ("001.red_square", "002.green_square", "003.blue_square")
    assert dataset.labels == ("red square", "green square", "blue square")
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 9, "valid": 6, "test": 6}
    train = dataset.splits["train"]
    assert train.name == "train"
    assert all(path.parent.name == dataset.classes[target] for path, target in train.samples)
    assert train.targets.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert str(dataset) == "3 classes: 9 train, 6 valid, 6 test images"


def test_splits_may_be_in_separate_folders(root, tmp_path):
    shutil.move(root / "valid", tmp_path / "elsewhere")
    folders = {"train": root / "train", "valid": tmp_path / "elsewhere", "test": root / "test"}
    assert len(inspect_splits(folders).splits["valid"]) == 6


def fails(root: Path, *parts: str) -> None:
    with pytest.raises(DatasetError) as error:
        inspect_dataset(root)
    for part in parts:
        assert part in str(error.value)


def test_a_missing_folder_is_named(tmp_path):
    fails(tmp_path / "nowhere", "nowhere", "not a folder")


def test_a_missing_split_is_named_with_the_existing_folders(root):
    (root / "valid").rename(root / "val")
    fails(root, "lacks valid", "val", "{train,valid,test}/<class>/<image>")


def test_a_dataset_without_images_is_refused(root):
    shutil.rmtree(root / "train")
    (root / "train" / "empty").mkdir(parents=True)
    fails(root, "train", "no image")


def test_images_outside_class_folders_are_refused(root):
    for image in (root / "train").rglob("*.jpg"):
        image.rename(root / "train" / f"{image.parent.name}-{image.name}")
    for folder in (root / "train").iterdir():
        if folder.is_dir():
            folder.rmdir()
    fails(root, "train", "no image", "class folder")


def test_a_class_without_images_is_refused(root):
    for image in (root / "test" / "002.green_square").iterdir():
        image.unlink()
    fails(root, "002.green_square", "no image", "test")


def test_a_dataset_of_one_class_is_refused(root):
    for split in ("train", "valid", "test"):
        shutil.rmtree(root / split / "002.green_square")
        shutil.rmtree(root / split / "003.blue_square")
    fails(root, "only one class", "001.red_square")


def test_a_class_that_is_missing_in_a_split_is_named(root):
    shutil.rmtree(root / "valid" / "003.blue_square")
    fails(root, "valid", "lacks 003.blue_square")


def test_a_class_in_only_one_split_is_named(root):
    shutil.copytree(root / "test" / "001.red_square", root / "test" / "004.other")
    fails(root, "test", "has in addition 004.other")


def test_hidden_files_are_skipped_and_others_are_reported(root):
    (root / "train" / ".DS_Store").write_text("")
    (root / "train" / "001.red_square" / "._000.jpg").write_text("")
    notes = root / "train" / "001.red_square" / "notes.txt"
    notes.write_text("")
    dataset = inspect_dataset(root)
    assert (len(dataset.splits["train"]), dataset.ignored) == (9, (notes,))


def test_labels_that_would_be_equal_stay_folder_names(root):
    for split in ("train", "valid", "test"):
        (root / split / "003.blue_square").rename(root / split / "003.red_square")
    assert inspect_dataset(root).labels == ("001.red_square", "002.green_square", "003.red_square")


def test_the_fingerprint_depends_on_the_contents_only(root, tmp_path):
    shutil.copytree(root, tmp_path / "copy")
    before = inspect_dataset(root).fingerprint()
    assert inspect_dataset(tmp_path / "copy").fingerprint() == before
    dataset = inspect_dataset(root)
    assert dataset.fingerprint(dataset.hashes()) == before
    image = root / "train" / "001.red_square" / "000.jpg"
    image.write_bytes((root / "train" / "001.red_square" / "001.jpg").read_bytes())
    assert inspect_dataset(root).fingerprint() != before


def test_reading_ahead_keeps_the_order_and_a_bound():
    asked_for = 0

    def paths():
        nonlocal asked_for
        for asked_for in range(1, 101):
            yield Path(str(asked_for))

    def read(path: Path) -> Path:
        time.sleep(0.001 * (int(path.name) % 3))  # so that they finish in another order
        return path

    images = read_ahead(read, paths(), workers=2)
    assert next(images) == Path("1")
    assert asked_for <= 4 * 2 + 1
    assert list(images) == [Path(str(number)) for number in range(2, 101)]


def test_reading_ahead_raises_the_first_error():
    def read(path):
        raise DatasetError(f"{path} is broken")

    with pytest.raises(DatasetError, match="7 is broken"):
        list(read_ahead(read, [Path("7"), Path("8")]))
