# The versions in the group are not in Terraform: `make promote` writes one for each model that it promotes.
resource "aws_sagemaker_model_package_group" "models" {
  count = var.registry ? 1 : 0

  model_package_group_name        = var.name
  model_package_group_description = "The promoted models of ${var.name}, with their metrics."
}
