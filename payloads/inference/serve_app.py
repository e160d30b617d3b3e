"""The endpoint under Ray Serve: `serve run config.yaml` in the model's folder starts `app`.

AWS's serving image extracts the artifact, puts its folder and `code/` on PYTHONPATH, and forwards /invocations to
the route / with Content-Type, Accept and the X-Amzn-SageMaker headers.
"""

import asyncio
import logging
from pathlib import Path

import inference
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
        body = await request.body()
        try:
            return await asyncio.to_thread(self.answer, body, request.headers)
        except ApiError as error:
            return JSONResponse(error.to_dict(), status_code=error.status)
        except Exception:
            log.exception("the model failed")
            error = ApiError("internal_error", "The model failed; its log has the reason.")
            return JSONResponse(error.to_dict(), status_code=error.status)

    def answer(self, body: bytes, headers) -> Response:
        asked = inference.read_request(body, headers.get("content-type"), headers.get(CUSTOM_ATTRIBUTES_HEADER))
        content, media_type = inference.output_fn(inference.predict_fn(asked, self.model), headers.get("accept"))
        return Response(content, media_type=media_type)


app = Classifier.bind()
