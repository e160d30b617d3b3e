output "plan_role_arn" {
  description = "The role of pull requests. It reads."
  value       = aws_iam_role.ci["plan"].arn
}

output "apply_role_arn" {
  description = "The role of the protected environment. It applies."
  value       = aws_iam_role.ci["apply"].arn
}
