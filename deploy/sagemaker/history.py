"""The history of promotions: one document each, at `releases/history/`, where no role of the stack can write.

The key begins with the time, so a listing is in order. A document is never changed. So a rollback is one more document,
and two people who promote at the same time do not lose each other's.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from classifier.artifact import ModelCard

from deploy import bucket
from deploy.deployment import Deployment

PREFIX = "releases/history/"
READ = 200  # promotions, the newest ones
PROMOTED, BACK, FAILED = "promoted", "rolled back", "failed"


@dataclass(frozen=True)
class Promotion:
    """One promotion: what became of it, who made it, and which model it was.

    `before` is the release that it replaced. A failed one did not replace it. `evaluation` is the comparison of the two
    (`deploy.evaluation.gate.examine`), None if there was none.
    """

    at: str  # UTC, ISO 8601
    by: str  # the caller's ARN
    release: str
    outcome: str  # PROMOTED, BACK or FAILED
    before: str
    model_data_url: str
    sha256: str | None = None
    forced: bool = False
    run: str = ""
    architecture: str = ""
    classes: int = 0
    trained: str = ""  # UTC, ISO 8601
    metrics: dict[str, float] = field(default_factory=dict)
    data_sha256: str | None = None
    code_sha256: str | None = None
    evaluation: dict[str, Any] | None = None
    package: str | None = None  # the ARN of its version in the Model Registry


def of_card(card: ModelCard) -> dict[str, Any]:
    """What a promotion records of a model's card."""
    return {
        "run": card.name,
        "architecture": card.architecture,
        "classes": len(card.classes),
        "trained": card.created,
        "metrics": card.metrics,
        "data_sha256": card.data_sha256,
        "code_sha256": card.code_sha256,
    }


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def caller(deployment: Deployment) -> str:
    return deployment.client("sts").get_caller_identity()["Arn"]


def add(deployment: Deployment, promotion: Promotion) -> None:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    deployment.client("s3").put_object(
        Bucket=deployment.artifacts_bucket,
        Key=f"{PREFIX}{stamp}-{promotion.release}.json",
        Body=json.dumps(asdict(promotion), indent=2).encode(),
        ContentType="application/json",
    )


def read(deployment: Deployment) -> list[Promotion]:
    """The promotions, the newest first. Fields of a later version are ignored."""
    s3 = deployment.client("s3", max_pool_connections=16)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=deployment.artifacts_bucket, Prefix=PREFIX)
    keys = sorted(item["Key"] for page in pages for item in page.get("Contents", []))[-READ:]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda key: bucket.note(s3, deployment.artifacts_bucket, key), reversed(keys)))
    names = {each.name for each in fields(Promotion)}
    return [Promotion(**{name: value for name, value in each.items() if name in names}) for each in found if each]
