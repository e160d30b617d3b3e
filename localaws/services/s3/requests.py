"""A request to S3 in the terms of policies: its action, and its condition keys.

Sources: "Required permissions for Amazon S3 API operations" in the S3 user guide, and "Actions, resources, and
condition keys for Amazon S3" in the service authorization reference.
"""

from collections.abc import Mapping
from urllib.parse import parse_qs, parse_qsl

from localaws.services.iam import identities

# Operations whose permission has another name.
ACTIONS = {
    **dict.fromkeys(("HeadBucket", "ListObjects", "ListObjectsV2"), "ListBucket"),
    **dict.fromkeys(("HeadObject", "SelectObjectContent"), "GetObject"),
    **dict.fromkeys(
        ("CopyObject", "CreateMultipartUpload", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload"), "PutObject"
    ),
    **dict.fromkeys(("PostObject", "RenameObject"), "PutObject"),
    **dict.fromkeys(("GetBucketLifecycle", "GetBucketLifecycleConfiguration"), "GetLifecycleConfiguration"),
    **dict.fromkeys(
        ("PutBucketLifecycle", "PutBucketLifecycleConfiguration", "DeleteBucketLifecycle"), "PutLifecycleConfiguration"
    ),
    **dict.fromkeys(("PutBucketCors", "DeleteBucketCors"), "PutBucketCORS"),
    **dict.fromkeys(("PutBucketEncryption", "DeleteBucketEncryption"), "PutEncryptionConfiguration"),
    **dict.fromkeys(("PutBucketReplication", "DeleteBucketReplication"), "PutReplicationConfiguration"),
    **dict.fromkeys(("PutPublicAccessBlock", "DeletePublicAccessBlock"), "PutBucketPublicAccessBlock"),
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
    "ListBuckets": "ListAllMyBuckets",
    "DeleteObjects": "DeleteObject",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketReplication": "GetReplicationConfiguration",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    **{
        f"{verb}Bucket{kind}Configuration{many}": f"{'Get' if verb in ('Get', 'List') else 'Put'}{kind}Configuration"
        for kind in ("Analytics", "IntelligentTiering", "Inventory", "Metrics")
        for verb, many in (("Get", ""), ("List", "s"), ("Put", ""), ("Delete", ""))
    },
}
# Permissions that have another name for a version of an object.
OF_VERSIONS = {
    f"{verb}Object{what}": f"{verb}ObjectVersion{what}"
    for verb, kinds in {
        "Get": ("", "Acl", "Attributes", "Tagging", "Torrent"),
        "Put": ("Acl", "Tagging"),
        "Delete": ("", "Tagging"),
    }.items()
    for what in kinds
}
LISTINGS = ("ListObjects", "ListObjectsV2", "ListObjectVersions")
CREATING = ("PutObject", "PostObject", "CopyObject", "CompleteMultipartUpload")
IN_PARTS = ("UploadPart", "UploadPartCopy", "CompleteMultipartUpload")

# Headers that are condition keys under their own names.
HEADERS = (
    *("x-amz-acl", "x-amz-content-sha256", "x-amz-copy-source", "x-amz-grant-full-control", "x-amz-grant-read"),
    *("x-amz-grant-read-acp", "x-amz-grant-write", "x-amz-grant-write-acp", "x-amz-metadata-directive"),
    *("x-amz-object-ownership", "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"),
    *("x-amz-server-side-encryption-customer-algorithm", "x-amz-storage-class", "x-amz-website-redirect-location"),
    *("if-match", "if-none-match"),
)
LOCKS = ("mode", "legal-hold", "retain-until-date")
KNOWN_KEYS = identities.KNOWN_KEYS | {
    *(f"s3:{header}" for header in HEADERS),
    *(f"s3:object-lock-{name}" for name in LOCKS),
    *("s3:prefix", "s3:delimiter", "s3:max-keys", "s3:VersionId", "s3:RequestObjectTag/*", "s3:RequestObjectTagKeys"),
    *("s3:authType", "s3:signatureversion", "s3:TlsVersion", "s3:ResourceAccount", "s3:ObjectCreationOperation"),
    # There are no access points and no access grants here.
    *("s3:DataAccessPointArn", "s3:DataAccessPointAccount", "s3:AccessPointNetworkOrigin", "s3:AccessGrantScope"),
    *("s3:AccessGrantsInstanceArn", "s3:AccessGrantsLocationScope", "s3:AccessPointTag/*"),
}


def action_of(operation: str, query: str) -> str:
    """The permission that an operation takes."""
    action = ACTIONS.get(operation, operation)
    versioned = parse_qs(query).get("versionId")
    return f"s3:{OF_VERSIONS.get(action, action) if versioned else action}"


def facts_of(operation: str, query: str, headers: Mapping[str, str], account: str) -> dict[str, str | list[str]]:
    """The condition keys that a request itself has; a key without a value in the request is absent.

    The transport counts as secure: the request never leaves this machine.
    """
    asked = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
    sent = {name.lower(): value for name, value in headers.items()}
    signed_in_query = "X-Amz-Signature" in asked
    facts: dict[str, str | list[str] | None] = {
        "aws:Referer": sent.get("referer"),
        "aws:SecureTransport": "true",
        "aws:UserAgent": sent.get("user-agent"),
        "s3:ResourceAccount": account,
        "s3:TlsVersion": "1.3",
        "s3:VersionId": asked.get("versionId"),
        "s3:ObjectCreationOperation": str(operation in CREATING).lower(),
        **{f"s3:{header}": sent.get(header) for header in HEADERS},
        **{f"s3:object-lock-{name}": sent.get(f"x-amz-object-lock-{name}") for name in LOCKS},
    }
    if signed_in_query or "authorization" in sent:
        facts["s3:signatureversion"] = "AWS4-HMAC-SHA256"
        facts["s3:authType"] = "REST-QUERY-STRING" if signed_in_query else "REST-HEADER"
    if operation in LISTINGS:
        facts |= {"s3:prefix": asked.get("prefix"), "s3:delimiter": asked.get("delimiter")}
        facts["s3:max-keys"] = asked.get("max-keys", "1000")
    if tags := parse_qsl(sent.get("x-amz-tagging", ""), keep_blank_values=True):
        facts |= {f"s3:RequestObjectTag/{key}": value for key, value in tags}
        facts["s3:RequestObjectTagKeys"] = [key for key, _ in tags]
    return {key: value for key, value in facts.items() if value is not None}
