"""Prices of instances: AWS's price list if it can be asked, else the table of classifier/prices.py with its date."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from classifier import prices

# The price list has its own endpoints, in a few regions (AWS Billing user guide, "AWS Price List Query API endpoints").
API_REGION = "us-east-1"
HOSTING, TRAINING, NOTEBOOK = "Hosting", "Training", "Notebook"  # the attribute `component` of SageMaker's products


class PriceList:
    """The price of an hour of an instance in one region. `client` makes a boto3 client for a service and a region."""

    def __init__(self, region: str, client: Callable[[str, str], Any] | None = None):
        self.region = region
        self._client = client
        self._found: dict[tuple[str, str], float | None] = {}
        self.problem = ""  # why AWS's price list was not used
        self._read = False

    def hourly(self, instance_type: str, component: str = "") -> float | None:
        """USD for an hour of one instance; None if neither has it. Raises PriceError."""
        given = prices.given_price()
        if given is not None:
            return given
        key = (instance_type, component)
        if key not in self._found:
            asked = self._ask(instance_type, component) if self._client and not self.problem else None
            self._found[key] = prices.PRICES.get(instance_type) if asked is None else asked
        return self._found[key]

    @property
    def source(self) -> str:
        """Where the prices are from, in words."""
        if prices.given_price() is not None:
            return f"Instances at the price given by {prices.OVERRIDE}."
        if self._read:
            return f"Instances at AWS's price list of {self.region}, read now."
        because = f" AWS's price list could not be read: {self.problem}." if self.problem else ""
        away = "" if self.region == prices.REGION else f", although the stack is in {self.region}"
        return f"Instances at list prices of {prices.REGION} as of {prices.AS_OF}{away}.{because}"

    def _ask(self, instance_type: str, component: str) -> float | None:
        """The price list's answer; None if it has none, or if it cannot be read, which `problem` then says."""
        from botocore.exceptions import BotoCoreError, ClientError

        assert self._client is not None
        service, wanted = _product(instance_type, component, self.region)
        filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
        try:
            answer = self._client("pricing", API_REGION).get_products(ServiceCode=service, Filters=filters)
            found = [price for product in answer["PriceList"] for price in on_demand(json.loads(product))]
        except ClientError as error:
            self.problem = f"{error.response['Error']['Code']} from {error.operation_name}"
            return None
        except (BotoCoreError, ValueError, KeyError) as error:
            self.problem = str(error)
            return None
        self._read = self._read or bool(found)
        return found[0] if found else None


def _product(instance_type: str, component: str, region: str) -> tuple[str, dict[str, str]]:
    """The service code of the price list, and the attributes of the product."""
    if instance_type.startswith("ml."):
        return "AmazonSageMaker", {"instanceName": instance_type, "component": component, "regionCode": region}
    return "AmazonEC2", {
        "instanceType": instance_type,
        "regionCode": region,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }


def on_demand(product: dict[str, Any]) -> list[float]:
    """The on-demand prices in USD of a product of the price list, above 0."""
    terms = product["terms"].get("OnDemand", {}).values()
    dimensions = [each for term in terms for each in term["priceDimensions"].values()]
    return [price for each in dimensions if (price := float(each["pricePerUnit"].get("USD", 0))) > 0]
