variable "name" {
  description = "The name of the deployment. The name of the bucket begins with it."
  type        = string
}

variable "account" {
  description = "The account, partition and region of the stack."
  type        = object({ id = string, partition = string, region = string })
}

variable "kms_key_arn" {
  description = "The KMS key that encrypts the objects. Null uses keys of S3."
  type        = string
  nullable    = true

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "The KMS key must be given as the ARN of a key (not of an alias), because the roles' policies name that ARN."
  }
}

variable "force_destroy" {
  description = "Whether a destroy also deletes the content of the bucket."
  type        = bool
}

variable "expiry_days" {
  description = "The days after which superseded versions, abandoned uploads, checkpoints and captured images are deleted."
  type        = object({ noncurrent_versions = number, aborted_uploads = number, checkpoints = number, captures = optional(number, 30) })

  validation {
    condition     = alltrue([for days in values(var.expiry_days) : days >= 1 && floor(days) == days])
    error_message = "Each of the expiry days must be a whole number of at least 1, because S3 counts in whole days."
  }
}

variable "uploads" {
  description = "Objects that Terraform uploads, by payload: the content-addressed key and the local file."
  type        = map(object({ key = string, source = string }))
}

variable "access_logs" {
  description = "The bucket that S3 writes a log of every request to, and the prefix of these logs. Null writes none. The bucket must allow it: S3's guide, \"Enabling Amazon S3 server access logging\"."
  type        = object({ bucket = string, prefix = string })
  default     = null
}
