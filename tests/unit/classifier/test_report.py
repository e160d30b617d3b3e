"""The report as a page: its content, and that no value from outside can become markup."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from classifier.results import charts, evaluation
from classifier.results import page as report_page
from PIL import Image

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</style><script>alert(2)</script>",
    "javascript:alert(3)",
    "evil\u202elmth.exe",
    "no text \udc80",
)


def content(labels: tuple[str, ...], predicted: list[int], targets: list[int], **more) -> dict:
    """The content of metrics.json for a test split with these predictions."""
    matrix = evaluation.confusion(np.array(targets), np.array(predicted), len(labels))
    wrong = [(t, p) for t, p in zip(targets, predicted, strict=True) if t != p][:12]
    return {
        "name": "run-1",
        "architecture": "efficientnet-lite0",
        "created": "2026-11-22T20:15:30Z",
        "model": {"precision": "fp32"},
        "metrics": {
            "test_accuracy": float(matrix.trace() / matrix.sum()),
            "test_loss": 0.3,
            "valid_accuracy": 0.95,
            "valid_loss": 0.17,
        },
        "settings": {"fine_tune": False, "epochs": 30, "lr": None, "seed": 7},
        "learning_rate": 0.001,
        "images": {"train": 1680, "valid": 360, "test": len(targets)},
        "classes": list(labels),
        "labels": list(labels),
        "confusion": matrix.tolist(),
        "mistakes": [
            {"file": f"{labels[t]}/{row}.jpg", "true": labels[t], "predicted": labels[p], "probability": 0.9}
            for row, (t, p) in enumerate(wrong)
        ],
        "findings": [],
        "history": [
            {"epoch": n, "train_loss": 1 / n, "valid_loss": 1.1 / n, "valid_accuracy": 1 - 0.4 / n, "seconds": 0.1}
            for n in range(1, 10)
        ],
        "seconds": {"features": 20.0, "train": 10.0},
        "autotune": [],
        "preset": [],
        "instance": {"type": "ml.m5.xlarge", "count": 2, "processes": 2},
        "machine": {"threads": 4, "workers": None},
        "hardware": {"processor": "a processor", "memory_gb": 16.0},
        "cost": {"usd": 0.0019, "hourly_usd": 0.23, "text": "$0.0019 (2 x ml.m5.xlarge)"},
        "data_sha256": "da7a" * 16,
        "code_sha256": "c0de" * 16,
        "libraries": {"torch": "2.14.1"},
        **more,
    }


def render(made: dict) -> str:
    return report_page.render(made, [Image.new("RGB", (8, 8), "red") for _ in made["mistakes"]])


def words(html: str) -> str:
    """The text of a piece of a page, on one line."""
    return " ".join(re.sub("<[^>]*>", " ", re.sub("</?(bdi|b)>", "", html)).split())


class Page(HTMLParser):
    """The elements and attributes that a browser would see, and the text."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def rows(self, page: str, kind: str) -> list[str]:
        table = re.search(rf'<table class="{kind}">(.*?)</table>', page, re.S)[1]
        return [words(row) for row in re.findall("<tr>(.*?)</tr>", table, re.S)]


def test_a_report_of_two_classes_shows_everything():
    made = content(("cat", "dog"), [0, 0, 0, 1, 1, 1, 1, 0], [0, 0, 0, 0, 1, 1, 1, 1])
    html = render(made)
    page = Page(html)
    for shown in (
        *("75.0%", "95% interval: 40.9% to 92.9%", "95.0%", "$0.0019", "30 s", "9 epochs"),
        *("lr 0.001", "seed 7", "threads 4", "memory (GB) 16", "da7a" * 16, "c0de" * 16, "torch 2.14.1"),
        *("features 20.0 s", "2 x ml.m5.xlarge", "2026-11-22 20:15:30 UTC", "actual cat", "predicted dog, 90%"),
    ):
        assert shown in words(html), shown
    assert page.rows(html, "classes")[1:] == ["cat 4 0.75 0.75 0.75", "dog 4 0.75 0.75 0.75"]
    assert '<table class="confusion' in html
    assert [tag for tag, _ in page.tags].count("svg") == 2


def test_a_report_says_how_far_to_trust_an_answer():
    made = content(
        ("cat", "dog"),
        [0, 1],
        [0, 1],
        calibration={"temperature": 1.25, "test_ece_before": 0.031, "test_ece": 0.012},
        reliability={name: [{"images": 2, "probability": 0.9, "accuracy": 1.0}] for name in ("before", "after")},
        known={"wanted_accepted": 0.95, "test_accepted": 0.944, "photographs": 1680, "kilobytes": 763},
    )
    html = render(made)
    for shown in ("is 1.2%, and was 3.1% before", "1.25, which is part", "95% of them", "94.4% are", "1,680", "763 kB"):
        assert shown in words(html), shown
    assert 'aria-label="accuracy by probability"' in html
    few = words(render(made | {"known": {}}))
    assert "Not one of the classes" not in few, "there were too few photographs"


def test_the_worst_classes_and_the_most_confused_pairs_come_first():
    labels = ("a", "b", "c")
    html = render(content(labels, [0, 0, 0, 0, 2, 2, 1, 2, 0, 2], [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]))
    page = Page(html)
    assert [row.split()[0] for row in page.rows(html, "classes")[1:]] == ["b", "c", "a"]
    assert page.rows(html, "pairs") == [
        "actual predicted images share of the actual class",
        "b c 2 67% of 3",
        "c a 1 33% of 3",
    ]


