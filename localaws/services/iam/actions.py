"""The permissions that an operation takes: IAM actions, and the ARNs of the resources that they are about.

Source: the tables "Actions, resources, and condition keys" of the service authorization reference, for the services of
which the local AWS runs something. An operation that no table names takes `<service>:<Operation>` on `*`.

A template is an ARN without `arn:aws:<service>:<region>:<account>:`, with members of the request in braces. `[]` makes
one resource for each element. A member that the request lacks becomes `*`; with `?` its whole resource is left out.
"""

# What the actions of a service begin with, if it is not the name of the service.
PREFIXES = {"sagemaker-runtime": "sagemaker", "service-quotas": "servicequotas"}

# Operations whose permission has another name.
ACTIONS = {
    ("lambda", "Invoke"): "lambda:InvokeFunction",
    ("sagemaker-runtime", "InvokeEndpointWithResponseStream"): "sagemaker:InvokeEndpoint",
    **{
        ("budgets", operation): f"budgets:{action}"
        for action, operations in {
            "ModifyBudget": "CreateBudget UpdateBudget DeleteBudget CreateNotification DeleteNotification",
            "ViewBudget": "DescribeBudget DescribeBudgets DescribeNotificationsForBudget "
            "DescribeSubscribersForNotification",
        }.items()
        for operation in operations.split()
    },
}

# What needs no permission, in "Permissions required" of the STS and IAM references.
FREE = {("sts", "GetCallerIdentity"), ("sts", "GetSessionToken"), ("sts", "GetAccessKeyInfo")}

_JOB = "training-job/{TrainingJobName}"
_TUNING = "hyper-parameter-tuning-job/{HyperParameterTuningJobName}"
_LIFECYCLE = "notebook-instance-lifecycle-config/{NotebookInstanceLifecycleConfigName}"
_STREAM = "log-group:{logGroupName}:log-stream:{logStreamName}"
# CloudWatch Logs names a whole group as the group with an empty stream (elastic/apm-aws-lambda #526).
_GROUP = "log-group:{logGroupName}:log-stream:"

