# Every type of resource of the stack once, small. `generation` changes each in place, `name` replaces each.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "generation" {
  type = number
}

variable "name" {
  type = string
}

variable "folder" {
  description = "The folder with the function's and the model's archives."
  type        = string
}

locals {
  account = "123456789012"
  text    = "generation ${var.generation}"
}

provider "aws" {
  region              = "us-east-1"
  s3_use_path_style   = true
  allowed_account_ids = [local.account]
}

data "aws_ssm_parameter" "ami" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

# --- roles ---

resource "aws_iam_role" "role" {
  name        = var.name
  description = local.text
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = ["ec2.amazonaws.com", "lambda.amazonaws.com", "sagemaker.amazonaws.com"] }
    }]
  })
}

resource "aws_iam_role_policy" "role" {
  name = var.name
  role = aws_iam_role.role.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Sid = "Generation${var.generation}", Effect = "Allow", Action = "*", Resource = "*" }]
  })
}

resource "aws_iam_instance_profile" "role" {
  name = var.name
  role = aws_iam_role.role.name
  tags = { generation = var.generation }
}

# --- the bucket ---

resource "aws_s3_bucket" "bucket" {
  bucket        = "${var.name}-bucket"
  force_destroy = true
  tags          = { generation = var.generation }
}

resource "aws_s3_bucket_versioning" "bucket" {
  bucket = aws_s3_bucket.bucket.id

  versioning_configuration {
    status = var.generation == 1 ? "Enabled" : "Suspended"
  }
}

resource "aws_s3_bucket_ownership_controls" "bucket" {
  bucket = aws_s3_bucket.bucket.id

  rule {
    object_ownership = var.generation == 1 ? "BucketOwnerEnforced" : "BucketOwnerPreferred"
  }
}

resource "aws_s3_bucket_public_access_block" "bucket" {
  bucket                  = aws_s3_bucket.bucket.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = var.generation == 1
}

