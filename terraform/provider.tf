# Only the account differs between the rehearsal and AWS. The endpoint comes from AWS_ENDPOINT_URL, and the credentials
# come from the environment. The provider refuses an account that is not in the list before it reads or changes
# anything.
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
  # The location of the stack. The modules build ARNs from it.
  account = {
    id        = data.aws_caller_identity.current.account_id
    partition = data.aws_partition.current.partition
    region    = var.region
  }
}
