# "repository:tag" names one of AWS's Deep Learning Containers in this region; a name with a slash is a full URI.
#
# images.json holds the default images, each with the last day of AWS's patches; tests/unit/test_images.py fails 60
# days before that. The tags are the most exact that AWS lists. AWS still moves them: it rebuilds each release with
# security patches twice a week. Only a digest (set it in training.image or endpoint.image) fixes every byte.
locals {
  default_images = jsondecode(file("${path.module}/images.json"))

  # SageMaker's types with an NVIDIA GPU are the g and p families (ml.g5, ml.p4d, ml.p6-b200). The image for a GPU has
  # CUDA. The image for CPUs is smaller and starts sooner. The code and the model's archive are the same in both.
  gpu = {
    for use, type in { training = var.training.instance_type, endpoint = var.endpoint.instance_type } :
    use => can(regex("^ml\\.[gp][0-9]", type))
  }

  named_images = {
    for use, given in { training = var.training.image, endpoint = var.endpoint.image } :
    use => coalesce(given, local.default_images[use][local.gpu[use] ? "gpu" : "cpu"].image)
  }

  registry_account = coalesce(var.deep_learning_containers_account, lookup(local.registry_accounts, var.region, "unknown"))
  registry         = "${local.registry_account}.dkr.ecr.${var.region}.${data.aws_partition.current.dns_suffix}"

  images = {
    for use, image in local.named_images :
    use => strcontains(image, "/") ? image : "${local.registry}/${image}"
  }

  # The account of the Deep Learning Containers by region, all 36 of the table in
  # https://github.com/aws/deep-learning-containers/blob/e0ecedea6a1c/docs/reference/region_availability.md
  # (2026-08-21). var.region refuses a region that is not here.
  registry_accounts = merge(
    {
      for region in [
        "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1",
        "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3",
        "ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
      ] : region => "763104351884"
    },
    {
      af-south-1     = "626614931356"
      ap-east-1      = "871362719292"
      ap-east-2      = "975050140332"
      ap-northeast-3 = "364406365360"
      ap-south-2     = "772153158452"
      ap-southeast-3 = "907027046896"
      ap-southeast-4 = "457447274322"
      ap-southeast-5 = "550225433462"
      ap-southeast-6 = "633930458069"
      ap-southeast-7 = "590183813437"
      ca-west-1      = "204538143572"
      cn-north-1     = "727897471807"
      cn-northwest-1 = "727897471807"
      eu-central-2   = "380420809688"
      eu-south-1     = "692866216735"
      eu-south-2     = "503227376785"
      il-central-1   = "780543022126"
      me-central-1   = "914824155844"
      me-south-1     = "217643126080"
      mx-central-1   = "637423239942"
    },
  )
}
