# Alarms, a dashboard and, with alarm_email, e-mails.
module "monitoring" {
  source = "./modules/monitoring"

  name        = var.name
  account     = local.account
  alarm_email = var.alarm_email
  drift       = var.drift

  monthly_budget = var.monthly_budget

  function = {
    name            = module.predictor.function_name
    alias           = module.predictor.alias
    timeout_seconds = coalesce(var.predictor.timeout_seconds, local.function_defaults.timeout_seconds)
    log_group       = module.predictor.log_group
    warm            = var.predictor.provisioned > 0 && !var.asleep
  }

  endpoint = local.in_function || var.asleep ? null : {
    name          = local.endpoint_name
    variant       = one(module.endpoint[*].variant)
    has_instances = var.endpoint.kind == "instances"
  }
}
