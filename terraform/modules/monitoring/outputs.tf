output "alarm_names" {
  description = "The alarms."
  value       = local.alarm_names
}

output "namespace" {
  description = "The namespace of the metrics that come out of the function's log."
  value       = local.namespace
}

output "dashboard" {
  description = "The CloudWatch dashboard."
  value       = aws_cloudwatch_dashboard.stack.dashboard_name
}
