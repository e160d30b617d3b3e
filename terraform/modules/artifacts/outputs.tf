output "bucket" {
  description = "The name of the bucket."
  value       = aws_s3_bucket.artifacts.bucket
}

output "access" {
  description = "What a role needs to get access to parts of the bucket: the name, the ARN, and the policy statements for the KMS key, if there is one."
  value = {
    bucket = aws_s3_bucket.artifacts.bucket
    arn    = local.arn
    key_statements = [for key in var.kms_key_arn[*] : {
      Sid      = "UseTheKeyOfTheArtifacts"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = key
    }]
  }
}

output "keys" {
  description = "The key of each uploaded payload. A resource that uses it waits for the upload."
  value       = { for payload, object in aws_s3_object.upload : payload => object.key }
}

output "urls" {
  description = "The s3:// address of each uploaded payload. A resource that uses it waits for the upload."
  value       = { for payload, object in aws_s3_object.upload : payload => "s3://${object.bucket}/${object.key}" }
}
