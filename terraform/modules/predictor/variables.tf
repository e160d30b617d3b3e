variable "name" {
  description = "The name of the deployment."
  type        = string
}

variable "account" {
  description = "The account, partition and region of the stack."
  type        = object({ id = string, partition = string, region = string })
}

variable "endpoint" {
  description = "The endpoint that the function invokes: its name and its ARN. Null if the function has the model itself."
  type        = object({ name = string, arn = string })
  nullable    = true
}

variable "own_model" {
  description = "The model inside of the function: the releases, access to the bucket that has their archives, and the key of the function's package with the model's libraries. Null if the function invokes an endpoint."
  type = object({
    releases = object({ current = string, models = map(object({ model_data_url = string, initial_instance_count = optional(number), sha256 = optional(string) })) })
    access = object({
      bucket         = string
      arn            = string
      key_statements = list(object({ Sid = string, Effect = string, Action = list(string), Resource = string }))
    })
    package = string
  })
  default  = null
  nullable = true

  validation {
    condition     = (var.own_model == null) != (var.endpoint == null)
    error_message = "The function needs either an endpoint to invoke or a model of its own."
  }
}

variable "package" {
  description = "The zip archive with the function's code. Null with a model of its own, whose package is in S3."
  type        = string
  nullable    = true

  validation {
    condition     = (var.package == null) == (var.own_model != null)
    error_message = "The function needs the archive of its code, and with a model of its own the package in S3 in its place."
  }
}

variable "architecture" {
  description = "The processor architecture that the function runs on."
  type        = string

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "The architecture must be arm64 or x86_64: Lambda has no other."
  }

  validation {
    condition     = var.own_model == null || var.architecture == "x86_64"
    error_message = "A function with a model of its own must run on x86_64: the package has OpenVINO for it."
  }
}

variable "memory_mb" {
  description = "The memory of one environment in MB. The share of a processor grows with it."
  type        = number

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240
    error_message = "The memory must be from 128 to 10240 MB: those are Lambda's limits."
  }

  validation {
    condition     = var.own_model == null || var.memory_mb >= 1024
    error_message = "A function with a model of its own needs at least 1024 MB: the libraries, the model and a photograph of 50 megapixels."
  }
}

variable "timeout_seconds" {
  description = "The seconds that one prediction may take."
  type        = number

  validation {
    condition     = var.timeout_seconds >= 5 && var.timeout_seconds <= 70
    error_message = "The timeout must be from 5 to 70 seconds, because the endpoint itself gives up after 60, and a longer wait only costs money."
  }
}

variable "reserved" {
  description = "The number of concurrent executions that are reserved for the function and limit it. Null reserves none."
  type        = number
  nullable    = true

  validation {
    condition     = coalesce(var.reserved, 1) >= 1
    error_message = "The reserved concurrency must be at least 1, because 0 would switch the function off. Null reserves none."
  }
}

variable "provisioned" {
  description = "The number of environments that are kept warm for the alias. 0 keeps none."
  type        = number

  validation {
    condition     = var.provisioned >= 0
    error_message = "The provisioned concurrency must be zero or more environments."
  }

  validation {
    condition     = var.provisioned <= coalesce(var.reserved, var.provisioned)
    error_message = "The provisioned concurrency must not exceed the reserved concurrency, because it is taken out of it."
  }
}

variable "scaling" {
  description = "The policy that moves the number of warm environments between provisioned and max_provisioned, so that the share in use stays at utilization. Null keeps the number constant."
  type = object({
    max_provisioned    = number
    utilization        = number
    scale_in_cooldown  = number
    scale_out_cooldown = number
  })
  nullable = true

  validation {
    condition     = try(var.scaling.max_provisioned, var.provisioned) >= var.provisioned && (var.scaling == null || var.provisioned >= 1)
    error_message = "Scaling needs at least 1 provisioned environment, and a maximum that is not below that number."
  }

  validation {
    condition     = try(var.scaling.max_provisioned, 1) <= coalesce(var.reserved, try(var.scaling.max_provisioned, 1))
    error_message = "The maximum of the provisioned concurrency must not exceed the reserved concurrency, because it is taken out of it."
  }

  validation {
    condition     = try(var.scaling.utilization, 0.7) >= 0.1 && try(var.scaling.utilization, 0.7) <= 0.9
    error_message = "The utilization must be from 0.1 to 0.9: with a higher value the policy would never scale out."
  }
}

