"""Photographs as people have them: every layout is read, divided or refused, and nothing is left out without a word."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deploy import datasets
from deploy.console import Failure
from deploy.photographs import divide, found
from deploy.photographs.found import Photo

CLASSES = ("cat", "dog")


def picture(path: Path, seed: int) -> Path:
    """A photograph that looks like no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((32, 32), Image.Resampling.NEAREST).save(path, "PNG")
    return path


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Ten photographs in each of two class folders."""
    root = tmp_path / "My Pets"
    for index, label in enumerate(CLASSES):
        for number in range(10):
            picture(root / label / f"IMG_{number}.png", 100 * index + number)
    return root


@pytest.fixture
def upload(account):
    """Upload a source. Returns the keys below the dataset's name, without dataset.json."""

    def put(source: Path | str, **options) -> list[str]:
        name = datasets.put(account.deployment, source, **options).name
        keys = account.stored(f"datasets/{name}/")
        return sorted(key.removeprefix(f"datasets/{name}/") for key in keys if not key.endswith("dataset.json"))

    return put


def refused(account, source: Path | str, *parts: str, **options) -> None:
    with pytest.raises(Failure) as failure:
        datasets.put(account.deployment, source, **options)
    for part in (*parts, "Nothing was uploaded"):
        assert part in str(failure.value)
    assert not [key for key in account.stored() if key.startswith("datasets/my-pets/")]


def per_split(keys: list[str]) -> dict[str, int]:
    return {split: sum(key.startswith(f"{split}/") for key in keys) for split in ("train", "valid", "test")}


def test_a_flat_folder_is_divided_and_each_class_in_the_same_shares(upload, flat):
    keys = upload(flat, shares="60/20/20")
    assert per_split(keys) == {"train": 12, "valid": 4, "test": 4}
    assert sum(key.startswith("valid/cat/") for key in keys) == 2


def test_the_same_photographs_are_divided_alike_under_other_names_and_differently_by_another_seed(flat):
    photos = [Photo(path, path.parent.name, None, path.name) for path in sorted(flat.rglob("*.png"))]
    hashes = np.random.default_rng(1).integers(0, 256, (20, 32), dtype=np.uint8)
    small = np.random.default_rng(2).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    shares = divide.shares_of("60/20/20")
    first = [photo.split for photo in divide.divide(photos, hashes, small, shares, 1)]
    renamed = [Photo(Path("x") / str(row), photo.label, None, f"{row}") for row, photo in enumerate(photos)]
    order = np.random.default_rng(3).permutation(20)
    again = divide.divide([renamed[row] for row in order], hashes[order], small[order], shares, 1)
    assert [photo.split for photo in again] == [first[row] for row in order]
    assert [photo.split for photo in divide.divide(photos, hashes, small, shares, 2)] != first


def test_copies_and_bursts_are_in_one_split(flat, upload):
    """Five copies with other bytes of one photograph, and five shots that follow each other."""
    whole = Image.open(flat / "cat" / "IMG_0.png")
    for number in range(5):
        whole.resize((64 + number, 64 + number)).save(flat / "cat" / f"copy{number}.png")
        shifted = Image.open(flat / "dog" / "IMG_3.png").point(lambda value, by=number: min(255, value + 2 * by))
        shifted.save(flat / "dog" / f"IMG_3{number}.png")
    keys = upload(flat)
    for start in ("copy", "IMG_3"):
        names = [key for key in keys if key.split("/")[2].startswith(start)]
        assert len({name.split("/")[0] for name in names}) == 1 and len(names) >= 5


def test_a_class_with_too_few_photographs_to_divide_is_named(account, flat):
    for number in range(2, 10):
        (flat / "cat" / f"IMG_{number}.png").unlink()
    refused(account, flat, "class cat has 2 different photographs")


