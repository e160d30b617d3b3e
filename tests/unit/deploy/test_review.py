"""A review: which images it shows and in which order, that labels survive, and the next version of a dataset."""

from __future__ import annotations

import http.client
import io
import json
import threading
from collections.abc import Iterator

import pytest
from PIL import Image

from deploy import datasets
from deploy.console import Failure
from deploy.evaluation import new_version
from deploy.review import session, version
from deploy.review.captures import Captured, image_path
from deploy.review.decisions import Decisions
from deploy.review.order import sorted_for_review, uncertainty
from deploy.review.server import ReviewServer
from deploy.review.session import Session
from tests.unit.deploy.review_support import BUCKET, picture, put_capture, put_dataset


def open_review(account, most: int = 200) -> Session:
    base = version.base_of(account.deployment, None)
    return session.begin(account.deployment, base, version.chosen_name(account.deployment, base, None), most)


def shown(review: Session) -> list[bytes]:
    return [image_path(review.folder, item.id).read_bytes() for item in review.items]


def objects(account, prefix: str) -> dict[str, bytes]:
    s3 = account.client("s3")
    return {
        key.removeprefix(prefix): s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in account.stored(prefix)
    }


# ---- which images, in which order -----------------------------------------------------------------------------


def item(identity: str, *probabilities: float, distance: float | None = None) -> Captured:
    pairs = tuple((str(number), each) for number, each in enumerate(probabilities))
    return Captured(identity, "image/png", "", pairs, None, distance, "")


def test_the_uncertain_and_the_distant_images_come_first_in_turn():
    items = [
        item("sure", 0.99, 0.01, distance=0.1),
        item("far", 0.9, 0.1, distance=3.0),
        item("tie", 0.5, 0.5, distance=0.3),
        item("farther", 0.95, 0.05, distance=5.0),
        item("close", 0.6, 0.4, distance=0.2),
    ]
    assert [each.id for each in sorted_for_review(items)] == ["farther", "tie", "far", "close", "sure"]


def test_without_distances_the_uncertainty_decides():
    items = [item("a", 0.9, 0.1), item("b", 0.5, 0.4), item("c", 0.7, 0.2)]
    assert [each.id for each in sorted_for_review(items)] == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("probabilities", "wanted"), [((0.5, 0.5), 1.0), ((1.0, 0.0), 0.0), ((0.7,), 0.6), ((0.3,), 1.0)]
)
def test_uncertainty_is_one_less_the_margin(probabilities, wanted):
    assert uncertainty(item("a", *probabilities)) == pytest.approx(wanted)


def test_the_newest_captures_are_shown_each_image_once_and_broken_records_are_counted(account):
    put_dataset(account)
    for number, hour in enumerate(("2026/11/28/23", "2026/11/29/09", "2026/11/29/10")):
        put_capture(account, picture(100 + number), hour=hour)
    put_capture(account, picture(101), hour="2026/11/29/11", name="again")
    account.client("s3").put_object(Bucket=BUCKET, Key="captures/2026/11/29/12/x.jsonl", Body=b'{"captureData": 3}\n')

    review = open_review(account, most=4)

    assert sorted(shown(review)) == sorted([picture(101), picture(102)])
    assert review.left_out == ["1 captured image has a record that cannot be read"]


def test_an_image_like_a_held_out_photograph_or_of_train_is_not_shown(account):
    put_dataset(account)
    put_capture(account, picture(0))  # in train, byte for byte
    encoded_again = io.BytesIO()
    Image.open(io.BytesIO(picture(11))).save(encoded_again, "WEBP", lossless=True)
    put_capture(account, encoded_again.getvalue())  # looks like one in test
    put_capture(account, b"\x89PNG\r\n\x1a\nnot a picture")
    put_capture(account, picture(50))

    review = open_review(account)

    assert shown(review) == [picture(50)]
    assert review.left_out == [
        "1 captured image looks like a photograph of the validation or test split",
        "1 captured image is a copy of another one or of one in train",
        "1 captured image cannot be decoded",
    ]


def test_what_the_bucket_deletes_is_deleted_here_too_unless_it_has_a_label(account):
    put_dataset(account)
    for seed in (50, 51, 52):
        put_capture(account, picture(seed), name=str(seed))
    review = open_review(account)
    labelled, unknown, _ = (each.id for each in review.items)
    review.decide(labelled, "001.cat")
    review.decide(unknown, None)
    review.decisions.close()
    for seed in (50, 51, 52):
        account.client("s3").delete_object(Bucket=BUCKET, Key=f"captures/2026/11/29/12/{seed}.jsonl")

    again = open_review(account)

    assert [each.id for each in again.items] == [labelled]
    assert [path.name for path in (again.folder / "images").iterdir()] == [labelled]
    assert again.state()["to_add"] == 1


# ---- labels ---------------------------------------------------------------------------------------------------


def test_labels_survive_a_stop_in_the_middle_of_a_line_and_an_undo(tmp_path):
    path = tmp_path / "decisions.jsonl"
    first = Decisions(path)
    first.label("a", "cat")
    first.label("b", None)
    first.label("c", "dog")
    first.undo("c")
    first.added("a", "pets-v2")
    first.close()
    path.write_bytes(path.read_bytes() + b'{"image": "d", "lab')

    again = Decisions(path)
    again.label("e", "dog")
    again.close()

    last = Decisions(path)
    assert (last.labels, last.done) == ({"b": None, "e": "dog"}, {"a"})


