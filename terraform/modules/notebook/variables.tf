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
  description = "The key of the notebook payload in the artifacts bucket."
  type        = string
}

variable "training_role_arn" {
  description = "The role of the notebook's jobs, and the only role that the notebook may pass on."
  type        = string
}

variable "deployment" {
  description = "The values that the notebook needs from the deployment. They are in deployment.json, in the folder of the notebook."
  type = object({
    name                   = string
    region                 = string
    artifacts_bucket       = string
    training_role_arn      = string
    training_image         = string
    training_instance_type = string
    serving_image          = string
    serving_environment    = map(string)
    serving_instance_type  = string
    endpoint_name          = string
    endpoint_variant       = string
    subnet_ids             = optional(list(string), [])
    security_group_ids     = optional(list(string), [])
    kms_key_arn            = optional(string)
    volume_kms_key_arn     = optional(string)
  })
}

variable "instance_type" {
  description = "The type of the notebook instance."
  type        = string

  validation {
    condition     = startswith(var.instance_type, "ml.")
    error_message = "The notebook's instance type must be one of SageMaker's, which begin with \"ml.\", for example ml.t3.medium."
  }
}

variable "volume_gb" {
  description = "The size of the notebook's volume in GB."
  type        = number

  validation {
    condition     = var.volume_gb >= 5 && var.volume_gb <= 16384
    error_message = "The notebook's volume must have from 5 to 16384 GB: those are SageMaker's limits."
  }
}

variable "platform" {
  description = "The platform identifier of the notebook instance. Null uses AWS's default, the newest."
  type        = string
  nullable    = true
}

variable "idle_minutes" {
  description = "The minutes without a running kernel after which the instance stops itself. With 0 it never does."
  type        = number

  validation {
    condition     = var.idle_minutes == 0 || var.idle_minutes >= 10
    error_message = "The notebook must be allowed at least 10 idle minutes, because it takes about 5 to start. With 0 it never stops itself."
  }
}

variable "network" {
  description = "The subnets and security groups of the notebook, and the policy statements that its role needs there. The first subnet is used, without internet access of SageMaker. Null uses AWS's own network."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
    statements         = list(object({ Sid = string, Effect = string, Action = list(string), Resource = list(string) }))
  })
  default = null
}

variable "kms_key_arn" {
  description = "The KMS key that encrypts the notebook's volume. Null uses keys of AWS."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "The ARN of the policy that limits every role of the module. Null sets no limit."
  type        = string
  default     = null
}
