"""CloudWatch: metrics, alarms, and what they set off."""
