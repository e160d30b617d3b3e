output "instance_id" {
  description = "The training instance."
  value       = aws_instance.training.id
}

output "instance_type" {
  description = "Its type."
  value       = aws_instance.training.instance_type
}

output "log_group" {
  description = "The log group that commands on it write to."
  value       = aws_cloudwatch_log_group.training.name
}
