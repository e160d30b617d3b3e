locals {
  # Until a model is promoted, the endpoint serves the bootstrap model of this build. A release named bootstrap always
  # means this model, so a rollback to it does not need an object of an older build.
  bootstrap_release = { bootstrap = { model_data_url = module.artifacts.urls.bootstrap, sha256 = null } }

  releases = var.releases == null ? {
    current = "bootstrap"
    models  = { bootstrap = merge({ initial_instance_count = null }, local.bootstrap_release.bootstrap) }
    } : {
    current = var.releases.current
    models  = { for release, model in var.releases.models : release => merge(model, lookup(local.bootstrap_release, release, {})) }
  }
}

module "endpoint" {
  source = "./modules/endpoint"

  name                   = var.name
  account                = local.account
  artifacts              = module.artifacts.access
  releases               = local.releases
  asleep                 = var.asleep
  image                  = local.images.endpoint
  instance_type          = var.endpoint.instance_type
  gpu                    = local.gpu.endpoint
  initial_instance_count = var.endpoint.initial_instance_count
  startup_seconds        = var.endpoint.startup_seconds
  deployment             = var.endpoint.deployment
  scaling                = var.endpoint.scaling
  log_retention_days     = var.log_retention_days

  network              = var.network == null ? null : module.network[0].parts
  kms_key_arn          = var.kms_key_arn
  permissions_boundary = var.permissions_boundary
}

module "predictor" {
  source = "./modules/predictor"

  name    = var.name
  account = local.account
  # module.endpoint returns both when the endpoint is in service, so a new function URL answers immediately.
  endpoint           = { name = module.endpoint.name, arn = module.endpoint.arn }
  package            = "${var.build_dir}/${local.manifest.lambda.file}"
  architecture       = var.predictor.architecture
  memory_mb          = var.predictor.memory_mb
  timeout_seconds    = var.predictor.timeout_seconds
  reserved           = var.predictor.reserved
  provisioned        = var.asleep ? 0 : var.predictor.provisioned
  scaling            = var.asleep ? null : var.predictor.scaling
  auth_type          = var.predictor.auth_type
  allowed_origins    = var.predictor.allowed_origins
  url_allow_http     = var.predictor.url_allow_http
  url_allow_networks = var.predictor.url_allow_networks
  log_level          = var.predictor.log_level
  log_retention_days = var.log_retention_days

  network              = var.network == null ? null : module.network[0].function
  kms_key_arn          = var.kms_key_arn
  permissions_boundary = var.permissions_boundary
}
