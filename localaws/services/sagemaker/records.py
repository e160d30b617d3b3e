"""How SageMaker's resources are kept: one record each, holding the request that made it, word for word.

moto's own SageMaker classes keep a part of each request (no `EnableNetworkIsolation`, no instance type newer than
2021), invent the rest and complete every job at once. So its package serves here for the protocol and as the place
that holds the records (its backend's dictionaries), and the operations are this project's.
"""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from moto.core.exceptions import ServiceException
from moto.sagemaker.models import SageMakerModelBackend, sagemaker_backends
from moto.sagemaker.responses import SageMakerResponse

from localaws.context import ACCOUNT_ID
from localaws.paging import InvalidToken, page
from localaws.services.iam.service_roles import SAGEMAKER, CannotAssume, ServiceRole

# The kinds of resource, by the word in their ARNs, with the backend's dictionary that holds them.
TABLES = {
    "model": "_models",
    "endpoint-config": "endpoint_configs",
    "endpoint": "endpoints",
    "training-job": "training_jobs",
    "transform-job": "transform_jobs",
    "hyper-parameter-tuning-job": "hyper_parameter_tuning_jobs",
    "notebook-instance": "notebook_instances",
    "notebook-instance-lifecycle-config": "notebook_instance_lifecycle_configurations",
    "model-package-group": "model_package_groups",
    "model-package": "model_packages",
}


class InvalidRequest(ServiceException):
    code = "ValidationException"


class NotRunHere(ServiceException):
    """AWS takes it, the local AWS does not. The AWS provider would retry a ValidationException for two minutes."""

    code = "UnknownOperationException"


class InUse(ServiceException):
    code = "ResourceInUse"


class NotFound(ServiceException):
    code = "ResourceNotFound"


def now() -> datetime:
    return datetime.now(UTC)


def arn_of(kind: str, name: str, region: str) -> str:
    return f"arn:aws:sagemaker:{region}:{ACCOUNT_ID}:{kind}/{name.lower()}"


def require_role(role_arn: str, region: str, arn: str) -> None:
    """Raise the ValidationException that AWS gives if SageMaker may not assume a role for the resource `arn`."""
    try:
        ServiceRole(role_arn, SAGEMAKER, "SageMaker", region).require_trust(arn)
    except CannotAssume:
        raise InvalidRequest(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal '{SAGEMAKER}' "
            "to assume the role."
        ) from None


def backend_of(region: str) -> SageMakerModelBackend:
    return sagemaker_backends[ACCOUNT_ID][region]


def table_of(kind: str, region: str) -> dict[str, Any]:
    """The records of a kind in a region, by name."""
    return getattr(backend_of(region), TABLES[kind])


class Record:
    """A resource: what was asked for, when, under which ARN, with which tags."""

    def __init__(self, kind: str, name: str, region: str, request: dict[str, Any]):
        self.kind = kind
        self.name = name
        self.region = region
        self.arn = arn_of(kind, name, region)
        self.tags: list[dict[str, str]] = request.get("Tags") or []
        self.request = {key: value for key, value in request.items() if key != "Tags"}
        self.created = self.modified = now()
        self.status: str | None = None


class Operations(SageMakerResponse):
    """What the operations of all kinds share."""

    @property
    def request(self) -> dict[str, Any]:
        """The request's parameters, as sent."""
        return json.loads(self.body or "{}")

    def table(self, kind: str) -> dict[str, Any]:
        return table_of(kind, self.region)

    def find(self, kind: str, name: str, missing: str) -> Any:
        """The record of that name. Raises the ValidationException that AWS gives; `{arn}` in `missing` is filled in."""
        try:
            return self.table(kind)[name]
        except KeyError:
            raise InvalidRequest(missing.format(arn=arn_of(kind, name, self.region))) from None

    def page(self, records: Iterable[Record], key: str, summary: Callable[[Record], dict[str, Any]]) -> dict[str, Any]:
        """One page of a List operation: filtered, sorted and cut as the request says, the newest first by default."""
        asked = self.request
        chosen = [record for record in records if _matches(record, asked)]
        by_name = asked.get("SortBy") == "Name"
        descending = asked.get("SortOrder", "Ascending" if by_name else "Descending") == "Descending"
        chosen.sort(key=lambda record: record.name if by_name else record.created, reverse=descending)
        return self.cut(chosen, key, summary)

    def cut(self, chosen: list[Record], key: str, summary: Callable[[Record], dict[str, Any]]) -> dict[str, Any]:
        """The page that the request asks for of records that are filtered and sorted already."""
        try:
            shown, token = page(chosen, self.request.get("NextToken"), int(self.request.get("MaxResults") or 100))
        except InvalidToken:
            raise InvalidRequest("The pagination token is not valid.") from None
        return {key: [summary(record) for record in shown], **({"NextToken": token} if token else {})}


def _matches(record: Record, asked: dict[str, Any]) -> bool:
    """Whether a record passes the filters that List operations share."""
    created, modified = record.created.timestamp(), record.modified.timestamp()
    return (
        asked.get("NameContains", "").lower() in record.name.lower()
        and asked.get("StatusEquals", record.status) == record.status
        and asked.get("CreationTimeAfter", 0) <= created <= asked.get("CreationTimeBefore", float("inf"))
        and asked.get("LastModifiedTimeAfter", 0) <= modified <= asked.get("LastModifiedTimeBefore", float("inf"))
    )
