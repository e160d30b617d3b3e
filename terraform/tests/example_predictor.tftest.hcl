# The example: the predictor in front of an endpoint that this project did not make. tests/terraform/test_readmes.py reads
# the plan too, because an assertion here sees the outputs of a nested module only.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  endpoint_name = "somebody-elses"
  region        = "eu-west-1"
  package       = "tests/fixtures/build/lambda.zip"
}

run "plan" {
  command = plan

  module {
    source = "./examples/predictor"
  }

  assert {
    condition     = local.account == { id = "123456789012", partition = "aws", region = "eu-west-1" }
    error_message = "The example must find out its account by itself."
  }

  assert {
    condition     = module.predictor.function_name == "pets-predictor" && module.predictor.alias == "live"
    error_message = "The example must plan the function and its alias."
  }
}
