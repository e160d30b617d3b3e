# A URL for a SageMaker endpoint that exists already: the module `predictor` alone.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }
}

provider "aws" {
  region = var.region
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account = {
    id        = data.aws_caller_identity.current.account_id
    partition = data.aws_partition.current.partition
    region    = var.region
  }
}

module "predictor" {
  source = "../../modules/predictor"

  name    = var.name
  account = local.account
  endpoint = {
    name = var.endpoint_name
    arn  = "arn:${local.account.partition}:sagemaker:${var.region}:${local.account.id}:endpoint/${var.endpoint_name}"
  }

  package         = var.package
  architecture    = "arm64"
  memory_mb       = 1024
  timeout_seconds = 30

  # At most ten concurrent executions, and no warm environment that costs money without requests.
  reserved    = 10
  provisioned = 0
  scaling     = null

  # Only signed requests of this account, and only images from public https addresses.
  auth_type          = "AWS_IAM"
  allowed_origins    = []
  url_allow_http     = false
  url_allow_networks = []

  log_level          = "INFO"
  log_retention_days = 30
}
