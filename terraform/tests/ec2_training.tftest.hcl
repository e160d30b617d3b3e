# The training instance: of the c family, closed to the network, and paid for only while it works.

mock_provider "aws" {
  mock_data "aws_vpcs" {
    defaults = { ids = ["vpc-0a"] }
  }

  mock_data "aws_subnets" {
    defaults = { ids = ["subnet-0b", "subnet-0a"] }
  }

  mock_data "aws_ssm_parameter" {
    defaults = { insecure_value = "ami-0123456789abcdef0" }
  }
}

variables {
  name               = "pawprint"
  account            = { id = "123456789012", partition = "aws", region = "eu-west-1" }
  artifacts          = { bucket = "the-bucket", arn = "arn:aws:s3:::the-bucket", key_statements = [] }
  payload_key        = "payloads/ec2/0123456789abcdef.tar.gz"
  instance_type      = "c7i.xlarge"
  volume_gb          = 30
  subnet_id          = null
  packages           = ["python3.12"]
  python             = "python3.12"
  idle_minutes       = 20
  log_retention_days = 30
}

run "instance" {
  command = plan

  module {
    source = "./modules/ec2_training"
  }

  assert {
    condition     = aws_instance.training.ami == "ami-0123456789abcdef0" && strcontains(data.aws_ssm_parameter.ami.name, "al2023-ami-kernel-default-x86_64")
    error_message = "The image must be the Amazon Linux 2023 that AWS points to."
  }

  assert {
    condition     = strcontains(aws_instance.training.user_data, "retry \"dnf install python3.12\" dnf install --assumeyes --quiet python3.12\n")
    error_message = "The first boot must try the system packages more than once."
  }

  assert {
    condition     = length(aws_instance.training.user_data) < 16384
    error_message = "EC2 takes 16 KB of user data."
  }

  assert {
    condition     = aws_instance.training.subnet_id == "subnet-0a"
    error_message = "The choice among default subnets must not depend on the order of an answer."
  }

  assert {
    condition     = aws_instance.training.metadata_options[0].http_tokens == "required" && aws_instance.training.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "IMDSv2 must be required, one hop wide."
  }

  assert {
    condition     = aws_instance.training.root_block_device[0].encrypted && aws_instance.training.root_block_device[0].volume_type == "gp3"
    error_message = "The disk must be encrypted gp3."
  }

  assert {
    condition     = aws_instance.training.instance_initiated_shutdown_behavior == "stop"
    error_message = "The instance's own shutdown must stop and not terminate it."
  }

  assert {
    condition     = aws_cloudwatch_log_group.training.name == "/pawprint/ec2-training" && aws_cloudwatch_log_group.training.retention_in_days == 30
    error_message = "Commands must have a log group that forgets in time."
  }
}

run "network" {
  command = plan

  module {
    source = "./modules/ec2_training"
  }

  assert {
    condition     = length(aws_security_group.training[0].ingress) == 0
    error_message = "Nothing may come in."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.https[0].from_port == 443 && aws_vpc_security_group_egress_rule.https[0].to_port == 443
    error_message = "Nothing but HTTPS may go out."
  }
}

run "role" {
  command = plan

  module {
    source = "./modules/ec2_training"
  }

  assert {
    condition = flatten([for statement in jsondecode(aws_iam_role_policy.training.policy).Statement :
      statement.Resource if contains(flatten([statement.Action]), "s3:PutObject")
    ]) == ["arn:aws:s3:::the-bucket/models/*", "arn:aws:s3:::the-bucket/checkpoints/*"]
    error_message = "The instance must be able to write models and checkpoints only."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.training.policy, "ssm:GetParameter")
    error_message = "The instance must not be able to read the account's parameters."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.training.policy).Statement :
      statement.Sid if contains(flatten([statement.Resource]), "*")
    ] == ["TakeCommands"]
    error_message = "Only what AWS cannot bind to a resource may be granted on all of them."
  }

  assert {
    condition = !anytrue(flatten([for statement in jsondecode(aws_iam_role_policy.training.policy).Statement :
      [for action in flatten([statement.Action]) : strcontains(action, "*")]
    ]))
    error_message = "Actions must be listed one by one."
  }
}

