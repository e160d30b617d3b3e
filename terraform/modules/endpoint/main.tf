# A model behind an endpoint. Each release has its own model and endpoint configuration, which are named by their
# content. A promotion adds a pair and points the endpoint to it. A rollback points the endpoint to a pair that still
# exists. A configuration that is in use is never changed or deleted.

locals {
  # SageMaker never converts instances to serverless. Another name lets the new kind start before the old one ends.
  name = var.serverless == null ? var.name : "${var.name}-serverless"

  # The adapter of AWS's Ray Serve image calls Ray Serve, or the address in this variable: the server that the replica
  # runs itself (payloads/inference/serve_app.py, docs/adr/0013).
  container_environment = { RAYSERVE_BACKEND_URL = "http://127.0.0.1:9000" }

  # Fixed, because the scaling target and the alarm use it in every release.
  variant = "primary"

  # The serving code verifies the hash when it loads the model (payloads/inference/inference.py).
  environments = {
    for release, model in var.releases.models :
    release => merge(local.container_environment, model.sha256 == null ? {} : { MODEL_SHA256 = model.sha256 })
  }

  # Empty without a network, so that its names are those of stacks from before the setting existed.
  place = [for network in var.network[*] : [network.subnet_ids, network.security_group_ids]]

  model_names = {
    for release, model in var.releases.models :
    release => "${var.name}-${substr(sha256(jsonencode(concat([release, model.model_data_url, var.image, local.environments[release]], local.place, local.serverless))), 0, 12)}"
  }

  serverless = var.serverless == null ? [] : ["serverless"]

  instance_counts = {
    for release, model in var.releases.models :
    release => coalesce(model.initial_instance_count, var.initial_instance_count)
  }

  # The name is a hash of everything that SageMaker cannot change in place, so a changed configuration has a new name.
  config_contents = {
    for release, model_name in local.model_names :
    release => (
      var.serverless == null
      ? jsonencode(concat([model_name, local.variant, var.instance_type, local.instance_counts[release], var.startup_seconds], var.kms_key_arn[*]))
      : jsonencode([model_name, local.variant, var.serverless])
    )
  }

  config_names = { for release, contents in local.config_contents : release => "${var.name}-${substr(sha256(contents), 0, 12)}" }
}

resource "aws_sagemaker_model" "release" {
  for_each = var.releases.models

  name               = local.model_names[each.key]
  execution_role_arn = aws_iam_role.endpoint.arn

  # The model needs its archive only. A model that was trained on a user's photographs cannot call any address.
  # modelmoat SMK-001 asks for a VPC: the setting `network` gives it one, and isolation closes its network in any case.
  # Serverless inference does not support isolation.
  enable_network_isolation = var.serverless == null

  dynamic "vpc_config" {
    for_each = var.network[*]

    content {
      subnets            = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  primary_container {
    image          = var.image
    model_data_url = each.value.model_data_url
    environment    = local.environments[each.key]
  }

  lifecycle {
    create_before_destroy = true
  }

  # SageMaker reads the archive with this role when an endpoint needs it.
  depends_on = [aws_iam_role_policy.endpoint]
}

resource "aws_sagemaker_endpoint_configuration" "release" {
  for_each = var.releases.models

  name        = local.config_names[each.key]
  kms_key_arn = var.serverless == null ? var.kms_key_arn : null # of the instances' volumes

  production_variants {
    variant_name           = local.variant
    model_name             = aws_sagemaker_model.release[each.key].name
    instance_type          = var.serverless == null ? var.instance_type : null
    initial_instance_count = var.serverless == null ? local.instance_counts[each.key] : null
    initial_variant_weight = 1

    # The default host of a GPU instance has drivers too old for the CUDA of the image.
    inference_ami_version = var.gpu && var.serverless == null ? "al2-ami-sagemaker-inference-gpu-3-1" : null

    container_startup_health_check_timeout_in_seconds = var.serverless == null ? var.startup_seconds : null

    dynamic "serverless_config" {
      for_each = var.serverless[*]

      content {
        memory_size_in_mb = serverless_config.value.memory_mb
        max_concurrency   = serverless_config.value.max_concurrency
      }
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_sagemaker_endpoint" "endpoint" {
  count = var.asleep ? 0 : 1

  name                 = local.name
  endpoint_config_name = aws_sagemaker_endpoint_configuration.release[var.releases.current].name

  # SageMaker's deployment guardrails are for instances.
  dynamic "deployment_config" {
    for_each = var.serverless == null ? [var.deployment] : []

    content {
      dynamic "blue_green_update_policy" {
        for_each = deployment_config.value.shift == "rolling" ? [] : [deployment_config.value]

        content {
          termination_wait_in_seconds = deployment_config.value.termination_seconds

          traffic_routing_configuration {
            type                     = replace(upper(deployment_config.value.shift), "-", "_")
            wait_interval_in_seconds = deployment_config.value.bake_seconds

            dynamic "canary_size" {
              for_each = deployment_config.value.shift == "canary" ? [deployment_config.value.percent] : []

              content {
                type  = "CAPACITY_PERCENT"
                value = canary_size.value
              }
            }

            dynamic "linear_step_size" {
              for_each = deployment_config.value.shift == "linear" ? [deployment_config.value.percent] : []

              content {
                type  = "CAPACITY_PERCENT"
                value = linear_step_size.value
              }
            }
          }
        }
      }

      dynamic "rolling_update_policy" {
        for_each = deployment_config.value.shift == "rolling" ? [deployment_config.value] : []

        content {
          wait_interval_in_seconds = deployment_config.value.bake_seconds

          maximum_batch_size {
            type  = "CAPACITY_PERCENT"
            value = deployment_config.value.percent
          }
        }
      }

      auto_rollback_configuration {
        alarms {
          alarm_name = aws_cloudwatch_metric_alarm.server_errors.alarm_name
        }

        alarms {
          alarm_name = aws_cloudwatch_metric_alarm.slow.alarm_name
        }
      }
    }
  }

  lifecycle {
    # If the kind changes, the function calls the new endpoint, or has the model itself, before this one ends.
    create_before_destroy = true

    # A change of the list of alarms would replace the endpoint (provider 5.100). An endpoint from before the alarm `slow`
    # keeps its list until it is created again, as by `make sleep` and `make wake`.
    ignore_changes = [deployment_config[0].auto_rollback_configuration]

    # SageMaker may roll an update back and be in service again, which the provider reports as success (its issue
    # 46663). The provider then reads the old configuration. Stop here, before Terraform deletes that configuration.
    postcondition {
      condition     = self.endpoint_config_name == aws_sagemaker_endpoint_configuration.release[var.releases.current].name
      error_message = "SageMaker rolled the endpoint back to its previous configuration, so the release ${var.releases.current} is not in service. The reason is in the endpoint's log: ${aws_cloudwatch_log_group.endpoint.name}."
    }
  }

  # Otherwise SageMaker creates the log group with the first line, and the group has no retention and is not destroyed.
  depends_on = [aws_cloudwatch_log_group.endpoint]
}

moved {
  from = aws_sagemaker_endpoint.endpoint
  to   = aws_sagemaker_endpoint.endpoint[0]
}

resource "aws_cloudwatch_log_group" "endpoint" {
  # checkov:skip=CKV_AWS_338: log_retention_days decides; keeping lines costs money
  name              = "/aws/sagemaker/Endpoints/${local.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}
