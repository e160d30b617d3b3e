variable "account" {
  description = "The account, partition and region of the stack."
  type        = object({ id = string, partition = string, region = string })
}

variable "artifacts" {
  description = "The policy statements for the KMS key of the artifacts bucket, if it has one."
  type = object({
    key_statements = list(object({ Sid = string, Effect = string, Action = list(string), Resource = string }))
  })
}

variable "images" {
  description = "The full URIs of the images that SageMaker pulls with the role."
  type        = list(string)
  default     = []
}

variable "metric_namespaces" {
  description = "The namespaces of the metrics that SageMaker writes with the role. They may have the wildcard *."
  type        = list(string)
  default     = []
}

variable "network" {
  description = "The policy statements that the role needs in a VPC. Null if there is none."
  type = object({
    statements = list(object({ Sid = string, Effect = string, Action = list(string), Resource = list(string) }))
  })
  default = null
}

variable "kms_key_arn" {
  description = "The KMS key that encrypts volumes. Null uses keys of AWS."
  type        = string
  default     = null
}
