module "artifacts" {
  source = "./modules/artifacts"

  name          = var.name
  account       = local.account
  kms_key_arn   = var.kms_key_arn
  force_destroy = var.artifacts.force_destroy
  expiry_days   = var.artifacts.expiry_days
  uploads       = local.uploads
  access_logs   = var.artifacts.access_logs
}
