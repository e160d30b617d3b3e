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

variable "model" {
  description = "The release that jobs run: the archive in the artifacts bucket, and its SHA-256, which the serving code verifies. Null verifies nothing."
  type        = object({ model_data_url = string, sha256 = string })

  validation {
    condition     = startswith(var.model.model_data_url, "s3://${var.artifacts.bucket}/")
    error_message = "The model must be in the artifacts bucket, because the role of the jobs can read no other."
  }
}

variable "image" {
  description = "The full URI of the image that serves the model."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.[a-z.]+/[^:@]+[:@].+$", var.image))
    error_message = "The image must be the full URI of an image in ECR with its tag or digest, because SageMaker pulls from nowhere else."
  }
}

variable "environment" {
  description = "The environment variables of the containers, as the endpoint has them."
  type        = map(string)
  default     = {}
}

variable "network" {
  description = "The subnets and security groups of the jobs, and the policy statements that their role needs there. Null uses AWS's own network."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
    statements         = list(object({ Sid = string, Effect = string, Action = list(string), Resource = list(string) }))
  })
  default = null
}

variable "kms_key_arn" {
  description = "The KMS key that encrypts the volumes of jobs. Null uses keys of AWS."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "The ARN of the policy that limits every role of the module. Null sets no limit."
  type        = string
  default     = null
}
