"""AWS's managed policies: moto ships the documents of some 1,600 of them. Each is read once and pickled by name."""

import functools
import json
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend

from localaws import state
from localaws.context import ACCOUNT_ID

PARTITION = "aws"


@functools.cache
def catalogue() -> dict[str, AWSManagedPolicy]:
    """All of them, by ARN."""
    documents = json.loads(aws_managed_policies_data)
    made = [AWSManagedPolicy.from_data(name, ACCOUNT_ID, PARTITION, data) for name, data in documents.items()]
    return {policy.arn: policy for policy in made}


def _restored(arn: str, attached: int) -> AWSManagedPolicy | None:
    """A policy as it is unpickled. None if moto has dropped it since, which only ever happened to retired ones."""
    policy = catalogue().get(arn)
    if policy is not None:
        policy.attachment_count = attached
    return policy


def _getstate(backend: IAMBackend) -> dict[str, Any]:
    """A backend without the policies that are in the catalogue; what is attached names them by ARN."""
    own = {arn: each for arn, each in backend.managed_policies.items() if not isinstance(each, AWSManagedPolicy)}
    return {**vars(backend), "managed_policies": own, "aws_managed_policies": []}


def _setstate(backend: IAMBackend, saved: dict[str, Any]) -> None:
    vars(backend).update(saved)
    backend.aws_managed_policies = list(catalogue().values())
    backend.managed_policies = {**catalogue(), **saved["managed_policies"]}


def install() -> None:
    IAMBackend._init_aws_policies = lambda _backend: list(catalogue().values())
    IAMBackend.__getstate__ = _getstate
    IAMBackend.__setstate__ = _setstate
    state.pickle_with(AWSManagedPolicy, lambda policy: (_restored, (policy.arn, policy.attachment_count)))
