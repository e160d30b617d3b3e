# The endpoint's instances may read model archives and the image, and write their own log and metrics.

locals {
  log_group_arn = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:${aws_cloudwatch_log_group.endpoint.name}"
  # The prefixes of promoted models and of the bootstrap model, where no role can write. A release of a version before
  # 0.3 is still at models/, until the next promotion.
  model_prefixes = concat(["releases/*", "payloads/bootstrap/*"], anytrue([
    for model in values(var.releases.models) : startswith(model.model_data_url, "s3://${var.artifacts.bucket}/models/")
  ]) ? ["models/*"] : [])
}

module "sagemaker_policy" {
  source = "../sagemaker_policy"

  account           = var.account
  artifacts         = { key_statements = var.artifacts.key_statements }
  images            = [var.image]
  metric_namespaces = ["AWS/SageMaker", "/aws/sagemaker/Endpoints"]
  network           = var.network
  kms_key_arn       = var.kms_key_arn
}

resource "aws_iam_role" "endpoint" {
  name                 = "${var.name}-endpoint"
  permissions_boundary = var.permissions_boundary
  assume_role_policy   = module.sagemaker_policy.trust
}

# tf-nag AwsSolutions-IAM5: a wildcard stands for the names below a prefix, or its statement gives the reason.
resource "aws_iam_role_policy" "endpoint" {
  name = "endpoint"
  role = aws_iam_role.endpoint.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "ReadModels"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = [for prefix in local.model_prefixes : "${var.artifacts.arn}/${prefix}"]
      },
      {
        # With this statement, a missing model is "not found" and not "access denied".
        Sid       = "FindModels"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = var.artifacts.arn
        Condition = { StringLike = { "s3:prefix" = local.model_prefixes } }
      },
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = "${local.log_group_arn}:*"
      },
      {
        Sid      = "SeeTheAlarmsThatRollBack"
        Effect   = "Allow"
        Action   = "cloudwatch:DescribeAlarms"
        Resource = [for end in ["server-errors", "slow"] : "arn:${var.account.partition}:cloudwatch:${var.account.region}:${var.account.id}:alarm:${var.name}-endpoint-${end}"]
      },
    ], module.sagemaker_policy.statements)
  })
}
