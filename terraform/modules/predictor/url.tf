# The function URL. With KEY the function itself checks the key, and AWS lets everybody call the URL. With AWS_IAM a caller's own policy must allow both lambda:InvokeFunctionUrl and
# lambda:InvokeFunction; with KEY and NONE the function's policy must allow both to everybody.

locals {
  public = var.auth_type != "AWS_IAM"
}

resource "aws_lambda_function_url" "live" {
  function_name      = aws_lambda_alias.live.function_name
  qualifier          = aws_lambda_alias.live.name
  authorization_type = local.public ? "NONE" : "AWS_IAM"

  dynamic "cors" {
    for_each = length(var.allowed_origins) > 0 ? [var.allowed_origins] : []

    content {
      allow_origins = cors.value
      allow_methods = ["GET", "POST"]
      # The last three have the signature of a signed request.
      allow_headers = ["content-type", "x-api-key", "authorization", "x-amz-date", "x-amz-security-token"]
      max_age       = 3600
    }
  }
}

resource "aws_lambda_permission" "public_url" {
  count = local.public ? 1 : 0

  statement_id           = "PublicFunctionUrl"
  function_name          = aws_lambda_alias.live.function_name
  qualifier              = aws_lambda_alias.live.name
  principal              = "*"
  action                 = "lambda:InvokeFunctionUrl"
  function_url_auth_type = "NONE"
}

# Since October 2025 a public URL also needs lambda:InvokeFunction, restricted to calls through the URL. Without the
# restriction everybody could call the function's API. aws_lambda_permission supports it from provider 6.29 on, and
# CloudFormation supports it with every provider.
resource "aws_cloudformation_stack" "public_invoke" {
  count = local.public ? 1 : 0

  name = "${local.function}-public-invoke"

  template_body = jsonencode({
    Description = "Lets everybody invoke the function ${local.function} through its URL, and only through it."
    Resources = {
      PublicInvokeThroughTheUrl = {
        Type = "AWS::Lambda::Permission"
        Properties = {
          FunctionName          = aws_lambda_alias.live.arn
          Action                = "lambda:InvokeFunction"
          Principal             = "*"
          InvokedViaFunctionUrl = true
        }
      }
    }
  })
}
