# AWS, with the limits of an account that was opened recently. `make plan ENV=aws` names what such an account does not
# allow. `make plan ENV=new-account REHEARSE=1` with LOCALAWS_ACCOUNT=new accepts these values.
#
# No training job runs there until AWS raises a quota. `make plan` says how to request it.
# allowed_account_ids = ["..."]
region = "us-east-1"

artifacts = {
  force_destroy = false # `make destroy` empties the bucket, after it has asked
}

# The one type that serves the model and has a quota: 2 instances, enough for an update. SageMaker does not scale it.
endpoint = {
  instance_type = "ml.t2.medium"
  scaling = {
    min_instances = 1
    max_instances = 1
  }
}

# Compute-optimised, and in the free plan.
ec2 = {
  instance_type = "c7i-flex.large"
}

# All of the account's 10 executions must stay unreserved.
predictor = {
  reserved    = null
  provisioned = 0
}
