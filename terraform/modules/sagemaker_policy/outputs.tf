output "trust" {
  description = "The trust policy of the role, in JSON."
  value       = jsonencode(local.trust)
}

output "statements" {
  description = "The statements that the role's policy needs besides its own."
  value       = local.statements
}