@pytest.mark.parametrize("shares", ["70/30", "70/20/20", "100/0/0", "a/b/c", ""])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(Failure, match="SPLIT is"):
        divide.shares_of(shares)


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "validation", "testing"), ("train", "dev", "test")]
)
def test_splits_may_have_their_other_names_and_a_wrapping_folder(upload, tmp_path, names):
    root = tmp_path / "download" / "pets-v2"
    for index, split in enumerate(names):
        for offset, label in enumerate(CLASSES):
            for number in range(3):
                picture(root / split / label / f"{number}.png", 100 * index + 10 * offset + number)
    assert per_split(upload(tmp_path / "download")) == {"train": 6, "valid": 6, "test": 6}


def test_what_is_next_to_the_one_folder_with_photographs_is_counted(upload, flat, capsys):
    """As in the archives of torchvision: images/<class>/… and meta/…"""
    (flat.parent / "food" / "meta").mkdir(parents=True)
    (flat.parent / "food" / "meta" / "classes.txt").write_text("cat")
    (flat.parent / "food" / "README.md").write_text("r")
    flat.rename(flat.parent / "food" / "images")
    assert {key.split("/")[1] for key in upload(flat.parent / "food")} == set(CLASSES)
    assert "2 files are not used: not images: README.md, meta/classes.txt" in capsys.readouterr().err


def test_a_missing_split_is_taken_from_train(upload, flat, capsys):
    for label in CLASSES:
        shutil.move(flat / label, flat / "train" / label)
        picture(flat / "val" / label / "v.png", 800 + ord(label[0]))
    assert per_split(upload(flat)) == {"train": 16, "valid": 2, "test": 4}
    assert "no test, so train is divided" in capsys.readouterr().out


def test_a_class_may_be_called_train(upload, flat):
    (flat / "cat").rename(flat / "train")
    assert {key.split("/")[1] for key in upload(flat)} == {"dog", "train"}


def test_folders_below_a_class_are_read_and_equal_names_stay_two(upload, flat):
    picture(flat / "cat" / "2024" / "IMG_0.png", 901)
    picture(flat / "cat" / "2024" / "phone" / "IMG_0.png", 902)
    picture(flat / "cat" / "2024_IMG_0.png", 903)
    (flat / "cat" / "loop").symlink_to(flat / "cat", target_is_directory=True)
    assert len(upload(flat)) == 23


def test_what_is_not_used_is_counted_by_reason(upload, flat, capsys):
    shutil.copy(flat / "cat" / "IMG_0.png", flat / "alone.png")
    (flat / "cat" / ".DS_Store").write_bytes(b"")
    (flat / "cat" / "gone.jpg").symlink_to(flat / "nowhere.jpg")
    (flat / "cat" / "notes.txt").write_text("n")
    for name in ("a.HEIC", "b.heic", "c.tiff"):
        (flat / "dog" / name).write_bytes(b"x")
    upload(flat)
    said = capsys.readouterr().err
    assert "3 files are not used: photographs in an unsupported format (2 .heic, 1 .tiff): dog/a.HEIC" in said
    assert "mogrify -format jpg" in said
    for line in (
        "1 file is not used: hidden: cat/.DS_Store",
        "links to a file that does not exist: cat/gone.jpg",
        "not images: cat/notes.txt",
        "not in the folder of a class: alone.png",
    ):
        assert line in said


def test_jfif_and_jpe_are_jpeg(upload, flat):
    for number, suffix in enumerate((".jfif", ".jpe", ".JPEG")):
        Image.open(picture(flat / "x.png", 300 + number)).save(flat / "cat" / f"photo{suffix}", "JPEG")
    (flat / "x.png").unlink()
    assert len(upload(flat)) == 23


def test_all_broken_files_are_named_in_one_run_and_can_be_skipped(account, upload, flat, monkeypatch):
    for number in range(4):
        (flat / "cat" / f"IMG_{number}.png").write_bytes(b"broken")
    refused(
        account, flat, "4 of 20 files", *(f"IMG_{number}.png: The image cannot" for number in range(4)), "SKIP_BROKEN=1"
    )
    monkeypatch.setenv(datasets.SKIP_BROKEN, "1")
    assert len(upload(flat)) == 16


