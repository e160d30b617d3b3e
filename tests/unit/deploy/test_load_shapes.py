"""When requests are due, what an objective says of their answers, and what follows for the settings."""

import math

import hcl2
import pytest

from deploy.console import Failure
from deploy.load import objective, recommend, shapes, tfvars
from deploy.load.client import LoadAnswer


def a_second(times: list[float], second: int) -> int:
    return sum(second <= each < second + 1 for each in times)


def test_a_constant_load_is_even():
    times = list(shapes.dues("constant", 10, 3))
    assert times == pytest.approx([each / 10 for each in range(30)])


def test_a_ramp_grows_and_a_spike_ends():
    ramp, spike = (list(shapes.dues(name, 100, 9)) for name in ("ramp", "spike"))
    assert a_second(ramp, 0) < a_second(ramp, 4) < a_second(ramp, 8)
    assert [a_second(spike, second) for second in (0, 4, 8)] == pytest.approx([20, 100, 20], abs=1)
    assert len(ramp) == pytest.approx(100 * 9 * (1 + shapes.BASE) / 2, rel=0.01)
    assert spike == sorted(spike)


def test_a_day_is_quiet_at_both_ends():
    day = list(shapes.dues("diurnal", 100, 24))
    assert a_second(day, 0) < 30 < 90 < a_second(day, 12)


def test_a_trace_is_read_from_its_first_request_on(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("time,path\n12.5,/a\n11,/b\n13,/c\n")
    assert shapes.trace(path) == [0.0, 1.5, 2.0]
    path.write_text("1\nnoon\n")
    with pytest.raises(Failure, match=r"line 2: 'noon' is not a time"):
        shapes.trace(path)
    with pytest.raises(Failure, match="cannot be read"):
        shapes.trace(tmp_path / "none.csv")


# --- objectives ---


def answers(*given: tuple[float, int]) -> list[LoadAnswer]:
    return [LoadAnswer(0, 0, latency, status) for latency, status in given]


def test_an_objective_is_read_in_any_order_with_defaults():
    assert objective.parse("errors<1%,p95<300ms") == objective.Objective(95, 0.3, 0.01)
    assert objective.parse("p50 < 2s") == objective.Objective(50, 2, 0.001)
    for wrong in ("fast", "p99<300", "p0<1s"):
        with pytest.raises(Failure, match="SLO="):
            objective.parse(wrong)


def test_goodput_counts_what_was_answered_in_time():
    asked = objective.parse("p50<300ms,errors<30%")
    got = objective.achieved(answers((0.1, 200), (0.2, 200), (0.9, 200), (0.01, 429)), asked)
    assert (got.requests, got.failed, got.throttled, got.good, got.quantile) == (4, 1, 1, 2, 0.2)
    assert got.meets(asked)
    assert not got.meets(objective.parse("p50<300ms,errors<20%"))
    assert not objective.achieved([], asked).meets(asked)
    assert math.isnan(objective.quantile([], 99))


# --- recommendations ---


def test_the_target_is_half_of_what_one_instance_answered_in_a_minute():
    measured = recommend.Measured(ceiling=40, instances=2, base=8, peak=55, call=0.08, start=95.2)
    values = {each.setting: each.value for each in recommend.recommend(measured)}
    assert values == {
        "endpoint.scaling.target": 600,  # 20 requests/s x 0.5 x 60
        "endpoint.scaling.min_instances": 1,  # 8 / 10
        "endpoint.scaling.max_instances": 6,  # 55 / 10
        "endpoint.scaling.scale_out_cooldown": 96,
        "endpoint.scaling.scale_in_cooldown": 300,
        "predictor.reserved": 5,  # 55 x 0.08 x 1.1 = 4.84
        "predictor.provisioned": 1,  # 8 x 0.08 x 1.1 = 0.70
    }


def test_without_instances_only_the_function_gets_values():
    measured = recommend.Measured(ceiling=40, instances=0, base=8, peak=55, call=0.08)
    assert [each.setting for each in recommend.recommend(measured)] == ["predictor.reserved", "predictor.provisioned"]


# --- writing them ---

TFVARS = """# The rehearsal
region = "us-east-1"

endpoint = {
  deployment = {
    bake_seconds = 0 # the rehearsal does not need to wait
  }
}

predictor = {
  reserved    = 10
  provisioned = 1 # one warm
}
"""


def test_values_are_written_in_place_and_comments_stay(tmp_path):
    values = {"endpoint.scaling.target": 600, "endpoint.scaling.max_instances": 3, "predictor.provisioned": 4}
    text = tfvars.with_values(TFVARS, values)
    path = tmp_path / "a.tfvars"
    path.write_text(text)
    with path.open() as file:
        read = hcl2.load(file)
    assert read["endpoint"]["scaling"] == {"target": 600, "max_instances": 3}
    assert read["endpoint"]["deployment"] == {"bake_seconds": 0}
    assert read["predictor"] == {"reserved": 10, "provisioned": 4}
    assert "# the rehearsal does not need to wait" in text
    assert "provisioned = 4 # one warm" in text
    assert tfvars.with_values(text, values) == text


def test_a_missing_object_is_added_and_one_on_one_line_is_refused():
    assert tfvars.with_values("", {"predictor.reserved": 2}) == "predictor = {\n  reserved = 2\n}\n"
    with pytest.raises(ValueError, match="over several lines"):
        tfvars.with_values("predictor = { reserved = 1 }\n", {"predictor.reserved": 2})
