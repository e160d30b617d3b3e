# Three groups. The parts accept nothing and open HTTPS connections. The hosts of a training job also reach one another.
# The endpoints accept HTTPS from the parts.

resource "aws_security_group" "parts" {
  # checkov:skip=CKV2_AWS_5: the other modules attach it
  name_prefix = "${var.name}-parts-"
  description = "The parts of ${var.name}: HTTPS out, nothing in."
  vpc_id      = data.aws_vpc.given.id

  # The empty list is explicit, so that an apply removes rules that were added by hand.
  ingress = []

  tags = { Name = "${var.name}-parts" }

  # A group in use cannot be deleted, so a replacement must exist before the parts move to it.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.parts.id
  description       = var.internet ? "HTTPS to AWS and to the package repositories" : "HTTPS to the endpoints in the VPC"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = var.internet ? "0.0.0.0/0" : data.aws_vpc.given.cidr_block
}

data "aws_ec2_managed_prefix_list" "s3" {
  count = var.internet ? 0 : 1

  name = "com.amazonaws.${var.account.region}.s3"
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  count = var.internet ? 0 : 1

  security_group_id = aws_security_group.parts.id
  description       = "HTTPS to S3"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  prefix_list_id    = data.aws_ec2_managed_prefix_list.s3[0].id
}

resource "aws_security_group" "training" {
  # checkov:skip=CKV2_AWS_5: training jobs attach it
  name_prefix = "${var.name}-jobs-"
  description = "The hosts of a training job of ${var.name}: connections between them."
  vpc_id      = data.aws_vpc.given.id

  tags = { Name = "${var.name}-jobs" }

  lifecycle {
    create_before_destroy = true
  }
}

# Any port: gloo and NCCL choose theirs (SageMaker's guide, "Give SageMaker Training Jobs Access to Resources in Your
# Amazon VPC", asks for all traffic between the members of one group).
resource "aws_vpc_security_group_ingress_rule" "between_hosts" {
  security_group_id            = aws_security_group.training.id
  description                  = "The other hosts of the job"
  ip_protocol                  = "-1"
  referenced_security_group_id = aws_security_group.training.id
}

resource "aws_vpc_security_group_egress_rule" "between_hosts" {
  security_group_id            = aws_security_group.training.id
  description                  = "The other hosts of the job"
  ip_protocol                  = "-1"
  referenced_security_group_id = aws_security_group.training.id
}

resource "aws_security_group" "endpoints" {
  name_prefix = "${var.name}-endpoints-"
  description = "The VPC endpoints of ${var.name}: HTTPS in from the parts, nothing out."
  vpc_id      = data.aws_vpc.given.id

  # Explicit, as above.
  egress = []

  tags = { Name = "${var.name}-endpoints" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "from_the_parts" {
  security_group_id            = aws_security_group.endpoints.id
  description                  = "HTTPS from the parts of the stack"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.parts.id
}
