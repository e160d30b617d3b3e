# The function: one endpoint it may ask, an alias that everything holds on to, and a URL that is closed by default.

mock_provider "aws" {}

variables {
  name               = "pawprint"
  account            = { id = "123456789012", partition = "aws", region = "eu-west-1" }
  endpoint           = { name = "pawprint", arn = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/pawprint" }
  package            = "tests/fixtures/build/lambda.zip"
  architecture       = "arm64"
  memory_mb          = 1024
  timeout_seconds    = 30
  reserved           = 10
  provisioned        = 2
  scaling            = null
  auth_type          = "AWS_IAM"
  allowed_origins    = []
  url_allow_http     = false
  url_allow_networks = ["10.1.0.0/16", "fd00::/8"]
  log_level          = "INFO"
  log_retention_days = 30
}

run "function" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  assert {
    condition     = aws_lambda_function.predictor.publish
    error_message = "Each change must publish a version."
  }

  assert {
    condition     = aws_lambda_function.predictor.source_code_hash == filebase64sha256("tests/fixtures/build/lambda.zip")
    error_message = "A changed archive must be a change of the function."
  }

  assert {
    condition = aws_lambda_function.predictor.environment[0].variables == tomap({
      ENDPOINT_NAME      = "pawprint"
      URL_ALLOW_HTTP     = "false"
      URL_ALLOW_NETWORKS = "10.1.0.0/16,fd00::/8"
      LOG_LEVEL          = "INFO"
    })
    error_message = "The function must be told its endpoint and its limits."
  }

  assert {
    condition     = aws_cloudwatch_log_group.predictor.name == "/aws/lambda/pawprint-predictor" && aws_cloudwatch_log_group.predictor.retention_in_days == 30
    error_message = "The function's log group must be the one that Lambda writes to, and forget in time."
  }
}

run "concurrency" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  assert {
    condition     = aws_lambda_function.predictor.reserved_concurrent_executions == 10
    error_message = "The reserved concurrency must be that of the function."
  }

  assert {
    condition     = aws_lambda_provisioned_concurrency_config.live[0].qualifier == "live" && aws_lambda_provisioned_concurrency_config.live[0].provisioned_concurrent_executions == 2
    error_message = "The provisioned concurrency must be that of the alias, so that it follows it from version to version."
  }
}

run "fixed_concurrency" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  assert {
    condition     = length(aws_appautoscaling_target.provisioned) == 0 && length(aws_appautoscaling_policy.provisioned) == 0
    error_message = "Nothing may be scaled unless that is asked for."
  }

  assert {
    condition     = terraform_data.provisioned.input == "2"
    error_message = "Another count must make the configuration anew, because changes of it are ignored."
  }
}

run "scaled_concurrency" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    scaling = { max_provisioned = 8, utilization = 0.7, scale_in_cooldown = 300, scale_out_cooldown = 0 }
  }

  assert {
    condition     = aws_appautoscaling_target.provisioned[0].resource_id == "function:pawprint-predictor:live"
    error_message = "What is scaled must be the alias."
  }

  assert {
    condition     = aws_appautoscaling_target.provisioned[0].min_capacity == 2 && aws_appautoscaling_target.provisioned[0].max_capacity == 8
    error_message = "The number of warm environments must stay between provisioned and its maximum."
  }

  assert {
    condition     = aws_appautoscaling_policy.provisioned[0].target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].predefined_metric_type == "LambdaProvisionedConcurrencyUtilization"
    error_message = "The policy must follow the share of the warm environments that is in use."
  }

  assert {
    condition     = aws_lambda_provisioned_concurrency_config.live[0].provisioned_concurrent_executions == 2 && terraform_data.provisioned.input == "scaled"
    error_message = "The least number must be there from the start, and then be left to the policy."
  }
}

run "refuses_to_scale_from_nothing" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    provisioned = 0
    scaling     = { max_provisioned = 8, utilization = 0.7, scale_in_cooldown = 300, scale_out_cooldown = 0 }
  }

  expect_failures = [var.scaling]
}

