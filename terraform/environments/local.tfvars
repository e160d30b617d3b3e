# The rehearsal: the same stack on the local AWS. Its account is invented, so these values cannot be applied elsewhere.
region              = "us-east-1"
allowed_account_ids = ["123456789012"]
s3_use_path_style   = true

artifacts = {
  force_destroy = false # `make destroy` empties the bucket, after it has asked
}

# A notebook on this machine costs nothing. The idle watch would need a systemd timer of Amazon Linux.
notebook = {
  idle_minutes = 0
}

# The instance uses the project's interpreter and packages, so there is nothing to install.
ec2 = {
  packages = []
  python   = "python3"
}

# The rehearsal does not watch new instances after an update, so no alarm can roll the update back.
accept = ["rollback-alarm"]

endpoint = {
  deployment = {
    shift               = "all-at-once" # the rehearsal does not need to wait; with ENV=aws it is a canary
    bake_seconds        = 0
    termination_seconds = 0
  }
}

predictor = {
  reserved    = 10
  provisioned = 1
}
