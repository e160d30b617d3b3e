"""The model inside of the function: `endpoint.kind = "in-function"`.

Only the package of that kind contains this module, the serving code (`payloads/inference`) and OpenVINO, NumPy and
Pillow. The handler imports it if MODEL_DATA_URL is set. Requests and answers are those of the endpoint, because the
same code reads and makes them. The model's archive gives its graph and its card only. Its own serving code does not run
here, because the function has a role and a network, and an endpoint's container has neither (docs/adr/0023).
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import inference
from classifier import artifact
from classifier.contract import ApiError
from model_archive import open_object
from networks import GraphNetwork
from predictor.deadline import Deadline

TOO_SLOW = "The model took too long to answer."
BUSY = "The model is busy; try again shortly."


class OwnModel:
    """A loaded model with the interface of `predictor.endpoint.Endpoint`."""

    log_field = "model_ms"

    def __init__(self, model: inference.Model):
        self._model = model

    def predict(
        self,
        image: bytes,
        content_type: str,
        top_k: int | None,
        deadline: Deadline,
        request_id: str,
        *,
        explain: bool = False,
    ) -> dict:
        """`{"predictions": [...], "model": {...}}` and what else the model can give.

        Raises ApiError: a 4xx of the contract, 429 if earlier requests still run, 502 if the model fails, 504 after the
        deadline.
        """
        try:
            return deadline.run(inference.predict_fn, inference.Request(image, top_k, explain), self._model)
        except ApiError as error:
            if error.code == "overloaded":
                raise ApiError("throttled", BUSY) from error
            raise
        except TimeoutError as error:
            raise ApiError("endpoint_timeout", TOO_SLOW) from error
        except Exception as error:
            raise ApiError("model_failed", "The model failed on this request.") from error


def from_environment(environ: Mapping[str, str]) -> OwnModel:
    """Fetch the model at MODEL_DATA_URL, load it and let it answer once.

    Lambda calls this when an environment starts, so a model that cannot be read or cannot answer fails the start.
    Raises ModelUnavailable, ArtifactError, GraphError and ValueError.
    """
    folder = Path(tempfile.mkdtemp(prefix="model-"))  # in /tmp, the only folder that a function may write to
    with open_object(environ["MODEL_DATA_URL"], environ) as archive:
        card = artifact.extract_graph(archive, environ["MODEL_DATA_URL"], folder)
    expected = environ.get(artifact.EXPECTED)
    if expected and artifact.identity(folder) != expected:
        raise artifact.ArtifactError(
            f"{environ['MODEL_DATA_URL']} is not the model that was promoted. Promote it again."
        )
    # One request at a time: all processors work on it.
    model = inference.Model(card, GraphNetwork(folder, card, hint="LATENCY"))
    inference.check(model)
    return OwnModel(model)
