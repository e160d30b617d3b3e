variable "name" {
  description = "The name of the deployment. The name of every resource begins with it, so two deployments can share an account."
  type        = string
  default     = "pawprint"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "The name must be 3 to 20 lower-case letters, digits and hyphens, begin with a letter and not end with a hyphen, because the bucket, the endpoint and the roles are named after it."
  }

  validation {
    condition     = !startswith(var.name, "sg-")
    error_message = "The name must not begin with \"sg-\", because the security group's name begins with it and EC2 keeps that prefix for identifiers."
  }
}

variable "region" {
  description = "The AWS region that everything is created in."
  type        = string
  default     = "us-east-1"

  validation {
    condition = (
      contains(keys(local.registry_accounts), var.region) || var.deep_learning_containers_account != null ||
      alltrue([for image in values(local.named_images) : strcontains(image, "/")])
    )
    error_message = "AWS's Deep Learning Containers have no known registry in ${var.region}. Set deep_learning_containers_account to the account that AWS lists for the region (https://aws.github.io/deep-learning-containers/reference/region_availability/), or give both training.image and endpoint.image as full URIs."
  }
}

variable "tags" {
  description = "Tags that every resource gets, in addition to Project and ManagedBy."
  type        = map(string)
  default     = {}
}

variable "asleep" {
  description = "Whether the stack has no endpoint and no warm environments, so that it costs next to nothing. `make sleep` and `make wake` set it."
  type        = bool
  default     = false
}

variable "accept" {
  description = "Contradictions between settings that `make plan` and `make apply` do not refuse, by name: concurrency, timeouts, scaling-target, scaling-policy or rollback-alarm. The message of a refused plan names them."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.accept : contains(["concurrency", "timeouts", "scaling-target", "scaling-policy", "rollback-alarm"], name)])
    error_message = "Each accepted contradiction must be one of concurrency, timeouts, scaling-target, scaling-policy and rollback-alarm."
  }
}

variable "alarm_email" {
  description = "The address that gets an e-mail if an alarm goes on or off, or if a training job fails. AWS asks it once for confirmation. Null sends nothing. The rehearsal has no e-mail."
  type        = string
  default     = null
}

variable "monthly_budget" {
  description = "The USD that the stack may cost in a month. alarm_email gets an e-mail at 80 % of it, and when AWS forecasts more than all of it. It needs the tag Project as a cost allocation tag of the account (docs/OPERATING.md). Null makes no budget."
  type        = number
  default     = null
}

variable "drift" {
  description = "The alarm drift: on if in one day at least the share unknown_share of the pictures was not one of the classes, of at least answers pictures. Pictures like the validation split have a share of 0.05."
  type = object({
    unknown_share = optional(number, 0.2)
    answers       = optional(number, 50)
  })
  default = {}
}

variable "allowed_account_ids" {
  description = "The accounts that the stack may be applied to. The rehearsal lists its invented account, so it can never reach a real one. Null allows all accounts."
  type        = list(string)
  default     = null
}

variable "s3_use_path_style" {
  description = "Whether buckets are addressed by path and not by host name. The local AWS needs this."
  type        = bool
  default     = false
}

variable "build_dir" {
  description = "The folder that `make package` fills, relative to the folder that Terraform runs in."
  type        = string
  default     = "../build"

  validation {
    condition     = fileexists("${var.build_dir}/manifest.json")
    error_message = "There is no manifest.json in the build folder. Run `make package` first; `make plan` and `make apply` run it themselves."
  }
}

variable "log_retention_days" {
  description = "The number of days for which the log groups of the endpoint, the function and the instance keep their lines."
  type        = number
  default     = 30
}

variable "deep_learning_containers_account" {
  description = "The account of AWS's Deep Learning Containers registry. Null uses the account that images.tf lists for the region."
  type        = string
  default     = null

  validation {
    condition     = var.deep_learning_containers_account == null || can(regex("^[0-9]{12}$", var.deep_learning_containers_account))
    error_message = "The account of the Deep Learning Containers must be the 12 digits of an AWS account."
  }
}

variable "backend" {
  description = "The S3 bucket of the Terraform state, for a team. `make backend` creates it and moves the state there. Null keeps the state on this machine, in .local/. The make targets read this setting, because Terraform cannot select a backend by a variable. A name that begins with the stack's name is covered by deployer-policy.json."
  type        = object({ bucket = string, region = optional(string), kms_key_arn = optional(string) })
  default     = null

  validation {
    condition     = var.backend == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.backend.bucket))
    error_message = "The bucket of the state must have a name of 3 to 63 lower-case letters, digits, dots and hyphens. Set backend.bucket."
  }
}

