from __future__ import annotations

import secrets
import shutil
from pathlib import Path

import pytest
from moto.s3 import models as s3_models
from PIL import Image

from deploy import datasets
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
    put = datasets.put(account.deployment, folder)

    assert put.name == "my-pets"
    assert len(account.stored("datasets/my-pets/train/")) == 6
    assert datasets.resolve(account.deployment, None) == put
    assert datasets.resolve(account.deployment, "my-pets") == put


def test_uploading_again_sends_only_what_changed_and_removes_what_is_gone(account, folder: Path):
    datasets.put(account.deployment, folder)
    Image.new("RGB", (32, 32), (1, 2, 3)).save(folder / "train" / "cat" / "0.png")
    (folder / "train" / "dog" / "2.png").unlink()

    assert datasets.mirror(account.deployment, "datasets/my-pets/", files_of(folder)) == (1, 16, 1)
    assert "datasets/my-pets/train/dog/2.png" not in account.stored()
    assert "datasets/my-pets/dataset.json" in account.stored()


@pytest.fixture
def kms_account(account, monkeypatch: pytest.MonkeyPatch):
    """An account whose bucket encrypts with a KMS key, so its ETags are not MD5s, as S3 documents.

    moto always uses the MD5 as the ETag, so the test replaces it.
    """
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/pawprint"}}
    account.client("s3").put_bucket_encryption(
        Bucket="pawprint-test", ServerSideEncryptionConfiguration={"Rules": [rule]}
    )
    plain = s3_models.FakeKey.etag.fget

    def etag(key) -> str:
        return f'"{secrets.token_hex(16)}"' if key.encryption == "aws:kms" else plain(key)

    monkeypatch.setattr(s3_models.FakeKey, "etag", property(etag))
    return account


def files_of(folder: Path) -> dict[str, Path]:
    return {f"datasets/my-pets/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*.png")}


def test_under_a_kms_key_uploading_again_sends_only_what_changed(kms_account, folder: Path):
    account = kms_account
    assert datasets.mirror(account.deployment, "datasets/my-pets/", files_of(folder)) == (18, 0, 0)
    assert datasets.mirror(account.deployment, "datasets/my-pets/", files_of(folder)) == (0, 18, 0)

    changed = folder / "train" / "cat" / "0.png"
    content = bytearray(changed.read_bytes())
    content[-1] ^= 1  # same length, other content
    changed.write_bytes(content)

    assert datasets.mirror(account.deployment, "datasets/my-pets/", files_of(folder)) == (1, 17, 0)
    assert datasets.mirror(account.deployment, "datasets/my-pets/", files_of(folder)) == (0, 18, 0)


def test_an_object_without_a_sha256_counts_by_its_md5_and_is_sent_again_under_a_kms_key(kms_account, folder: Path):
    account, files = kms_account, files_of(folder)
    key = next(iter(files))
    s3 = account.client("s3")
    for encryption, sent in (("AES256", 0), ("aws:kms", 1)):
        datasets.mirror(account.deployment, "datasets/my-pets/", files)
        content = files[key].read_bytes()
        s3.put_object(Bucket="pawprint-test", Key=key, Body=content, ServerSideEncryption=encryption)

        assert datasets.mirror(account.deployment, "datasets/my-pets/", files) == (sent, 18 - sent, 0)


def test_an_object_in_parts_is_sent_again_once_and_a_copy_not_at_all(kms_account, folder: Path):
    account, files = kms_account, files_of(folder)
    key, bucket, s3 = next(iter(files)), "pawprint-test", kms_account.client("s3")
    datasets.mirror(account.deployment, "datasets/my-pets/", files)
    s3.copy_object(Bucket=bucket, Key=key, CopySource=f"{bucket}/{key}", ServerSideEncryption="aws:kms")
    assert datasets.mirror(account.deployment, "datasets/my-pets/", files) == (0, 18, 0)

    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm="SHA256")["UploadId"]
    part = {"PartNumber": 1, "Bucket": bucket, "Key": key, "UploadId": upload}
    put = s3.upload_part(**part, Body=files[key].read_bytes(), ChecksumAlgorithm="SHA256")
    parts = [{"PartNumber": 1, "ETag": put["ETag"], "ChecksumSHA256": put["ChecksumSHA256"]}]
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})

    assert datasets.mirror(account.deployment, "datasets/my-pets/", files) == (1, 17, 0)
    assert datasets.mirror(account.deployment, "datasets/my-pets/", files) == (0, 18, 0)


def test_a_broken_folder_uploads_nothing(account, folder: Path):
    (folder / "valid" / "cat" / "1.png").write_bytes(b"not an image")

    with pytest.raises(Failure, match=r"1\.png.*\n?.*Nothing was uploaded"):
        datasets.put(account.deployment, folder)

    assert account.stored() == []


def test_a_name_that_is_neither_folder_nor_dataset_is_refused(account):
    with pytest.raises(Failure, match="neither a folder here nor a dataset"):
        datasets.resolve(account.deployment, "nonsense")


def test_an_unfinished_upload_is_not_a_dataset(account):
    account.client("s3").put_object(Bucket="pawprint-test", Key="datasets/half/train/cat/0.png", Body=b"x")

    assert datasets.uploaded(account.deployment) == []


@pytest.mark.parametrize(
    ("folder", "name"), [("My Pets (2)", "my-pets-2"), ("фото", "фото"), ("photos ü", "photos-ü"), ("...", "")]
)
def test_a_dataset_is_named_after_its_folder_in_any_script(tmp_path: Path, folder: str, name: str):
    assert datasets.dataset_name(tmp_path / folder) == name


def test_files_that_are_not_images_are_named_and_skipped(account, folder: Path, capsys: pytest.CaptureFixture):
    (folder / "train" / "cat" / "notes.txt").write_text("n")

    datasets.put(account.deployment, folder)

    assert "train/cat/notes.txt" in capsys.readouterr().err
    assert not [key for key in account.stored() if key.endswith(".txt")]


def test_a_photograph_in_two_splits_stops_the_upload_and_names_the_way_out(account, folder: Path):
    shutil.copy(folder / "train" / "cat" / "0.png", folder / "test" / "cat" / "[bold]copy.png")

    with pytest.raises(Failure) as failure:
        datasets.put(account.deployment, folder)

    assert "1 of the 7 test images is in train too" in str(failure.value)
    assert "train/cat/0.png = test/cat/[bold]copy.png" in str(failure.value)
    assert "ALLOW_DUPLICATES=1" in str(failure.value)
    assert account.stored() == []


def test_allowed_duplicates_are_uploaded_with_a_warning(account, folder: Path, capsys, monkeypatch):
    monkeypatch.setenv(datasets.ALLOW_DUPLICATES, "1")
    shutil.copy(folder / "train" / "cat" / "0.png", folder / "test" / "cat" / "[bold]copy.png")

    datasets.put(account.deployment, folder)

    assert "train/cat/0.png = test/cat/[bold]copy.png" in capsys.readouterr().err
    assert "datasets/my-pets/test/cat/[bold]copy.png" in account.stored()
