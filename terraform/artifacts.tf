module "artifacts" {
  source = "./modules/artifacts"

  name          = var.name
  account       = local.account
  kms_key_arn   = var.kms_key_arn
  force_destroy = var.artifacts.force_destroy
  expiry_days   = merge(var.artifacts.expiry_days, { captures = try(var.predictor.capture.days, 30) })
  uploads       = local.uploads
  access_logs   = var.artifacts.access_logs
}
