"""The photographs to look at: label errors, outliers, odd pictures, copies across splits, and the list of them."""

import csv

import numpy as np
import pytest
from classifier.dataset.folders import Dataset, inspect_dataset, read_image
from classifier.examination import examine, label_errors, listing, oddness
from classifier.learning.distributed import ALONE
from classifier.learning.features import Features
from classifier.learning.regularised import validate
from classifier.machine.plan import Machine
from classifier.network import graph, quantize
from classifier.network.saving import Clock
from classifier.settings import Settings
from classifier.task import Task
from PIL import Image, ImageFilter

from deploy.photographs import lists
from deploy.photographs.sources import Scratch
from tests.unit.classifier.pictures import noisy_square, write_image_folder
from tests.unit.classifier.test_regularised import many_features


def test_changed_labels_are_listed_and_hardly_any_other():
    train = many_features(40, seed=1, width=30, apart=2.0)
    targets = train.targets.copy()
    changed = [3, 50, 90, 130]
    targets[changed] = (targets[changed] + 1) % 4
    order = np.argsort(targets, kind="stable")
    found = label_errors.find(validate(Features(train.values[order], targets[order]), 4).probabilities, targets[order])
    listed = {int(order[each.row]): each.suggested for each in found}
    assert listed == {row: int(train.targets[row]) for row in changed}


def test_the_least_probable_label_comes_first_and_unmeasured_images_are_left_out():
    probabilities = np.array(
        [[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9], [0.05, 0.95], [0.3, 0.7], [np.nan, np.nan]], np.float32
    )
    targets = np.array([0, 0, 1, 1, 0, 0, 0])
    found = label_errors.find(probabilities, targets)
    assert [each.row for each in found] == [4]  # 0.7 is below the threshold of class 1, which is 0.85
    assert (found[0].suggested, found[0].probability) == (1, pytest.approx(0.95))
    assert label_errors.find(np.full((3, 2), np.nan), np.array([0, 1, 1])) == []


def looks(images: list[Image.Image]) -> np.ndarray:
    return np.stack([oddness.look(np.asarray(image.resize((64, 64)))) for image in images])


def test_dark_bright_flat_and_blurred_pictures_are_found_among_ordinary_ones():
    ordinary = [noisy_square((int(40 + 3 * n), 90, 60), n, side=64) for n in range(40)]
    odd = [
        ordinary[0].point(lambda value: value // 6),
        ordinary[1].point(lambda value: 235 + value // 15),
        Image.new("RGB", (64, 64), (120, 125, 118)),
        ordinary[2].filter(ImageFilter.GaussianBlur(4)),
    ]
    found = oddness.by_look(oddness.measures(looks([*ordinary, *odd])))
    assert 40 in found["dark"]
    assert 41 in found["bright"]
    assert 42 in found["flat"]
    assert 43 in found["blurred"]
    assert not any(row < 40 for rows in found.values() for row in rows)


def test_an_image_far_from_all_others_is_an_outlier_even_if_it_is_among_the_references():
    values = many_features(30, seed=4, width=20).values
    values[7] = -values[7]
    other = many_features(5, seed=5, width=20).values
    assert oddness.by_features([values, other], values).tolist() == [7]
    assert oddness.by_features([other], values[:3]).tolist() == []


def test_more_than_half_equal_values_have_no_outliers():
    assert oddness.z_scores(np.array([1.0, 1.0, 1.0, 9.0])).tolist() == [0, 0, 0, 0]


@pytest.fixture
def squares(tmp_path) -> Dataset:
    root = write_image_folder(tmp_path / "squares")
    copy = Image.open(root / "train" / "001.red_square" / "000.jpg")
    copy.save(root / "test" / "001.red_square" / "again.png")  # other bytes, the same look
    return inspect_dataset(root)


def examined(dataset: Dataset) -> examine.Examination:
    """The squares with one label in doubt: the first test image looks like class 2."""
    judged = {name: np.eye(3, dtype=np.float32)[split.targets] for name, split in dataset.splits.items()}
    judged["test"][0] = (0.02, 0.0, 0.98)
    seen = {
        name: np.stack([oddness.look(read_image(path, 48)) for path, _ in split.samples])
        for name, split in dataset.splits.items()
    }
    values = {name: np.ones((len(split), 4), np.float32) for name, split in dataset.splits.items()}
    judged["train"][:] = 0.9 * judged["train"] + 0.03
    return examine.examine(dataset, dataset.hashes(), judged, values, seen)


def test_a_part_of_a_split_is_not_examined(squares, backbone):
    """Fine-tuning asks for the features of a part of the training split. Its rows are not those of the split."""
    task = Task(backbone, squares, Settings(), Machine(threads=1, workers=1), ALONE, None, Clock())
    network, train = graph.convert(backbone), squares.splits["train"]
    task.features(network, quantize.part(train, 2))
    assert task.looks == {}
    task.features(network, train)
    assert {name: len(rows) for name, rows in task.looks.items()} == {"train": len(train)}


def test_an_examination_names_doubts_and_copies_across_splits(squares):
    found = examined(squares)
    assert [(each.split, each.row, each.suggested) for each in found.of("label")] == [("test", 0, 2)]
    assert any("test/001.red_square/again.png" in example for each in found.findings for example in each.examples)
    assert "1 probably in the wrong class" in str(found)


def test_a_corrected_list_is_a_dataset_for_make_data(squares, tmp_path):
    root = tmp_path / "squares"
    path = root / listing.LISTING
    listing.write(path, squares, examined(squares))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["path"] == "test/001.red_square/000.jpg"
    assert (rows[0]["label"], rows[0]["suggested"]) == ("001.red_square", "003.blue_square")
    assert len(rows) == sum(map(len, squares.splits.values()))

    rows[0]["label"] = rows[0]["suggested"]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, listing.HEADER)
        writer.writeheader()
        writer.writerows(rows[:-1])
    found = lists.read(path, Scratch(tmp_path, None))
    assert len(found.photos) == len(rows) - 1
    assert (found.photos[0].label, found.photos[0].split) == ("003.blue_square", "test")


def test_a_list_has_the_addresses_of_the_dataset_in_the_bucket(squares, tmp_path):
    path = tmp_path / listing.LISTING
    listing.write(path, squares, examine.Examination(), "s3://bucket/datasets/squares")
    assert path.read_text().splitlines()[1].startswith("s3://bucket/datasets/squares/train/001.red_square/000.jpg,")


def test_unequal_classes_are_named_with_the_way_out(tmp_path):
    root = write_image_folder(tmp_path / "few", {"train": 1, "valid": 1, "test": 1})
    for number in range(5):
        noisy_square((9, 9, 9), 100 + number).save(root / "train" / "001.red_square" / f"more-{number}.jpg")
    found = examined(inspect_dataset(root))
    assert any("6 times as many" in each.title and "CLASS_WEIGHTS=balanced" in each.title for each in found.findings)
