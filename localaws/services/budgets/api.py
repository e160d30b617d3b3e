"""The operations of AWS Budgets that Terraform's `aws_budgets_budget` needs and moto lacks.

Sources: the service model, and `internal/service/budgets` of the Terraform AWS provider for what is read back.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from moto.budgets import urls
from moto.budgets.exceptions import DuplicateRecordException, NotFoundException
from moto.budgets.models import Budget, Notification
from moto.budgets.responses import BudgetsResponse
from moto.core.exceptions import JsonRESTError
from moto.core.utils import unix_time

from localaws.paging import InvalidToken, page

PAGE = 100
ARN = re.compile(r"arn:aws:budgets::(\d{12}):budget/(.+)")


class InvalidBudgetsToken(JsonRESTError):
    code = 400

    def __init__(self) -> None:
        super().__init__("InvalidNextTokenException", "The pagination token is invalid.")


class LocalBudgets(BudgetsResponse):
    """One request to Budgets."""

    def create_budget(self) -> str:
        answer = super().create_budget()
        asked = json.loads(self.body)
        made = self._budget(asked["AccountId"], asked["Budget"]["BudgetName"])
        made.budget["localaws:tags"] = {each["Key"]: each["Value"] for each in asked.get("ResourceTags") or []}
        return answer

    def describe_budget(self) -> str:
        return json.dumps({"Budget": _shown(self._asked_for())})

    def describe_budgets(self) -> str:
        budgets = self.backend.budgets[json.loads(self.body)["AccountId"]].values()
        return self._page("Budgets", [_shown(each) for each in budgets])

    def update_budget(self) -> str:
        asked = json.loads(self.body)
        budget = self._budget(asked["AccountId"], asked["NewBudget"]["BudgetName"])
        kept = {name: budget.budget[name] for name in ("TimePeriod", "localaws:tags") if name in budget.budget}
        budget.budget = {**kept, **asked["NewBudget"], "LastUpdatedTime": unix_time()}
        return "{}"

    def describe_notifications_for_budget(self) -> str:
        return self._page("Notifications", [each.details for each in self._asked_for().notifications])

    def create_notification(self) -> str:
        asked = json.loads(self.body)["Notification"]
        if any(_same(each.details, asked) for each in self._asked_for().notifications):
            raise DuplicateRecordException("notification", asked["NotificationType"])
        return super().create_notification()

    def describe_subscribers_for_notification(self) -> str:
        return self._page("Subscribers", self._notification().subscribers)

    def list_tags_for_resource(self) -> str:
        tags = self._tags()
        return json.dumps({"ResourceTags": [{"Key": key, "Value": value} for key, value in tags.items()]})

    def tag_resource(self) -> str:
        self._tags().update({each["Key"]: each["Value"] for each in json.loads(self.body)["ResourceTags"]})
        return "{}"

    def untag_resource(self) -> str:
        tags = self._tags()
        for key in json.loads(self.body)["ResourceTagKeys"]:
            tags.pop(key, None)
        return "{}"

    def _page(self, key: str, listed: Sequence[Any]) -> str:
        asked = json.loads(self.body)
        try:
            part, following = page(listed, asked.get("NextToken"), asked.get("MaxResults") or PAGE)
        except InvalidToken:
            raise InvalidBudgetsToken from None
        return json.dumps({key: list(part), **({"NextToken": following} if following else {})})

    def _budget(self, account: str, name: str) -> Budget:
        """Raises NotFoundException."""
        self.backend.describe_budget(account, name)
        return self.backend.budgets[account][name]

    def _asked_for(self) -> Budget:
        asked = json.loads(self.body)
        return self._budget(asked["AccountId"], asked["BudgetName"])

    def _notification(self) -> Notification:
        asked = json.loads(self.body)["Notification"]
        for each in self._asked_for().notifications:
            if _same(each.details, asked):
                return each
        raise NotFoundException("Unable to get subscribers - the notification doesn't exist.")

    def _tags(self) -> dict[str, str]:
        given = json.loads(self.body)["ResourceARN"]
        if (found := ARN.fullmatch(given)) is None:
            raise NotFoundException(f"Unable to find the resource {given} - it is not a budget.")
        account, name = found.groups()
        return self._budget(account, name).budget.setdefault("localaws:tags", {})


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two notifications are one: AWS has one for each type, comparison and threshold."""
    names = ("NotificationType", "ComparisonOperator", "Threshold")
    return all(one[name] == other[name] for name in names) and (
        one.get("ThresholdType", "PERCENTAGE") == other.get("ThresholdType", "PERCENTAGE")
    )


def _shown(budget: Budget) -> dict[str, Any]:
    return {name: value for name, value in budget.to_dict().items() if name != "localaws:tags"}


def install() -> None:
    urls.url_paths["{0}/$"] = LocalBudgets.dispatch
