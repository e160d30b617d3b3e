variable "name" {
  description = "The name of the deployment."
  type        = string
}

variable "account" {
  description = "The account, partition and region of the stack."
  type        = object({ id = string, partition = string, region = string })
}

variable "artifacts" {
  description = "The artifacts bucket: its name, its ARN, and the policy statements for its KMS key, if it has one."
  type = object({
    bucket         = string
    arn            = string
    key_statements = list(object({ Sid = string, Effect = string, Action = list(string), Resource = string }))
  })
}

variable "payload_key" {
  description = "The key of the instance's payload in the artifacts bucket. The first boot fetches it."
  type        = string
}

variable "instance_type" {
  description = "The type of the instance: compute-optimised, of the third generation or later."
  type        = string

  validation {
    condition     = can(regex("^c([3-9]|[1-9][0-9])[a-z-]*\\.[a-z0-9-]+$", var.instance_type))
    error_message = "The training instance must be compute-optimised: a type of the c family, for example c7i.xlarge, or c3.xlarge of the previous generation. Training on the CPU is limited by its cores, and other families bill for memory or burst credits that training does not use."
  }
}

variable "volume_gb" {
  description = "The size of the root volume in GB: the system, the packages, some runs, and as much again for images."
  type        = number

  validation {
    condition     = var.volume_gb >= local.smallest_disk
    error_message = "The root volume of a ${var.instance_type} must have at least ${local.smallest_disk} GB: ${local.system_gb} for the system, ${local.packages_gb} for the training packages (PyTorch without CUDA, for a type without a GPU), ${local.runs_gb} for runs, and as much again for the images of datasets. Set ec2.volume_gb."
  }
}

variable "subnet_id" {
  description = "The subnet of the instance, which must reach the internet. Null uses a default subnet in a zone that offers the type."
  type        = string
  nullable    = true
}

variable "network" {
  description = "The subnets and security groups of the instance. Null uses the default VPC, or the VPC of subnet_id, with a group of its own."
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
  default     = null
}

variable "packages" {
  description = "The system packages that the first boot installs."
  type        = list(string)
}

variable "python" {
  description = "The Python interpreter that prepares the payload."
  type        = string
}

variable "idle_minutes" {
  description = "The minutes without training after which the instance stops itself."
  type        = number

  validation {
    condition     = var.idle_minutes >= 1 && floor(var.idle_minutes) == var.idle_minutes
    error_message = "The idle time must be a whole number of at least 1 minute, because `shutdown` counts in minutes."
  }
}

variable "log_retention_days" {
  description = "The days that the log lines of commands are kept."
  type        = number
}

variable "kms_key_arn" {
  description = "The KMS key that encrypts the instance's disk and the log group. Null uses keys of AWS."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "The ARN of the policy that limits every role of the module. Null sets no limit."
  type        = string
  default     = null
}
