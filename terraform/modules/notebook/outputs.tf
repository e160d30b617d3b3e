output "name" {
  description = "The notebook instance."
  value       = aws_sagemaker_notebook_instance.notebook.name
}
