# The endpoint: releases side by side, replaced without downtime, scaled by a policy that can be chosen.

mock_provider "aws" {}

variables {
  name      = "pawprint"
  account   = { id = "123456789012", partition = "aws", region = "eu-west-1" }
  artifacts = { bucket = "the-bucket", arn = "arn:aws:s3:::the-bucket", key_statements = [] }
  releases = {
    current = "run-2"
    models = {
      run-1 = { model_data_url = "s3://the-bucket/releases/aa/model.tar.gz" }
      run-2 = { model_data_url = "s3://the-bucket/releases/bb/model.tar.gz", initial_instance_count = 3 }
    }
  }
  asleep                 = false
  image                  = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/ray:serve-ml-sagemaker-cpu-v1.4"
  instance_type          = "ml.m5.large"
  serverless             = null
  gpu                    = false
  initial_instance_count = 1
  startup_seconds        = 240
  deployment = {
    shift               = "canary"
    percent             = 10
    bake_seconds        = 120
    termination_seconds = 0
    max_error_share     = 0.05
    max_latency_ratio   = 2
  }
  scaling = {
    min_instances      = 1
    max_instances      = 4
    metric             = "SageMakerVariantInvocationsPerInstance"
    target             = 600
    scale_in_cooldown  = 300
    scale_out_cooldown = 60
  }
  log_retention_days = 30
}

run "asleep" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    asleep = true
  }

  assert {
    condition     = length(aws_sagemaker_endpoint.endpoint) + length(aws_appautoscaling_target.instances) + length(aws_appautoscaling_policy.instances) == 0
    error_message = "A stack that is asleep must have no endpoint and no scaling policy, because they cost or need one."
  }

  assert {
    condition     = length(aws_sagemaker_model.release) == 2 && length(aws_sagemaker_endpoint_configuration.release) == 2
    error_message = "The releases must stay while the endpoint is asleep, so that it can be created again."
  }

  assert {
    condition     = output.name == "pawprint" && endswith(output.arn, ":endpoint/pawprint")
    error_message = "The function must keep the endpoint's name and ARN while the endpoint is asleep, so that it does not change."
  }
}

run "releases" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  assert {
    condition     = aws_sagemaker_endpoint.endpoint[0].endpoint_config_name == aws_sagemaker_endpoint_configuration.release["run-2"].name
    error_message = "The endpoint must serve the current release."
  }

  assert {
    condition     = contains(keys(aws_sagemaker_endpoint_configuration.release), "run-1")
    error_message = "The previous release must keep its configuration."
  }

  assert {
    condition     = aws_sagemaker_endpoint_configuration.release["run-1"].name != aws_sagemaker_endpoint_configuration.release["run-2"].name
    error_message = "Releases must not share a configuration's name."
  }

  assert {
    condition     = aws_sagemaker_endpoint_configuration.release["run-2"].production_variants[0].initial_instance_count == 3
    error_message = "A release must start with the count it brings: the live one."
  }

  assert {
    condition     = aws_sagemaker_endpoint_configuration.release["run-1"].production_variants[0].initial_instance_count == 1
    error_message = "A release that brings no count must start with the initial one."
  }

  assert {
    condition     = alltrue([for model in aws_sagemaker_model.release : model.enable_network_isolation])
    error_message = "Models must run without a network."
  }

  assert {
    condition     = output.name == "pawprint" && output.variant == "primary" && output.log_group == "/aws/sagemaker/Endpoints/pawprint"
    error_message = "The endpoint's names must be those that callers, the alarm and SageMaker's logs expect."
  }
}

# The names with everything as above; the runs below change one thing each and must meet other names.
run "names_follow_the_instance_type" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    instance_type = "ml.c7i.large"
  }

  assert {
    condition     = aws_sagemaker_endpoint_configuration.release["run-2"].name != run.releases.config_name
    error_message = "Another instance type must be another configuration, because SageMaker changes none in place."
  }

  assert {
    condition     = aws_sagemaker_model.release["run-2"].name == aws_sagemaker_endpoint_configuration.release["run-2"].production_variants[0].model_name
    error_message = "A configuration must name the model of its release."
  }
}

