# The roles of the workflow: one repository, pull requests read, and only the protected environment applies.

mock_provider "aws" {
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
  }
}

variables {
  name                 = "pawprint"
  account              = { id = "123456789012", partition = "aws", region = "eu-west-1" }
  repository           = "example/pets"
  environment          = "aws"
  oidc_provider_arn    = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
  permissions_boundary = "arn:aws:iam::123456789012:policy/limit"
  state                = { bucket = "the-state", key = "aws/terraform.tfstate" }
  deployer_policies = {
    stack   = "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:GetBucketPolicy\",\"s3:PutBucketPolicy\"],\"Resource\":[\"*\"]},{\"Effect\":\"Allow\",\"Action\":[\"iam:PassRole\"],\"Resource\":[\"*\"]}]}"
    options = "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"ec2:CreateVpcEndpoint\",\"ec2:DescribeVpcEndpoints\"],\"Resource\":[\"*\"]}]}"
  }
}

run "roles" {
  command = plan

  module {
    source = "./modules/ci"
  }

  assert {
    condition = { for kind, role in aws_iam_role.ci : kind => jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] } == {
      plan  = "repo:example/pets:pull_request"
      apply = "repo:example/pets:environment:aws"
    }
    error_message = "Only this repository may take the roles, and only its protected environment may apply."
  }

  assert {
    condition     = alltrue([for role in aws_iam_role.ci : jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"])
    error_message = "A token for another service must not be accepted."
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(aws_iam_role_policy.plan.policy).Statement : statement.Action if try(statement.Sid, "") != "LockTheState"])) == toset([
      "s3:GetBucketPolicy", "ec2:DescribeVpcEndpoints", "s3:GetObject", "s3:ListBucket"
    ])
    error_message = "A pull request may only read."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.plan.policy).Statement : statement.Resource if try(statement.Sid, "") == "LockTheState"] == [["arn:aws:s3:::the-state/aws/terraform.tfstate.tflock"]]
    error_message = "A pull request may write the lock, and not the state."
  }

  assert {
    condition     = alltrue([for role in aws_iam_role.ci : role.permissions_boundary == "arn:aws:iam::123456789012:policy/limit"])
    error_message = "The boundary must limit both roles."
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0
    error_message = "A provider that exists must not be created."
  }
}

run "creates_the_provider" {
  command = plan

  module {
    source = "./modules/ci"
  }

  variables {
    oidc_provider_arn = null
  }

  assert {
    condition     = aws_iam_openid_connect_provider.github[0].url == "https://token.actions.githubusercontent.com"
    error_message = "GitHub's provider must be created."
  }
}

run "refuses_every_repository_of_an_owner" {
  command = plan

  module {
    source = "./modules/ci"
  }

  variables {
    repository = "example/*"
  }

  expect_failures = [var.repository]
}
