output "bucket" {
  description = "The name of the bucket."
  value       = aws_s3_bucket.artifacts.bucket
}

output "access" {
  description = "What a role needs in order to be granted parts of the bucket: its name, its ARN and the policy statements that let it use the KMS key, if there is one."
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
  description = "The key of each uploaded payload; whoever uses it waits for the upload."
  value       = { for payload, object in aws_s3_object.upload : payload => object.key }
}

output "urls" {
  description = "The s3:// address of each uploaded payload; whoever uses it waits for the upload."
  value       = { for payload, object in aws_s3_object.upload : payload => "s3://${object.bucket}/${object.key}" }
}
