"""LitServe with the eager model, as at the start of its documentation: JSON with a base64 image, two workers.

python -m bench.eager.litserve_app <port>
"""

import base64
import sys

import litserve
import torch


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:
        from bench.eager.network import EagerNetwork

        torch.set_num_threads(1)  # each worker has one processor
        self.model = EagerNetwork()

    def decode_request(self, request: dict) -> bytes:
        return base64.b64decode(request["image"])

    def predict(self, image: bytes) -> dict:
        return self.model.answer(image)

    def encode_response(self, output: dict) -> dict:
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Api(api_path="/invocations"), accelerator="cpu", workers_per_device=2)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
