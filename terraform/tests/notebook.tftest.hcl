# The notebook: small, without root, stopping itself, and unable to touch what Terraform made.

mock_provider "aws" {}

variables {
  name              = "pawprint"
  account           = { id = "123456789012", partition = "aws", region = "eu-west-1" }
  artifacts         = { bucket = "the-bucket", arn = "arn:aws:s3:::the-bucket", key_statements = [] }
  payload_key       = "payloads/notebook/0123456789abcdef.tar.gz"
  training_role_arn = "arn:aws:iam::123456789012:role/pawprint-training"
  deployment = {
    name                   = "pawprint"
    region                 = "eu-west-1"
    artifacts_bucket       = "the-bucket"
    training_role_arn      = "arn:aws:iam::123456789012:role/pawprint-training"
    training_image         = "the-training-image"
    training_instance_type = "ml.m5.xlarge"
    serving_image          = "the-serving-image"
    serving_environment    = { RAYSERVE_BACKEND_URL = "http://127.0.0.1:9000" }
    serving_instance_type  = "ml.m5.large"
    endpoint_name          = "pawprint"
    endpoint_variant       = "primary"
  }
  instance_type = "ml.t3.medium"
  volume_gb     = 5
  platform      = null
  idle_minutes  = 45
}

run "instance" {
  command = plan

  module {
    source = "./modules/notebook"
  }

  assert {
    condition     = aws_sagemaker_notebook_instance.notebook.instance_type == "ml.t3.medium" && aws_sagemaker_notebook_instance.notebook.volume_size == 5
    error_message = "The notebook must be of the size that was asked for."
  }

  assert {
    condition     = aws_sagemaker_notebook_instance.notebook.root_access == "Disabled"
    error_message = "The notebook's user must not have root."
  }

  assert {
    condition     = aws_sagemaker_notebook_instance.notebook.instance_metadata_service_configuration[0].minimum_instance_metadata_service_version == "2"
    error_message = "The notebook must require IMDSv2."
  }

  assert {
    condition     = strcontains(base64decode(aws_sagemaker_notebook_instance_lifecycle_configuration.notebook.on_start), "s3://the-bucket/payloads/notebook/0123456789abcdef.tar.gz") && strcontains(base64decode(aws_sagemaker_notebook_instance_lifecycle_configuration.notebook.on_start), "/pawprint-0123456789abcdef\"")
    error_message = "Each start must bring the notebook payload of this build."
  }

  assert {
    condition     = strcontains(base64decode(aws_sagemaker_notebook_instance_lifecycle_configuration.notebook.on_start), "stop_when_idle.py 'pawprint-notebook' 'eu-west-1' '45'")
    error_message = "Each start must set the watch that stops the idle notebook."
  }

  assert {
    condition     = length(aws_sagemaker_notebook_instance_lifecycle_configuration.notebook.on_start) <= 16384
    error_message = "SageMaker takes at most 16384 characters of lifecycle script."
  }
}

run "role" {
  command = plan

  module {
    source = "./modules/notebook"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.notebook.policy).Statement :
      [statement.Resource, statement.Condition.StringEquals["iam:PassedToService"]] if contains(flatten([statement.Action]), "iam:PassRole")
    ] == [["arn:aws:iam::123456789012:role/pawprint-training", "sagemaker.amazonaws.com"]]
    error_message = "The notebook may pass on the training role only, and to SageMaker only."
  }

  assert {
    condition = alltrue([for resource in flatten([for statement in jsondecode(aws_iam_role_policy.notebook.policy).Statement :
      statement.Resource if contains(flatten([statement.Action]), "sagemaker:CreateTrainingJob")
    ]) : strcontains(resource, "/pawprint-")])
    error_message = "The notebook may run jobs of this deployment only."
  }

  assert {
    condition = alltrue([for resource in flatten([for statement in jsondecode(aws_iam_role_policy.notebook.policy).Statement :
      statement.Resource if contains(flatten([statement.Action]), "sagemaker:UpdateEndpointWeightsAndCapacities")
    ]) : strcontains(resource, "/pawprint-notebook-")])
    error_message = "The notebook must not be able to change the live endpoint, its models or its configurations."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.notebook.policy, "s3:Delete") && !strcontains(aws_iam_role_policy.notebook.policy, "s3:Put")
    error_message = "The notebook must not be able to delete or overwrite data, code or models."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.notebook.policy).Statement :
      statement.Sid if contains(flatten([statement.Resource]), "*")
    ] == ["SeeHowEndpointsScale"]
    error_message = "Only what AWS cannot bind to a resource may be granted on all of them."
  }

  assert {
    condition = !anytrue(flatten([for statement in jsondecode(aws_iam_role_policy.notebook.policy).Statement :
      [for action in flatten([statement.Action]) : strcontains(action, "*")]
    ]))
    error_message = "Actions must be listed one by one."
  }
}

run "given_platform" {
  command = plan

  module {
    source = "./modules/notebook"
  }

  variables {
    platform = "notebook-al2-v3"
  }

  assert {
    condition     = aws_sagemaker_notebook_instance.notebook.platform_identifier == "notebook-al2-v3"
    error_message = "A given platform must be taken."
  }
}

run "never_stops_itself_where_told_so" {
  command = plan

  module {
    source = "./modules/notebook"
  }

  variables {
    idle_minutes = 0
  }

  assert {
    condition     = !strcontains(base64decode(aws_sagemaker_notebook_instance_lifecycle_configuration.notebook.on_start), "systemd-run")
    error_message = "With 0 idle minutes nothing may watch for idleness."
  }
}

run "refuses_an_instance_type_of_ec2" {
  command = plan

  module {
    source = "./modules/notebook"
  }

  variables {
    instance_type = "t3.medium"
  }

  expect_failures = [var.instance_type]
}

run "refuses_a_volume_below_the_smallest" {
  command = plan

  module {
    source = "./modules/notebook"
  }

  variables {
    volume_gb = 4
  }

  expect_failures = [var.volume_gb]
}

run "refuses_to_stop_while_it_starts" {
  command = plan

  module {
    source = "./modules/notebook"
  }

  variables {
    idle_minutes = 5
  }

  expect_failures = [var.idle_minutes]
}

run "in_a_given_network_with_a_kms_key" {
  command = plan

  module {
    source = "./modules/notebook"
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
    condition     = aws_sagemaker_notebook_instance.notebook.subnet_id == "subnet-0a" && aws_sagemaker_notebook_instance.notebook.security_groups == toset(["sg-0a"])
    error_message = "The notebook must be in a given subnet."
  }

  assert {
    condition     = aws_sagemaker_notebook_instance.notebook.direct_internet_access == "Disabled"
    error_message = "The notebook must have no way around the network."
  }

  assert {
    condition     = aws_sagemaker_notebook_instance.notebook.kms_key_id == "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c"
    error_message = "A given KMS key must encrypt the volume."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.notebook.policy).Statement : [statement.Resource, statement.Condition.Bool["kms:GrantIsForAWSResource"]] if statement.Action == "kms:CreateGrant"] == [["arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c", "true"]]
    error_message = "The role may let AWS use the key for volumes, and nobody else."
  }

  assert {
    condition     = aws_iam_role.notebook.permissions_boundary == "arn:aws:iam::123456789012:policy/limit"
    error_message = "The boundary must limit the role."
  }

  assert {
    condition     = contains([for statement in jsondecode(aws_iam_role_policy.notebook.policy).Statement : statement.Sid], "ConnectToTheSubnets")
    error_message = "The role must be able to connect to the subnets."
  }
}
