"""The report of a load test: its numbers, its picture, and no text of others as markup."""

import math

import pytest
from PIL import Image

from deploy.commands import load_test
from deploy.console import Failure
from deploy.load import objective as objectives
from deploy.load.client import LoadAnswer
from deploy.load.objective import Achieved, achieved
from deploy.load.observe import Observed
from deploy.load.recommend import Recommendation
from deploy.load.report import LoadReport, cap_words, latencies, per_second
from deploy.load.search import SearchStep, ceiling

OBJECTIVE = objectives.parse("p50<300ms,errors<50%")
ANSWERS = [LoadAnswer(0.1, 0.1, 0.2, 200), LoadAnswer(0.2, 0.2, 0.9, 200), LoadAnswer(2.0, 2.1, 2.2, 429)]


def test_the_page_has_the_numbers_the_picture_and_the_reasons(tmp_path):
    got = achieved(ANSWERS, OBJECTIVE)
    observed = Observed({"instances": [(0.0, 1), (2.0, 2)], "function_starts": [(1.0, 1.0)], "spillover": []})
    advice = [Recommendation("predictor.reserved", 7, "because <b>")]
    steps = [SearchStep(1, 12.5, got)]
    report = LoadReport("pets & co", OBJECTIVE, steps, 12.5, ANSWERS, got, observed, 0.0, 64, advice)
    page, picture = report.write(tmp_path / "new", "test")
    text = page.read_text()
    for part in (
        "pets &amp; co",
        "predictor.reserved",
        "because &lt;b&gt;",
        "12.5 requests/s",
        "1 throttled (429)",
        "met",
    ):
        assert part in text
    assert "data:image/png;base64," in text
    assert Image.open(picture).size[0] >= 1000


def test_answers_are_counted_by_second_and_latencies_by_when_they_were_due():
    assert per_second([0.1, 0.9, 2.5]) == ([0, 1, 2], [2, 0, 1])
    assert per_second([]) == ([0], [0])
    assert [second for second, _ in latencies(ANSWERS)[50]] == [0]  # the 429 has none


def test_a_cap_that_was_never_reached_is_not_reported_as_reached():
    assert "never needed" in cap_words(0.0, 64)
    assert "64 requests at a time were too few for 1.5 s" in cap_words(1.5, 64)


def test_the_ceiling_is_the_highest_rate_that_met_the_objective():
    good, bad = achieved(ANSWERS[:1], OBJECTIVE), achieved(ANSWERS[2:], OBJECTIVE)
    assert ceiling([SearchStep(1, 10, good), SearchStep(2, 18, good), SearchStep(4, 19, bad)], OBJECTIVE) == 18
    assert ceiling([SearchStep(1, 10, bad)], OBJECTIVE) == 0


@pytest.mark.parametrize(("throttled", "refused"), [(0, True), (2, False)])
def test_a_service_that_answers_nothing_is_not_measured(monkeypatch, throttled, refused):
    nothing = SearchStep(1, 0.0, Achieved(2, 2, throttled, 0, math.nan))
    monkeypatch.setattr(load_test.search, "steps", lambda *_: iter([nothing]))
    if refused:
        with pytest.raises(Failure, match=r"None of 2 requests was answered.*make predict"):
            load_test.find_ceiling(None, OBJECTIVE, 8)
    else:
        assert load_test.find_ceiling(None, OBJECTIVE, 8) == ([nothing], 0.0)
