"""CloudWatch Logs: moto's, and metric filters that make metrics of the lines."""
