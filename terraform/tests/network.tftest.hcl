# The network: nothing comes in from outside of the stack, and private subnets reach what the stack needs.

mock_provider "aws" {
  mock_data "aws_vpc" {
    defaults = { id = "vpc-0a", cidr_block = "10.0.0.0/16", enable_dns_support = true, enable_dns_hostnames = true }
  }

  mock_data "aws_route_tables" {
    defaults = { ids = ["rtb-0a"] }
  }

  mock_data "aws_ec2_managed_prefix_list" {
    defaults = { id = "pl-0a" }
  }
}

override_data {
  target = data.aws_subnet.given["subnet-0a"]
  values = { vpc_id = "vpc-0a", availability_zone = "eu-west-1a" }
}

override_data {
  target = data.aws_subnet.given["subnet-0b"]
  values = { vpc_id = "vpc-0a", availability_zone = "eu-west-1b" }
}

override_data {
  target = data.aws_subnet.given["subnet-0c"]
  values = { vpc_id = "vpc-0a", availability_zone = "eu-west-1b" }
}

variables {
  name                = "pawprint"
  account             = { id = "123456789012", partition = "aws", region = "eu-west-1" }
  vpc_id              = "vpc-0a"
  subnet_ids          = ["subnet-0a", "subnet-0b", "subnet-0c"]
  internet            = false
  interface_endpoints = null
  s3_endpoint         = true
}

run "private" {
  command = plan

  module {
    source = "./modules/network"
  }

  assert {
    condition = alltrue([for service in ["sagemaker.api", "sagemaker.runtime", "logs", "ecr.api", "ecr.dkr", "ssm", "ssmmessages", "ec2messages", "sts"] :
      contains([for endpoint in aws_vpc_endpoint.interface : endpoint.service_name], "com.amazonaws.eu-west-1.${service}")
    ])
    error_message = "Every service that the stack calls must have an endpoint in the VPC."
  }

  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled])
    error_message = "The endpoints must answer under the names of the services, because the parts use no others."
  }

  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.subnet_ids == toset(["subnet-0a", "subnet-0b"])])
    error_message = "An interface endpoint must have one subnet in each zone."
  }

  assert {
    condition     = aws_vpc_endpoint.s3[0].vpc_endpoint_type == "Gateway" && aws_vpc_endpoint.s3[0].route_table_ids == toset(["rtb-0a"])
    error_message = "S3 must have a gateway endpoint in the route tables of the subnets."
  }

  assert {
    condition     = length(aws_security_group.parts.ingress) == 0
    error_message = "Nothing may connect to the parts."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.https.cidr_ipv4 == "10.0.0.0/16" && aws_vpc_security_group_egress_rule.s3[0].prefix_list_id == "pl-0a"
    error_message = "Without internet, the parts may reach the VPC and S3 only."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.from_the_parts.from_port == 443 && aws_vpc_security_group_ingress_rule.from_the_parts.to_port == 443 && aws_vpc_security_group_ingress_rule.from_the_parts.cidr_ipv4 == null
    error_message = "The endpoints must accept HTTPS from the parts only."
  }

  assert {
    condition     = !anytrue([for statement in output.training.statements : anytrue([for action in statement.Action : strcontains(action, "*")])])
    error_message = "Actions must be listed one by one."
  }
}

run "with_internet_and_endpoints_of_its_own" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    internet            = true
    interface_endpoints = []
    s3_endpoint         = false
  }

  assert {
    condition     = length(aws_vpc_endpoint.interface) == 0 && length(aws_vpc_endpoint.s3) == 0
    error_message = "A VPC that has endpoints must not get them a second time."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.https.cidr_ipv4 == "0.0.0.0/0" && length(aws_vpc_security_group_egress_rule.s3) == 0
    error_message = "With internet, the parts must reach the package repositories."
  }
}

run "a_subnet_without_a_route_table_uses_the_main_one" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    subnet_ids = ["subnet-0a"]
  }

  override_data {
    target = data.aws_route_tables.of_subnet["subnet-0a"]
    values = { ids = [] }
  }

  override_data {
    target = data.aws_route_tables.main[0]
    values = { ids = ["rtb-0f"] }
  }

  assert {
    condition     = aws_vpc_endpoint.s3[0].route_table_ids == toset(["rtb-0f"])
    error_message = "The gateway endpoint must be in the main route table of such a subnet."
  }
}

run "refuses_a_subnet_of_another_vpc" {
  command = plan

  module {
    source = "./modules/network"
  }

  override_data {
    target = data.aws_subnet.given["subnet-0a"]
    values = { vpc_id = "vpc-0b", availability_zone = "eu-west-1a" }
  }

  expect_failures = [data.aws_subnet.given]
}

run "refuses_a_vpc_without_private_names" {
  command = plan

  module {
    source = "./modules/network"
  }

  override_data {
    target = data.aws_vpc.given
    values = { id = "vpc-0a", cidr_block = "10.0.0.0/16", enable_dns_support = true, enable_dns_hostnames = false }
  }

  expect_failures = [data.aws_vpc.given]
}

run "refuses_a_name_instead_of_an_identifier" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    subnet_ids = ["private-a"]
  }

  expect_failures = [var.subnet_ids]
}
