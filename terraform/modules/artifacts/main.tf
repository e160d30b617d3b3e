# The artifacts bucket holds everything that the parts exchange. It is private, versioned, encrypted and accepts TLS
# only. Lifecycle rules delete superseded versions, abandoned uploads and old checkpoints, so they do not cost without
# end.

locals {
  # The account and the region make the name unique among all buckets of AWS.
  bucket = "${var.name}-artifacts-${var.account.id}-${var.account.region}"

  # ARNs are written out, here and in every policy, so that a plan shows each policy in full before it is granted.
  arn = "arn:${var.account.partition}:s3:::${local.bucket}"
}

resource "aws_s3_bucket" "artifacts" {
  # checkov:skip=CKV2_AWS_62: nothing waits for new objects
  # tf-nag AwsSolutions-S1: the setting artifacts.access_logs turns them on; they need a bucket of the account
  # checkov:skip=CKV_AWS_144: a copy in another region doubles the cost; versions protect against mistakes
  bucket        = local.bucket
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_versioning" "artifacts" {
  bucket = aws_s3_bucket.artifacts.bucket

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.bucket

  rule {
    # With a bucket key, one KMS call covers many objects. A dataset has thousands of them.
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "artifacts" {
  bucket = aws_s3_bucket.artifacts.bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "artifacts" {
  bucket = aws_s3_bucket.artifacts.bucket

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "artifacts" {
  bucket = aws_s3_bucket.artifacts.bucket
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.arn, "${local.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # S3 returns a conflict if both are set at the same time.
  depends_on = [aws_s3_bucket_public_access_block.artifacts]
}

resource "aws_s3_bucket_logging" "artifacts" {
  count = var.access_logs == null ? 0 : 1

  bucket        = aws_s3_bucket.artifacts.bucket
  target_bucket = var.access_logs.bucket
  target_prefix = var.access_logs.prefix
}

resource "aws_s3_bucket_lifecycle_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.bucket

  rule {
    id     = "superseded-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.expiry_days.noncurrent_versions
    }

    expiration {
      # A delete marker is useless after its last version has expired.
      expired_object_delete_marker = true
    }
  }

  rule {
    id     = "abandoned-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = var.expiry_days.aborted_uploads
    }
  }

  rule {
    id     = "checkpoints"
    status = "Enabled"

    filter {
      prefix = "checkpoints/"
    }

    expiration {
      days = var.expiry_days.checkpoints
    }
  }

  # Photographs that the function was asked about (predictor.uploads). S3 deletes the old version a day later too.
  rule {
    id     = "uploads"
    status = "Enabled"

    filter {
      prefix = "uploads/"
    }

    expiration {
      days = 1
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }
  }

  # Images that the function kept for a review (predictor.capture). The rule stays if the capture is turned off, so what
  # was captured before does not stay without end.
  rule {
    id     = "captures"
    status = "Enabled"

    filter {
      prefix = "captures/"
    }

    expiration {
      days = var.expiry_days.captures
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }
  }

  # The rule on superseded versions needs versioning.
  depends_on = [aws_s3_bucket_versioning.artifacts]
}
