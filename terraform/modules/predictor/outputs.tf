output "function_name" {
  description = "The function."
  value       = aws_lambda_function.predictor.function_name
}

output "alias" {
  description = "The alias that callers use."
  value       = aws_lambda_alias.live.name
}

output "url" {
  description = "The function URL. The output is known when the permissions of its callers exist."
  value       = aws_lambda_function_url.live.function_url
  depends_on  = [aws_lambda_permission.public_url, aws_cloudformation_stack.public_invoke]
}

output "log_group" {
  description = "The function's log group."
  value       = aws_cloudwatch_log_group.predictor.name
}
