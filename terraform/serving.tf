locals {
  in_function = var.endpoint.kind == "in-function"

  # For the notebook, which need not wait until the endpoint is in service.
  endpoint_name = { instances = var.name, serverless = "${var.name}-serverless", in-function = null }[var.endpoint.kind]

  # A model needs a processor with AVX-512 and more memory than a call does. A container of serverless inference may
  # have to start before it answers, for which SageMaker takes up to 60 seconds.
  function_defaults = {
    architecture    = local.in_function ? "x86_64" : "arm64"
    memory_mb       = local.in_function ? 2048 : 1024
    timeout_seconds = var.endpoint.kind == "serverless" ? 70 : 30
  }

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

# Stacks of older versions always had an endpoint. Without this, an apply would delete it and create another.
moved {
  from = module.endpoint
  to   = module.endpoint[0]
}

module "endpoint" {
  source = "./modules/endpoint"
  count  = var.endpoint.kind == "in-function" ? 0 : 1

  name                   = var.name
  account                = local.account
  artifacts              = module.artifacts.access
  releases               = local.releases
  asleep                 = var.asleep
  image                  = local.images.endpoint
  instance_type          = var.endpoint.instance_type
  serverless             = var.endpoint.kind == "serverless" ? var.endpoint.serverless : null
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
  endpoint = one([for endpoint in module.endpoint : { name = endpoint.name, arn = endpoint.arn }])
  own_model = local.in_function ? {
    releases = local.releases
    access   = module.artifacts.access
    package  = module.artifacts.keys["in-function"]
  } : null
  package            = local.in_function ? null : "${var.build_dir}/${local.manifest.lambda.file}"
  architecture       = coalesce(var.predictor.architecture, local.function_defaults.architecture)
  memory_mb          = coalesce(var.predictor.memory_mb, local.function_defaults.memory_mb)
  timeout_seconds    = coalesce(var.predictor.timeout_seconds, local.function_defaults.timeout_seconds)
  reserved           = var.predictor.reserved
  provisioned        = var.asleep ? 0 : var.predictor.provisioned
  scaling            = var.asleep ? null : var.predictor.scaling
  auth_type          = var.predictor.auth_type
  api_key_sha256     = var.api_key_sha256
  requests_a_minute  = var.predictor.requests_a_minute
  uploads            = var.predictor.uploads ? module.artifacts.access : null
  capture            = var.predictor.capture == null ? null : { percent = var.predictor.capture.percent, access = module.artifacts.access }
  allowed_origins    = var.predictor.allowed_origins
  url_allow_http     = var.predictor.url_allow_http
  url_allow_networks = var.predictor.url_allow_networks
  log_level          = var.predictor.log_level
  log_retention_days = var.log_retention_days

  network              = var.network == null ? null : module.network[0].function
  kms_key_arn          = var.kms_key_arn
  permissions_boundary = var.permissions_boundary
}