RESOURCES: dict[str, dict[str, str]] = {
    "sagemaker": {
        "transform-job/{TransformJobName}": "CreateTransformJob DescribeTransformJob StopTransformJob",
        _JOB: "CreateTrainingJob DescribeTrainingJob StopTrainingJob",
        _TUNING: "CreateHyperParameterTuningJob DescribeHyperParameterTuningJob StopHyperParameterTuningJob "
        "ListTrainingJobsForHyperParameterTuningJob",
        "model/{ModelName}": "CreateModel DescribeModel DeleteModel",
        "endpoint-config/{EndpointConfigName}": "CreateEndpointConfig DescribeEndpointConfig DeleteEndpointConfig "
        "CreateEndpoint UpdateEndpoint",
        "endpoint/{EndpointName}": "CreateEndpoint DescribeEndpoint UpdateEndpoint DeleteEndpoint "
        "UpdateEndpointWeightsAndCapacities",
        "notebook-instance/{NotebookInstanceName}": "CreateNotebookInstance DescribeNotebookInstance "
        "StartNotebookInstance StopNotebookInstance UpdateNotebookInstance DeleteNotebookInstance "
        "CreatePresignedNotebookInstanceUrl",
        _LIFECYCLE: "CreateNotebookInstanceLifecycleConfig DescribeNotebookInstanceLifecycleConfig "
        "UpdateNotebookInstanceLifecycleConfig DeleteNotebookInstanceLifecycleConfig",
        "model-package-group/{ModelPackageGroupName}": "CreateModelPackageGroup DescribeModelPackageGroup "
        "DeleteModelPackageGroup",
        # A new version has no number yet.
        "model-package/{ModelPackageGroupName}/*": "CreateModelPackage",
        "model-package/{ModelPackageName}": "DescribeModelPackage DeleteModelPackage",
        "{ModelPackageArn}": "UpdateModelPackage",
        "{ResourceArn}": "AddTags ListTags DeleteTags",
    },
    "sagemaker-runtime": {
        "endpoint/{EndpointName}": "InvokeEndpoint InvokeEndpointAsync InvokeEndpointWithResponseStream",
    },
    "lambda": {
        "function:{FunctionName}": "CreateFunction GetFunction GetFunctionConfiguration DeleteFunction "
        "UpdateFunctionCode UpdateFunctionConfiguration PublishVersion ListVersionsByFunction CreateAlias GetAlias "
        "ListAliases UpdateAlias DeleteAlias AddPermission RemovePermission GetPolicy PutFunctionConcurrency "
        "GetFunctionConcurrency DeleteFunctionConcurrency ListProvisionedConcurrencyConfigs CreateFunctionUrlConfig "
        "GetFunctionUrlConfig ListFunctionUrlConfigs UpdateFunctionUrlConfig DeleteFunctionUrlConfig "
        "PutFunctionEventInvokeConfig GetFunctionEventInvokeConfig UpdateFunctionEventInvokeConfig "
        "DeleteFunctionEventInvokeConfig ListFunctionEventInvokeConfigs GetFunctionCodeSigningConfig "
        "GetFunctionRecursionConfig PutFunctionRecursionConfig GetRuntimeManagementConfig",
        "function:{FunctionName}:{Qualifier}": "Invoke PutProvisionedConcurrencyConfig "
        "GetProvisionedConcurrencyConfig DeleteProvisionedConcurrencyConfig",
        "{Resource}": "ListTags TagResource UntagResource",
    },
    "logs": {
        "log-group::log-stream:": "DescribeLogGroups",
        _GROUP: "CreateLogGroup DeleteLogGroup DescribeLogStreams FilterLogEvents PutRetentionPolicy "
        "DeleteRetentionPolicy PutSubscriptionFilter PutMetricFilter DescribeMetricFilters DeleteMetricFilter "
        "StartQuery",
        _STREAM: "CreateLogStream DeleteLogStream PutLogEvents GetLogEvents",
        "log-group:{logGroupName}": "ListTagsLogGroup TagLogGroup UntagLogGroup",
        "{resourceArn}": "ListTagsForResource TagResource UntagResource",
    },
    "cloudwatch": {
        "alarm:{AlarmName}": "PutMetricAlarm SetAlarmState PutCompositeAlarm",
        "dashboard/{DashboardName}": "PutDashboard GetDashboard",
        "dashboard/{DashboardNames[]}": "DeleteDashboards",
        "alarm:{AlarmNames[]}": "DescribeAlarms DeleteAlarms EnableAlarmActions DisableAlarmActions",
        "{ResourceARN}": "ListTagsForResource TagResource UntagResource",
    },
    "events": {
        "rule/{Name}": "PutRule DescribeRule DeleteRule",
        "rule/{Rule}": "PutTargets RemoveTargets ListTargetsByRule",
        "{ResourceARN}": "ListTagsForResource TagResource UntagResource",
    },
    "sns": {
        "{Name}": "CreateTopic",
        "{TopicArn}": "DeleteTopic GetTopicAttributes SetTopicAttributes Subscribe Publish ListSubscriptionsByTopic",
        "{ResourceArn}": "ListTagsForResource TagResource UntagResource",
    },
    "budgets": {
        "arn:aws:budgets::{AccountId}:budget/{Budget.BudgetName}": "CreateBudget",
        "arn:aws:budgets::{AccountId}:budget/{NewBudget.BudgetName}": "UpdateBudget",
        "arn:aws:budgets::{AccountId}:budget/{BudgetName}": "DescribeBudget DeleteBudget CreateNotification "
        "DeleteNotification DescribeNotificationsForBudget DescribeSubscribersForNotification",
        "{ResourceARN}": "ListTagsForResource TagResource UntagResource",
    },
    "application-autoscaling": {
        "scalable-target/*": "RegisterScalableTarget DeregisterScalableTarget PutScalingPolicy DeleteScalingPolicy "
        "PutScheduledAction DeleteScheduledAction",
        "{ResourceARN}": "ListTagsForResource TagResource UntagResource",
    },
    "ssm": {
        "document/{DocumentName}": "SendCommand",
        "arn:aws:ec2:{region}:{account}:instance/{InstanceIds[]?}": "SendCommand",
        "parameter/{Name}": "PutParameter GetParameter GetParameterHistory DeleteParameter",
        "parameter/{Names[]}": "GetParameters DeleteParameters",
        "parameter/{Path}": "GetParametersByPath",
    },
    "iam": {
        "role/{RoleName}": "CreateRole GetRole DeleteRole UpdateRole UpdateRoleDescription UpdateAssumeRolePolicy "
        "PutRolePolicy GetRolePolicy DeleteRolePolicy ListRolePolicies AttachRolePolicy DetachRolePolicy "
        "ListAttachedRolePolicies ListInstanceProfilesForRole PutRolePermissionsBoundary "
        "DeleteRolePermissionsBoundary TagRole UntagRole ListRoleTags",
        "role/aws-service-role/{AWSServiceName}/*": "CreateServiceLinkedRole",
        "instance-profile/{InstanceProfileName}": "CreateInstanceProfile GetInstanceProfile DeleteInstanceProfile "
        "AddRoleToInstanceProfile RemoveRoleFromInstanceProfile TagInstanceProfile UntagInstanceProfile "
        "ListInstanceProfileTags",
        "user/{UserName}": "CreateUser GetUser DeleteUser UpdateUser PutUserPolicy GetUserPolicy DeleteUserPolicy "
        "ListUserPolicies AttachUserPolicy DetachUserPolicy ListAttachedUserPolicies ListGroupsForUser "
        "CreateAccessKey DeleteAccessKey ListAccessKeys UpdateAccessKey TagUser UntagUser ListUserTags",
        "group/{GroupName}": "CreateGroup GetGroup DeleteGroup PutGroupPolicy GetGroupPolicy DeleteGroupPolicy "
        "AttachGroupPolicy DetachGroupPolicy ListAttachedGroupPolicies ListGroupPolicies AddUserToGroup "
        "RemoveUserFromGroup",
        "policy/{PolicyName}": "CreatePolicy",
        "{PolicyArn}": "GetPolicy DeletePolicy CreatePolicyVersion DeletePolicyVersion GetPolicyVersion "
        "ListPolicyVersions ListEntitiesForPolicy SetDefaultPolicyVersion TagPolicy UntagPolicy ListPolicyTags",
        "{PolicySourceArn}": "SimulatePrincipalPolicy GetContextKeysForPrincipalPolicy",
    },
    "sts": {"{RoleArn}": "AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity"},
    "ecr": {
        "arn:aws:ecr:{region}:{registryId}:repository/{repositoryName}": "BatchCheckLayerAvailability BatchGetImage "
        "GetDownloadUrlForLayer "
        "CreateRepository DeleteRepository DescribeImages ListImages PutImage GetRepositoryPolicy SetRepositoryPolicy",
        "arn:aws:ecr:{region}:{registryId}:repository/{repositoryNames[]}": "DescribeRepositories",
    },
    "kms": {
        "key/{KeyId}": "Decrypt Encrypt GenerateDataKey GenerateDataKeyWithoutPlaintext DescribeKey "
        "EnableKey DisableKey ScheduleKeyDeletion GetKeyPolicy PutKeyPolicy GetKeyRotationStatus EnableKeyRotation "
        "ListResourceTags TagResource UntagResource CreateGrant",
    },
    "cloudformation": {
        "stack/{StackName}/*": "CreateStack UpdateStack DeleteStack DescribeStacks DescribeStackEvents GetTemplate "
        "DescribeStackResources DescribeStackResource ListStackResources CreateChangeSet ExecuteChangeSet "
        "DescribeChangeSet DeleteChangeSet GetStackPolicy SetStackPolicy",
    },
    "ec2": {
        "instance/{InstanceIds[]}": "StartInstances StopInstances RebootInstances TerminateInstances "
        "MonitorInstances UnmonitorInstances",
        "instance/{InstanceId}": "ModifyInstanceAttribute ModifyInstanceMetadataOptions GetConsoleOutput "
        "AssociateIamInstanceProfile DescribeInstanceAttribute",
        "instance/*": "RunInstances",
        "volume/*": "RunInstances CreateVolume",
        "network-interface/*": "RunInstances CreateNetworkInterface",
        "arn:aws:ec2:{region}::image/{ImageId}": "RunInstances",
        "subnet/{SubnetId}": "RunInstances",
        "security-group/{SecurityGroupIds[]?}": "RunInstances",
        "key-pair/{KeyName?}": "RunInstances",
        "security-group/*": "CreateSecurityGroup",
        "vpc/{VpcId?}": "CreateSecurityGroup CreateSubnet",
        "security-group/{GroupId}": "DeleteSecurityGroup AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress "
        "RevokeSecurityGroupIngress RevokeSecurityGroupEgress ModifySecurityGroupRules",
        "subnet/{SubnetId?}": "DeleteSubnet ModifySubnetAttribute CreateNetworkInterface",
        "subnet/*": "CreateSubnet",
        "security-group-rule/*": "ModifySecurityGroupRules",
        "network-interface/{NetworkInterfaceId}": "DeleteNetworkInterface ModifyNetworkInterfaceAttribute",
        "volume/{VolumeId}": "DeleteVolume ModifyVolume",
        "*/{Resources[]}": "CreateTags DeleteTags",
    },
}

