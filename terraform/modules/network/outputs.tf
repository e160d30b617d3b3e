output "parts" {
  description = "The place of the endpoint, the notebook and the instance: subnets, security groups, and the policy statements that a role of SageMaker needs to connect there. The output is known when the VPC endpoints exist."
  value = {
    subnet_ids         = var.subnet_ids
    security_group_ids = [aws_security_group.parts.id]
    statements         = [local.sagemaker_interfaces, local.own_interfaces, local.describe_interfaces]
  }
  depends_on = [
    aws_vpc_endpoint.interface, aws_vpc_endpoint.s3, aws_vpc_security_group_ingress_rule.from_the_parts,
    aws_vpc_security_group_egress_rule.https, aws_vpc_security_group_egress_rule.s3,
  ]
}

output "training" {
  description = "The place of training jobs, whose hosts also reach one another."
  value = {
    subnet_ids         = var.subnet_ids
    security_group_ids = [aws_security_group.parts.id, aws_security_group.training.id]
    statements         = [local.sagemaker_interfaces, local.own_interfaces, local.describe_interfaces]
  }
  depends_on = [aws_vpc_security_group_ingress_rule.between_hosts, aws_vpc_security_group_egress_rule.between_hosts]
}

output "function" {
  description = "The place of the function, with the policy statements that a role of Lambda needs."
  value = {
    subnet_ids         = var.subnet_ids
    security_group_ids = [aws_security_group.parts.id]
    statements         = [local.lambda_interfaces]
  }
  depends_on = [aws_vpc_endpoint.interface, aws_vpc_security_group_egress_rule.https]
}