run "previous_generation" {
  command = plan

  module {
    source = "./modules/ec2_training"
  }

  variables {
    instance_type = "c3.xlarge"
  }

  assert {
    condition     = aws_instance.training.instance_type == "c3.xlarge"
    error_message = "The previous generation must be accepted."
  }
}

run "graviton" {
  command = plan

  module {
    source = "./modules/ec2_training"
  }

  variables {
    instance_type = "c8gd.2xlarge"
  }

  assert {
    condition     = endswith(data.aws_ssm_parameter.ami.name, "-arm64")
    error_message = "A Graviton type must get an arm64 image."
  }
}

run "given_subnet" {
  command = plan

  module {
    source = "./modules/ec2_training"
  }

  variables {
    subnet_id = "subnet-0123"
  }

  override_data {
    target = data.aws_subnet.given[0]
    values = { id = "subnet-0123", vpc_id = "vpc-0123" }
  }

  assert {
    condition     = aws_instance.training.subnet_id == "subnet-0123" && aws_security_group.training[0].vpc_id == "vpc-0123"
    error_message = "A given subnet must be used, with its own VPC."
  }
}

run "refuses_other_families" {
  command = plan

  module {
    source = "./modules/ec2_training"
  }

  variables {
    instance_type = "m5.xlarge"
  }

  expect_failures = [var.instance_type]
}

run "refuses_the_first_generation" {
  command = plan

  module {
    source = "./modules/ec2_training"
  }

  variables {
    instance_type = "c1.xlarge"
  }

  expect_failures = [var.instance_type]
}

run "the_smallest_disk" {
  command = plan

  module {
    source = "./modules/ec2_training"
  }

  variables {
    volume_gb = 20
  }

  assert {
    condition     = aws_instance.training.root_block_device[0].volume_size == 20
    error_message = "A disk that holds the system, PyTorch without CUDA and runs twice must be enough."
  }
}

run "refuses_a_disk_too_small" {
  command = plan

  module {
    source = "./modules/ec2_training"
  }

  variables {
    volume_gb = 19
  }

  expect_failures = [var.volume_gb]
}

run "refuses_never_to_stop" {
  command = plan

  module {
    source = "./modules/ec2_training"
  }

  variables {
    idle_minutes = 0
  }

  expect_failures = [var.idle_minutes]
}

run "refuses_a_type_that_no_zone_offers" {
  command = plan

  module {
    source = "./modules/ec2_training"
  }

  override_data {
    target = data.aws_subnets.candidates[0]
    values = { ids = [] }
  }

  expect_failures = [data.aws_subnets.candidates]
}

run "names_the_setting_when_there_is_no_default_vpc" {
  command = plan

  module {
    source = "./modules/ec2_training"
  }

  override_data {
    target = data.aws_vpcs.default[0]
    values = { ids = [] }
  }

  expect_failures = [data.aws_vpcs.default]
}

run "in_a_given_network" {
  command = plan

  module {
    source = "./modules/ec2_training"
  }

  variables {
    network     = { subnet_ids = ["subnet-0c", "subnet-0d"], security_group_ids = ["sg-0a"] }
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c"
  }

  assert {
    condition     = length(aws_security_group.training) == 0 && aws_instance.training.vpc_security_group_ids == toset(["sg-0a"])
    error_message = "In a given network the instance must use its group, and none of its own."
  }

  assert {
    condition     = [for each in data.aws_subnets.candidates[0].filter : each.values if each.name == "subnet-id"] == [toset(["subnet-0c", "subnet-0d"])]
    error_message = "The instance must be in one of the given subnets."
  }

  assert {
    condition     = aws_instance.training.root_block_device[0].kms_key_id == "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c"
    error_message = "A given KMS key must encrypt the disk."
  }

  assert {
    condition     = aws_cloudwatch_log_group.training.kms_key_id == "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c"
    error_message = "A given KMS key must encrypt the log group."
  }
}

run "refuses_a_subnet_outside_of_the_network" {
  command = plan

  module {
    source = "./modules/ec2_training"
  }

  variables {
    subnet_id = "subnet-0123"
    network   = { subnet_ids = ["subnet-0c"], security_group_ids = ["sg-0a"] }
  }

  expect_failures = [data.aws_subnet.given]
}
