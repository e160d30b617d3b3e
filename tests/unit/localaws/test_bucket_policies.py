"""Bucket policies at work: every action, every caller and every condition key of a request to S3."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core.utils import get_service_model

from localaws.services.s3.requests import ACTIONS, OF_VERSIONS, action_of, facts_of

ACCOUNT = "123456789012"


class Bucket:
    """A bucket, its policy, and who asks it."""

    def __init__(self, server: Any, name: str):
        self.server = server
        self.name = name
        self.s3 = server.client("s3")
        self.s3.create_bucket(Bucket=name)
        self.s3.put_object(Bucket=name, Key="photos/dog.jpg", Body=b"dog")

    def obeys(self, *statements: dict[str, Any]) -> None:
        arn = f"arn:aws:s3:::{self.name}"
        filled = [{"Principal": "*", "Resource": [arn, f"{arn}/*"], **statement} for statement in statements]
        document = {"Version": "2012-10-17", "Statement": filled}
        self.s3.put_bucket_policy(Bucket=self.name, Policy=json.dumps(document))

    def refuses(self, operation: str, client: Any = None, **request: Any) -> str | None:
        """What is said against a request, or None."""
        try:
            getattr(client or self.s3, operation)(Bucket=self.name, **request)
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403, error
            return error.response["Error"].get("Message", "")
        return None

    def user(self, name: str) -> Any:
        """A client with the keys of a new user, whose own policy allows everything in S3."""
        iam = self.server.client("iam")
        iam.create_user(UserName=name)
        iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return boto3.session.Session().client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.server.url,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )


@pytest.fixture(scope="module")
def bucket(localaws) -> Bucket:
    return Bucket(localaws, "policies")


@pytest.fixture(autouse=True)
def _no_policy(bucket: Bucket) -> Iterator[None]:
    yield
    bucket.s3.delete_bucket_policy(Bucket=bucket.name)  # the account itself may, whatever the policy says


def deny(action: str | list[str], **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, **more}


DOG = {"Key": "photos/dog.jpg"}


def test_a_denial_is_worded_as_s3_words_it(bucket: Bucket):
    bucket.obeys(deny("s3:GetObject"))
    assert bucket.refuses("get_object", **DOG) == (
        f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: s3:GetObject on resource: "
        f'"arn:aws:s3:::{bucket.name}/photos/dog.jpg" with an explicit deny in a resource-based policy'
    )
    assert bucket.refuses("head_object", **DOG) is not None, "HeadObject takes s3:GetObject"
    assert bucket.refuses("put_object", **DOG, Body=b"x") is None
    assert bucket.refuses("list_objects_v2") is None


@pytest.mark.parametrize(
    ("action", "operation", "request_"),
    [
        ("s3:ListBucket", "list_objects_v2", {}),
        ("s3:ListBucket", "head_bucket", {}),
        ("s3:ListBucketVersions", "list_object_versions", {}),
        ("s3:PutObject", "create_multipart_upload", DOG),
        ("s3:PutObject", "copy_object", {"Key": "copy", "CopySource": "policies/photos/dog.jpg"}),
        ("s3:GetObject", "copy_object", {"Key": "copy", "CopySource": "policies/photos/dog.jpg"}),
        ("s3:GetObjectTagging", "get_object_tagging", DOG),
        ("s3:GetEncryptionConfiguration", "get_bucket_encryption", {}),
        ("s3:PutBucketTagging", "put_bucket_tagging", {"Tagging": {"TagSet": []}}),
        ("s3:DeleteObject", "delete_object", {"Key": "nothing"}),
        ("s3:DeleteObjectVersion", "delete_object", {"Key": "nothing", "VersionId": "null"}),
        ("s3:DeleteBucket", "delete_bucket", {}),
    ],
)
def test_an_operation_takes_its_own_permission(bucket: Bucket, action: str, operation: str, request_: dict):
    bucket.obeys(deny(action))
    said = bucket.refuses(operation, **request_)
    assert said is not None
    assert operation == "head_bucket" or f"perform: {action} on" in said


def test_objects_are_deleted_one_by_one(bucket: Bucket):
    for key in ("keep/1", "drop/1"):
        bucket.s3.put_object(Bucket=bucket.name, Key=key, Body=b"1")
    bucket.obeys(deny("s3:DeleteObject", Resource=f"arn:aws:s3:::{bucket.name}/keep/*"))
    answer = bucket.s3.delete_objects(Bucket=bucket.name, Delete={"Objects": [{"Key": "keep/1"}, {"Key": "drop/1"}]})
    assert [each["Key"] for each in answer["Deleted"]] == ["drop/1"]
    assert [(each["Key"], each["Code"]) for each in answer["Errors"]] == [("keep/1", "AccessDenied")]


@pytest.mark.parametrize(
    ("condition", "operation", "passes", "stops"),
    [
        ({"StringNotLike": {"s3:prefix": "photos/*"}}, "list_objects_v2", {"Prefix": "photos/a"}, {"Prefix": "own/"}),
        ({"NumericGreaterThan": {"s3:max-keys": "10"}}, "list_objects_v2", {"MaxKeys": 10}, {"MaxKeys": 11}),
        ({"NumericGreaterThan": {"s3:max-keys": "10"}}, "list_objects", {"MaxKeys": 10}, {}),
        (
            {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}},
            "put_object",
            {"Key": "secret", "ServerSideEncryption": "aws:kms"},
            {"Key": "secret", "ServerSideEncryption": "AES256"},
        ),
        (
            {"Null": {"s3:x-amz-server-side-encryption": "true"}},
            "put_object",
            {"Key": "secret", "ServerSideEncryption": "AES256"},
            {"Key": "secret"},
        ),
        (
            {"StringNotEquals": {"s3:RequestObjectTag/kind": "dog"}},
            "put_object",
            {"Key": "tagged", "Tagging": "kind=dog"},
            {"Key": "tagged", "Tagging": "kind=cat"},
        ),
    ],
)
def test_a_condition_sees_the_requests_own_keys(
    bucket: Bucket, condition: dict, operation: str, passes: dict, stops: dict
):
    bucket.obeys(deny(["s3:PutObject", "s3:ListBucket"], Condition=condition))
    assert bucket.refuses(operation, **passes) is None
    assert bucket.refuses(operation, **stops) is not None


@pytest.mark.parametrize(
    ("condition", "denied"),
    [
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, False),
        ({"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, False),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.1"}}, True),
        ({"ArnNotEquals": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:root"}}, False),
        ({"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}}, False),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
        ({"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}, True),
        ({"StringEquals": {"s3:authType": "REST-HEADER"}}, True),
        ({"StringEquals": {"aws:OddKey": "x"}}, True),
        ({"StringNotEquals": {"s3:ExistingObjectTag/kind": "dog"}}, True),
        ({"StringEquals": {"aws:OddKey": "x"}, "Bool": {"aws:SecureTransport": "false"}}, False),
    ],
)
def test_a_condition_decides_over_a_deny_and_one_that_is_not_understood_denies(
    bucket: Bucket, condition: dict, denied: bool
):
    bucket.obeys(deny("s3:GetObject", Condition=condition))
    assert (bucket.refuses("get_object", **DOG) is not None) is denied


def test_a_key_that_is_not_understood_is_in_the_log(bucket: Bucket):
    bucket.obeys(deny("s3:GetObject", Sid="Odd", Condition={"StringEquals": {"aws:OddestKey": "x"}}))
    bucket.refuses("get_object", **DOG)
    bucket.refuses("get_object", **DOG)
    log = (bucket.server.home / "server.log").read_text()
    assert log.count("the condition key aws:oddestkey is not understood here: the statement Odd denies") == 1


def test_a_statement_is_for_those_it_names(bucket: Bucket):
    user = bucket.user("photographer")
    arn = f"arn:aws:iam::{ACCOUNT}:user/photographer"
    bucket.obeys(deny("s3:GetObject", Principal={"AWS": arn}))
    assert arn in (bucket.refuses("get_object", user, **DOG) or "")
    assert bucket.refuses("get_object", **DOG) is None
    own = f"arn:aws:s3:::{bucket.name}/${{aws:username}}/*"
    bucket.obeys(deny("s3:PutObject", Principal={"AWS": arn}, Resource=own))
    assert bucket.refuses("put_object", user, Key="photographer/1", Body=b"") is not None
    assert bucket.refuses("put_object", user, Key="others/1", Body=b"") is None


def test_the_account_itself_keeps_its_way_to_the_policy(bucket: Bucket):
    bucket.obeys(deny("s3:*"))
    assert bucket.refuses("list_objects_v2") is not None
    assert bucket.refuses("get_bucket_policy") is None
    assert bucket.refuses("get_bucket_policy", bucket.user("locked-out")) is not None
    assert bucket.refuses("delete_bucket_policy") is None


def test_anybody_reads_what_the_policy_opens(bucket: Bucket):
    def read() -> int:
        connection = http.client.HTTPConnection("127.0.0.1", bucket.server.port)
        connection.request("GET", f"/{bucket.name}/photos/dog.jpg")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    assert read() == 403
    bucket.obeys({"Effect": "Allow", "Action": "s3:GetObject"})
    assert read() == 200
    bucket.obeys(
        {"Effect": "Allow", "Action": "s3:GetObject", "Condition": {"StringLike": {"aws:Referer": "https://a/*"}}}
    )
    assert read() == 403
    bucket.obeys({"Effect": "Allow", "Action": "s3:GetObject", "Principal": {"AWS": ACCOUNT}})
    assert read() == 403


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("nonsense", "valid JSON"),
        (
            {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::policies/*"},
            "Missing required field Principal",
        ),
        (
            {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::other/*", "Principal": "*"},
            "invalid resource",
        ),
        ({"Effect": "Deny", "Resource": "arn:aws:s3:::policies/*", "Principal": "*"}, "Missing required field Action"),
    ],
)
def test_what_is_no_policy_for_the_bucket_is_refused(bucket: Bucket, document: Any, words: str):
    if not isinstance(document, str):
        document = json.dumps({"Version": "2012-10-17", "Statement": [document]})
    with pytest.raises(ClientError, match=words) as refused:
        bucket.s3.put_bucket_policy(Bucket=bucket.name, Policy=document)
    assert refused.value.response["Error"]["Code"] == "MalformedPolicy"


def test_the_parts_of_an_upload_are_encrypted_as_it_began(bucket: Bucket):
    bucket.obeys(deny("s3:PutObject", Condition={"Null": {"s3:x-amz-server-side-encryption": "true"}}))
    upload = {"Bucket": bucket.name, "Key": "large"}
    begun = bucket.s3.create_multipart_upload(**upload, ServerSideEncryption="AES256")["UploadId"]
    part = bucket.s3.upload_part(**upload, UploadId=begun, PartNumber=1, Body=b"1")
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    bucket.s3.complete_multipart_upload(**upload, UploadId=begun, MultipartUpload=parts)


def test_the_names_of_permissions_follow_operations_that_exist():
    assert set(ACTIONS) <= set(get_service_model("s3").operation_names)
    assert action_of("HeadObject", "versionId=1") == "s3:GetObjectVersion"
    assert action_of("PutObject", "") == "s3:PutObject"
    assert all("Version" not in name for name in OF_VERSIONS)


def test_a_presigned_address_is_signed_in_the_query():
    assert facts_of("GetObject", "X-Amz-Signature=0", {}, ACCOUNT)["s3:authType"] == "REST-QUERY-STRING"
    assert facts_of("GetObject", "", {"Authorization": "AWS4"}, ACCOUNT)["s3:authType"] == "REST-HEADER"
    assert "s3:authType" not in facts_of("GetObject", "", {}, ACCOUNT)
