# Prediction behind a URL: a function that passes a photograph to the endpoint. Each change publishes a version, and the
# alias moves to it; the URL, the warm environments and every caller hold on to the alias and never to a version.

locals {
  function = "${var.name}-predictor"
}

resource "aws_lambda_function" "predictor" {
  function_name = local.function
  description   = "Answers a photograph with its classes, by asking the endpoint ${var.endpoint.name}."
  role          = aws_iam_role.predictor.arn

  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  handler          = "handler.handler"
  runtime          = "python3.13"
  architectures    = [var.architecture]
  memory_size      = var.memory_mb
  timeout          = var.timeout_seconds
  publish          = true

  # -1 is the provider's word for "nothing reserved"; 0 would switch the function off.
  reserved_concurrent_executions = coalesce(var.reserved, -1)

  environment {
    variables = {
      ENDPOINT_NAME      = var.endpoint.name
      URL_ALLOW_HTTP     = tostring(var.url_allow_http)
      URL_ALLOW_NETWORKS = join(",", var.url_allow_networks)
      LOG_LEVEL          = var.log_level
    }
  }

  # Else Lambda makes the log group with the first line, and it is neither swept nor destroyed.
  depends_on = [aws_cloudwatch_log_group.predictor, aws_iam_role_policy.predictor]
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  description      = "What the function URL calls."
  function_name    = aws_lambda_function.predictor.function_name
  function_version = aws_lambda_function.predictor.version

  # While the environments of a new version start, AWS keeps the requests on the old one by a weight of its own.
  lifecycle {
    ignore_changes = [routing_config]
  }
}

# The count belongs to the scaling policy where there is one, and Terraform cannot ignore a change in one case only: so it
# ignores all, and another count makes the configuration anew.
resource "terraform_data" "provisioned" {
  input = var.scaling == null ? tostring(var.provisioned) : "scaled"
}

# On the alias, so that it follows the alias from version to version.
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
}
