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

variable "trial_endpoints" {
  description = "What the names of the notebook's trial endpoints begin with, which run under this role."
  type        = string

  validation {
    condition     = startswith(var.trial_endpoints, "${var.name}-") && endswith(var.trial_endpoints, "-")
    error_message = "The beginning of the trial endpoints' names must be the deployment's name with more and end with a hyphen, because the logs of the live endpoint and of other deployments are not this role's."
  }
}
