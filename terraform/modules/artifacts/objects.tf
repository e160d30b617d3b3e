# Keys are content-addressed, so a new key is a new object. Terraform creates it before it deletes the old one. A
# program that still starts from the old object finds it until everything uses the new one.
resource "aws_s3_object" "upload" {
  for_each = var.uploads

  bucket = aws_s3_bucket.artifacts.bucket
  key    = each.value.key
  source = each.value.source

  lifecycle {
    create_before_destroy = true
  }

  # A destroy must empty the bucket before it removes the encryption, the policy and the versioning that protect it.
  depends_on = [
    aws_s3_bucket_ownership_controls.artifacts,
    aws_s3_bucket_policy.artifacts,
    aws_s3_bucket_server_side_encryption_configuration.artifacts,
    aws_s3_bucket_versioning.artifacts,
  ]
}
