"""The cost of a run: known types, unknown types, and a price from the user."""

import pytest
from classifier import prices


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch):
    monkeypatch.delenv(prices.OVERRIDE, raising=False)


def test_a_run_costs_its_time_on_every_instance():
    assert prices.cost("ml.m5.xlarge", 1800, instances=2).usd == pytest.approx(0.23)
    assert str(prices.cost("c7i.xlarge", 250)) == (
        f"$0.012 (c7i.xlarge for 4 min 10 s at $0.1785 an hour, on-demand list price of us-east-1 as of {prices.AS_OF})"
    )


@pytest.mark.parametrize(
    ("instance_type", "hourly"),
    [("c7i.large", 0.08925), ("c6g.16xlarge", 2.176), ("c5.18xlarge", 3.06), ("c7a.24xlarge", 4.92672)],
)
def test_within_a_family_the_price_is_proportional_to_the_size(instance_type, hourly):
    assert prices.PRICES[instance_type] == pytest.approx(hourly)


def test_an_unknown_type_has_no_price_rather_than_a_wrong_one():
    assert prices.cost("ml.u9.xlarge", 60) is None
    assert prices.sentence("ml.u9.xlarge", 60).startswith("no price known for ml.u9.xlarge")


def test_a_given_price_overrides_the_table(monkeypatch):
    monkeypatch.setenv(prices.OVERRIDE, "2")
    assert prices.sentence("ml.u9.xlarge", 1800) == (
        "$1.00 (ml.u9.xlarge for 30 min 0 s at $2 an hour, given by PRICE_PER_HOUR)"
    )
    assert prices.cost("ml.m5.xlarge", 3600).usd == 2


@pytest.mark.parametrize("text", ["cheap", "-1", "nan", "inf"])
def test_a_wrong_price_is_refused_and_named(monkeypatch, text):
    monkeypatch.setenv(prices.OVERRIDE, text)
    with pytest.raises(prices.PriceError, match=rf"PRICE_PER_HOUR='{text}' is not a price"):
        prices.cost("ml.m5.xlarge", 60)


def test_types_that_the_stack_uses_have_a_price():
    assert {"ml.m5.xlarge", "ml.m5.large", "ml.t3.medium", "c7i.xlarge", "c3.xlarge"} <= set(prices.PRICES)
