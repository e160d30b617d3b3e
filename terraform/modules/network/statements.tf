# What a service needs from a role to connect its instances to subnets: network interfaces, which have no name of the
# stack in their ARN. Sources: SageMaker's guide, "SageMaker Roles" (CreateModel, CreateTrainingJob and
# CreateNotebookInstance in a VPC); Lambda's managed policy AWSLambdaVPCAccessExecutionRole.
locals {
  ec2 = "arn:${var.account.partition}:ec2:${var.account.region}:${var.account.id}"

  sagemaker_interfaces = {
    Sid    = "ConnectToTheSubnets"
    Effect = "Allow"
    Action = ["ec2:CreateNetworkInterface"]
    Resource = concat(
      ["${local.ec2}:network-interface/*", "${local.ec2}:security-group/*"],
      [for id in var.subnet_ids : "${local.ec2}:subnet/${id}"],
    )
  }

  own_interfaces = {
    Sid    = "ManageTheInterfaces"
    Effect = "Allow"
    Action = [
      "ec2:CreateNetworkInterfacePermission",
      "ec2:DeleteNetworkInterface",
      "ec2:DeleteNetworkInterfacePermission",
    ]
    Resource = ["${local.ec2}:network-interface/*"]
  }

  describe_interfaces = {
    # "*": AWS cannot restrict these lists.
    Sid    = "SeeTheSubnets"
    Effect = "Allow"
    Action = [
      "ec2:DescribeDhcpOptions",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSecurityGroups",
      "ec2:DescribeSubnets",
      "ec2:DescribeVpcs",
    ]
    Resource = ["*"]
  }

  lambda_interfaces = {
    # "*": Lambda checks the role with these actions on all resources when a function is created in a VPC.
    Sid    = "ConnectToTheSubnets"
    Effect = "Allow"
    Action = [
      "ec2:AssignPrivateIpAddresses",
      "ec2:CreateNetworkInterface",
      "ec2:DeleteNetworkInterface",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSubnets",
      "ec2:UnassignPrivateIpAddresses",
    ]
    Resource = ["*"]
  }
}
