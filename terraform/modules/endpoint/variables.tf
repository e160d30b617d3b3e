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

variable "releases" {
  description = "The models that have an endpoint configuration, by release, and the release that the endpoint serves. With sha256, the hash of its model.json, the endpoint loads no other model."
  type = object({
    current = string
    models  = map(object({ model_data_url = string, initial_instance_count = optional(number), sha256 = optional(string) }))
  })

  validation {
    condition     = contains(keys(var.releases.models), var.releases.current)
    error_message = "The current release must be one of the models, because the endpoint serves its configuration."
  }

  validation {
    condition     = alltrue([for model in values(var.releases.models) : can(regex("^s3://[^/]+/.+\\.tar\\.gz$", model.model_data_url))])
    error_message = "Each model must be given as the s3:// address of a .tar.gz archive, because SageMaker extracts no other form."
  }
}

variable "asleep" {
  description = "Whether there is no endpoint now. The models and configurations of the releases stay, so that it can be created again."
  type        = bool
}

variable "image" {
  description = "The full URI of the serving image."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.[a-z.]+/[^:@]+[:@].+$", var.image))
    error_message = "The image must be the full URI of an image in ECR with its tag or digest, because SageMaker pulls from nowhere else."
  }
}

variable "instance_type" {
  description = "The type of the instances behind the endpoint."
  type        = string

  validation {
    condition     = startswith(var.instance_type, "ml.")
    error_message = "The endpoint's instance type must be one of SageMaker's, which begin with \"ml.\", for example ml.m5.large."
  }

  validation {
    condition     = !can(regex("^ml\\.([a-z]+[0-9]+g[a-z]*|inf[0-9]+|trn[0-9]+[a-z]*)\\.", var.instance_type))
    error_message = "The endpoint's instance type must have Intel or AMD processors, with a GPU or without: the serving code in a model does not run on Graviton, Inferentia or Trainium."
  }
}

variable "serverless" {
  description = "Serverless inference in place of instances: the memory of a container, and the requests that are answered at a time. Null uses instances."
  type        = object({ memory_mb = number, max_concurrency = number })
  nullable    = true

  validation {
    condition     = var.serverless == null || var.network == null
    error_message = "SageMaker serverless inference supports no VPC, so it cannot be in a given network. Use another kind of endpoint, or no network."
  }

  validation {
    condition     = contains([1024, 2048, 3072, 4096, 5120, 6144], try(var.serverless.memory_mb, 1024))
    error_message = "The memory of serverless inference must be 1024, 2048, 3072, 4096, 5120 or 6144 MB: SageMaker has no other sizes."
  }

  validation {
    condition     = try(var.serverless.max_concurrency, 1) >= 1 && try(var.serverless.max_concurrency, 1) <= 200
    error_message = "The concurrency of serverless inference must be from 1 to 200 requests: those are SageMaker's limits."
  }
}

variable "gpu" {
  description = "Whether instances of that type have a GPU, which needs a host with newer drivers."
  type        = bool
}

variable "initial_instance_count" {
  description = "The number of instances that a release starts with, unless the release has its own number: the live count when it was promoted."
  type        = number
}

variable "startup_seconds" {
  description = "The seconds that an instance may take to load its model and answer the health check."
  type        = number

  validation {
    condition     = var.startup_seconds >= 60 && var.startup_seconds <= 3600
    error_message = "The time to start must be from 60 to 3600 seconds: those are SageMaker's limits."
  }
}

variable "deployment" {
  description = "How a release replaces another. shift is all-at-once, canary, linear or rolling; percent is the size of the canary, of a linear step or of a rolling batch. Each step is watched for bake_seconds. A blue/green update then keeps the old fleet for termination_seconds. Two alarms roll it back. One allows server errors for max_error_share of the new fleet's requests in a minute. The other allows it max_latency_ratio times the old fleet's p90 latency, in two minutes with at least 20 requests each to the new fleet."
  type = object({
    shift               = string
    percent             = number
    bake_seconds        = number
    termination_seconds = number
    max_error_share     = number
    max_latency_ratio   = number
  })

  validation {
    condition     = contains(["all-at-once", "canary", "linear", "rolling"], var.deployment.shift)
    error_message = "The shift of a deployment must be all-at-once, canary, linear or rolling."
  }

  validation {
    condition     = var.deployment.percent <= 50 && var.deployment.percent >= lookup({ linear = 10, rolling = 5 }, var.deployment.shift, 1)
    error_message = "The percent of a deployment must be from 1 to 50 for a canary, from 10 to 50 for linear steps and from 5 to 50 for rolling batches: those are SageMaker's limits."
  }

  validation {
    condition     = alltrue([for seconds in [var.deployment.bake_seconds, var.deployment.termination_seconds] : seconds >= 0 && seconds <= 3600])
    error_message = "The seconds of a deployment must each be from 0 to 3600: those are SageMaker's limits."
  }

  validation {
    condition     = var.deployment.max_error_share >= 0 && var.deployment.max_error_share < 1
    error_message = "The share of errors must be from 0 to less than 1: an alarm above all requests could never roll a release back."
  }

  validation {
    condition     = var.deployment.max_latency_ratio > 1
    error_message = "The ratio of the latencies must be more than 1, because a release as fast as the previous one would be rolled back."
  }
}

variable "scaling" {
  description = "The scaling policy: the bounds of the fleet, and the metric per instance that the policy keeps at the target. With equal bounds there is no policy."
  type = object({
    min_instances      = number
    max_instances      = number
    metric             = string
    target             = number
    scale_in_cooldown  = number
    scale_out_cooldown = number
  })

  validation {
    condition     = var.scaling.min_instances >= 1 && var.scaling.min_instances <= var.scaling.max_instances
    error_message = "The fleet must keep at least one instance and its minimum must not exceed its maximum."
  }

  # SageMaker guide, "Configure model auto scaling with the console": no burstable performance instances.
  validation {
    condition     = var.scaling.min_instances == var.scaling.max_instances || !startswith(var.instance_type, "ml.t")
    error_message = "An endpoint on burstable instances (ml.t2 and others) must have a fixed number of them, because SageMaker does not scale them. Set min_instances and max_instances to the same number."
  }

  validation {
    condition     = contains(["SageMakerVariantInvocationsPerInstance", "SageMakerVariantConcurrentRequestsPerModelHighResolution"], var.scaling.metric)
    error_message = "The metric must be SageMakerVariantInvocationsPerInstance (invocations per minute) or SageMakerVariantConcurrentRequestsPerModelHighResolution (concurrent requests, measured every ten seconds)."
  }

  validation {
    condition     = var.scaling.target > 0
    error_message = "The target must be greater than zero: it is the load for one instance."
  }

  validation {
    condition     = var.scaling.scale_in_cooldown >= 0 && var.scaling.scale_out_cooldown >= 0
    error_message = "The cooldowns must be zero or more seconds."
  }
}

variable "log_retention_days" {
  description = "The days that the containers' log lines are kept."
  type        = number
}

variable "network" {
  description = "The subnets and security groups of the endpoint's instances, and the policy statements that its role needs there. Null uses AWS's own network."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
    statements         = list(object({ Sid = string, Effect = string, Action = list(string), Resource = list(string) }))
  })
  default = null
}

variable "kms_key_arn" {
  description = "The KMS key that encrypts the log group and the volumes of the instances. Null uses keys of AWS."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "The ARN of the policy that limits every role of the module. Null sets no limit."
  type        = string
  default     = null
}
