"""What a bucket's lifecycle and logging say is what they were set to."""

import json

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.unit.localaws.sagemaker_helpers import unique

LATER = {"NoncurrentDays": 5}


@pytest.fixture
def s3(localaws) -> BaseClient:
    return localaws.client("s3")


@pytest.fixture
def bucket(s3) -> str:
    name = unique("configured")
    s3.create_bucket(Bucket=name)
    return name


@pytest.mark.parametrize(
    "rule",
    [
        {"Filter": {}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3}},
        {"Filter": {"Prefix": "a/"}, "Expiration": {"Days": 10}},
        {"Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]},
        {"Filter": {"ObjectSizeGreaterThan": 500}, "NoncurrentVersionExpiration": LATER},
        {
            "Filter": {"ObjectSizeLessThan": 64000},
            "NoncurrentVersionExpiration": LATER | {"NewerNoncurrentVersions": 2},
        },
        {
            "Filter": {
                "And": {
                    "Prefix": "c/",
                    "ObjectSizeGreaterThan": 500,
                    "ObjectSizeLessThan": 64000,
                    "Tags": [{"Key": "a", "Value": "b"}],
                }
            },
            "Expiration": {"ExpiredObjectDeleteMarker": True},
        },
    ],
)
def test_a_lifecycle_rule_is_given_back_as_it_was_set(s3, bucket, rule):
    rule = {"ID": "it", "Status": "Enabled", **rule}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == [rule]


def test_a_bucket_without_a_lifecycle_says_so(s3, bucket):
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)


def test_the_least_size_for_transitions_is_kept(s3, bucket):
    rule = {"ID": "it", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}
    for asked in ("varies_by_storage_class", None):
        setting = {"TransitionDefaultMinimumObjectSize": asked} if asked else {}
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]}, **setting)
        given = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["TransitionDefaultMinimumObjectSize"]
        assert given == (asked or "all_storage_classes_128K")


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"TargetObjectKeyFormat": {"SimplePrefix": {}}},
        {"TargetObjectKeyFormat": {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}}},
    ],
)
def test_the_logging_of_a_bucket_is_given_back_as_it_was_set(s3, bucket, extra):
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    logging = {"TargetBucket": bucket, "TargetPrefix": "log/", **extra}
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": logging})
    assert s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"] == logging
