# The images: by instance type unless one is named, from the registry of the region, which must be known.

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
}

run "images_of_processors" {
  command = plan

  assert {
    condition     = output.training_image == "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.13.0-cpu-amzn2023-sagemaker"
    error_message = "Without a GPU training must get the image for processors."
  }

  assert {
    condition     = output.endpoint_image == "763104351884.dkr.ecr.us-east-1.amazonaws.com/ray:serve-ml-sagemaker-cpu-v1.4"
    error_message = "Without a GPU the endpoint must get the image for processors."
  }
}

run "images_of_gpus" {
  command = plan

  variables {
    training = { instance_type = "ml.g5.xlarge" }
    endpoint = { instance_type = "ml.g4dn.xlarge" }
  }

  assert {
    condition     = output.training_image == "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.13.0-cu133-amzn2023-sagemaker"
    error_message = "A GPU's training image must have CUDA, or it trains on the processors at a GPU's price."
  }

  assert {
    condition     = output.endpoint_image == "763104351884.dkr.ecr.us-east-1.amazonaws.com/ray:serve-ml-sagemaker-cuda-v1.4"
    error_message = "A GPU's serving image must have CUDA."
  }
}

run "each_use_follows_its_own_instance_type" {
  command = plan

  variables {
    training = { instance_type = "ml.p6-b200.48xlarge" }
  }

  assert {
    condition     = strcontains(output.training_image, "-cu133-") && endswith(output.endpoint_image, "-cpu-v1.4")
    error_message = "A GPU that trains must not put the endpoint into an image with CUDA."
  }
}

run "named_images_on_gpus" {
  command = plan

  variables {
    training = { instance_type = "ml.g5.xlarge", image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1" }
    endpoint = { instance_type = "ml.g4dn.xlarge", image = "ray:mine" }
  }

  assert {
    condition     = output.training_image == "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1"
    error_message = "A full URI must be taken as it is, whatever the instance."
  }

  assert {
    condition     = output.endpoint_image == "763104351884.dkr.ecr.us-east-1.amazonaws.com/ray:mine"
    error_message = "An image that was named must be taken whatever the instance, and without a registry from AWS's own."
  }
}

run "registry_of_another_account" {
  command = plan

  variables {
    region = "eu-south-2"
  }

  assert {
    condition     = startswith(output.training_image, "503227376785.dkr.ecr.eu-south-2.amazonaws.com/pytorch:")
    error_message = "The images must come from the account that holds them in the region."
  }

  assert {
    condition     = startswith(output.endpoint_image, "503227376785.dkr.ecr.eu-south-2.amazonaws.com/ray:")
    error_message = "Both images must come from that account."
  }
}

run "registry_in_china" {
  command = plan

  variables {
    region = "cn-north-1"
  }

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-cn", dns_suffix = "amazonaws.com.cn" }
  }

  assert {
    condition     = startswith(output.training_image, "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/pytorch:")
    error_message = "A registry in China must have the suffix of its partition."
  }
}

run "refuses_a_region_without_a_known_registry" {
  command = plan

  variables {
    region = "us-gov-west-1"
  }

  expect_failures = [var.region]
}

# One image alone may come from elsewhere: the other still needs the registry.
run "refuses_it_for_one_image_too" {
  command = plan

  variables {
    region   = "us-gov-west-1"
    training = { image = "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/mine:1" }
  }

  expect_failures = [var.region]
}

run "a_given_account_is_the_way_out" {
  command = plan

  variables {
    region                           = "us-gov-west-1"
    deep_learning_containers_account = "111122223333"
  }

  assert {
    condition     = startswith(output.training_image, "111122223333.dkr.ecr.us-gov-west-1.amazonaws.com/pytorch:")
    error_message = "A given account must be the registry's, in a region that is not listed too."
  }
}

run "full_uris_are_the_other_way_out" {
  command = plan

  variables {
    region   = "us-gov-west-1"
    training = { image = "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/training:1" }
    endpoint = { image = "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/serving:1" }
  }

  assert {
    condition     = output.endpoint_image == "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/serving:1"
    error_message = "Images that are given in full must need no known registry."
  }
}

run "refuses_an_account_that_is_not_a_number" {
  command = plan

  variables {
    deep_learning_containers_account = "aws"
  }

  expect_failures = [var.deep_learning_containers_account]
}
