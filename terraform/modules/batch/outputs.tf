output "model_name" {
  description = "The SageMaker model that transform jobs run: the current release."
  value       = aws_sagemaker_model.current.name
}

output "log_group" {
  description = "The log group of transform jobs. The whole account shares it."
  value       = local.log_group
}
