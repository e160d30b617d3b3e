"""Buckets as a deployment leaves them: versions, delete markers, policies with conditions."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

SIGNED_FOR_S3 = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


@pytest.fixture
def bucket(localaws, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"bucket-{abs(hash(request.node.name))}"
    localaws.client("s3").create_bucket(Bucket=name)
    yield name


def test_a_bucket_with_delete_markers_can_be_emptied_after_its_versioning_was_suspended(localaws, bucket: str):
    s3 = localaws.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="photo", Body=b"1")
    s3.put_object(Bucket=bucket, Key="photo", Body=b"2")
    s3.delete_object(Bucket=bucket, Key="photo")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})

    listed = s3.list_object_versions(Bucket=bucket)
    everything = [
        {"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in listed["Versions"] + listed["DeleteMarkers"]
    ]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": everything})

    assert len(everything) == 3
    assert answer.get("Errors", []) == []
    s3.delete_bucket(Bucket=bucket)


def test_a_suspended_bucket_keeps_its_versions_and_has_one_that_is_called_null(localaws, bucket: str):
    s3 = localaws.client("s3")

    def put(body: bytes) -> str | None:
        return s3.put_object(Bucket=bucket, Key="photo", Body=body).get("VersionId")

    def kept() -> list[tuple[str, bool]]:
        listed = s3.list_object_versions(Bucket=bucket)
        entries = [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
        return sorted((entry["VersionId"], entry["IsLatest"]) for entry in entries)

    put(b"before")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = put(b"first")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    for body in (b"second", b"third"):
        assert put(body) is None
        assert kept() == sorted([(first, False), ("null", True)])
    assert s3.get_object(Bucket=bucket, Key="photo", VersionId="null")["Body"].read() == b"third"
    assert s3.get_object(Bucket=bucket, Key="photo", VersionId=first)["Body"].read() == b"first"
    assert s3.head_object(Bucket=bucket, Key="photo", VersionId=first)["ContentLength"] == 5
    s3.delete_object(Bucket=bucket, Key="photo")
    assert kept() == sorted([(first, False), ("null", True)]), "the marker is the version null"
    s3.delete_object(Bucket=bucket, Key="photo", VersionId="null")
    assert s3.get_object(Bucket=bucket, Key="photo")["Body"].read() == b"first"


def test_what_moto_does_not_know_is_never_an_operation_on_the_bucket_itself(localaws, bucket: str):
    s3 = localaws.client("s3", "eu-west-1")
    configuration = {"Id": "a", "StorageClassAnalysis": {}}
    s3.put_bucket_analytics_configuration(Bucket=bucket, Id="a", AnalyticsConfiguration=configuration)
    assert s3.get_bucket_analytics_configuration(Bucket=bucket, Id="a")["AnalyticsConfiguration"]["Id"] == "a"
    s3.delete_bucket_analytics_configuration(Bucket=bucket, Id="a")
    for refused, code in (
        (lambda: s3.get_bucket_analytics_configuration(Bucket=bucket, Id="a"), "NoSuchConfiguration"),
        (lambda: s3.get_object_torrent(Bucket=bucket, Key="photo"), "UnknownOperationException"),
        (lambda: s3.upload_part(Bucket=bucket, Key="k", UploadId="no", PartNumber=1, Body=b"x"), "NoSuchUpload"),
        (lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentMD5="MDAwMDAwMDAwMDAwMDAwMA=="), "BadDigest"),
    ):
        with pytest.raises(ClientError) as caught:
            refused()
        assert caught.value.response["Error"]["Code"] == code
    assert s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_what_s3_refuses_in_a_request_is_refused(localaws, bucket: str):
    s3 = localaws.client("s3")
    tag = s3.put_object(Bucket=bucket, Key="a", Body=b"0123")["ETag"]
    copy = {"Bucket": bucket, "Key": "b", "CopySource": f"{bucket}/a"}
    upload = {"Bucket": bucket, "Key": "m", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]}
    parts = [{"PartNumber": each, "ETag": tag} for each in (2, 1)]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="gone", Body=b"")
    marker = s3.delete_object(Bucket=bucket, Key="gone")["VersionId"]

    for call, code in (
        (lambda: s3.create_bucket(Bucket="Not_A_Name"), "InvalidBucketName"),
        (lambda: s3.copy_object(**copy, CopySourceIfMatch='"other"'), "PreconditionFailed"),
        (lambda: s3.get_object(Bucket=bucket, Key="a", PartNumber=2), "InvalidPartNumber"),
        (lambda: s3.head_object(Bucket=bucket, Key="a", PartNumber=2), "416"),
        (lambda: s3.get_object(Bucket=bucket, Key="gone", VersionId=marker), "MethodNotAllowed"),
        (lambda: s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}), "InvalidPartOrder"),
        (lambda: s3.list_objects_v2(Bucket=bucket, ContinuationToken="none"), "InvalidArgument"),
        (lambda: s3.list_object_versions(Bucket=f"{bucket}-none"), "NoSuchBucket"),
        (lambda: s3.get_bucket_lifecycle_configuration(Bucket=bucket), "NoSuchLifecycleConfiguration"),
    ):
        with pytest.raises(s3.exceptions.ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == code
    s3.copy_object(**copy, CopySourceIfMatch=tag)
    s3.abort_multipart_upload(**upload)


def test_one_part_of_an_object_is_read(localaws, bucket: str):
    s3 = localaws.client("s3")
    upload = {"Bucket": bucket, "Key": "m", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]}
    sent = {2: b"a" * 5 * 2**20, 5: b"last"}
    tags = {number: s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"] for number, body in sent.items()}
    parts = [{"PartNumber": number, "ETag": tag} for number, tag in tags.items()]
    whole = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})["ETag"]

    part = s3.get_object(Bucket=bucket, Key="m", PartNumber=2)
    head = s3.head_object(Bucket=bucket, Key="m", PartNumber=2)

    assert part["Body"].read() == b"last"
    for each in (part, head):
        assert (each["ContentLength"], each["PartsCount"], each["ETag"]) == (4, 2, whole)
        assert each["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert each["ResponseMetadata"]["HTTPHeaders"]["content-range"] == "bytes 5242880-5242883/5242884"


def test_versions_of_names_that_need_encoding_are_listed_and_deleted(localaws, bucket: str):
    s3 = localaws.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    names = ["Schäfer hund & Co +#?%/ünï (1) +%41.JPG", "plain.jpg"]
    for name in names:
        s3.put_object(Bucket=bucket, Key=name, Body=b"1")
    asked = http.client.HTTPConnection("127.0.0.1", localaws.port)
    asked.request("GET", f"/{bucket}?versions&encoding-type=url", headers={"Authorization": SIGNED_FOR_S3})
    assert b"%25/%C3%BCn%C3%AF%20%281%29%20%2B%2541.JPG" in asked.getresponse().read()
    asked.close()

    versions = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert sorted(version["Key"] for version in versions) == sorted(names)
    objects = [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in versions]
    s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})

    s3.delete_bucket(Bucket=bucket)


def policy(bucket: str, effect_condition: dict) -> str:
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **effect_condition}]})


def test_a_ban_on_plain_http_does_not_ban_requests_that_never_leave_the_machine(localaws, bucket: str):
    s3 = localaws.client("s3")
    s3.put_bucket_policy(
        Bucket=bucket, Policy=policy(bucket, {"Condition": {"Bool": {"aws:SecureTransport": "false"}}})
    )

    s3.put_object(Bucket=bucket, Key="photo", Body=b"1")

    assert s3.get_object(Bucket=bucket, Key="photo")["Body"].read() == b"1"


@pytest.mark.parametrize("condition", [{}, {"Condition": {"Bool": {"aws:SecureTransport": "true"}}}])
def test_a_ban_that_applies_is_enforced(localaws, bucket: str, condition: dict):
    s3 = localaws.client("s3")
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, condition))

    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="photo", Body=b"1")

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