run "names_follow_the_image" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    image = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/ray:serve-ml-sagemaker-cpu-v1.5"
  }

  assert {
    condition     = aws_sagemaker_endpoint_configuration.release["run-2"].name != run.releases.config_name
    error_message = "Another image must be another model and another configuration."
  }
}

run "a_gpu_gets_a_host_with_drivers_for_it" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    instance_type = "ml.g5.xlarge"
    gpu           = true
  }

  assert {
    condition     = aws_sagemaker_endpoint_configuration.release["run-2"].production_variants[0].inference_ami_version == "al2-ami-sagemaker-inference-gpu-3-1"
    error_message = "A GPU instance must get the host whose drivers suit the image's CUDA."
  }
}

run "refuses_processors_that_the_archive_does_not_run_on" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    instance_type = "ml.c7g.large"
  }

  expect_failures = [var.instance_type]
}

run "names_follow_the_instance_count" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    releases = {
      current = "run-2"
      models = {
        run-2 = { model_data_url = "s3://the-bucket/releases/bb/model.tar.gz", initial_instance_count = 2 }
      }
    }
  }

  assert {
    condition     = aws_sagemaker_endpoint_configuration.release["run-2"].name != run.releases.config_name
    error_message = "Another initial count must be another configuration."
  }
}

run "names_do_not_follow_the_neighbours" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    releases = {
      current = "run-2"
      models = {
        run-2 = { model_data_url = "s3://the-bucket/releases/bb/model.tar.gz", initial_instance_count = 3 }
        run-3 = { model_data_url = "s3://the-bucket/models/run-3/output/model.tar.gz" }
      }
    }
  }

  assert {
    condition     = aws_sagemaker_endpoint_configuration.release["run-2"].name == run.releases.config_name
    error_message = "A release must keep its configuration while others come and go."
  }
}

run "deployment" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  assert {
    condition = alltrue([
      for routing in aws_sagemaker_endpoint.endpoint[0].deployment_config[0].blue_green_update_policy[0].traffic_routing_configuration :
      routing.type == "CANARY" && one(routing.canary_size).type == "CAPACITY_PERCENT" && one(routing.canary_size).value == 10
    ])
    error_message = "A share of the traffic must try the new fleet first."
  }

  assert {
    condition     = aws_sagemaker_endpoint.endpoint[0].deployment_config[0].blue_green_update_policy[0].traffic_routing_configuration[0].wait_interval_in_seconds == 120
    error_message = "The new fleet must be watched before the old one goes."
  }

  assert {
    condition     = toset([for alarm in aws_sagemaker_endpoint.endpoint[0].deployment_config[0].auto_rollback_configuration[0].alarms : alarm.alarm_name]) == toset(["pawprint-endpoint-server-errors", "pawprint-endpoint-slow"])
    error_message = "Both alarms must bring the old fleet back, and keep their names: a change would replace the endpoint."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.server_errors.dimensions == tomap({ EndpointName = "pawprint", VariantName = "primary", EndpointConfigName = aws_sagemaker_endpoint_configuration.release["run-2"].name })
    error_message = "The alarm must watch the new fleet alone, so that errors of the old one do not stop its repair."
  }

  assert {
    condition = { for query in aws_cloudwatch_metric_alarm.slow.metric_query : query.id => one(query.metric).dimensions.EndpointConfigName if length(query.metric) == 1 } == {
      new      = aws_sagemaker_endpoint_configuration.release["run-2"].name
      old      = aws_sagemaker_endpoint_configuration.release["run-1"].name
      requests = aws_sagemaker_endpoint_configuration.release["run-2"].name
    }
    error_message = "The latency of the current release must be compared with that of the previous one."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.server_errors.treat_missing_data == "notBreaching" && aws_cloudwatch_metric_alarm.slow.treat_missing_data == "notBreaching"
    error_message = "An endpoint that nobody calls must not be rolled back."
  }
}

