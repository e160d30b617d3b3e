"""What a bucket's lifecycle and logging set and moto forgets: sizes in filters, numbers of versions, formats of keys.

moto checks and keeps the rest. Nothing acts on either: objects do not expire, and no log is written.
"""

from typing import Any

from moto.core.responses import ActionResult
from moto.s3 import models, responses

MINIMUM_SIZE = "x-amz-transition-default-minimum-object-size"
SIZES = ("ObjectSizeGreaterThan", "ObjectSizeLessThan")

_set_lifecycle = models.FakeBucket.set_lifecycle
_put_bucket = responses.S3Response._bucket_response_put


def _keep_lifecycle(bucket: models.FakeBucket, rules: list[dict[str, Any]]) -> None:
    _set_lifecycle(bucket, rules)
    bucket.asked_rules = rules


def _keep_minimum_size(response: responses.S3Response, request: Any, *arguments: Any) -> Any:
    answer = _put_bucket(response, request, *arguments)
    if "lifecycle" in response.querystring:
        bucket = response.backend.get_bucket(response.bucket_name)
        bucket.asked_minimum_size = request.headers.get(MINIMUM_SIZE)
    return answer


def complete(action: str | None, bucket: Any, result: dict[str, Any]) -> None:
    """Add to the answer of a Get operation what its Put had set."""
    if action == "GetBucketLogging" and (key_format := (bucket.logging or {}).get("TargetObjectKeyFormat")):
        result["LoggingEnabled"]["TargetObjectKeyFormat"] = _key_format(key_format)
    if action == "GetBucketLifecycleConfiguration":
        for rule, asked in zip(result["Rules"], getattr(bucket, "asked_rules", []), strict=False):
            _complete_rule(rule, asked)
        if size := getattr(bucket, "asked_minimum_size", None):
            result["TransitionDefaultMinimumObjectSize"] = size


def _key_format(asked: dict[str, Any]) -> dict[str, Any]:
    if "PartitionedPrefix" in asked:
        return {"PartitionedPrefix": asked["PartitionedPrefix"] or {}}
    return {"SimplePrefix": {}}


def _complete_rule(rule: dict[str, Any], asked: dict[str, Any]) -> None:
    """A rule as moto describes it, with the parts of the request (XML as dictionaries of texts) that it lacks."""
    if asked_filter := asked.get("Filter"):
        shown = rule.setdefault("Filter", {})
        shown.update(_sizes(asked_filter))
        if both := asked_filter.get("And"):
            shown["And"] = {**shown.get("And", {}), **_sizes(both)}
    expiration = asked.get("NoncurrentVersionExpiration") or {}
    if "NewerNoncurrentVersions" in expiration:
        rule["NoncurrentVersionExpiration"]["NewerNoncurrentVersions"] = expiration["NewerNoncurrentVersions"]


def _sizes(asked: dict[str, Any]) -> dict[str, int]:
    return {name: int(asked[name]) for name in SIZES if asked.get(name) is not None}


def install() -> None:
    models.FakeBucket.set_lifecycle = _keep_lifecycle
    responses.S3Response._bucket_response_put = _keep_minimum_size
    serialized = responses.S3Response.serialized  # as it is, which other modules may have completed too

    def completed(response: responses.S3Response, answer: ActionResult) -> Any:
        action = response.data.get("Action")
        # The result is an exception if the bucket has no such configuration.
        if action in ("GetBucketLifecycleConfiguration", "GetBucketLogging") and isinstance(answer.result, dict):
            complete(action, response.backend.get_bucket(response.bucket_name), answer.result)
        return serialized(response, answer)

    responses.S3Response.serialized = completed
