"""Keep a sample of the images and their answers in S3, for `make review`. Off unless CAPTURE is set.

Each captured image is an object of its own, `<place>/2026/11/29/13/<request id>-1.jsonl`: one line of JSON in the
record format of SageMaker's data capture (SageMaker developer guide, "Capture data from real-time endpoint"). The image
is in base64, and the answer is the JSON that the model gave. Nothing else about the caller is kept: no address, no
headers and no URL. The image has no metadata, such as the place in its Exif data (`predictor.metadata`). An image whose
metadata cannot be found is not kept.

A failure to capture is logged and never fails the request.
"""

import base64
import http.client
import json
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from classifier.contract import JSON_TYPE

from predictor.deadline import Deadline
from predictor.log import RequestLog
from predictor.metadata import without_metadata
from predictor.objects import SCHEME, put_object

SECONDS = 2.0  # that a caller waits for it at most


@dataclass(frozen=True)
class Capture:
    """`place` is s3://bucket/prefix/, `percent` the share of the images that are kept. Raises ValueError."""

    place: str
    percent: float
    chance: Callable[[], float] = random.random  # from 0 to 1

    def __post_init__(self) -> None:
        if not self.place.startswith(SCHEME) or not self.place.endswith("/"):
            raise ValueError(f"CAPTURE is {self.place!r}, not s3://bucket/prefix/")
        if not 0 < self.percent <= 100:
            raise ValueError(f"CAPTURE_PERCENT is {self.percent:g}, not a number above 0, up to 100")

    def keep(
        self,
        image: bytes,
        content_type: str,
        answer: dict,
        deadline: Deadline,
        log: RequestLog,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Write the image and its answer if chance selects them. The log gets `captured`, or why it failed."""
        if self.chance() * 100 >= self.percent:
            return
        number = log.count("captured")
        now = datetime.now(UTC)
        url = f"{self.place}{now:%Y/%m/%d/%H}/{log.request_id}-{number}.jsonl"
        with log.timed("capture_ms"):
            try:
                line = record(without_metadata(image, content_type), content_type, answer, log.request_id, now)
                put_object(url, line, JSON_TYPE, deadline.within(SECONDS), environ)
            except (OSError, http.client.HTTPException, ValueError) as error:
                log.set(captured=number - 1, capture_failed=f"{type(error).__name__}: {error}")


def record(image: bytes, content_type: str, answer: dict, request_id: str, now: datetime) -> bytes:
    """A line of JSON with the image and its answer."""
    kept = {name: value for name, value in answer.items() if name != "explanation"}
    return (
        json.dumps(
            {
                "captureData": {
                    "endpointInput": {
                        "observedContentType": content_type,
                        "mode": "INPUT",
                        "data": base64.b64encode(image).decode(),
                        "encoding": "BASE64",
                    },
                    "endpointOutput": {
                        "observedContentType": JSON_TYPE,
                        "mode": "OUTPUT",
                        "data": json.dumps(kept),
                        "encoding": "JSON",
                    },
                },
                "eventMetadata": {"eventId": request_id, "inferenceTime": f"{now:%Y-%m-%dT%H:%M:%SZ}"},
                "eventVersion": "0",
            }
        )
        + "\n"
    ).encode()