variable "ci" {
  description = "The GitHub repository (owner/name) whose workflow deploy.yml plans on pull requests and applies in the protected environment, which has the name of the settings file. It needs backend. An account can have GitHub's identity provider once: oidc_provider_arn names one that exists. Null creates nothing."
  type = object({
    repository        = string
    environment       = optional(string, "aws")
    oidc_provider_arn = optional(string)
  })
  default = null

  validation {
    condition     = var.ci == null || var.backend != null
    error_message = "The setting ci needs backend, because a workflow has no state of its own. Set backend, then run `make backend`."
  }
}

variable "network" {
  description = "The VPC and the subnets of the endpoint, the jobs, the notebook, the instance and the function. Null uses AWS's own network, and the default VPC for the instance. With internet the parts may open HTTPS connections to all addresses, through a NAT gateway of the account. Without it they reach AWS through VPC endpoints: those that the stack needs, or interface_endpoints; [] and s3_endpoint = false for a VPC that has its own. Packages from PyPI need internet."
  type = object({
    vpc_id              = string
    subnet_ids          = list(string)
    internet            = optional(bool, false)
    interface_endpoints = optional(list(string))
    s3_endpoint         = optional(bool, true)
  })
  default = null
}

variable "kms_key_arn" {
  description = "The KMS key that encrypts every store: the bucket, the disks of the notebook, the jobs, the endpoint and the instance, the variables of the function, and the log groups. Null uses keys of AWS. README.md of this folder has the policy that the key needs."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:${var.region}:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "The KMS key must be given as the ARN of a key in ${var.region} (not of an alias), because the roles' policies name that ARN. Set kms_key_arn."
  }
}

variable "permissions_boundary" {
  description = "The ARN of a policy that limits every role of the stack. Null sets no limit."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:[a-z-]+:iam::(aws|[0-9]{12}):policy/.+$", var.permissions_boundary))
    error_message = "The permissions boundary must be the ARN of a policy. Set permissions_boundary."
  }
}

variable "artifacts" {
  description = "The artifacts bucket. With force_destroy a destroy also deletes its content. access_logs names the bucket and the prefix of S3's log of requests. expiry_days counts from the day on which a version is superseded, an upload is abandoned or a checkpoint is written."
  type = object({
    force_destroy = optional(bool, false)
    access_logs   = optional(object({ bucket = string, prefix = optional(string, "") }))
    expiry_days = optional(object({
      noncurrent_versions = optional(number, 30)
      aborted_uploads     = optional(number, 7)
      checkpoints         = optional(number, 30)
    }), {})
  })
  default = {}
}

variable "notebook" {
  description = "The SageMaker notebook instance. Without a platform AWS uses its newest. Since July 2026 it starts no notebook on Amazon Linux 2, which is the newest platform that provider 5.100 can name. The instance stops itself after idle_minutes without a running kernel; with 0 it never does."
  type = object({
    instance_type = optional(string, "ml.t3.medium")
    volume_gb     = optional(number, 5)
    platform      = optional(string)
    idle_minutes  = optional(number, 60)
  })
  default = {}
}

variable "training" {
  description = "SageMaker training jobs: their image and their default instance type. The image is repository:tag of AWS's Deep Learning Containers, or a full URI. Without it, the instance type selects the image: with CUDA for ml.g* and ml.p*."
  type = object({
    image         = optional(string)
    instance_type = optional(string, "ml.m5.xlarge")
  })
  default = {}
}

variable "batch" {
  description = "Batch transform jobs, which `make predict-batch` creates: their default instance type. The endpoint's image serves there too."
  type        = object({ instance_type = optional(string, "ml.m5.large") })
  default     = {}
}

variable "ec2" {
  description = "The compute-optimised training instance. Without subnet_id it uses a default subnet in a zone that offers the type. The first boot installs packages and uses the interpreter python. It stops itself after idle_minutes without training."
  type = object({
    instance_type = optional(string, "c7i.xlarge")
    volume_gb     = optional(number, 30)
    subnet_id     = optional(string)
    packages      = optional(list(string), ["python3.12", "python3.12-pip"])
    python        = optional(string, "python3.12")
    idle_minutes  = optional(number, 30)
  })
  default = {}
}