# The roles that a request hands to a service, and to which one.
_SAGEMAKER, _LAMBDA, _EC2 = "sagemaker.amazonaws.com", "lambda.amazonaws.com", "ec2.amazonaws.com"
PASSED_ROLES: dict[tuple[str, str], tuple[str, str]] = {
    ("sagemaker", "CreateTrainingJob"): ("RoleArn", _SAGEMAKER),
    ("sagemaker", "CreateHyperParameterTuningJob"): ("TrainingJobDefinition.RoleArn", _SAGEMAKER),
    ("sagemaker", "CreateModel"): ("ExecutionRoleArn", _SAGEMAKER),
    ("sagemaker", "CreateEndpointConfig"): ("ExecutionRoleArn", _SAGEMAKER),
    ("sagemaker", "CreateNotebookInstance"): ("RoleArn", _SAGEMAKER),
    ("sagemaker", "UpdateNotebookInstance"): ("RoleArn", _SAGEMAKER),
    ("lambda", "CreateFunction"): ("Role", _LAMBDA),
    ("lambda", "UpdateFunctionConfiguration"): ("Role", _LAMBDA),
    ("ec2", "RunInstances"): ("IamInstanceProfile", _EC2),
    ("ec2", "AssociateIamInstanceProfile"): ("IamInstanceProfile", _EC2),
    ("iam", "AddRoleToInstanceProfile"): ("RoleName", _EC2),
    ("application-autoscaling", "RegisterScalableTarget"): ("RoleARN", "application-autoscaling.amazonaws.com"),
    ("cloudformation", "CreateStack"): ("RoleARN", "cloudformation.amazonaws.com"),
    ("cloudformation", "UpdateStack"): ("RoleARN", "cloudformation.amazonaws.com"),
}

