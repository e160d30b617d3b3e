from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from deploy import data
from deploy.console import Failure


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "My Pets"
    for index, split in enumerate(("train", "valid", "test")):
        for label in ("cat", "dog"):
            (root / split / label).mkdir(parents=True)
            for number in range(3):
                colour = (40 * index, 80 * number, 90 if label == "cat" else 200)
                Image.new("RGB", (32, 32), colour).save(root / split / label / f"{number}.png")
    return root


def test_a_folder_is_uploaded_under_its_name_and_becomes_the_default(account, folder: Path):
    put = data.put(account.env, account.outputs, folder)

    assert put.name == "my-pets"
    assert len(account.stored("datasets/my-pets/train/")) == 6
    assert data.resolve(account.env, account.outputs, None) == put
    assert data.resolve(account.env, account.outputs, "my-pets") == put


def test_uploading_again_sends_only_what_changed_and_removes_what_is_gone(account, folder: Path):
    data.put(account.env, account.outputs, folder)
    Image.new("RGB", (32, 32), (1, 2, 3)).save(folder / "train" / "cat" / "0.png")
    (folder / "train" / "dog" / "2.png").unlink()
    files = {f"datasets/my-pets/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*.png")}

    assert data.mirror(account.env, account.outputs, "datasets/my-pets/", files) == (1, 16, 1)
    assert "datasets/my-pets/train/dog/2.png" not in account.stored()
    assert "datasets/my-pets/dataset.json" in account.stored()


def test_a_broken_folder_uploads_nothing(account, folder: Path):
    (folder / "valid" / "cat" / "1.png").write_bytes(b"not an image")

    with pytest.raises(Failure, match=r"1\.png.*\n?.*Nothing was uploaded"):
        data.put(account.env, account.outputs, folder)

    assert account.stored() == []


def test_a_name_that_is_neither_folder_nor_dataset_is_refused(account):
    with pytest.raises(Failure, match="neither a folder here nor a dataset"):
        data.resolve(account.env, account.outputs, "nonsense")


def test_an_upload_that_never_ended_is_no_dataset(account):
    account.client("s3").put_object(Bucket="pawprint-test", Key="datasets/half/train/cat/0.png", Body=b"x")

    assert data.uploaded(account.env, account.outputs) == []


@pytest.mark.parametrize(
    ("folder", "name"), [("My Pets (2)", "my-pets-2"), ("фото", "фото"), ("photos ü", "photos-ü"), ("...", "")]
)
def test_a_dataset_is_named_after_its_folder_in_any_script(tmp_path: Path, folder: str, name: str):
    assert data.dataset_name(tmp_path / folder) == name


def test_files_that_are_no_images_are_named_and_passed_over(account, folder: Path, capsys: pytest.CaptureFixture):
    (folder / "train" / "cat" / "notes.txt").write_text("n")

    data.put(account.env, account.outputs, folder)

    assert "train/cat/notes.txt" in capsys.readouterr().err
    assert not [key for key in account.stored() if key.endswith(".txt")]


def test_a_photograph_in_two_splits_stops_the_upload_and_names_the_way_out(account, folder: Path):
    shutil.copy(folder / "train" / "cat" / "0.png", folder / "test" / "cat" / "[bold]copy.png")

    with pytest.raises(Failure) as failure:
        data.put(account.env, account.outputs, folder)

    assert "1 of the 7 test images is in train too" in str(failure.value)
    assert "train/cat/0.png = test/cat/[bold]copy.png" in str(failure.value)
    assert "ALLOW_DUPLICATES=1" in str(failure.value)
    assert account.stored() == []


def test_allowed_duplicates_are_uploaded_with_a_warning(account, folder: Path, capsys, monkeypatch):
    monkeypatch.setenv(data.ALLOW_DUPLICATES, "1")
    shutil.copy(folder / "train" / "cat" / "0.png", folder / "test" / "cat" / "[bold]copy.png")

    data.put(account.env, account.outputs, folder)

    assert "train/cat/0.png = test/cat/[bold]copy.png" in capsys.readouterr().err
    assert "datasets/my-pets/test/cat/[bold]copy.png" in account.stored()
