# Reads an environment's values, so that the contracts of the stack hold for the very files that are applied.
terraform {
  required_providers {
    terraform = {
      source = "terraform.io/builtin/terraform"
    }
  }
}

variable "environment" {
  type = string
}

output "values" {
  value = provider::terraform::decode_tfvars(file("${path.module}/../../environments/${var.environment}.tfvars"))
}
