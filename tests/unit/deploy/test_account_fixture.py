"""The account of these tests is empty at the start of each of them, whatever the test before it left."""

import pytest


@pytest.mark.parametrize("turn", [1, 2])
def test_an_account_is_empty_at_the_start_of_each_test(account, turn):
    logs = account.client("logs")
    assert logs.describe_log_groups()["logGroups"] == []
    assert account.stored() == []
    logs.create_log_group(logGroupName="left-behind")
    account.client("s3").put_object(Bucket=account.outputs["artifacts_bucket"], Key="left-behind", Body=b"x")
