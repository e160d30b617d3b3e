# A function behind a URL that sends a photograph to the endpoint, or to the model that it has itself. Each change publishes a version, and the alias moves
# to it. The URL, the warm environments and every caller use the alias and never a version.

locals {
  function = "${var.name}-predictor"

  release = try(var.own_model.releases.models[var.own_model.releases.current], null)

  # Another release is another value, so Lambda publishes another version, and the alias moves to it.
  model = (
    var.own_model == null
    ? { ENDPOINT_NAME = var.endpoint.name }
    : merge(
      { MODEL_DATA_URL = local.release.model_data_url },
      local.release.sha256 == null ? {} : { MODEL_SHA256 = local.release.sha256 }, # the function verifies it
    )
  )
}

locals {
  # What limits the callers, and what is kept of their requests, if anything is.
  callers = merge(
    var.uploads == null ? {} : { UPLOADS = "s3://${var.uploads.bucket}/uploads/" },
    var.capture == null ? {} : { CAPTURE = "s3://${var.capture.access.bucket}/captures/", CAPTURE_PERCENT = tostring(var.capture.percent) },
    var.requests_a_minute == null ? {} : { REQUESTS_A_MINUTE = tostring(var.requests_a_minute) },
    var.auth_type == "KEY" ? { API_KEY_SHA256 = var.api_key_sha256 } : {},
  )
}

resource "aws_lambda_function" "predictor" {
  # checkov:skip=CKV_AWS_116: the function is called synchronously, so the caller gets every error
  # checkov:skip=CKV_AWS_272: the archive is reproducible and Terraform compares its hash; a signing profile would be one more resource
  # checkov:skip=CKV_AWS_50: traces cost money; each log line has the identifier of its request
  # tf-nag AwsSolutions-L1: the rehearsal and the tests run this Python; a newer one comes with them
  # modelmoat VPC-001 asks for a VPC: the setting `network` gives it one.
  function_name = local.function
  description   = var.endpoint == null ? "Classifies an image with a model of its own." : "Classifies an image with the endpoint ${var.endpoint.name}."
  role          = aws_iam_role.predictor.arn

  # The package with the model's libraries is larger than the 50 MB that the API takes, so Lambda reads it from S3. Its
  # key names its contents.
  filename         = var.package
  source_code_hash = var.package == null ? null : filebase64sha256(var.package)
  s3_bucket        = one(var.own_model[*].access.bucket)
  s3_key           = one(var.own_model[*].package)
  handler          = "handler.handler"
  runtime          = "python3.13"
  architectures    = [var.architecture]
  memory_size      = var.memory_mb
  timeout          = var.timeout_seconds
  publish          = true

  # The provider uses -1 for "nothing reserved". 0 would switch the function off.
  reserved_concurrent_executions = coalesce(var.reserved, -1)

  kms_key_arn = var.kms_key_arn

  dynamic "vpc_config" {
    for_each = var.network[*]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  environment {
    variables = merge(local.model, local.callers, {
      URL_ALLOW_HTTP     = tostring(var.url_allow_http)
      URL_ALLOW_NETWORKS = join(",", var.url_allow_networks)
      LOG_LEVEL          = var.log_level
    })
  }

  # Otherwise Lambda creates the log group with the first line, and the group has no retention and is not destroyed.
  depends_on = [aws_cloudwatch_log_group.predictor, aws_iam_role_policy.predictor]
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  description      = "The alias that the function URL calls."
  function_name    = aws_lambda_function.predictor.function_name
  function_version = aws_lambda_function.predictor.version

  # While the environments of a new version start, AWS sets a weight that keeps the requests on the old version.
  lifecycle {
    ignore_changes = [routing_config]
  }
}

# If there is a scaling policy, the policy owns the count. Terraform cannot ignore a change in one case only, so it
# ignores all changes, and another count replaces the configuration.
resource "terraform_data" "provisioned" {
  input = var.scaling == null ? tostring(var.provisioned) : "scaled"
}

# It belongs to the alias, so it follows the alias from version to version.
resource "aws_lambda_provisioned_concurrency_config" "live" {
  count = var.provisioned > 0 ? 1 : 0

  function_name                     = aws_lambda_alias.live.function_name
  qualifier                         = aws_lambda_alias.live.name
  provisioned_concurrent_executions = var.provisioned

  lifecycle {
    ignore_changes       = [provisioned_concurrent_executions]
    replace_triggered_by = [terraform_data.provisioned]
  }
}

resource "aws_cloudwatch_log_group" "predictor" {
  name              = "/aws/lambda/${local.function}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}
