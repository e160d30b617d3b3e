# Without `ci`, nothing of it exists. A person applies it once; afterwards the workflow can.
module "ci" {
  source = "./modules/ci"
  count  = var.ci == null ? 0 : 1

  name                 = var.name
  account              = local.account
  repository           = var.ci.repository
  environment          = var.ci.environment
  oidc_provider_arn    = var.ci.oidc_provider_arn
  state                = { bucket = var.backend.bucket, key = "${var.ci.environment}/terraform.tfstate", kms_key_arn = var.backend.kms_key_arn }
  permissions_boundary = var.permissions_boundary

  # They are made for a stack with the default name (deploy/permissions.py).
  deployer_policies = {
    stack   = replace(file("${path.module}/deployer-policy.json"), "pawprint", var.name)
    options = replace(file("${path.module}/deployer-options-policy.json"), "pawprint", var.name)
  }
}
