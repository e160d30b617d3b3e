output "url" {
  description = "The address that classifies an image."
  value       = module.predictor.url
}
