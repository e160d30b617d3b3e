# HTTPS to the internet, and no inbound traffic. S3, SSM, CloudWatch Logs, PyPI and Amazon Linux's repositories all use
# HTTPS. A security group does not filter the VPC's own DNS, time and metadata addresses.

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

# Not every zone has every type. Previous generations are in the fewest zones.
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
      error_message = "No default subnet is in a zone that offers ${var.instance_type}. Set ec2.subnet_id to a subnet with access to the internet, or choose another instance type."
    }
  }
}

resource "aws_security_group" "training" {
  name_prefix = "${var.name}-training-"
  description = "The training instance of ${var.name}: HTTPS out, nothing in."
  vpc_id      = one(concat(data.aws_subnet.given[*].vpc_id, data.aws_vpc.default[*].id))

  # The empty list is explicit, so that an apply removes rules that were added by hand.
  ingress = []

  tags = { Name = "${var.name}-training" }

  # A group in use cannot be deleted, so a replacement must exist before the instance moves to it.
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
