# The whole stack: the very values of both environments, the bootstrap model, and what deploy reads from the outputs.

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

  mock_data "aws_vpc" {
    defaults = { id = "vpc-0a", cidr_block = "10.0.0.0/16", enable_dns_support = true, enable_dns_hostnames = true }
  }

  mock_data "aws_subnet" {
    defaults = { vpc_id = "vpc-0a", availability_zone = "us-east-1a" }
  }

  mock_data "aws_ssm_parameter" {
    defaults = { insecure_value = "ami-0123456789abcdef0" }
  }
}

variables {
  build_dir = "tests/fixtures/build"
}

run "defaults" {
  command = plan

  assert {
    condition     = output.release == "bootstrap"
    error_message = "Until something is promoted the bootstrap model must be served."
  }

  assert {
    condition     = module.endpoint[0].config_name == output.endpoint_config_name && output.endpoint_config_name != ""
    error_message = "The output must be the configuration that the live endpoint has to report."
  }

  assert {
    condition     = output.predictor_auth_type == "AWS_IAM"
    error_message = "The URL must be closed unless it is opened on purpose."
  }

  assert {
    condition     = output.training_image == "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.13.0-cpu-amzn2023-sagemaker"
    error_message = "An image without a registry must be one of AWS's Deep Learning Containers of the region."
  }

  assert {
    condition     = output.endpoint_image == "763104351884.dkr.ecr.us-east-1.amazonaws.com/ray:serve-ml-sagemaker-cpu-v1.4"
    error_message = "Without a GPU the endpoint must get the image for processors."
  }

  assert {
    condition     = output.ec2_instance_type == "c7i.xlarge" && output.training_instance_type == "ml.m5.xlarge"
    error_message = "The default instances must be those that the documents name and price."
  }

  assert {
    condition     = output.notebook_name == "pawprint-notebook" && output.function_alias == "live" && output.endpoint_variant == "primary"
    error_message = "The names that the make targets use must be known."
  }

  assert {
    condition     = output.artifacts_bucket == "pawprint-artifacts-123456789012-us-east-1"
    error_message = "The bucket must be known."
  }
}

run "promoted" {
  command = plan

  variables {
    registry = true
    releases = {
      current = "run-1"
      models = {
        run-1     = { model_data_url = "s3://pawprint-artifacts-123456789012-us-east-1/models/run-1/output/model.tar.gz" }
        bootstrap = { model_data_url = "s3://pawprint-artifacts-123456789012-us-east-1/payloads/bootstrap/of-an-older-build.tar.gz" }
      }
    }
  }

  assert {
    condition     = output.release == "run-1" && output.endpoint_config_name != run.defaults.endpoint_config_name
    error_message = "A promotion must point the endpoint to another configuration."
  }

  assert {
    condition     = output.model_package_group == "pawprint" && run.defaults.model_package_group == null
    error_message = "Only the setting registry must make a group in the Model Registry, and it must have the stack's name."
  }
}

run "back_to_bootstrap" {
  command = plan

  variables {
    releases = {
      current = "bootstrap"
      models  = { bootstrap = { model_data_url = "s3://pawprint-artifacts-123456789012-us-east-1/payloads/bootstrap/of-an-older-build.tar.gz" } }
    }
  }

  assert {
    condition     = output.endpoint_config_name == run.defaults.endpoint_config_name
    error_message = "The bootstrap release must always mean the bootstrap model of this build."
  }
}

run "local_values" {
  command = plan

  module {
    source = "./tests/environment"
  }

  variables {
    environment = "local"
  }

  assert {
    condition     = output.values.allowed_account_ids == ["123456789012"]
    error_message = "The rehearsal must be refused by every account but its own invented one."
  }

  assert {
    condition     = !output.values.artifacts.force_destroy
    error_message = "Terraform must not delete data. `make destroy` empties the bucket after it has asked."
  }
}

