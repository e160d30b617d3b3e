"""KMS: keys that S3 may name."""