def test_a_class_that_is_not_text_is_refused(account, flat):
    (flat / "cat").rename(flat / os.fsdecode(b"ros\xe9"))
    refused(account, flat, r"The class ros\xe9", "not UTF-8")


def test_a_class_with_a_line_end_is_refused_and_a_file_name_is_repaired(account, upload, flat):
    (flat / "dog" / "IMG_1.png").rename(flat / "dog" / os.fsdecode(b"ros\xe9\n.png"))
    assert len([key for key in upload(flat) if key.endswith("ros__.png")]) == 1
    (flat / "cat").rename(flat / "c\nat")
    with pytest.raises(Failure, match=r"The class c\\nat .* control characters"):
        datasets.put(account.deployment, flat)


def test_two_unicode_forms_of_a_class_are_one_class(upload, flat):
    for number, form in enumerate(("NFC", "NFD")):
        picture(flat / unicodedata.normalize(form, "Rosé") / f"{number}.png", 500 + number)
        picture(flat / unicodedata.normalize(form, "Rosé") / "same.png", 510 + number)
    keys = [key for key in upload(flat) if "Ros" in key]
    assert len(keys) == 4 and {key.split("/")[1] for key in keys} == {unicodedata.normalize("NFC", "Rosé")}


def test_classes_that_differ_only_in_case_are_refused(account, flat):
    picture(flat / "Cat" / "1.png", 700)
    refused(account, flat, "Cat and cat", "upper and lower case")


def rows_of(flat: Path) -> list[tuple[str, str]]:
    return [(path.relative_to(flat.parent).as_posix(), path.parent.name) for path in sorted(flat.rglob("*.png"))]


@pytest.mark.parametrize(
    ("name", "header", "line"),
    [
        ("a.csv", "filename,breed\n", "{0},{1}\n"),
        ("a.csv", "", "{0},{1}\n"),
        ("a.csv", "\ufefflabel;image_path\r\n", "{1};{0}\r\n"),
        ("a.tsv", "path\tclass\n", "{0}\t{1}\n"),
        ("a.lst", "", "5\t{1}\t{0}\n"),
        ("a.jsonl", "", '{{"image": "{0}", "label": "{1}"}}\n'),
        ("a.manifest", "", '{{"source-ref": "{0}", "job": 0, "job-metadata": {{"class-name": "{1}"}}}}\n'),
        ("a.manifest", "", '{{"source-ref": "{0}", "class": "{1}"}}\n'),
    ],
)
def test_a_list_of_paths_and_labels_is_read(upload, flat, name, header, line):
    source = flat.parent / name
    source.write_text(header + "".join(line.format(*row) for row in rows_of(flat)), newline="")
    keys = upload(source)
    assert len(keys) == 20 and {key.split("/")[1] for key in keys} == set(CLASSES)


def test_a_list_may_name_the_splits(upload, flat):
    rows = [
        f"{path},{label},{'val' if 'IMG_1' in path else 'test' if 'IMG_2' in path else 'train'}"
        for path, label in rows_of(flat)
    ]
    (flat.parent / "a.csv").write_text("path,label,split\n" + "\n".join(rows))
    assert per_split(upload(flat.parent / "a.csv")) == {"train": 16, "valid": 2, "test": 2}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("path,label\nMy Pets/cat/IMG_0.png,cat\nMy Pets/cat/IMG_0.png,dog\n", "is cat in line 2 and dog in line 3"),
        ("path,label\nnowhere.png,cat\n", "1 of the 1 files"),
        ("path,label\nonly\n", "Line 2"),
        ("path,label\nMy Pets/cat/IMG_0.png,../x\n", "cannot be a class"),
        ("a,b,c\n1,2,3\n", "column of paths"),
        ("", "no line"),
    ],
)
def test_a_list_that_is_wrong_is_refused_by_its_line(account, flat, text, reason):
    (flat.parent / "a.csv").write_text(text)
    refused(account, flat.parent / "a.csv", reason)


