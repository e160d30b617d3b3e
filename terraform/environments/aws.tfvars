# AWS. Set allowed_account_ids to your account, so that these values cannot be applied to another account by mistake:
# allowed_account_ids = ["..."]
region = "us-east-1"

artifacts = {
  force_destroy = false # `make destroy` empties the bucket, after it has asked
}

endpoint = {
  instance_type = "ml.m5.large"
  scaling = {
    min_instances = 1
    max_instances = 2
  }
}

# AWS keeps 100 executions unreserved, and a new account may run only 10 at a time. `make plan` and `make apply` refuse
# these values then, before anything is created. Set reserved = null and provisioned = 0, or ask AWS for a higher quota.
predictor = {
  reserved    = 10
  provisioned = 1
}
