"""SageMaker's operations on notebook instances and their lifecycle configurations."""

import base64
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.models import sagemaker_backends

from localaws.context import ACCOUNT_ID
from localaws.services.sagemaker import limits
from localaws.services.sagemaker.notebooks.instance import AT_REST, NotebookInstance
from localaws.services.sagemaker.records import InvalidRequest, Operations, Record, arn_of, require_role

NO_NOTEBOOK = "RecordNotFound"
NO_LIFECYCLE = (
    "Unable to describe Notebook Instance Lifecycle Config '{arn}'. "
    "(Details: Notebook Instance Lifecycle Config does not exist.)"
)
NOTEBOOK_DEFAULTS = {
    "DirectInternetAccess": "Enabled",
    "RootAccess": "Enabled",
    "VolumeSizeInGB": 5,
    "PlatformIdentifier": "notebook-al2-v2",
    "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "1"},
}
# What UpdateNotebookInstance takes away when the flag is given.
DISASSOCIATIONS = {
    "DisassociateLifecycleConfig": "LifecycleConfigName",
    "DisassociateDefaultCodeRepository": "DefaultCodeRepository",
    "DisassociateAdditionalCodeRepositories": "AdditionalCodeRepositories",
}


class NotebookOperations(Operations):
    def create_notebook_instance(self) -> ActionResult:
        request = self.request
        name = request["NotebookInstanceName"]
        notebooks = self.table("notebook-instance")
        if name in notebooks:
            raise InvalidRequest(f"Cannot create a duplicate Notebook Instance ({notebooks[name].arn})")
        require_role(request["RoleArn"], self.region, arn_of("notebook-instance", name, self.region))
        limits.require_notebook(self.region, request["InstanceType"])
        notebook = NotebookInstance(name, self.region, request)
        notebook.start(self._scripts(notebook, "OnCreate", "OnStart"))
        notebooks[name] = notebook
        return ActionResult({"NotebookInstanceArn": notebook.arn})

    def _scripts(self, notebook: NotebookInstance, *hooks: str) -> dict[str, bytes]:
        """The scripts of the instance's lifecycle configuration for these hooks, in this order."""
        name = notebook.request.get("LifecycleConfigName")
        if name is None:
            return {}
        config = self.find("notebook-instance-lifecycle-config", name, NO_LIFECYCLE).request
        return {hook: base64.b64decode(script["Content"]) for hook in hooks for script in config.get(hook) or []}

    def _notebook(self) -> NotebookInstance:
        return self.find("notebook-instance", self.request["NotebookInstanceName"], NO_NOTEBOOK)

    def describe_notebook_instance(self) -> ActionResult:
        notebook = self._notebook()
        described = {**NOTEBOOK_DEFAULTS, **notebook.request}
        described["SecurityGroups"] = described.pop("SecurityGroupIds", [])
        reason = {"FailureReason": notebook.failure_reason} if notebook.failure_reason else {}
        return ActionResult({**described, **_notebook_summary(notebook), **reason})

    def list_notebook_instances(self) -> ActionResult:
        records = self.table("notebook-instance").values()
        return ActionResult(self.page(records, "NotebookInstances", _notebook_summary))

    def start_notebook_instance(self) -> ActionResult:
        notebook = self._notebook()
        notebook.require(AT_REST, "Pending")
        limits.require_notebook(self.region, notebook.request["InstanceType"])
        notebook.start(self._scripts(notebook, "OnStart"))
        return EmptyResult()

    def stop_notebook_instance(self) -> ActionResult:
        self._notebook().stop()
        return EmptyResult()

    def create_presigned_notebook_instance_url(self) -> ActionResult:
        """The URL's token holds as long as the server runs, whatever SessionExpirationDurationInSeconds says."""
        notebook = self._notebook()
        if notebook.status != "InService":
            raise InvalidRequest(
                f"Notebook Instance ({notebook.arn}) is {notebook.status}: a URL exists only while it is InService."
            )
        return ActionResult({"AuthorizedUrl": notebook.machine.url()})

    def update_notebook_instance(self) -> ActionResult:
        notebook = self._notebook()
        notebook.require(AT_REST, "Updating")
        changes = self.request
        for flag, name in DISASSOCIATIONS.items():
            if changes.pop(flag, False):
                notebook.request.pop(name, None)
        notebook.request.update(changes)
        return EmptyResult()

    def delete_notebook_instance(self) -> ActionResult:
        notebook = self._notebook()
        notebook.leave(AT_REST, "Deleting")
        notebook.machine.erase()
        del self.table("notebook-instance")[notebook.name]
        return EmptyResult()

    def create_notebook_instance_lifecycle_config(self) -> ActionResult:
        request = self.request
        name = request["NotebookInstanceLifecycleConfigName"]
        kind = "notebook-instance-lifecycle-config"
        configs = self.table(kind)
        if name in configs:
            raise InvalidRequest(
                f"Unable to create Notebook Instance Lifecycle Config {configs[name].arn}. "
                "(Details: Notebook Instance Lifecycle Config already exists.)"
            )
        config = configs[name] = Record(kind, name, self.region, request)
        return ActionResult({"NotebookInstanceLifecycleConfigArn": config.arn})

    def _lifecycle(self) -> Record:
        name = self.request["NotebookInstanceLifecycleConfigName"]
        return self.find("notebook-instance-lifecycle-config", name, NO_LIFECYCLE)

    def describe_notebook_instance_lifecycle_config(self) -> ActionResult:
        config = self._lifecycle()
        times = {"CreationTime": config.created, "LastModifiedTime": config.modified}
        return ActionResult({**config.request, "NotebookInstanceLifecycleConfigArn": config.arn, **times})

    def update_notebook_instance_lifecycle_config(self) -> ActionResult:
        self._lifecycle().request.update(self.request)
        return EmptyResult()

    def delete_notebook_instance_lifecycle_config(self) -> ActionResult:
        del self.table("notebook-instance-lifecycle-config")[self._lifecycle().name]
        return EmptyResult()


def all_notebooks() -> list[NotebookInstance]:
    """The notebook instances of every region in use."""
    backends = sagemaker_backends[ACCOUNT_ID].values()
    return [notebook for backend in backends for notebook in backend.notebook_instances.values()]


def restore() -> None:
    for notebook in all_notebooks():
        if notebook.status not in AT_REST:
            notebook.suspend()


def stop() -> None:
    for notebook in all_notebooks():
        if notebook.status not in AT_REST:
            notebook.suspend()
            notebook.machine.halt()


def _notebook_summary(notebook: NotebookInstance) -> dict[str, Any]:
    return {
        "NotebookInstanceName": notebook.name,
        "NotebookInstanceArn": notebook.arn,
        "NotebookInstanceStatus": notebook.status,
        "InstanceType": notebook.request["InstanceType"],
        "NotebookInstanceLifecycleConfigName": notebook.request.get("LifecycleConfigName"),
        "Url": f"{notebook.name}.notebook.{notebook.region}.sagemaker.aws",
        "CreationTime": notebook.created,
        "LastModifiedTime": notebook.modified,
    }