run "refuses_to_scale_beyond_what_is_reserved" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    scaling = { max_provisioned = 11, utilization = 0.7, scale_in_cooldown = 300, scale_out_cooldown = 0 }
  }

  expect_failures = [var.scaling]
}

run "refuses_a_utilization_that_is_always_met" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    scaling = { max_provisioned = 8, utilization = 1, scale_in_cooldown = 300, scale_out_cooldown = 0 }
  }

  expect_failures = [var.scaling]
}

run "no_concurrency" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    reserved    = null
    provisioned = 0
  }

  assert {
    condition     = aws_lambda_function.predictor.reserved_concurrent_executions == -1
    error_message = "Without a reservation the function must share what the account has left."
  }

  assert {
    condition     = length(aws_lambda_provisioned_concurrency_config.live) == 0
    error_message = "Without provisioned concurrency nothing may be kept warm."
  }
}

run "closed_url" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  assert {
    condition     = aws_lambda_function_url.live.authorization_type == "AWS_IAM" && aws_lambda_function_url.live.qualifier == "live"
    error_message = "The URL must call the alias and ask for a signature."
  }

  assert {
    condition     = length(aws_lambda_permission.public_url) == 0 && length(aws_cloudformation_stack.public_invoke) == 0
    error_message = "With signatures nothing may be granted to everybody."
  }

  assert {
    condition     = length(aws_lambda_function_url.live.cors) == 0
    error_message = "Without an allowed origin the URL must not answer other sites' pages."
  }
}

run "public_url" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    auth_type       = "NONE"
    allowed_origins = ["https://example.org"]
  }

  # The template names the alias by its ARN, which a plan would not know.
  override_resource {
    target          = aws_lambda_alias.live
    override_during = plan
    values          = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:pawprint-predictor:live" }
  }

  assert {
    condition     = aws_lambda_permission.public_url[0].action == "lambda:InvokeFunctionUrl" && aws_lambda_permission.public_url[0].function_url_auth_type == "NONE"
    error_message = "Everybody must be allowed to call the URL while it asks for no signature."
  }

  assert {
    condition = jsondecode(aws_cloudformation_stack.public_invoke[0].template_body).Resources.PublicInvokeThroughTheUrl.Properties == {
      FunctionName          = "arn:aws:lambda:eu-west-1:123456789012:function:pawprint-predictor:live"
      Action                = "lambda:InvokeFunction"
      Principal             = "*"
      InvokedViaFunctionUrl = true
    }
    error_message = "Everybody must be allowed to invoke the alias, but through the URL only."
  }

  assert {
    condition     = aws_lambda_function_url.live.cors[0].allow_origins == toset(["https://example.org"])
    error_message = "The allowed origin must be answered."
  }
}

# The function checks the key, so AWS must let everybody call the URL.
run "url_with_a_key" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    auth_type         = "KEY"
    api_key_sha256    = "0000000000000000000000000000000000000000000000000000000000000000"
    requests_a_minute = 60
    uploads           = { bucket = "the-bucket", arn = "arn:aws:s3:::the-bucket", key_statements = [] }
  }

  assert {
    condition     = aws_lambda_function_url.live.authorization_type == "NONE" && length(aws_lambda_permission.public_url) == 1
    error_message = "AWS must pass on requests without a signature."
  }

  assert {
    condition     = length(aws_lambda_function.predictor.environment[0].variables.API_KEY_SHA256) == 64 && aws_lambda_function.predictor.environment[0].variables.REQUESTS_A_MINUTE == "60"
    error_message = "The function must get the hash of the key, and the limit of each caller."
  }

  assert {
    condition = flatten([for statement in jsondecode(aws_iam_role_policy.predictor.policy).Statement :
      statement.Resource if contains(statement.Action, "s3:PutObject")
    ]) == ["arn:aws:s3:::the-bucket/uploads/*"]
    error_message = "The function must be able to write uploads only."
  }
}

