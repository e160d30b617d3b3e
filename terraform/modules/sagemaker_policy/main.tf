# What every role of SageMaker has in common. The module has no resources: a caller gives the trust policy to its
# role, and adds the statements to the role's own.

locals {
  repositories = distinct([for image in var.images : regex("^(?P<account>[0-9]+)\\.dkr\\.ecr\\.(?P<region>[a-z0-9-]+)\\.[a-z.]+/(?P<name>[^:@]+)", image)])

  trust = {
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "sagemaker.amazonaws.com" }
      Action    = "sts:AssumeRole"
      # SageMaker must act for this account, and not for another account that knows the role's name.
      Condition = { StringEquals = { "aws:SourceAccount" = var.account.id } }
    }]
  }

  statements = concat(
    [for repositories in [local.repositories] : {
      Sid    = "PullImages"
      Effect = "Allow"
      Action = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = [
        for repository in repositories :
        "arn:${var.account.partition}:ecr:${repository.region}:${repository.account}:repository/${repository.name}"
      ]
    } if length(repositories) > 0],
    [for repositories in [local.repositories] : {
      # "*": a registry's token belongs to the caller and not to a repository, so AWS accepts no other resource.
      Sid      = "LogInToTheRegistry"
      Effect   = "Allow"
      Action   = "ecr:GetAuthorizationToken"
      Resource = "*"
    } if length(repositories) > 0],
    [for namespaces in [var.metric_namespaces] : {
      # "*": metrics have no ARN; the condition restricts it to the namespaces that SageMaker writes for the role.
      Sid       = "WriteMetrics"
      Effect    = "Allow"
      Action    = "cloudwatch:PutMetricData"
      Resource  = "*"
      Condition = { StringLike = { "cloudwatch:namespace" = namespaces } }
    } if length(namespaces) > 0],
    var.artifacts.key_statements,
    try(var.network.statements, []),
    [for key in var.kms_key_arn[*] : {
      # SageMaker attaches volumes that are encrypted with the key, by a grant of the role (its guide, "SageMaker Roles").
      Sid       = "EncryptVolumes"
      Effect    = "Allow"
      Action    = "kms:CreateGrant"
      Resource  = key
      Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
    }],
  )
}
