# What is watched: alarms on the function and the endpoint, numbers out of the function's log, and a dashboard. The alarm
# that rolls an update of the endpoint back belongs to modules/endpoint.

locals {
  namespace = "Pawprint/${var.name}"

  of_function = { FunctionName = var.function.name, Resource = "${var.function.name}:${var.function.alias}" }
  of_endpoint = { EndpointName = try(var.endpoint.name, ""), VariantName = try(var.endpoint.variant, "") }
  latency_ms  = var.function.timeout_seconds * 1000 / 2

  # Three of five minutes, because nobody can mend one bad minute. What must never happen needs one.
  lasting = { periods = 5, to_alarm = 3 }
  once    = { periods = 1, to_alarm = 1 }

  of_the_function = merge(
    {
      failed-requests    = merge(local.lasting, { metric = "FailedRequests", namespace = local.namespace, dimensions = {}, statistic = "Sum", threshold = 1, why = "Callers get answers with a 5xx status." })
      function-errors    = merge(local.once, { metric = "Errors", namespace = "AWS/Lambda", dimensions = local.of_function, statistic = "Sum", threshold = 1, why = "The function crashed or ran into its timeout. It answers every other failure itself." })
      function-throttles = merge(local.lasting, { metric = "Throttles", namespace = "AWS/Lambda", dimensions = local.of_function, statistic = "Sum", threshold = 1, why = "Callers get 429, because the function has no more concurrency." })
    },
    var.function.warm ? {
      spillover = merge(local.lasting, { metric = "ProvisionedConcurrencySpilloverInvocations", namespace = "AWS/Lambda", dimensions = local.of_function, statistic = "Sum", threshold = 1, why = "Requests wait for the start of an environment, because all warm ones are in use." })
    } : {},
  )

  of_the_endpoint = var.endpoint == null ? {} : {
    endpoint-errors = merge(local.lasting, { metric = "Invocation5XXErrors", namespace = "AWS/SageMaker", dimensions = local.of_endpoint, statistic = "Sum", threshold = 1, why = "The model fails on requests." })
    model-latency   = merge(local.lasting, { metric = "ModelLatency", namespace = "AWS/SageMaker", dimensions = local.of_endpoint, statistic = "p99", threshold = local.latency_ms * 1000, why = "The model takes half of the function's timeout (${local.latency_ms} ms) for one of 100 requests." })
  }

  alarms  = merge(local.of_the_function, local.of_the_endpoint)
  actions = aws_sns_topic.alarms[*].arn
}

resource "aws_cloudwatch_metric_alarm" "alarm" {
  for_each = local.alarms

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = each.value.why

  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  period              = 60
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = each.value.to_alarm
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching" # no requests, no faults

  alarm_actions = local.actions
  ok_actions    = local.actions
}

# SageMaker reports an endpoint of instances also without requests, as zeros. If it stops doing so, the endpoint is gone
# or AWS has a disturbance: the alarm's state becomes INSUFFICIENT_DATA, and this sends the e-mail. It never goes on,
# because a new endpoint has no data either.
resource "aws_cloudwatch_metric_alarm" "no_metrics" {
  count = try(var.endpoint.has_instances, false) ? 1 : 0

  alarm_name        = "${var.name}-no-metrics"
  alarm_description = "The endpoint reports nothing."

  namespace           = "AWS/SageMaker"
  metric_name         = "InvocationsPerInstance"
  dimensions          = local.of_endpoint
  statistic           = "SampleCount"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "LessThanThreshold"
  threshold           = 0
  treat_missing_data  = "missing"

  insufficient_data_actions = local.actions
  ok_actions                = local.actions
}

# Drift: the share of the pictures that are unlike the training photographs (docs/TRUST.md). It is 5 % for pictures like
# those of the validation split, because the model's limit accepts 95 % of them. If it were 5 %, 10 of 50 answers would be
# unknown by chance once in 6,300 times (binomial). A day, because drift is slow and many deployments have few requests.
resource "aws_cloudwatch_metric_alarm" "drift" {
  alarm_name        = "${var.name}-drift"
  alarm_description = "In one day, ${floor(var.drift.unknown_share * 100)} % of the pictures or more were not one of the classes. Look at them: make review."

  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.drift.unknown_share
  treat_missing_data  = "notBreaching" # no answers, or a model that cannot tell

  alarm_actions = local.actions
  ok_actions    = local.actions

  metric_query {
    id          = "share"
    expression  = "IF(judged >= ${var.drift.answers}, unknown / judged, 0)"
    label       = "share of unknown pictures"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { judged = "JudgedAnswers", unknown = "UnknownAnswers" }

    content {
      id          = metric_query.key
      return_data = false

      metric {
        namespace   = local.namespace
        metric_name = metric_query.value
        period      = 86400
        stat        = "Sum"
      }
    }
  }
}

# The function writes a line of JSON for each request (payloads/lambda/predictor/log.py). Lambda's own metric Errors does
# not have the failures that the function answers itself.
locals {
  counted = {
    FailedRequests      = { pattern = "{ $.status >= 500 }", value = "1", unit = "Count", default = "0" }
    RequestMilliseconds = { pattern = "{ $.ms >= 0 }", value = "$.ms", unit = "Milliseconds", default = null }
    JudgedAnswers       = { pattern = "{ $.judged >= 1 }", value = "$.judged", unit = "Count", default = null }
    UnknownAnswers      = { pattern = "{ $.judged >= 1 }", value = "$.unknown", unit = "Count", default = null }
    Distance            = { pattern = "{ $.distance >= 0 }", value = "$.distance", unit = "None", default = null }
    ModelMilliseconds   = { pattern = "{ $.endpoint_ms >= 0 }", value = "$.endpoint_ms", unit = "Milliseconds", default = null }
  }
}

resource "aws_cloudwatch_log_metric_filter" "requests" {
  for_each = local.counted

  name           = "${var.name}-${each.key}"
  log_group_name = var.function.log_group
  pattern        = each.value.pattern

  metric_transformation {
    namespace     = local.namespace
    name          = each.key
    value         = each.value.value
    unit          = each.value.unit
    default_value = each.value.default
  }
}
