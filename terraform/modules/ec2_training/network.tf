# Into the internet over HTTPS, from nowhere: S3, SSM, CloudWatch Logs, PyPI and Amazon Linux's repositories all speak
# HTTPS, and the VPC's own DNS, time and metadata addresses are outside what a security group filters.

locals {
  subnet_id = one(concat(data.aws_subnet.given[*].id, [for subnets in data.aws_subnets.default : sort(subnets.ids)[0]]))
}

data "aws_subnet" "given" {
  count = var.subnet_id == null ? 0 : 1

  id = var.subnet_id
}

data "aws_vpc" "default" {
  count = var.subnet_id == null ? 1 : 0

  default = true
}

# Not every zone has every type; previous generations are the scarcest.
data "aws_ec2_instance_type_offerings" "zones" {
  count = var.subnet_id == null ? 1 : 0

  location_type = "availability-zone"

  filter {
    name   = "instance-type"
    values = [var.instance_type]
  }
}

data "aws_subnets" "default" {
  count = var.subnet_id == null ? 1 : 0

  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default[0].id]
  }

  filter {
    name   = "default-for-az"
    values = ["true"]
  }

  filter {
    name   = "availability-zone"
    values = data.aws_ec2_instance_type_offerings.zones[0].locations
  }

  lifecycle {
    postcondition {
      condition     = length(self.ids) > 0
      error_message = "No default subnet lies in a zone that offers ${var.instance_type}. Set ec2.subnet_id to a subnet with access to the internet, or choose another instance type."
    }
  }
}

resource "aws_security_group" "training" {
  name_prefix = "${var.name}-training-"
  description = "The training instance of ${var.name}: HTTPS out, nothing in."
  vpc_id      = one(concat(data.aws_subnet.given[*].vpc_id, data.aws_vpc.default[*].id))

  # Said outright, so that an apply takes away what somebody opened by hand.
  ingress = []

  tags = { Name = "${var.name}-training" }

  # A group in use cannot be deleted: a replacement must stand before the instance moves to it.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.training.id
  description       = "HTTPS to AWS and to the package repositories"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}
