# A small notebook instance for training jobs. It has no root access and stops itself. Each start fetches the notebooks
# of the current build. It never overwrites the user's own files.

locals {
  # Known before the instance exists, so that the role can name it.
  notebook = "${var.name}-notebook"
}

resource "aws_sagemaker_notebook_instance" "notebook" {
  name                  = local.notebook
  role_arn              = aws_iam_role.notebook.arn
  instance_type         = var.instance_type
  volume_size           = var.volume_gb
  platform_identifier   = var.platform # null uses AWS's newest; provider 5.100 knows only platforms that AWS has retired
  lifecycle_config_name = aws_sagemaker_notebook_instance_lifecycle_configuration.notebook.name
  root_access           = "Disabled"
  kms_key_id            = var.kms_key_arn

  # With a network, all traffic goes through the subnet.
  subnet_id              = try(var.network.subnet_ids[0], null)
  security_groups        = try(var.network.security_group_ids, null)
  direct_internet_access = var.network == null ? null : "Disabled"

  instance_metadata_service_configuration {
    minimum_instance_metadata_service_version = "2"
  }

  # The instance starts immediately and fetches its payload with the role.
  depends_on = [aws_iam_role_policy.notebook]
}

resource "aws_sagemaker_notebook_instance_lifecycle_configuration" "notebook" {
  name = local.notebook

  # SageMaker runs it at every start, as root, for at most five minutes.
  on_start = base64encode(templatefile("${path.module}/on_start.sh.tftpl", {
    name           = var.name
    notebook       = local.notebook
    region         = var.account.region
    payload        = { bucket = var.artifacts.bucket, key = var.payload_key }
    build          = trimsuffix(basename(var.payload_key), ".tar.gz")
    deployment     = jsonencode(var.deployment)
    idle_minutes   = var.idle_minutes
    stop_when_idle = file("${path.module}/stop_when_idle.py")
  }))
}
