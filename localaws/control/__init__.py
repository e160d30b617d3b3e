"""One module per service: what moto lacks, and the hooks that start and stop real processes.

Each module has `install()`, called once before the first request: it replaces moto's backend or operations,
and registers with `localaws.state` what must be restored at start and stopped at the end.
"""

# In the order of installation. Stopping goes the other way round.
CONTROL_MODULES = [
    "s3",
    "s3_policy",
    "sagemaker",
    "lambda_functions",
    "function_url",
    "autoscaling",
    "cloudwatch",
    "ec2",
    "ssm",
    "kms",
]
