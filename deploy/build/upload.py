"""Upload the packaged payloads to the artifacts bucket, under content-addressed keys.
"""

from __future__ import annotations

from botocore.exceptions import ClientError

from deploy.deployment import Deployment
from deploy import console, environment
from deploy.build import package
from deploy.environment import BUILD, Environment
from deploy.terraform import Stack


def upload(deployment: Deployment) -> dict[str, str]:
    """Package the payloads that jobs download and upload the new ones. Returns `{payload: s3 uri}`.

    Terraform uploads the bootstrap model and the notebook, because its resources need them.
    """
    manifest = package.build(deployment.endpoint_kind)
    s3 = deployment.client("s3")
    bucket = deployment.artifacts_bucket
    uris = {}
    for payload in ("train", "inference", "ec2"):
        key = manifest[payload]["key"]
        if not exists(s3, bucket, key):
            s3.upload_file(str(BUILD / manifest[payload]["file"]), bucket, key)
            console.done(f"uploaded {key}")
        uris[payload] = f"s3://{bucket}/{key}"
    return uris


def exists(s3, bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
            return False
        raise
    return True