variable "auth_type" {
  description = "Who may call the function URL: AWS_IAM, KEY or NONE."
  type        = string

  validation {
    condition     = contains(["AWS_IAM", "KEY", "NONE"], var.auth_type)
    error_message = "The authentication of the function URL must be AWS_IAM (signed requests of callers with permission), KEY (an API key) or NONE (everybody)."
  }
}

variable "api_key_sha256" {
  description = "The SHA-256 of the API key in hexadecimal digits, for auth_type KEY. The key itself is not in Terraform."
  type        = string
  default     = null
  nullable    = true

  validation {
    condition     = var.auth_type == "KEY" ? can(regex("^[0-9a-f]{64}$", var.api_key_sha256)) : true
    error_message = "With auth_type KEY the function needs the SHA-256 of the key: 64 hexadecimal digits in api_key_sha256. `make apply` makes the key and gives its hash."
  }
}

variable "requests_a_minute" {
  description = "The POST requests that each caller may send in a minute to one environment of the function. Null sets no limit."
  type        = number
  default     = null
  nullable    = true

  validation {
    condition     = var.requests_a_minute == null || try(var.requests_a_minute >= 1 && floor(var.requests_a_minute) == var.requests_a_minute, false)
    error_message = "The requests a minute must be a whole number from 1. Null sets no limit."
  }
}

variable "uploads" {
  description = "Access to the bucket whose prefix uploads/ takes photographs that are larger than a request may be. The function gives out addresses for them. Null takes none."
  type = object({
    bucket         = string
    arn            = string
    key_statements = list(object({ Sid = string, Effect = string, Action = list(string), Resource = string }))
  })
  default  = null
  nullable = true
}

variable "capture" {
  description = "Access to the bucket whose prefix captures/ takes a sample of the images and their answers, and the percentage of the images that are kept. The function writes there and cannot read. Null keeps none."
  type = object({
    percent = number
    access = object({
      bucket         = string
      arn            = string
      key_statements = list(object({ Sid = string, Effect = string, Action = list(string), Resource = string }))
    })
  })
  default  = null
  nullable = true

  validation {
    condition     = var.capture == null || try(var.capture.percent > 0 && var.capture.percent <= 100, false)
    error_message = "The percentage of captured images must be above 0, and at most 100. Null captures none."
  }
}

variable "allowed_origins" {
  description = "The web origins whose pages may call the function URL. An empty list disables cross-origin answers."
  type        = list(string)

  validation {
    condition     = alltrue([for origin in var.allowed_origins : origin == "*" || can(regex("^https?://[^/]+$", origin))])
    error_message = "Each allowed origin must be \"*\" or a scheme and host without a path, for example https://example.org."
  }
}

variable "url_allow_http" {
  description = "Whether the function also fetches images over plain HTTP."
  type        = bool
}

variable "url_allow_networks" {
  description = "Networks that are not public and that the function may fetch images from, as CIDR blocks."
  type        = list(string)

  validation {
    condition     = alltrue([for network in var.url_allow_networks : can(cidrsubnet(network, 0, 0))])
    error_message = "Each allowed network must be a CIDR block, for example 10.1.0.0/16."
  }
}

variable "log_level" {
  description = "The least severe level that the function logs."
  type        = string

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "The log level must be DEBUG, INFO, WARNING or ERROR."
  }
}

variable "log_retention_days" {
  description = "The days that the function's log lines are kept."
  type        = number
}

variable "network" {
  description = "The subnets and security groups of the function, and the policy statements that its role needs there. Null uses AWS's own network."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
    statements         = list(object({ Sid = string, Effect = string, Action = list(string), Resource = list(string) }))
  })
  default = null
}

variable "kms_key_arn" {
  description = "The KMS key that encrypts the function's environment variables and its log group. Null uses keys of AWS."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "The ARN of the policy that limits every role of the module. Null sets no limit."
  type        = string
  default     = null
}
