locals {
  # Where jobs run: empty lists in SageMaker's own network.
  training_network = {
    subnet_ids         = var.network == null ? [] : module.network[0].training.subnet_ids
    security_group_ids = var.network == null ? [] : module.network[0].training.security_group_ids
  }
}

module "sagemaker_training" {
  source = "./modules/sagemaker_training"

  name      = var.name
  account   = local.account
  artifacts = module.artifacts.access
  # It also has the endpoint's image, because the notebook may use this role for a trial endpoint.
  images          = values(local.images)
  trial_endpoints = "${var.name}-notebook-" # the name in module.notebook, which depends on this role

  network              = var.network == null ? null : module.network[0].training
  kms_key_arn          = var.kms_key_arn
  permissions_boundary = var.permissions_boundary
}

module "notebook" {
  source = "./modules/notebook"

  name              = var.name
  account           = local.account
  artifacts         = module.artifacts.access
  payload_key       = module.artifacts.keys.notebook
  training_role_arn = module.sagemaker_training.role_arn
  instance_type     = var.notebook.instance_type
  volume_gb         = var.notebook.volume_gb
  platform          = var.notebook.platform
  idle_minutes      = var.notebook.idle_minutes

  network              = var.network == null ? null : module.network[0].parts
  kms_key_arn          = var.kms_key_arn
  permissions_boundary = var.permissions_boundary

  deployment = {
    name                   = var.name
    region                 = var.region
    artifacts_bucket       = module.artifacts.bucket
    training_role_arn      = module.sagemaker_training.role_arn
    training_image         = local.images.training
    training_instance_type = var.training.instance_type
    serving_image          = local.images.endpoint
    serving_environment    = merge({}, module.endpoint[*].container_environment...)
    serving_instance_type  = var.endpoint.instance_type
    endpoint_name          = local.endpoint_name
    endpoint_variant       = one(module.endpoint[*].variant)
    # Of the jobs and the trial endpoints that the notebook starts.
    subnet_ids         = local.training_network.subnet_ids
    security_group_ids = local.training_network.security_group_ids
    kms_key_arn        = var.kms_key_arn
    volume_kms_key_arn = local.training_volume_key
  }
}

module "ec2_training" {
  source = "./modules/ec2_training"

  name               = var.name
  account            = local.account
  artifacts          = module.artifacts.access
  payload_key        = module.artifacts.keys.ec2
  instance_type      = var.ec2.instance_type
  volume_gb          = var.ec2.volume_gb
  subnet_id          = var.ec2.subnet_id
  packages           = var.ec2.packages
  python             = var.ec2.python
  idle_minutes       = var.ec2.idle_minutes
  log_retention_days = var.log_retention_days

  network              = var.network == null ? null : module.network[0].parts
  kms_key_arn          = var.kms_key_arn
  permissions_boundary = var.permissions_boundary
}
