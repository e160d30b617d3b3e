# The instance may read datasets and payloads, read and write models and checkpoints, write its log, and take commands.
#
# AmazonSSMManagedInstanceCore is not attached, because it can also read every parameter of the account, secrets
# included. This file lists what the agent needs for Run Command.

locals {
  log_group_arn = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:${aws_cloudwatch_log_group.training.name}"
}

resource "aws_iam_role" "training" {
  name                 = "${var.name}-ec2-training"
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_instance_profile" "training" {
  name = aws_iam_role.training.name
  role = aws_iam_role.training.name
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
        Action   = "s3:ListBucket"
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
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = "${local.log_group_arn}:*"
      },
      {
        # Every log group of the region: before it writes, the agent searches the list for its group, and AWS cannot
        # restrict a list to one entry.
        Sid      = "FindTheLogGroup"
        Effect   = "Allow"
        Action   = "logs:DescribeLogGroups"
        Resource = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:*"
      },
      {
        # Any instance of the account: this one gets its id when it is created, and it needs the policy while it boots.
        Sid      = "ReportToSsm"
        Effect   = "Allow"
        Action   = ["ssm:UpdateInstanceInformation", "ssm:ListInstanceAssociations"]
        Resource = "arn:${var.account.partition}:ec2:${var.account.region}:${var.account.id}:instance/*"
      },
      {
        # "*": the channels for commands belong to the caller and have no ARN.
        Sid    = "TakeCommands"
        Effect = "Allow"
        Action = [
          "ssmmessages:CreateControlChannel",
          "ssmmessages:CreateDataChannel",
          "ssmmessages:OpenControlChannel",
          "ssmmessages:OpenDataChannel",
          "ec2messages:AcknowledgeMessage",
          "ec2messages:DeleteMessage",
          "ec2messages:FailMessage",
          "ec2messages:GetEndpoint",
          "ec2messages:GetMessages",
          "ec2messages:SendReply",
        ]
        Resource = "*"
      },
    ], var.artifacts.key_statements)
  })
}
