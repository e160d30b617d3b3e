# The notebook that drives training: small, without root, and it stops itself. Each start brings the project's notebooks
# of the current build; the user's own files are never written over.

locals {
  # Known before the instance is, so that its role can name it.
  notebook = "${var.name}-notebook"
}

resource "aws_sagemaker_notebook_instance" "notebook" {
  name                  = local.notebook
  role_arn              = aws_iam_role.notebook.arn
  instance_type         = var.instance_type
  volume_size           = var.volume_gb
  platform_identifier   = var.platform # null is AWS's newest; provider 5.100 knows only platforms that AWS has retired
  lifecycle_config_name = aws_sagemaker_notebook_instance_lifecycle_configuration.notebook.name
  root_access           = "Disabled"

  instance_metadata_service_configuration {
    minimum_instance_metadata_service_version = "2"
  }

  # It starts at once and fetches its payload under the role.
  depends_on = [aws_iam_role_policy.notebook]
}

resource "aws_sagemaker_notebook_instance_lifecycle_configuration" "notebook" {
  name = local.notebook

  # At every start, as root, within five minutes.
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
