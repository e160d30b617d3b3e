# Without `network`, every part uses AWS's own network, and the training instance the default VPC.
module "network" {
  source = "./modules/network"
  count  = var.network == null ? 0 : 1

  name                = var.name
  account             = local.account
  vpc_id              = var.network.vpc_id
  subnet_ids          = var.network.subnet_ids
  internet            = var.network.internet
  interface_endpoints = var.network.interface_endpoints
  s3_endpoint         = var.network.s3_endpoint
}

locals {
  # A job on a type with local disks may not name a key for its volumes: its hardware encrypts them (SageMaker's API,
  # ResourceConfig.VolumeKmsKeyId).
  local_disks         = can(regex("^ml\\.([a-z]+[0-9]+[a-z]*d[a-z]*|p[4-6][a-z0-9-]*|g[5-7][a-z]*|trn[12][a-z]*)\\.", var.training.instance_type))
  training_volume_key = local.local_disks ? null : var.kms_key_arn
}
