"""The default images: exact tags, Python and end of support in terraform/images.json."""

from __future__ import annotations

import datetime
import json
import re

import botocore.session
import pytest

from tests.conftest import ROOT

TABLE = json.loads((ROOT / "terraform" / "images.json").read_text())
NOTICE = datetime.timedelta(days=60)
USES = ("training", "endpoint")


def running_out(table: dict, today: datetime.date) -> list[str]:
    """What to do about each image in the last 60 days of its support, or past them. Without a day from AWS, the day to
    look again counts."""
    words = []
    for use in USES:
        for kind, image in table[use].items():
            end = datetime.date.fromisoformat(image["support_ends"] or image["look_again_by"])
            if end - today > NOTICE:
                continue
            what = f"AWS patches it until {end}" if image["support_ends"] else f"AWS names no end; look again by {end}"
            words.append(
                f"{image['image']} ({use} on {kind}): {what}. Raise it in terraform/images.json; SURPRISES.md says how."
            )
    return words


def test_no_default_image_is_near_the_end_of_its_support():
    assert not running_out(TABLE, datetime.datetime.now(datetime.UTC).date())


def one(**changes: str | None) -> dict:
    image = {"image": "pytorch:1", "support_ends": "2027-07-20", "look_again_by": None} | changes
    return {"training": {"cpu": image}, "endpoint": {}}


@pytest.mark.parametrize(
    ("today", "count"), [("2027-05-20", 0), ("2027-05-21", 1), ("2027-07-20", 1), ("2027-07-21", 1), ("2030-01-01", 1)]
)
def test_the_warning_begins_60_days_before_the_end_and_does_not_stop(today, count):
    found = running_out(one(), datetime.date.fromisoformat(today))
    assert len(found) == count
    assert all("until 2027-07-20" in words and "terraform/images.json" in words for words in found)


@pytest.mark.parametrize(("today", "count"), [("2027-06-12", 0), ("2027-06-13", 1)])
def test_an_image_without_an_end_is_looked_at_again(today, count):
    table = one(support_ends=None, look_again_by="2027-08-12")
    found = running_out(table, datetime.date.fromisoformat(today))
    assert len(found) == count
    assert all("names no end" in words for words in found)


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
@pytest.mark.parametrize("use", USES)
def test_a_tag_names_a_release_and_not_whatever_is_newest(use, kind):
    """pytorch 2.13 has patch releases (2.12 had 2.12.1), ray v1 has minor ones: `2.13-cpu` and `v1` float over them."""
    form = {"training": r"pytorch:\d+\.\d+\.\d+-(cpu|cu\d+)-.+", "endpoint": r"ray:.+-v\d+\.\d+"}[use]
    assert re.fullmatch(form, TABLE[use][kind]["image"])


@pytest.mark.parametrize("use", USES)
def test_every_type_of_sagemaker_with_a_gpu_is_known_as_one(use):
    """The pattern of terraform/images.tf, on the types that botocore's model lists. The g and p families have NVIDIA
    GPUs; the others have none that CUDA knows."""
    pattern = re.search(r'can\(regex\("(.+?)", type\)\)', (ROOT / "terraform" / "images.tf").read_text())[1]
    pattern = pattern.replace("\\\\", "\\")
    shape = {"training": "TrainingInstanceType", "endpoint": "ProductionVariantInstanceType"}[use]
    types = botocore.session.get_session().get_service_model("sagemaker").shape_for(shape).enum
    gpus = {name for name in types if re.match(pattern, name)}
    assert {"ml.g5.xlarge", "ml.p4d.24xlarge", "ml.p6-b200.48xlarge"} <= gpus
    families = {name.split(".")[1] for name in set(types) - gpus}
    assert not {family for family in families if family[0] in "gp"}
    assert {"ml.m5.large", "ml.c7i.large"} <= set(types) - gpus
