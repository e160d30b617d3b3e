"""Captured images: what is kept and what is not, the share of them, and that a failure costs no answer."""

import base64
import io
import json
from datetime import UTC, datetime

import pytest
from PIL import Image
from predictor.capture import Capture, record
from predictor.endpoint import Endpoint
from predictor.service import Predictor
from predictor.urls import Policy
from predictor_support import ANSWER, Context, image_event, json_event
from predictor_support import JPEG as WITHOUT_PARTS

from deploy.review.captures import read_record


def picture(kind: str) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(made, kind)
    return made.getvalue()


JPEG, PNG = picture("JPEG"), picture("PNG")
PLACE = "s3://photographs/captures/"
KNOWING = {**ANSWER, "known": False, "distance": 1.5, "explanation": {"label": "beagle", "heat": [[0.5]]}}


@pytest.fixture
def stored(fake_endpoint) -> dict[str, bytes]:
    """The objects that S3 got. S3 and the endpoint have the same address here."""
    objects: dict[str, bytes] = {}

    def reply(received):
        if received.path.startswith("/photographs/"):
            objects[received.path] = received.body
            return 200, {}, b""
        return 200, {}, json.dumps(KNOWING).encode()

    fake_endpoint.reply = reply
    return objects


def capturing(percent: float = 100, chance: float = 0.0) -> Predictor:
    return Predictor(Endpoint("pawprint"), Policy(), "INFO", capture=Capture(PLACE, percent, lambda: chance))


def test_an_image_and_its_answer_are_kept_in_a_record_that_the_review_reads(stored):
    event = image_event(JPEG, query={"explain": "1"})
    event["requestContext"]["http"]["sourceIp"] = "203.0.113.7"
    assert capturing().answer(event, Context())["statusCode"] == 200

    [(path, line)] = stored.items()
    item, image = read_record(line)
    now = datetime.now(UTC)
    assert path.startswith(f"/photographs/captures/{now:%Y/%m/%d}/")
    assert path.endswith("/4d7f-request-1.jsonl")
    assert (image, item.content_type, item.known, item.distance) == (JPEG, "image/jpeg", False, 1.5)
    assert item.predictions == (("beagle", 0.9), ("boxer", 0.1))
    assert b"203.0.113.7" not in line
    assert b"heat" not in line


def test_each_of_several_images_is_an_object(stored):
    images = [_text(each) for each in (JPEG, PNG)]
    assert capturing().answer(json_event({"images": images}), Context())["statusCode"] == 200
    assert [read_record(line)[1] for line in stored.values()] == [JPEG, PNG]


@pytest.mark.parametrize(("chance", "kept"), [(0.049, 1), (0.05, 0), (0.99, 0)])
def test_the_percentage_is_the_share_that_is_kept(stored, chance, kept):
    capturing(5, chance).answer(image_event(JPEG), Context())
    assert len(stored) == kept


def test_a_capture_that_fails_costs_no_answer_and_is_in_the_log(stored, fake_endpoint, capsys):
    answers = fake_endpoint.reply
    fake_endpoint.reply = lambda got: (403, {}, b"") if got.path.startswith("/photographs/") else answers(got)
    assert capturing().answer(image_event(JPEG), Context())["statusCode"] == 200
    line = json.loads(capsys.readouterr().out)
    assert (line["captured"], line["capture_failed"]) == (0, "OSError: S3 answered 403")


def test_an_image_whose_metadata_cannot_be_found_is_not_kept(stored, capsys):
    assert capturing().answer(image_event(WITHOUT_PARTS), Context())["statusCode"] == 200
    assert stored == {}
    assert "cannot be found" in json.loads(capsys.readouterr().out)["capture_failed"]


def test_the_place_of_a_photograph_is_not_kept(stored):
    made = io.BytesIO()
    exif = Image.Exif()
    exif.get_ifd(0x8825)[0x001D] = "2026:11:29"
    Image.new("RGB", (8, 8), "red").save(made, "JPEG", exif=exif)
    assert b"2026:11:29" in made.getvalue()
    capturing().answer(image_event(made.getvalue()), Context())
    [(_, line)] = stored.items()
    assert b"2026:11:29" not in read_record(line)[1]


def test_without_the_setting_and_without_an_answer_nothing_is_kept(stored, predictor):
    predictor.answer(image_event(JPEG), Context())
    capturing().answer(image_event(b"not an image"), Context())
    assert stored == {}


@pytest.mark.parametrize(("place", "percent"), [("photographs/", 5), ("s3://photographs", 5), (PLACE, 0), (PLACE, 101)])
def test_a_place_or_a_percentage_that_is_not_one_fails_the_start(place, percent):
    with pytest.raises(ValueError, match="CAPTURE"):
        Capture(place, percent)


def test_the_log_counts_unknown_pictures_and_has_the_mean_distance(stored, fake_endpoint, predictor, capsys):
    answers = iter([{**ANSWER, "known": True, "distance": 0.5}, KNOWING])
    fake_endpoint.reply = lambda _: (200, {}, json.dumps(next(answers)).encode())
    predictor.answer(json_event({"images": [_text(JPEG), _text(PNG)]}), Context())
    line = json.loads(capsys.readouterr().out)
    assert (line["judged"], line["unknown"], line["distance"]) == (2, 1, 1.0)


def test_a_record_has_the_fields_of_sagemakers_data_capture():
    written = json.loads(record(JPEG, "image/jpeg", ANSWER, "id", datetime(2026, 11, 29, 12, tzinfo=UTC)))
    assert written["eventMetadata"] == {"eventId": "id", "inferenceTime": "2026-11-29T12:00:00Z"}
    assert written["captureData"]["endpointInput"]["encoding"] == "BASE64"
    assert json.loads(written["captureData"]["endpointOutput"]["data"]) == ANSWER


def _text(image: bytes) -> str:
    return base64.b64encode(image).decode()
