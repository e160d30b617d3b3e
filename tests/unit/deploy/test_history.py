"""The history of promotions, what MODEL names, and `make releases`."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from deploy.commands import promote
from deploy.commands.releases import table
from deploy.console import Failure
from deploy.sagemaker import history, promotion, registry, releases
from deploy.sagemaker.choice import choose
from deploy.sagemaker.history import Promotion
from deploy.sagemaker.releases import Release, Releases
from tests.unit.classifier.test_artifact import CARD

BUCKET = "pawprint-test"
PROMOTED = Promotion(
    at="2026-11-29T20:00:00Z",
    by="arn:aws:iam::123456789012:user/anna",
    release="run-1-0123abcd",
    outcome=history.PROMOTED,
    before="bootstrap",
    model_data_url="s3://b/releases/1/model.tar.gz",
    evaluation={"live": 90, "candidate": 95, "images": 100, "p_value": 0.0625},
    **history.of_card(CARD),
)
SECOND = replace(
    PROMOTED, release="run-2-4567abcd", before="run-1-0123abcd", model_data_url="s3://b/releases/2/m.tar.gz"
)
OLD = Releases("run-2-4567abcd", {"run-2-4567abcd": Release(SECOND.model_data_url)})


def put_model(account, run: str) -> None:
    account.client("s3").put_object(Bucket=BUCKET, Key=f"models/{run}/output/model.tar.gz", Body=b"x")


def test_promotions_are_read_back_the_newest_first(account):
    for each in (PROMOTED, SECOND):
        history.add(account.deployment, each)

    assert history.read(account.deployment) == [SECOND, PROMOTED]
    assert all(key.startswith("releases/history/2") for key in account.stored("releases/"))


def test_any_release_can_be_named_and_one_that_was_live_is_a_rollback(account):
    put_model(account, "run-3")
    failed = replace(PROMOTED, release="run-0-89abcdef", outcome=history.FAILED, model_data_url="s3://b/0/m.tar.gz")
    for each in (PROMOTED, SECOND, failed):
        history.add(account.deployment, each)

    def chosen(wanted):
        found = choose(account.deployment, OLD, wanted)
        return found.uri, found.release, found.was_live

    assert chosen("run-1-0123abcd") == (PROMOTED.model_data_url, "run-1-0123abcd", True)
    assert chosen("run-0-89abcdef") == ("s3://b/0/m.tar.gz", "run-0-89abcdef", False)
    assert chosen("run-3") == (f"s3://{BUCKET}/models/run-3/output/model.tar.gz", None, False)
    with pytest.raises(Failure, match="has no previous release"):
        chosen("previous")
    two = Releases(OLD.current, {**OLD.models, "run-1-0123abcd": Release(PROMOTED.model_data_url)})
    assert choose(account.deployment, two, "previous").release == "run-1-0123abcd"


def test_the_bootstrap_model_can_be_promoted_when_it_is_no_longer_on_record(account):
    with pytest.raises(Failure, match=r"no bootstrap model. Upload it: make apply"):
        choose(account.deployment, OLD, "bootstrap")
    account.client("s3").put_object(Bucket=BUCKET, Key="payloads/bootstrap/ab.tar.gz", Body=b"x")

    found = choose(account.deployment, OLD, "bootstrap")

    assert (found.uri, found.release) == (f"s3://{BUCKET}/payloads/bootstrap/ab.tar.gz", "bootstrap")


def rows(found: list[Promotion], current: str, previous: str | None, served: str | None) -> list[tuple[str, str]]:
    """(release, state) of each row."""
    columns = table(found, current, previous, served).columns
    return list(zip(*([str(cell) for cell in columns[number].cells] for number in (1, 2)), strict=True))


def test_the_list_marks_the_live_release_rollbacks_and_failures():
    failed = replace(SECOND, release="run-3-ffffffff", outcome=history.FAILED, before=SECOND.release)
    back = replace(PROMOTED, outcome=history.BACK, before=SECOND.release)
    found = [back, failed, replace(SECOND, forced=True), PROMOTED]

    assert rows(found, PROMOTED.release, SECOND.release, PROMOTED.model_data_url) == [
        (PROMOTED.release, f"live; rolled back from {SECOND.release}"),
        ("run-3-ffffffff", f"failed; {SECOND.release} stayed"),
        (SECOND.release, "previous; forced"),
        (PROMOTED.release, ""),
    ]
    assert rows([back], PROMOTED.release, None, None)[0][1].startswith("asleep; ")
    assert rows([PROMOTED], PROMOTED.release, None, "s3://b/another.tar.gz")[0][1] == ""
    cells = [next(iter(column.cells)) for column in table([PROMOTED], "", None, None).columns]
    assert [str(cell) for cell in cells] == [
        "2026-11-29 20:00:00", PROMOTED.release, "", "95.00%", "+5.00% on 100 images (p = 0.062)", "d" * 8, "c" * 8,
        "user/anna",
    ]  # fmt: skip


class Stage:
    """`make promote` on a deployment whose endpoint is replaced by `switch`."""

    def __init__(self, account, monkeypatch: pytest.MonkeyPatch, live: Releases, **outputs: str):
        self.compared: list[str] = []
        checked = promotion.Checked("s3://b/models/run-9/output/model.tar.gz", "0123456789", CARD, "ab")
        monkeypatch.setattr(promote, "Stack", lambda env: self)
        monkeypatch.setattr(promotion, "check_archive", lambda deployment, uri: checked)
        monkeypatch.setattr(promotion, "live_instance_count", lambda deployment: 1)
        monkeypatch.setattr(promotion, "publish", lambda deployment, checked: None)
        monkeypatch.setattr(promotion, "switch", self.switch)
        monkeypatch.setattr(promote, "evaluate", lambda *given: self.compared.append(given[2]))
        self.deployment, self.fails = account.deployed(**outputs), False
        releases.write(self.deployment, live)

    def require_deployment(self):
        return self.deployment

    def switch(self, stack, old: Releases, new: Releases) -> None:
        if self.fails:
            raise Failure("the endpoint does not answer")

    def promote(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[Promotion]:
        monkeypatch.setattr("sys.argv", ["promote", *arguments])
        promote.main()
        return history.read(self.deployment)


def test_a_promotion_a_failed_one_and_a_rollback_are_recorded(account, monkeypatch):
    put_model(account, "run-9")
    stage = Stage(account, monkeypatch, OLD)

    (promoted,) = stage.promote(monkeypatch, "run-9", "--force")
    assert (promoted.release, promoted.outcome, promoted.before) == ("run-9-01234567", "promoted", "run-2-4567abcd")
    assert promoted.forced and promoted.by.startswith("arn:aws") and promoted.data_sha256 == CARD.data_sha256

    back = stage.promote(monkeypatch, "previous")[0]
    assert (back.release, back.outcome, back.before) == ("run-2-4567abcd", "rolled back", "run-9-01234567")
    assert stage.compared == ["run-9-01234567"]  # a rollback does not wait for a comparison

    stage.fails = True
    with pytest.raises(Failure, match="does not answer"):
        stage.promote(monkeypatch, "run-9")
    failed = history.read(account.deployment)[0]
    assert (failed.release, failed.outcome, failed.before) == ("run-9-01234567", "failed", "run-2-4567abcd")
    recorded = releases.read(account.deployment)
    assert recorded is not None and recorded.current == "run-2-4567abcd"


def test_with_a_registry_a_promotion_writes_an_approved_version_and_a_rejected_one_is_refused(account, monkeypatch):
    put_model(account, "run-9")
    sagemaker = account.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="pawprint")
    container = {"Image": "serving:1", "Environment": {"MODEL_SHA256": "ab"}, "ModelDataUrl": "s3://b/old.tar.gz"}
    monkeypatch.setattr(releases, "live_container", lambda deployment: container)
    stage = Stage(account, monkeypatch, OLD, model_package_group="pawprint")

    (promoted,) = stage.promote(monkeypatch, "run-9")

    version = sagemaker.describe_model_package(ModelPackageName=promoted.package)
    (registered,) = version["InferenceSpecification"]["Containers"]
    assert (registered["Image"], registered["ModelDataUrl"]) == ("serving:1", promoted.model_data_url)
    assert version["ModelApprovalStatus"] == "Approved"
    assert version["CustomerMetadataProperties"]["data_sha256"] == CARD.data_sha256
    place = version["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"].removeprefix(f"s3://{BUCKET}/")
    written = json.loads(account.client("s3").get_object(Bucket=BUCKET, Key=place)["Body"].read())
    assert written["multiclass_classification_metrics"]["accuracy"]["value"] == CARD.metrics["test_accuracy"]

    stage.promote(monkeypatch, "previous")
    sagemaker.update_model_package(ModelPackageArn=promoted.package, ModelApprovalStatus="Rejected")
    with pytest.raises(Failure, match=r"The Model Registry has rejected this model.*Nothing was changed.*FORCE=1"):
        stage.promote(monkeypatch, "run-9")
    assert stage.promote(monkeypatch, "run-9", "--force")[0].package == promoted.package
    approved = sagemaker.describe_model_package(ModelPackageName=promoted.package)
    assert approved["ModelApprovalStatus"] == "Approved"
    assert registry.known_version(stage.deployment, "ab") == promoted.package
    sagemaker.create_model_package_group(ModelPackageGroupName="emptied")
    assert registry.known_version(account.deployed(model_package_group="emptied"), "ab") is None


def test_the_first_model_replaces_the_bootstrap_model_without_a_comparison(account, capsys):
    checked = promotion.Checked("s3://b/m.tar.gz", "etag", CARD, "ab")
    bootstrap = Releases("bootstrap", {"bootstrap": Release("s3://b/bootstrap.tar.gz")})

    assert promote.evaluate(account.deployment, checked, "first", bootstrap, None, force=False) is None

    assert "nothing to compare with" in capsys.readouterr().out
