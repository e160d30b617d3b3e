# "repository:tag" names one of AWS's Deep Learning Containers in this region; a name with a slash is a full URI.
locals {
  deep_learning_containers = "${var.deep_learning_containers_account}.dkr.ecr.${var.region}.${data.aws_partition.current.dns_suffix}"

  images = {
    for use, image in { training = var.training.image, endpoint = var.endpoint.image } :
    use => strcontains(image, "/") ? image : "${local.deep_learning_containers}/${image}"
  }
}
