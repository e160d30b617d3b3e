# Watching: what users notice has an alarm, and nothing is watched that is not there.

mock_provider "aws" {}

variables {
  name        = "pawprint"
  account     = { id = "123456789012", partition = "aws", region = "eu-west-1" }
  function    = { name = "pawprint-predictor", alias = "live", timeout_seconds = 30, log_group = "/aws/lambda/pawprint-predictor", warm = true }
  endpoint    = { name = "pawprint", variant = "primary", has_instances = true }
  alarm_email = null
}

run "awake" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  assert {
    condition = toset(output.alarm_names) == toset([for end in [
      "failed-requests", "function-errors", "function-throttles", "spillover", "endpoint-errors", "model-latency", "drift", "no-metrics"
    ] : "pawprint-${end}"])
    error_message = "Failures, latency, throttles, spillover and missing data must each have an alarm."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.alarm["model-latency"].threshold == 15000000 && aws_cloudwatch_metric_alarm.alarm["model-latency"].extended_statistic == "p99"
    error_message = "The latency alarm must be at half of the function's timeout, in microseconds."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.alarm : alarm.treat_missing_data == "notBreaching"])
    error_message = "Without requests no alarm may go on."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.alarm["failed-requests"].namespace == aws_cloudwatch_log_metric_filter.requests["FailedRequests"].metric_transformation[0].namespace
    error_message = "The alarm must watch the metric that the filter makes."
  }

  assert {
    condition = length(setsubtract(
      flatten([for query in aws_cloudwatch_metric_alarm.drift.metric_query : query.metric[*].metric_name]),
      [for filter in aws_cloudwatch_log_metric_filter.requests : filter.metric_transformation[0].name]
    )) == 0
    error_message = "The alarm on drift must watch metrics that filters make."
  }

  assert {
    condition     = length(aws_sns_topic.alarms) == 0 && length(aws_cloudwatch_event_rule.failed_jobs) == 0
    error_message = "Without an address nothing may send."
  }

  assert {
    condition = alltrue([for widget in jsondecode(aws_cloudwatch_dashboard.stack.dashboard_body).widgets :
      alltrue([for row in try(widget.properties.metrics, []) : length(row) % 2 == 1])
    ])
    error_message = "Each graph must have a namespace, a metric and pairs of dimensions, and a label."
  }
}

run "asleep_or_without_an_endpoint" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    endpoint = null
    function = { name = "pawprint-predictor", alias = "live", timeout_seconds = 30, log_group = "/aws/lambda/pawprint-predictor", warm = false }
  }

  assert {
    condition     = toset(output.alarm_names) == toset(["pawprint-failed-requests", "pawprint-function-errors", "pawprint-function-throttles", "pawprint-drift"])
    error_message = "Nothing may be watched that is not there."
  }
}

run "email" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    alarm_email = "team@example.org"
  }

  assert {
    condition     = aws_sns_topic_subscription.email[0].endpoint == "team@example.org"
    error_message = "The address must get the e-mails."
  }

  assert {
    condition     = [for statement in jsondecode(aws_sns_topic_policy.alarms[0].policy).Statement : can(statement.Condition)] == [true, false]
    error_message = "Only CloudWatch's statement may have a condition, because EventBridge's would never be true."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.failed_jobs[0].event_pattern).detail.TrainingJobName[0].prefix == "pawprint-"
    error_message = "Only failed jobs of this stack may send an e-mail."
  }
}

run "budget" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    alarm_email    = "team@example.org"
    monthly_budget = 150
  }

  assert {
    condition     = one(aws_budgets_budget.monthly[0].cost_filter).values == tolist(["user:Project$pawprint"])
    error_message = "The budget must count the costs of this stack only."
  }

  assert {
    condition     = toset([for each in aws_budgets_budget.monthly[0].notification : each.notification_type]) == toset(["ACTUAL", "FORECASTED"])
    error_message = "The budget must warn about what was spent and about what is forecast."
  }
}

run "refuses_a_budget_without_an_address" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    alarm_email    = null
    monthly_budget = 150
  }

  expect_failures = [var.monthly_budget]
}

run "refuses_what_is_not_an_address" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    alarm_email = "team"
  }

  expect_failures = [var.alarm_email]
}
