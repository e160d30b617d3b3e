variable "name" {
  description = "The name of the deployment."
  type        = string
}

variable "account" {
  description = "The account, partition and region that the stack stands in."
  type        = object({ id = string, partition = string, region = string })
}

variable "artifacts" {
  description = "The artifacts bucket: its name, its ARN and the statements that let a role use its key, if it has one."
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
  description = "The role that the notebook's jobs run under, the only one it may pass on."
  type        = string
}

variable "deployment" {
  description = "What the notebook has to know of the deployment; it finds this as deployment.json beside it."
  type        = map(string)
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
  description = "The size of the notebook's own volume in GB."
  type        = number

  validation {
    condition     = var.volume_gb >= 5 && var.volume_gb <= 16384
    error_message = "The notebook's volume must have from 5 to 16384 GB: those are SageMaker's limits."
  }
}

variable "platform" {
  description = "The platform identifier of the notebook instance; null takes AWS's default, the newest."
  type        = string
  nullable    = true
}

variable "idle_minutes" {
  description = "The minutes without a running kernel after which the instance stops itself; 0: it never does."
  type        = number

  validation {
    condition     = var.idle_minutes == 0 || var.idle_minutes >= 10
    error_message = "The notebook must be allowed at least 10 idle minutes, because it takes about 5 to start; or 0, and it never stops itself."
  }
}
