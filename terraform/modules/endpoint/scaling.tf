# The fleet follows its load between two bounds. Its current count is state of the endpoint and not an attribute here. A
# promotion uses it as the new release's initial count, so it does not shrink a busy endpoint.

# A fleet whose bounds are equal has nothing to scale, and no scalable target. SageMaker's burstable types need this.
# A serverless variant has no fleet: requests start and end its containers.
locals {
  scales = !var.asleep && var.serverless == null && var.scaling.min_instances < var.scaling.max_instances
}

# SageMaker refuses to change the instance type of a variant that is a scalable target: "must be deregistered as
# scalable target". A change of the type replaces the target: Terraform deletes it before it updates the endpoint, and
# creates it afterwards.
resource "terraform_data" "instance_type" {
  input = var.instance_type
}

resource "aws_appautoscaling_target" "instances" {
  count = local.scales ? 1 : 0

  service_namespace  = "sagemaker"
  scalable_dimension = "sagemaker:variant:DesiredInstanceCount"
  resource_id        = "endpoint/${aws_sagemaker_endpoint.endpoint[0].name}/variant/${local.variant}"
  min_capacity       = var.scaling.min_instances
  max_capacity       = var.scaling.max_instances

  lifecycle {
    replace_triggered_by = [terraform_data.instance_type]
  }
}

moved {
  from = aws_appautoscaling_target.instances
  to   = aws_appautoscaling_target.instances[0]
}

resource "aws_appautoscaling_policy" "instances" {
  count = local.scales ? 1 : 0

  name               = "${var.name}-instances"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.instances[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.instances[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.instances[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.scaling.target
    scale_in_cooldown  = var.scaling.scale_in_cooldown
    scale_out_cooldown = var.scaling.scale_out_cooldown

    predefined_metric_specification {
      predefined_metric_type = var.scaling.metric
    }
  }

  lifecycle {
    replace_triggered_by = [terraform_data.instance_type]
  }
}

moved {
  from = aws_appautoscaling_policy.instances
  to   = aws_appautoscaling_policy.instances[0]
}
