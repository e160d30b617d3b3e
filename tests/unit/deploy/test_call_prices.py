"""The prices of calls, against examples that can be added up by hand."""

import pytest

from deploy import call_prices
from deploy.call_prices import Price


def test_a_call_of_a_function_costs_its_request_and_its_gigabyte_seconds():
    # AWS's page: 1 ms of 1024 MB on x86 costs $0.0000000167.
    assert call_prices.function(1024, 1, "x86_64").call == pytest.approx(0.0000002 + 0.0000000167, rel=1e-3)
    assert call_prices.function(2048, 12.3, "x86_64").call == pytest.approx(2e-7 + 2 * 0.013 * 0.0000166667)
    assert call_prices.function(1024, 1, "arm64").call < call_prices.function(1024, 1, "x86_64").call


def test_warm_environments_cost_by_the_hour_and_make_calls_cheaper():
    on_demand, warm = call_prices.function(1024, 100, "x86_64"), call_prices.function(1024, 100, "x86_64", 2)
    assert warm.hour == pytest.approx(2 * 3600 * 0.0000041667)
    assert (on_demand.hour, warm.call < on_demand.call) == (0, True)


def test_a_call_of_a_serverless_endpoint_costs_its_memory_its_time_and_its_data():
    # AWS's page: a second of 4096 MB costs $0.00008.
    assert call_prices.serverless(4096, 1000, 0, 0).call == pytest.approx(0.00008)
    assert call_prices.serverless(1024, 0, 1024**3, 1024**3).call == pytest.approx(2 * 0.016)


def test_instances_cost_by_the_hour_so_a_million_calls_cost_less_at_a_higher_rate():
    price = call_prices.instances(0.115, 2, 0, 0)
    assert price.million(3600) == pytest.approx(0.23 / 3600 * 1e6)
    assert price.million(7200) == pytest.approx(price.million(3600) / 2)
    with pytest.raises(ValueError, match="not a rate"):
        price.million(0)


def test_prices_add_up():
    assert Price(1, 2) + Price(3, 4) == Price(4, 6)
