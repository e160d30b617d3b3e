# A compute-optimised instance for multi-thread training. Its user data prepares it once. Only SSM commands can reach
# it. It stops itself, and a stopped instance costs its disk only.

locals {
  # Graviton types have a g after the generation: c7g, c8gd, c7gn.
  architecture = can(regex("^c[0-9]+g", var.instance_type)) ? "arm64" : "x86_64"

  # Everything in the user data except the payload's key. `make train-ec2` fetches the current payload itself, so a new
  # payload does not replace an instance that was prepared in the same way.
  recipe = {
    idle_minutes = var.idle_minutes
    prepare = templatefile("${path.module}/prepare.sh.tftpl", {
      bucket     = var.artifacts.bucket
      region     = var.account.region
      packages   = var.packages
      python     = var.python
      boto3_lock = trimspace(file("${path.module}/../../../payloads/ec2/boto3.lock"))
      retry      = file("${path.module}/../../../payloads/ec2/retry.sh") # the payload that it fetches has the same file
    })
  }

  # GB on the root volume. Housekeeping gives half of it to the cache of images, so it must hold twice all other data.
  # Packages as installed from requirements.txt, measured on x86_64 on 2026-11-25, with the wheels that pip keeps: 1.1 +
  # 0.5 without CUDA, 5.0 + 3 with it. No type of the c family has a GPU, so bootstrap.sh never installs CUDA here.
  system_gb     = 3 # Amazon Linux 2023 with Python, logs and room for updates
  packages_gb   = 2
  runs_gb       = 5 # archives of a week, checkpoints of a month, the features of the current run
  smallest_disk = 2 * (local.system_gb + local.packages_gb + local.runs_gb)
}

# AWS's pointer to the newest Amazon Linux 2023. Its kernel has the drivers of Nitro (ENA, NVMe) and of the Xen
# hosts of c3 (ixgbevf, blkfront), and it boots from BIOS as well as UEFI, so one image serves every type of the family.
data "aws_ssm_parameter" "ami" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${local.architecture}"
}

resource "terraform_data" "recipe" {
  input = sha256(templatefile("${path.module}/user_data.sh.tftpl", merge(local.recipe, { payload_key = "" })))
}

resource "aws_instance" "training" {
  # checkov:skip=CKV_AWS_135: every type from the fourth generation on is EBS-optimised anyway; the others refuse it or charge for it
  # checkov:skip=CKV_AWS_126: metrics per minute cost money, and nothing here reads them
  # tf-nag AwsSolutions-EC28: the same. AwsSolutions-EC29: nothing is lost with the instance, and a destroy must end it.
  ami                    = data.aws_ssm_parameter.ami.insecure_value # public, so the plan may show it
  instance_type          = var.instance_type
  subnet_id              = local.subnet_id
  vpc_security_group_ids = local.security_group_ids
  iam_instance_profile   = aws_iam_instance_profile.training.name
  user_data              = templatefile("${path.module}/user_data.sh.tftpl", merge(local.recipe, { payload_key = var.payload_key }))

  # A `shutdown` on the instance must keep the disk and everything that was prepared on it.
  instance_initiated_shutdown_behavior = "stop"

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required" # IMDSv2
    http_put_response_hop_limit = 1          # not for a container or a proxy on the instance
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = var.volume_gb
    encrypted   = true
    kms_key_id  = var.kms_key_arn
  }

  tags = { Name = "${var.name}-training" }

  lifecycle {
    # AWS moves the pointer every few weeks, and the payload's key changes with the code. Neither must replace the
    # instance.
    ignore_changes       = [ami, user_data]
    replace_triggered_by = [terraform_data.recipe]
  }

  # The first boot begins immediately, so its permissions must exist before.
  depends_on = [aws_iam_role_policy.training, aws_vpc_security_group_egress_rule.https]
}

# The SSM agent writes the output of commands here while they run.
resource "aws_cloudwatch_log_group" "training" {
  # checkov:skip=CKV_AWS_338: log_retention_days decides; keeping lines costs money
  name              = "/${var.name}/ec2-training"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}
