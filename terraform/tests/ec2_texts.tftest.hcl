# The whole stack under the longest name that is allowed. tests/terraform/test_contracts.py reads this plan as JSON and
# holds every name and description that goes to EC2 against the characters that EC2 takes.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }

  mock_data "aws_vpcs" {
    defaults = { ids = ["vpc-0a"] }
  }

  mock_data "aws_subnets" {
    defaults = { ids = ["subnet-0a"] }
  }

  mock_data "aws_ssm_parameter" {
    defaults = { insecure_value = "ami-0123456789abcdef0" }
  }
}

variables {
  build_dir = "tests/fixtures/build"
  name      = "a-name-of-20-letters"
}

run "stack" {
  command = plan

  assert {
    condition     = output.name == "a-name-of-20-letters"
    error_message = "The longest name must be planned."
  }
}
