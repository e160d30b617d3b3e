output "name" {
  description = "The name of the deployment."
  value       = var.name
}

output "region" {
  description = "The region of the deployment."
  value       = var.region
}

output "artifacts_bucket" {
  description = "The bucket of datasets, payloads, models and checkpoints."
  value       = module.artifacts.bucket
}

output "training_role_arn" {
  description = "The role of training and tuning jobs."
  value       = module.sagemaker_training.role_arn
}

output "training_image" {
  description = "The full URI of the image that training jobs run in."
  value       = local.images.training
}

output "training_instance_type" {
  description = "The default instance type of training jobs."
  value       = var.training.instance_type
}

output "training_log_group" {
  description = "The log group of training jobs, shared by the whole account."
  value       = module.sagemaker_training.log_group
}

output "training_subnet_ids" {
  description = "The subnets of training jobs. Empty in SageMaker's own network."
  value       = local.training_network.subnet_ids
}

output "training_security_group_ids" {
  description = "The security groups of training jobs. Empty in SageMaker's own network."
  value       = local.training_network.security_group_ids
}

output "kms_key_arn" {
  description = "The KMS key that encrypts every store. Null if AWS's keys do."
  value       = var.kms_key_arn
}

output "training_volume_kms_key_arn" {
  description = "The KMS key of the volumes of training jobs. Null for types whose local disks the hardware encrypts."
  value       = local.training_volume_key
}

output "notebook_name" {
  description = "The SageMaker notebook instance."
  value       = module.notebook.name
}

output "ec2_instance_id" {
  description = "The training instance."
  value       = module.ec2_training.instance_id
}

output "ec2_instance_type" {
  description = "The type of the training instance."
  value       = module.ec2_training.instance_type
}

output "ec2_log_group" {
  description = "The log group that commands on the training instance write to."
  value       = module.ec2_training.log_group
}

output "ec2_idle_minutes" {
  description = "The minutes after which the training instance stops itself when nothing trains on it."
  value       = var.ec2.idle_minutes
}

output "endpoint_kind" {
  description = "The kind of the endpoint: instances, serverless or in-function."
  value       = var.endpoint.kind
}

output "endpoint_name" {
  description = "The endpoint. Null if the function has the model itself."
  value       = one(module.endpoint[*].name)
}

output "endpoint_image" {
  description = "The image that the endpoint serves in."
  value       = local.images.endpoint
}

output "endpoint_variant" {
  description = "The endpoint variant: the only fleet of the endpoint."
  value       = one(module.endpoint[*].variant)
}

output "endpoint_config_name" {
  description = "The endpoint configuration of the current release: what the live endpoint must report after an apply."
  value       = one(module.endpoint[*].config_name)
}

output "endpoint_log_group" {
  description = "The log group of the endpoint's containers."
  value       = one(module.endpoint[*].log_group)
}

output "batch_model_name" {
  description = "The model that batch transform jobs run."
  value       = module.batch.model_name
}

output "batch_log_group" {
  description = "The log group of batch transform jobs, shared by the whole account."
  value       = module.batch.log_group
}

output "batch_instance_type" {
  description = "The instance type of batch transform jobs."
  value       = var.batch.instance_type
}

output "release" {
  description = "The release that is served."
  value       = local.releases.current
}

output "model_data_url" {
  description = "The address of the archive of the current release."
  value       = local.releases.models[local.releases.current].model_data_url
}

output "function_name" {
  description = "The predictor function."
  value       = module.predictor.function_name
}

output "function_alias" {
  description = "The alias that the function URL, the provisioned concurrency and callers use."
  value       = module.predictor.alias
}

output "function_url" {
  description = "The address that classifies an image."
  value       = module.predictor.url
}

output "function_log_group" {
  description = "The log group of the function."
  value       = module.predictor.log_group
}

output "predictor_auth_type" {
  description = "Who may call the function URL: AWS_IAM for signed requests of the account, KEY for those who have the API key, NONE for everybody."
  value       = var.predictor.auth_type
}

output "predictor_capture" {
  description = "Whether the function keeps a sample of the images for `make review`."
  value       = var.predictor.capture != null
}

output "predictor_uploads" {
  description = "Whether the function gives out addresses for uploads."
  value       = var.predictor.uploads
}

output "ci_role_arns" {
  description = "The roles of the workflow deploy.yml: plan and apply. Null without the setting ci."
  value       = var.ci == null ? null : { plan = module.ci[0].plan_role_arn, apply = module.ci[0].apply_role_arn }
}

output "alarm_names" {
  description = "The alarms of the stack."
  value       = concat(module.monitoring.alarm_names, local.in_function ? [] : ["${var.name}-endpoint-server-errors", "${var.name}-endpoint-slow"])
}

output "metrics_namespace" {
  description = "The namespace of the metrics that come out of the function's log."
  value       = module.monitoring.namespace
}

output "dashboard_name" {
  description = "The CloudWatch dashboard."
  value       = module.monitoring.dashboard
}

output "model_package_group" {
  description = "The group of the promoted models in SageMaker's Model Registry. Null without `registry`."
  value       = one(aws_sagemaker_model_package_group.models[*].model_package_group_name)
}
