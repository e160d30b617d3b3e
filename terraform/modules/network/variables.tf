variable "name" {
  description = "The name of the deployment. The names of the security groups begin with it."
  type        = string
}

variable "account" {
  description = "The account, partition and region of the stack."
  type        = object({ id = string, partition = string, region = string })
}

variable "vpc_id" {
  description = "The VPC of the stack. It must resolve private DNS names."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-f]+$", var.vpc_id))
    error_message = "The VPC must be given by its identifier, for example vpc-0a1b2c3d. Set network.vpc_id."
  }
}

variable "subnet_ids" {
  description = "The subnets that the parts of the stack are placed in."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0 && alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "The subnets must be given by their identifiers, at least one, for example [\"subnet-0a1b2c3d\"]. Set network.subnet_ids."
  }
}

variable "internet" {
  description = "Whether the parts may open HTTPS connections to all addresses. Otherwise they reach the VPC and S3 only."
  type        = bool
}

variable "interface_endpoints" {
  description = "The services that get an interface endpoint in the subnets. Null creates those that the stack needs. An empty list creates none, for a VPC that has them."
  type        = list(string)
  nullable    = true
}

variable "s3_endpoint" {
  description = "Whether the subnets get a gateway endpoint for S3. AWS refuses a second one in the same route table."
  type        = bool
}
