# Nothing here tells the rehearsal from AWS but the account: the endpoint comes from AWS_ENDPOINT_URL, the credentials
# from the environment, and an account that is not on the list is refused before anything is read or changed.
provider "aws" {
  region              = var.region
  allowed_account_ids = var.allowed_account_ids
  s3_use_path_style   = var.s3_use_path_style

  default_tags {
    tags = merge({ Project = var.name, ManagedBy = "terraform" }, var.tags)
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  # Where the stack stands; the modules build ARNs from it.
  account = {
    id        = data.aws_caller_identity.current.account_id
    partition = data.aws_partition.current.partition
    region    = var.region
  }
}