run "rolling" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    deployment = { shift = "rolling", percent = 25, bake_seconds = 60, termination_seconds = 0, max_error_share = 0.05, max_latency_ratio = 2 }
  }

  assert {
    condition     = length(aws_sagemaker_endpoint.endpoint[0].deployment_config[0].blue_green_update_policy) == 0 && aws_sagemaker_endpoint.endpoint[0].deployment_config[0].rolling_update_policy[0].maximum_batch_size[0].value == 25
    error_message = "A rolling update must replace a batch of instances at a time, and there must be only one policy."
  }
}

run "linear" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    deployment = { shift = "linear", percent = 25, bake_seconds = 60, termination_seconds = 0, max_error_share = 0.05, max_latency_ratio = 2 }
  }

  assert {
    condition     = aws_sagemaker_endpoint.endpoint[0].deployment_config[0].blue_green_update_policy[0].traffic_routing_configuration[0].type == "LINEAR" && aws_sagemaker_endpoint.endpoint[0].deployment_config[0].blue_green_update_policy[0].traffic_routing_configuration[0].linear_step_size[0].value == 25
    error_message = "The traffic must move in steps of the size that was asked for."
  }
}

run "refuses_a_step_that_sagemaker_refuses" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    deployment = { shift = "linear", percent = 5, bake_seconds = 60, termination_seconds = 0, max_error_share = 0.05, max_latency_ratio = 2 }
  }

  expect_failures = [var.deployment]
}

run "scaling" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  assert {
    condition     = aws_appautoscaling_target.instances[0].resource_id == "endpoint/pawprint/variant/primary"
    error_message = "The scaling target must be the endpoint's variant."
  }

  assert {
    condition     = aws_appautoscaling_target.instances[0].min_capacity == 1 && aws_appautoscaling_target.instances[0].max_capacity == 4
    error_message = "The fleet must keep to its bounds."
  }

  assert {
    condition     = aws_appautoscaling_policy.instances[0].target_tracking_scaling_policy_configuration[0].target_value == 600
    error_message = "The metric must be held at the target."
  }

  assert {
    condition     = aws_appautoscaling_policy.instances[0].target_tracking_scaling_policy_configuration[0].scale_in_cooldown == 300 && aws_appautoscaling_policy.instances[0].target_tracking_scaling_policy_configuration[0].scale_out_cooldown == 60
    error_message = "The cooldowns must be those that were asked for."
  }
}

run "scaling_on_concurrency" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    scaling = {
      min_instances      = 1
      max_instances      = 4
      metric             = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
      target             = 4
      scale_in_cooldown  = 300
      scale_out_cooldown = 0
    }
  }

  assert {
    condition     = aws_appautoscaling_policy.instances[0].target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].predefined_metric_type == "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    error_message = "The metric must be selectable."
  }
}

run "role" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  assert {
    condition = flatten([for statement in jsondecode(aws_iam_role_policy.endpoint.policy).Statement :
      statement.Resource if contains(flatten([statement.Action]), "s3:GetObject")
    ]) == ["arn:aws:s3:::the-bucket/releases/*", "arn:aws:s3:::the-bucket/payloads/bootstrap/*"]
    error_message = "The endpoint must be able to read models only."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.endpoint.policy, "s3:Put") && !strcontains(aws_iam_role_policy.endpoint.policy, "s3:Delete")
    error_message = "The endpoint must not be able to write to the bucket."
  }

  assert {
    condition = alltrue([for resource in flatten([for statement in jsondecode(aws_iam_role_policy.endpoint.policy).Statement :
      statement.Resource if contains(flatten([statement.Action]), "logs:PutLogEvents")
    ]) : strcontains(resource, ":log-group:/aws/sagemaker/Endpoints/pawprint")])
    error_message = "The endpoint must be able to write its own log only."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.endpoint.policy).Statement :
      statement.Sid if contains(flatten([statement.Resource]), "*")
    ] == ["LogInToTheRegistry", "WriteMetrics"]
    error_message = "Only what AWS cannot bind to a resource may be granted on all of them."
  }
}

