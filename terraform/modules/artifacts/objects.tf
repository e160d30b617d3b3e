# Content-addressed: a new key is a new object, made before the one it replaces goes, so whoever still starts from the
# old one finds it until everything points to the new.
resource "aws_s3_object" "upload" {
  for_each = var.uploads

  bucket = aws_s3_bucket.artifacts.bucket
  key    = each.value.key
  source = each.value.source

  lifecycle {
    create_before_destroy = true
  }

  # A destroy must empty the bucket before the encryption, the policy and the versioning that protect it go.
  depends_on = [
    aws_s3_bucket_ownership_controls.artifacts,
    aws_s3_bucket_policy.artifacts,
    aws_s3_bucket_server_side_encryption_configuration.artifacts,
    aws_s3_bucket_versioning.artifacts,
  ]
}
