"""How batch transform divides an object into requests, and puts the answers together.

Source: BatchStrategy, SplitType, MaxPayloadInMB and AssembleWith in the API reference of CreateTransformJob.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

MEGABYTE = 1024 * 1024
SINGLE, MULTI = "SingleRecord", "MultiRecord"
DEFAULT_PAYLOAD_MB, MOST_PAYLOAD_MB = 6, 100
IN_LOG = {SINGLE: "SINGLE_RECORD", MULTI: "MULTI_RECORD"}  # as the log and the container's variables have them


class TooLarge(Exception):
    """A record is larger than MaxPayloadInMB."""


@dataclass(frozen=True)
class TransformPlan:
    """How the job asks its containers: requests at a time for each, bytes of a request, and its records."""

    concurrent: int
    payload_mb: int
    strategy: str
    split: str
    assemble: str

    @property
    def words(self) -> str:
        """The first line of a job's log (aws/amazon-sagemaker-examples #1620)."""
        strategy = IN_LOG[self.strategy]
        return f"MaxConcurrentTransforms={self.concurrent}, MaxPayloadInMB={self.payload_mb}, BatchStrategy={strategy}"

    def requests(self, content: bytes) -> Iterator[bytes]:
        """The bodies of the requests for one object. Raises TooLarge."""
        records = [content] if self.split == "None" else content.removesuffix(b"\n").split(b"\n")
        most, waiting = self.payload_mb * MEGABYTE, b""
        for number, record in enumerate(records):
            if len(record) > most:
                raise TooLarge(f"The record {number + 1} has {len(record)} bytes, more than MaxPayloadInMB allows.")
            if self.strategy == SINGLE or self.split == "None":
                yield record
            elif waiting and len(waiting) + len(record) + 1 > most:
                yield waiting
                waiting = record
            else:
                waiting = waiting + b"\n" + record if waiting else record
        if waiting:
            yield waiting

    def together(self, answers: Iterable[bytes]) -> bytes:
        """The content of the object's output."""
        end = b"\n" if self.assemble == "Line" else b""
        return b"".join(each + end for each in answers)


def variables(request: dict[str, Any]) -> dict[str, str]:
    """The variables that a container gets from SageMaker. Source: aws/sagemaker-python-sdk, local mode's transform."""
    return {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(request.get("MaxPayloadInMB") or DEFAULT_PAYLOAD_MB),
        "SAGEMAKER_BATCH_STRATEGY": IN_LOG[request.get("BatchStrategy") or MULTI],
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(request.get("MaxConcurrentTransforms") or 1),
    }


def plan_of(request: dict[str, Any], advised: dict[str, Any]) -> TransformPlan:
    """The plan of a job: what the request says, else what its container advises (/execution-parameters), else AWS's
    defaults."""
    source, output = request["TransformInput"], request["TransformOutput"]
    concurrent = request.get("MaxConcurrentTransforms") or advised.get("MaxConcurrentTransforms") or 1
    payload = request.get("MaxPayloadInMB") or advised.get("MaxPayloadInMB") or DEFAULT_PAYLOAD_MB
    strategy = request.get("BatchStrategy") or advised.get("BatchStrategy") or MULTI
    strategy = next((name for name, word in IN_LOG.items() if strategy in (name, word)), MULTI)
    split, assemble = source.get("SplitType") or "None", output.get("AssembleWith") or "None"
    return TransformPlan(int(concurrent), int(payload), strategy, split, assemble)
