# During an update, these alarms bring the old fleet back. They watch the current release's configuration, so they see the
# new fleet alone: errors of the old fleet do not stop the release that repairs them. Their names are those of every
# release, because a change of an endpoint's list of alarms would replace the endpoint.

locals {
  # The fleet that the new one is compared with: that of the previous release.
  compared = concat([for release in keys(var.releases.models) : release if release != var.releases.current], [var.releases.current])[0]

  alarm_dimensions = {
    for release, config in aws_sagemaker_endpoint_configuration.release :
    release => { EndpointName = local.name, VariantName = local.variant, EndpointConfigName = config.name }
  }
}

# A caller's bad photograph is a 4xx and does not count. The average of this metric is the share of the requests.
resource "aws_cloudwatch_metric_alarm" "server_errors" {
  alarm_name        = "${var.name}-endpoint-server-errors"
  alarm_description = "The release of the endpoint ${local.name} answers with server errors. During an update this rolls it back."

  namespace           = "AWS/SageMaker"
  metric_name         = "Invocation5XXErrors"
  dimensions          = local.alarm_dimensions[var.releases.current]
  statistic           = "Average"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.deployment.max_error_share
  treat_missing_data  = "notBreaching" # no calls, no errors
}

# Both fleets have requests while the traffic moves, so the ratio needs no limit in milliseconds and does not follow the
# load. The p99 of so few requests would be the slowest one, and the first ones of new instances are slow. So this is the
# p90 in two minutes, and with fewer than 20 requests in a minute the alarm does not decide.
resource "aws_cloudwatch_metric_alarm" "slow" {
  alarm_name        = "${var.name}-endpoint-slow"
  alarm_description = "The p90 latency of the release of the endpoint ${local.name} is too many times that of the previous release. During an update this rolls it back."

  evaluation_periods  = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.deployment.max_latency_ratio
  treat_missing_data  = "notBreaching" # only one fleet has requests, or none

  metric_query {
    id          = "ratio"
    expression  = "IF(requests >= 20, new / old, 0)"
    label       = "p90 latency of the new fleet, in times of the old one's"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = {
      new      = { release = var.releases.current, statistic = "p90" }
      old      = { release = local.compared, statistic = "p90" }
      requests = { release = var.releases.current, statistic = "SampleCount" }
    }

    content {
      id          = metric_query.key
      return_data = false

      metric {
        namespace   = "AWS/SageMaker"
        metric_name = "ModelLatency"
        dimensions  = local.alarm_dimensions[metric_query.value.release]
        period      = 60
        stat        = metric_query.value.statistic
      }
    }
  }
}