run "capture" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    capture = {
      percent = 5
      access = {
        bucket         = "the-bucket"
        arn            = "arn:aws:s3:::the-bucket"
        key_statements = [{ Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = "arn:aws:kms:eu-west-1:123456789012:key/a" }]
      }
    }
  }

  assert {
    condition     = aws_lambda_function.predictor.environment[0].variables.CAPTURE == "s3://the-bucket/captures/" && aws_lambda_function.predictor.environment[0].variables.CAPTURE_PERCENT == "5"
    error_message = "The function must know where it keeps images, and how many."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.predictor.policy).Statement : [statement.Action, statement.Resource]
      if length(regexall("^(s3|kms):", statement.Action[0])) > 0] == [
      [["s3:PutObject"], ["arn:aws:s3:::the-bucket/captures/*"]],
      [["kms:GenerateDataKey"], ["arn:aws:kms:eu-west-1:123456789012:key/a"]],
    ]
    error_message = "The function must be able to write captured images and encrypt them, and to read nothing."
  }
}

run "refuses_to_capture_more_than_everything" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    capture = { percent = 101, access = { bucket = "b", arn = "arn:aws:s3:::b", key_statements = [] } }
  }

  expect_failures = [var.capture]
}

run "refuses_a_key_without_its_hash" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    auth_type = "KEY"
  }

  expect_failures = [var.api_key_sha256]
}

run "role" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  assert {
    condition = flatten([for statement in jsondecode(aws_iam_role_policy.predictor.policy).Statement : statement.Resource]) == [
      "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/pawprint",
      "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/pawprint-predictor:*",
    ]
    error_message = "The function may ask its endpoint and write its log, and nothing else."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.predictor.policy).Statement[0].Action == ["sagemaker:InvokeEndpoint"]
    error_message = "The function may do nothing with the endpoint but ask it."
  }
}

run "refuses_more_warm_than_reserved" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    provisioned = 11
  }

  expect_failures = [var.provisioned]
}

run "refuses_a_negative_number_of_warm_environments" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    provisioned = -1
  }

  expect_failures = [var.provisioned]
}

run "refuses_to_switch_the_function_off" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    reserved    = 0
    provisioned = 0
  }

  expect_failures = [var.reserved]
}

run "refuses_an_unknown_authentication" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    auth_type = "BASIC"
  }

  expect_failures = [var.auth_type]
}

run "refuses_an_unknown_architecture" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    architecture = "riscv64"
  }

  expect_failures = [var.architecture]
}

run "refuses_too_little_memory" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    memory_mb = 64
  }

  expect_failures = [var.memory_mb]
}

run "refuses_to_wait_longer_than_the_endpoint" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    timeout_seconds = 300
  }

  expect_failures = [var.timeout_seconds]
}

run "refuses_an_origin_with_a_path" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    allowed_origins = ["https://example.org/page"]
  }

  expect_failures = [var.allowed_origins]
}

run "refuses_a_network_that_is_none" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    url_allow_networks = ["intranet"]
  }

  expect_failures = [var.url_allow_networks]
}

run "refuses_an_unknown_log_level" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    log_level = "VERBOSE"
  }

  expect_failures = [var.log_level]
}

