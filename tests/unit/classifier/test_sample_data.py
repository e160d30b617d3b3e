"""The built-in sample is a valid dataset."""

from classifier.dataset.folders import inspect_dataset

from deploy.sample_data import write_sample


def test_the_sample_has_all_digits_in_three_splits_and_is_always_the_same(tmp_path):
    write_sample(tmp_path / "a")
    dataset = inspect_dataset(tmp_path / "a")
    assert dataset.classes == tuple("0123456789")
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 1269, "valid": 267, "test": 261}
    assert dataset.ignored == ()
    write_sample(tmp_path / "b")
    assert inspect_dataset(tmp_path / "b").fingerprint() == dataset.fingerprint()
