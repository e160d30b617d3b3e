variable "name" {
  description = "The name of the deployment. The names of the roles begin with it."
  type        = string
}

variable "account" {
  description = "The account, partition and region of the stack."
  type        = object({ id = string, partition = string, region = string })
}

variable "repository" {
  description = "The GitHub repository whose workflows may take the roles: owner/name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$", var.repository))
    error_message = "The repository must be given as owner/name, without wildcards, because its workflows get access to the account. Set ci.repository."
  }
}

variable "environment" {
  description = "The environment of the repository in which a workflow may apply. Its protection rules are the approval."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+$", var.environment))
    error_message = "The environment must be a name without wildcards and colons, because the role's trust names it. Set ci.environment."
  }
}

variable "oidc_provider_arn" {
  description = "GitHub's identity provider in the account. Null creates it; an account can have it once."
  type        = string
  nullable    = true
}

variable "deployer_policies" {
  description = "The policies of a user who deploys the stack, as JSON. The role that applies gets them. The role that plans gets their reading actions."
  type        = map(string)
}

variable "state" {
  description = "The state in S3: the bucket, the key, and the KMS key, if there is one."
  type        = object({ bucket = string, key = string, kms_key_arn = optional(string) })
}

variable "permissions_boundary" {
  description = "The ARN of the policy that limits both roles. Null sets no limit."
  type        = string
  default     = null
}