variable "endpoint" {
  description = "The endpoint: its kind, image, instances, deployment (how a release replaces another, modules/endpoint) and scaling policy. The kind is instances, serverless (SageMaker serverless inference: containers that requests start) or in-function (no endpoint: the function has the model itself). The image is set as for training. Without it, the instance type selects the image: with CUDA for ml.g* and ml.p*. scaling.target is per instance, in the unit of scaling.metric: invocations per minute, or concurrent requests. With min_instances = max_instances the fleet does not scale, as ml.t* types must not."
  type = object({
    kind                   = optional(string, "instances")
    image                  = optional(string)
    instance_type          = optional(string, "ml.m5.large")
    initial_instance_count = optional(number, 1)
    startup_seconds        = optional(number, 240)
    serverless = optional(object({
      memory_mb       = optional(number, 6144)
      max_concurrency = optional(number, 5)
    }), {})
    deployment = optional(object({
      shift               = optional(string, "canary")
      percent             = optional(number, 10)
      bake_seconds        = optional(number, 180)
      termination_seconds = optional(number, 0)
      max_error_share     = optional(number, 0.05)
      max_latency_ratio   = optional(number, 2)
    }), {})
    scaling = optional(object({
      min_instances      = optional(number, 1)
      max_instances      = optional(number, 2)
      metric             = optional(string, "SageMakerVariantInvocationsPerInstance")
      target             = optional(number, 600)
      scale_in_cooldown  = optional(number, 300)
      scale_out_cooldown = optional(number, 60)
    }), {})
  })
  default = {}

  validation {
    condition     = contains(["instances", "serverless", "in-function"], var.endpoint.kind)
    error_message = "The endpoint's kind must be instances, serverless or in-function."
  }
}

variable "predictor" {
  description = "The function and its URL. architecture, memory_mb and timeout_seconds have defaults for each kind of endpoint: arm64, 1024 and 30; timeout_seconds 70 for serverless, whose container may have to start; x86_64 and 2048 for in-function. reserved limits the concurrent executions; null uses the unreserved executions of the account. provisioned is the number of warm environments. With scaling, a policy keeps this number between provisioned and max_provisioned, so that the share in use stays at utilization. url_allow_http and url_allow_networks (CIDR blocks) allow the function to fetch images from more addresses. auth_type is AWS_IAM (signed requests), KEY (an API key in the header x-api-key) or NONE (everybody). requests_a_minute limits each caller in each environment of the function. With uploads the function gives out addresses for photographs that are larger than a request may be. With capture it keeps percent of the images and their answers in the bucket for days, for `make review`; null keeps none (docs/REVIEW.md)."
  type = object({
    architecture    = optional(string)
    memory_mb       = optional(number)
    timeout_seconds = optional(number)
    reserved        = optional(number)
    provisioned     = optional(number, 0)
    scaling = optional(object({
      max_provisioned    = number
      utilization        = optional(number, 0.7)
      scale_in_cooldown  = optional(number, 300)
      scale_out_cooldown = optional(number, 0)
    }))
    auth_type          = optional(string, "AWS_IAM")
    requests_a_minute  = optional(number)
    uploads            = optional(bool, false)
    capture            = optional(object({ percent = optional(number, 10), days = optional(number, 30) }))
    allowed_origins    = optional(list(string), [])
    url_allow_http     = optional(bool, false)
    url_allow_networks = optional(list(string), [])
    log_level          = optional(string, "INFO")
  })
  default = {}

  validation {
    condition     = !var.predictor.uploads || var.endpoint.kind != "serverless"
    error_message = "Uploads need endpoint.kind = \"instances\" or \"in-function\", because a serverless endpoint takes requests of at most 4 MB. Set predictor.uploads = false."
  }

  validation {
    condition     = var.predictor.capture == null || try(var.predictor.capture.percent > 0 && var.predictor.capture.percent <= 100, false)
    error_message = "The percentage of captured images must be above 0, and at most 100. Set predictor.capture.percent, or predictor.capture = null."
  }

  validation {
    condition     = var.predictor.capture == null || try(var.predictor.capture.days >= 1 && floor(var.predictor.capture.days) == var.predictor.capture.days, false)
    error_message = "The days of captured images must be a whole number of at least 1, because S3 counts in whole days. Set predictor.capture.days."
  }
}

variable "api_key_sha256" {
  description = "The SHA-256 of the API key of the function URL, for predictor.auth_type = \"KEY\". The make targets set it: the key is in SSM Parameter Store, and they make it if it is not there."
  type        = string
  default     = null
}

variable "releases" {
  description = "The models that have an endpoint configuration, and the release that the endpoint serves. The previous release stays in the list, so that a rollback creates nothing. The endpoint loads only the model whose model.json has the hash sha256. Null serves the bootstrap model. A release named bootstrap also serves it, whatever its address."
  type = object({
    current = string
    models = map(object({
      model_data_url         = string
      initial_instance_count = optional(number)
      sha256                 = optional(string)
    }))
  })
  default = null
}

variable "registry" {
  description = "Whether `make promote` also writes a version with its metrics and its approval to SageMaker's Model Registry, in a group that has the stack's name. Before it is turned off, delete the versions: SageMaker keeps a group that has some."
  type        = bool
  default     = false
}
