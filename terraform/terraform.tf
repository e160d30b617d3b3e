terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }

  # `terraform init` sets the path, one per environment: -backend-config=path=...
  backend "local" {}
}