run "local_stack" {
  command = plan

  variables {
    region              = run.local_values.values.region
    allowed_account_ids = run.local_values.values.allowed_account_ids
    s3_use_path_style   = run.local_values.values.s3_use_path_style
    artifacts           = run.local_values.values.artifacts
    ec2                 = run.local_values.values.ec2
    endpoint            = run.local_values.values.endpoint
    predictor           = run.local_values.values.predictor
  }

  assert {
    condition     = output.endpoint_name == "pawprint"
    error_message = "The stack must take the values of the rehearsal."
  }
}

run "aws_values" {
  command = plan

  module {
    source = "./tests/environment"
  }

  variables {
    environment = "aws"
  }

  assert {
    condition     = lookup(output.values, "s3_use_path_style", false) == false
    error_message = "On AWS buckets must be addressed by host name."
  }
}

run "aws_stack" {
  command = plan

  variables {
    region    = run.aws_values.values.region
    artifacts = run.aws_values.values.artifacts
    endpoint  = run.aws_values.values.endpoint
    predictor = run.aws_values.values.predictor
  }

  assert {
    condition     = output.endpoint_name == "pawprint"
    error_message = "The stack must take the values for AWS."
  }

  # Not so much as a hash of the image or of the instance may be different, or the rehearsal rehearsed something else.
  assert {
    condition     = output.endpoint_config_name == run.local_stack.endpoint_config_name
    error_message = "The rehearsal must put the same model behind the same kind of instance."
  }
}

run "serverless" {
  command = plan

  variables {
    endpoint = { kind = "serverless" }
  }

  assert {
    condition     = output.endpoint_kind == "serverless" && output.endpoint_name == "pawprint-serverless" && local.endpoint_name == output.endpoint_name
    error_message = "The endpoint must be one of its own, and the notebook must know its name."
  }

  assert {
    condition     = local.function_defaults.timeout_seconds == 70
    error_message = "The function must wait for the start of a container."
  }
}

run "in_function" {
  command = plan

  variables {
    endpoint = { kind = "in-function" }
  }

  assert {
    condition     = length(module.endpoint) == 0 && output.endpoint_name == null && output.endpoint_config_name == null
    error_message = "A function with a model of its own needs no endpoint."
  }

  assert {
    condition     = output.release == "bootstrap" && module.artifacts.keys["in-function"] == local.manifest["in-function"].key
    error_message = "The function must load the bootstrap model, and its package must be in the bucket."
  }
}

run "refuses_another_kind" {
  command = plan

  variables {
    endpoint = { kind = "async" }
  }

  expect_failures = [var.endpoint]
}

run "refuses_a_long_name" {
  command = plan

  variables {
    name = "a-name-of-more-than-twenty-characters"
  }

  expect_failures = [var.name]
}

run "refuses_a_name_that_ec2_takes_for_an_identifier" {
  command = plan

  variables {
    name = "sg-dogs"
  }

  expect_failures = [var.name]
}

run "refuses_a_build_folder_without_a_manifest" {
  command = plan

  variables {
    build_dir = "tests"
  }

  expect_failures = [var.build_dir]
}

run "private_stack_with_a_key" {
  command = plan

  variables {
    network              = { vpc_id = "vpc-0a", subnet_ids = ["subnet-0a"] }
    kms_key_arn          = "arn:aws:kms:us-east-1:123456789012:key/0f1e2d3c"
    permissions_boundary = "arn:aws:iam::123456789012:policy/limit"
    training             = { instance_type = "ml.g5.xlarge" }
  }

  assert {
    condition     = tolist(output.training_subnet_ids) == tolist(["subnet-0a"])
    error_message = "Jobs must get the given subnets."
  }

  assert {
    condition     = output.kms_key_arn == "arn:aws:kms:us-east-1:123456789012:key/0f1e2d3c" && output.training_volume_kms_key_arn == null
    error_message = "Jobs must use the key, except for volumes that the hardware encrypts."
  }
}

run "refuses_a_workflow_without_a_shared_state" {
  command = plan

  variables {
    ci = { repository = "example/pets" }
  }

  expect_failures = [var.ci]
}

run "refuses_a_key_of_another_region" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c"
  }

  expect_failures = [var.kms_key_arn]
}
