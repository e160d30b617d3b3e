# Two roles for the workflows of one GitHub repository, without stored keys. A pull request may plan. Only a job in the
# protected environment may apply.

locals {
  host         = "token.actions.githubusercontent.com"
  provider_arn = coalesce(var.oidc_provider_arn, one(aws_iam_openid_connect_provider.github[*].arn))

  # Who may take each role: the subject of GitHub's token (GitHub's documentation, "OpenID Connect reference").
  subjects = {
    plan  = "repo:${var.repository}:pull_request"
    apply = "repo:${var.repository}:environment:${var.environment}"
  }

  deployer = flatten([for text in values(var.deployer_policies) : jsondecode(text).Statement])

  # Of each statement the actions that change nothing. kms:Decrypt opens the state, if a key encrypts it.
  reading = [
    for statement in local.deployer : merge(statement, {
      Action = [for action in flatten([statement.Action]) : action if can(regex("^[a-z0-9-]+:(Get|List|Describe|BatchGet)", action)) || action == "kms:Decrypt"]
    })
  ]

  state_bucket = "arn:${var.account.partition}:s3:::${var.state.bucket}"
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.oidc_provider_arn == null ? 1 : 0

  url            = "https://${local.host}"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "ci" {
  for_each = local.subjects

  name                 = "${var.name}-ci-${each.key}"
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = local.provider_arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = { StringEquals = { "${local.host}:aud" = "sts.amazonaws.com", "${local.host}:sub" = each.value } }
    }]
  })
}

resource "aws_iam_role_policy" "plan" {
  name = "plan"
  role = aws_iam_role.ci["plan"].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([for statement in local.reading : statement if length(statement.Action) > 0], [
      {
        Sid      = "ReadTheState"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:ListBucket"]
        Resource = [local.state_bucket, "${local.state_bucket}/${var.state.key}"]
      },
      {
        # A plan locks the state, so that nobody changes it meanwhile.
        Sid      = "LockTheState"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
        Resource = ["${local.state_bucket}/${var.state.key}.tflock"]
      },
    ])
  })
}

resource "aws_iam_role_policy" "apply" {
  name = "apply"
  role = aws_iam_role.ci["apply"].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(jsondecode(var.deployer_policies["stack"]).Statement, [
      {
        Sid      = "ShareTheState"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"]
        Resource = [local.state_bucket, "${local.state_bucket}/${var.state.key}", "${local.state_bucket}/${var.state.key}.tflock"]
      },
    ])
  })
}

# A role's inline policies have 10,240 characters together, and the first has almost as many.
resource "aws_iam_policy" "options" {
  name        = "${var.name}-ci-apply-options"
  description = "What the settings network, kms_key_arn, permissions_boundary and ci of ${var.name} need."
  policy      = var.deployer_policies["options"]
}

resource "aws_iam_role_policy_attachment" "options" {
  role       = aws_iam_role.ci["apply"].name
  policy_arn = aws_iam_policy.options.arn
}
