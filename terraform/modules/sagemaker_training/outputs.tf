output "role_arn" {
  description = "The role of the jobs. The output is known when its policy exists."
  value       = aws_iam_role.training.arn
  depends_on  = [aws_iam_role_policy.training]
}

output "log_group" {
  description = "The log group of training jobs. The whole account shares it."
  value       = local.log_group
}
