variable "name" {
  description = "The name of the deployment."
  type        = string
}

variable "account" {
  description = "The account, partition and region of the stack."
  type        = object({ id = string, partition = string, region = string })
}

variable "function" {
  description = "The function: its name, its alias, its timeout in seconds, its log group, and whether environments are kept warm."
  type        = object({ name = string, alias = string, timeout_seconds = number, log_group = string, warm = bool })
}

variable "endpoint" {
  description = "The endpoint: its name, its variant, and whether it has instances, whose metrics come without requests too. Null if the function has the model itself, or if the stack is asleep."
  type        = object({ name = string, variant = string, has_instances = bool })
  nullable    = true
}

variable "drift" {
  description = "The alarm drift goes on if in one day at least this share of the pictures (unknown_share) was not one of the classes. With fewer answers than answers it does not decide."
  type        = object({ unknown_share = number, answers = number })
  default     = { unknown_share = 0.2, answers = 50 }

  validation {
    condition     = var.drift.unknown_share > 0.05 && var.drift.unknown_share <= 1
    error_message = "The share of unknown pictures must be above 0.05, which pictures like the training photographs have, and at most 1. Set drift.unknown_share."
  }

  validation {
    condition     = var.drift.answers >= 1 && floor(var.drift.answers) == var.drift.answers
    error_message = "The least number of answers must be a whole number from 1. Set drift.answers."
  }
}

variable "alarm_email" {
  description = "The address that gets an e-mail if an alarm goes on or off, or if a training job fails. AWS asks it once for confirmation. Null sends nothing."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_email == null || can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", var.alarm_email))
    error_message = "The address for alarms must be an e-mail address, for example team@example.org. Set alarm_email."
  }
}

variable "monthly_budget" {
  description = "The USD that the stack may cost in a month. alarm_email gets an e-mail at 80 % of it, and when AWS forecasts more than all of it. Null makes no budget."
  type        = number
  default     = null

  validation {
    condition     = coalesce(var.monthly_budget, 1) > 0
    error_message = "The monthly budget must be more than 0 USD. Set monthly_budget, or null for no budget."
  }

  validation {
    condition     = var.monthly_budget == null || var.alarm_email != null
    error_message = "A budget warns by e-mail, so it needs an address: set alarm_email too."
  }
}
