"""SageMaker, assembled: its operations in place of moto's, its endpoints and jobs restored and stopped."""

from moto.sagemaker import urls

from localaws import state
from localaws.control import sagemaker_endpoints, sagemaker_notebooks, sagemaker_training, sagemaker_tuning
from localaws.control.sagemaker_endpoints import EndpointOperations
from localaws.control.sagemaker_invoke import application, matches
from localaws.control.sagemaker_metadata import MetadataOperations
from localaws.control.sagemaker_notebooks import NotebookOperations
from localaws.control.sagemaker_training import TrainingOperations
from localaws.control.sagemaker_tuning import TuningOperations

__all__ = ["application", "install", "matches"]


class LocalSageMaker(MetadataOperations, NotebookOperations, EndpointOperations, TrainingOperations, TuningOperations):
    """Every SageMaker operation that the local AWS has; docs/LOCALAWS.md says which of them run."""


def install() -> None:
    urls.url_paths["{0}/$"] = LocalSageMaker.dispatch
    state.register("sagemaker-endpoints", sagemaker_endpoints.restore, sagemaker_endpoints.stop)
    state.register("sagemaker-training", sagemaker_training.restore, sagemaker_training.stop)
    # After training: stopped before it, so that no trial is started while trials are stopped; restored after it.
    state.register("sagemaker-tuning", sagemaker_tuning.restore, sagemaker_tuning.stop)
    state.register("sagemaker-notebooks", sagemaker_notebooks.restore, sagemaker_notebooks.stop)
