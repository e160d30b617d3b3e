"""Settings whose names no variable has are refused, at every depth."""

from pathlib import Path

import pytest

from deploy import settings
from deploy.console import Failure
from deploy.environment import TERRAFORM


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tagz = 1", "tagz: did you mean tags?"),
        ("predictor = { reserve = 20 }", "predictor.reserve: did you mean reserved?"),
        ("endpoint = { scaling = { min_instance = 1 } }", "endpoint.scaling.min_instance: did you mean min_instances?"),
        ('releases = { current = "a", models = { a = { model_url = "x" } } }', "did you mean model_data_url?"),
        ("artifacts = { expiry_days = { xyz = 1 } }", "artifacts.expiry_days.xyz (known: noncurrent_versions"),
        ("predictor = {", "cannot be read"),
    ],
)
def test_an_unknown_name_is_refused_with_the_likely_one(tmp_path: Path, text: str, words: str):
    file = tmp_path / "mine.tfvars"
    file.write_text(text + "\n")
    with pytest.raises(Failure) as refused:
        settings.require_known_names(file)
    assert words in str(refused.value)


def test_all_wrong_names_are_listed_at_once(tmp_path: Path):
    file = tmp_path / "mine.tfvars"
    file.write_text('tagz = "a"\npredictor = { reserve = 1 }\n')
    with pytest.raises(Failure, match=r"mine.tfvars(.|\n)*tagz(.|\n)*predictor.reserve"):
        settings.require_known_names(file)


def test_names_inside_a_map_are_free(tmp_path: Path):
    file = tmp_path / "mine.tfvars"
    file.write_text('tags = { anything = "x" }\npredictor = { allowed_origins = ["a"] }\n')
    settings.require_known_names(file)


@pytest.mark.parametrize("file", sorted((TERRAFORM / "environments").glob("*.tfvars")), ids=lambda path: path.name)
def test_the_shipped_settings_have_known_names(file: Path):
    settings.require_known_names(file)


def test_a_setting_has_the_value_of_the_file_or_the_default(tmp_path: Path):
    file = tmp_path / "mine.tfvars"
    file.write_text('region = "eu-west-1"\n')
    assert (settings.value(file, "region"), settings.value(file, "name")) == ("eu-west-1", "pawprint")


def test_the_effective_settings_have_the_defaults_that_a_file_leaves_out(tmp_path):
    file = tmp_path / "x.tfvars"
    file.write_text('region = "eu-west-1"\npredictor = {\n  reserved = 7\n}\n')
    found = settings.effective(file, {"notebook": {"idle_minutes": 0}})
    assert found["region"] == "eu-west-1"
    assert found["predictor"]["reserved"] == 7
    assert found["predictor"]["log_level"] == "INFO"
    assert found["endpoint"]["scaling"]["max_instances"] == 2
    assert found["ec2"]["packages"] == ["python3.12", "python3.12-pip"]
    assert found["notebook"] == {"instance_type": "ml.t3.medium", "volume_gb": 5, "platform": None, "idle_minutes": 0}
