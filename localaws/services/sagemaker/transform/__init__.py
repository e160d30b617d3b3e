"""Batch transform: a model's containers answer for every object of a prefix, and the answers go to S3."""
