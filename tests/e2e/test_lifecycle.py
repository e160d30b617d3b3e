"""Every type of resource of the stack, from its first apply to its end, with the provider and the local AWS alone.

One small configuration (`lifecycle/main.tf`) has all types. Each step is followed by a plan, which must be empty.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.unit.localaws.conftest import Server

pytestmark = pytest.mark.soak

SERVE = """
def model_fn(folder):
    return "loaded"

def transform_fn(model, body, content_type, accept):
    return "{}", "application/json"
"""
# Types of the private network, of logs of requests, and of the role for CI: no test here has their lifecycle.
NOT_COVERED = {
    "aws_iam_openid_connect_provider",
    "aws_iam_policy",
    "aws_iam_role_policy_attachment",
    "aws_s3_bucket_logging",
    "aws_vpc_endpoint",
    "aws_vpc_security_group_ingress_rule",
}
# The identifier for `terraform import`, if it is not the attribute `id`.
IMPORT_BY = {
    "aws_appautoscaling_policy": "{service_namespace}/{resource_id}/{scalable_dimension}/{name}",
    "aws_appautoscaling_target": "{service_namespace}/{resource_id}/{scalable_dimension}",
    "aws_cloudwatch_event_target": "{rule}/{target_id}",
    "aws_cloudwatch_log_metric_filter": "{log_group_name}:{name}",
    "aws_lambda_alias": "{function_name}/{name}",
    "aws_lambda_function_url": "{function_name}/{qualifier}",
    "aws_lambda_permission": "{function_name}:{qualifier}/{statement_id}",
    "aws_s3_object": "{bucket}/{key}",
}
# What an import cannot know, because it is only in the configuration: the provider's documentation of each.
ONLY_IN_CONFIGURATION = {
    "aws_lambda_function": {"filename", "publish", "source_code_hash"},
    "aws_s3_bucket": {"force_destroy"},
    "aws_s3_object": {"source", "acl", "force_destroy"},
    "aws_sns_topic_subscription": {"confirmation_timeout_in_minutes", "endpoint_auto_confirms"},
    "aws_instance": {"user_data_replace_on_change", "force_destroy"},
}


class Configuration:
    """The configuration in a folder of its own, against one local AWS."""

    def __init__(self, folder: Path, server: Server):
        self.folder, self.server = folder, server
        (folder / "main.tf").write_text((Path(__file__).parent / "lifecycle" / "main.tf").read_text())
        with zipfile.ZipFile(folder / "function.zip", "w") as archive:
            archive.writestr("handler.py", "def handler(event, context):\n    return event\n")
        with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
            info = tarfile.TarInfo("code/inference.py")
            info.size = len(SERVE)
            archive.addfile(info, io.BytesIO(SERVE.encode()))

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": self.server.url}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
        kept["TF_CLI_CONFIG_FILE"] = str(ROOT / ".local" / "terraform.rc")
        kept["PATH"] += f"{os.pathsep}{ROOT / '.venv' / 'bin'}"
        argv = ["terraform", *arguments]
        return subprocess.run(argv, cwd=self.folder, env={**kept, **keys}, capture_output=True, text=True, timeout=1200)

    def terraform(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.returncode == 0, (
            f"terraform {' '.join(arguments)}:\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
        )
        return result.stdout

    def variables(self, generation: int, name: str) -> list[str]:
        return [f"-var=generation={generation}", f"-var=name={name}", f"-var=folder={self.folder}"]

    def apply(self, generation: int, name: str) -> str:
        return self.terraform("apply", "-auto-approve", "-no-color", *self.variables(generation, name))

    def changes(self, generation: int, name: str) -> dict[str, dict]:
        """What a plan would change, by address."""
        self.terraform("plan", "-out=plan", *self.variables(generation, name))
        planned = json.loads(self.terraform("show", "-json", "plan"))
        found = {each["address"]: each["change"] for each in planned.get("resource_changes", [])}
        return {name: each for name, each in found.items() if each["actions"] not in (["no-op"], ["read"])}

    def resources(self) -> list[dict]:
        shown = json.loads(self.terraform("show", "-json"))
        return [each for each in shown["values"]["root_module"]["resources"] if each["mode"] == "managed"]


@pytest.fixture
def configuration(tmp_path: Path) -> Iterator[Configuration]:
    server = Server(tmp_path / "home")
    made = Configuration(tmp_path, server.start())
    made.terraform("init", "-input=false")
    yield made
    server.close()


def types_of_the_stack() -> set[str]:
    files = [path for path in (ROOT / "terraform").rglob("*.tf") if "examples" not in path.parts]
    return {kind for path in files for kind in re.findall(r'^resource "(aws_\w+)"', path.read_text(), re.M)}


def test_the_configuration_has_every_type_of_the_stack():
    text = (Path(__file__).parent / "lifecycle" / "main.tf").read_text()
    assert types_of_the_stack() - set(re.findall(r'^resource "(aws_\w+)"', text, re.M)) == NOT_COVERED


def test_each_type_is_made_changed_imported_replaced_and_destroyed(configuration: Configuration):
    configuration.apply(1, "first")
    assert configuration.changes(1, "first") == {}

    changed = configuration.changes(2, "first")
    unchanged = {each["address"] for each in configuration.resources()} - set(changed)
    assert unchanged <= {"aws_lambda_provisioned_concurrency_config.function"}, "each has something to change"
    configuration.apply(2, "first")
    assert configuration.changes(2, "first") == {}

    configuration.server.stop()
    configuration.server.start()
    assert configuration.changes(2, "first") == {}, "after a restart of the server"

    _import_all(configuration)

    configuration.apply(2, "second")
    assert configuration.changes(2, "second") == {}

    configuration.terraform("destroy", "-auto-approve", "-no-color", *configuration.variables(2, "second"))
    assert left(configuration.server) == {}


def _import_all(configuration: Configuration) -> None:
    """Forget all resources, import each by its identifier, and plan."""
    resources = configuration.resources()
    (configuration.folder / "terraform.tfstate").rename(configuration.folder / "before.tfstate")
    blocks = []
    for each in resources:
        identifier = IMPORT_BY.get(each["type"], "{id}").format(**each["values"])
        blocks.append(f'import {{\n  to = {each["address"]}\n  id = "{identifier}"\n}}\n')
    (configuration.folder / "import.tf").write_text("\n".join(blocks))
    configuration.terraform("plan", "-out=import", *configuration.variables(2, "first"))
    planned = json.loads(configuration.terraform("show", "-json", "import"))
    for each in planned["resource_changes"]:
        actions, kind = each["change"]["actions"], each["type"]
        if actions in (["no-op"], ["read"]):
            continue
        before, after = each["change"]["before"] or {}, each["change"]["after"] or {}
        differing = {name for name in after if before.get(name) != after[name]}
        assert actions == ["update"], (each["address"], actions, differing)
        assert differing <= ONLY_IN_CONFIGURATION.get(kind, set()), (each["address"], differing)
    configuration.terraform("apply", "-auto-approve", "import")
    (configuration.folder / "import.tf").unlink()
    assert configuration.changes(2, "first") == {}


def left(server: Server) -> dict[str, list]:
    """What is left in the account of each kind of resource, instances that ended excepted."""
    ec2, sagemaker = server.client("ec2"), server.client("sagemaker")
    reservations = ec2.describe_instances()["Reservations"]
    instances = [each for reservation in reservations for each in reservation["Instances"]]
    found = {
        "instances": [each["InstanceId"] for each in instances if each["State"]["Name"] != "terminated"],
        "groups": [each["GroupName"] for each in ec2.describe_security_groups()["SecurityGroups"]],
        "buckets": server.client("s3").list_buckets()["Buckets"],
        "functions": server.client("lambda").list_functions()["Functions"],
        "log groups": server.client("logs").describe_log_groups()["logGroups"],
        "stacks": server.client("cloudformation").describe_stacks()["Stacks"],
        "models": sagemaker.list_models()["Models"],
        "configurations": sagemaker.list_endpoint_configs()["EndpointConfigs"],
        "groups of the registry": sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"],
        "endpoints": sagemaker.list_endpoints()["Endpoints"],
        "notebooks": sagemaker.list_notebook_instances()["NotebookInstances"],
        "alarms": server.client("cloudwatch").describe_alarms()["MetricAlarms"],
        "targets": server.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")[
            "ScalableTargets"
        ],
        "dashboards": server.client("cloudwatch").list_dashboards()["DashboardEntries"],
        "topics": server.client("sns").list_topics()["Topics"],
        "rules": server.client("events").list_rules()["Rules"],
        "budgets": server.client("budgets").describe_budgets(AccountId="123456789012")["Budgets"],
        "profiles": server.client("iam").list_instance_profiles()["InstanceProfiles"],
    }
    found["groups"] = [each for each in found["groups"] if each != "default"]
    # Logs that the services wrote have groups of their own, which no configuration made.
    found["log groups"] = [
        each for each in found["log groups"] if not each["logGroupName"].startswith("/aws/sagemaker/")
    ]
    return {name: each for name, each in found.items() if each}
