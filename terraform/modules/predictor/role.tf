# The function may write its own log, and invoke one endpoint or read its models: those of all releases, because
# environments of the previous version may still start while the alias moves.

locals {
  log_group_arn = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:${aws_cloudwatch_log_group.predictor.name}"
}

resource "aws_iam_role" "predictor" {
  name                 = local.function
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

# tf-nag AwsSolutions-IAM5: a wildcard stands for the names below a prefix, or its statement gives the reason.
resource "aws_iam_role_policy" "predictor" {
  name = "predictor"
  role = aws_iam_role.predictor.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [for endpoint in var.endpoint[*] : {
        Sid      = "AskTheEndpoint"
        Effect   = "Allow"
        Action   = ["sagemaker:InvokeEndpoint"]
        Resource = [endpoint.arn]
      }],
      [for own in var.own_model[*] : {
        Sid      = "ReadItsModels"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = [for model in values(own.releases.models) : replace(model.model_data_url, "s3://", "arn:${var.account.partition}:s3:::")]
      }],
      [for statement in flatten(var.own_model[*].access.key_statements) : {
        Sid      = statement.Sid
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = [statement.Resource]
      }],
      [for uploads in var.uploads[*] : {
        Sid      = "WriteAndReadUploads"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:GetObject"]
        Resource = ["${uploads.arn}/uploads/*"]
      }],
      [for statement in flatten(var.uploads[*].key_statements) : {
        Sid      = "UseTheKeyOfUploads"
        Effect   = "Allow"
        Action   = statement.Action
        Resource = [statement.Resource]
      }],
      [for capture in var.capture[*] : {
        Sid      = "WriteCaptures" # and not read them
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = ["${capture.access.arn}/captures/*"]
      }],
      [for statement in flatten(var.capture[*].access.key_statements) : {
        Sid      = "EncryptCaptures"
        Effect   = "Allow"
        Action   = ["kms:GenerateDataKey"]
        Resource = [statement.Resource]
      }],
      [{
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${local.log_group_arn}:*"]
      }],
      try(var.network.statements, []), [
        for key in var.kms_key_arn[*] : {
          Sid      = "DecryptItsEnvironment"
          Effect   = "Allow"
          Action   = "kms:Decrypt"
          Resource = key
        }
    ])
  })
}
