"""What each operation of the local AWS is worth. The server refuses by this table; docs/LOCALAWS.md shows it.

- *runs*: does what AWS does: a real process, real bytes, real lines in a log.
- *stored*: kept, checked as moto checks it, given back; nothing acts on it.
- *refused*: answered at once with the service's own error, because pretending would mislead.
"""

RUNS, STORED, REFUSED = "runs", "stored", "refused"

# The services that there are, by the name boto3 knows them by. Any other is refused.
SERVICES = (
    "application-autoscaling",
    "budgets",
    "cloudformation",
    "cloudwatch",
    "ec2",
    "ecr",
    "events",
    "freetier",
    "iam",
    "kms",
    "lambda",
    "logs",
    "s3",
    "sagemaker",
    "sagemaker-runtime",
    "service-quotas",
    "sns",
    "ssm",
    "sts",
)

# Where a service signs its requests under another name than boto3's.
SIGNING_NAMES = {"monitoring": "cloudwatch", "servicequotas": "service-quotas"}

# What holds for an operation that OPERATIONS does not name.
DEFAULTS = {
    **dict.fromkeys(SERVICES, STORED),
    **dict.fromkeys(
        (
            *("application-autoscaling", "budgets", "freetier", "lambda", "sagemaker", "sagemaker-runtime"),
            *("service-quotas", "ssm"),
        ),
        REFUSED,
    ),
}


