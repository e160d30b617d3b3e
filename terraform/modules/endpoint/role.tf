# The endpoint's instances may read model archives and the image, and write their own log and metrics.

locals {
  repository    = regex("^(?P<account>[0-9]+)\\.dkr\\.ecr\\.(?P<region>[a-z0-9-]+)\\.[a-z.]+/(?P<name>[^:@]+)", var.image)
  log_group_arn = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:${aws_cloudwatch_log_group.endpoint.name}"
  # The prefixes of promoted models and of the bootstrap model, where no role can write. A release of a version before
  # 0.3 is still at models/, until the next promotion.
  model_prefixes = concat(["releases/*", "payloads/bootstrap/*"], anytrue([
    for model in values(var.releases.models) : startswith(model.model_data_url, "s3://${var.artifacts.bucket}/models/")
  ]) ? ["models/*"] : [])
}

resource "aws_iam_role" "endpoint" {
  name                 = "${var.name}-endpoint"
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "sagemaker.amazonaws.com" }
      Action    = "sts:AssumeRole"
      # SageMaker must act for this account, and not for another account that knows the role's name.
      Condition = { StringEquals = { "aws:SourceAccount" = var.account.id } }
    }]
  })
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
        Sid      = "PullTheImage"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = "arn:${var.account.partition}:ecr:${local.repository.region}:${local.repository.account}:repository/${local.repository.name}"
      },
      {
        Sid      = "SeeTheAlarmsThatRollBack"
        Effect   = "Allow"
        Action   = "cloudwatch:DescribeAlarms"
        Resource = [for end in ["server-errors", "slow"] : "arn:${var.account.partition}:cloudwatch:${var.account.region}:${var.account.id}:alarm:${var.name}-endpoint-${end}"]
      },
      {
        # "*": a registry's token belongs to the caller and not to a repository, so AWS accepts no other resource.
        Sid      = "LogInToTheRegistry"
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*"
      },
      {
        # "*": metrics have no ARN; the condition restricts it to the namespaces that SageMaker writes for endpoints.
        Sid       = "WriteMetrics"
        Effect    = "Allow"
        Action    = "cloudwatch:PutMetricData"
        Resource  = "*"
        Condition = { StringEquals = { "cloudwatch:namespace" = ["AWS/SageMaker", "/aws/sagemaker/Endpoints"] } }
      },
      ], var.artifacts.key_statements, try(var.network.statements, []), [
      for key in var.kms_key_arn[*] : {
        # SageMaker attaches volumes that are encrypted with the key, by a grant of the role (its guide, "SageMaker Roles").
        Sid       = "EncryptVolumes"
        Effect    = "Allow"
        Action    = "kms:CreateGrant"
        Resource  = key
        Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
      }
    ])
  })
}
