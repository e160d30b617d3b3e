# The same picture as `make dashboard`, in the console of CloudWatch.

locals {
  function_metric = ["FunctionName", local.of_function.FunctionName, "Resource", local.of_function.Resource]
  endpoint_metric = ["EndpointName", local.of_endpoint.EndpointName, "VariantName", local.of_endpoint.VariantName]

  graphs = concat(local.function_graphs, [for graph in local.endpoint_graphs : graph if var.endpoint != null])

  function_graphs = [
    {
      title = "Requests and failures a minute"
      stat  = "Sum"
      metrics = [
        concat(["AWS/Lambda", "Invocations"], local.function_metric, ["", "requests"]),
        [local.namespace, "FailedRequests", "", "answered with 5xx"],
        concat(["AWS/Lambda", "Errors"], local.function_metric, ["", "crashes"]),
        concat(["AWS/Lambda", "Throttles"], local.function_metric, ["", "throttled"]),
      ]
    },
    {
      title = "Latency of a request in milliseconds, 99 of 100"
      stat  = "p99"
      metrics = [
        [local.namespace, "RequestMilliseconds", "", "in the function"],
        [local.namespace, "ModelMilliseconds", "", "of the endpoint, as the function sees it"],
      ]
    },
    {
      title = "Pictures a minute, and those that are not one of the classes"
      stat  = "Sum"
      metrics = [
        [local.namespace, "JudgedAnswers", "", "pictures"],
        [local.namespace, "UnknownAnswers", "", "not one of the classes"],
      ]
    },
    {
      title   = "Distance to the training photographs; 1 is the limit"
      stat    = "Average"
      metrics = [[local.namespace, "Distance", "", "distance"]]
    },
    {
      title = "Concurrency of the function"
      stat  = "Maximum"
      metrics = [
        concat(["AWS/Lambda", "ConcurrentExecutions"], local.function_metric, ["", "calls at a time"]),
        concat(["AWS/Lambda", "ProvisionedConcurrentExecutions"], local.function_metric, ["", "on warm environments"]),
      ]
    },
  ]

  endpoint_graphs = [
    {
      title = "The endpoint: requests and failures a minute"
      stat  = "Sum"
      metrics = [
        concat(["AWS/SageMaker", "Invocations"], local.endpoint_metric, ["", "requests"]),
        concat(["AWS/SageMaker", "Invocation4XXErrors"], local.endpoint_metric, ["", "answered with 4xx"]),
        concat(["AWS/SageMaker", "Invocation5XXErrors"], local.endpoint_metric, ["", "answered with 5xx"]),
      ]
    },
    {
      title   = "Latency of the model in microseconds, 99 of 100"
      stat    = "p99"
      metrics = [concat(["AWS/SageMaker", "ModelLatency"], local.endpoint_metric, ["", "model"])]
    },
    {
      title   = "Load of one instance a minute"
      stat    = "Sum"
      metrics = [concat(["AWS/SageMaker", "InvocationsPerInstance"], local.endpoint_metric, ["", "requests"])]
    },
  ]
}

resource "aws_cloudwatch_dashboard" "stack" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = concat(
      [{
        type       = "alarm"
        x          = 0
        y          = 0
        width      = 24
        height     = 2
        properties = { title = "Alarms", alarms = local.alarm_arns }
      }],
      [for number, graph in local.graphs : {
        type   = "metric"
        x      = 8 * (number % 3)
        y      = 2 + 6 * floor(number / 3)
        width  = 8
        height = 6
        properties = {
          title  = graph.title
          region = var.account.region
          stat   = graph.stat
          period = 60
          view   = "timeSeries"
          # The last two of each row are a label.
          metrics = [for row in graph.metrics : concat(slice(row, 0, length(row) - 2), [{ label = row[length(row) - 1] }])]
        }
      }],
    )
  })
}

locals {
  alarm_names = concat([for alarm in aws_cloudwatch_metric_alarm.alarm : alarm.alarm_name], [aws_cloudwatch_metric_alarm.drift.alarm_name], aws_cloudwatch_metric_alarm.no_metrics[*].alarm_name)
  alarm_arns  = [for name in local.alarm_names : "arn:${var.account.partition}:cloudwatch:${var.account.region}:${var.account.id}:alarm:${name}"]
}
