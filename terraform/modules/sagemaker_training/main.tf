# What SageMaker training and tuning jobs run under: one role that reads datasets, payloads and models, and writes models
# and checkpoints. The jobs themselves are not Terraform's: they come and go with `make train` and `make tune`. The notebook
# also tries models behind endpoints of its own under this role, whose containers log elsewhere than jobs do.

locals {
  logs = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group"

  # Shared by every training job of the account and made by SageMaker with the first. Not owned here: a destroy would take
  # the logs of other projects with it, and an apply would fail where it exists already.
  log_group = "/aws/sagemaker/TrainingJobs"

  repositories = distinct([for image in var.images : regex("^(?P<account>[0-9]+)\\.dkr\\.ecr\\.(?P<region>[a-z0-9-]+)\\.[a-z.]+/(?P<name>[^:@]+)", image)])
}

resource "aws_iam_role" "training" {
  name = "${var.name}-training"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "sagemaker.amazonaws.com" }
      Action    = "sts:AssumeRole"
      # SageMaker must be acting for this account, not for another that learnt the role's name.
      Condition = { StringEquals = { "aws:SourceAccount" = var.account.id } }
    }]
  })
}

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
        Resource = ["${local.logs}:${local.log_group}", "${local.logs}:${local.log_group}:*"]
      },
      {
        # SageMaker makes the group of an endpoint with its first line, under the endpoint's role. The group of the live
        # endpoint is Terraform's and not among these.
        Sid      = "WriteLogsOfTrialEndpoints"
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = "${local.logs}:/aws/sagemaker/Endpoints/${var.trial_endpoints}*"
      },
      {
        Sid    = "PullImages"
        Effect = "Allow"
        Action = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = [
          for repository in local.repositories :
          "arn:${var.account.partition}:ecr:${repository.region}:${repository.account}:repository/${repository.name}"
        ]
      },
      {
        # "*": a registry's token belongs to the caller and to no repository, so AWS takes no other resource.
        Sid      = "LogInToTheRegistry"
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*"
      },
      {
        # "*": metrics have no ARN; the condition narrows it to the namespaces that SageMaker writes for jobs.
        Sid       = "WriteMetrics"
        Effect    = "Allow"
        Action    = "cloudwatch:PutMetricData"
        Resource  = "*"
        Condition = { StringLike = { "cloudwatch:namespace" = "/aws/sagemaker/*" } }
      },
    ], var.artifacts.key_statements)
  })
}
