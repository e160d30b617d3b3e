# HTTPS to the internet, and no inbound traffic. S3, SSM, CloudWatch Logs, PyPI and Amazon Linux's repositories all use
# HTTPS. A security group does not filter the VPC's own DNS, time and metadata addresses.

locals {
  subnet_id          = one(concat(data.aws_subnet.given[*].id, [for subnets in data.aws_subnets.candidates : sort(subnets.ids)[0]]))
  own_group          = var.network == null
  security_group_ids = concat(aws_security_group.training[*].id, try(var.network.security_group_ids, []))
}

data "aws_subnet" "given" {
  count = var.subnet_id == null ? 0 : 1

  id = var.subnet_id

  lifecycle {
    postcondition {
      condition     = var.network == null || contains(try(var.network.subnet_ids, []), self.id)
      error_message = "ec2.subnet_id (${self.id}) is not one of network.subnet_ids, whose security group the instance uses. Leave ec2.subnet_id out, or add the subnet to network.subnet_ids."
    }
  }
}

data "aws_vpcs" "default" {
  count = var.subnet_id == null && var.network == null ? 1 : 0

  filter {
    name   = "is-default"
    values = ["true"]
  }

  lifecycle {
    postcondition {
      condition     = length(self.ids) == 1
      error_message = "This account has no default VPC in ${var.account.region}, so the training instance has no subnet. Set network = { vpc_id = \"vpc-...\", subnet_ids = [\"subnet-...\"] } to place the whole stack in a VPC, or ec2 = { subnet_id = \"subnet-...\" } for the instance alone, in a subnet with access to the internet."
    }
  }
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

data "aws_subnets" "candidates" {
  count = var.subnet_id == null ? 1 : 0

  dynamic "filter" {
    for_each = (
      var.network == null
      ? { vpc-id = data.aws_vpcs.default[0].ids, default-for-az = ["true"] }
      : { subnet-id = var.network.subnet_ids }
    )

    content {
      name   = filter.key
      values = filter.value
    }
  }

  filter {
    name   = "availability-zone"
    values = data.aws_ec2_instance_type_offerings.zones[0].locations
  }

  lifecycle {
    postcondition {
      condition     = length(self.ids) > 0
      error_message = "No ${var.network == null ? "default subnet" : "subnet of network.subnet_ids"} is in a zone that offers ${var.instance_type}. ${var.network == null ? "Set ec2.subnet_id to a subnet with access to the internet" : "Add a subnet in another zone"}, or choose another instance type."
    }
  }
}

resource "aws_security_group" "training" {
  count = local.own_group ? 1 : 0

  name_prefix = "${var.name}-training-"
  description = "The training instance of ${var.name}: HTTPS out, nothing in."
  vpc_id      = one(concat(data.aws_subnet.given[*].vpc_id, flatten(data.aws_vpcs.default[*].ids)))

  # The empty list is explicit, so that an apply removes rules that were added by hand.
  ingress = []

  tags = { Name = "${var.name}-training" }

  # A group in use cannot be deleted, so a replacement must exist before the instance moves to it.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "https" {
  count = local.own_group ? 1 : 0

  security_group_id = aws_security_group.training[0].id
  description       = "HTTPS to AWS and to the package repositories"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

# The addresses of stacks that were applied before the group became optional.
moved {
  from = aws_security_group.training
  to   = aws_security_group.training[0]
}

moved {
  from = aws_vpc_security_group_egress_rule.https
  to   = aws_vpc_security_group_egress_rule.https[0]
}
