output "url" {
  description = "The address that takes an image and answers its classes."
  value       = module.predictor.url
}
