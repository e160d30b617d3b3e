"""SageMaker's Model Registry: groups of model packages, and the versions in them: stored, and checked.

An approval changes nothing else here, as on AWS: what acts on it are the user's own programs.
"""

from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.s3.models import s3_backends

from localaws.context import ACCOUNT_ID
from localaws.services.sagemaker.metadata import model_location
from localaws.services.sagemaker.records import InvalidRequest, NotRunHere, Operations, Record, arn_of, now

GROUP, PACKAGE = "model-package-group", "model-package"
# The words of DescribeModelPackageGroup, which the ACK controller for SageMaker matches (its generator.yaml).
NO_GROUP = "ModelPackageGroup {arn} does not exist."
NO_PACKAGE = "ModelPackage {arn} does not exist."
CHANGEABLE = ("ModelApprovalStatus", "ApprovalDescription", "InferenceSpecification", "SourceUri", "ModelLifeCycle")
NOT_KEPT = ("ValidationSpecification", "SourceAlgorithmSpecification", "CertifyForMarketplace", "ModelCard")


class Conflict(ServiceException):
    code = "ConflictException"


class RegistryOperations(Operations):
    # --- groups ---

    def create_model_package_group(self) -> ActionResult:
        name = self.request["ModelPackageGroupName"]
        groups = self.table(GROUP)
        if name in groups:
            raise InvalidRequest(f"Model Package Group already exists: {groups[name].arn}")
        group = groups[name] = Record(GROUP, name, self.region, self.request)
        return ActionResult({"ModelPackageGroupArn": group.arn})

    def describe_model_package_group(self) -> ActionResult:
        group = self._group(self.request["ModelPackageGroupName"])
        return ActionResult({**_described_group(group), "CreatedBy": {}})

    def list_model_package_groups(self) -> ActionResult:
        groups = self.table(GROUP).values()
        return ActionResult(self.page(groups, "ModelPackageGroupSummaryList", _described_group))

    def delete_model_package_group(self) -> ActionResult:
        group = self._group(self.request["ModelPackageGroupName"])
        if self._versions(group.name):
            raise Conflict("Model Package Group cannot be deleted because it still contains Model Packages.")
        del self.table(GROUP)[group.name]
        return EmptyResult()

    # --- packages ---

    def create_model_package(self) -> ActionResult:
        """Keep a version. Raises ValidationException if its group or an archive of its containers does not exist.

        Source of the words about names: what AWS answers, recorded in moto's PR 7165.
        """
        request = self.request
        if request.get("ModelPackageName") and request.get("ModelPackageGroupName"):
            raise InvalidRequest(
                "Both ModelPackageName and ModelPackageGroupName are provided in the input. Cannot determine which one "
                "to use."
            )
        if not request.get("ModelPackageName") and not request.get("ModelPackageGroupName"):
            raise InvalidRequest("Missing ARN.")
        if request.get("ModelPackageName"):
            raise NotRunHere("The local AWS keeps model packages of a group only: give a ModelPackageGroupName.")
        if given := [name for name in NOT_KEPT if request.get(name)]:
            raise NotRunHere(f"The local AWS does not support {given[0]} of a model package.")
        group = self._group(request["ModelPackageGroupName"])
        for container in (request.get("InferenceSpecification") or {}).get("Containers", ()):
            _check_model_data(container)
        version = 1 + max((each.version for each in self._versions(group.name)), default=0)
        package = Record(PACKAGE, f"{group.name}/{version}", self.region, request)
        package.group, package.version = group.name, version
        package.request.setdefault("ModelApprovalStatus", "PendingManualApproval")
        package.status = "Completed"
        self.table(PACKAGE)[package.name] = package
        return ActionResult({"ModelPackageArn": package.arn})

    def describe_model_package(self) -> ActionResult:
        package = self._package(self.request["ModelPackageName"])
        kept = {key: value for key, value in package.request.items() if key != "ClientToken"}
        details = {"ModelPackageStatusDetails": {"ValidationStatuses": []}, "CreatedBy": {}}
        changed = {"LastModifiedTime": package.modified} if package.modified != package.created else {}
        return ActionResult({**kept, **_summary(package), **details, **changed})

    def list_model_packages(self) -> ActionResult:
        """Versions of a group. Without one, AWS lists the packages that are not in a group: none here."""
        asked = self.request
        name, wanted = asked.get("ModelPackageGroupName"), asked.get("ModelApprovalStatus")
        found = self._versions(self._group(name).name) if name else []
        if not name and asked.get("ModelPackageType") in ("Versioned", "Both"):
            found = list(self.table(PACKAGE).values())
        found = [each for each in found if wanted in (None, each.request["ModelApprovalStatus"])]
        return ActionResult(self.page(found, "ModelPackageSummaryList", _summary))

    def update_model_package(self) -> ActionResult:
        package = self._package(self.request["ModelPackageArn"])
        package.request.update({name: self.request[name] for name in CHANGEABLE if name in self.request})
        properties = package.request.get("CustomerMetadataProperties", {}) | self.request.get(
            "CustomerMetadataProperties", {}
        )
        for name in self.request.get("CustomerMetadataPropertiesToRemove", ()):
            properties.pop(name, None)
        if properties:
            package.request["CustomerMetadataProperties"] = properties
        package.modified = now()
        return ActionResult({"ModelPackageArn": package.arn})

    def delete_model_package(self) -> ActionResult:
        del self.table(PACKAGE)[self._package(self.request["ModelPackageName"]).name]
        return EmptyResult()

    def _group(self, name: str) -> Record:
        """The group of a name or an ARN."""
        return self.find(GROUP, name.rpartition(f":{GROUP}/")[2], NO_GROUP)

    def _package(self, name: str) -> Any:
        """The version of an ARN, which has the group's name in small letters."""
        for package in self.table(PACKAGE).values():
            if name in (package.arn, package.name):
                return package
        arn = name if name.startswith("arn:") else arn_of(PACKAGE, name, self.region)
        raise InvalidRequest(NO_PACKAGE.format(arn=arn))

    def _versions(self, group: str) -> list[Any]:
        return [each for each in list(self.table(PACKAGE).values()) if each.group == group]


def _described_group(group: Record) -> dict[str, Any]:
    return {
        **group.request,
        "ModelPackageGroupArn": group.arn,
        "CreationTime": group.created,
        "ModelPackageGroupStatus": "Completed",
    }


def _summary(package: Any) -> dict[str, Any]:
    described = {
        "ModelPackageGroupName": package.group,
        "ModelPackageVersion": package.version,
        "ModelPackageArn": package.arn,
        "CreationTime": package.created,
        "ModelPackageStatus": package.status,
    }
    shown = ("ModelPackageDescription", "ModelApprovalStatus", "ModelLifeCycle")
    return described | {name: package.request[name] for name in shown if name in package.request}


def _check_model_data(container: dict[str, Any]) -> None:
    """Raise ValidationException if the archive of a container does not exist."""
    url = container.get("ModelDataUrl")
    if url is None:
        return
    location = model_location(url)
    if location is None:
        raise NotRunHere(f"The local AWS fetches model data from S3 only, and {url} is not an address of S3.")
    bucket = s3_backends[ACCOUNT_ID]["aws"].buckets.get(location[0])
    if bucket is None or location[1] not in bucket.keys:
        raise InvalidRequest(f"Could not find model data at {url}.")
