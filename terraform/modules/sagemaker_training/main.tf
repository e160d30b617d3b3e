# The role of SageMaker training and tuning jobs. It reads datasets, payloads and models, and writes models and
# checkpoints. The jobs themselves are not in Terraform: `make train` and `make tune` create them. The notebook also
# uses this role for its trial endpoints, whose containers have other log groups than jobs.

locals {
  logs = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group"

  # All training jobs of the account share this log group, and SageMaker creates it with the first job. It is not owned
  # here: a destroy would delete the logs of other projects, and an apply would fail if the group exists.
  log_group = "/aws/sagemaker/TrainingJobs"
}

module "sagemaker_policy" {
  source = "../sagemaker_policy"

  account           = var.account
  artifacts         = { key_statements = var.artifacts.key_statements }
  images            = var.images
  metric_namespaces = ["/aws/sagemaker/*"]
  network           = var.network
  kms_key_arn       = var.kms_key_arn
}

resource "aws_iam_role" "training" {
  name                 = "${var.name}-training"
  permissions_boundary = var.permissions_boundary
  assume_role_policy   = module.sagemaker_policy.trust
}

# tf-nag AwsSolutions-IAM5: a wildcard stands for the names below a prefix, or its statement gives the reason.
resource "aws_iam_role_policy" "training" {
  name = "training"
  role = aws_iam_role.training.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "ListTheBucket"
        Effect   = "Allow"
        Action   = ["s3:ListBucket", "s3:GetBucketLocation"]
        Resource = var.artifacts.arn
      },
      {
        Sid      = "ReadInputs"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = [for prefix in ["datasets", "payloads", "models", "checkpoints"] : "${var.artifacts.arn}/${prefix}/*"]
      },
      {
        Sid      = "WriteResults"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
        Resource = [for prefix in ["models", "checkpoints"] : "${var.artifacts.arn}/${prefix}/*"]
      },
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = "${local.logs}:${local.log_group}:*"
      },
      {
        # SageMaker creates the group of an endpoint with its first line, with the endpoint's role. The group of the
        # live endpoint belongs to Terraform and is not included.
        Sid      = "WriteLogsOfTrialEndpoints"
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = "${local.logs}:/aws/sagemaker/Endpoints/${var.trial_endpoints}*"
      },
    ], module.sagemaker_policy.statements)
  })
}