def test_an_image_folder_of_hugging_face_is_read_by_its_metadata(upload, flat):
    lines = [
        json.dumps({"file_name": f"{label}/{Path(path).name}", "label": label.upper()}) for path, label in rows_of(flat)
    ]
    (flat / "metadata.jsonl").write_text("\n".join(lines))
    assert {key.split("/")[1] for key in upload(flat)} == {"CAT", "DOG"}


def test_an_image_folder_of_hugging_face_may_have_a_list_in_each_split(upload, tmp_path):
    for index, split in enumerate(("train", "validation", "test")):
        lines = ["file_name,label"]
        for number in range(4):
            picture(tmp_path / "hf" / split / f"{number}.png", 40 + 10 * index + number)
            lines.append(f"{number}.png,{CLASSES[number % 2]}")
        (tmp_path / "hf" / split / "metadata.csv").write_text("\n".join(lines))
    assert per_split(upload(tmp_path / "hf")) == {"train": 4, "valid": 4, "test": 4}


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_is_unpacked(upload, flat, kind):
    archive = flat.parent / f"Pets 2.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as file:
            for path in flat.rglob("*.png"):
                file.write(path, path.relative_to(flat.parent))
    else:
        with tarfile.open(archive, "w:gz") as file:
            file.add(flat, flat.name)
    assert len(upload(archive)) == 20


@pytest.mark.parametrize("name", ["../out.png", "/out.png", "a/../../out.png"])
def test_an_archive_that_leaves_its_folder_is_refused(account, tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(name, "x")
    with pytest.raises(Failure, match="outside the folder"):
        datasets.put(account.deployment, tmp_path / "a.zip")


def test_photographs_in_s3_are_read_by_prefix_and_by_manifest(account, upload, flat):
    s3 = account.client("s3")
    for path, _ in rows_of(flat):
        s3.upload_file(str(flat.parent / path), "pawprint-test", f"raw/{path}")
    assert len(upload("s3://pawprint-test/raw/My Pets/", name="by-prefix")) == 20
    lines = [
        json.dumps({"source-ref": f"s3://pawprint-test/raw/{path}", "label": label}) for path, label in rows_of(flat)
    ]
    (flat.parent / "a.manifest").write_text("\n".join(lines))
    assert len(upload(flat.parent / "a.manifest")) == 20
    with pytest.raises(Failure, match="has no object"):
        datasets.put(account.deployment, "s3://pawprint-test/nothing")


def test_two_folders_of_one_name_do_not_replace_each_other_unasked(account, upload, flat, tmp_path):
    upload(flat)
    other = tmp_path / "elsewhere" / "My Pets"
    for index, label in enumerate(CLASSES):
        for number in range(5):
            picture(other / label / f"{number}.png", 1000 + 100 * index + number)
    with pytest.raises(Failure, match=r"my-pets already \(20 other photographs.*NAME=my-pets-2.*NAME=my-pets"):
        datasets.put(account.deployment, other)
    assert len(upload(other, name="Others")) == 10
    (flat / "cat" / "IMG_0.png").unlink()
    assert len(upload(flat)) == 19
    assert len(upload(other, name="my-pets")) == 10


def test_the_moved_folder_of_a_dataset_is_the_same_dataset(upload, flat, tmp_path):
    upload(flat)
    (tmp_path / "moved").mkdir()
    shutil.move(flat, tmp_path / "moved" / "My Pets")
    assert len(upload(tmp_path / "moved" / "My Pets")) == 20


def test_names_in_messages_are_printable():
    assert found.printable("a\nb\udce9ü") == "a\\nb\\xe9ü"
