# What a batch transform job runs: the current release once more, with a role of its own. The endpoint's role cannot read
# photographs, and this one can. The jobs are not in Terraform, because `make predict-batch` creates them.

locals {
  logs = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group"

  # All transform jobs of the account share this log group, and SageMaker creates it with the first job.
  log_group = "/aws/sagemaker/TransformJobs"

  environment = merge(var.environment, var.model.sha256 == null ? {} : { MODEL_SHA256 = var.model.sha256 })
  model_key   = trimprefix(var.model.model_data_url, "s3://${var.artifacts.bucket}/")

  # Everything that SageMaker cannot change in place, so a changed model has a new name.
  contents = jsonencode([var.model.model_data_url, var.image, local.environment, var.network[*].subnet_ids, var.network[*].security_group_ids])
}

resource "aws_sagemaker_model" "current" {
  name               = "${var.name}-batch-${substr(sha256(local.contents), 0, 12)}"
  execution_role_arn = aws_iam_role.batch.arn

  # SageMaker reads the photographs and writes the answers. The containers need no network.
  enable_network_isolation = true

  dynamic "vpc_config" {
    for_each = var.network[*]

    content {
      subnets            = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  primary_container {
    image          = var.image
    model_data_url = var.model.model_data_url
    environment    = local.environment
  }

  lifecycle {
    create_before_destroy = true
  }

  # SageMaker reads the archive with this role when a job starts.
  depends_on = [aws_iam_role_policy.batch]
}

module "sagemaker_policy" {
  source = "../sagemaker_policy"

  account           = var.account
  artifacts         = { key_statements = var.artifacts.key_statements }
  images            = [var.image]
  metric_namespaces = [local.log_group]
  network           = var.network
  kms_key_arn       = var.kms_key_arn
}

resource "aws_iam_role" "batch" {
  name                 = "${var.name}-batch"
  permissions_boundary = var.permissions_boundary
  assume_role_policy   = module.sagemaker_policy.trust
}

# tf-nag AwsSolutions-IAM5: a wildcard stands for the names below a prefix, or its statement gives the reason.
resource "aws_iam_role_policy" "batch" {
  name = "batch"
  role = aws_iam_role.batch.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "ReadTheModelAndPhotographs"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = [for key in [local.model_key, "batch/*", "datasets/*"] : "${var.artifacts.arn}/${key}"]
      },
      {
        Sid       = "ListPhotographs"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = var.artifacts.arn
        Condition = { StringLike = { "s3:prefix" = ["batch/*", "datasets/*", local.model_key] } }
      },
      {
        Sid      = "WriteAnswers"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
        Resource = "${var.artifacts.arn}/batch/*"
      },
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = "${local.logs}:${local.log_group}:*"
      },
    ], module.sagemaker_policy.statements)
  })
}
