module "batch" {
  source = "./modules/batch"

  name        = var.name
  account     = local.account
  artifacts   = module.artifacts.access
  model       = { for name in ["model_data_url", "sha256"] : name => local.releases.models[local.releases.current][name] }
  image       = local.images.endpoint
  environment = merge({}, module.endpoint[*].container_environment...)

  network              = var.network == null ? null : module.network[0].parts
  kms_key_arn          = var.kms_key_arn
  permissions_boundary = var.permissions_boundary
}
