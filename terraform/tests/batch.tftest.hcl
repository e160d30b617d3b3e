# What batch transform jobs run, and what their role may do.

mock_provider "aws" {}

variables {
  name      = "pawprint"
  account   = { id = "123456789012", partition = "aws", region = "eu-west-1" }
  artifacts = { bucket = "the-bucket", arn = "arn:aws:s3:::the-bucket", key_statements = [] }
  model     = { model_data_url = "s3://the-bucket/releases/one/model.tar.gz", sha256 = "abc" }
  image     = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/ray:serve-ml-sagemaker-cpu-v1.4"
}

run "model_and_role" {
  command = plan

  module {
    source = "./modules/batch"
  }

  assert {
    condition     = aws_sagemaker_model.current.enable_network_isolation && aws_sagemaker_model.current.primary_container[0].environment.MODEL_SHA256 == "abc"
    error_message = "The containers must have no network and verify the model."
  }

  assert {
    condition = flatten([for statement in jsondecode(aws_iam_role_policy.batch.policy).Statement :
      statement.Resource if contains(flatten([statement.Action]), "s3:PutObject")
    ]) == ["arn:aws:s3:::the-bucket/batch/*"]
    error_message = "Jobs must be able to write answers only."
  }

  assert {
    condition = flatten([for statement in jsondecode(aws_iam_role_policy.batch.policy).Statement :
      statement.Resource if contains(flatten([statement.Action]), "s3:GetObject")
    ]) == [for key in ["releases/one/model.tar.gz", "batch/*", "datasets/*"] : "arn:aws:s3:::the-bucket/${key}"]
    error_message = "Jobs must be able to read their model and photographs only."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.batch.policy).Statement :
      statement.Sid if contains(flatten([statement.Resource]), "*")
    ] == ["LogInToTheRegistry", "WriteMetrics"]
    error_message = "Only what AWS cannot bind to a resource may be granted on all of them."
  }
}
