"""The stories of S3 and of CloudWatch Logs."""

import time

from localaws.conformance.checks import Checks

BUCKET = "conformance-bucket"


def s3(api: Checks) -> None:
    api.names = {"Bucket": BUCKET, "Key": "folder/key"}
    api.call("CreateBucket")
    api.call("HeadBucket")
    api.call("ListBuckets")
    api.call("GetBucketLocation")
    api.call("PutBucketVersioning", VersioningConfiguration={"Status": "Enabled"})
    api.call("GetBucketVersioning")
    api.call("PutObject", Body=b"bytes", Metadata={"a": "b"}, ContentType="text/plain")
    api.call("GetObject")
    api.call("GetObject", Range="bytes=0-1")
    api.call("HeadObject")
    api.call("CopyObject", Key="copy", CopySource=f"{BUCKET}/folder/key")
    api.call("ListObjects")
    api.call("ListObjects", Prefix="folder/", Delimiter="/", MaxKeys=1)
    api.call("ListObjectsV2")
    api.call("ListObjectsV2", Delimiter="/", MaxKeys=1, FetchOwner=True)
    api.call("ListObjectVersions")
    _multipart(api)
    api.refused("GetObject", "NoSuchKey", Key="none")
    api.refused("HeadObject", "404", Key="none")
    api.refused("HeadBucket", "404", Bucket="conformance-none")
    for operation in ("ListObjects", "ListObjectsV2", "PutObject", "GetObject", "DeleteBucket", "ListObjectVersions"):
        api.refused(operation, "NoSuchBucket", Bucket="conformance-none")
    api.refused("DeleteBucket", "BucketNotEmpty")
    api.refused("PutObject", "BadDigest", Body=b"a", ContentMD5="CY9rzUYh03PK3k6DJie09g==")
    api.refused("GetObject", "InvalidRange", Range="bytes=99-100")
    api.refused("GetObject", "PreconditionFailed", IfMatch='"0"')
    api.call("DeleteObject")
    versions = api.call("ListObjectVersions")
    every = [*versions.get("Versions", []), *versions.get("DeleteMarkers", [])]
    named = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in every]
    api.call("DeleteObjects", Delete={"Objects": named})
    api.call("DeleteBucket")


def _multipart(api: Checks) -> None:
    started = api.call("CreateMultipartUpload", Key="parts")
    upload = {"Key": "parts", "UploadId": started["UploadId"]}
    part = api.call("UploadPart", **upload, PartNumber=1, Body=b"a" * 5)
    copied = api.call("UploadPartCopy", **upload, PartNumber=2, CopySource=f"{BUCKET}/folder/key")
    api.call("ListMultipartUploads")
    api.call("ListParts", **upload)
    wrong = {"Parts": [{"PartNumber": 1, "ETag": '"0"'}]}
    api.refused("CompleteMultipartUpload", "InvalidPart", **upload, MultipartUpload=wrong)
    small = [
        {"PartNumber": 1, "ETag": part["ETag"]},
        {"PartNumber": 2, "ETag": copied["CopyPartResult"]["ETag"]},
    ]
    api.refused("CompleteMultipartUpload", "EntityTooSmall", **upload, MultipartUpload={"Parts": small})
    api.call("CompleteMultipartUpload", **upload, MultipartUpload={"Parts": small[:1]})
    again = api.call("CreateMultipartUpload", Key="parts")
    api.call("AbortMultipartUpload", Key="parts", UploadId=again["UploadId"])
    api.refused("AbortMultipartUpload", "NoSuchUpload", Key="parts", UploadId="none")
    api.refused("UploadPart", "NoSuchUpload", Key="parts", UploadId="none", PartNumber=1, Body=b"a")


def logs(api: Checks) -> None:
    api.names = {"logGroupName": "/conformance/group", "logStreamName": "stream"}
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": "a line"}, {"timestamp": now + 1, "message": "another"}]
    api.call("CreateLogGroup")
    api.call("CreateLogStream")
    api.call("PutLogEvents", logEvents=events)
    api.call("DescribeLogGroups", logGroupNamePrefix="/conformance")
    group = {"logGroupName": "/conformance/group"}  # no required member, because an ARN may be given in its place
    api.call("DescribeLogStreams", **group)
    api.call("GetLogEvents", **group, limit=1)
    api.call("FilterLogEvents", **group, filterPattern="line")
    metric = {"metricName": "Lines", "metricNamespace": "Conformance", "metricValue": "1"}
    counted = {"filterName": "lines", "filterPattern": "line", "metricTransformations": [metric]}
    api.call("PutMetricFilter", **counted)
    api.call("DescribeMetricFilters", **group)
    api.refused("PutMetricFilter", "InvalidParameterException", **(counted | {"filterPattern": "{ $. }"}))
    api.refused("DeleteMetricFilter", "ResourceNotFoundException", filterName="none")
    api.call("DeleteMetricFilter", filterName="lines")
    api.refused("CreateLogGroup", "ResourceAlreadyExistsException")
    api.refused("CreateLogStream", "ResourceAlreadyExistsException")
    api.each_refused("ResourceNotFoundException", logGroupName="/conformance/none")
    for operation in ("GetLogEvents", "PutLogEvents", "DeleteLogStream"):
        given = {"logEvents": events} if operation == "PutLogEvents" else {}
        api.refused(operation, "ResourceNotFoundException", **group, logStreamName="none", **given)
    api.call("DeleteLogStream")
    api.call("DeleteLogGroup")


S3_NOT_PROVOKED = {
    "BucketAlreadyExists": "a bucket of another account: there is one account",
    "BucketAlreadyOwnedByYou": "in us-east-1 a second CreateBucket succeeds: tests/unit/localaws/test_s3.py has others",
    "InvalidObjectState": "objects in an archive are refused",
    "ObjectNotInActiveTierError": "objects in an archive are refused",
    "InvalidRequest": "of appends to objects, which are refused",
    "InvalidWriteOffset": "of appends to objects, which are refused",
    "TooManyParts": "of appends to objects, which are refused",
    "EncryptionTypeMismatch": "of appends to objects, which are refused",
    "HeadBucket NoSuchBucket": "an answer to HEAD has no body: 404 in place of it",
    "HeadObject NoSuchKey": "an answer to HEAD has no body: 404 in place of it",
}

LOGS_NOT_PROVOKED = {
    "ServiceUnavailableException": "the service's own failure: no request provokes it",
    "OperationAbortedException": "two changes at the same moment: the local AWS makes one after the other",
    "LimitExceededException": "1,000,000 log groups; of metric filters: tests/unit/localaws/test_metric_filters.py",
    "InvalidOperationException": "a metric filter of a group with another class: classes are only kept",
    "InvalidSequenceTokenException": "AWS ignores the tokens of PutLogEvents since 2023",
    "DataAlreadyAcceptedException": "AWS ignores the tokens of PutLogEvents since 2023",
    "UnrecognizedClientException": "of every service: tests/unit/localaws/test_sigv4.py",
    "ValidationException": "no request is known that passes the model and that AWS answers so",
}
