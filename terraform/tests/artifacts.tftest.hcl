# The artifacts bucket: private, versioned, encrypted, TLS only, swept, and content-addressed.

mock_provider "aws" {}

variables {
  name          = "pawprint"
  account       = { id = "123456789012", partition = "aws", region = "eu-west-1" }
  kms_key_arn   = null
  force_destroy = false
  expiry_days   = { noncurrent_versions = 30, aborted_uploads = 7, checkpoints = 14 }
  uploads = {
    ec2       = { key = "payloads/ec2/0123456789abcdef.tar.gz", source = "tests/fixtures/build/ec2.tar.gz" }
    bootstrap = { key = "payloads/bootstrap/fedcba9876543210.tar.gz", source = "tests/fixtures/build/bootstrap.tar.gz" }
  }
}

run "bucket" {
  command = plan

  module {
    source = "./modules/artifacts"
  }

  assert {
    condition     = aws_s3_bucket.artifacts.bucket == "pawprint-artifacts-123456789012-eu-west-1"
    error_message = "The bucket's name must be unique by account and region."
  }

  assert {
    condition     = !aws_s3_bucket.artifacts.force_destroy
    error_message = "What is in the bucket must survive a destroy unless the variable says otherwise."
  }

  assert {
    condition     = aws_s3_bucket_versioning.artifacts.versioning_configuration[0].status == "Enabled"
    error_message = "The bucket must be versioned."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.artifacts.block_public_acls,
      aws_s3_bucket_public_access_block.artifacts.block_public_policy,
      aws_s3_bucket_public_access_block.artifacts.ignore_public_acls,
      aws_s3_bucket_public_access_block.artifacts.restrict_public_buckets,
    ])
    error_message = "Every way to make the bucket public must be blocked."
  }

  assert {
    condition     = aws_s3_bucket_ownership_controls.artifacts.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "Every object must belong to the bucket's owner."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.artifacts.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "Without a KMS key the objects must be encrypted with keys of S3."
  }

  assert {
    condition = [for statement in jsondecode(aws_s3_bucket_policy.artifacts.policy).Statement :
      statement.Effect == "Deny" && statement.Principal == "*" && statement.Condition.Bool["aws:SecureTransport"] == "false"
    ] == [true]
    error_message = "The bucket must refuse everybody who does not use TLS."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.artifacts.rule[0].noncurrent_version_expiration[0].noncurrent_days == 30
    error_message = "Superseded versions must expire."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.artifacts.rule[1].abort_incomplete_multipart_upload[0].days_after_initiation == 7
    error_message = "Abandoned uploads must be aborted."
  }

  assert {
    condition = (
      aws_s3_bucket_lifecycle_configuration.artifacts.rule[2].filter[0].prefix == "checkpoints/" &&
      aws_s3_bucket_lifecycle_configuration.artifacts.rule[2].expiration[0].days == 14
    )
    error_message = "Checkpoints must expire."
  }

  assert {
    condition = [for rule in aws_s3_bucket_lifecycle_configuration.artifacts.rule :
      [rule.filter[0].prefix, rule.expiration[0].days, rule.noncurrent_version_expiration[0].noncurrent_days] if rule.id == "captures"
    ] == [["captures/", 30, 1]]
    error_message = "Captured images must expire, whether they are captured at present or not."
  }

  assert {
    condition     = output.urls.bootstrap == "s3://pawprint-artifacts-123456789012-eu-west-1/payloads/bootstrap/fedcba9876543210.tar.gz"
    error_message = "An upload must stand under its content-addressed key."
  }

  assert {
    condition     = output.access.key_statements == []
    error_message = "Without a KMS key no role may be granted one."
  }
}

run "bucket_with_kms_key" {
  command = plan

  module {
    source = "./modules/artifacts"
  }

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c"
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.artifacts.rule).apply_server_side_encryption_by_default).kms_master_key_id == "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c"
    error_message = "A given KMS key must encrypt the objects."
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.artifacts.rule).bucket_key_enabled
    error_message = "A bucket key must keep the KMS calls of a dataset few."
  }

  assert {
    condition     = [for statement in output.access.key_statements : statement.Resource] == ["arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c"]
    error_message = "The roles must be granted that key and no other."
  }
}

run "access_logs" {
  command = plan

  module {
    source = "./modules/artifacts"
  }

  variables {
    access_logs = { bucket = "the-logs", prefix = "pawprint/" }
  }

  assert {
    condition     = aws_s3_bucket_logging.artifacts[0].target_bucket == "the-logs" && aws_s3_bucket_logging.artifacts[0].target_prefix == "pawprint/"
    error_message = "S3 must log requests where it was asked to."
  }
}

run "refuses_a_key_alias" {
  command = plan

  module {
    source = "./modules/artifacts"
  }

  variables {
    kms_key_arn = "alias/artifacts"
  }

  expect_failures = [var.kms_key_arn]
}

run "refuses_half_days" {
  command = plan

  module {
    source = "./modules/artifacts"
  }

  variables {
    expiry_days = { noncurrent_versions = 0.5, aborted_uploads = 7, checkpoints = 14 }
  }

  expect_failures = [var.expiry_days]
}
