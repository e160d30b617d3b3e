output "name" {
  description = "The endpoint's name, also while it is asleep. The output is known when the endpoint is in service."
  value       = coalesce(one(aws_sagemaker_endpoint.endpoint[*].name), local.name)
}

output "arn" {
  description = "The endpoint's ARN."
  value       = "arn:${var.account.partition}:sagemaker:${var.account.region}:${var.account.id}:endpoint/${coalesce(one(aws_sagemaker_endpoint.endpoint[*].name), local.name)}"
}

output "variant" {
  description = "The endpoint variant."
  value       = local.variant
}

output "container_environment" {
  description = "The environment variables of the endpoint's containers."
  value       = local.container_environment
}

output "config_name" {
  description = "The endpoint configuration of the current release."
  value       = aws_sagemaker_endpoint_configuration.release[var.releases.current].name
}

output "log_group" {
  description = "The log group of the endpoint's containers."
  value       = aws_cloudwatch_log_group.endpoint.name
}
