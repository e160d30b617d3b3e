"""SageMaker, assembled: its operations in place of moto's, its endpoints and jobs restored and stopped."""

import functools

from moto.sagemaker import urls

from localaws import state
from localaws.services.cloudwatch import evaluation
from localaws.services.sagemaker import jobs
from localaws.services.sagemaker.endpoints import api as endpoints
from localaws.services.sagemaker.endpoints import usage
from localaws.services.sagemaker.endpoints.api import EndpointOperations
from localaws.services.sagemaker.endpoints.invoke import application, matches
from localaws.services.sagemaker.metadata import MetadataOperations
from localaws.services.sagemaker.notebooks import api as notebooks
from localaws.services.sagemaker.notebooks.api import NotebookOperations
from localaws.services.sagemaker.registry import RegistryOperations
from localaws.services.sagemaker.training.api import TrainingOperations
from localaws.services.sagemaker.transform.api import TransformOperations
from localaws.services.sagemaker.tuning.api import TuningOperations

__all__ = ["API", "application", "install", "matches"]

API = "sagemaker-runtime"  # InvokeEndpoint is a data plane, and an operation of this service


class LocalSageMaker(
    MetadataOperations,
    NotebookOperations,
    EndpointOperations,
    TrainingOperations,
    TransformOperations,
    TuningOperations,
    RegistryOperations,
):
    """Every SageMaker operation that the local AWS has; docs/LOCALAWS.md says which of them run."""


def install() -> None:
    urls.url_paths["{0}/$"] = LocalSageMaker.dispatch
    state.register("sagemaker-endpoints", endpoints.restore, endpoints.stop)
    _register("sagemaker-training", "training-job")
    _register("sagemaker-transform", "transform-job")
    evaluation.before_alarms(lambda since, now: usage.measure(endpoints.all_endpoints(), since, now))
    # After training: stopped before it, so that no trial is started while trials are stopped; restored after it.
    _register("sagemaker-tuning", "hyper-parameter-tuning-job")
    state.register("sagemaker-notebooks", notebooks.restore, notebooks.stop)


def _register(name: str, kind: str) -> None:
    """Have the jobs of a kind restored and suspended with the server."""
    state.register(name, functools.partial(jobs.restore, kind), functools.partial(jobs.stop, kind))
