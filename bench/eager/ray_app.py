"""Ray Serve with the eager model: one replica per processor, two in total."""

from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=2, max_ongoing_requests=16)
class EagerClassifier:
    def __init__(self) -> None:
        import torch

        from bench.eager.network import EagerNetwork

        torch.set_num_threads(1)
        self.model = EagerNetwork()

    async def __call__(self, request: Request) -> dict:
        return self.model.answer(await request.body())


app = EagerClassifier.bind()
