"""Traces, calibration, search and report of `make capacity`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deploy.capacity import report, search, traces
from deploy.capacity.calibration import Calibration, calibrate
from deploy.capacity.plan import CandidatePlan
from deploy.capacity.simulate import simulate
from deploy.capacity.system import Times
from deploy.capacity.trace import Trace
from deploy.console import Failure
from deploy.costs.price_list import PriceList
from deploy.load import measurement
from deploy.load import objective as objectives
from deploy.load.measurement import Measurement

PRICES = PriceList("us-east-1")
OBJECTIVE = objectives.parse("p99<300ms,errors<1%")
FOUND = Calibration(Times.fixed(0.05), 2, Times.fixed(0.01), Times.fixed(240.0), "ml.m5.large", "made up")
MEASURED = Measurement("url", "instances", "ml.m5.large", 1, 62.0, [0.05, 0.05, 0.06], 0.031, None, "today")


def file(tmp_path: Path, name: str, text: str) -> str:
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


CLF = '10.0.0.{0} - - [01/Nov/2026:10:00:{0:02} +0100] "POST / HTTP/1.1" 200 512\n'
ALB = "https 2026-11-01T09:00:{:02}.500Z app/web/1 10.0.0.1:1 - 0.1\n"
METRIC = {
    "MetricDataResults": [
        {
            "Id": "m",
            "Timestamps": ["2026-11-01T09:10:00+00:00", "2026-11-01T09:00:00+00:00", "2026-11-01T09:05:00Z"],
            "Values": [30.0, 10.0, 20.0],
        }
    ]
}


@pytest.mark.parametrize(
    ("name", "text", "counts", "width", "begin"),
    [
        ("times.csv", "time\n100.2\n101\n103.5\n", [2, 0, 0, 1], 1, 0),
        ("counts.csv", "time,requests\n0,5\n60,7\n180,1\n", [5, 7, 0, 1], 60, 0),
        ("iso.csv", "2026-11-01T09:00:00Z,5\n2026-11-01T10:00:00Z,7\n", [5, 7], 3600, 1_793_523_600),
        ("metric.json", json.dumps(METRIC), [10, 20, 30], 300, 1_793_523_600),
        ("access.log", "".join(map(CLF.format, (0, 0, 3))), [2, 0, 0, 1], 1, 1_793_523_600),
        ("alb.log", "".join(map(ALB.format, (7, 9))), [1, 0, 1], 1, 1_793_523_607),
    ],
)
def test_a_trace_is_read_from_each_form(tmp_path, name, text, counts, width, begin):
    trace = traces.read(file(tmp_path, name, text), None, 0)
    assert (trace.counts.tolist(), trace.width, trace.begin) == (counts, width, begin)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "time,requests\n0,5\nx,7\n", "line 3: 'x,7' is not a time and a number"),
        ("a.csv", "0,5\n60,-7\n", "negative"),
        ("a.csv", "0,5\n", "1 points in time"),
        ("a.json", "{}", "lacks MetricDataResults"),
        ("a.json", "no", "is not JSON"),
        ("a.json", json.dumps({"MetricDataResults": METRIC["MetricDataResults"] * 2}), "has 2 metrics (m, m)"),
        ("a.log", "hello\nworld\n", "2 of 2 lines have no time"),
        ("a.csv", "0,0\n60,0\n", "has no request"),
    ],
)
def test_a_file_that_is_not_a_trace_is_refused_with_words(tmp_path, name, text, words):
    with pytest.raises(Failure, match=words.replace("(", r"\(").replace(")", r"\)")):
        traces.read(file(tmp_path, name, text), None, 0)


def test_a_shape_needs_a_rate_and_a_file_is_scaled_to_one(tmp_path):
    with pytest.raises(Failure, match="RATE=20"):
        traces.read("spike", None, 60)
    with pytest.raises(Failure, match="neither a file nor a shape"):
        traces.read("nowhere", 1, 60)
    assert traces.read("spike", 30, 90).counts[[0, 45, 89]].tolist() == [6, 30, 6]
    assert traces.read(file(tmp_path, "a.csv", "0,6\n60,12\n"), 2.0, 0).counts.tolist() == [60, 120]


def test_a_trace_gives_each_tick_its_requests():
    trace = Trace(np.array([60.0, 120.0, 0.0]), 60.0)
    assert [trace.in_tick(0, 60), trace.in_tick(30, 90), trace.in_tick(90, 100)] == [60, 90, 20]
    assert trace.in_tick(150, 400) == 0 and len(trace.single(np.random.default_rng(1))) == 180


def test_a_measurement_calibrates_to_its_ceiling(tmp_path):
    MEASURED.save(tmp_path / "20260101-000000.json")
    found = calibrate(measurement.load(measurement.newest(tmp_path)), "file")
    assert (found.servers, found.ceiling) == (2, pytest.approx(62.0))
    assert found.overhead.mean == pytest.approx(0.05 - 0.031)
    assert found.servers_of("ml.c5.xlarge") == 4
    assert "assumed" in found.words and "given" in calibrate(MEASURED, "x", 100.0).words
    with pytest.raises(Failure, match="make load-test"):
        measurement.load(Path(file(tmp_path, "b.json", '{"a": 1}')))


def test_the_search_finds_the_cheapest_plan_and_a_budget_refuses_it():
    trace = traces.read("spike", 60, 420)
    tried = search.search(trace, FOUND, OBJECTIVE, PRICES, types=["ml.m5.large"])
    only = search.search(trace, FOUND, OBJECTIVE, PRICES, kinds=["in-function"])
    assert {each.plan.kind for each in only} == {"in-function"}
    chosen = search.cheapest(tried, trace, FOUND, OBJECTIVE, PRICES)
    assert chosen is not None and chosen.cost == min(each.cost for each in tried if each.meets)
    assert {each.plan.kind for each in tried} == {"instances", "serverless", "in-function"}
    assert any(not each.meets for each in tried), "one instance does not answer 60 a second"
    assert search.cheapest(tried, trace, FOUND, OBJECTIVE, PRICES, budget=chosen.cost - 0.01) is None
    instances = [each for each in tried if each.plan.kind == "instances" and each.meets]
    assert all(each.instances >= 1 for each in instances)


def test_types_that_cannot_be_scaled_or_priced_are_refused():
    for kind, words in (("ml.t3.medium", "burstable"), ("ml.x9.large", "no price"), ("c5.large", "no price")):
        with pytest.raises(Failure, match=words):
            search.require_types([kind], PRICES)


def test_a_fleet_costs_its_instances_and_its_calls():
    plan = CandidatePlan("instances", 100, 0, "ml.m5.large", least=2, most=2, target=600.0)
    trace = Trace(np.full(600, 10.0), 1.0)
    got = search.attempt(plan, trace, FOUND, OBJECTIVE, PRICES)
    calls = 6_000 * (0.20e-6 + 0.06 * 0.0000133334) + 6_000 * 101 / 1024**2 * 0.016
    assert got.cost == pytest.approx((2 * 0.115 + 6 * calls) * 730, rel=0.02)
    warm = search.attempt(replace(plan, provisioned=4), trace, FOUND, OBJECTIVE, PRICES)
    assert warm.cost - got.cost == pytest.approx(
        4 * 3600 * 730 * 0.0000033334 - 730 * 36_000 * 0.06 * 5.5556e-6, rel=0.1
    )


def test_the_page_has_the_plans_the_picture_and_the_settings(tmp_path):
    plan = CandidatePlan("instances", 100, 0, "ml.m5.large", least=1, most=2, target=600.0)
    trace = Trace(np.full(600, 10.0), 1.0, name="a <trace>")
    result = simulate(plan.system(FOUND), trace)
    one = search.judged(plan, result, OBJECTIVE, PRICES)
    other = replace(one, meets=False, cost=None)
    made = report.CapacityReport("title", trace, OBJECTIVE, "words", [one, other], one, result, 500.0)
    page, picture = made.write(tmp_path, "x")
    text = page.read_text()
    for part in ("a &lt;trace&gt;", "endpoint.scaling.target", "1 to 2 ml.m5.large", "not known", "data:image/png"):
        assert part in text
    assert Image.open(picture).size[0] >= 1000
