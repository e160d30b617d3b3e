# The role of training jobs: what they read, what they write, and nothing else.

mock_provider "aws" {}

variables {
  name      = "pawprint"
  account   = { id = "123456789012", partition = "aws", region = "eu-west-1" }
  artifacts = { bucket = "the-bucket", arn = "arn:aws:s3:::the-bucket", key_statements = [] }
  images    = ["763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch:2.13.0-cpu-amzn2023-sagemaker"]

  trial_endpoints = "pawprint-notebook-"
}

run "role" {
  command = plan

  module {
    source = "./modules/sagemaker_training"
  }

  assert {
    condition     = jsondecode(aws_iam_role.training.assume_role_policy).Statement[0].Principal == { Service = "sagemaker.amazonaws.com" }
    error_message = "Only SageMaker may take the role."
  }

  assert {
    condition     = jsondecode(aws_iam_role.training.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "SageMaker may take the role only for this account."
  }

  assert {
    condition = flatten([for statement in jsondecode(aws_iam_role_policy.training.policy).Statement :
      statement.Resource if contains(flatten([statement.Action]), "s3:PutObject")
    ]) == ["arn:aws:s3:::the-bucket/models/*", "arn:aws:s3:::the-bucket/checkpoints/*"]
    error_message = "Jobs must be able to write models and checkpoints only."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.training.policy, "s3:Delete")
    error_message = "Jobs must not be able to delete anything."
  }

  assert {
    condition = flatten([for statement in jsondecode(aws_iam_role_policy.training.policy).Statement :
      statement.Resource if contains(flatten([statement.Action]), "ecr:BatchGetImage")
    ]) == ["arn:aws:ecr:eu-west-1:763104351884:repository/pytorch"]
    error_message = "Jobs must be able to pull the training image only."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.training.policy).Statement :
      statement.Sid if contains(flatten([statement.Resource]), "*")
    ] == ["LogInToTheRegistry", "WriteMetrics"]
    error_message = "Only what AWS cannot bind to a resource may be granted on all of them."
  }

  assert {
    condition = !anytrue(flatten([for statement in jsondecode(aws_iam_role_policy.training.policy).Statement :
      [for action in flatten([statement.Action]) : strcontains(action, "*")]
    ]))
    error_message = "Actions must be listed one by one."
  }

  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.training.policy).Statement : statement.Sid => statement.Resource
      if contains(flatten([statement.Action]), "logs:PutLogEvents")
      } == {
      WriteLogs                 = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/sagemaker/TrainingJobs:*"
      WriteLogsOfTrialEndpoints = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/sagemaker/Endpoints/pawprint-notebook-*"
    }
    error_message = "The role must write the logs of jobs and of the notebook's own endpoints, and no others."
  }

  # What the endpoint's role may do under the live endpoint's name, this one must under a trial endpoint's; and it must
  # make the group, which nobody has made.
  assert {
    condition = flatten([for statement in jsondecode(aws_iam_role_policy.training.policy).Statement :
      statement.Action if statement.Sid == "WriteLogsOfTrialEndpoints"
    ]) == ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    error_message = "A trial endpoint must be able to make its log group and to write to it."
  }

  assert {
    condition     = output.log_group == "/aws/sagemaker/TrainingJobs"
    error_message = "The log group must be the one that SageMaker writes to."
  }
}

run "role_with_kms_key" {
  command = plan

  module {
    source = "./modules/sagemaker_training"
  }

  variables {
    artifacts = {
      bucket         = "the-bucket"
      arn            = "arn:aws:s3:::the-bucket"
      key_statements = [{ Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt"], Resource = "arn:aws:kms:eu-west-1:123456789012:key/1" }]
    }
  }

  assert {
    condition     = contains([for statement in jsondecode(aws_iam_role_policy.training.policy).Statement : statement.Resource], "arn:aws:kms:eu-west-1:123456789012:key/1")
    error_message = "Jobs must be granted the key of the bucket."
  }
}

run "refuses_an_image_from_elsewhere" {
  command = plan

  module {
    source = "./modules/sagemaker_training"
  }

  variables {
    images = ["docker.io/pytorch/pytorch:latest"]
  }

  expect_failures = [var.images]
}

run "refuses_the_logs_of_the_live_endpoint" {
  command = plan

  module {
    source = "./modules/sagemaker_training"
  }

  variables {
    trial_endpoints = "pawprint"
  }

  expect_failures = [var.trial_endpoints]
}

run "in_a_given_network_with_a_kms_key" {
  command = plan

  module {
    source = "./modules/sagemaker_training"
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
    condition     = [for statement in jsondecode(aws_iam_role_policy.training.policy).Statement : [statement.Resource, statement.Condition.Bool["kms:GrantIsForAWSResource"]] if statement.Action == "kms:CreateGrant"] == [["arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c", "true"]]
    error_message = "The role may let AWS use the key for volumes, and nobody else."
  }

  assert {
    condition     = aws_iam_role.training.permissions_boundary == "arn:aws:iam::123456789012:policy/limit"
    error_message = "The boundary must limit the role."
  }

  assert {
    condition     = contains([for statement in jsondecode(aws_iam_role_policy.training.policy).Statement : statement.Sid], "ConnectToTheSubnets")
    error_message = "The role must be able to connect to the subnets."
  }
}