run "in_a_given_network_with_a_kms_key" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    network = {
      subnet_ids         = ["subnet-0a", "subnet-0b"]
      security_group_ids = ["sg-0a"]
      statements         = [{ Sid = "ConnectToTheSubnets", Effect = "Allow", Action = ["ec2:CreateNetworkInterface"], Resource = ["*"] }]
    }
    kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c"
    permissions_boundary = "arn:aws:iam::123456789012:policy/limit"
  }

  assert {
    condition     = aws_lambda_function.predictor.vpc_config[0].subnet_ids == toset(["subnet-0a", "subnet-0b"]) && aws_lambda_function.predictor.vpc_config[0].security_group_ids == toset(["sg-0a"])
    error_message = "The function must be in the given subnets."
  }

  assert {
    condition     = aws_lambda_function.predictor.kms_key_arn == "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c" && aws_cloudwatch_log_group.predictor.kms_key_id == "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c"
    error_message = "A given KMS key must encrypt the variables and the log group."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.predictor.policy).Statement : statement.Resource if statement.Action == "kms:Decrypt"] == ["arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c"]
    error_message = "The function may decrypt with that key and no other."
  }

  assert {
    condition     = aws_iam_role.predictor.permissions_boundary == "arn:aws:iam::123456789012:policy/limit"
    error_message = "The boundary must limit the role."
  }

  assert {
    condition     = contains([for statement in jsondecode(aws_iam_role_policy.predictor.policy).Statement : statement.Sid], "ConnectToTheSubnets")
    error_message = "The role must be able to connect to the subnets."
  }
}

run "own_model" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    endpoint     = null
    package      = null
    architecture = "x86_64"
    memory_mb    = 2048
    own_model = {
      releases = {
        current = "run-2"
        models = {
          run-1 = { model_data_url = "s3://the-bucket/models/run-1/output/model.tar.gz" }
          run-2 = { model_data_url = "s3://the-bucket/models/run-2/output/model.tar.gz" }
        }
      }
      access = {
        bucket         = "the-bucket"
        arn            = "arn:aws:s3:::the-bucket"
        key_statements = [{ Sid = "UseTheKey", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = "arn:aws:kms:eu-west-1:123456789012:key/k" }]
      }
      package = "payloads/in-function/1.zip"
    }
  }

  assert {
    condition     = aws_lambda_function.predictor.s3_bucket == "the-bucket" && aws_lambda_function.predictor.s3_key == "payloads/in-function/1.zip" && aws_lambda_function.predictor.filename == null
    error_message = "Lambda must read the package with the libraries from S3."
  }

  assert {
    condition     = aws_lambda_function.predictor.environment[0].variables.MODEL_DATA_URL == "s3://the-bucket/models/run-2/output/model.tar.gz"
    error_message = "The function must load the current release."
  }

  assert {
    condition     = !contains(keys(aws_lambda_function.predictor.environment[0].variables), "ENDPOINT_NAME")
    error_message = "A function with a model of its own must call no endpoint."
  }

  assert {
    condition = flatten([for statement in jsondecode(aws_iam_role_policy.predictor.policy).Statement :
      statement.Resource if contains(statement.Action, "s3:GetObject")
    ]) == ["arn:aws:s3:::the-bucket/models/run-1/output/model.tar.gz", "arn:aws:s3:::the-bucket/models/run-2/output/model.tar.gz"]
    error_message = "The function must be able to read the archives of its releases only."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.predictor.policy, "sagemaker:") && !strcontains(aws_iam_role_policy.predictor.policy, "kms:GenerateDataKey")
    error_message = "A function with a model of its own must not invoke endpoints, and must only decrypt."
  }
}

run "refuses_an_endpoint_and_a_model" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    package      = null
    architecture = "x86_64"
    own_model = {
      releases = { current = "run-1", models = { run-1 = { model_data_url = "s3://the-bucket/models/run-1/output/model.tar.gz" } } }
      access   = { bucket = "the-bucket", arn = "arn:aws:s3:::the-bucket", key_statements = [] }
      package  = "payloads/in-function/1.zip"
    }
  }

  expect_failures = [var.own_model]
}

run "refuses_a_model_on_arm" {
  command = plan

  module {
    source = "./modules/predictor"
  }

  variables {
    endpoint = null
    package  = null
    own_model = {
      releases = { current = "run-1", models = { run-1 = { model_data_url = "s3://the-bucket/models/run-1/output/model.tar.gz" } } }
      access   = { bucket = "the-bucket", arn = "arn:aws:s3:::the-bucket", key_statements = [] }
      package  = "payloads/in-function/1.zip"
    }
  }

  expect_failures = [var.architecture]
}
