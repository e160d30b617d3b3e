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

variable "images" {
  description = "The full URIs of the images that jobs under this role may run in."
  type        = list(string)

  validation {
    condition     = alltrue([for image in var.images : can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.[a-z.]+/[^:@]+[:@].+$", image))])
    error_message = "Each image must be the full URI of an image in ECR with its tag or digest, because SageMaker pulls from nowhere else."
  }
}
