"""Settings of buckets that moto does not know: kept as they are sent, and given back. Nothing acts on them.

moto takes a request for one of them for the operation on the bucket itself: a PUT creates it, a DELETE deletes it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from moto.s3 import models, responses
from moto.s3.models import FakeBucket

from localaws import errors

XML = "http://s3.amazonaws.com/doc/2006-03-01/"
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
# The root of one configuration and of their listing, by the name in the query.
CONFIGURATIONS = {
    "analytics": ("AnalyticsConfiguration", "ListBucketAnalyticsConfigurationsResult"),
    "intelligent-tiering": ("IntelligentTieringConfiguration", "ListBucketIntelligentTieringConfigurationsOutput"),
    "inventory": ("InventoryConfiguration", "ListInventoryConfigurationsResult"),
    "metrics": ("MetricsConfiguration", "ListMetricsConfigurationsResult"),
}
PAYMENT = "requestPayment"


class NoSuchConfiguration(Exception):
    """A bucket has no configuration of that kind and identifier."""


@dataclass
class BucketSettings:
    """The documents of one bucket, by the name in the query and, of configurations, by their identifier."""

    documents: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def answer(self, method: str, name: str, identifier: str | None, body: bytes) -> tuple[int, bytes]:
        """Status and body for a request about a setting. Raises NoSuchConfiguration."""
        key = (name, identifier or "")
        if method == "PUT":
            self.documents[key] = body
            return 200, b""
        if name == PAYMENT:
            default = (
                f'<RequestPaymentConfiguration xmlns="{XML}"><Payer>BucketOwner</Payer></RequestPaymentConfiguration>'
            )
            return 200, self.documents.get(key, DECLARATION + default.encode())
        if method == "GET" and identifier is None:
            return 200, self._listing(name)
        if key not in self.documents:
            raise NoSuchConfiguration
        return (204, b"") if method == "DELETE" and self.documents.pop(key) else (200, self.documents[key])

    def _listing(self, name: str) -> bytes:
        """All configurations of a kind, in the order of their identifiers."""
        ElementTree.register_namespace("", XML)
        root = ElementTree.Element(f"{{{XML}}}{CONFIGURATIONS[name][1]}")
        ElementTree.SubElement(root, f"{{{XML}}}IsTruncated").text = "false"
        for kind, identifier in sorted(self.documents):
            if kind == name:
                root.append(ElementTree.fromstring(self.documents[kind, identifier]))  # noqa: S314 read by the gate
        return DECLARATION + ElementTree.tostring(root)


def _answered(answer: Callable) -> Callable:
    def answered(self: responses.S3Response, request: Any, full_url: str) -> Any:
        name = next((each for each in (*CONFIGURATIONS, PAYMENT) if each in request.args), None)
        if name is None or request.method not in ("GET", "PUT", "DELETE") or not self.bucket_name:
            return answer(self, request, full_url)
        self.data["Action"] = request.method.title() + f"Bucket{name.title()}"
        self._authenticate_and_authorize_s3_action(bucket_name=self.bucket_name)  # before it is known if there is one
        bucket = self.backend.get_bucket(self.bucket_name)
        settings = vars(bucket).setdefault("localaws_settings", BucketSettings())
        try:
            status, body = settings.answer(request.method, name, request.args.get("id"), self.body or b"")
        except NoSuchConfiguration:
            return errors.answer("s3", "NoSuchConfiguration", "The specified configuration does not exist.", 404)
        return status, {"Content-Type": "application/xml"} if body else {}, body

    return answered


def _accelerate(bucket: FakeBucket, status: str) -> None:
    """A bucket has a state of acceleration as soon as one was set, also if it is `Suspended`."""
    bucket.accelerate_configuration = status


def install() -> None:
    models.FakeBucket.set_accelerate_configuration = _accelerate
    responses.S3Response._bucket_response = _answered(responses.S3Response._bucket_response)
