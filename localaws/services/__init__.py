"""One package per service: its API, which extends moto, and the processes that it runs.

Each module in SERVICE_MODULES has `install()`, called once before the first request: it replaces moto's backend or
operations, and registers with `localaws.state` what must be restored at start and stopped at the end.
"""

# In the order of installation. The local AWS stops them in the reverse order.
SERVICE_MODULES = [
    "snapshots.api",
    "chaos.api",
    "iam.api",
    "s3.api",
    "s3.configurations",
    "s3.versioning",
    "s3.digests",
    "s3.arguments",
    "s3.settings",
    "s3.bucket_policy",
    "s3.cors",
    "sagemaker.api",
    "sagemaker.losses",
    "lambda_.api",
    "lambda_.function_url",
    "lambda_.code_location",
    "autoscaling.api",
    "cloudwatch.api",
    "logs.api",
    "ec2.api",
    "ec2.losses",
    "ssm.api",
    "kms.api",
    "budgets.api",
    "quotas.api",
    "quotas.plan",
]
