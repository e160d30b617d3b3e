"""Where AWS's answers are not those of its models: codes that no operation declares, and values that no enum has.

[LS] is an answer of AWS that is recorded in LocalStack's snapshots (8b9a79f0, tests/aws/services).
"""

_S3 = "S3 API reference, Error responses, List of error codes"
_EC2 = "EC2 API reference, Error codes"

# By service: the code, and where it is from.
UNDECLARED: dict[str, dict[str, str]] = {
    "ec2": {
        "InvalidInstanceID.NotFound": _EC2,
        "InvalidInstanceID.Malformed": f"{_EC2}; oliverlloyd/jmeter-ec2 #36",
        "InvalidAMIID.NotFound": f"{_EC2}; brikis98/terraform-up-and-running-code #65",
        "InvalidAMIID.Malformed": f"{_EC2}; hashicorp/terraform #22172",
    },
    "s3": {
        **dict.fromkeys(("NoSuchBucket", "NoSuchUpload", "BucketNotEmpty", "BadDigest", "InvalidRange"), _S3),
        **dict.fromkeys(("InvalidPart", "EntityTooSmall", "PreconditionFailed"), _S3),
        "404": "the status in place of a code: the answer to a HEAD has no body",
    },
    "sagemaker": {"ValidationException": "Common errors of SageMaker's API reference"},
    "sts": {"AccessDenied": "Common errors of the STS API reference"},
}

# By service and shape: the values that AWS answers and the enum of the model lacks.
NOT_IN_ENUM: dict[tuple[str, str], dict[str, str]] = {
    ("ec2", "PlatformValues"): {"windows": "the model's own text on Instance.Platform"},
    ("lambda", "LastUpdateStatusReasonCode"): {"Creating": "[LS] lambda: the answer to an update of code"},
}

# By service and shape: the patterns of answers that AWS's own answers do not match.
WRONG_PATTERN: dict[tuple[str, str], str] = {
    (
        "ssm",
        "StringDateTime",
    ): "GetCommandInvocation in the API reference: the text is empty before the command starts, "
    "an elapsed time is PT0.004S, a time 2016-11-07T21:09:54.912Z",
}

# By service and member: what the model requires of an answer and AWS leaves out.
NOT_THERE: dict[tuple[str, str], str] = {
    (
        "sagemaker",
        "ModelArtifacts",
    ): "aws/sagemaker-python-sdk #6091: null in an answer of AWS. A job has none before it ends",
}
