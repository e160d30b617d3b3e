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

variable "images" {
  description = "The full URIs of the images that jobs with this role may use."
  type        = list(string)

  validation {
    condition     = alltrue([for image in var.images : can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.[a-z.]+/[^:@]+[:@].+$", image))])
    error_message = "Each image must be the full URI of an image in ECR with its tag or digest, because SageMaker pulls from nowhere else."
  }
}

variable "trial_endpoints" {
  description = "The prefix of the names of the notebook's trial endpoints, which use this role."
  type        = string

  validation {
    condition     = startswith(var.trial_endpoints, "${var.name}-") && endswith(var.trial_endpoints, "-")
    error_message = "The prefix of the trial endpoints' names must be longer than the deployment's name, begin with it and end with a hyphen, because this role must not write the logs of the live endpoint or of other deployments."
  }
}

variable "network" {
  description = "The subnets and security groups of training jobs, and the policy statements that their role needs there. `make train`, `make tune` and the notebook pass them on. Null uses AWS's own network."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
    statements         = list(object({ Sid = string, Effect = string, Action = list(string), Resource = list(string) }))
  })
  default = null
}

variable "kms_key_arn" {
  description = "The KMS key that encrypts the volumes and the output of jobs. Null uses keys of AWS."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "The ARN of the policy that limits every role of the module. Null sets no limit."
  type        = string
  default     = null
}
