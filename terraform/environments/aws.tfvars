# Real AWS. Set allowed_account_ids to your account, and it cannot be applied to another by mistake:
# allowed_account_ids = ["..."]
region = "us-east-1"

artifacts = {
  force_destroy = true # `make destroy` leaves nothing behind; it asks before it begins
}

endpoint = {
  image         = "ray:serve-ml-sagemaker-cpu-v1"
  instance_type = "ml.m5.large"
  scaling = {
    min_instances = 1
    max_instances = 2
  }
}

# A new account may run 10 functions at once, all of which must stay unreserved: reserve and provision once it may run more.
predictor = {
  reserved    = null
  provisioned = 0
}
