# "repository:tag" names one of AWS's Deep Learning Containers in this region; a name with a slash is a full URI.
locals {
  deep_learning_containers = "${var.deep_learning_containers_account}.dkr.ecr.${var.region}.${data.aws_partition.current.dns_suffix}"

  # A GPU's image has CUDA, a processor's is smaller and starts sooner; the model's archive is the same in both.
  gpu_endpoint   = can(regex("^ml\\.[gp][0-9]", var.endpoint.instance_type))
  endpoint_image = coalesce(var.endpoint.image, local.gpu_endpoint ? "ray:serve-ml-sagemaker-cuda-v1" : "ray:serve-ml-sagemaker-cpu-v1")

  images = {
    for use, image in { training = var.training.image, endpoint = local.endpoint_image } :
    use => strcontains(image, "/") ? image : "${local.deep_learning_containers}/${image}"
  }
}
