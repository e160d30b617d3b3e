"""SageMaker's notebook instances and their lifecycle configurations: stored; nothing runs in them."""

from typing import Any

from moto.core.responses import ActionResult, EmptyResult

from localaws.control.sagemaker_records import InvalidRequest, Operations, Record, now

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
        notebook = notebooks[name] = Record("notebook-instance", name, self.region, request)
        notebook.status = "InService"
        return ActionResult({"NotebookInstanceArn": notebook.arn})

    def _notebook(self) -> Record:
        return self.find("notebook-instance", self.request["NotebookInstanceName"], NO_NOTEBOOK)

    def describe_notebook_instance(self) -> ActionResult:
        notebook = self._notebook()
        described = {**NOTEBOOK_DEFAULTS, **notebook.request}
        described["SecurityGroups"] = described.pop("SecurityGroupIds", [])
        return ActionResult({**described, **_notebook_summary(notebook)})

    def list_notebook_instances(self) -> ActionResult:
        records = self.table("notebook-instance").values()
        return ActionResult(self.page(records, "NotebookInstances", _notebook_summary))

    def start_notebook_instance(self) -> ActionResult:
        return self._move_notebook("Stopped", "InService")

    def stop_notebook_instance(self) -> ActionResult:
        return self._move_notebook("InService", "Stopped")

    def _move_notebook(self, source: str, target: str) -> ActionResult:
        notebook = self._notebook()
        _require_notebook(notebook, source, target)
        notebook.status, notebook.modified = target, now()
        return EmptyResult()

    def update_notebook_instance(self) -> ActionResult:
        notebook = self._notebook()
        _require_notebook(notebook, "Stopped", "Updating")
        changes = self.request
        for flag, name in DISASSOCIATIONS.items():
            if changes.pop(flag, False):
                notebook.request.pop(name, None)
        notebook.request.update(changes)
        return EmptyResult()

    def delete_notebook_instance(self) -> ActionResult:
        notebook = self._notebook()
        _require_notebook(notebook, "Stopped", "Deleting")
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


def _require_notebook(notebook: Record, status: str, target: str) -> None:
    if notebook.status != status:
        raise InvalidRequest(
            f"Status ({notebook.status}) not in ([{status}]). Unable to transition to ({target}) "
            f"for Notebook Instance ({notebook.arn})"
        )


def _notebook_summary(notebook: Record) -> dict[str, Any]:
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
