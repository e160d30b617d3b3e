output "role_arn" {
  description = "The role that jobs run under. It is given out once its policy stands."
  value       = aws_iam_role.training.arn
  depends_on  = [aws_iam_role_policy.training]
}

output "log_group" {
  description = "The log group of training jobs, which the whole account shares."
  value       = local.log_group
}
