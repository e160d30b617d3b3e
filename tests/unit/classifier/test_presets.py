"""The preset's trial: its rule, and that it measures, remembers and is taken over."""

import json

import pytest
from classifier.dataset.folders import inspect_dataset
from classifier.learning.distributed import ALONE
from classifier.machine.plan import Machine
from classifier.presets import choice, trial
from classifier.presets.choice import PresetTrial
from classifier.settings import Settings

from tests.unit.classifier.conftest import tiny_backbone
from tests.unit.classifier.pictures import write_image_folder

TABLE = (
    PresetTrial("small", 160, 0.90, 360, 2.0),
    PresetTrial("middle", 224, 0.925, 360, 5.0),
    PresetTrial("large", 240, 0.93, 360, 9.0),
    PresetTrial("larger", 260, 0.93, 360, 12.0),
)


@pytest.mark.parametrize(("preset", "chosen"), [("fast", "small"), ("balanced", "middle"), ("best", "large")])
def test_a_preset_is_the_fastest_network_within_its_margin_of_the_most_accurate(preset, chosen):
    assert choice.choose(TABLE, preset).architecture == chosen
    assert [row["architecture"] for row in choice.records(TABLE, preset) if row["chosen"]] == [chosen]


def test_the_trial_measures_on_the_photographs_and_a_resumed_run_keeps_its_choice(tmp_path, monkeypatch, capsys):
    tried = []

    def load(architecture, weights, resolution):
        tried.append((architecture, resolution))
        return tiny_backbone()

    monkeypatch.setattr(trial, "load_backbone", load)
    monkeypatch.setattr(trial, "CANDIDATES", (("efficientnet-lite0", 32), ("efficientnet-lite1", 32)))
    dataset = inspect_dataset(write_image_folder(tmp_path / "squares", {"train": 4, "valid": 2, "test": 1}))

    def resolved(data_sha256: str) -> Settings:
        memo = tmp_path / "checkpoints"
        found, rows = trial.resolved(Settings(preset="best"), dataset, None, Machine(1, 1), ALONE, memo, data_sha256)
        assert all(row["accuracy"] > 0.8 and row["latency_ms"] > 0 and row["images"] == 6 for row in rows)
        return found

    first = resolved("a")
    assert first.resolution == 32
    assert first.architecture in {"efficientnet-lite0", "efficientnet-lite1"}
    assert "valid accuracy" in capsys.readouterr().out
    kept = json.loads((tmp_path / "checkpoints" / trial.MEMO).read_text())
    for row in kept["records"]:
        row["chosen"] = row["architecture"] != first.architecture
    (tmp_path / "checkpoints" / trial.MEMO).write_text(json.dumps(kept))
    assert resolved("a").architecture != first.architecture  # as written, so it was not measured again
    assert len(tried) == 2
    resolved("b")  # other photographs
    assert len(tried) == 4


def test_without_a_preset_the_settings_stay_as_they_are(tmp_path):
    dataset = inspect_dataset(write_image_folder(tmp_path / "squares"))
    settings = Settings(architecture="resnet18", resolution=128)
    assert trial.resolved(settings, dataset, None, Machine(), ALONE, None, "a") == (settings, [])