def test_many_classes_are_a_picture_a_list_of_pairs_and_a_table_in_two_parts():
    random = np.random.default_rng(0)
    targets = np.arange(836) % 133
    predicted = np.where(random.random(836) < 0.8, targets, random.integers(0, 133, 836))
    html = render(content(tuple(f"breed {n:03}" for n in range(133)), predicted.tolist(), targets.tolist()))
    assert '<table class="confusion' not in html
    assert 'alt="confusion matrix of 133 classes"' in html
    assert "113 more classes" in html
    assert html.count("</tr>") > 133 + 15
    assert len(html) < 2_000_000


def test_a_run_without_a_mistake_and_with_one_epoch_has_a_page_too():
    made = content(("cat", "dog"), [0, 1], [0, 1])
    html = render(made | {"history": made["history"][:1]})
    assert "predicted the class of every test image correctly" in html
    assert "1 epoch<" in html
    assert "None." in html


def test_the_page_loads_nothing_and_no_script_can_run():
    labels = HOSTILE
    targets = list(range(len(labels))) * 2
    predicted = [*range(len(labels)), *reversed(range(len(labels)))]
    finding = {"title": HOSTILE[0], "examples": HOSTILE, "stops": True}
    more = {
        "name": HOSTILE[1],
        "architecture": HOSTILE[2],
        "findings": [finding],
        "settings": {"fine_tune": False, HOSTILE[0]: HOSTILE[1], "lr": None},
        "hardware": {HOSTILE[2]: HOSTILE[3]},
        "libraries": {HOSTILE[3]: HOSTILE[0]},
        "instance": {"type": HOSTILE[1], "count": 1, "processes": 1},
        "cost": {"usd": None, "hourly_usd": None, "text": HOSTILE[0]},
        "seconds": {HOSTILE[1]: 1.0},
        "autotune": [{HOSTILE[0]: HOSTILE[1], "chosen": True}],
        "model": {"precision": HOSTILE[1]},
        "machine": {"threads": HOSTILE[2]},
        "created": HOSTILE[1],
        "data_sha256": HOSTILE[0],
        "code_sha256": HOSTILE[0],
    }
    html = render(content(labels, predicted, targets, **more))
    many = render(content(labels * 4, predicted, targets, **more))
    for page in (Page(html.encode("utf-8", "replace").decode()), Page(many.encode("utf-8", "replace").decode())):
        assert not {"script", "object", "iframe", "link", "form", "base"} & {tag for tag, _ in page.tags}
        attributes = [item for _, attributes in page.tags for item in attributes.items()]
        assert [name for name, _ in attributes if name.startswith("on")] == []
        assert all(value.startswith("data:image/") for name, value in attributes if name in ("src", "href"))
        assert "url(" not in page.text and "@import" not in page.text
    policy = next(attrs["content"] for tag, attrs in Page(html).tags if "http-equiv" in attrs)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert Page(html).text.count("<script>alert(1)</script>") > 5, "names are shown as they are"


def test_findings_of_the_data_checks_are_at_the_top():
    leak = {
        "title": "3 photographs are in more than one split",
        "examples": ("train/a.jpg = test/a.jpg",),
        "stops": True,
    }
    few = {"title": "1 class has very few images", "examples": ("cat: 2 in test",), "stops": False}
    html = render(content(("cat", "dog"), [0, 1], [0, 1], findings=[leak, few]))
    assert html.index('class="box stop"') < html.index('class="box warn"') < html.index("test accuracy")
    assert "overestimate the model" in html


def test_the_trials_of_autotuning_are_a_table():
    records = [{"runtime": "openvino", "threads": 2, "memory_format": None, "chosen": True}]
    html = render(content(("cat", "dog"), [0, 1], [0, 1], autotune=records))
    assert "memory format" in html and "chosen" in html


# ---- evaluation -----------------------------------------------------------------------------------------------


def test_precision_recall_and_f1_are_those_of_the_matrix():
    matrix = np.array([[3, 1, 0], [2, 2, 0], [1, 1, 0]])
    scores = evaluation.by_class(matrix, ("a", "b", "c"))
    assert [score.precision for score in scores] == [0.5, 0.5, None]
    assert [score.recall for score in scores] == [0.75, 0.5, 0.0]
    assert [score.f1 for score in scores] == pytest.approx([0.6, 0.5, 0.0])
    assert [score.name for score in sorted(scores, key=lambda score: score.rank)] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("accuracy", "images", "bounds"),  # of Wilson's interval, from the formula in its article of 1927
    [(0.9, 100, (0.8256, 0.9448)), (1.0, 10, (0.7225, 1.0)), (0.0, 10, (0.0, 0.2775))],
)
def test_the_interval_of_an_accuracy(accuracy, images, bounds):
    assert evaluation.interval(accuracy, images) == pytest.approx(bounds, abs=1e-4)


@pytest.mark.parametrize(
    ("low", "high", "percent", "ticks"),
    [
        (0.0, 2.55, False, [0, 1, 2, 3]),
        (0.942, 0.9611, True, [0.94, 0.95, 0.96, 0.97]),
        (0.1, 1.0, True, [0.0, 0.25, 0.5, 0.75, 1.0]),
        (0.88, 0.97, True, [0.85, 0.9, 0.95, 1.0]),
        (1.0, 1.0, True, [0.9, 0.95, 1.0]),
    ],
)
def test_axes_have_round_ticks_that_contain_the_values(low, high, percent, ticks):
    bottom, top, made = charts._scale(low, high, percent)
    assert made == pytest.approx(ticks)
    assert bottom <= low and high <= top