def _each(level: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(" ".join(names).split(), level)


OPERATIONS: dict[str, dict[str, str]] = {service: {} for service in SERVICES}

OPERATIONS["s3"] = {
    **_each(
        RUNS,
        "CreateBucket DeleteBucket HeadBucket ListBuckets GetBucketLocation PutBucketVersioning GetBucketVersioning",
        "PutObject GetObject HeadObject CopyObject DeleteObject DeleteObjects ListObjects ListObjectsV2",
        "ListObjectVersions CreateMultipartUpload UploadPart UploadPartCopy CompleteMultipartUpload",
        "AbortMultipartUpload ListMultipartUploads ListParts",
    ),
    # moto takes these for the operations on the bucket or the object itself.
    **_each(
        REFUSED,
        "CreateBucketMetadataConfiguration GetBucketMetadataConfiguration DeleteBucketMetadataConfiguration",
        "CreateBucketMetadataTableConfiguration GetBucketMetadataTableConfiguration",
        "DeleteBucketMetadataTableConfiguration UpdateBucketMetadataAnnotationTableConfiguration",
        "UpdateBucketMetadataInventoryTableConfiguration UpdateBucketMetadataJournalTableConfiguration",
        "CreateSession GetBucketAbac PutBucketAbac GetObjectRetention GetObjectTorrent RenameObject",
        "WriteGetObjectResponse",
        "GetObjectAnnotation PutObjectAnnotation DeleteObjectAnnotation ListObjectAnnotations UpdateObjectEncryption",
    ),
}

OPERATIONS["logs"] = _each(
    RUNS,
    "CreateLogGroup DeleteLogGroup DescribeLogGroups CreateLogStream DeleteLogStream DescribeLogStreams",
    "PutLogEvents GetLogEvents FilterLogEvents PutMetricFilter DescribeMetricFilters DeleteMetricFilter",
)

OPERATIONS["iam"] = _each(RUNS, "SimulatePrincipalPolicy SimulateCustomPolicy")
OPERATIONS["sts"] = _each(RUNS, "GetCallerIdentity AssumeRole GetSessionToken")

OPERATIONS["sagemaker"] = {
    **_each(
        RUNS,
        "CreateEndpoint DescribeEndpoint ListEndpoints UpdateEndpoint UpdateEndpointWeightsAndCapacities",
        "DeleteEndpoint",
        "CreateTrainingJob DescribeTrainingJob ListTrainingJobs StopTrainingJob",
        "CreateTransformJob DescribeTransformJob ListTransformJobs StopTransformJob",
        "CreateHyperParameterTuningJob DescribeHyperParameterTuningJob ListHyperParameterTuningJobs",
        "ListTrainingJobsForHyperParameterTuningJob StopHyperParameterTuningJob",
        "CreateNotebookInstance DescribeNotebookInstance ListNotebookInstances StartNotebookInstance",
        "StopNotebookInstance UpdateNotebookInstance DeleteNotebookInstance",
        "CreateNotebookInstanceLifecycleConfig DescribeNotebookInstanceLifecycleConfig",
        "UpdateNotebookInstanceLifecycleConfig DeleteNotebookInstanceLifecycleConfig",
        "CreatePresignedNotebookInstanceUrl",
    ),
    **_each(
        STORED,
        "CreateModel DescribeModel ListModels DeleteModel",
        "CreateEndpointConfig DescribeEndpointConfig ListEndpointConfigs DeleteEndpointConfig",
        "ListTags AddTags DeleteTags",
        "CreateModelPackageGroup DescribeModelPackageGroup ListModelPackageGroups DeleteModelPackageGroup",
        "CreateModelPackage DescribeModelPackage ListModelPackages UpdateModelPackage DeleteModelPackage",
    ),
}
OPERATIONS["sagemaker-runtime"] = _each(RUNS, "InvokeEndpoint")

OPERATIONS["lambda"] = {
    **_each(
        RUNS,
        "Invoke GetAccountSettings",
        "CreateFunction GetFunction GetFunctionConfiguration ListFunctions DeleteFunction",
        "UpdateFunctionCode UpdateFunctionConfiguration",
        "PublishVersion ListVersionsByFunction CreateAlias GetAlias ListAliases UpdateAlias DeleteAlias",
        "AddPermission RemovePermission GetPolicy",
        "PutFunctionConcurrency GetFunctionConcurrency DeleteFunctionConcurrency",
        "PutProvisionedConcurrencyConfig GetProvisionedConcurrencyConfig DeleteProvisionedConcurrencyConfig",
        "ListProvisionedConcurrencyConfigs",
        "CreateFunctionUrlConfig GetFunctionUrlConfig ListFunctionUrlConfigs UpdateFunctionUrlConfig",
        "DeleteFunctionUrlConfig",
    ),
    **_each(
        STORED,
        "PutFunctionEventInvokeConfig GetFunctionEventInvokeConfig UpdateFunctionEventInvokeConfig",
        "DeleteFunctionEventInvokeConfig ListFunctionEventInvokeConfigs",
        "GetFunctionCodeSigningConfig ListTags TagResource UntagResource",
    ),
}

OPERATIONS["ec2"] = _each(
    RUNS,
    "RunInstances DescribeInstances DescribeInstanceStatus StartInstances StopInstances RebootInstances",
    "TerminateInstances GetConsoleOutput",
)

OPERATIONS["ssm"] = {
    **_each(
        RUNS,
        "SendCommand CancelCommand ListCommands ListCommandInvocations GetCommandInvocation",
        "DescribeInstanceInformation",
    ),
    **_each(
        STORED,
        "PutParameter GetParameter GetParameters GetParametersByPath GetParameterHistory DescribeParameters",
        "DeleteParameter DeleteParameters AddTagsToResource RemoveTagsFromResource ListTagsForResource",
    ),
}

OPERATIONS["application-autoscaling"] = {
    **_each(
        RUNS,
        "RegisterScalableTarget DescribeScalableTargets DeregisterScalableTarget",
        "PutScalingPolicy DescribeScalingPolicies DeleteScalingPolicy DescribeScalingActivities",
        "PutScheduledAction DescribeScheduledActions DeleteScheduledAction",
    ),
    **_each(STORED, "TagResource UntagResource ListTagsForResource"),
}

OPERATIONS["cloudwatch"] = _each(
    RUNS,
    "PutMetricData GetMetricData GetMetricStatistics ListMetrics",
    "PutMetricAlarm DescribeAlarms DeleteAlarms SetAlarmState",
)


OPERATIONS["service-quotas"] = _each(
    RUNS,
    "ListServices ListServiceQuotas GetServiceQuota ListAWSDefaultServiceQuotas GetAWSDefaultServiceQuota",
)
OPERATIONS["budgets"] = _each(
    STORED,
    "CreateBudget UpdateBudget DescribeBudget DescribeBudgets DeleteBudget CreateNotification DeleteNotification",
    "DescribeNotificationsForBudget DescribeSubscribersForNotification ListTagsForResource TagResource UntagResource",
)
OPERATIONS["freetier"] = _each(RUNS, "GetAccountPlanState")


def refuses(service: str) -> bool:
    """Whether any operation of a service is refused, so that each has to be looked up."""
    return REFUSED in (DEFAULTS[service], *OPERATIONS[service].values())


def level(service: str, operation: str) -> str:
    """`runs`, `stored` or `refused` for an operation by its AWS name; refused for a service not held here."""
    if service not in SERVICES:
        return REFUSED
    return OPERATIONS[service].get(operation, DEFAULTS[service])


def table() -> str:
    """The table of docs/LOCALAWS.md, in Markdown: `python -m localaws operations` prints it."""
    rows = ["| service | runs | stored | refused |", "|---|---|---|---|"]
    for service in SERVICES:
        named = {level: [] for level in (RUNS, STORED, REFUSED)}
        for operation, worth in sorted(OPERATIONS[service].items()):
            named[worth].append(operation)
        named[DEFAULTS[service]].append("everything else" if OPERATIONS[service] else "everything")
        rows.append(f"| {service} | {' | '.join(', '.join(each) for each in named.values())} |")
    return "\n".join([*rows, "| any other | | | everything |"])