run "refuses_a_current_release_without_a_model" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    releases = { current = "run-3", models = { run-1 = { model_data_url = "s3://the-bucket/releases/aa/model.tar.gz" } } }
  }

  # The configuration of a release that is not there cannot be looked up, either; the variable's message comes first.
  expect_failures = [var.releases]
}

run "refuses_a_model_that_is_no_archive" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    releases = { current = "run-1", models = { run-1 = { model_data_url = "https://example.org/model.tar.gz" } } }
  }

  expect_failures = [var.releases]
}

run "refuses_an_image_without_a_tag" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    image = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/ray"
  }

  expect_failures = [var.image]
}

run "refuses_an_instance_type_of_ec2" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    instance_type = "m5.large"
  }

  expect_failures = [var.instance_type]
}

run "refuses_a_start_beyond_the_limit" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    startup_seconds = 3601
  }

  expect_failures = [var.startup_seconds]
}

run "refuses_an_alarm_at_nothing" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    deployment = { shift = "canary", percent = 10, bake_seconds = 0, termination_seconds = 0, max_error_share = 1, max_latency_ratio = 2 }
  }

  expect_failures = [var.deployment]
}

run "refuses_to_watch_for_ever" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    deployment = { shift = "canary", percent = 10, bake_seconds = 7200, termination_seconds = 0, max_error_share = 0.05, max_latency_ratio = 2 }
  }

  expect_failures = [var.deployment]
}

run "a_fleet_of_a_fixed_size_does_not_scale" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    instance_type = "ml.t2.medium"
    scaling       = { min_instances = 1, max_instances = 1, metric = "SageMakerVariantInvocationsPerInstance", target = 1, scale_in_cooldown = 0, scale_out_cooldown = 0 }
  }

  assert {
    condition     = length(aws_appautoscaling_target.instances) == 0 && length(aws_appautoscaling_policy.instances) == 0
    error_message = "A fleet of a fixed size must have no scalable target, because SageMaker refuses one on burstable instances."
  }
}

run "refuses_to_scale_burstable_instances" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    instance_type = "ml.t2.medium"
    scaling       = { min_instances = 1, max_instances = 2, metric = "SageMakerVariantInvocationsPerInstance", target = 1, scale_in_cooldown = 0, scale_out_cooldown = 0 }
  }

  expect_failures = [var.scaling]
}

run "refuses_crossed_bounds" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    scaling = { min_instances = 3, max_instances = 2, metric = "SageMakerVariantInvocationsPerInstance", target = 1, scale_in_cooldown = 0, scale_out_cooldown = 0 }
  }

  expect_failures = [var.scaling]
}

run "refuses_an_unknown_metric" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    scaling = { min_instances = 1, max_instances = 2, metric = "CPUUtilization", target = 1, scale_in_cooldown = 0, scale_out_cooldown = 0 }
  }

  expect_failures = [var.scaling]
}

run "refuses_a_target_of_nothing" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    scaling = { min_instances = 1, max_instances = 2, metric = "SageMakerVariantInvocationsPerInstance", target = 0, scale_in_cooldown = 0, scale_out_cooldown = 0 }
  }

  expect_failures = [var.scaling]
}

run "refuses_a_negative_cooldown" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    scaling = { min_instances = 1, max_instances = 2, metric = "SageMakerVariantInvocationsPerInstance", target = 1, scale_in_cooldown = -1, scale_out_cooldown = 0 }
  }

  expect_failures = [var.scaling]
}

