# The warm environments follow their use between two bounds. Their current count is state of AWS and not an attribute
# here, so neither an apply nor a deployment resets a busy function.

resource "aws_appautoscaling_target" "provisioned" {
  count = var.scaling == null ? 0 : 1

  service_namespace  = "lambda"
  scalable_dimension = "lambda:function:ProvisionedConcurrency"
  resource_id        = "function:${aws_lambda_alias.live.function_name}:${aws_lambda_provisioned_concurrency_config.live[0].qualifier}"
  min_capacity       = var.provisioned
  max_capacity       = var.scaling.max_provisioned
}

resource "aws_appautoscaling_policy" "provisioned" {
  count = var.scaling == null ? 0 : 1

  name               = "${local.function}-provisioned"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.provisioned[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.provisioned[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.provisioned[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.scaling.utilization
    scale_in_cooldown  = var.scaling.scale_in_cooldown
    scale_out_cooldown = var.scaling.scale_out_cooldown

    predefined_metric_specification {
      predefined_metric_type = "LambdaProvisionedConcurrencyUtilization"
    }
  }
}
