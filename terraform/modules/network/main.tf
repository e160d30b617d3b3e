# The place of the stack in a VPC of the account: its security groups, and the endpoints through which subnets without
# access to the internet reach AWS. Nothing accepts a connection from outside of the stack.

locals {
  # What the parts call: SageMaker (jobs and predictions), logs, metrics, the images of containers, commands to the
  # training instance, the scaling policies that the notebook shows, and credentials.
  needed_endpoints = [
    "application-autoscaling", "ec2messages", "ecr.api", "ecr.dkr", "kms", "logs", "monitoring",
    "sagemaker.api", "sagemaker.runtime", "ssm", "ssmmessages", "sts",
  ]
  interface_endpoints = coalesce(var.interface_endpoints, local.needed_endpoints)

  # An interface endpoint takes at most one subnet in each zone.
  zones            = { for id, subnet in data.aws_subnet.given : subnet.availability_zone => id... }
  endpoint_subnets = sort([for ids in values(local.zones) : sort(ids)[0]])
}

data "aws_vpc" "given" {
  id = var.vpc_id

  lifecycle {
    postcondition {
      condition     = length(local.interface_endpoints) == 0 || (self.enable_dns_support && self.enable_dns_hostnames)
      error_message = "The VPC ${var.vpc_id} must have DNS resolution and DNS host names enabled, because the interface endpoints answer under the names of the AWS services. Enable both, or set network.interface_endpoints = [] if the VPC reaches these services in another way."
    }
  }
}

data "aws_subnet" "given" {
  for_each = toset(var.subnet_ids)

  id = each.value

  lifecycle {
    postcondition {
      condition     = self.vpc_id == var.vpc_id
      error_message = "The subnet ${each.value} is in ${self.vpc_id}, not in ${var.vpc_id}. Set network.vpc_id and network.subnet_ids to one VPC and its subnets."
    }
  }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = toset(local.interface_endpoints)

  vpc_id              = data.aws_vpc.given.id
  service_name        = "com.amazonaws.${var.account.region}.${each.value}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = local.endpoint_subnets
  security_group_ids  = [aws_security_group.endpoints.id]
  private_dns_enabled = true

  tags = { Name = "${var.name}-${each.value}" }
}

# A subnet without a route table of its own uses the VPC's main one.
data "aws_route_tables" "of_subnet" {
  for_each = var.s3_endpoint ? toset(var.subnet_ids) : []

  vpc_id = var.vpc_id

  filter {
    name   = "association.subnet-id"
    values = [each.value]
  }
}

data "aws_route_tables" "main" {
  count = var.s3_endpoint ? 1 : 0

  vpc_id = var.vpc_id

  filter {
    name   = "association.main"
    values = ["true"]
  }
}

# Its policy stays AWS's default. Images, Amazon Linux's packages and SSM's agent come from buckets of AWS, whose names
# change; what the parts may do in buckets is in their roles.
resource "aws_vpc_endpoint" "s3" {
  count = var.s3_endpoint ? 1 : 0

  vpc_id            = data.aws_vpc.given.id
  service_name      = "com.amazonaws.${var.account.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids = distinct(flatten([
    for tables in data.aws_route_tables.of_subnet :
    length(tables.ids) > 0 ? tables.ids : data.aws_route_tables.main[0].ids
  ]))

  tags = { Name = "${var.name}-s3" }
}