run "in_a_given_network_with_a_kms_key" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    network = {
      subnet_ids         = ["subnet-0a", "subnet-0b"]
      security_group_ids = ["sg-0a"]
      statements         = [{ Sid = "ConnectToTheSubnets", Effect = "Allow", Action = ["ec2:CreateNetworkInterface"], Resource = ["*"] }]
    }
    kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c"
    permissions_boundary = "arn:aws:iam::123456789012:policy/limit"
  }

  assert {
    condition     = alltrue([for model in aws_sagemaker_model.release : model.vpc_config[0].subnets == toset(["subnet-0a", "subnet-0b"]) && model.vpc_config[0].security_group_ids == toset(["sg-0a"])])
    error_message = "The instances must be in the given subnets."
  }

  assert {
    condition     = alltrue([for config in aws_sagemaker_endpoint_configuration.release : config.kms_key_arn == "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c"])
    error_message = "A given KMS key must encrypt the volumes."
  }

  assert {
    condition     = aws_cloudwatch_log_group.endpoint.kms_key_id == "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c"
    error_message = "A given KMS key must encrypt the log group."
  }

  assert {
    condition     = output.config_name != run.releases.config_name
    error_message = "Another network and another key must have other names, because SageMaker cannot change either."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.endpoint.policy).Statement : [statement.Resource, statement.Condition.Bool["kms:GrantIsForAWSResource"]] if statement.Action == "kms:CreateGrant"] == [["arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c", "true"]]
    error_message = "The role may let AWS use the key for volumes, and nobody else."
  }

  assert {
    condition     = aws_iam_role.endpoint.permissions_boundary == "arn:aws:iam::123456789012:policy/limit"
    error_message = "The boundary must limit the role."
  }

  assert {
    condition     = contains([for statement in jsondecode(aws_iam_role_policy.endpoint.policy).Statement : statement.Sid], "ConnectToTheSubnets")
    error_message = "The role must be able to connect to the subnets."
  }
}

run "verifies_a_model" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    releases = {
      current = "run-2"
      models = {
        run-1 = { model_data_url = "s3://the-bucket/models/run-1/output/model.tar.gz" }
        run-2 = { model_data_url = "s3://the-bucket/releases/bb/model.tar.gz", sha256 = "bb" }
      }
    }
  }

  assert {
    condition     = [for release in ["run-1", "run-2"] : lookup(aws_sagemaker_model.release[release].primary_container[0].environment, "MODEL_SHA256", "none")] == ["none", "bb"]
    error_message = "The endpoint must get the hash of the promoted model."
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.endpoint.policy, "arn:aws:s3:::the-bucket/models/*")
    error_message = "A release of an older version must still be readable."
  }
}

run "serverless" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    serverless = { memory_mb = 4096, max_concurrency = 7 }
  }

  assert {
    condition = alltrue([for config in aws_sagemaker_endpoint_configuration.release :
      config.production_variants[0].serverless_config[0].memory_size_in_mb == 4096 && config.production_variants[0].serverless_config[0].max_concurrency == 7
    ])
    error_message = "The containers must have the memory and the concurrency that were asked for."
  }

  assert {
    condition     = length(aws_appautoscaling_target.instances) == 0 && length(aws_sagemaker_endpoint.endpoint[0].deployment_config) == 0
    error_message = "A serverless endpoint has no instances that could be scaled or replaced blue/green."
  }

  assert {
    condition     = alltrue([for model in aws_sagemaker_model.release : !model.enable_network_isolation])
    error_message = "Serverless inference does not support network isolation."
  }

  assert {
    condition     = aws_sagemaker_endpoint.endpoint[0].name == "pawprint-serverless" && aws_cloudwatch_metric_alarm.server_errors.dimensions.EndpointName == "pawprint-serverless"
    error_message = "SageMaker converts no instances to serverless, so the endpoint must be another one."
  }

  assert {
    condition     = output.config_name != run.releases.config_name
    error_message = "Another kind must be another configuration."
  }
}

run "refuses_a_size_that_serverless_inference_does_not_have" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    serverless = { memory_mb = 8192, max_concurrency = 7 }
  }

  expect_failures = [var.serverless]
}
