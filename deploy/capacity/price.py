"""What a simulated system costs in a month, at the prices of `make cost`: instances, calls and data."""

from __future__ import annotations

from deploy import call_prices
from deploy.capacity.plan import ARCHITECTURE, MEMORY, SERVERLESS_MB, CandidatePlan
from deploy.capacity.result import Simulated
from deploy.costs.price_list import HOSTING, PriceList
from deploy.costs.rates import HOURS_A_MONTH, usd
from deploy.costs.traffic import ANSWER_KB, IMAGE_KB
from deploy.deployment import IN_FUNCTION, INSTANCES, SERVERLESS


def monthly(result: Simulated, plan: CandidatePlan, prices: PriceList) -> float | None:
    """USD for a month in which the trace repeats itself; None if the price of the instance type is not known.

    Logs, storage and the answers' way to the internet are the same for all plans and not in it.
    """
    gigabytes, processor = MEMORY[plan.kind] / 1024, ARCHITECTURE[plan.kind]
    requests = result.total("offered") - result.total("throttled")
    warm, busy = result.total("warm"), result.total("busy")
    spent = requests * usd("lambda.request")
    spent += gigabytes * (busy - warm) * usd(f"lambda.{processor}")
    spent += gigabytes * warm * usd(f"lambda.{processor}.on_provisioned")
    provisioned = sum(each.provisioned * each.seconds for each in result.ticks)
    spent += gigabytes * provisioned * usd(f"lambda.{processor}.provisioned")
    if plan.kind != IN_FUNCTION:
        spent += requests * call_prices.data(IMAGE_KB * 1024, ANSWER_KB * 1024)
    if plan.kind == SERVERLESS:
        spent += SERVERLESS_MB / 1024 * result.total("model") * usd("sagemaker.serverless")
    if plan.kind == INSTANCES:
        hourly = prices.hourly(plan.instance_type, HOSTING)
        if hourly is None:
            return None
        spent += result.instance_seconds / 3600 * hourly
    return spent / result.seconds * 3600 * HOURS_A_MONTH
