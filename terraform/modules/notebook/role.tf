# The notebook may run training and tuning jobs of this project with the training role, and try models behind its own
# endpoints. It may only invoke the live endpoint, and it writes nothing in the bucket: releases go through `make promote`.

locals {
  sagemaker = "arn:${var.account.partition}:sagemaker:${var.account.region}:${var.account.id}"
  logs      = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group"
}

module "sagemaker_policy" {
  source = "../sagemaker_policy"

  account     = var.account
  artifacts   = { key_statements = var.artifacts.key_statements }
  network     = var.network
  kms_key_arn = var.kms_key_arn
}

resource "aws_iam_role" "notebook" {
  name                 = local.notebook
  permissions_boundary = var.permissions_boundary
  assume_role_policy   = module.sagemaker_policy.trust
}

# tf-nag AwsSolutions-IAM5: a wildcard stands for the names below a prefix, or its statement gives the reason.
resource "aws_iam_role_policy" "notebook" {
  name = "notebook"
  role = aws_iam_role.notebook.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "ListTheBucket"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = var.artifacts.arn
      },
      {
        Sid      = "ReadDataCodeAndModels"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = [for prefix in ["datasets", "payloads", "models"] : "${var.artifacts.arn}/${prefix}/*"]
      },
      {
        Sid    = "RunTrainingJobs"
        Effect = "Allow"
        Action = [
          "sagemaker:AddTags",
          "sagemaker:CreateTrainingJob",
          "sagemaker:DescribeTrainingJob",
          "sagemaker:StopTrainingJob",
        ]
        Resource = "${local.sagemaker}:training-job/${var.name}-*"
      },
      {
        Sid    = "RunTuningJobs"
        Effect = "Allow"
        Action = [
          "sagemaker:AddTags",
          "sagemaker:CreateHyperParameterTuningJob",
          "sagemaker:DescribeHyperParameterTuningJob",
          "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
          "sagemaker:StopHyperParameterTuningJob",
        ]
        Resource = "${local.sagemaker}:hyper-parameter-tuning-job/${var.name}-*"
      },
      {
        # "*": AWS cannot restrict these lists to some names.
        Sid      = "SeeHowEndpointsScale"
        Effect   = "Allow"
        Action   = ["application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingPolicies"]
        Resource = "*"
      },
      {
        # Everything whose name begins with the notebook's, which excludes the resources of Terraform. The same applies
        # to the next two.
        Sid    = "TryModels"
        Effect = "Allow"
        Action = [
          "sagemaker:AddTags",
          "sagemaker:CreateModel",
          "sagemaker:DeleteModel",
          "sagemaker:DescribeModel",
        ]
        Resource = "${local.sagemaker}:model/${local.notebook}-*"
      },
      {
        # To create an endpoint is a permission on its configuration too.
        Sid    = "ConfigureTrialEndpoints"
        Effect = "Allow"
        Action = [
          "sagemaker:AddTags",
          "sagemaker:CreateEndpoint",
          "sagemaker:CreateEndpointConfig",
          "sagemaker:DeleteEndpointConfig",
          "sagemaker:DescribeEndpointConfig",
        ]
        Resource = "${local.sagemaker}:endpoint-config/${local.notebook}-*"
      },
      {
        Sid    = "RunTrialEndpoints"
        Effect = "Allow"
        Action = [
          "sagemaker:AddTags",
          "sagemaker:CreateEndpoint",
          "sagemaker:DeleteEndpoint",
          "sagemaker:DescribeEndpoint",
          "sagemaker:InvokeEndpoint",
          "sagemaker:UpdateEndpointWeightsAndCapacities",
        ]
        Resource = "${local.sagemaker}:endpoint/${local.notebook}-*"
      },
      {
        Sid      = "AskTheLiveEndpoint"
        Effect   = "Allow"
        Action   = ["sagemaker:DescribeEndpoint", "sagemaker:InvokeEndpoint"]
        Resource = "${local.sagemaker}:endpoint/${coalesce(var.deployment.endpoint_name, var.name)}"
      },
      {
        Sid       = "PassTheTrainingRole"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = var.training_role_arn
        Condition = { StringEquals = { "iam:PassedToService" = "sagemaker.amazonaws.com" } }
      },
      {
        # The log group of all notebooks of the account. SageMaker creates it with the first notebook, so it is not
        # owned here.
        Sid      = "WriteItsOwnLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = "${local.logs}:/aws/sagemaker/NotebookInstances:*"
      },
      {
        Sid      = "StopItself"
        Effect   = "Allow"
        Action   = ["sagemaker:DescribeNotebookInstance", "sagemaker:StopNotebookInstance"]
        Resource = "${local.sagemaker}:notebook-instance/${local.notebook}"
      },
    ], module.sagemaker_policy.statements)
  })
}
