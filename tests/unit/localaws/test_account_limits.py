"""The limits of the account: read, overridden, and what each service answers to a request that is over one."""

from types import SimpleNamespace

import pytest
from moto.core.exceptions import ServiceException
from moto.ec2.exceptions import EC2ClientError

from localaws import account_limits
from localaws.account_limits import CONCURRENT, AccountLimits, LimitError, find, quotas_of, read_overrides
from localaws.services.ec2 import limits as ec2
from localaws.services.sagemaker import limits as sagemaker

REGION = "us-east-1"
STANDARD = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"


@pytest.fixture
def account(monkeypatch):
    """Make an account's limits those of this process."""

    def choose(name: str, overrides: str = "") -> AccountLimits:
        chosen = AccountLimits(name, read_overrides(overrides))
        for module in (sagemaker, ec2):
            monkeypatch.setattr(module, "account_limits", lambda: chosen)
        return chosen

    return choose


@pytest.fixture
def existing(monkeypatch):
    """SageMaker's records in the place of those of a server, by the kind of the resource."""
    records: dict[str, dict] = {"endpoint": {}, "training-job": {}, "notebook-instance": {}}
    monkeypatch.setattr(sagemaker, "table_of", lambda kind, region: records[kind])
    return records


@pytest.mark.parametrize(
    ("service", "name", "new", "established"),
    [
        ("lambda", CONCURRENT, 10, 1000),
        ("lambda", "L-B99A9384", 10, 1000),
        ("sagemaker", "ml.m5.large for endpoint usage", 0, 20),
        ("sagemaker", "L-614B09FD", 0, 20),
        ("sagemaker", "ml.m6g.large for endpoint usage", 2, 20),
        ("sagemaker", "ml.t3.medium for notebook instance usage", 2, 20),
        ("sagemaker", "ml.p5.48xlarge for training job usage", 0, 20),
        ("sagemaker", "Number of instances across all training jobs", 4, 20),
        ("ec2", STANDARD, 5, 256),
    ],
)
def test_an_account_has_its_limits(service, name, new, established):
    assert AccountLimits("new").value(service, name) == new
    assert AccountLimits("established").value(service, name) == established


def test_a_quota_that_there_is_not_is_not_found():
    assert find("sagemaker", "ml.m5.huge for endpoint usage") is None
    assert find("sagemaker", "ml.p5.48xlarge for notebook usage") is None
    assert find("s3", CONCURRENT) is None


def test_every_quota_has_a_source_and_each_code_is_used_once():
    listed = [quota for service in account_limits.SERVICE_NAMES for quota in quotas_of(service)]
    assert all(quota.source for quota in listed)
    codes = [quota.code for quota in listed if quota.code]
    assert len(codes) == len(set(codes))


def test_overrides_come_from_the_variable_or_from_a_file(tmp_path):
    text = f"lambda/L-B99A9384=50, ec2/{STANDARD}=8, sagemaker/ml.m5.large for endpoint usage=2,freetier/plan=paid"
    limits = AccountLimits("new", read_overrides(text))
    assert limits.value("lambda", CONCURRENT) == 50
    assert limits.value("ec2", STANDARD) == 8
    assert limits.value("sagemaker", "L-614B09FD") == 2
    assert limits.plan == "PAID"
    file = tmp_path / "quotas"
    file.write_text("# ours\nlambda/Concurrent executions=7 # raised\n\n")
    assert AccountLimits("established", read_overrides(str(file))).value("lambda", CONCURRENT) == 7