resource "aws_s3_bucket_server_side_encryption_configuration" "bucket" {
  bucket = aws_s3_bucket.bucket.id

  rule {
    bucket_key_enabled = var.generation != 1

    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "bucket" {
  bucket = aws_s3_bucket.bucket.id

  rule {
    id     = "old"
    status = "Enabled"
    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.generation
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.bucket]
}

resource "aws_s3_bucket_policy" "bucket" {
  bucket = aws_s3_bucket.bucket.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Generation${var.generation}"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = "${aws_s3_bucket.bucket.arn}/*"
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

resource "aws_s3_object" "model" {
  bucket = aws_s3_bucket.bucket.id
  key    = "model.tar.gz"
  source = "${var.folder}/model.tar.gz"
  tags   = { generation = var.generation }
}

# --- the function ---

resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.generation == 1 ? 1 : 3
}

resource "aws_lambda_function" "function" {
  function_name                  = var.name
  role                           = aws_iam_role.role.arn
  filename                       = "${var.folder}/function.zip"
  source_code_hash               = filebase64sha256("${var.folder}/function.zip")
  handler                        = "handler.handler"
  runtime                        = "python3.13"
  description                    = local.text
  publish                        = true
  timeout                        = 10
  reserved_concurrent_executions = 1 + var.generation
}

resource "aws_lambda_alias" "function" {
  name             = "live"
  description      = local.text
  function_name    = aws_lambda_function.function.function_name
  function_version = aws_lambda_function.function.version
}

resource "aws_lambda_provisioned_concurrency_config" "function" {
  function_name                     = aws_lambda_function.function.function_name
  qualifier                         = aws_lambda_alias.function.name
  provisioned_concurrent_executions = 1 # Lambda refuses a change while the alias moves to another version
}

resource "aws_lambda_function_url" "function" {
  function_name      = aws_lambda_function.function.function_name
  qualifier          = aws_lambda_alias.function.name
  authorization_type = var.generation == 1 ? "AWS_IAM" : "NONE"
}

resource "aws_lambda_permission" "function" {
  statement_id           = "Generation${var.generation}" # has no change in place
  action                 = "lambda:InvokeFunctionUrl"
  function_name          = aws_lambda_function.function.function_name
  qualifier              = aws_lambda_alias.function.name
  principal              = "*"
  function_url_auth_type = aws_lambda_function_url.function.authorization_type
}

resource "aws_cloudformation_stack" "function" {
  name = "${var.name}-stack"
  tags = { generation = var.generation }

  template_body = jsonencode({
    Description = local.text
    Resources = {
      Group = {
        Type       = "AWS::Logs::LogGroup"
        Properties = { LogGroupName = "/${var.name}/stack", RetentionInDays = 1 }
      }
    }
  })
}

# --- the endpoint ---

resource "aws_sagemaker_model" "model" {
  name               = "${var.name}-${var.generation}" # has no change in place but tags
  execution_role_arn = aws_iam_role.role.arn

  primary_container {
    image          = "serving:1"
    model_data_url = "s3://${aws_s3_object.model.bucket}/${aws_s3_object.model.key}"
  }

  depends_on = [aws_iam_role_policy.role]

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_sagemaker_endpoint_configuration" "endpoint" {
  name = "${var.name}-${var.generation}"

  production_variants {
    variant_name           = "main"
    model_name             = aws_sagemaker_model.model.name
    initial_instance_count = 1
    instance_type          = "ml.m5.large"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_sagemaker_endpoint" "endpoint" {
  name                 = var.name
  endpoint_config_name = aws_sagemaker_endpoint_configuration.endpoint.name
}

resource "aws_appautoscaling_target" "endpoint" {
  service_namespace  = "sagemaker"
  scalable_dimension = "sagemaker:variant:DesiredInstanceCount"
  resource_id        = "endpoint/${aws_sagemaker_endpoint.endpoint.name}/variant/main"
  min_capacity       = 1
  max_capacity       = 1 + var.generation
}

resource "aws_appautoscaling_policy" "endpoint" {
  name               = var.name
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.endpoint.service_namespace
  scalable_dimension = aws_appautoscaling_target.endpoint.scalable_dimension
  resource_id        = aws_appautoscaling_target.endpoint.resource_id

  target_tracking_scaling_policy_configuration {
    target_value = 100 * var.generation

    predefined_metric_specification {
      predefined_metric_type = "SageMakerVariantInvocationsPerInstance"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "endpoint" {
  alarm_name          = var.name
  alarm_description   = local.text
  namespace           = "AWS/SageMaker"
  metric_name         = "Invocation5XXErrors"
  dimensions          = { EndpointName = var.name, VariantName = "main" }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  threshold           = var.generation
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
}

resource "aws_sagemaker_model_package_group" "models" {
  model_package_group_name = var.name
  tags                     = { generation = var.generation }
}

# --- the notebook and the instance ---

resource "aws_sagemaker_notebook_instance_lifecycle_configuration" "notebook" {
  name     = var.name
  on_start = base64encode("#!/bin/sh\n# ${local.text}\n")
}

resource "aws_sagemaker_notebook_instance" "notebook" {
  name                  = var.name
  role_arn              = aws_iam_role.role.arn
  instance_type         = "ml.t3.medium"
  lifecycle_config_name = aws_sagemaker_notebook_instance_lifecycle_configuration.notebook.name
  volume_size           = 5
  tags                  = { generation = var.generation }
}

resource "aws_security_group" "instance" {
  name        = var.name
  description = "No way in"
  tags        = { generation = var.generation }
}

resource "aws_vpc_security_group_egress_rule" "instance" {
  security_group_id = aws_security_group.instance.id
  description       = local.text
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_instance" "instance" {
  ami                    = data.aws_ssm_parameter.ami.insecure_value
  instance_type          = "c7i.large"
  iam_instance_profile   = aws_iam_instance_profile.role.name
  vpc_security_group_ids = [aws_security_group.instance.id]
  monitoring             = var.generation != 1
  tags                   = { Name = var.name, generation = var.generation }

  metadata_options {
    http_tokens = "required"
  }
}

# --- watching ---

resource "aws_cloudwatch_log_metric_filter" "errors" {
  name           = var.name
  log_group_name = aws_cloudwatch_log_group.function.name
  pattern        = "{ $.status = ${var.generation} }"

  metric_transformation {
    name      = "Errors"
    namespace = var.name
    value     = "1"
  }
}

resource "aws_cloudwatch_dashboard" "dashboard" {
  dashboard_name = var.name
  dashboard_body = jsonencode({ widgets = [{ type = "text", properties = { markdown = local.text } }] })
}

resource "aws_sns_topic" "topic" {
  name         = var.name
  display_name = local.text
}

resource "aws_sns_topic_policy" "topic" {
  arn = aws_sns_topic.topic.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Generation${var.generation}"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.topic.arn
    }]
  })
}

resource "aws_sns_topic_subscription" "email" {
  topic_arn     = aws_sns_topic.topic.arn
  protocol      = "email"
  endpoint      = "team@example.org"
  filter_policy = jsonencode({ text = [local.text] })
}

resource "aws_cloudwatch_event_rule" "jobs" {
  name          = var.name
  description   = local.text
  event_pattern = jsonencode({ source = ["aws.sagemaker"] })
}

resource "aws_cloudwatch_event_target" "jobs" {
  rule  = aws_cloudwatch_event_rule.jobs.name
  arn   = aws_sns_topic.topic.arn
  input = jsonencode(local.text)
}

resource "aws_budgets_budget" "monthly" {
  name         = var.name
  budget_type  = "COST"
  limit_amount = format("%.1f", 100 + var.generation)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  cost_filter {
    name   = "TagKeyValue"
    values = [format("user:Project$%s", var.name)]
  }

  notification {
    notification_type          = "ACTUAL"
    comparison_operator        = "GREATER_THAN"
    threshold                  = 80 + var.generation
    threshold_type             = "PERCENTAGE"
    subscriber_email_addresses = ["team@example.org"]
  }
}