def test_a_second_review_at_the_same_time_is_refused(tmp_path):
    first = Decisions(tmp_path / "decisions.jsonl")
    with pytest.raises(Failure, match="Another `make review` runs already"):
        Decisions(tmp_path / "decisions.jsonl")
    first.close()
    Decisions(tmp_path / "decisions.jsonl").close()


# ---- the next version -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "known", "wanted"),
    [
        ("dogs", ["dogs"], "dogs-v2"),
        ("dogs-v2", ["dogs", "dogs-v2"], "dogs-v3"),
        ("dogs", ["dogs", "dogs-v2", "dogs-v3"], "dogs-v4"),
        ("dogs-v", [], "dogs-v-v2"),
    ],
)
def test_versions_have_numbers(base, known, wanted):
    assert version.next_name(base, known) == wanted


def test_labelled_images_go_into_train_of_the_next_version_and_the_other_splits_stay(account):
    put_dataset(account)
    for seed in (50, 51, 52):
        put_capture(account, picture(seed))
    review = open_review(account)
    cat, dog, neither = (each.id for each in review.items)
    review.decide(cat, "001.cat")
    review.decide(dog, "002.dog")
    review.decide(neither, None)
    before = objects(account, "datasets/pets/")
    # What an attempt left that was interrupted: a copy, and an image whose label was changed after it.
    s3 = account.client("s3")
    s3.put_object(Bucket=BUCKET, Key="datasets/pets-v2/train/001.cat/0.png", Body=b"old")
    s3.put_object(Bucket=BUCKET, Key="datasets/pets-v2/train/001.cat/captured-old.png", Body=b"old")

    done = review.add()

    after = objects(account, "datasets/pets-v2/")
    document = json.loads(after.pop("dataset.json"))
    assert objects(account, "datasets/pets/") == before
    before.pop("dataset.json")
    added = {key: content for key, content in after.items() if key not in before}
    assert {key: after[key] for key in before} == before
    assert added == {
        f"train/001.cat/captured-{cat[:16]}.png": image_path(review.folder, cat).read_bytes(),
        f"train/002.dog/captured-{dog[:16]}.png": image_path(review.folder, dog).read_bytes(),
    }
    assert (document["from"], document["reviewed"], document["images"]) == (
        "pets",
        2,
        {"train": 6, "valid": 4, "test": 4},
    )
    assert (done["name"], done["added"]) == ("pets-v2", 2)
    assert datasets.resolve(account.deployment, None).name == "pets-v2"
    assert (review.base.name, review.name, review.state()["to_add"]) == ("pets-v2", "pets-v3", 0)
    with pytest.raises(Failure, match="No image has a label"):
        review.add()


def test_a_job_on_a_version_names_the_dataset_before_it(account):
    put_dataset(account)
    put_capture(account, picture(50))
    review = open_review(account)
    review.decide(review.items[0].id, "001.cat")
    review.add()
    found = []
    for name in ("pets-v2", "pets", "none"):
        source = {"S3DataSource": {"S3Uri": f"s3://{BUCKET}/datasets/{name}/test/"}}
        job = {"InputDataConfig": [{"ChannelName": "test", "DataSource": source}]}
        found.append(new_version.previous_version(account.deployment, job))
    assert found == ["pets", None, None]


def test_a_name_that_the_bucket_has_is_refused(account):
    put_dataset(account)
    base = version.base_of(account.deployment, "pets")
    with pytest.raises(Failure, match="has a dataset pets already"):
        version.chosen_name(account.deployment, base, "Pets")
    with pytest.raises(Failure, match="The bucket has: pets"):
        version.base_of(account.deployment, "dogs")


# ---- the server -----------------------------------------------------------------------------------------------


@pytest.fixture
def server(account) -> Iterator[ReviewServer]:
    put_dataset(account)
    put_capture(account, picture(50))
    with ReviewServer(open_review(account)) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def ask(server: ReviewServer, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    sent = {"Content-Type": "application/json"} if method == "POST" else {}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, json.dumps(body) if method == "POST" else None, {**sent, **named})
    response = connection.getresponse()
    content = response.read()
    return response.status, json.loads(content) if response.headers["Content-Type"] == "application/json" else {}


def test_the_server_keeps_a_label_and_refuses_what_is_not_one(server):
    identity = server.session.items[0].id
    assert ask(server, "POST", "/decide", {"id": identity, "label": "002.dog"}) == (200, {"to_add": 1})
    for wrong in ({"id": identity, "label": "horse"}, {"id": "f" * 64, "label": "002.dog"}, {"id": identity}, [], 3):
        assert ask(server, "POST", "/decide", wrong)[0] == 400
    assert server.session.decisions.labels == {identity: "002.dog"}
    assert ask(server, "GET", f"/image/{identity}")[0] == 200
    assert ask(server, "GET", f"/image/{'f' * 64}")[0] == 404
    assert ask(server, "POST", "/undo", {"id": identity}) == (200, {"to_add": 0})


def test_a_page_of_another_site_decides_nothing(server):
    identity = server.session.items[0].id
    for headers, status in (
        ({"Host": "evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Content_Type": "text/plain"}, 415),
    ):
        assert ask(server, "POST", "/decide", {"id": identity, "label": "002.dog"}, **headers)[0] == status
    assert server.session.decisions.labels == {}