@pytest.mark.parametrize(
    ("account_name", "overrides", "words"),
    [
        ("old", "", "LOCALAWS_ACCOUNT is 'old'"),
        ("new", "lambda/L-00000000=1", "no quota 'lambda/L-00000000'"),
        ("new", "lambda/L-B99A9384=many", "'many', which is not a whole number"),
        ("new", "lambda/L-B99A9384=1,ec2/nothing", "'ec2/nothing' has no value"),
        ("new", "/no/such/file", "the file /no/such/file"),
        ("new", "freetier/plan=gold", "must be FREE or PAID"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(account_name, overrides, words):
    with pytest.raises(LimitError, match=words):
        AccountLimits(account_name, read_overrides(overrides))


@pytest.mark.parametrize(("limit", "minimum"), [(10, 10), (50, 50), (100, 100), (1000, 100)])
def test_all_of_a_small_account_must_stay_unreserved(limit, minimum):
    assert account_limits.unreserved_minimum(limit) == minimum


# --- SageMaker ---


def variant(count: int, kind: str = "ml.m5.large") -> SimpleNamespace:
    return SimpleNamespace(instance_type=kind, count=count, serverless=None)


def endpoint(*counts: int | None, status: str = "InService") -> SimpleNamespace:
    """An endpoint with so many instances in service, and in the fleet that is to follow."""
    made = [SimpleNamespace(variants=[variant(each)]) if each else None for each in (*counts, None)]
    return SimpleNamespace(deployment=made[0], pending=made[1], status=status)


def job(count: int, spot: bool = False, status: str = "InProgress") -> SimpleNamespace:
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": count}
    return SimpleNamespace(request={"ResourceConfig": resources, "EnableManagedSpotTraining": spot}, status=status)


def wanted(count: int, spot: bool = False) -> dict:
    return job(count, spot).request


def refusal(call, *arguments) -> str | None:
    try:
        call(*arguments)
    except ServiceException as error:
        assert error.code == "ResourceLimitExceeded"
        return error.message
    return None


TYPE = "ml.m5.large for {} usage=4"


@pytest.mark.parametrize(
    ("there", "call", "arguments", "refused"),
    [
        ([], sagemaker.require_endpoint, ({"ml.m5.large": 4},), None),
        ([], sagemaker.require_endpoint, ({"ml.m5.large": 5},), (4, 0, 5)),
        ([endpoint(2)], sagemaker.require_endpoint, ({"ml.m5.large": 2},), None),
        ([endpoint(2)], sagemaker.require_endpoint, ({"ml.m5.large": 3},), (4, 2, 3)),
        ([endpoint(2, 2, status="Updating")], sagemaker.require_endpoint, ({"ml.m5.large": 1},), (4, 4, 1)),
        ([endpoint(4, status="Failed")], sagemaker.require_endpoint, ({"ml.m5.large": 4},), None),
        ([endpoint(4)], sagemaker.require_endpoint, ({},), None),
        ([job(3)], sagemaker.require_training, (wanted(1),), None),
        ([job(3)], sagemaker.require_training, (wanted(2),), (4, 3, 2)),
        ([job(3, status="Completed")], sagemaker.require_training, (wanted(4),), None),
        ([job(4, spot=True)], sagemaker.require_training, (wanted(4),), None),
        ([job(4)], sagemaker.require_training, (wanted(4, spot=True),), None),
        ([job(1, spot=True)], sagemaker.require_training, (wanted(4, spot=True),), (4, 1, 4)),
        ([], sagemaker.require_tuning, (wanted(2), 2), None),
        ([], sagemaker.require_tuning, (wanted(2), 3), (4, 0, 6)),
    ],
)
def test_what_runs_counts_against_the_quota_of_its_type(account, existing, there, call, arguments, refused):
    account(
        "established",
        ",".join(f"sagemaker/{TYPE.format(use)}" for use in ("endpoint", "training job", "spot training job")),
    )
    kind = "endpoint" if call is sagemaker.require_endpoint else "training-job"
    existing[kind].update(enumerate(there))
    message = refusal(call, REGION, *arguments)
    if refused is None:
        assert message is None
        return
    limit, used, more = refused
    assert message is not None
    assert message.startswith("The account-level service limit 'ml.m5.large for ")
    assert (
        f"usage' is {limit} Instances, with current utilization of {used} Instances and a request delta of {more}"
        in message
    )
    assert "AWS Service Quotas to request an increase" in message


@pytest.mark.parametrize(
    ("overrides", "call", "arguments", "quota"),
    [
        ("Number of instances across active endpoints=1", sagemaker.require_endpoint, ({"ml.m5.large": 2},), None),
        ("Number of instances across all training jobs=1", sagemaker.require_training, (wanted(2),), None),
        ("Maximum number of instances per training job=1", sagemaker.require_training, (wanted(2),), None),
        ("L-11294128=1", sagemaker.require_tuning, (wanted(1), 2), "Maximum number of training jobs each hyper"),
        ("ml.t3.medium for notebook instance usage=0", sagemaker.require_notebook, ("ml.t3.medium",), None),
    ],
)
def test_a_refusal_names_the_quota(account, existing, overrides, call, arguments, quota):
    account("established", f"sagemaker/{overrides}")
    assert (quota or overrides.partition("=")[0]) in (refusal(call, REGION, *arguments) or "")


def test_a_new_account_refuses_the_shipped_endpoint_and_training(account, existing):
    account("new")
    assert "'ml.m5.large for endpoint usage' is 0" in (
        refusal(sagemaker.require_endpoint, REGION, {"ml.m5.large": 1}) or ""
    )
    assert "'ml.m5.large for training job usage' is 0" in (refusal(sagemaker.require_training, REGION, wanted(1)) or "")
    assert refusal(sagemaker.require_notebook, REGION, "ml.t3.medium") is None


# --- EC2 ---


def instance(kind: str, state: str = "running", lifecycle: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(instance_type=kind, state=state, lifecycle=lifecycle)


@pytest.mark.parametrize(
    ("account_name", "there", "asked", "code"),
    [
        ("new", [], ("c7i.xlarge", 1, False), "InvalidParameterCombination"),
        ("new", [], ("c7i-flex.large", 2, False), None),
        ("new", [], ("c7i-flex.large", 3, False), "VcpuLimitExceeded"),
        ("new", [instance("t3.micro")], ("c7i-flex.large", 2, False), "VcpuLimitExceeded"),
        ("new", [instance("t3.micro", "stopped")], ("c7i-flex.large", 2, False), None),
        ("new", [instance("t3.micro")], ("c7i-flex.large", 2, True), None),
        ("new", [instance("t3.micro", lifecycle="spot")], ("c7i-flex.large", 2, True), "MaxSpotInstanceCountExceeded"),
        ("established", [], ("c7i.xlarge", 64, False), None),
        ("established", [], ("c7i.xlarge", 65, False), "VcpuLimitExceeded"),
        ("established", [instance("c7i.xlarge")] * 64, ("g5.xlarge", 1, False), None),
        ("established", [], ("p5.48xlarge", 1, False), "VcpuLimitExceeded"),
        ("established", [], ("inf1.xlarge", 100, False), None),
    ],
)
def test_running_instances_count_by_their_virtual_processors(account, account_name, there, asked, code):
    account(account_name)
    refused = None
    try:
        ec2.require(there, *asked)
    except EC2ClientError as error:
        refused = error.code
    assert refused == code