# What a service does with the caller's own permissions, or for the caller: the action and the resource's template, and
# the member without which it does not happen.
DEPENDENTS: dict[tuple[str, str], tuple[tuple[str, str, str], ...]] = {
    # "Lambda execution role … the user needs s3:GetObject" in CreateFunction's own refusal.
    ("lambda", "CreateFunction"): (("s3:GetObject", "arn:aws:s3:::{Code.S3Bucket}/{Code.S3Key}", "Code.S3Bucket"),),
    ("lambda", "UpdateFunctionCode"): (("s3:GetObject", "arn:aws:s3:::{S3Bucket}/{S3Key}", "S3Bucket"),),
    # Its user guide: the first target of a service makes the role that changes the capacity.
    ("application-autoscaling", "RegisterScalableTarget"): (
        (
            "iam:CreateServiceLinkedRole",
            "arn:aws:iam::{account}:role/aws-service-role/{ServiceNamespace}.application-autoscaling.amazonaws.com/*",
            "ServiceNamespace",
        ),
    ),
}

# The permission to tag what is created, taken with the same resources if the request has tags.
TAGGING = {
    "sagemaker": "sagemaker:AddTags",
    "lambda": "lambda:TagResource",
    "logs": "logs:TagResource",
    "cloudwatch": "cloudwatch:TagResource",
    "application-autoscaling": "application-autoscaling:TagResource",
    "ssm": "ssm:AddTagsToResource",
    "ecr": "ecr:TagResource",
    "ec2": "ec2:CreateTags",
    "kms": "kms:TagResource",
}
TAGGING_OF_IAM = {"Role": "iam:TagRole", "InstanceProfile": "iam:TagInstanceProfile", "User": "iam:TagUser"}
TAGGING_OF_IAM["Policy"] = "iam:TagPolicy"
