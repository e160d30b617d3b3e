"""S3: objects as files, and bucket policies."""
