# The rehearsal: the same stack on the AWS of this machine. Its account is invented, so these values apply nowhere else.
region              = "us-east-1"
allowed_account_ids = ["123456789012"]
s3_use_path_style   = true

artifacts = {
  force_destroy = true # `make destroy` leaves nothing behind
}

# A notebook on this machine costs nothing, and its watch is a timer of the instance's own system.
notebook = {
  idle_minutes = 0
}

# The interpreter of the project and its packages are already there: nothing to install.
ec2 = {
  packages = []
  python   = "python3"
}

endpoint = {
  deployment = {
    bake_seconds        = 0 # nobody is waiting for a bill here
    termination_seconds = 0
  }
}

predictor = {
  reserved    = 10
  provisioned = 1
}
