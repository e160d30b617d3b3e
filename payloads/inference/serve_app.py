"""The endpoint under Ray Serve: `serve run config.yaml` in the model's folder starts `app`.

AWS's serving image extracts the artifact, puts its folder and `code/` on PYTHONPATH, starts Ray with the GPUs that it
finds, and forwards /invocations to the route / with Content-Type, Accept and the X-Amzn-SageMaker headers.
"""

import asyncio
import logging
from pathlib import Path

import inference
import ray
from classifier.contract import CUSTOM_ATTRIBUTES_HEADER, ApiError
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

MODEL_FOLDER = Path(__file__).resolve().parent.parent  # this file is code/serve_app.py of the artifact

log = logging.getLogger("ray.serve")


@serve.deployment
class Classifier:
    def __init__(self) -> None:
        self.model = inference.model_fn(str(MODEL_FOLDER))

    async def __call__(self, request: Request) -> Response:
        body, headers = await request.body(), request.headers
        try:
            asked = inference.read_request(body, headers.get("content-type"), headers.get(CUSTOM_ATTRIBUTES_HEADER))
            # A caller that hangs up has Ray cancel this, and with it what still waits in the model's line.
            probabilities = await asyncio.wrap_future(self.model.submit(asked))
            content, kind = inference.output_fn(self.model.answer(asked, probabilities), headers.get("accept"))
            return Response(content, media_type=kind)
        except ApiError as error:
            return JSONResponse(error.to_dict(), status_code=error.status)
        except Exception:
            log.exception("the model failed")
            error = ApiError("internal_error", "The model failed; its log has the reason.")
            return JSONResponse(error.to_dict(), status_code=error.status)


# A replica sees no GPU that it has not asked for, and one that asks for a GPU where there is none never starts.
has_gpu = ray.cluster_resources().get("GPU", 0) >= 1
app = Classifier.options(ray_actor_options={"num_gpus": 1 if has_gpu else 0}).bind()
