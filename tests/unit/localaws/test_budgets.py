"""AWS Budgets as `aws_budgets_budget` uses it: what was given comes back, and a budget that is not there is refused."""

import pytest
from botocore.exceptions import ClientError

from localaws.context import ACCOUNT_ID

NAME = {"AccountId": ACCOUNT_ID, "BudgetName": "of-a-test"}
ARN = {"ResourceARN": f"arn:aws:budgets::{ACCOUNT_ID}:budget/of-a-test"}
BUDGET = {
    "BudgetName": "of-a-test",
    "BudgetType": "COST",
    "BudgetLimit": {"Amount": "150.0", "Unit": "USD"},
    "TimeUnit": "MONTHLY",
    "CostFilters": {"TagKeyValue": ["user:Project$test"]},
}
MANY = {
    "NotificationType": "ACTUAL",
    "ComparisonOperator": "GREATER_THAN",
    "Threshold": 80.0,
    "ThresholdType": "PERCENTAGE",
}
EMAIL = {"SubscriptionType": "EMAIL", "Address": "team@example.org"}


@pytest.fixture
def budgets(localaws):
    client = localaws.client("budgets")
    client.create_budget(
        AccountId=ACCOUNT_ID,
        Budget=BUDGET,
        NotificationsWithSubscribers=[{"Notification": MANY, "Subscribers": [EMAIL]}],
        ResourceTags=[{"Key": "Project", "Value": "test"}],
    )
    yield client
    client.delete_budget(**NAME)


def test_a_budget_comes_back_with_its_notifications_and_tags(budgets):
    shown = budgets.describe_budget(**NAME)["Budget"]
    assert {name: shown[name] for name in BUDGET} == BUDGET
    assert budgets.describe_notifications_for_budget(**NAME)["Notifications"] == [MANY]
    assert budgets.describe_subscribers_for_notification(**NAME, Notification=MANY)["Subscribers"] == [EMAIL]
    assert budgets.list_tags_for_resource(**ARN)["ResourceTags"] == [{"Key": "Project", "Value": "test"}]


def test_a_changed_budget_keeps_its_notifications_period_and_tags(budgets):
    period = budgets.describe_budget(**NAME)["Budget"]["TimePeriod"]
    limit = {"Amount": "200.0", "Unit": "USD"}
    budgets.update_budget(AccountId=ACCOUNT_ID, NewBudget={**BUDGET, "BudgetLimit": limit})
    budgets.tag_resource(**ARN, ResourceTags=[{"Key": "Team", "Value": "a"}])
    budgets.untag_resource(**ARN, ResourceTagKeys=["Project"])

    shown = budgets.describe_budget(**NAME)["Budget"]

    assert (shown["BudgetLimit"], shown["TimePeriod"]) == (limit, period)
    assert budgets.describe_notifications_for_budget(**NAME)["Notifications"] == [MANY]
    assert budgets.list_tags_for_resource(**ARN)["ResourceTags"] == [{"Key": "Team", "Value": "a"}]


def test_another_notification_has_subscribers_of_its_own(budgets):
    forecast = {**MANY, "NotificationType": "FORECASTED", "Threshold": 100.0}
    budgets.create_notification(**NAME, Notification=forecast, Subscribers=[{**EMAIL, "Address": "b@example.org"}])
    found = budgets.describe_subscribers_for_notification(**NAME, Notification=forecast)
    assert [each["Address"] for each in found["Subscribers"]] == ["b@example.org"]
    with pytest.raises(ClientError, match="DuplicateRecordException"):
        budgets.create_notification(**NAME, Notification=forecast, Subscribers=[EMAIL])
    first = budgets.describe_notifications_for_budget(**NAME, MaxResults=1)
    second = budgets.describe_notifications_for_budget(**NAME, NextToken=first["NextToken"])
    assert [*first["Notifications"], *second["Notifications"]] == [MANY, forecast]
    with pytest.raises(ClientError, match="InvalidNextTokenException"):
        budgets.describe_notifications_for_budget(**NAME, NextToken="none")
    budgets.delete_notification(**NAME, Notification=forecast)
    with pytest.raises(ClientError, match="NotFoundException"):
        budgets.describe_subscribers_for_notification(**NAME, Notification=forecast)


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("describe_budget", NAME | {"BudgetName": "none"}),
        ("update_budget", {"AccountId": ACCOUNT_ID, "NewBudget": {**BUDGET, "BudgetName": "none"}}),
        ("describe_notifications_for_budget", NAME | {"BudgetName": "none"}),
        ("list_tags_for_resource", {"ResourceARN": f"arn:aws:budgets::{ACCOUNT_ID}:budget/none"}),
    ],
)
def test_a_budget_that_is_not_there_is_not_found(localaws, operation, arguments):
    with pytest.raises(ClientError) as error:
        getattr(localaws.client("budgets"), operation)(**arguments)
    assert error.value.response["Error"]["Code"] == "NotFoundException"
